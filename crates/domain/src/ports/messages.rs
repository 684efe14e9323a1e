//! Where messages are kept: the outbox of those that wait, and the history of all others.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{OldMessage, Page, PageRequest, StoreResult};
use crate::chat::ChatId;
use crate::contact::{Identity, Spelling};
use crate::context::MessageName;
use crate::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use crate::media::FileFacts;
use crate::message::{
    ContentKind, Direction, Failure, IncomingMessage, Message, MessageEvent, MessageState,
    NewMessage, Receipt, whole_millis,
};
use crate::phone::PhoneNumber;
use crate::plan::Plan;
use crate::policy::queue::{QueueFull, QueueLimits};
use crate::policy::quota::Period;
use crate::request_file::WaitingFile;
use crate::webhook::Event;

/// What makes a repeated request recognisable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The API and call, such as `POST /v1/messages`.
    pub route: String,
    /// The caller's own key, at most 255 characters.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub request_hash: [u8; 32],
    /// The device whose token asks. Requests of other devices with the same key are none of its
    /// business: neither repeated by it, nor in its way.
    pub token_of: Option<DeviceId>,
}

/// Messages to be accepted together: all or none.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// Whose.
    pub account_id: AccountId,
    /// The plan that pays.
    pub plan: Arc<Plan>,
    /// The account's day and month at `now`.
    pub period: Period,
    /// How much of the account may wait.
    pub limits: QueueLimits,
    /// The messages, in order.
    pub messages: Vec<NewMessage>,
    /// Remembered with them, when the caller gave one.
    pub idempotency: Option<IdempotencyKey>,
    /// When.
    pub now: Timestamp,
}

/// What became of messages that were to be accepted.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// They are durable.
    New(Vec<Message>),
    /// The same request came before: its messages as they are *now* (cancelled or finished ones
    /// included); each carries the quota receipt of its acceptance. Texts beyond
    /// [`REPEATED_BYTES_MAX`] are left out.
    Repeated(Vec<Message>),
    /// That idempotency key was used with another request.
    Mismatch,
    /// Plan and grants have not enough messages left; nothing was kept.
    QuotaExhausted {
        /// What is left.
        remaining: i64,
    },
    /// More would wait than may; nothing was kept.
    QueueFull(QueueFull),
    /// A device vanished meanwhile; nothing was kept.
    DeviceGone,
}

/// Most bytes of messages that are read for a repeated request.
pub const REPEATED_BYTES_MAX: usize = 256 * 1024;
/// How long an idempotency key is remembered, in hours.
pub const IDEMPOTENCY_HOURS: i64 = 24;

/// What the engine keeps in memory of a waiting message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Message`")]
pub struct OutboxEntry {
    pub id: MessageId,
    pub account_id: AccountId,
    pub device_id: DeviceId,
    pub chat: ChatId,
    pub whatsapp_id: WhatsappId,
    pub priority: i16,
    pub attempts: u32,
    pub due_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub retry_interval_s: Option<u32>,
    /// Whether it was to be sent later than it was accepted. One that was not is due at once, whatever
    /// `due_at` says: that is by the clock of the node that has accepted it.
    pub is_scheduled: bool,
}

impl OutboxEntry {
    /// When it is due, as seen now.
    pub fn due_from(&self, now: Timestamp) -> Timestamp {
        let is_by_own_clock = self.is_scheduled || self.attempts > 0;
        if is_by_own_clock { self.due_at } else { self.due_at.min(now) }
    }
}

impl From<&Message> for OutboxEntry {
    fn from(message: &Message) -> Self {
        Self {
            id: message.id,
            account_id: message.account_id,
            device_id: message.device_id,
            chat: message.chat.clone(),
            whatsapp_id: message.whatsapp_id.clone(),
            priority: message.priority,
            attempts: message.attempts,
            due_at: message.due_at,
            expires_at: message.expires_at,
            retry_interval_s: message.retry_interval_s,
            is_scheduled: message.was_scheduled(),
        }
    }
}

/// What happened to one waiting message; written as it is, in one transaction with its effects
/// (the move into the history, the refund).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub id: MessageId,
    /// What happened, in order. A scheduled message becomes due by itself first.
    pub steps: Vec<(MessageEvent, Timestamp)>,
    /// Why, where an attempt failed or the message ended.
    pub failure: Option<Failure>,
    /// When the next attempt is due, when there will be one.
    pub next_attempt_at: Option<Timestamp>,
    /// What its file has turned out to be.
    pub file: Option<Box<FileFacts>>,
}

impl Progress {
    /// Applies what happened to the message, as a store has read it.
    pub fn apply_to(&self, message: &mut Message) {
        use MessageEvent::{AttemptFailed, Due, Expired, Failed, Submitted, Withdrawn};
        let first = self.steps.first().map(|(event, _)| *event);
        let ends_early = matches!(first, Some(Withdrawn | Expired));
        if message.state == MessageState::Scheduled && !ends_early {
            message.apply(Due, message.due_at, None);
        }
        for (event, at) in &self.steps {
            let has_reason = matches!(event, AttemptFailed | Failed | Expired | Withdrawn);
            let failure = self.failure.clone().filter(|_| has_reason);
            if message.apply(*event, whole_millis(*at), failure) && *event == Submitted {
                message.attempts = message.attempts.saturating_add(1);
            }
        }
        // An attempt without an end is one that a crash would have cut off.
        if message.state == MessageState::Sending {
            message.state = MessageState::Queued;
        }
        if let Some(facts) = &self.file {
            message.content.set_file_kind(facts.kind);
            // What was not sent may be sent again, as it was asked for.
            if self.steps.iter().any(|(event, _)| *event == MessageEvent::Acknowledged) {
                message.content.file_was(facts);
            }
        }
        if let (true, Some(at)) = (message.state.is_waiting(), self.next_attempt_at) {
            message.due_at = whole_millis(at);
        }
    }
}

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only this device's.
    pub device: Option<DeviceId>,
    /// Only those in one of these states; empty for all. `Scheduled` and `Queued` are distinguished
    /// by `due_at`, as [`Message`] readers see them; `Sending` is never stored.
    pub states: Vec<MessageState>,
    /// Only those in this chat.
    pub chat: Option<ChatId>,
    /// Only those of these kinds; empty for all.
    pub kinds: Vec<ContentKind>,
    /// Only those whose text or caption contains this; small and capital letters A to Z are the same.
    pub text: Option<String>,
    /// Only those made at or after this.
    pub since: Option<Timestamp>,
    /// Only those made before this.
    pub until: Option<Timestamp>,
    /// Only those that were to be sent later than they were accepted, whatever became of them.
    pub is_scheduled: bool,
    /// The time by which `Scheduled` and `Queued` are distinguished; `None` takes them as stored.
    pub now: Option<Timestamp>,
}

/// A message that was recorded.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// As it is now.
    pub message: Message,
    /// The events it caused.
    pub events: Vec<Event>,
    /// Whether it has come in and was not known before: what is changed or recovered was.
    pub is_new: bool,
}

/// Messages that were accepted with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageBatch {
    /// Their device.
    pub device: DeviceId,
    /// The lowest id.
    pub first: MessageId,
    /// The highest id; ids between may be of other requests.
    pub last: MessageId,
    /// When they were accepted, all at once.
    pub created_at: Timestamp,
}

/// A page of a list that is counted.
#[derive(Debug, Clone)]
pub struct CountedPage<T> {
    /// The rows.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: i64,
}

/// How many messages a device has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// That WhatsApp has: sent, delivered, read or played.
    pub sent: i64,
    /// That ended otherwise: failed, expired or cancelled.
    pub failed: i64,
}

/// How many messages of an hour are in a state; those that wait are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourUsage {
    /// When the hour began in which they were accepted or came in.
    pub hour: Timestamp,
    /// Whose they are; the device may have been deleted.
    pub device_id: DeviceId,
    /// Which way they went.
    pub direction: Direction,
    /// What has become of them.
    pub state: MessageState,
    /// How many.
    pub count: i64,
}

/// Messages of both directions.
///
/// The calls that change messages write the outbox of webhooks in the same transaction
/// ([`Event::of_message`]).
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Makes messages durable, pays for them and remembers the idempotency key: one commit,
    /// shared with other requests, finished before this returns.
    async fn accept(&self, acceptance: Acceptance) -> StoreResult<Accepted>;
    /// Waits for messages that were accepted for a caller who hung up before it had the answer, so that nobody has
    /// given them to their queues.
    async fn unheard(&self) -> Vec<OutboxEntry> {
        std::future::pending().await
    }
    /// What became of an earlier request with this key: `Repeated` or `Mismatch`; `None` when
    /// there was none. For a repeat that would be refused by now, such as one whose expiry has
    /// passed; [`MessageStore::accept`] looks by itself.
    async fn repeated(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> StoreResult<Option<Accepted>>;
    /// Everything that waits, by id; for the engine at its start.
    async fn outbox(&self) -> StoreResult<Vec<OutboxEntry>>;
    /// What waits for one device of an account, by id.
    async fn outbox_of(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<Vec<OutboxEntry>>;
    /// The file that came with a waiting message.
    async fn inline_media(&self, id: MessageId) -> StoreResult<Option<WaitingFile>>;
    /// One waiting message, whole; `None` when it does not wait any more.
    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<Message>>;
    /// Records what happened to waiting messages of a device. Unknown ids and steps that change
    /// nothing are skipped. The messages as they are now.
    async fn record(&self, progress: Vec<Progress>) -> StoreResult<Vec<Recorded>>;
    /// Records receipts for messages that have left the outbox; those that changed.
    async fn record_receipts(
        &self,
        device: DeviceId,
        ids: &[WhatsappId],
        receipt: Receipt,
        at: Timestamp,
    ) -> StoreResult<Vec<Recorded>>;
    /// Stores messages that came in; those that were new (known ones are skipped). Durable
    /// when this returns: only then may they be acknowledged to WhatsApp.
    async fn receive(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<Vec<Recorded>>;
    /// Takes note of who is who, and gives a person's stored messages one chat and one sender: those
    /// that were known by LID go by number. Who has lost a number to another person keeps what was
    /// exchanged over it, by LID. The events of persons whose messages have changed
    /// ([`Event::of_contact`]).
    async fn identify(
        &self,
        device: DeviceId,
        identities: Vec<Identity>,
        now: Timestamp,
    ) -> StoreResult<Vec<Event>>;
    /// Takes note of a second spelling of a number: what is stored under it, and what comes later, is in the
    /// chat of the number that the account has. What waits follows when it leaves the outbox.
    async fn spell(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()>;
    /// The number by which a person's chat is kept, as far as a device of the account knows it, where `chat`
    /// names the person otherwise: by LID, or by a second spelling of the number.
    async fn number_of(
        &self,
        account: AccountId,
        chat: &ChatId,
    ) -> StoreResult<Option<PhoneNumber>>;
    /// Takes chats for known that a device has not written to itself.
    async fn add_contacts(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()>;
    /// Cancels a waiting message that [`MessageStore::message`] cannot read, of an account and, where
    /// one is given, of a device; `None` when it does not wait.
    async fn cancel_unreadable(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        id: MessageId,
        now: Timestamp,
    ) -> StoreResult<Option<Recorded>> {
        // What a store keeps in memory can be read.
        let _ = (account, device, id, now);
        Ok(None)
    }
    /// One message of an account.
    async fn message(&self, account: AccountId, id: MessageId) -> StoreResult<Option<Message>>;
    /// One message of a device, by either of its ids; waiting ones by ours only. Where several have
    /// WhatsApp's id, the newest.
    async fn message_named(
        &self,
        account: AccountId,
        device: DeviceId,
        name: &MessageName,
    ) -> StoreResult<Option<Message>>;
    /// Whether the history of a device has a message with this id of WhatsApp's.
    async fn has_message(&self, device: DeviceId, id: &WhatsappId) -> StoreResult<bool>;
    /// The messages of an account, newest first; `before` is a message id. Complete at once:
    /// waiting ones included.
    async fn messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>>;
    /// The messages of an account, newest first, after the first `offset`, and how many there are.
    /// Rows beyond [`PAGE_BYTES_MAX`](super::PAGE_BYTES_MAX) are left out.
    async fn counted_messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        offset: u32,
        limit: u32,
    ) -> StoreResult<CountedPage<Message>>;
    /// How many messages of a batch are in which state; `Scheduled` and `Queued` are distinguished by `now`.
    async fn count_batch(
        &self,
        account: AccountId,
        batch: MessageBatch,
        now: Timestamp,
    ) -> StoreResult<Vec<(MessageState, i64)>>;
    /// How many messages a device has sent; waiting ones do not count.
    async fn message_counts(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<MessageCounts>;
    /// How many messages of an account, or of one of its devices, were accepted or came in, by hour, from
    /// the hour of `since` on.
    async fn usage_by_hour(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        since: Timestamp,
    ) -> StoreResult<Vec<HourUsage>>;
    /// The chats a device has written to (as sent), and how many of them first since `since`.
    async fn contacts(&self, device: DeviceId, since: Timestamp)
    -> StoreResult<(Vec<ChatId>, u32)>;
    /// Forgets idempotency keys older than [`IDEMPOTENCY_HOURS`], and everything beside the messages that is
    /// as old as those that are not kept, in bounded bites; how many rows went.
    async fn clean_up(&self, now: Timestamp, keep_messages_since: Timestamp) -> StoreResult<u64>;
    /// The oldest messages of all accounts from before `since`, not more than fit into memory; to be archived.
    async fn old_messages(&self, since: Timestamp) -> StoreResult<Vec<OldMessage>>;
    /// Deletes these messages, of whatever account; how many there were.
    async fn delete_messages(&self, ids: &[MessageId]) -> StoreResult<u64>;
    /// Deletes the messages from before `since`, in bounded bites; how many there were.
    async fn delete_old_messages(&self, since: Timestamp) -> StoreResult<u64>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Content, File};
    use crate::media::Media;
    use crate::message::TEXT_CHARS_MAX;
    use crate::message::tests::{RECEIPT, at, new_message};

    /// Accepted at 0, due at 10.
    fn waiting(is_scheduled: bool) -> Message {
        let media = Media { filename: Some("asked.bin".into()), ..Media::default() };
        let new = NewMessage {
            content: Content::File(File { kind: ContentKind::Document, caption: "".into(), media }),
            due_at: at(10),
            is_scheduled,
            expires_at: at(100),
            ..new_message()
        };
        new.accepted(MessageId(1), AccountId(1), RECEIPT, at(0))
    }

    #[test]
    fn a_repeat_reads_the_longest_text() {
        assert_eq!(REPEATED_BYTES_MAX / TEXT_CHARS_MAX, 4, "bytes of a character, at most");
    }

    #[test]
    fn what_is_due_at_once_follows_no_other_clock() {
        for (is_scheduled, attempts, due) in
            [(false, 0, [5, 10]), (false, 1, [10, 10]), (true, 0, [10, 10]), (true, 1, [10, 10])]
        {
            let message = Message { attempts, ..waiting(is_scheduled) };
            let entry = OutboxEntry::from(&message);
            let seen = [5, 15].map(|now| entry.due_from(at(now)));
            assert_eq!(seen, due.map(at), "{is_scheduled} {attempts}");
        }
    }

    /// The message after these steps, of which each takes a second.
    fn after(mut message: Message, steps: &[MessageEvent]) -> Message {
        let progress = Progress {
            id: message.id,
            steps: steps.iter().copied().zip((20..).map(at)).collect(),
            failure: Some(Failure::new("lost", "the connection was lost")),
            next_attempt_at: Some(at(60)),
            file: Some(Box::new(FileFacts {
                kind: ContentKind::Image,
                filename: None,
                mimetype: "image/png".into(),
                size: 3,
                seconds: None,
                dimensions: None,
                pages: None,
            })),
        };
        progress.apply_to(&mut message);
        message
    }

    #[test]
    fn steps_move_a_message_as_they_happened() {
        use MessageEvent::{Acknowledged, AttemptFailed, Expired, Submitted, Withdrawn};
        use MessageState as S;
        // Whether it was scheduled, the steps, the states after the first, the state that is kept, and the attempts.
        let cases: [(_, &[MessageEvent], &[S], _, _); 8] = [
            (false, &[Submitted], &[S::Sending], S::Queued, 1),
            (false, &[Submitted, AttemptFailed], &[S::Sending, S::Queued], S::Queued, 1),
            (false, &[Submitted, Acknowledged], &[S::Sending, S::Sent], S::Sent, 1),
            (false, &[Withdrawn], &[S::Cancelled], S::Cancelled, 0),
            (false, &[Acknowledged, Submitted], &[S::Sent], S::Sent, 0),
            (true, &[Submitted, Acknowledged], &[S::Queued, S::Sending, S::Sent], S::Sent, 1),
            (true, &[Withdrawn], &[S::Cancelled], S::Cancelled, 0),
            (true, &[Expired], &[S::Expired], S::Expired, 0),
        ];
        for (is_scheduled, steps, states, state, attempts) in cases {
            let message = after(waiting(is_scheduled), steps);
            let passed: Vec<_> = message.history.iter().skip(1).map(|step| step.state).collect();
            assert_eq!(passed, states, "{is_scheduled} {steps:?}");
            assert_eq!((message.state, message.attempts), (state, attempts), "{steps:?}");
            let due = if state.is_waiting() { at(60) } else { at(10) };
            assert_eq!(message.due_at, due, "{steps:?}");
        }
    }

    #[test]
    fn only_what_was_sent_is_described_by_what_went_out() {
        use MessageEvent::{Acknowledged, AttemptFailed, Submitted};
        for (end, mimetype, failure) in
            [(Acknowledged, Some("image/png"), None), (AttemptFailed, None, Some("lost"))]
        {
            let message = after(waiting(false), &[Submitted, end]);
            let media = message.media().unwrap();
            assert_eq!(media.mimetype.as_deref(), mimetype, "{end:?}");
            assert_eq!(message.kind(), ContentKind::Image, "{end:?}");
            assert_eq!(message.failure.as_ref().map(|failure| failure.code.as_str()), failure);
        }
    }
}
