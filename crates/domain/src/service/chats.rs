//! Chats, and reading them.

use super::{Core, Principal};
use crate::chat::{Chat, ChatId};
use crate::error::{Error, Result};
use crate::ids::{DeviceId, MessageId};
use crate::message::{Direction, Message, MessageState};
use crate::phone::Recipient;
use crate::ports::{MessageFilter, Page, PageRequest};
use crate::scope::Scope;

/// Most messages of a chat that one call marks as read; older ones stay unread.
const READ_MAX: usize = 1_000;
/// Messages that are marked as read at a time.
const READ_PAGE: u32 = 100;

impl Core {
    /// The chats of the devices a caller may see, those with the newest message first.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], [`Error::NotFound`] for another's device.
    pub async fn chats(
        &self,
        principal: &Principal,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Chat>> {
        principal.require(Scope::Read)?;
        let account = principal.account_id()?;
        if let Some(device) = device {
            principal.require_device(device)?;
        }
        let device = device.or(principal.caller.bound_device());
        let mut page = self.store.chats(account, device, page).await?;
        for chat in &mut page.items {
            chat.last = chat.last.take().map(|message| self.as_seen(message));
        }
        Ok(page)
    }

    /// The chat that a caller names: by number, by LID or by a group's id.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn chat_named(&self, principal: &Principal, name: &str) -> Result<ChatId> {
        let country = &principal.account()?.default_country;
        let chat = Recipient::parse(name, country);
        chat.map(ChatId::from).map_err(|error| Error::invalid("chat", error.to_string()))
    }

    /// Marks what has come in a chat as read: its writers see it, and so does the phone. How many
    /// messages that were.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], [`Error::NotFound`], [`Error::DeviceNotConnected`], [`Error::Whatsapp`].
    pub async fn read_chat(
        &self,
        principal: &Principal,
        device: DeviceId,
        chat: ChatId,
    ) -> Result<usize> {
        principal.require(Scope::Send)?;
        let account = principal.require_device(device)?;
        self.device(principal, device).await?;
        let filter = MessageFilter {
            direction: Some(Direction::In),
            device: Some(device),
            states: vec![MessageState::Delivered],
            chat: Some(chat),
            ..MessageFilter::default()
        };
        let mut read = 0;
        while read < READ_MAX {
            let page = PageRequest { before: None, limit: READ_PAGE };
            let unread = self.store.messages(account, &filter, page).await?.items;
            if unread.is_empty() {
                break;
            }
            read += self.read(device, &unread).await?.len();
        }
        Ok(read)
    }

    /// Marks one message that came in as read.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one that was sent; else as [`Core::read_chat`].
    pub async fn read_message(&self, principal: &Principal, id: MessageId) -> Result<Message> {
        principal.require(Scope::Send)?;
        let message = self.own_message(principal, id).await?;
        if message.direction() == Direction::Out {
            return Err(Error::NotFound("received message"));
        }
        if message.state != MessageState::Delivered {
            return Ok(message);
        }
        let read = self.read(message.device_id, std::slice::from_ref(&message)).await?;
        Ok(read.into_iter().next().map_or(message, |message| self.as_seen(message)))
    }

    async fn read(&self, device: DeviceId, messages: &[Message]) -> Result<Vec<Message>> {
        let Some(first) = messages.first() else { return Ok(Vec::new()) };
        self.dispatcher.mark_read(device, messages).await?;
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        Ok(self.store.mark_read(first.account_id, &ids, self.clock.now()).await?)
    }
}
