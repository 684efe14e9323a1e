//! Messages: the outbox (those that wait) and the history (all others).
//!
//! Invariants: a message is in exactly one of the two tables; it moves in the transaction that
//! makes it leave the outbox; `usage.waiting`, `text_bytes` and `file_bytes` of an account equal its
//! rows in the outbox and their files; `message_counts` equals the rows of both. Rows of the outbox change only under the lock on their account's `usage` row.

pub(crate) mod accept;
pub(crate) mod accept_request;
pub(crate) mod amend;
pub(crate) mod chats;
pub(crate) mod clean;
pub(crate) mod counts;
pub(crate) mod find;
pub(crate) mod history;
pub(crate) mod idempotency;
pub(crate) mod identities;
pub(crate) mod list;
pub(crate) mod outbox;
pub(crate) mod people_known;
pub(crate) mod receive;
pub(crate) mod record;
pub(crate) mod spellings;

use std::borrow::Cow;

use domain::content::Content;
use domain::context::Context;
use domain::ids::{AccountId, DeviceId, GrantId, MessageId, WhatsappId};
use domain::message::{Address, Direction, Message, MessageState, Origin};
use domain::policy::quota::{Period, QuotaKind, QuotaReceipt};

use crate::sql::{InsertRows, Insertion, Param, Row, SqlResult, Tx, Type, to_json};
use crate::stored;

/// The columns both tables begin with: the name, the type, and what [`Encoded::params`] writes
/// there. [`message_from`] reads them in this order.
macro_rules! common_columns {
    ($use:ident($($more:tt)*) $(, $message:expr, $encoded:expr)?) => {
        $crate::messages::$use! {
            [$($more)*]
            ("id", Int, $($message.id.0)?),
            ("account_id", Int, $($message.account_id.0)?),
            ("device_id", Text, $(&$encoded.texts.device)?),
            ("chat", Text, $($encoded.chat.as_ref())?),
            ("kind", Text, $($message.kind().as_str())?),
            ("text", Text, $($message.text())?),
            ("media", Text, $(&$encoded.texts.content)?),
            ("whatsapp_id", Text, $($message.whatsapp_id.as_str())?),
            ("state", Text, $($message.state.as_str())?),
            ("failure", Text, $(&$encoded.failure)?),
            ("typing", Int, $($message.typing)?),
            ("priority", Int, $(i64::from($message.priority))?),
            ("attempts", Int, $(i64::from($message.attempts))?),
            ("due_at", Int, $($message.due_at)?),
            ("expires_at", Int, $($message.expires_at)?),
            ("retry_interval_s", Int, $($message.retry_interval_s.map(i64::from))?),
            ("quota_kind", Text, $($message.quota().map(quota_name))?),
            ("quota_remaining", Int, $($message.quota().map(|quota| quota.remaining))?),
            ("created_at", Int, $($message.created_at)?),
            ("history", Text, $(&$encoded.texts.history)?),
            ("is_scheduled", Int, $($message.was_scheduled())?),
        }
    };
}
/// The columns as a list of names, and more of them.
macro_rules! names {
    ([$($more:literal)*] $(($name:literal, $type:ident, $($value:expr)?),)*) => {
        concat!($($name, ", ",)* $($more)*)
    };
}
/// The same, without the text.
macro_rules! brief_names {
    ([$($more:literal)*] $(($name:tt, $type:ident, $($value:expr)?),)*) => {
        concat!($($crate::messages::brief_name!($name), ", ",)* $($more)*)
    };
}
macro_rules! brief_name {
    ("text") => {
        "'' AS text"
    };
    ($name:tt) => {
        $name
    };
}
/// The columns with their types, and more of them.
macro_rules! typed {
    ([$($more:expr),*] $(($name:literal, $type:ident, $($value:expr)?),)*) => {
        &[$(($name, Type::$type),)* $($more),*]
    };
}
/// What is written into the columns.
macro_rules! values {
    ([] $(($name:literal, $type:ident, $value:expr),)*) => { [$(Param::from($value)),*] };
}
/// What [`message_from`] reads, of a waiting message.
macro_rules! waiting_columns {
    () => {
        $crate::messages::waiting_columns!(names)
    };
    ($names:ident) => {
        $crate::messages::common_columns!($names(
            "'out' AS direction, CAST(NULL AS TEXT) AS sender"
        ))
    };
}
/// The same, of a message in the history.
macro_rules! history_columns {
    () => {
        $crate::messages::history_columns!(names)
    };
    ($names:ident) => {
        $crate::messages::common_columns!($names("direction, sender"))
    };
}
pub(crate) use {
    brief_name, brief_names, common_columns, history_columns, names, typed, values, waiting_columns,
};

/// What a waiting message was charged to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charged {
    /// The period it counts in.
    pub(crate) period: Period,
    /// The grant; `None` for the plan.
    pub(crate) grant: Option<GrantId>,
}

/// A row of the outbox.
pub(crate) struct Waiting {
    pub(crate) message: Message,
    pub(crate) charged: Charged,
    /// The bytes of its text, as stored.
    pub(crate) text_bytes: i64,
}

pub(crate) fn message_from(row: &mut Row) -> SqlResult<Message> {
    let (id, account_id) = (MessageId(row.int()?), AccountId(row.int()?));
    let device_id = row.parsed(|text| text.parse::<DeviceId>().ok())?;
    let chat = row.text()?.into();
    let (content, context) = content_from(row)?;
    let mut message = Message {
        id,
        account_id,
        device_id,
        chat,
        sender: None,
        content,
        context,
        whatsapp_id: WhatsappId(row.text()?),
        state: row.parsed(MessageState::from_name)?,
        failure: row.opt_json(stored::failure::read)?,
        typing: row.bool()?,
        priority: row.small()?,
        attempts: row.small()?,
        due_at: row.time()?,
        expires_at: row.opt_time()?,
        retry_interval_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()),
        origin: quota_from(row)?.map_or(Origin::Phone, Origin::Api),
        created_at: row.time()?,
        history: row.json(stored::history::read)?,
    };
    let _is_scheduled = row.bool()?;
    if row.parsed(Direction::from_name)? == Direction::In {
        message.origin = Origin::Incoming;
    }
    message.sender = row.opt_json(stored::address::read)?;
    Ok(message)
}

/// A content that cannot be read, such as a later release's, must not hide its message.
fn content_from(row: &mut Row) -> SqlResult<(Content, Context)> {
    let (kind, text, media) = (row.text()?, row.text()?, row.opt_text()?);
    Ok(stored::content::read(&kind, text, media.as_deref()).unwrap_or_else(|unsupported| {
        row.note("the content of a message cannot be read: it is shown without");
        (Content::Unsupported(unsupported), Context::default())
    }))
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

/// The ids as a JSON array, for `json_rows`.
pub(crate) fn ids_json(ids: impl Iterator<Item = i64>) -> SqlResult<String> {
    to_json(&ids.collect::<Vec<i64>>())
}

const OUTBOX: InsertRows = InsertRows {
    table: "outbox",
    columns: common_columns!(typed(
        ("day", Type::Int),
        ("month", Type::Int),
        ("grant_id", Type::Int)
    )),
    then: "",
};

const HISTORY: InsertRows = InsertRows {
    table: "messages",
    columns: common_columns!(typed(
        ("direction", Type::Text),
        ("sender", Type::Text),
        ("sender_key", Type::Text)
    )),
    // What is known already stays as it is.
    then: "ON CONFLICT DO NOTHING RETURNING id",
};

/// Texts of a row that can be made before it is known which one it will be.
#[derive(Clone)]
struct RowTexts {
    device: String,
    content: Option<String>,
    history: String,
}

impl RowTexts {
    fn of(message: &Message) -> SqlResult<Self> {
        Ok(Self {
            device: message.device_id.to_text(),
            content: stored::content::write(&message.content, &message.context)?,
            history: stored::history::write(&message.history)?,
        })
    }
}

/// What a message's parameters borrow from besides itself.
struct Encoded<'a> {
    texts: Cow<'a, RowTexts>,
    chat: Cow<'a, str>,
    failure: Option<String>,
    sender: Option<String>,
}

impl<'m> Encoded<'m> {
    fn of(message: &'m Message) -> SqlResult<Self> {
        Ok(Self {
            texts: Cow::Owned(RowTexts::of(message)?),
            chat: message.chat.jid(),
            failure: message.failure.as_ref().map(stored::failure::write).transpose()?,
            sender: message.sender.as_ref().map(stored::address::write).transpose()?,
        })
    }

    /// Of a message of ours that was not tried yet.
    fn of_new(message: &'m Message, texts: &'m RowTexts) -> Self {
        let (texts, chat) = (Cow::Borrowed(texts), message.chat.jid());
        Self { texts, chat, failure: None, sender: None }
    }

    /// The columns both tables begin with.
    fn params<'a>(&'a self, message: &'a Message) -> Vec<Param<'a>> {
        let mut params = Vec::with_capacity(HISTORY.columns.len());
        params.extend(common_columns!(values(), message, self));
        params
    }
}

/// Messages as they are put into the outbox, each with what it was charged to.
struct WaitingRows<'m>(Vec<(&'m Message, Charged, Encoded<'m>)>);

impl<'m> WaitingRows<'m> {
    fn of(messages: impl Iterator<Item = (&'m Message, Charged)>) -> SqlResult<Self> {
        let encoded = |(message, charged)| Ok((message, charged, Encoded::of(message)?));
        messages.map(encoded).collect::<SqlResult<Vec<_>>>().map(Self)
    }

    /// The same of new messages, whose texts are made.
    fn of_new(messages: impl Iterator<Item = (&'m Message, Charged, &'m RowTexts)>) -> Self {
        let encoded = |(message, charged, texts): (&'m Message, Charged, &'m RowTexts)| {
            (message, charged, Encoded::of_new(message, texts))
        };
        Self(messages.map(encoded).collect())
    }

    fn insertion(&self) -> Insertion<'_> {
        let mut rows = Vec::with_capacity(self.0.len());
        for (message, Charged { period, grant }, encoded) in &self.0 {
            let mut params = encoded.params(message);
            params.extend([
                Param::from(period.day),
                Param::from(period.month),
                Param::from(grant.map(|id| id.0)),
            ]);
            rows.push(params);
        }
        Insertion { into: &OUTBOX, rows }
    }
}

/// Puts messages into the history; the ids of those that were not known yet.
async fn insert_history(tx: &mut Tx, messages: &[&Message]) -> SqlResult<Vec<MessageId>> {
    let encoded: Vec<Encoded<'_>> =
        messages.iter().map(|message| Encoded::of(message)).collect::<SqlResult<_>>()?;
    let mut rows = Vec::with_capacity(messages.len());
    for (message, encoded) in messages.iter().zip(&encoded) {
        let mut params = encoded.params(message);
        params.extend([
            Param::from(message.direction().as_str()),
            Param::from(&encoded.sender),
            Param::from(sender_key(message)),
        ]);
        rows.push(params);
    }
    let inserted = tx.insert(&HISTORY, &rows).await?;
    let new = inserted.into_iter().map(|mut row| row.int().map(MessageId));
    let new = new.collect::<SqlResult<Vec<_>>>()?;
    chats::touch(tx, messages, &new).await?;
    people_known::note(tx, messages, &new).await?;
    Ok(new)
}

/// The sender in the unique index: two senders may use the same WhatsApp id.
fn sender_key(message: &Message) -> &str {
    message.sender.as_ref().map_or("", Address::key)
}
