//! Changes of messages: attempts, acknowledgements, ends, receipts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::content::Content;
use domain::context::Context;
use domain::device::Device;
use domain::ids::{AccountId, DeviceId, GrantId, MessageId, WhatsappId};
use domain::message::{Message, MessageEvent, MessageState, Origin, Receipt};
use domain::policy::queue::QueueSize;
use domain::policy::quota::{Period, QuotaKind, QuotaReceipt};
use domain::ports::{OutboxEntry, Progress, Recorded};
use domain::webhook::{Event, EventDevice};
use jiff::Timestamp;

use super::accept::{AccountStates, account_rows, account_states_from, usage_columns};
use super::amend;
use super::counts::CountChanges;
use super::identities::name_by_number;
use super::outbox::entry_from;
use super::{
    Charged, Waiting, WaitingRows, content_from, history_columns, ids_json, insert_history,
    message_from, waiting_columns,
};
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params, to_json, whole_millis};
use crate::{deliveries, devices, fence, grants, stored};

/// Records what happened to waiting messages of devices that this process runs, for many callers at once.
pub(crate) async fn record_group(
    tx: &mut Tx,
    group: &[Vec<Progress>],
) -> SqlResult<Vec<Vec<Recorded>>> {
    record_by(tx, group, Recorder::Owner).await
}

/// Who records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorder {
    /// The node that runs the devices.
    Owner,
    /// Any node: about messages that no queue has.
    Any,
}

async fn record_by(
    tx: &mut Tx,
    group: &[Vec<Progress>],
    recorder: Recorder,
) -> SqlResult<Vec<Vec<Recorded>>> {
    let ids: BTreeSet<i64> = group.iter().flatten().map(|progress| progress.id.0).collect();
    let ids = ids_json(ids.into_iter())?;
    let mut account_states = lock_accounts_of(tx, &ids).await?;
    let mut waiting = load_waiting(tx, &ids).await?;
    let ends = |progress: &&Progress| {
        matches!(progress.steps.first(), Some((MessageEvent::Withdrawn | MessageEvent::Expired, _)))
    };
    let ended = group.iter().flatten().filter(ends).map(|progress| progress.id);
    let unread: Vec<MessageId> = ended.filter(|id| !waiting.contains_key(id)).collect();
    if !unread.is_empty() {
        waiting.extend(load_unreadable(tx, &unread).await?);
    }
    let devices: BTreeSet<DeviceId> = waiting.values().map(|row| row.message.device_id).collect();
    if recorder == Recorder::Owner {
        fence::check(tx, devices.iter().copied()).await?;
    }
    name_by_number(tx, waiting.values_mut().map(|row| &mut row.message)).await?;
    let devices = devices::by_ids(tx, &devices).await?;
    let mut answers = Vec::with_capacity(group.len());
    for request in group {
        let mut recorded = Vec::with_capacity(request.len());
        for progress in request {
            let row = waiting.get_mut(&progress.id);
            let Some(Waiting { message, .. }) = row.filter(|row| row.message.state.is_waiting())
            else {
                continue;
            };
            let since = message.history.len();
            progress.apply_to(message);
            recorded.push(recorded_since(message.clone(), &devices, since));
        }
        answers.push(recorded);
    }
    settle(tx, waiting.into_values().collect(), &mut account_states).await?;
    for recorded in &mut answers {
        let mut changes: Vec<_> = recorded.iter().filter_map(amend::sent).collect();
        // Votes may come before it is recorded that their poll was sent.
        let is_poll = |message: &&Message| message.content.poll().is_some();
        let sent = recorded.iter().map(|one| &one.message).filter(is_poll);
        let polls: Vec<&Message> = sent.filter(|poll| !poll.state.is_waiting()).collect();
        changes.extend(amend::take_early(tx, &polls).await?);
        recorded.extend(amend::apply(tx, &changes, &devices).await?);
    }
    if account_states.values().any(|state| state.has_webhooks) {
        enqueue_events(tx, &answers).await?;
    }
    Ok(answers)
}

/// A message with the events of its history from index `since` on.
pub(super) fn recorded_since(
    message: Message,
    devices: &HashMap<DeviceId, Device>,
    since: usize,
) -> Recorded {
    let device = devices.get(&message.device_id).map(EventDevice::from);
    let events = device.map(|device| Event::of_message(&message, &device, since));
    Recorded { message, events: events.unwrap_or_default(), is_new: false }
}

/// Puts the events of changes into the outbox of webhooks.
pub(super) async fn enqueue_events(tx: &mut Tx, answers: &[Vec<Recorded>]) -> SqlResult<()> {
    let events: Vec<&Event> =
        answers.iter().flatten().flat_map(|recorded| &recorded.events).collect();
    deliveries::enqueue(tx, &events).await
}

/// Ends every waiting message of a device whose account is under lock, and returns them.
pub(crate) async fn end_all(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    event: MessageEvent,
    at: Timestamp,
) -> SqlResult<Vec<Recorded>> {
    const SELECT: &str =
        "SELECT id FROM outbox WHERE account_id = $1 AND device_id = $2 ORDER BY id";
    let rows = tx.query(SELECT, params![account.0, &device.to_string()]).await?;
    let ids = rows.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    let ended = record_by(tx, &[ends(ids, event, at)], Recorder::Any).await?;
    Ok(ended.into_iter().flatten().collect())
}

fn ends(ids: Vec<i64>, event: MessageEvent, at: Timestamp) -> Vec<Progress> {
    let progress = |id| Progress {
        id: MessageId(id),
        steps: vec![(event, at)],
        failure: None,
        next_attempt_at: None,
        file: None,
    };
    ids.into_iter().map(progress).collect()
}

/// Cancels a waiting message of an account, and of a device where one is given, that may be
/// unreadable; `None` when it does not wait.
pub(crate) async fn cancel_unreadable(
    tx: &mut Tx,
    account: AccountId,
    device: Option<DeviceId>,
    id: MessageId,
    now: Timestamp,
) -> SqlResult<Option<Recorded>> {
    const SELECT: &str = "SELECT id FROM outbox
        WHERE id = $1 AND account_id = $2 AND ($3 = '' OR device_id = $3)";
    let device = device.map(|id| id.to_string()).unwrap_or_default();
    if tx.query_one(SELECT, params![id.0, account.0, &device]).await?.is_none() {
        return Ok(None);
    }
    let cancelled = ends(vec![id.0], MessageEvent::Withdrawn, whole_millis(now));
    let mut recorded = record_by(tx, &[cancelled], Recorder::Any).await?;
    Ok(recorded.pop().and_then(|mut of_request| of_request.pop()))
}

/// Expires the waiting messages that were reported as unreadable and are due to: the queues have
/// dropped them. Returns how many.
pub(crate) async fn expire_unreadable(tx: &mut Tx, now: Timestamp) -> SqlResult<u64> {
    const SELECT: &str = "SELECT id FROM outbox WHERE expires_at <= $2
        AND id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)) ORDER BY id";
    let reported = tx.unreadable.numbers("outbox");
    if reported.is_empty() {
        return Ok(0);
    }
    let rows = tx.query(SELECT, params![&to_json(&reported)?, now]).await?;
    let ids = rows.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    let expired = [ends(ids, MessageEvent::Expired, whole_millis(now))];
    let expired = record_by(tx, &expired, Recorder::Any).await?;
    Ok(expired.iter().flatten().count() as u64)
}

/// Erases the messages of a device under deletion that [`end_all`] could not read.
pub(crate) async fn erase_unreadable(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
) -> SqlResult<()> {
    const FILES: &str = "DELETE FROM inline_media WHERE message_id IN
        (SELECT id FROM outbox WHERE account_id = $1 AND device_id = $2)
        RETURNING message_id, CAST(COALESCE(size, octet_length(bytes)) AS BIGINT)";
    const MESSAGES: &str = "DELETE FROM outbox WHERE account_id = $1 AND device_id = $2
        RETURNING id, CAST(octet_length(text) AS BIGINT)";
    const COUNT: &str = "UPDATE usage SET waiting = waiting - $2, text_bytes = text_bytes - $3,
        file_bytes = file_bytes - $4 WHERE account_id = $1";
    let device_text = device.to_string();
    let files = sizes(tx.query(FILES, params![account.0, &device_text]).await?)?;
    let erased = sizes(tx.query(MESSAGES, params![account.0, &device_text]).await?)?;
    if erased.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(erased.len()).unwrap_or(i64::MAX);
    let owner = account.0;
    tracing::warn!(account = owner, %device, count, "waiting messages that cannot be read are erased");
    let (text_bytes, file_bytes): (i64, i64) = (erased.values().sum(), files.values().sum());
    tx.execute(COUNT, params![owner, count, text_bytes, file_bytes]).await?;
    let mut changes = CountChanges::default();
    changes.add_waiting(account, device, -count);
    changes.write(tx).await
}

/// Reads ids with a number of bytes each.
fn sizes(rows: Vec<Row>) -> SqlResult<BTreeMap<MessageId, i64>> {
    rows.into_iter().map(|mut row| Ok((MessageId(row.int()?), row.int()?))).collect()
}

/// Locks the accounts of messages, in order. No other transaction changes these messages from then
/// on.
async fn lock_accounts_of(tx: &mut Tx, ids: &str) -> SqlResult<AccountStates> {
    const SELECT: &str = concat!(
        "SELECT ",
        usage_columns!(),
        " FROM usage WHERE account_id IN (SELECT account_id FROM outbox
            WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)))
          ORDER BY account_id FOR UPDATE"
    );
    let rows = tx.query(SELECT, params![ids]).await?;
    Ok(account_states_from(tx, rows))
}

async fn load_waiting(tx: &mut Tx, ids: &str) -> SqlResult<HashMap<MessageId, Waiting>> {
    const SELECT: &str = concat!(
        "SELECT ",
        waiting_columns!(),
        ", day, month, grant_id, CAST(octet_length(text) AS BIGINT) FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))"
    );
    let waiting = |row: &mut Row| {
        let message = message_from(row)?;
        let period = Period { day: row.int()?, month: row.int()? };
        let charged = Charged { period, grant: row.opt_int()?.map(GrantId) };
        let text_bytes = row.int()?;
        Ok((message.id, Waiting { message, charged, text_bytes }))
    };
    let rows = tx.query(SELECT, params![ids]).await?;
    Ok(tx.readable("outbox", rows, waiting).into_iter().collect())
}

/// What is left of waiting messages that cannot be read, so that they can end: what the queue needs, and
/// their content.
async fn load_unreadable(tx: &mut Tx, ids: &[MessageId]) -> SqlResult<HashMap<MessageId, Waiting>> {
    const SELECT: &str = "SELECT id, account_id, device_id, chat, whatsapp_id, priority, attempts,
        due_at, expires_at, retry_interval_s, is_scheduled, day, month, grant_id,
        CAST(octet_length(text) AS BIGINT), kind, text, media
        FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let waiting = |row: &mut Row| {
        let entry = entry_from(row)?;
        let period = Period { day: row.int()?, month: row.int()? };
        let charged = Charged { period, grant: row.opt_int()?.map(GrantId) };
        let text_bytes = row.int()?;
        let message = message_of_entry(entry, charged, content_from(row)?);
        Ok((message.id, Waiting { message, charged, text_bytes }))
    };
    let rows = tx.query(SELECT, params![&ids_json(ids.iter().map(|id| id.0))?]).await?;
    Ok(tx.readable("outbox", rows, waiting).into_iter().collect())
}

fn message_of_entry(
    entry: OutboxEntry,
    charged: Charged,
    (content, context): (Content, Context),
) -> Message {
    let kind = charged.grant.map_or(QuotaKind::Plan, |_| QuotaKind::Grant);
    Message {
        id: entry.id,
        account_id: entry.account_id,
        device_id: entry.device_id,
        origin: Origin::Api(QuotaReceipt { kind, remaining: 0 }),
        chat: entry.chat,
        sender: None,
        content,
        context,
        whatsapp_id: entry.whatsapp_id,
        state: MessageState::Queued,
        failure: None,
        typing: false,
        priority: entry.priority,
        attempts: entry.attempts,
        due_at: entry.due_at,
        expires_at: entry.expires_at,
        retry_interval_s: entry.retry_interval_s,
        created_at: entry.due_at,
        history: Vec::new(),
    }
}

/// Writes waiting messages back, or moves them into the history with all that follows from it:
/// the account's count, the refund, the contact, the end of its file.
async fn settle(
    tx: &mut Tx,
    mut rows: Vec<Waiting>,
    account_states: &mut AccountStates,
) -> SqlResult<()> {
    const DELETE: &str =
        "DELETE FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|row| row.message.id);
    let ids = ids_json(rows.iter().map(|row| row.message.id.0))?;
    tx.execute(DELETE, params![&ids]).await?;
    let (stay, left): (Vec<&Waiting>, Vec<&Waiting>) =
        rows.iter().partition(|row| row.message.state.is_waiting());
    let stay = WaitingRows::of(stay.into_iter().map(|row| (&row.message, row.charged)))?;
    tx.insert_all(vec![stay.insertion()]).await?;
    let messages: Vec<&Message> = left.iter().map(|row| &row.message).collect();
    let moved: HashSet<MessageId> = insert_history(tx, &messages).await?.into_iter().collect();
    add_contacts(tx, &messages).await?;
    let files = erase_files(tx, &messages).await?;
    let (mut refunds, mut counts) = (BTreeMap::new(), CountChanges::default());
    for row in left {
        let Message { id, account_id, device_id, .. } = row.message;
        counts.add_waiting(account_id, device_id, -1);
        if moved.contains(&id) {
            counts.add(&row.message, 1);
        }
        let file_bytes = files.get(&id).copied().unwrap_or(0);
        leave(row, file_bytes, account_states, &mut refunds);
    }
    counts.write(tx).await?;
    grants::refund(tx, &refunds).await?;
    tx.insert_all(vec![account_rows(account_states.iter())]).await
}

/// Takes a message that has left the outbox off its account's count, and refunds it when it failed;
/// `refunds` collects what grants get.
fn leave(
    row: &Waiting,
    file_bytes: i64,
    account_states: &mut AccountStates,
    refunds: &mut BTreeMap<GrantId, i64>,
) {
    use MessageState::{Cancelled, Expired, Failed};
    let Some(state) = account_states.get_mut(&row.message.account_id) else { return };
    let left = QueueSize { messages: 1, text_bytes: row.text_bytes, file_bytes };
    state.queue = state.queue.minus(left);
    if !matches!(row.message.state, Failed | Expired | Cancelled) {
        return;
    }
    match row.charged.grant {
        Some(grant) => *refunds.entry(grant).or_default() += 1,
        None => state.allowance.usage = state.allowance.usage.refund(row.charged.period),
    }
}

/// Erases the files that came with messages; how many bytes they had.
async fn erase_files(tx: &mut Tx, left: &[&Message]) -> SqlResult<BTreeMap<MessageId, i64>> {
    const DELETE: &str = "DELETE FROM inline_media
        WHERE message_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        RETURNING message_id, CAST(COALESCE(size, octet_length(bytes)) AS BIGINT)";
    let is_inline = |message: &&&Message| message.media().is_some_and(|media| media.url.is_none());
    let ids: Vec<i64> = left.iter().filter(is_inline).map(|message| message.id.0).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    sizes(tx.query(DELETE, params![&to_json(&ids)?]).await?)
}

async fn add_contacts(tx: &mut Tx, left: &[&Message]) -> SqlResult<()> {
    use MessageState::{Delivered, Played, Read, Sent};
    const INSERT: InsertRows = InsertRows {
        table: "contacts",
        columns: &[("device_id", Type::Text), ("chat", Type::Text), ("first_at", Type::Int)],
        then: "ON CONFLICT DO NOTHING",
    };
    let mut contacts = BTreeMap::new();
    for message in left {
        if matches!(message.state, Sent | Delivered | Read | Played) {
            let at = message.history.last().map_or(message.created_at, |change| change.at);
            contacts.entry((message.device_id.to_string(), message.chat.to_string())).or_insert(at);
        }
    }
    let rows: Vec<Vec<Param<'_>>> = contacts
        .iter()
        .map(|((device, chat), at)| vec![device.into(), chat.into(), (*at).into()])
        .collect();
    tx.insert(&INSERT, &rows).await.map(drop)
}

/// A receipt from a recipient's phone for messages of a device.
pub(crate) struct Report {
    pub(crate) device: DeviceId,
    pub(crate) ids: Vec<WhatsappId>,
    pub(crate) receipt: Receipt,
    pub(crate) at: Timestamp,
}

/// Moves messages of the history forward, for many callers at once; for each, those that changed.
pub(crate) async fn report_group(tx: &mut Tx, group: &[Report]) -> SqlResult<Vec<Vec<Recorded>>> {
    const UPDATE: &str = "UPDATE messages SET state = $2, history = $3 WHERE id = $1";
    let devices = group.iter().map(|report| report.device).collect();
    fence::check(tx, group.iter().map(|report| report.device)).await?;
    let devices = devices::by_ids(tx, &devices).await?;
    let mut sent = lock_sent(tx, group).await?;
    let (mut changed, mut counts) = (BTreeSet::new(), CountChanges::default());
    let mut answers = Vec::with_capacity(group.len());
    for Report { device, ids, receipt, at } in group {
        let ids: HashSet<&WhatsappId> = ids.iter().collect();
        let of_device = sent.get_mut(device).into_iter().flatten();
        let mut recorded = Vec::new();
        for message in of_device.filter(|message| ids.contains(&message.whatsapp_id)) {
            let since = message.history.len();
            counts.add(message, -1);
            let has_changed = message.apply(receipt.event(), whole_millis(*at), None);
            counts.add(message, 1);
            if has_changed {
                changed.insert(message.id);
                recorded.push(recorded_since(message.clone(), &devices, since));
            }
        }
        answers.push(recorded);
    }
    for message in sent.values().flatten().filter(|message| changed.contains(&message.id)) {
        let history = stored::history::write(&message.history)?;
        tx.execute(UPDATE, params![message.id.0, message.state.as_str(), &history]).await?;
    }
    counts.write(tx).await?;
    enqueue_events(tx, &answers).await?;
    Ok(answers)
}

/// The messages that a group of receipts is about, by device; locked in this order.
async fn lock_sent(tx: &mut Tx, group: &[Report]) -> SqlResult<BTreeMap<DeviceId, Vec<Message>>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE device_id = $1 AND direction = 'out'
          AND whatsapp_id IN (SELECT value FROM json_rows($2)) ORDER BY id FOR UPDATE"
    );
    let mut wanted: BTreeMap<DeviceId, BTreeSet<&str>> = BTreeMap::new();
    for report in group {
        wanted.entry(report.device).or_default().extend(report.ids.iter().map(WhatsappId::as_str));
    }
    let mut found = BTreeMap::new();
    for (device, ids) in wanted {
        let rows = tx.query(SELECT, params![&device.to_string(), &to_json(&ids)?]).await?;
        found.insert(device, tx.readable("messages", rows, message_from));
    }
    Ok(found)
}
