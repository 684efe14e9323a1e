//! Messages: the outbox (those that wait) and the history (all others).
//!
//! Invariants: a message is in exactly one of the two tables; it moves in the transaction that
//! makes it leave the outbox; `usage.waiting` of an account equals its rows in the outbox. Rows of
//! the outbox change only under the lock on their account's `usage` row.

pub(crate) mod accept;
pub(crate) mod clean;
pub(crate) mod list;
pub(crate) mod receive;
pub(crate) mod record;

use domain::ids::{AccountId, DeviceId, GrantId, MessageId, WhatsappId};
use domain::media::Media;
use domain::message::{Address, ContentKind, Direction, Failure, Message, MessageState};
use domain::policy::quota::{Period, QuotaKind, QuotaReceipt};

use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, to_json};

/// The columns [`message_from`] reads that both tables have.
macro_rules! common_columns {
    () => {
        "id, account_id, device_id, chat, kind, text, media, whatsapp_id, state, failure, typing, \
         priority, attempts, due_at, expires_at, retry_interval_s, quota_kind, quota_remaining, \
         created_at, history"
    };
}
/// What [`message_from`] reads, of a waiting message.
macro_rules! waiting_columns {
    () => {
        concat!(
            $crate::messages::common_columns!(),
            ", 'out' AS direction, CAST(NULL AS TEXT) AS sender"
        )
    };
}
/// The same, of a message in the history.
macro_rules! history_columns {
    () => {
        concat!($crate::messages::common_columns!(), ", direction, sender")
    };
}
pub(crate) use {common_columns, history_columns, waiting_columns};

/// How a waiting message was paid for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charged {
    /// When.
    pub(crate) period: Period,
    /// By which grant; `None` for the plan.
    pub(crate) grant: Option<GrantId>,
}

/// A row of the outbox.
pub(crate) struct Waiting {
    pub(crate) message: Message,
    pub(crate) paid: Charged,
}

pub(crate) fn message_from(row: &mut Row) -> SqlResult<Message> {
    let mut message = Message {
        id: MessageId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: row.parsed(|text| text.parse::<DeviceId>().ok())?,
        direction: Direction::Out,
        chat: row.text()?,
        sender: None,
        kind: ContentKind::from_name(&row.text()?),
        text: row.text()?,
        media: row.opt_json()?,
        whatsapp_id: WhatsappId(row.text()?),
        state: row.parsed(MessageState::from_name)?,
        failure: row.opt_json()?,
        typing: row.bool()?,
        priority: row.small()?,
        attempts: row.small()?,
        due_at: row.time()?,
        expires_at: row.opt_time()?,
        retry_interval_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()),
        quota: quota_from(row)?,
        created_at: row.time()?,
        history: row.opt_json()?.unwrap_or_default(),
    };
    message.direction = row.parsed(direction_from_name)?;
    message.sender = row.opt_json()?;
    Ok(message)
}

fn messages_from(rows: Vec<Row>) -> SqlResult<Vec<Message>> {
    rows.into_iter().map(|mut row| message_from(&mut row)).collect()
}

fn quota_from(row: &mut Row) -> SqlResult<Option<QuotaReceipt>> {
    let kind = match row.opt_text()?.as_deref() {
        Some("pro") => Some(QuotaKind::Grant),
        Some(_) => Some(QuotaKind::Plan),
        None => None,
    };
    let remaining = row.opt_int()?.unwrap_or(0);
    Ok(kind.map(|kind| QuotaReceipt { kind, remaining }))
}

fn quota_name(quota: QuotaReceipt) -> &'static str {
    match quota.kind {
        QuotaKind::Plan => "free",
        QuotaKind::Grant => "pro",
    }
}

fn direction_from_name(name: &str) -> Option<Direction> {
    match name {
        "in" => Some(Direction::In),
        "out" => Some(Direction::Out),
        _ => None,
    }
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

/// The ids as a JSON array, for `json_rows`.
fn ids_json(ids: impl Iterator<Item = i64>) -> SqlResult<String> {
    to_json(&ids.collect::<Vec<i64>>())
}

/// The columns of a table of messages: those that [`Encoded::params`] fills, and its own.
macro_rules! table_columns {
    ($($own:expr),* $(,)?) => {
        &[
            ("id", Type::Int),
            ("account_id", Type::Int),
            ("device_id", Type::Text),
            ("chat", Type::Text),
            ("kind", Type::Text),
            ("text", Type::Text),
            ("media", Type::Text),
            ("whatsapp_id", Type::Text),
            ("state", Type::Text),
            ("failure", Type::Text),
            ("typing", Type::Int),
            ("priority", Type::Int),
            ("attempts", Type::Int),
            ("due_at", Type::Int),
            ("expires_at", Type::Int),
            ("retry_interval_s", Type::Int),
            ("quota_kind", Type::Text),
            ("quota_remaining", Type::Int),
            ("created_at", Type::Int),
            ("history", Type::Text),
            ("is_scheduled", Type::Int),
            $($own),*
        ]
    };
}

const OUTBOX: InsertRows = InsertRows {
    table: "outbox",
    columns: table_columns![("day", Type::Int), ("month", Type::Int), ("grant_id", Type::Int)],
    then: "",
};

const HISTORY: InsertRows = InsertRows {
    table: "messages",
    columns: table_columns![
        ("direction", Type::Text),
        ("sender", Type::Text),
        ("sender_key", Type::Text),
    ],
    // What is known already stays as it is.
    then: "ON CONFLICT DO NOTHING RETURNING id",
};

/// What a message's parameters borrow from besides itself.
struct Encoded {
    device: String,
    media: Option<String>,
    failure: Option<String>,
    history: String,
    sender: Option<String>,
}

impl Encoded {
    fn of(message: &Message) -> SqlResult<Self> {
        Ok(Self {
            device: message.device_id.to_string(),
            media: message.media.as_ref().map(to_json::<Media>).transpose()?,
            failure: message.failure.as_ref().map(to_json::<Failure>).transpose()?,
            history: to_json(&message.history)?,
            sender: message.sender.as_ref().map(to_json::<Address>).transpose()?,
        })
    }

    /// The columns both tables begin with.
    fn params<'a>(&'a self, message: &'a Message) -> Vec<Param<'a>> {
        let mut params = Vec::with_capacity(HISTORY.columns.len());
        params.extend([
            Param::from(message.id.0),
            Param::from(message.account_id.0),
            Param::from(&self.device),
            Param::from(&message.chat),
            Param::from(message.kind.as_str()),
            Param::from(&message.text),
            Param::from(&self.media),
            Param::from(message.whatsapp_id.as_str()),
            Param::from(message.state.as_str()),
            Param::from(&self.failure),
            Param::from(message.typing),
            Param::from(i64::from(message.priority)),
            Param::from(i64::from(message.attempts)),
            Param::from(message.due_at),
            Param::from(message.expires_at),
            Param::from(message.retry_interval_s.map(i64::from)),
            Param::from(message.quota.map(quota_name)),
            Param::from(message.quota.map(|quota| quota.remaining)),
            Param::from(message.created_at),
            Param::from(&self.history),
            Param::from(message.was_scheduled()),
        ]);
        params
    }
}

/// Puts messages into the outbox, each with how it was paid for.
async fn insert_waiting(tx: &mut Tx, messages: &[(&Message, Charged)]) -> SqlResult<()> {
    let encoded: Vec<Encoded> =
        messages.iter().map(|(message, _)| Encoded::of(message)).collect::<SqlResult<_>>()?;
    let mut rows = Vec::with_capacity(messages.len());
    for ((message, Charged { period, grant }), encoded) in messages.iter().zip(&encoded) {
        let mut params = encoded.params(message);
        params.extend([
            Param::from(period.day),
            Param::from(period.month),
            Param::from(grant.map(|id| id.0)),
        ]);
        rows.push(params);
    }
    tx.insert(&OUTBOX, &rows).await.map(drop)
}

/// Puts messages into the history; the ids of those that were not known yet.
async fn insert_history(tx: &mut Tx, messages: &[&Message]) -> SqlResult<Vec<MessageId>> {
    let encoded: Vec<Encoded> =
        messages.iter().map(|message| Encoded::of(message)).collect::<SqlResult<_>>()?;
    let mut rows = Vec::with_capacity(messages.len());
    for (message, encoded) in messages.iter().zip(&encoded) {
        let mut params = encoded.params(message);
        params.extend([
            Param::from(direction_name(message.direction)),
            Param::from(&encoded.sender),
            Param::from(sender_key(message)),
        ]);
        rows.push(params);
    }
    let inserted = tx.insert(&HISTORY, &rows).await?;
    inserted.into_iter().map(|mut row| row.int().map(MessageId)).collect()
}

/// Whose message it is, where WhatsApp's id alone may be another sender's too.
fn sender_key(message: &Message) -> &str {
    let Some(sender) = &message.sender else { return "" };
    let phone = sender.phone.as_ref().map(domain::phone::PhoneNumber::as_str);
    phone.or(sender.lid.as_deref()).unwrap_or("?")
}
