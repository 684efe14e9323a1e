//! Chats, and reading them.

use super::{Core, Principal};
use crate::chat::{Chat, ChatId};
use crate::contact::KnownPerson;
use crate::device::DeviceStatus;
use crate::error::{Error, Result};
use crate::ids::{DeviceId, MessageId};
use crate::message::{Direction, Message, MessageState};
use crate::phone::Recipient;
use crate::ports::{ChatFilter, MessageFilter, Page, PageRequest};
use crate::scope::Scope;

/// Most messages of a chat that one call marks as read; older ones stay unread.
const READ_MAX: usize = 1_000;
/// Messages that are marked as read at a time.
const READ_PAGE: u32 = 100;
/// Most messages that the phone is asked for at a time; it gives no more.
const HISTORY_MAX: u32 = 500;
const NO_MESSAGE: &str = "no message of this chat is known: the phone gives what came before one";

impl Core {
    /// The chats of the devices a caller may see, those with the newest message first.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], [`Error::NotFound`] for another's device.
    pub async fn chats(
        &self,
        principal: &Principal,
        mut filter: ChatFilter,
        page: PageRequest,
    ) -> Result<Page<Chat>> {
        principal.require(Scope::Read)?;
        let account = principal.account_id()?;
        if let Some(device) = filter.device {
            principal.require_device(device)?;
        }
        filter.device = filter.device.or(principal.caller.bound_device());
        let mut page = self.store.chats(account, &filter, page).await?;
        for chat in &mut page.items {
            chat.last = chat.last.take().map(|message| self.as_seen(message));
        }
        Ok(page)
    }

    /// One chat of a device, as lists show it.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], [`Error::NotFound`].
    pub async fn chat(
        &self,
        principal: &Principal,
        device: DeviceId,
        chat: ChatId,
    ) -> Result<Chat> {
        self.remembered_device(principal, device).await?;
        let filter = ChatFilter { device: Some(device), chat: Some(chat), ..ChatFilter::default() };
        let page = PageRequest { before: None, limit: 1 };
        let found = self.chats(principal, filter, page).await?.items.pop();
        found.ok_or(Error::NotFound("chat"))
    }

    /// The chat that a caller names: by number, by LID or by a group's id. A person whose number is known
    /// has one chat, by the number that WhatsApp knows, whichever name or spelling is given.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub async fn chat_named(&self, principal: &Principal, name: &str) -> Result<ChatId> {
        let account = principal.account()?;
        let chat = Recipient::parse(name, &account.default_country);
        let chat = chat.map(ChatId::from);
        let chat = chat.map_err(|error| Error::invalid("chat", error.to_string()))?;
        let phone = self.store.number_of(account.id, &chat).await?;
        Ok(phone.map_or(chat, ChatId::Person))
    }

    /// The people that the devices know that a caller may see, those who became known last first.
    ///
    /// # Errors
    /// As [`Core::chats`].
    pub async fn people_known(
        &self,
        principal: &Principal,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<KnownPerson>> {
        principal.require(Scope::Read)?;
        let account = principal.account_id()?;
        if let Some(device) = device {
            principal.require_device(device)?;
        }
        let device = device.or(principal.caller.bound_device());
        Ok(self.store.people_known(account, device, page).await?)
    }

    /// Asks the phone for messages of a chat from before the oldest one that is known, and waits a while
    /// for them: how many were stored; `None` when the phone has not answered yet.
    ///
    /// # Errors
    /// [`Error::ScopeMissing`], [`Error::NotFound`], [`Error::Invalid`], [`Error::Conflict`] when no message
    /// of the chat is known, [`Error::DeviceNotConnected`], [`Error::Whatsapp`], [`Error::TooManyWaits`].
    pub async fn ask_history(
        &self,
        principal: &Principal,
        device: DeviceId,
        chat: ChatId,
        count: u32,
    ) -> Result<Option<u64>> {
        principal.require(Scope::Send)?;
        if !(1..=HISTORY_MAX).contains(&count) {
            return Err(Error::invalid("count", format!("must be 1 to {HISTORY_MAX}")));
        }
        let account = principal.require_device(device)?;
        let status = self.device(principal, device).await?.status;
        if status != DeviceStatus::Connected {
            return Err(Error::DeviceNotConnected(status.as_str()));
        }
        self.require_room().await?;
        let oldest = self.store.oldest_message(account, device, &chat).await?;
        let oldest = oldest.ok_or(Error::Conflict(NO_MESSAGE))?;
        let _wait = self.waits.enter(account, None)?;
        self.dispatcher.ask_history(device, &oldest, count).await
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
        self.remembered_device(principal, device).await?;
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
