//! Messages of both directions.

use async_trait::async_trait;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{Direction, IncomingMessage, Message, MessageState, Receipt};
use domain::policy::quota::QuotaKind;
use domain::ports::{
    Acceptance, Accepted, IDEMPOTENCY_HOURS, IdempotencyKey, MessageFilter, MessageStore,
    OutboxEntry, Page, PageRequest, Progress, StoreResult, WAITING_MESSAGES_MAX,
};
use jiff::{SignedDuration, Timestamp};

use super::{MemoryStore, Remembered, State, page_of, stored};

#[async_trait]
impl MessageStore for MemoryStore {
    async fn accept(&self, acceptance: Acceptance) -> StoreResult<Accepted> {
        Ok(self.state().accept(acceptance))
    }

    async fn repeated(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> StoreResult<Option<Accepted>> {
        Ok(self.state().repeated(account, key, now))
    }

    async fn outbox(&self) -> StoreResult<Vec<OutboxEntry>> {
        Ok(self.state().waiting.values().map(|(message, _)| OutboxEntry::from(message)).collect())
    }

    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<Message>> {
        Ok(self.state().waiting.get(&id).map(|(message, _)| message.clone()))
    }

    async fn record(&self, progress: Vec<Progress>) -> StoreResult<Vec<Message>> {
        let mut state = self.state();
        Ok(progress.iter().filter_map(|progress| state.record_one(progress)).collect())
    }

    async fn record_receipts(
        &self,
        device: DeviceId,
        ids: &[WhatsappId],
        receipt: Receipt,
        at: Timestamp,
    ) -> StoreResult<Vec<Message>> {
        let mut state = self.state();
        let of_ours = state.history.values_mut().filter(|message| {
            message.device_id == device
                && message.direction == Direction::Out
                && ids.contains(&message.whatsapp_id)
        });
        let changed = of_ours.filter_map(|message| {
            message.apply(receipt.event(), stored(at), None).then(|| message.clone())
        });
        Ok(changed.collect())
    }

    async fn receive(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<Vec<Message>> {
        let mut state = self.state();
        let owner = state.devices.iter().find(|other| other.id == device);
        let Some(account) = owner.map(|device| device.account_id) else { return Ok(Vec::new()) };
        let new = messages.into_iter().filter_map(|new| state.receive(account, device, new, now));
        Ok(new.collect())
    }

    async fn message(&self, account: AccountId, id: MessageId) -> StoreResult<Option<Message>> {
        Ok(self.state().by_id(id).filter(|message| message.account_id == account))
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>> {
        let state = self.state();
        let waiting = state.waiting.values().map(|(message, _)| message);
        let before = page.before.unwrap_or(i64::MAX);
        let mut found: Vec<Message> = waiting
            .chain(state.history.values())
            .filter(|message| message.account_id == account && message.id.0 < before)
            .filter(|message| matches(message, filter))
            .cloned()
            .collect();
        found.sort_by_key(|message| std::cmp::Reverse(message.id));
        Ok(page_of(found, page.limit))
    }

    async fn contacts(
        &self,
        device: DeviceId,
        since: Timestamp,
    ) -> StoreResult<(Vec<String>, u32)> {
        let state = self.state();
        let contacts = || state.contacts.iter().filter(|((owner, _), _)| *owner == device);
        let new = contacts().filter(|(_, first_at)| **first_at >= stored(since)).count();
        let chats = contacts().map(|((_, chat), _)| chat.clone()).collect();
        Ok((chats, u32::try_from(new).expect("few contacts")))
    }

    async fn clean_up(&self, now: Timestamp, keep_messages_since: Timestamp) -> StoreResult<u64> {
        let mut state = self.state();
        let before = state.history.len() + state.idempotency.len();
        state.history.retain(|_, message| message.created_at >= stored(keep_messages_since));
        state.idempotency.retain(|_, remembered| remembered.at > forgotten_before(now));
        let after = state.history.len() + state.idempotency.len();
        Ok(u64::try_from(before - after).expect("a small number"))
    }
}

fn matches(message: &Message, filter: &MessageFilter) -> bool {
    let is_due = filter.now.is_some_and(|now| message.due_at <= now);
    let state = match message.state {
        MessageState::Scheduled if is_due => MessageState::Queued,
        state => state,
    };
    filter.direction.is_none_or(|direction| direction == message.direction)
        && filter.device.is_none_or(|device| device == message.device_id)
        && (filter.states.is_empty() || filter.states.contains(&state))
}

fn forgotten_before(now: Timestamp) -> Timestamp {
    stored(now.checked_sub(SignedDuration::from_hours(IDEMPOTENCY_HOURS)).expect("in range"))
}

fn key_of(account: AccountId, key: &IdempotencyKey) -> (AccountId, String, String) {
    (account, key.route.clone(), key.key.clone())
}

impl State {
    fn by_id(&self, id: MessageId) -> Option<Message> {
        let waiting = self.waiting.get(&id).map(|(message, _)| message);
        waiting.or_else(|| self.history.get(&id)).cloned()
    }

    fn accept(&mut self, request: Acceptance) -> Accepted {
        let account = request.account_id;
        let key = request.idempotency.as_ref();
        let earlier = key.and_then(|key| self.repeated(request.account_id, key, request.now));
        if let Some(answer) = earlier {
            return answer;
        }
        if !request.messages.iter().all(|new| self.owned(account, new.device_id).is_some()) {
            return Accepted::DeviceGone;
        }
        let waiting = self.waiting.values().filter(|(m, _)| m.account_id == account).count();
        let total = i64::try_from(waiting + request.messages.len()).expect("few messages");
        if total > WAITING_MESSAGES_MAX {
            return Accepted::QueueFull;
        }
        let count = i64::try_from(request.messages.len()).expect("few messages");
        let usage = self.usage[&account].at(request.period);
        let Some((usage, receipt)) = usage.spend(&request.plan, count) else {
            return Accepted::QuotaExhausted;
        };
        self.usage.insert(account, usage);
        let now = stored(request.now);
        let mut made = Vec::new();
        for (n, new) in (0..).zip(request.messages) {
            let id = self.next_message_id();
            let message = new.accepted(id, account, receipt.nth(n), now);
            self.waiting.insert(id, (message.clone(), request.period));
            made.push(message);
        }
        if let Some(key) = &request.idempotency {
            let ids = made.iter().map(|message| message.id).collect();
            let remembered = Remembered { request_hash: key.request_hash, ids, at: now };
            self.idempotency.insert(key_of(account, key), remembered);
        }
        Accepted::New(made)
    }

    fn repeated(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Option<Accepted> {
        let remembered = self.idempotency.get(&key_of(account, key))?;
        if remembered.at <= forgotten_before(now) {
            return None;
        }
        if remembered.request_hash != key.request_hash {
            return Some(Accepted::Mismatch);
        }
        Some(Accepted::Repeated(remembered.ids.iter().filter_map(|id| self.by_id(*id)).collect()))
    }

    pub(super) fn record_one(&mut self, progress: &Progress) -> Option<Message> {
        let (mut message, period) = self.waiting.remove(&progress.id)?;
        progress.apply_to(&mut message);
        if message.state.is_waiting() {
            self.waiting.insert(message.id, (message.clone(), period));
            return Some(message);
        }
        if matches!(
            message.state,
            MessageState::Failed | MessageState::Expired | MessageState::Cancelled
        ) {
            let is_free = message.quota.is_some_and(|quota| quota.kind == QuotaKind::Free);
            if let (true, Some(usage)) = (is_free, self.usage.get_mut(&message.account_id)) {
                *usage = usage.refund(period);
            }
        } else {
            let at = message.history.last().map_or(message.created_at, |change| change.at);
            self.contacts.entry((message.device_id, message.chat.clone())).or_insert(at);
        }
        self.history.insert(message.id, message.clone());
        Some(message)
    }

    fn receive(
        &mut self,
        account_id: AccountId,
        device_id: DeviceId,
        new: IncomingMessage,
        now: Timestamp,
    ) -> Option<Message> {
        let sender = &new.sender;
        let phone = sender.phone.as_ref().map(|phone| phone.as_str().to_owned());
        let sender_key = phone.or_else(|| sender.lid.clone()).unwrap_or_default();
        if !self.known.insert((device_id, new.whatsapp_id.0.clone(), sender_key)) {
            return None;
        }
        let message = new.received(self.next_message_id(), account_id, device_id, now);
        self.history.insert(message.id, message.clone());
        Some(message)
    }
}
