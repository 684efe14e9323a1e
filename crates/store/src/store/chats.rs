//! The port of chats.

use async_trait::async_trait;
use domain::call::CallReport;
use domain::chat::{Chat, ChatFacts, ChatId};
use domain::contact::KnownPerson;
use domain::group::GroupReport;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{IncomingMessage, Message};
use domain::ports::{ChatFilter, ChatStore, Page, PageRequest, StoreResult};
use domain::webhook::Event;
use jiff::Timestamp;

use super::SqlStore;
use crate::messages::{chats, history, people_known};

#[async_trait]
impl ChatStore for SqlStore {
    async fn chats(
        &self,
        account: AccountId,
        filter: &ChatFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Chat>> {
        let filter = filter.clone();
        run!(self.read, chats::chats, account, filter, page)
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

    async fn report_group(
        &self,
        device: DeviceId,
        report: &GroupReport,
    ) -> StoreResult<Vec<Event>> {
        let report = report.clone();
        run!(self.write, chats::report_group, device, report)
    }

    async fn describe_chat(
        &self,
        device: DeviceId,
        chat: &ChatId,
        facts: &ChatFacts,
    ) -> StoreResult<bool> {
        let (chat, facts) = (chat.clone(), facts.clone());
        run!(self.write, chats::describe, device, chat, facts)
    }

    async fn is_described(&self, device: DeviceId, chat: &ChatId) -> StoreResult<Option<bool>> {
        let chat = chat.clone();
        run!(self.look_up, chats::is_described, device, chat)
    }

    async fn people_known(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<KnownPerson>> {
        run!(self.read, people_known::list, account, device, page)
    }

    async fn oldest_message(
        &self,
        account: AccountId,
        device: DeviceId,
        chat: &ChatId,
    ) -> StoreResult<Option<Message>> {
        let chat = chat.clone();
        run!(self.read, history::oldest, account, device, chat)
    }

    async fn receive_history(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<u64> {
        run!(self.write, history::receive, device, messages, now)
    }
}
