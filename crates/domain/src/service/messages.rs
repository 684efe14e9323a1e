//! Looking at messages, and taking them back.

use super::{Core, Session};
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::message::{Direction, Message, MessageState};
use crate::ports::{Cancellation, MessageFilter, Page, PageRequest};

impl Core {
    /// One message the caller may see.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn message(&self, session: &Session, id: MessageId) -> Result<Message> {
        let message = self.store.message(session.account_id()?, id).await?;
        message
            .filter(|message| session.require_device(message.device_id).is_ok())
            .map(|message| self.as_seen(message))
            .ok_or(Error::NotFound("message"))
    }

    /// The messages the caller may see, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] for another device's filter under a device token.
    pub async fn messages(
        &self,
        session: &Session,
        mut filter: MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>> {
        let account = session.account_id()?;
        match filter.device {
            Some(device) => drop(self.device(session, device).await?),
            None => filter.device = session.caller.bound_device(),
        }
        filter.now = Some(self.clock.now());
        let page = self.store.messages(account, &filter, page).await?;
        let items = page.items.into_iter().map(|message| self.as_seen(message)).collect();
        Ok(Page { items, has_more: page.has_more })
    }

    /// Takes a message back before it is sent.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotWaiting`] when it has left or ended.
    pub async fn cancel_message(&self, session: &Session, id: MessageId) -> Result<Message> {
        let message = self.message(session, id).await?;
        if message.direction == Direction::In || !message.state.is_waiting() {
            return Err(Error::NotWaiting(id));
        }
        match self.dispatcher.cancel(message.device_id, id).await? {
            Cancellation::Cancelled(message) => Ok(*message),
            Cancellation::TooLate => Err(Error::NotWaiting(id)),
        }
    }

    /// Adds what only memory and the clock know: that a message is being sent, or is due by now.
    fn as_seen(&self, mut message: Message) -> Message {
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
