//! Looking at messages, and taking them back.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;

use super::{Core, Principal};
use crate::error::{Error, Result, StoreError};
use crate::ids::DeviceId;
use crate::ids::{AccountId, MessageId};
use crate::incoming_file;
use crate::message::{Direction, Message, MessageState, Waiting};
use crate::ports::{Cancellation, CountedPage, MessageFilter, Page, PageRequest};
use crate::scope::Scope;

/// Most messages a numbered list reaches: number of the page times its length. Beyond that there are
/// the pages of `/v1`, which cost the same wherever they are.
pub const COUNTED_MESSAGES_MAX: u32 = 10_000;

/// The longest text that messages are searched for, in characters.
pub const SOUGHT_CHARS_MAX: usize = 200;

impl Core {
    /// One message the caller may see.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn message(&self, principal: &Principal, id: MessageId) -> Result<Message> {
        principal.require(Scope::Read)?;
        self.own_message(principal, id).await
    }

    /// One message of the caller's, for what is done to it.
    pub(super) async fn own_message(
        &self,
        principal: &Principal,
        id: MessageId,
    ) -> Result<Message> {
        let message = self.store.message(principal.account_id()?, id).await?;
        message
            .filter(|message| principal.require_device(message.device_id).is_ok())
            .map(|message| self.as_seen(message))
            .ok_or(Error::NotFound("message"))
    }

    /// The messages the caller may see, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] for another device's filter under a device token.
    pub async fn messages(
        &self,
        principal: &Principal,
        mut filter: MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>> {
        principal.require(Scope::Read)?;
        let account = self.check_filter(principal, &mut filter).await?;
        let page = self.store.messages(account, &filter, page).await?;
        let Page { items, has_more, looked_to } = page;
        let items = items.into_iter().map(|message| self.as_seen(message)).collect();
        Ok(Page { items, has_more, looked_to })
    }

    /// What those of some messages wait for that wait, as far as that is known.
    pub async fn waiting<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> HashMap<MessageId, Waiting> {
        let mut by_device: BTreeMap<DeviceId, Vec<MessageId>> = BTreeMap::new();
        let waiting = messages.into_iter().filter(|message| {
            matches!(message.state, MessageState::Scheduled | MessageState::Queued)
        });
        for message in waiting {
            by_device.entry(message.device_id).or_default().push(message.id);
        }
        let asked = by_device.into_iter().map(|(id, ids)| self.dispatcher.waiting(id, ids));
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// A numbered page of the messages the caller may see, newest first; pages count from 1.
    ///
    /// # Errors
    /// As [`Core::messages`], and [`Error::Invalid`] for a page beyond [`COUNTED_MESSAGES_MAX`].
    pub async fn counted_messages(
        &self,
        principal: &Principal,
        mut filter: MessageFilter,
        page: u32,
        limit: u32,
    ) -> Result<CountedPage<Message>> {
        principal.require(Scope::Read)?;
        if page == 0 {
            return Err(Error::invalid("page", "must be at least 1"));
        }
        if page.checked_mul(limit).is_none_or(|reach| reach > COUNTED_MESSAGES_MAX) {
            let message = format!("page times limit must be at most {COUNTED_MESSAGES_MAX}");
            return Err(Error::invalid("page", message));
        }
        let account = self.check_filter(principal, &mut filter).await?;
        let offset = (page - 1) * limit;
        let mut page = self.store.counted_messages(account, &filter, offset, limit).await?;
        page.items = page.items.into_iter().map(|message| self.as_seen(message)).collect();
        Ok(page)
    }

    async fn check_filter(
        &self,
        principal: &Principal,
        filter: &mut MessageFilter,
    ) -> Result<AccountId> {
        let account = principal.account_id()?;
        match filter.device {
            Some(device) => drop(self.remembered_device(principal, device).await?),
            None => filter.device = principal.caller.bound_device(),
        }
        let is_long = |text: &String| !(1..=SOUGHT_CHARS_MAX).contains(&text.chars().count());
        if filter.text.as_ref().is_some_and(is_long) {
            let message = format!("must have 1 to {SOUGHT_CHARS_MAX} characters");
            return Err(Error::invalid("q", message));
        }
        filter.now = Some(self.clock.now());
        Ok(account)
    }

    /// Takes a message back before it is sent.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotWaiting`] when it has left or ended.
    pub async fn cancel_message(&self, principal: &Principal, id: MessageId) -> Result<Message> {
        principal.require(Scope::Send)?;
        self.store.make_room().await;
        let message = match self.own_message(principal, id).await {
            Err(Error::Store(StoreError::Fault(why))) => {
                return self.cancel_unreadable(principal, id, StoreError::Fault(why)).await;
            }
            message => message?,
        };
        if message.direction() == Direction::In || !message.state.is_waiting() {
            return Err(Error::NotWaiting(id));
        }
        match self.dispatcher.cancel(message.device_id, id).await? {
            Cancellation::Cancelled(message) => Ok(*message),
            Cancellation::TooLate => Err(Error::NotWaiting(id)),
        }
    }

    /// Cancels a message by its id alone; the queue drops it when it cannot load it.
    async fn cancel_unreadable(
        &self,
        principal: &Principal,
        id: MessageId,
        error: StoreError,
    ) -> Result<Message> {
        let (account, device) = (principal.account_id()?, principal.caller.bound_device());
        let now = self.clock.now();
        let cancelled = self.store.cancel_unreadable(account, device, id, now).await?;
        cancelled.map(|cancelled| cancelled.message).ok_or(Error::Store(error))
    }

    /// Adds what only memory, the clock and the settings know: that a message is being sent, or is due by
    /// now; the address of its file.
    pub(super) fn as_seen(&self, mut message: Message) -> Message {
        let (account, id, created_at) = (message.account_id, message.id, message.created_at);
        incoming_file::link(&mut message.content, &*self.links, account, id, created_at);
        if message.state.is_waiting() {
            if self.dispatcher.is_sending(message.device_id, message.id) {
                message.state = MessageState::Sending;
            } else if message.state == MessageState::Scheduled && message.due_at <= self.clock.now()
            {
                message.state = MessageState::Queued;
            }
        }
        message
    }
}
