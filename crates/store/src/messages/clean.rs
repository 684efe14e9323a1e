//! Deletes what is old, in batches that block no other request for long.

use jiff::Timestamp;

use super::accept::forgotten_before;
use super::counts::CountChanges;
use super::ids_json;
use crate::sql::{SqlResult, Tx, params, whole_millis};

/// Rows deleted in one transaction.
pub(crate) const BATCH_ROWS_MAX: i64 = 1_000;

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

pub(crate) async fn idempotency_keys(tx: &mut Tx, now: Timestamp) -> SqlResult<CleanupBatch> {
    const DELETE: &str = "DELETE FROM idempotency WHERE (account_id, name) IN
        (SELECT account_id, name FROM idempotency WHERE created_at <= $1
         ORDER BY created_at LIMIT $2)";
    let before = forgotten_before(now);
    Ok(CleanupBatch::of(tx.execute(DELETE, params![before, BATCH_ROWS_MAX]).await?))
}

/// Ids grow with time, so the oldest messages are the first ones; no index on the time is needed.
pub(crate) async fn messages(tx: &mut Tx, before: Timestamp) -> SqlResult<CleanupBatch> {
    const OLDEST: &str = "SELECT id, created_at FROM messages ORDER BY id LIMIT $1";
    const DELETE: &str =
        "DELETE FROM messages WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
         RETURNING account_id, device_id, direction, state";
    let rows = tx.query(OLDEST, params![BATCH_ROWS_MAX]).await?;
    let rows = tx.readable("messages", rows, |row| Ok((row.int()?, row.time()?)));
    let is_old = |(_, created_at): &(i64, Timestamp)| *created_at < whole_millis(before);
    let old: Vec<i64> = rows.into_iter().filter(is_old).map(|(id, _)| id).collect();
    if old.is_empty() {
        return Ok(CleanupBatch::of(0));
    }
    let erased = tx.query(DELETE, params![&ids_json(old.into_iter())?]).await?;
    let rows = u64::try_from(erased.len()).unwrap_or(u64::MAX);
    let mut counts = CountChanges::default();
    tx.readable("messages", erased, |row| counts.erased(row));
    counts.write(tx).await?;
    Ok(CleanupBatch::of(rows))
}
