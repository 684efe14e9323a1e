//! Deletes what is old, in batches that block no other request for long.

use domain::ids::{AccountId, MessageId};
use domain::ports::OldMessage;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::counts::CountChanges;
use super::idempotency::forgotten_before;
use super::{chats, common_columns, history_columns, ids_json};
use crate::files::{self, Erased};
use crate::sql::{Cell, Row, SqlResult, Tx, Type, params, to_json, whole_millis};

/// Rows deleted in one transaction.
pub(crate) const BATCH_ROWS_MAX: i64 = 1_000;
/// Bytes of messages that are archived at a time.
const BATCH_BYTES_MAX: usize = 4 << 20;
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
async fn oldest(tx: &mut Tx, before: Timestamp) -> SqlResult<Vec<i64>> {
    const OLDEST: [&str; 2] = [
        "SELECT id, created_at FROM messages WHERE id > 0 ORDER BY id LIMIT $1",
        "SELECT id, created_at FROM messages WHERE id < 0 ORDER BY id DESC LIMIT $1",
    ];
    let mut rows = Vec::new();
    for oldest in OLDEST {
        rows.extend(tx.query(oldest, params![BATCH_ROWS_MAX]).await?);
    }
    let rows = tx.readable("messages", rows, |row| Ok((row.int()?, row.time()?)));
    let is_old = |(_, created_at): &(i64, Timestamp)| *created_at < whole_millis(before);
    Ok(rows.into_iter().filter(is_old).map(|(id, _)| id).collect())
}

/// Deletes a batch of old messages.
pub(crate) async fn messages(tx: &mut Tx, before: Timestamp) -> SqlResult<CleanupBatch> {
    let old = oldest(tx, before).await?;
    delete(tx, old).await.map(CleanupBatch::of)
}

/// Deletes these messages; how many there were.
pub(crate) async fn delete(tx: &mut Tx, ids: Vec<i64>) -> SqlResult<u64> {
    const DELETE: &str =
        "DELETE FROM messages WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
         RETURNING account_id, device_id, direction, state";
    if ids.is_empty() {
        return Ok(0);
    }
    let ids = ids_json(ids.into_iter())?;
    files::erase(tx, Erased::Messages(&ids)).await?;
    let erased = tx.query(DELETE, params![&ids]).await?;
    chats::forget(tx, &ids).await?;
    let rows = u64::try_from(erased.len()).unwrap_or(u64::MAX);
    let mut counts = CountChanges::default();
    tx.readable("messages", erased, |row| counts.erased(row));
    counts.write(tx).await?;
    Ok(rows)
}

/// A batch of old messages as they are stored, for the archive.
pub(crate) async fn old_messages(tx: &mut Tx, before: Timestamp) -> SqlResult<Vec<OldMessage>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)) ORDER BY id"
    );
    let old = ids_json(oldest(tx, before).await?.into_iter())?;
    let found = tx.query_within(SELECT, params![&old], BATCH_BYTES_MAX).await?;
    found.rows.into_iter().map(archived).collect()
}

/// The columns of [`history_columns`].
const COLUMNS: &[(&str, Type)] =
    common_columns!(typed(("direction", Type::Text), ("sender", Type::Text)));

/// A row as an object of its columns: nothing is understood, so that one that cannot be read is kept as well.
fn archived(row: Row) -> SqlResult<OldMessage> {
    let (mut id, mut account, mut created_at) = (0, 0, Timestamp::UNIX_EPOCH);
    let mut object = Map::new();
    for (&(name, _), cell) in COLUMNS.iter().zip(row.into_cells()) {
        match (name, &cell) {
            ("id", Cell::Int(value)) => id = *value,
            ("account_id", Cell::Int(value)) => account = *value,
            ("created_at", Cell::Int(value)) => {
                created_at = Timestamp::from_millisecond(*value).unwrap_or_default();
            }
            _ => {}
        }
        object.insert(name.to_owned(), value_of(name, cell));
    }
    let (id, account) = (MessageId(id), AccountId(account));
    Ok(OldMessage { id, account, created_at, line: to_json(&object)? })
}

fn value_of(name: &str, cell: Cell) -> Value {
    let time =
        |ms: i64| Timestamp::from_millisecond(ms).map_or(ms.into(), |at| at.to_string().into());
    match (name, cell) {
        ("created_at" | "due_at" | "expires_at", Cell::Int(ms)) => time(ms),
        ("typing" | "is_scheduled", Cell::Int(flag)) => (flag != 0).into(),
        (_, Cell::Int(number)) => number.into(),
        ("media" | "failure" | "history" | "sender", Cell::Text(text)) => {
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        }
        (_, Cell::Text(text)) => text.into(),
        // No column of the table has bytes.
        (_, Cell::Null | Cell::Blob(_) | Cell::Other) => Value::Null,
    }
}
