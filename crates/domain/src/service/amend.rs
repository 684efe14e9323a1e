//! Editing messages that were sent, and deleting them for everyone.
//!
//! A change goes out as a message of its own, so that what holds for messages holds for it: it is durable,
//! keeps the order of its chat, is paced, retried and charged.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::content::check_text;
use super::context::check_mentions;
use super::send::{check_idempotency_key, key_of};
use super::{AcceptedMessages, Core, Principal};
use crate::content::{Content, ContentKind};
use crate::context::{Context, Mentions, Quote};
use crate::error::{Error, Result};
use crate::ids::{MessageId, WhatsappId};
use crate::message::{AMEND_MAX, Direction, Message, MessageState, NewMessage, REVOKE_MAX};
use crate::ports::{Cancellation, IdempotencyKey, MessageFilter, PageRequest};
use crate::scope::Scope;

/// What became of a message that was to be deleted for everyone.
#[derive(Debug, Clone)]
pub enum Revocation {
    /// It still waited, and is cancelled.
    Cancelled(Box<Message>),
    /// The deletion is accepted as a message of its own.
    Accepted(AcceptedMessages),
}

/// How many of the edits that wait are read at once, and how often.
const EDITS_PAGE: u32 = 100;
const EDITS_PAGES_MAX: usize = 10;

const OF_OTHERS: &str = "another person sent it";
const NOT_SENT: &str = "it has not been sent";
const IS_REVOKED: &str = "it has been deleted for everyone";
const NO_TEXT: &str = "it has no text and no caption that phones show";
const TOO_OLD_TO_EDIT: &str = "it was sent more than 15 minutes ago";
const TOO_OLD_TO_REVOKE: &str = "it was sent more than 60 hours ago";
const LEAVES_NOW: &str = "it is being sent at this moment; try again in a few seconds";
const IS_CHANGE: &str = "it is itself a change of another message";

impl Core {
    /// Accepts another text for a message that was sent. It mentions those who are given, as in [`Core::send`];
    /// where none are given, those of the newest text's who are still called in it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotEditable`], [`Error::Invalid`] for the text and the mentions, and what
    /// [`Core::send`] answers.
    pub async fn edit_message(
        &self,
        principal: &Principal,
        id: MessageId,
        text: Arc<str>,
        mentions: Option<Vec<String>>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages> {
        principal.require(Scope::Send)?;
        let target = self.own_message(principal, id).await?;
        let content = Content::Edit(check_text(text)?);
        let now = self.clock.now();
        // To look for other edits is to read all that waits, of every account.
        let may_inherit = (target.chat.is_group() || content.text().contains('@'))
            && editable(&target, now).is_ok();
        let mentions = match mentions {
            Some(given) => check_mentions(principal.account()?, &target.chat, &given, &content)?,
            None if may_inherit => self.newest_mentions(&target).await?.still_in(content.text()),
            None => Mentions::default(),
        };
        let amending = Amending { target, content, mentions, until: AMEND_MAX };
        self.accept_change(principal, amending, idempotency, now, editable).await
    }

    /// Whom the newest text of a message mentions: that of its newest edit that waits, or its own, also where more
    /// other edits wait than are read.
    async fn newest_mentions(&self, target: &Message) -> Result<Mentions> {
        // Not by chat: what waits is still in the chat that it was accepted for.
        let waiting_edits = MessageFilter {
            direction: Some(Direction::Out),
            device: Some(target.device_id),
            states: vec![MessageState::Scheduled, MessageState::Queued],
            kinds: vec![ContentKind::Edit],
            ..MessageFilter::default()
        };
        let is_its = |edit: &&Message| {
            let edited = edit.context.reply_to.as_ref();
            edited.is_some_and(|edited| edited.whatsapp_id == target.whatsapp_id)
        };
        let mut page = PageRequest { before: None, limit: EDITS_PAGE };
        for _ in 0..EDITS_PAGES_MAX {
            let found = self.store.messages(target.account_id, &waiting_edits, page).await?;
            if let Some(edit) = found.items.iter().find(is_its) {
                return Ok(edit.context.mentions.clone());
            }
            page.before = found.next(|edit| edit.id.0);
            if page.before.is_none() {
                break;
            }
        }
        Ok(target.context.mentions.clone())
    }

    /// Deletes a message for everyone; one that still waits is cancelled.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotRevocable`], and what [`Core::send`] answers.
    pub async fn revoke_message(
        &self,
        principal: &Principal,
        id: MessageId,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Revocation> {
        principal.require(Scope::Send)?;
        let target = self.own_message(principal, id).await?;
        if target.direction() == Direction::Out && target.state.is_waiting() {
            return match self.dispatcher.cancel(target.device_id, id).await? {
                Cancellation::Cancelled(message) => Ok(Revocation::Cancelled(message)),
                Cancellation::TooLate => Err(Error::NotRevocable(LEAVES_NOW)),
            };
        }
        let now = self.clock.now();
        let (content, mentions) = (Content::Revoke, Mentions::default());
        let amending = Amending { target, content, mentions, until: REVOKE_MAX };
        let accepted = self.accept_change(principal, amending, idempotency, now, revocable);
        Ok(Revocation::Accepted(accepted.await?))
    }

    async fn accept_change(
        &self,
        principal: &Principal,
        amending: Amending,
        idempotency: Option<IdempotencyKey>,
        now: Timestamp,
        check: impl Fn(&Message, Timestamp) -> Result<()>,
    ) -> Result<AcceptedMessages> {
        let idempotency = idempotency.map(|key| key_of(principal, key));
        if let Some(key) = &idempotency {
            check_idempotency_key(&key.key)?;
        }
        if let Err(refused) = check(&amending.target, now) {
            // What was accepted once may be out of date by now; the first answer still holds.
            let Some(key) = &idempotency else { return Err(refused) };
            let earlier = self.store.repeated(principal.account()?.id, key, now).await?;
            return self.announce(earlier.ok_or(refused)?);
        }
        let device = self.remembered_device(principal, amending.target.device_id).await?;
        if !device.status.is_paired() {
            return Err(Error::DeviceNotConnected(device.status.as_str()));
        }
        self.require_room().await?;
        let whatsapp_id = WhatsappId::from_random(self.random());
        self.accept(principal, vec![amending.message(whatsapp_id, now)], idempotency, now).await
    }
}

/// A change of a message, on its way to be accepted.
struct Amending {
    target: Message,
    content: Content,
    /// Whom its text mentions.
    mentions: Mentions,
    /// How long after the message was sent phones apply it.
    until: SignedDuration,
}

impl Amending {
    fn message(self, whatsapp_id: WhatsappId, now: Timestamp) -> NewMessage {
        let sent_at = self.target.reached_or_passed(MessageState::Sent).unwrap_or(now);
        let expires_at = sent_at.saturating_add(self.until).unwrap_or(Timestamp::MAX);
        let reply_to = Some(Quote::of(&self.target));
        NewMessage {
            device_id: self.target.device_id,
            chat: self.target.chat,
            typing: matches!(self.content, Content::Edit(_)),
            content: self.content,
            context: Context { reply_to, mentions: self.mentions, ..Context::default() },
            inline_file: None,
            whatsapp_id,
            priority: 0,
            due_at: now,
            is_scheduled: false,
            expires_at,
            retry_interval_s: None,
        }
    }
}

fn editable(message: &Message, now: Timestamp) -> Result<()> {
    let has_text = message.content.editable_text().is_some();
    let obstacle = obstacle(message, now, AMEND_MAX, TOO_OLD_TO_EDIT)
        .or_else(|| (!has_text).then_some(NO_TEXT));
    obstacle.map_or(Ok(()), |why| Err(Error::NotEditable(why)))
}

fn revocable(message: &Message, now: Timestamp) -> Result<()> {
    let obstacle = obstacle(message, now, REVOKE_MAX, TOO_OLD_TO_REVOKE);
    obstacle.map_or(Ok(()), |why| Err(Error::NotRevocable(why)))
}

/// Why a message can be changed no more.
fn obstacle(
    message: &Message,
    now: Timestamp,
    within: SignedDuration,
    too_old: &'static str,
) -> Option<&'static str> {
    if message.direction() == Direction::In {
        return Some(OF_OTHERS);
    }
    let Some(sent_at) = message.reached_or_passed(MessageState::Sent) else {
        return Some(NOT_SENT);
    };
    if message.content.is_change() {
        return Some(IS_CHANGE);
    }
    if message.context.changes.revoked_at.is_some() {
        return Some(IS_REVOKED);
    }
    (now.duration_since(sent_at) >= within).then_some(too_old)
}
