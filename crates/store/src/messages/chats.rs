//! The chats of devices, kept with their messages, so that a list of them reads no other ones.

use std::collections::{BTreeMap, HashSet};

use domain::call::CallReport;
use domain::chat::{Chat, ChatFacts, ChatId};
use domain::group::GroupReport;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Direction, Message, MessageEvent, whole_millis};
use domain::ports::{ChatFilter, Page, PageRequest};
use domain::webhook::Event;
use jiff::Timestamp;

use super::counts::CountChanges;
use super::find::{WHOLE, rows_by_ids};
use super::{history_columns, ids_json, message_from};
use crate::accounts::page_of;
use crate::rows::bounds;
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params};
use crate::{deliveries, devices, fence, files, stored};

/// What new messages change about a chat.
struct Touched {
    account: AccountId,
    last: MessageId,
    unread: i64,
    name: Option<String>,
}

/// Takes note of messages that have come into the history.
pub(super) async fn touch(tx: &mut Tx, messages: &[&Message], new: &[MessageId]) -> SqlResult<()> {
    const PUT: InsertRows = InsertRows {
        table: "chats",
        columns: &[
            ("device_id", Type::Text),
            ("chat", Type::Text),
            ("account_id", Type::Int),
            ("name", Type::Text),
            ("last_message_id", Type::Int),
            ("unread", Type::Int),
        ],
        then: "ON CONFLICT (device_id, chat) DO UPDATE
            SET name = COALESCE(excluded.name, chats.name), unread = chats.unread + excluded.unread,
                last_message_id = CASE WHEN excluded.last_message_id > chats.last_message_id
                    THEN excluded.last_message_id ELSE chats.last_message_id END",
    };
    let new: HashSet<MessageId> = new.iter().copied().collect();
    let is_shown = |message: &&&Message| new.contains(&message.id) && !message.content.is_change();
    // In order, so that no two transactions wait for each other.
    let mut touched: BTreeMap<(String, String), Touched> = BTreeMap::new();
    for message in messages.iter().filter(is_shown) {
        let is_in = message.direction() == Direction::In;
        // Names of old are no news.
        let name = message.context.sender_name.clone().filter(|_| message.id.0 > 0);
        let key = (message.device_id.to_string(), message.chat.to_string());
        let (account, last) = (message.account_id, message.id);
        let chat = touched.entry(key).or_insert(Touched { account, last, unread: 0, name: None });
        chat.last = chat.last.max(last);
        chat.unread += i64::from(message.is_unread());
        chat.name = name.filter(|_| is_in && !message.chat.is_group()).or(chat.name.take());
    }
    let rows: Vec<Vec<Param<'_>>> = touched
        .iter()
        .map(|((device, chat), touched)| {
            vec![
                device.into(),
                chat.into(),
                touched.account.0.into(),
                (&touched.name).into(),
                touched.last.0.into(),
                touched.unread.into(),
            ]
        })
        .collect();
    tx.insert(&PUT, &rows).await.map(drop)
}

pub(crate) async fn chats(
    tx: &mut Tx,
    account: AccountId,
    filter: ChatFilter,
    page: PageRequest,
) -> SqlResult<Page<Chat>> {
    const SELECT: &str =
        "SELECT last_message_id, account_id, device_id, chat, name, unread, ephemeral_s, can_send FROM chats
        WHERE account_id = $1 AND ($2 = '' OR device_id = $2) AND last_message_id < $3
        AND ($5 = '' OR chat = $5) AND ($6 = 0 OR unread > 0)
        AND ($7 = '' OR LOWER(name) LIKE $7 ESCAPE '!' OR chat LIKE $7 ESCAPE '!')
        ORDER BY last_message_id DESC LIMIT $4";
    let device = filter.device.map(|id| id.to_string()).unwrap_or_default();
    let chat = filter.chat.map(|chat| chat.to_string()).unwrap_or_default();
    let (is_unread, search) = (i64::from(filter.is_unread), pattern(&filter.search));
    let values = |before: i64, limit: i64| {
        params![account.0, &device, before, limit, &chat, is_unread, &search].to_vec()
    };
    let chats = tx.fill("chats", SELECT, bounds(page), values, chat_from).await?;
    let mut page = page_of(chats, page.limit);
    let ids: Vec<MessageId> = page.items.iter().map(|chat| chat.last_message_id).collect();
    let mut last = BTreeMap::new();
    for (table, row) in rows_by_ids(tx, WHOLE, &ids, domain::ports::PAGE_BYTES_MAX).await?.0 {
        let mut found = tx.readable(table, vec![row], message_from);
        files::overlay(tx, &mut found).await?;
        last.extend(found.into_iter().map(|message| (message.id, message)));
    }
    for chat in &mut page.items {
        chat.last = last.remove(&chat.last_message_id);
    }
    Ok(page)
}

/// What contains a text, for `LIKE`; empty for an empty one. A number is found as people write it.
fn pattern(search: &str) -> String {
    let search = search.trim().trim_start_matches('+').to_lowercase();
    if search.is_empty() {
        return search;
    }
    let escaped = search.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

fn chat_from(row: &mut Row) -> SqlResult<Chat> {
    Ok(Chat {
        last_message_id: MessageId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: row.parsed(|text| text.parse().ok())?,
        chat: ChatId::from(row.text()?),
        name: row.opt_text()?,
        unread: row.int()?,
        ephemeral_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()).unwrap_or_default(),
        can_send: row.opt_int()?.map(|can| can != 0),
        last: None,
    })
}

/// Messages that came in were read here; as they are now, those that had not been.
pub(crate) async fn mark_read(
    tx: &mut Tx,
    account: AccountId,
    ids: Vec<MessageId>,
    at: Timestamp,
) -> SqlResult<Vec<Message>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE account_id = $1 AND direction = 'in'
          AND id IN (SELECT CAST(value AS BIGINT) FROM json_rows($2)) ORDER BY id FOR UPDATE"
    );
    const UPDATE: &str = "UPDATE messages SET state = $2, history = $3 WHERE id = $1";
    const READ: &str = "UPDATE chats SET unread = CASE WHEN unread > $3 THEN unread - $3 ELSE 0 END
        WHERE device_id = $1 AND chat = $2";
    let ids = ids_json(ids.iter().map(|id| id.0))?;
    let rows = tx.query(SELECT, params![account.0, &ids]).await?;
    let mut read = tx.readable("messages", rows, message_from);
    let mut counts = CountChanges::default();
    let mut chats: BTreeMap<(String, String), i64> = BTreeMap::new();
    read.retain_mut(|message| {
        if message.is_unread() {
            let chat = (message.device_id.to_string(), message.chat.to_string());
            *chats.entry(chat).or_default() += 1;
        }
        counts.add(message, -1);
        let has_changed = message.apply(MessageEvent::Read, whole_millis(at), None);
        counts.add(message, 1);
        has_changed
    });
    for message in &read {
        let history = stored::history::write(&message.history)?;
        tx.execute(UPDATE, params![message.id.0, message.state.as_str(), &history]).await?;
    }
    for ((device, chat), count) in &chats {
        tx.execute(READ, params![device, chat, *count]).await?;
    }
    counts.write(tx).await?;
    files::overlay(tx, &mut read).await?;
    Ok(read)
}

/// A person's chat goes by another name.
pub(super) async fn rename(tx: &mut Tx, device: &str, from: &str, to: &str) -> SqlResult<()> {
    const COPY: &str = "INSERT INTO chats
            (device_id, chat, account_id, name, last_message_id, unread, ephemeral_s)
        SELECT device_id, CAST($3 AS TEXT), account_id, name, last_message_id, unread, ephemeral_s
        FROM chats WHERE device_id = $1 AND chat = $2
        ON CONFLICT (device_id, chat) DO UPDATE
        SET name = COALESCE(chats.name, excluded.name), unread = chats.unread + excluded.unread,
            ephemeral_s = COALESCE(chats.ephemeral_s, excluded.ephemeral_s),
            last_message_id = CASE WHEN excluded.last_message_id > chats.last_message_id
                THEN excluded.last_message_id ELSE chats.last_message_id END";
    const DELETE: &str = "DELETE FROM chats WHERE device_id = $1 AND chat = $2";
    tx.execute(COPY, params![device, from, to]).await?;
    tx.execute(DELETE, params![device, from]).await.map(drop)
}

/// Forgets chats of which no message is left: these have been erased.
pub(super) async fn forget(tx: &mut Tx, erased: &str) -> SqlResult<()> {
    const DELETE: &str = "DELETE FROM chats WHERE last_message_id IN
        (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    tx.execute(DELETE, params![erased]).await.map(drop)
}

/// Emits that a call came in.
pub(crate) async fn report_call(
    tx: &mut Tx,
    device: DeviceId,
    call: CallReport,
) -> SqlResult<Vec<Event>> {
    fence::check(tx, [device]).await?;
    let devices = devices::by_ids(tx, &[device].into()).await?;
    let events: Vec<Event> =
        devices.get(&device).map(|device| Event::of_call(call, device)).into_iter().collect();
    deliveries::enqueue(tx, &events.iter().collect::<Vec<_>>()).await?;
    Ok(events)
}

/// Keeps what is known of a chat; false when there is no such chat.
pub(crate) async fn describe(
    tx: &mut Tx,
    device: DeviceId,
    chat: ChatId,
    facts: ChatFacts,
) -> SqlResult<bool> {
    const UPDATE: &str = "UPDATE chats SET name = COALESCE($3, name),
            ephemeral_s = COALESCE($4, ephemeral_s), can_send = COALESCE($5, can_send)
        WHERE device_id = $1 AND chat = $2";
    fence::check(tx, [device]).await?;
    let (device, chat) = (device.to_string(), chat.cleaned().to_string());
    let (seconds, can_send) = (facts.ephemeral_s.map(i64::from), facts.can_send.map(i64::from));
    let values = params![&device, &chat, &facts.name, seconds, can_send];
    Ok(tx.execute(UPDATE, values).await? > 0)
}

pub(crate) async fn is_described(
    tx: &mut Tx,
    device: DeviceId,
    chat: ChatId,
) -> SqlResult<Option<bool>> {
    const SELECT: &str = "SELECT can_send FROM chats WHERE device_id = $1 AND chat = $2";
    let (device, chat) = (device.to_string(), chat.to_string());
    let row = tx.query_one(SELECT, params![&device, &chat]).await?;
    row.map(|mut row| Ok(row.opt_int()?.is_some())).transpose()
}

/// Emits that a group has changed, and keeps what of it belongs to its chat.
pub(crate) async fn report_group(
    tx: &mut Tx,
    device: DeviceId,
    mut report: GroupReport,
) -> SqlResult<Vec<Event>> {
    report.clean();
    fence::check(tx, [device]).await?;
    let devices = devices::by_ids(tx, &[device].into()).await?;
    let Some(owner) = devices.get(&device) else { return Ok(Vec::new()) };
    let facts = report.facts(&owner.address());
    if facts != ChatFacts::default() {
        describe(tx, device, ChatId::Group(report.group.clone()), facts).await?;
    }
    let events = vec![Event::of_group(report, owner)];
    deliveries::enqueue(tx, &events.iter().collect::<Vec<_>>()).await?;
    Ok(events)
}
