//! Chats as lists show them, what was read in them, and calls.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest, StoreResult};
use crate::call::CallReport;
use crate::chat::{Chat, ChatFacts, ChatId};
use crate::contact::KnownPerson;
use crate::group::GroupReport;
use crate::ids::{AccountId, DeviceId, MessageId};
use crate::message::{IncomingMessage, Message};
use crate::webhook::Event;

/// Which chats a list is of.
#[derive(Debug, Clone, Default)]
pub struct ChatFilter {
    /// Only this device's.
    pub device: Option<DeviceId>,
    /// Only this one.
    pub chat: Option<ChatId>,
    /// Only those with something unread.
    pub is_unread: bool,
    /// Only those whose name or address contains this, in any case of its letters; empty for all.
    pub search: String,
}

/// The chats of devices.
#[async_trait]
pub trait ChatStore: Send + Sync {
    /// The chats of an account's devices, those with the newest message first; `before` is the id of
    /// a chat's last message.
    async fn chats(
        &self,
        account: AccountId,
        filter: &ChatFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Chat>>;
    /// Records that messages of an account that came in were read here: as they are now, those that
    /// had not been read.
    async fn mark_read(
        &self,
        account: AccountId,
        ids: &[MessageId],
        at: Timestamp,
    ) -> StoreResult<Vec<Message>>;
    /// Emits that a call came in to a device ([`Event::of_call`]).
    async fn report_call(&self, device: DeviceId, call: &CallReport) -> StoreResult<Vec<Event>>;
    /// Emits that a group has changed ([`Event::of_group`]), and keeps what of it belongs to its chat.
    async fn report_group(&self, device: DeviceId, report: &GroupReport)
    -> StoreResult<Vec<Event>>;
    /// Keeps what is known of a chat; false when there is no such chat.
    async fn describe_chat(
        &self,
        device: DeviceId,
        chat: &ChatId,
        facts: &ChatFacts,
    ) -> StoreResult<bool>;
    /// Whether it is known of a chat if the device may write there; `None` when there is no such chat.
    async fn is_described(&self, device: DeviceId, chat: &ChatId) -> StoreResult<Option<bool>>;
    /// The people that an account's devices know, or one of them, those who became known last first;
    /// `before` is [`KnownPerson::id`].
    async fn people_known(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<KnownPerson>>;
    /// The oldest message of a chat that WhatsApp has.
    async fn oldest_message(
        &self,
        account: AccountId,
        device: DeviceId,
        chat: &ChatId,
    ) -> StoreResult<Option<Message>>;
    /// Stores messages from before all others of their chats, newest first, and without events: those
    /// that came in count as read, and their files are fetched on demand. How many were not known.
    async fn receive_history(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<u64>;
}
