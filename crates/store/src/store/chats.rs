//! The port of chats.

use async_trait::async_trait;
use domain::call::CallReport;
use domain::chat::Chat;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::Message;
use domain::ports::{ChatStore, Page, PageRequest, StoreResult};
use domain::webhook::Event;
use jiff::Timestamp;

use super::SqlStore;
use crate::messages::chats;

#[async_trait]
impl ChatStore for SqlStore {
    async fn chats(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<Chat>> {
        run!(self.read, chats::chats, account, device, page)
    }

    async fn mark_read(
        &self,
        account: AccountId,
        ids: &[MessageId],
        at: Timestamp,
    ) -> StoreResult<Vec<Message>> {
        let ids = ids.to_vec();
        run!(self.write, chats::mark_read, account, ids, at)
    }

    async fn report_call(&self, device: DeviceId, call: &CallReport) -> StoreResult<Vec<Event>> {
        let call = call.clone();
        run!(self.write, chats::report_call, device, call)
    }
}
