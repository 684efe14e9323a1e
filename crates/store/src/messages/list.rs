//! Reading and listing messages.
//!
//! The outbox is read before the history, so that a message that moves meanwhile is seen at least
//! once; where it is seen twice, the history's row counts.

use std::collections::{BTreeMap, BTreeSet};

use domain::chat::ChatId;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{Direction, Message, MessageState};
use domain::ports::{CountedPage, MessageCounts, MessageFilter, OutboxEntry, Page, PageRequest};
use jiff::Timestamp;

use super::{history_columns, ids_json, message_from, waiting_columns};
use crate::accounts::page_of;
use crate::rows::{RowId, bounds};
use crate::sql::{Param, Row, SqlResult, Tx, params, to_json, whole_millis};

/// Rows of the outbox read at a time when much of it is loaded.
const OUTBOX_CHUNK_ROWS: i64 = 10_000;

macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, device_id, chat, whatsapp_id, priority, attempts, due_at,
             expires_at, retry_interval_s FROM outbox ",
            $rest
        )
    };
}

pub(crate) async fn outbox(tx: &mut Tx) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str = select_entries!("WHERE id > $1 ORDER BY id LIMIT $2");
    let mut entries = Vec::new();
    let mut last = i64::MIN;
    loop {
        let rows = tx.query(SELECT, params![last, OUTBOX_CHUNK_ROWS]).await?;
        let Some(RowId::Int(number)) = rows.last().map(Row::id) else { return Ok(entries) };
        last = number;
        entries.append(&mut tx.readable("outbox", rows, entry_from));
    }
}

pub(crate) async fn outbox_of(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str = select_entries!("WHERE account_id = $1 AND device_id = $2 ORDER BY id");
    let rows = tx.query(SELECT, params![account.0, &device.to_string()]).await?;
    Ok(tx.readable("outbox", rows, entry_from))
}

fn entry_from(row: &mut Row) -> SqlResult<OutboxEntry> {
    Ok(OutboxEntry {
        id: MessageId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: row.parsed(|text| text.parse::<DeviceId>().ok())?,
        chat: row.text()?.into(),
        whatsapp_id: WhatsappId(row.text()?),
        priority: row.small()?,
        attempts: row.small()?,
        due_at: row.time()?,
        expires_at: row.opt_time()?,
        retry_interval_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()),
    })
}

/// For the queues: a message that cannot be read counts as gone, so that the others go on.
pub(crate) async fn waiting_message(tx: &mut Tx, id: MessageId) -> SqlResult<Option<Message>> {
    const SELECT: &str = concat!("SELECT ", waiting_columns!(), " FROM outbox WHERE id = $1");
    let rows = tx.query(SELECT, params![id.0]).await?;
    Ok(tx.readable("outbox", rows, message_from).pop())
}

pub(crate) async fn message(
    tx: &mut Tx,
    account: AccountId,
    id: MessageId,
) -> SqlResult<Option<Message>> {
    let found = rows_by_ids(tx, &[id]).await?.pop();
    let found = found.map(|(table, row)| tx.single(table, Some(row), message_from)).transpose()?;
    Ok(found.flatten().filter(|message| message.account_id == account))
}

/// Messages as they are now, in the order of `ids`; those that are gone are left out.
pub(super) async fn by_ids(tx: &mut Tx, ids: &[MessageId]) -> SqlResult<Vec<Message>> {
    let mut found = BTreeMap::new();
    for (table, row) in rows_by_ids(tx, ids).await? {
        for message in tx.readable(table, vec![row], message_from) {
            found.insert(message.id, message);
        }
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// The rows of messages with their tables; where one has just moved, the history's comes last.
async fn rows_by_ids(tx: &mut Tx, ids: &[MessageId]) -> SqlResult<Vec<(&'static str, Row)>> {
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
    let waiting = tx.query(WAITING, params![&json]).await?;
    let history = tx.query(HISTORY, params![&json]).await?;
    let waiting = waiting.into_iter().map(|row| ("outbox", row));
    Ok(waiting.chain(history.into_iter().map(|row| ("messages", row))).collect())
}

/// The file that came with a waiting message.
pub(crate) async fn inline_media(tx: &mut Tx, id: MessageId) -> SqlResult<Option<Vec<u8>>> {
    const SELECT: &str = "SELECT bytes FROM inline_media WHERE message_id = $1";
    tx.query_one(SELECT, params![id.0]).await?.map(|mut row| row.blob()).transpose()
}

/// A filter as parameters.
struct Filter {
    account: i64,
    direction: &'static str,
    device: String,
    /// A JSON array of names; empty for all.
    states: String,
    now: Timestamp,
    chat: String,
    since: Timestamp,
    until: Timestamp,
    is_scheduled: bool,
    /// Whether a waiting message, and whether any other one, may be wanted at all.
    wants: (bool, bool),
}

impl Filter {
    fn of(account: AccountId, filter: MessageFilter) -> SqlResult<Self> {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let wants = |is_waiting: bool| {
            let matches = |state: &MessageState| state.is_waiting() == is_waiting;
            filter.states.is_empty() || filter.states.iter().any(matches)
        };
        Ok(Self {
            account: account.0,
            direction: filter.direction.map_or("", Direction::as_str),
            device: filter.device.map(|id| id.to_string()).unwrap_or_default(),
            states: to_json(&states)?,
            now: filter.now.unwrap_or(Timestamp::MIN),
            wants: (filter.direction != Some(Direction::In) && wants(true), wants(false)),
            chat: filter.chat.map(|chat| chat.to_string()).unwrap_or_default(),
            since: filter.since.map_or(Timestamp::MIN, whole_millis),
            until: filter.until.map_or(Timestamp::MAX, whole_millis),
            is_scheduled: filter.is_scheduled,
        })
    }

    /// The parameters `$1` to `$9` of [`matching`].
    fn params(&self) -> [Param<'_>; 9] {
        let Self {
            account, direction, device, states, now, chat, since, until, is_scheduled, ..
        } = self;
        [
            (*account).into(),
            (*direction).into(),
            device.into(),
            states.into(),
            (*now).into(),
            chat.into(),
            (*since).into(),
            (*until).into(),
            (*is_scheduled).into(),
        ]
    }

    /// The same, and more.
    fn params_and<'a>(&'a self, more: &[Param<'a>]) -> Vec<Param<'a>> {
        [&self.params(), more].concat()
    }
}

/// What is the same about rows of both tables that a [`Filter`] wants.
macro_rules! matching {
    () => {
        " AND ($4 = '[]' OR CASE WHEN state = 'scheduled' AND due_at <= $5 THEN 'queued'
               ELSE state END IN (SELECT value FROM json_rows($4)))
          AND ($6 = '' OR chat = $6) AND created_at >= $7 AND created_at < $8"
    };
}

/// Selects from the outbox what a [`Filter`] wants. Without an index on the account, SQLite reads
/// it whole; not so for an account that has nothing there.
macro_rules! select_waiting {
    ($columns:expr, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM outbox WHERE (SELECT waiting FROM usage WHERE account_id = $1) > 0
              AND account_id = $1 AND ($2 = '' OR 'out' = $2) AND ($3 = '' OR device_id = $3)
              AND ($9 = 0 OR is_scheduled = 1)",
            matching!(),
            $rest
        )
    };
}

/// Selects from the history what a [`Filter`] wants: one text for each index. The sign keeps both
/// databases from the account's.
macro_rules! select_history {
    ($filter:expr, $columns:expr, $rest:literal) => {
        if $filter.is_scheduled {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE account_id = $1 AND is_scheduled = 1 AND $9 = 1
                  AND ($2 = '' OR direction = $2) AND ($3 = '' OR device_id = $3)",
                matching!(),
                $rest
            )
        } else if $filter.device.is_empty() {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE account_id = $1 AND $9 = 0
                  AND ($2 = '' OR direction = $2) AND $3 = ''",
                matching!(),
                $rest
            )
        } else {
            concat!(
                "SELECT ",
                $columns,
                " FROM messages WHERE +account_id = $1 AND $9 = 0
                  AND ($2 = '' OR direction = $2) AND device_id = $3",
                matching!(),
                $rest
            )
        }
    };
}

pub(crate) async fn messages(
    tx: &mut Tx,
    account: AccountId,
    filter: MessageFilter,
    page: PageRequest,
) -> SqlResult<Page<Message>> {
    let filter = Filter::of(account, filter)?;
    let mut found = BTreeMap::new();
    if filter.wants.0 {
        let messages = waiting_page(tx, account, &filter, page).await?;
        found.extend(messages.into_iter().map(|message| (message.id, message)));
    }
    if filter.wants.1 {
        let sql =
            select_history!(filter, history_columns!(), " AND id < $10 ORDER BY id DESC LIMIT $11");
        let values = |before, limit| filter.params_and(params![before, limit]);
        let messages = tx.fill("messages", sql, bounds(page), values, message_from).await?;
        found.extend(messages.into_iter().map(|message| (message.id, message)));
    }
    Ok(page_of(found.into_values().rev().collect(), page.limit))
}

/// SQLite reads the outbox from its newest end. Knowing how many rows the account has there ends
/// that as soon as they are found.
async fn waiting_page(
    tx: &mut Tx,
    account: AccountId,
    filter: &Filter,
    page: PageRequest,
) -> SqlResult<Vec<Message>> {
    const COUNT: &str = "SELECT waiting FROM usage WHERE account_id = $1";
    const SELECT: &str =
        select_waiting!(waiting_columns!(), " AND id < $10 ORDER BY id DESC LIMIT $11");
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    let values = |before, limit: i64| filter.params_and(params![before, count.min(limit)]);
    tx.fill("outbox", SELECT, bounds(page), values, message_from).await
}

/// The rows of a page are found by their ids, the outbox's before the history's: those that wait
/// are as a rule few, and are all read.
pub(crate) async fn counted_messages(
    tx: &mut Tx,
    account: AccountId,
    filter: MessageFilter,
    offset: u32,
    limit: u32,
) -> SqlResult<CountedPage<Message>> {
    const WAITING: &str = select_waiting!("id", "");
    let filter = Filter::of(account, filter)?;
    let mut ids = BTreeSet::new();
    if filter.wants.0 {
        ids.extend(int_column(tx.query(WAITING, &filter.params()).await?)?);
    }
    let mut total = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    if filter.wants.1 {
        let count = select_history!(filter, "count(*)", "");
        let row = tx.query_one(count, &filter.params()).await?;
        total += row.map(|mut row| row.int()).transpose()?.unwrap_or(0);
        let sql = select_history!(filter, "id", " ORDER BY id DESC LIMIT $10");
        let wanted = i64::from(offset) + i64::from(limit);
        let rows = tx.query(sql, &filter.params_and(params![wanted])).await?;
        for id in int_column(rows)? {
            // One that has moved meanwhile was counted twice.
            total -= i64::from(!ids.insert(id));
        }
    }
    let [offset, limit] = [offset, limit].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let page: Vec<MessageId> =
        ids.into_iter().rev().skip(offset).take(limit).map(MessageId).collect();
    Ok(CountedPage { items: by_ids(tx, &page).await?, total })
}

fn int_column(rows: Vec<Row>) -> SqlResult<Vec<i64>> {
    rows.into_iter().map(|mut row| row.int()).collect()
}

pub(crate) async fn message_counts(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    since: Timestamp,
) -> SqlResult<MessageCounts> {
    const COUNT: &str = "SELECT state, count(*), count(CASE WHEN created_at >= $3 THEN 1 END)
        FROM messages WHERE device_id = $1 AND +account_id = $2 AND direction = 'out'
        GROUP BY state";
    use MessageState::{Delivered, Played, Read, Sent};
    let mut counts = MessageCounts::default();
    let rows = tx.query(COUNT, params![&device.to_string(), account.0, since]).await?;
    let count = |row: &mut Row| Ok((row.parsed(MessageState::from_name)?, row.int()?, row.int()?));
    for (state, all, new) in tx.readable("messages", rows, count) {
        if matches!(state, Sent | Delivered | Read | Played) {
            counts.sent += all;
            counts.sent_since += new;
        } else {
            counts.failed += all;
        }
    }
    Ok(counts)
}

pub(crate) async fn contacts(
    tx: &mut Tx,
    device: DeviceId,
    since: Timestamp,
) -> SqlResult<(Vec<ChatId>, u32)> {
    const SELECT: &str = "SELECT device_id, chat, first_at FROM contacts WHERE device_id = $1";
    let rows = tx.query(SELECT, params![&device.to_string()]).await?;
    let contact = |row: &mut Row| row.text().and_then(|_| Ok((row.text()?.into(), row.time()?)));
    let contacts = tx.readable("contacts", rows, contact);
    let is_new = |at: Timestamp| at.as_millisecond() >= since.as_millisecond();
    let new = contacts.iter().filter(|(_, at)| is_new(*at)).count();
    let chats = contacts.into_iter().map(|(chat, _)| chat).collect();
    Ok((chats, u32::try_from(new).unwrap_or(u32::MAX)))
}
