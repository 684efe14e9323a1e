//! Looking at messages.
//!
//! The outbox is read before the history, so that a message that moves meanwhile is seen at least
//! once; where it is seen twice, the history's row counts.

use std::collections::BTreeMap;

use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{Direction, Message, MessageState};
use domain::ports::{MessageFilter, OutboxEntry, Page, PageRequest};
use jiff::Timestamp;

use super::{direction_name, history_columns, ids_json, messages_from, waiting_columns};
use crate::accounts::{bounds, page_of};
use crate::sql::{Row, SqlResult, Tx, params, to_json};

/// Rows of the outbox read at a time when it is loaded whole.
const OUTBOX_CHUNK_ROWS: i64 = 10_000;

pub(crate) async fn outbox(tx: &mut Tx) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str = "SELECT id, account_id, device_id, chat, whatsapp_id, priority, attempts,
        due_at, expires_at, retry_interval_s FROM outbox WHERE id > $1 ORDER BY id LIMIT $2";
    let mut entries = Vec::new();
    let mut last = i64::MIN;
    loop {
        let rows = tx.query(SELECT, params![last, OUTBOX_CHUNK_ROWS]).await?;
        if rows.is_empty() {
            return Ok(entries);
        }
        for row in rows {
            let entry = entry_from(row)?;
            last = entry.id.0;
            entries.push(entry);
        }
    }
}

fn entry_from(mut row: Row) -> SqlResult<OutboxEntry> {
    Ok(OutboxEntry {
        id: MessageId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: row.parsed(|text| text.parse::<DeviceId>().ok())?,
        chat: row.text()?,
        whatsapp_id: WhatsappId(row.text()?),
        priority: row.small()?,
        attempts: row.small()?,
        due_at: row.time()?,
        expires_at: row.opt_time()?,
        retry_interval_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()),
    })
}

pub(crate) async fn waiting_message(tx: &mut Tx, id: MessageId) -> SqlResult<Option<Message>> {
    const SELECT: &str = concat!("SELECT ", waiting_columns!(), " FROM outbox WHERE id = $1");
    Ok(messages_from(tx.query(SELECT, params![id.0]).await?)?.pop())
}

pub(crate) async fn message(
    tx: &mut Tx,
    account: AccountId,
    id: MessageId,
) -> SqlResult<Option<Message>> {
    let found = by_ids(tx, &[id]).await?.pop();
    Ok(found.filter(|message| message.account_id == account))
}

/// Messages as they are now, in the order of `ids`; those that are gone are left out.
pub(super) async fn by_ids(tx: &mut Tx, ids: &[MessageId]) -> SqlResult<Vec<Message>> {
    const WAITING: &str = concat!(
        "SELECT ",
        waiting_columns!(),
        " FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))"
    );
    const HISTORY: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))"
    );
    let json = ids_json(ids.iter().map(|id| id.0))?;
    let mut rows = tx.query(WAITING, params![&json]).await?;
    rows.append(&mut tx.query(HISTORY, params![&json]).await?);
    let mut found: BTreeMap<MessageId, Message> =
        messages_from(rows)?.into_iter().map(|message| (message.id, message)).collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// A filter as parameters.
struct Filter {
    before: i64,
    limit: i64,
    direction: &'static str,
    device: String,
    /// A JSON array of names; empty for all.
    states: String,
    now: Timestamp,
}

pub(crate) async fn messages(
    tx: &mut Tx,
    account: AccountId,
    filter: MessageFilter,
    page: PageRequest,
) -> SqlResult<Page<Message>> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let (before, limit) = bounds(page);
    let params = Filter {
        before,
        limit,
        direction: filter.direction.map_or("", direction_name),
        device: filter.device.map(|id| id.to_string()).unwrap_or_default(),
        states: to_json(&states)?,
        now: filter.now.unwrap_or(Timestamp::MIN),
    };
    let wants = |is_waiting: bool| {
        let matches = |state: &MessageState| state.is_waiting() == is_waiting;
        filter.states.is_empty() || filter.states.iter().any(matches)
    };
    let mut found = BTreeMap::new();
    if filter.direction != Some(Direction::In) && wants(true) {
        let rows = waiting_page(tx, account, &params).await?;
        found.extend(messages_from(rows)?.into_iter().map(|message| (message.id, message)));
    }
    if wants(false) {
        let rows = history_page(tx, account, &params).await?;
        found.extend(messages_from(rows)?.into_iter().map(|message| (message.id, message)));
    }
    Ok(page_of(found.into_values().rev().collect(), page.limit))
}

/// Without an index on the account, the outbox is read from its newest end. Knowing how many rows
/// the account has there ends that as soon as they are found, and at once when there are none.
async fn waiting_page(tx: &mut Tx, account: AccountId, filter: &Filter) -> SqlResult<Vec<Row>> {
    const COUNT: &str = "SELECT waiting FROM usage WHERE account_id = $1";
    const SELECT: &str = concat!(
        "SELECT ",
        waiting_columns!(),
        " FROM outbox WHERE account_id = $1 AND id < $2 AND ($3 = '' OR device_id = $3)
          AND ($4 = '[]' OR CASE WHEN state = 'scheduled' AND due_at <= $5 THEN 'queued'
               ELSE state END IN (SELECT value FROM json_rows($4)))
          ORDER BY id DESC LIMIT $6"
    );
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    let Filter { before, limit, device, states, now, .. } = filter;
    let limit = count.min(*limit);
    tx.query(SELECT, params![account.0, *before, device, states, *now, limit]).await
}

async fn history_page(tx: &mut Tx, account: AccountId, filter: &Filter) -> SqlResult<Vec<Row>> {
    const OF_ACCOUNT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE account_id = $1 AND id < $2 AND ($3 = '' OR direction = $3)
          AND ($4 = '[]' OR state IN (SELECT value FROM json_rows($4)))
          ORDER BY id DESC LIMIT $5"
    );
    // The sign keeps both databases from the account's index.
    const OF_DEVICE: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE +account_id = $1 AND id < $2 AND ($3 = '' OR direction = $3)
          AND ($4 = '[]' OR state IN (SELECT value FROM json_rows($4))) AND device_id = $6
          ORDER BY id DESC LIMIT $5"
    );
    let Filter { before, limit, direction, device, states, .. } = filter;
    let common = params![account.0, *before, *direction, states, *limit, device];
    if device.is_empty() {
        return tx.query(OF_ACCOUNT, &common[..5]).await;
    }
    tx.query(OF_DEVICE, common).await
}

pub(crate) async fn contacts(
    tx: &mut Tx,
    device: DeviceId,
    since: Timestamp,
) -> SqlResult<(Vec<String>, u32)> {
    const SELECT: &str = "SELECT chat, first_at FROM contacts WHERE device_id = $1";
    let rows = tx.query(SELECT, params![&device.to_string()]).await?;
    let mut chats = Vec::with_capacity(rows.len());
    let mut new = 0;
    for mut row in rows {
        chats.push(row.text()?);
        new += u32::from(row.time()?.as_millisecond() >= since.as_millisecond());
    }
    Ok((chats, new))
}
