//! Chats, counted from the messages.

use async_trait::async_trait;
use domain::call::CallReport;
use domain::chat::{Chat, ChatId};
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Direction, Message, MessageEvent, MessageState};
use domain::ports::{ChatStore, Page, PageRequest, StoreResult};
use domain::webhook::Event;
use jiff::Timestamp;
use std::collections::BTreeMap;

use super::{MemoryStore, page_of, stored};

#[async_trait]
impl ChatStore for MemoryStore {
    async fn chats(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<Chat>> {
        let state = self.state();
        let is_theirs = |message: &&Message| {
            message.account_id == account
                && device.is_none_or(|device| device == message.device_id)
                && state.devices.iter().any(|device| device.id == message.device_id)
                && !message.content.is_change()
        };
        let mut chats: BTreeMap<(String, ChatId), Chat> = BTreeMap::new();
        for message in state.history.values().filter(is_theirs) {
            let key = (message.device_id.to_string(), message.chat.clone());
            let chat = chats.entry(key).or_insert_with(|| Chat {
                account_id: account,
                device_id: message.device_id,
                chat: message.chat.clone(),
                name: None,
                unread: 0,
                last_message_id: message.id,
                last: None,
            });
            if message.direction() == Direction::In {
                chat.unread += i64::from(message.state == MessageState::Delivered);
                let name = message.context.sender_name.clone();
                chat.name = name.filter(|_| !message.chat.is_group()).or(chat.name.take());
            }
            chat.last_message_id = chat.last_message_id.max(message.id);
            chat.last = state.history.get(&chat.last_message_id).cloned();
        }
        let before = page.before.unwrap_or(i64::MAX);
        let mut chats: Vec<Chat> =
            chats.into_values().filter(|chat| chat.last_message_id.0 < before).collect();
        chats.sort_by_key(|chat| std::cmp::Reverse(chat.last_message_id));
        Ok(page_of(chats, page.limit))
    }

    async fn mark_read(
        &self,
        account: AccountId,
        ids: &[MessageId],
        at: Timestamp,
    ) -> StoreResult<Vec<Message>> {
        let mut state = self.state();
        let unread = state.history.values_mut().filter(|message| {
            message.account_id == account
                && message.direction() == Direction::In
                && ids.contains(&message.id)
        });
        let read = unread.filter_map(|message| {
            message.apply(MessageEvent::Read, stored(at), None).then(|| message.clone())
        });
        Ok(read.collect())
    }

    async fn report_call(&self, device: DeviceId, call: &CallReport) -> StoreResult<Vec<Event>> {
        let mut state = self.state();
        let device = state.devices.iter().find(|known| known.id == device);
        let events: Vec<Event> =
            device.map(|device| Event::of_call(call.clone(), device)).into_iter().collect();
        state.emit(&events);
        Ok(events)
    }
}
