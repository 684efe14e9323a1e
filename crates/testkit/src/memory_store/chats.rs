//! Chats, counted from the messages.

use async_trait::async_trait;
use domain::call::CallReport;
use domain::chat::{Chat, ChatFacts, ChatId, Lid};
use domain::contact::KnownPerson;
use domain::group::GroupReport;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Address, Direction, IncomingMessage, Message, MessageEvent, MessageState};
use domain::phone::PhoneNumber;
use domain::ports::{ChatFilter, ChatStore, Page, PageRequest, StoreResult};
use domain::webhook::Event;
use jiff::Timestamp;
use std::collections::BTreeMap;

use super::{MemoryStore, State, page_of, stored};

#[async_trait]
impl ChatStore for MemoryStore {
    async fn chats(
        &self,
        account: AccountId,
        filter: &ChatFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Chat>> {
        let state = self.state();
        let is_theirs = |message: &&Message| {
            message.account_id == account
                && filter.device.is_none_or(|device| device == message.device_id)
                && filter.chat.as_ref().is_none_or(|chat| *chat == message.chat)
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
                ephemeral_s: 0,
                can_send: None,
                last_message_id: message.id,
                last: None,
            });
            if message.direction() == Direction::In {
                chat.unread += i64::from(message.is_unread());
                let name = message.context.sender_name.clone().filter(|_| message.id.0 > 0);
                chat.name = name.filter(|_| !message.chat.is_group()).or(chat.name.take());
            }
            chat.last_message_id = chat.last_message_id.max(message.id);
            chat.last = state.history.get(&chat.last_message_id).cloned();
        }
        for chat in chats.values_mut() {
            let key = (chat.device_id, chat.chat.clone());
            let Some(facts) = state.chat_facts.get(&key).cloned() else { continue };
            chat.name = chat.name.take().or(facts.name);
            chat.ephemeral_s = facts.ephemeral_s.unwrap_or_default();
            chat.can_send = facts.can_send;
        }
        let before = page.before.unwrap_or(i64::MAX);
        let search = filter.search.trim().trim_start_matches('+').to_lowercase();
        let is_listed = |chat: &Chat| {
            let name = chat.name.as_deref().unwrap_or_default().to_lowercase();
            chat.last_message_id.0 < before
                && !(filter.is_unread && chat.unread == 0)
                && (name.contains(&search) || chat.chat.to_string().contains(&search))
        };
        let mut chats: Vec<Chat> = chats.into_values().filter(is_listed).collect();
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
        state.fence(device)?;
        let device = state.devices.iter().find(|known| known.id == device);
        let events: Vec<Event> =
            device.map(|device| Event::of_call(call.clone(), device)).into_iter().collect();
        state.emit(&events);
        Ok(events)
    }

    async fn report_group(
        &self,
        device: DeviceId,
        report: &GroupReport,
    ) -> StoreResult<Vec<Event>> {
        let mut report = report.clone();
        report.clean();
        let mut state = self.state();
        let Some(owner) = state.devices.iter().find(|known| known.id == device).cloned() else {
            return Ok(Vec::new());
        };
        let facts = report.facts(&owner.address());
        state.describe(device, &ChatId::Group(report.group.clone()), &facts);
        let events = vec![Event::of_group(report, &owner)];
        state.emit(&events);
        Ok(events)
    }

    async fn describe_chat(
        &self,
        device: DeviceId,
        chat: &ChatId,
        facts: &ChatFacts,
    ) -> StoreResult<bool> {
        Ok(self.state().describe(device, chat, facts))
    }

    async fn is_described(&self, device: DeviceId, chat: &ChatId) -> StoreResult<Option<bool>> {
        let state = self.state();
        let facts = state.chat_facts.get(&(device, chat.clone()));
        let is_known = facts.is_some_and(|facts| facts.can_send.is_some());
        Ok(state.has_chat(device, chat).then_some(is_known))
    }

    async fn people_known(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<KnownPerson>> {
        let state = self.state();
        let is_theirs = |message: &&Message| {
            message.account_id == account
                && device.is_none_or(|device| device == message.device_id)
                && state.devices.iter().any(|device| device.id == message.device_id)
        };
        let mut people: Vec<KnownPerson> = Vec::new();
        for message in state.history.values().filter(is_theirs) {
            let Some(who) = state.person_of(message) else { continue };
            let name = message.context.sender_name.clone().filter(|_| message.id.0 > 0);
            let is_it = |known: &&mut KnownPerson| {
                known.device == message.device_id && known.who.is_same(&who)
            };
            match people.iter_mut().find(is_it) {
                Some(known) => known.name = name.or(known.name.take()),
                None => {
                    let (id, device) = (message.id.0, message.device_id);
                    people.push(KnownPerson { id, device, who, name });
                }
            }
        }
        let before = page.before.unwrap_or(i64::MAX);
        people.retain(|person| person.id < before);
        people.sort_by_key(|person| std::cmp::Reverse(person.id));
        Ok(page_of(people, page.limit))
    }

    async fn oldest_message(
        &self,
        account: AccountId,
        device: DeviceId,
        chat: &ChatId,
    ) -> StoreResult<Option<Message>> {
        use MessageState::{Delivered, Played, Read, Sent};
        let is_there = |message: &&Message| {
            message.account_id == account
                && message.device_id == device
                && message.chat == *chat
                && matches!(message.state, Sent | Delivered | Read | Played)
        };
        Ok(self.state().history.values().find(is_there).cloned())
    }

    async fn receive_history(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<u64> {
        let mut state = self.state();
        let owner = state.devices.iter().find(|known| known.id == device);
        let Some(account) = owner.map(|device| device.account_id) else { return Ok(0) };
        let shown = messages.into_iter().filter(|new| !new.content.is_change());
        let stored = shown.filter(|new| state.receive_old(account, device, new.clone(), now));
        Ok(u64::try_from(stored.count()).unwrap_or(u64::MAX))
    }
}

impl State {
    fn has_chat(&self, device: DeviceId, chat: &ChatId) -> bool {
        let is_in = |message: &Message| message.device_id == device && message.chat == *chat;
        self.history.values().any(is_in)
    }

    fn describe(&mut self, device: DeviceId, chat: &ChatId, facts: &ChatFacts) -> bool {
        if !self.has_chat(device, chat) {
            return false;
        }
        let known = self.chat_facts.entry((device, chat.clone())).or_default();
        let ChatFacts { name, ephemeral_s, can_send } = facts.clone();
        known.name = name.or(known.name.take());
        known.ephemeral_s = ephemeral_s.or(known.ephemeral_s);
        known.can_send = can_send.or(known.can_send);
        true
    }

    /// Who wrote a message that came in, or to whom one was sent.
    fn person_of(&self, message: &Message) -> Option<Address> {
        let none = Address::default();
        let who = match (message.direction(), &message.chat) {
            (Direction::In, _) => message.sender.clone()?,
            (Direction::Out, ChatId::Person(phone)) => {
                Address { phone: Some(phone.clone()), ..none }
            }
            (Direction::Out, ChatId::Lid(lid)) => Address { lid: Some(lid.clone()), ..none },
            (Direction::Out, _) => return None,
        };
        let is_its = |((device, _), phone): &(&(DeviceId, Lid), &PhoneNumber)| {
            *device == message.device_id && who.phone.as_ref() == Some(*phone)
        };
        let lid = self.identities.iter().find(is_its).map(|((_, lid), _)| lid.clone());
        match who.phone {
            Some(phone) => Some(Address { phone: Some(phone), lid }),
            None => Some(Address { phone: None, lid: who.lid }),
        }
    }

    /// Stores a message from before all others; whether it was not known.
    fn receive_old(
        &mut self,
        account: AccountId,
        device: DeviceId,
        new: IncomingMessage,
        now: Timestamp,
    ) -> bool {
        let id = MessageId(-self.next_message_id().0);
        let mut message = self.named_by_number(new.received(id, account, device, now));
        message.apply(MessageEvent::Read, message.due_at, None);
        let is_it =
            |known: &Message| known.device_id == device && known.whatsapp_id == message.whatsapp_id;
        if self.history.values().any(is_it) {
            return false;
        }
        self.keep_file(&mut message);
        self.history.insert(message.id, message.clone());
        self.put_on_demand(message.id);
        true
    }
}
