//! Chats as lists show them, what was read in them, and calls.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest, StoreResult};
use crate::call::CallReport;
use crate::chat::Chat;
use crate::ids::{AccountId, DeviceId, MessageId};
use crate::message::Message;
use crate::webhook::Event;

/// The chats of devices.
#[async_trait]
pub trait ChatStore: Send + Sync {
    /// The chats of an account's devices, or of one of them, those with the newest message first;
    /// `before` is the id of a chat's last message.
    async fn chats(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
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
}
