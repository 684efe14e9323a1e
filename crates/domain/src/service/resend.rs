//! Sending again what was not sent, and acts on all messages that match a filter.

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use super::send::{check_features, check_idempotency_key, key_of};
use super::{AcceptedMessages, Core, Principal};
use crate::content::Content;
use crate::context::{Changes, Context};
use crate::error::{Error, Result};
use crate::ids::{MessageId, WhatsappId};
use crate::message::{BATCH_MESSAGES_MAX, Direction, Message, MessageState, NewMessage, Origin};
use crate::policy::retry::EXPIRY_DEFAULT;
use crate::ports::{IdempotencyKey, MessageFilter, PageRequest};
use crate::scope::Scope;

/// Most messages that one act cancels.
pub const CANCELLED_MAX: usize = 10_000;
/// Messages that are read at a time.
const PAGE_ROWS: u32 = 500;
/// Messages that are cancelled at a time: they share commits.
const CANCELLED_AT_ONCE: usize = 32;

const WAS_SENT: &str = "only a message that failed, expired or was cancelled can be sent again";
const FILE_IS_GONE: &str = "the file came with the request and is kept no longer; send it anew";
const IS_CHANGE: &str = "it is itself a change of another message";
const TOO_MANY: &str = "more than 1,000 messages match; narrow the filter";
const _: () = assert!(BATCH_MESSAGES_MAX == 1_000, "the text above says so");

/// What became of an act on all messages that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOutcome {
    /// With how many it was done.
    pub done: usize,
    /// How many it was not possible with, such as those that have left meanwhile.
    pub skipped: usize,
    /// Whether there may be more: the act is to be repeated.
    pub has_more: bool,
}

/// States of which messages can be cancelled.
pub const CANCELLABLE: [MessageState; 2] = [MessageState::Scheduled, MessageState::Queued];
/// States of which messages can be sent again.
pub const RESENDABLE: [MessageState; 3] =
    [MessageState::Failed, MessageState::Expired, MessageState::Cancelled];

/// Why a message cannot be sent again; `None` when it can.
pub fn not_resendable(message: &Message) -> Option<&'static str> {
    let is_ours = matches!(message.origin, Origin::Api(_));
    if !is_ours || !RESENDABLE.contains(&message.state) {
        return Some(WAS_SENT);
    }
    match &message.content {
        Content::Edit(_) | Content::Revoke | Content::Unsupported(_) => Some(IS_CHANGE),
        Content::File(file) if file.media.url.is_none() => Some(FILE_IS_GONE),
        _ => None,
    }
}

/// The part of a filter that an act may be on: what was sent, in one of these states.
fn narrowed(filter: &MessageFilter, states: &[MessageState]) -> MessageFilter {
    let is_wanted = |s: &MessageState| filter.states.is_empty() || filter.states.contains(s);
    let states: Vec<MessageState> = states.iter().copied().filter(is_wanted).collect();
    MessageFilter { direction: Some(Direction::Out), states, ..filter.clone() }
}

impl Core {
    /// Accepts a message again that was not sent, as a message of its own.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it cannot be sent again, and what [`Core::send`]
    /// answers.
    pub async fn resend_message(
        &self,
        principal: &Principal,
        id: MessageId,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages> {
        principal.require(Scope::Send)?;
        let message = self.own_message(principal, id).await?;
        if let Some(why) = not_resendable(&message) {
            return Err(Error::Conflict(why));
        }
        self.accept_again(principal, vec![message], idempotency).await
    }

    async fn accept_again(
        &self,
        principal: &Principal,
        messages: Vec<Message>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages> {
        let idempotency = idempotency.map(|key| key_of(principal, key));
        if let Some(key) = &idempotency {
            check_idempotency_key(&key.key)?;
        }
        let (now, plan) = (self.clock.now(), principal.plan()?);
        let mut again = Vec::with_capacity(messages.len());
        for message in messages {
            let device = self.remembered_device(principal, message.device_id).await?;
            if !device.status.is_paired() {
                return Err(Error::DeviceNotConnected(device.status.as_str()));
            }
            let whatsapp_id = WhatsappId::from_random(self.random());
            again.push(check_features(anew(message, whatsapp_id, now), plan)?);
        }
        self.require_room().await?;
        self.accept(principal, again, idempotency, now).await
    }

    /// How many messages an act on those that match would be on.
    ///
    /// # Errors
    /// As [`Core::messages`].
    pub async fn count_for_act(
        &self,
        principal: &Principal,
        filter: &MessageFilter,
        states: &[MessageState],
    ) -> Result<i64> {
        let filter = narrowed(filter, states);
        if filter.states.is_empty() {
            return Ok(0);
        }
        Ok(self.counted_messages(principal, filter, 1, 1).await?.total)
    }

    /// Cancels the messages that match and still wait, the newest [`CANCELLED_MAX`] of them.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], and the store's; those before it are cancelled.
    pub async fn cancel_matching(
        &self,
        principal: &Principal,
        filter: &MessageFilter,
    ) -> Result<BatchOutcome> {
        principal.require(Scope::Send)?;
        let filter = narrowed(filter, &CANCELLABLE);
        let mut outcome = BatchOutcome { done: 0, skipped: 0, has_more: !filter.states.is_empty() };
        let mut page = PageRequest { before: None, limit: PAGE_ROWS };
        while outcome.has_more && outcome.done + outcome.skipped < CANCELLED_MAX {
            let found = self.messages(principal, filter.clone(), page).await?;
            let ids: Vec<MessageId> = found.items.iter().map(|message| message.id).collect();
            let cancelling = ids.into_iter().map(|id| self.cancel_message(principal, id));
            let results: Vec<Result<Message>> =
                stream::iter(cancelling).buffer_unordered(CANCELLED_AT_ONCE).collect().await;
            for result in results {
                match result {
                    Ok(_) => outcome.done += 1,
                    Err(Error::NotWaiting(_) | Error::NotFound(_)) => outcome.skipped += 1,
                    Err(error) => return Err(error),
                }
            }
            page.before = found.next(|message| message.id.0);
            outcome.has_more = found.has_more;
        }
        Ok(outcome)
    }

    /// Accepts all messages again that match and were not sent, in one commit: all that can be, or none.
    ///
    /// # Errors
    /// [`Error::Conflict`] for more than [`BATCH_MESSAGES_MAX`], and as [`Core::resend_message`].
    pub async fn resend_matching(
        &self,
        principal: &Principal,
        filter: &MessageFilter,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<BatchOutcome> {
        principal.require(Scope::Send)?;
        let filter = narrowed(filter, &RESENDABLE);
        let mut page = PageRequest { before: None, limit: PAGE_ROWS };
        let (mut messages, mut skipped) = (Vec::new(), 0);
        while !filter.states.is_empty() {
            let found = self.messages(principal, filter.clone(), page).await?;
            page.before = found.next(|message| message.id.0);
            for message in found.items {
                match not_resendable(&message) {
                    None => messages.push(message),
                    Some(_) => skipped += 1,
                }
            }
            if messages.len() > BATCH_MESSAGES_MAX {
                return Err(Error::Conflict(TOO_MANY));
            }
            if page.before.is_none() {
                break;
            }
        }
        // The oldest first, as they were sent.
        messages.reverse();
        let done = messages.len();
        if done > 0 {
            self.accept_again(principal, messages, idempotency).await?;
        }
        Ok(BatchOutcome { done, skipped, has_more: false })
    }
}

/// A message as it was asked for, to be sent at once.
fn anew(message: Message, whatsapp_id: WhatsappId, now: Timestamp) -> NewMessage {
    NewMessage {
        device_id: message.device_id,
        chat: message.chat,
        content: message.content,
        context: Context { changes: Changes::default(), ..message.context },
        inline_file: None,
        whatsapp_id,
        typing: message.typing,
        priority: message.priority,
        due_at: now,
        is_scheduled: false,
        expires_at: now.saturating_add(EXPIRY_DEFAULT).unwrap_or(Timestamp::MAX),
        retry_interval_s: message.retry_interval_s,
    }
}
