//! Deletes what is old, in batches that block no other request for long.

use jiff::Timestamp;

use super::chats;
use super::counts::CountChanges;
use super::idempotency::forgotten_before;
use super::ids_json;
use crate::files::{self, Erased};
use crate::sql::{SqlResult, Tx, params, whole_millis};

/// Rows deleted in one transaction.
pub(crate) const BATCH_ROWS_MAX: i64 = 1_000;
/// Idempotency keys looked at in one transaction.
const KEYS_LOOKED_AT: i64 = 2_000;

/// The result of one batch.
pub(crate) struct CleanupBatch {
    pub(crate) rows: u64,
    /// Whether another batch may find more.
    pub(crate) has_more: bool,
}

impl CleanupBatch {
    pub(crate) fn of(rows: u64) -> Self {
        Self { rows, has_more: rows >= BATCH_ROWS_MAX.unsigned_abs() }
    }
}

/// Where a walk through the idempotency keys has come to: account and name.
pub(crate) type KeyCursor = (i64, String);

/// Deletes the old ones among the next [`KEYS_LOOKED_AT`] idempotency keys; also returns where the
/// walk goes on. An index by age would be written with every key that is accepted.
pub(crate) async fn idempotency_keys(
    tx: &mut Tx,
    now: Timestamp,
    after: KeyCursor,
) -> SqlResult<(u64, Option<KeyCursor>)> {
    const END: &str = "SELECT account_id, name FROM idempotency
        WHERE (account_id, name) > ($1, $2) ORDER BY account_id, name LIMIT 1 OFFSET $3";
    const DELETE: &str = "DELETE FROM idempotency WHERE created_at <= $1
        AND (account_id, name) > ($2, $3) AND (account_id, name) <= ($4, $5)";
    const DELETE_REST: &str =
        "DELETE FROM idempotency WHERE created_at <= $1 AND (account_id, name) > ($2, $3)";
    let before = forgotten_before(now);
    let (account, name) = (after.0, after.1.as_str());
    let end = tx.query_one(END, params![account, name, KEYS_LOOKED_AT - 1]).await?;
    let Some(mut end) = end else {
        return Ok((tx.execute(DELETE_REST, params![before, account, name]).await?, None));
    };
    let end = (end.int()?, end.text()?);
    let deleted = tx.execute(DELETE, params![before, account, name, end.0, end.1.as_str()]).await?;
    Ok((deleted, Some(end)))
}

/// Ids grow with time, so the oldest messages are the first ones; no index on the time is needed. Those of
/// messages that the phone has given from before fall.
pub(crate) async fn messages(tx: &mut Tx, before: Timestamp) -> SqlResult<CleanupBatch> {
    const OLDEST: [&str; 2] = [
        "SELECT id, created_at FROM messages WHERE id > 0 ORDER BY id LIMIT $1",
        "SELECT id, created_at FROM messages WHERE id < 0 ORDER BY id DESC LIMIT $1",
    ];
    const DELETE: &str =
        "DELETE FROM messages WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
         RETURNING account_id, device_id, direction, state";
    let mut rows = Vec::new();
    for oldest in OLDEST {
        rows.extend(tx.query(oldest, params![BATCH_ROWS_MAX]).await?);
    }
    let rows = tx.readable("messages", rows, |row| Ok((row.int()?, row.time()?)));
    let is_old = |(_, created_at): &(i64, Timestamp)| *created_at < whole_millis(before);
    let old: Vec<i64> = rows.into_iter().filter(is_old).map(|(id, _)| id).collect();
    if old.is_empty() {
        return Ok(CleanupBatch::of(0));
    }
    let old = ids_json(old.into_iter())?;
    files::erase(tx, Erased::Messages(&old)).await?;
    let erased = tx.query(DELETE, params![&old]).await?;
    chats::forget(tx, &old).await?;
    let rows = u64::try_from(erased.len()).unwrap_or(u64::MAX);
    let mut counts = CountChanges::default();
    tx.readable("messages", erased, |row| counts.erased(row));
    counts.write(tx).await?;
    Ok(CleanupBatch::of(rows))
}
