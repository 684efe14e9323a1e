//! Messages: what they are, the states they pass through, and the one function that moves them.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::chat::{ChatId, Lid};
use crate::content::Content;
pub use crate::content::ContentKind;
use crate::context::Context;
use crate::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use crate::media::Media;
use crate::phone::PhoneNumber;
use crate::policy::quota::QuotaReceipt;
use crate::request_file::RequestFile;
use crate::text::cleaned_address;

mod amend;
mod origin;
mod waiting;

pub use amend::{AMEND_MAX, Amendment, Change, REVOKE_MAX};
pub use origin::{Direction, Origin, ReceivedOrigin};
pub use waiting::{Waiting, WaitingReason};

/// Longest text of a message, in Unicode code points.
pub const TEXT_CHARS_MAX: usize = 65_536;
/// Most messages in one batch.
pub const BATCH_MESSAGES_MAX: usize = 1_000;
/// Most receivers that one request may name, those named again included.
pub const RECEIVERS_GIVEN_MAX: usize = 2 * BATCH_MESSAGES_MAX;

/// The states of a message; `docs/message-states.md` draws them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageState {
    /// Accepted, to be sent at a later time.
    Scheduled,
    /// Accepted, waiting for its turn.
    Queued,
    /// Handed to WhatsApp, not yet acknowledged. Never stored: after a crash it is queued again.
    Sending,
    /// Acknowledged by WhatsApp. For a received message: acknowledged to WhatsApp.
    Sent,
    /// On the recipient's phone. A received message starts here.
    Delivered,
    /// Seen by the recipient.
    Read,
    /// Played by the recipient (voice and video).
    Played,
    /// Not sent, and never will be.
    Failed,
    /// Not sent before its expiry.
    Expired,
    /// Withdrawn before it was sent.
    Cancelled,
}

impl MessageState {
    /// Every state, in the order of a message's life.
    pub const ALL: [Self; 10] = [
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the message still waits to be sent, and so lives in the outbox.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Scheduled | Self::Queued | Self::Sending)
    }
}

/// What can happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageEvent {
    /// Its scheduled time has come.
    Due,
    /// It was handed to WhatsApp.
    Submitted,
    /// The attempt did not end in an acknowledgement and may be repeated.
    AttemptFailed,
    /// WhatsApp acknowledged it.
    Acknowledged,
    /// It reached the recipient's phone.
    Delivered,
    /// The recipient saw it.
    Read,
    /// The recipient played it.
    Played,
    /// It was refused for good, or its attempts are used up.
    Failed,
    /// Its expiry has passed.
    Expired,
    /// Its sender took it back.
    Withdrawn,
}

impl MessageEvent {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::Due,
        Self::Submitted,
        Self::AttemptFailed,
        Self::Acknowledged,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Failed,
        Self::Expired,
        Self::Withdrawn,
    ];
}

/// The one place that says what follows what; `None` where an event changes nothing.
///
/// Receipts may arrive before the acknowledgement, twice, or in the wrong order: a message only
/// moves forward, and a receipt is as good as an acknowledgement. A submitted message
/// cannot be withdrawn and does not expire before its attempt has ended.
pub fn transition(state: MessageState, event: MessageEvent) -> Option<MessageState> {
    use MessageEvent as E;
    use MessageState as S;
    let next = match (state, event) {
        (S::Scheduled, E::Due) => S::Queued,
        (S::Queued, E::Submitted) => S::Sending,
        (S::Sending, E::AttemptFailed) => S::Queued,
        (S::Scheduled | S::Queued, E::Withdrawn) => S::Cancelled,
        (S::Scheduled | S::Queued, E::Expired) => S::Expired,
        (S::Scheduled | S::Queued | S::Sending, E::Failed) => S::Failed,
        // Queued too: the acknowledgement of an attempt that was cut off may come late.
        (S::Queued | S::Sending, E::Acknowledged) => S::Sent,
        (S::Queued | S::Sending | S::Sent, E::Delivered) => S::Delivered,
        (S::Queued | S::Sending | S::Sent | S::Delivered, E::Read) => S::Read,
        (S::Queued | S::Sending | S::Sent | S::Delivered | S::Read, E::Played) => S::Played,
        _ => return None,
    };
    Some(next)
}

/// One step in a message's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The state it came into.
    pub state: MessageState,
    /// When.
    pub at: Timestamp,
    /// Why, where there is something to say.
    pub reason: Option<String>,
}

/// Why a message failed: a stable code and words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable and in snake case, such as `not_on_whatsapp`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// The recipient is not on WhatsApp.
    pub const NOT_ON_WHATSAPP: &str = "not_on_whatsapp";
    /// The file could not be fetched, or cannot be sent.
    pub const MEDIA: &str = "media";
    /// The device did not connect while somebody waited for the message to be sent.
    pub const NOT_CONNECTED: &str = "not_connected";
    /// There is no such group, or the number is not in it.
    pub const GROUP_NOT_AVAILABLE: &str = "group_not_available";
    /// The number is no admin of the group, or may not do that for another reason.
    pub const GROUP_FORBIDDEN: &str = "group_forbidden";
    /// A new group would have somebody of whom only the LID is known.
    pub const GROUP_PERSON_UNKNOWN: &str = "group_person_unknown";

    /// Names a failure.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// A message, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The device that sends or received it.
    pub device_id: DeviceId,
    /// Where it was written.
    pub origin: Origin,
    /// The chat it belongs to.
    pub chat: ChatId,
    /// Who wrote it, when it was received; in a group not the same as the chat.
    pub sender: Option<Address>,
    /// What it carries.
    pub content: Content,
    /// What it refers to.
    pub context: Context,
    /// Its id on WhatsApp.
    pub whatsapp_id: WhatsappId,
    /// Where it is in its life.
    pub state: MessageState,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<Failure>,
    /// Whether the recipient is shown that somebody types.
    pub typing: bool,
    /// Higher goes first, between chats; 0 is ordinary.
    pub priority: i16,
    /// Attempts so far.
    pub attempts: u32,
    /// Not to be sent before this.
    pub due_at: Timestamp,
    /// Not to be sent after this.
    pub expires_at: Option<Timestamp>,
    /// Seconds between attempts, when the sender chose.
    pub retry_interval_s: Option<u32>,
    /// When it was accepted or received.
    pub created_at: Timestamp,
    /// What it has been through, oldest first.
    pub history: Vec<StateChange>,
}

impl Message {
    /// When it first came into `state`.
    pub fn reached(&self, state: MessageState) -> Option<Timestamp> {
        self.history.iter().find(|change| change.state == state).map(|change| change.at)
    }

    /// When it got to `state`, one of those after it left, or past it where that state was skipped.
    pub fn reached_or_passed(&self, state: MessageState) -> Option<Timestamp> {
        use MessageState::{Delivered, Played, Read, Sent};
        let later = [Sent, Delivered, Read, Played].into_iter().filter(|&later| later >= state);
        later.filter_map(|state| self.reached(state)).next()
    }

    /// Whether it was to be sent at a later time than it was accepted.
    pub fn was_scheduled(&self) -> bool {
        self.history.first().is_some_and(|first| first.state == MessageState::Scheduled)
    }

    /// Whether it was sent or received.
    pub fn direction(&self) -> Direction {
        self.origin.direction()
    }

    /// From which quota it was paid, and what was left; `None` where no API accepted it.
    pub fn quota(&self) -> Option<QuotaReceipt> {
        self.origin.quota()
    }

    /// What kind of thing it carries.
    pub fn kind(&self) -> ContentKind {
        self.content.kind()
    }

    /// The text, the caption, or the words that stand for what it carries.
    pub fn text(&self) -> &str {
        self.content.text()
    }

    /// Its text where nothing else is shown of it ([`Content::shown_text`]).
    pub fn shown_text(&self) -> Cow<'_, str> {
        self.content.shown_text()
    }

    /// What is known of the file it carries.
    pub fn media(&self) -> Option<&Media> {
        self.content.media()
    }

    /// Whether it came in and is to be read.
    pub fn is_unread(&self) -> bool {
        self.direction() == Direction::In
            && self.state == MessageState::Delivered
            && !self.content.is_of_another()
    }

    /// Whether the chat is a group.
    pub fn is_in_group(&self) -> bool {
        self.chat.is_group()
    }

    /// Applies an event; says whether anything changed.
    pub fn apply(&mut self, event: MessageEvent, at: Timestamp, failure: Option<Failure>) -> bool {
        let Some(next) = transition(self.state, event) else { return false };
        self.state = next;
        // WhatsApp's own times are whole seconds, ours are not; a history never runs backwards.
        let at = self.history.last().map_or(at, |last| at.max(last.at));
        let reason = failure.as_ref().map(|failure| failure.message.clone());
        if event == MessageEvent::Acknowledged {
            self.failure = None;
        } else if failure.is_some() {
            self.failure = failure;
        }
        self.history.push(StateChange { state: next, at, reason });
        true
    }
}

/// A time as it is kept: whole milliseconds.
pub fn whole_millis(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// A person as WhatsApp names them: by number, by LID, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// The phone number, when known.
    pub phone: Option<PhoneNumber>,
    /// The LID, when known.
    pub lid: Option<Lid>,
}

impl Address {
    /// What distinguishes the person from others: the number, else the LID.
    pub fn key(&self) -> &str {
        let phone = self.phone.as_ref().map(PhoneNumber::as_str);
        phone.or(self.lid.as_ref().map(Lid::as_str)).unwrap_or("?")
    }

    /// Whether both are one person's, by a name that both have.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.phone.is_some() && self.phone == other.phone)
            || (self.lid.is_some() && self.lid == other.lid)
    }

    /// The address in a form that a database can store and index.
    pub(crate) fn cleaned(self) -> Self {
        let phone = |phone: PhoneNumber| {
            cleaned_address(phone.as_str()).map_or(phone, PhoneNumber::from_digits)
        };
        let lid = |lid: Lid| cleaned_address(lid.as_str()).map_or(lid, Lid::from_jid);
        Self { phone: self.phone.map(phone), lid: self.lid.map(lid) }
    }
}

/// A message that is to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Message`")]
pub struct NewMessage {
    pub device_id: DeviceId,
    pub chat: ChatId,
    pub content: Content,
    pub context: Context,
    /// A file that came along: in the media store as [`blob_key`](crate::request_file::blob_key) until it has left.
    pub inline_file: Option<RequestFile>,
    pub whatsapp_id: WhatsappId,
    pub typing: bool,
    pub priority: i16,
    pub due_at: Timestamp,
    pub is_scheduled: bool,
    pub expires_at: Timestamp,
    pub retry_interval_s: Option<u32>,
}

impl NewMessage {
    /// The message that comes into being when this one is accepted.
    pub fn accepted(
        &self,
        id: MessageId,
        account_id: AccountId,
        quota: QuotaReceipt,
        now: Timestamp,
    ) -> Message {
        let now = whole_millis(now);
        let state = if self.is_scheduled { MessageState::Scheduled } else { MessageState::Queued };
        Message {
            id,
            account_id,
            device_id: self.device_id,
            origin: Origin::Api(quota),
            chat: self.chat.clone(),
            sender: None,
            content: self.content.clone(),
            context: self.context.clone(),
            whatsapp_id: self.whatsapp_id.clone(),
            state,
            failure: None,
            typing: self.typing,
            priority: self.priority,
            attempts: 0,
            due_at: whole_millis(self.due_at),
            expires_at: Some(whole_millis(self.expires_at)),
            retry_interval_s: self.retry_interval_s,
            created_at: now,
            history: vec![StateChange { state, at: now, reason: None }],
        }
    }
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// Its id on WhatsApp.
    pub whatsapp_id: WhatsappId,
    /// The chat it belongs to.
    pub chat: ChatId,
    /// Who wrote it.
    pub sender: Address,
    /// Whether the device's own number wrote it elsewhere, or somebody else.
    pub origin: ReceivedOrigin,
    /// What it carries.
    pub content: Content,
    /// What it refers to.
    pub context: Context,
    /// When WhatsApp says it was sent.
    pub at: Timestamp,
}

impl IncomingMessage {
    /// The message that comes into being when this one is stored. What was written on the phone
    /// counts as sent by the device. What others wrote is made storable.
    pub fn received(
        mut self,
        id: MessageId,
        account_id: AccountId,
        device_id: DeviceId,
        now: Timestamp,
    ) -> Message {
        self.content.clean();
        self.context.clean();
        let at = whole_millis(self.at);
        let state = match self.origin {
            ReceivedOrigin::Phone => MessageState::Sent,
            ReceivedOrigin::Incoming => MessageState::Delivered,
        };
        Message {
            id,
            account_id,
            device_id,
            origin: self.origin.into(),
            chat: self.chat.cleaned(),
            sender: Some(self.sender.cleaned()),
            content: self.content,
            context: self.context,
            whatsapp_id: self.whatsapp_id,
            state,
            failure: None,
            typing: false,
            priority: 0,
            attempts: 0,
            due_at: at,
            expires_at: None,
            retry_interval_s: None,
            created_at: whole_millis(now),
            history: vec![StateChange { state, at, reason: None }],
        }
    }
}

/// What a recipient's phone reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Receipt {
    /// It arrived.
    Delivered,
    /// It was seen.
    Read,
    /// It was played.
    Played,
}

impl Receipt {
    /// The event it is for a message.
    pub fn event(self) -> MessageEvent {
        match self {
            Self::Delivered => MessageEvent::Delivered,
            Self::Read => MessageEvent::Read,
            Self::Played => MessageEvent::Played,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
