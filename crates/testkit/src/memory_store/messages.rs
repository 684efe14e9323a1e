//! Messages of both directions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::chat::ChatId;
use domain::contact::{Identity, Spelling};
use domain::content::Content;
use domain::context::MessageName;
use domain::grant::Allowance;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{Direction, IncomingMessage, Message, MessageState, NewMessage, Receipt};
use domain::phone::PhoneNumber;
use domain::policy::queue::QueueSize;
use domain::policy::quota::QuotaKind;
use domain::ports::{
    Acceptance, Accepted, CountedPage, HourUsage, IDEMPOTENCY_HOURS, IdempotencyKey, MessageBatch,
    MessageCounts, MessageFilter, MessageStore, OldMessage, OutboxEntry, Page, PageRequest,
    Progress, REPEATED_BYTES_MAX, Recorded, StoreResult,
};
use domain::request_file::WaitingFile;
use domain::webhook::{Event, EventDevice};
use jiff::{SignedDuration, Timestamp};

use super::filters::{counted_by_state, matches};
use super::{MemoryStore, Remembered, State, Waiting, page_within, stored};

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
        let waiting = &self.state().waiting;
        Ok(waiting.values().map(|waiting| OutboxEntry::from(&waiting.message)).collect())
    }

    async fn outbox_of(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<Vec<OutboxEntry>> {
        let mut entries = self.outbox().await?;
        entries.retain(|entry| (entry.account_id, entry.device_id) == (account, device));
        Ok(entries)
    }

    async fn waiting_message(&self, id: MessageId) -> StoreResult<Option<Message>> {
        Ok(self.state().waiting.get(&id).map(|waiting| waiting.message.clone()))
    }

    async fn inline_media(&self, id: MessageId) -> StoreResult<Option<WaitingFile>> {
        Ok(self.state().inline.get(&id).cloned().map(WaitingFile::Blob))
    }

    async fn record(&self, progress: Vec<Progress>) -> StoreResult<Vec<Recorded>> {
        let mut state = self.state();
        for progress in &progress {
            let device = state.waiting.get(&progress.id).map(|waiting| waiting.message.device_id);
            device.map_or(Ok(()), |device| state.fence(device))?;
        }
        let recorded = progress.iter().filter_map(|progress| state.record_one(progress));
        let mut recorded: Vec<Recorded> = recorded.collect();
        let changed: Vec<_> =
            recorded.iter().filter_map(|recorded| state.record_change(recorded)).collect();
        recorded.extend(changed);
        Ok(recorded)
    }

    async fn record_receipts(
        &self,
        device: DeviceId,
        ids: &[WhatsappId],
        receipt: Receipt,
        at: Timestamp,
    ) -> StoreResult<Vec<Recorded>> {
        let mut state = self.state();
        state.fence(device)?;
        let of_ours = state.history.values_mut().filter(|message| {
            message.device_id == device
                && message.direction() == Direction::Out
                && ids.contains(&message.whatsapp_id)
        });
        let changed: Vec<(Message, usize)> = of_ours
            .filter_map(|message| {
                let since = message.history.len();
                let has_changed = message.apply(receipt.event(), stored(at), None);
                has_changed.then(|| (message.clone(), since))
            })
            .collect();
        Ok(changed.into_iter().map(|(message, since)| state.recorded(message, since)).collect())
    }

    async fn receive(
        &self,
        device: DeviceId,
        messages: Vec<IncomingMessage>,
        now: Timestamp,
    ) -> StoreResult<Vec<Recorded>> {
        let mut state = self.state();
        state.fence(device)?;
        let owner = state.devices.iter().find(|other| other.id == device);
        let Some(account) = owner.map(|device| device.account_id) else { return Ok(Vec::new()) };
        let new = messages.into_iter().flat_map(|new| state.receive(account, device, new, now));
        Ok(new.collect())
    }

    async fn identify(
        &self,
        device: DeviceId,
        identities: Vec<Identity>,
        now: Timestamp,
    ) -> StoreResult<Vec<Event>> {
        let mut state = self.state();
        state.fence(device)?;
        Ok(state.identify(device, identities, now))
    }

    async fn spell(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()> {
        let mut state = self.state();
        state.fence(device)?;
        state.spell(device, spelling);
        Ok(())
    }

    async fn number_of(
        &self,
        account: AccountId,
        chat: &ChatId,
    ) -> StoreResult<Option<PhoneNumber>> {
        Ok(self.state().number_of(account, chat))
    }

    async fn add_contacts(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()> {
        let mut state = self.state();
        state.fence(device)?;
        if state.devices.iter().any(|other| other.id == device) {
            for chat in chats {
                state.contacts.entry((device, chat)).or_insert(Timestamp::UNIX_EPOCH);
            }
        }
        Ok(())
    }

    async fn message(&self, account: AccountId, id: MessageId) -> StoreResult<Option<Message>> {
        Ok(self.state().by_id(id).filter(|message| message.account_id == account))
    }

    async fn message_named(
        &self,
        account: AccountId,
        device: DeviceId,
        name: &MessageName,
    ) -> StoreResult<Option<Message>> {
        let state = self.state();
        let found = match name {
            MessageName::Id(id) => state.by_id(*id),
            MessageName::Whatsapp(id) => {
                let named = state.history.values().rev();
                named
                    .filter(|message| message.device_id == device)
                    .find(|message| message.whatsapp_id == *id)
                    .cloned()
            }
        };
        Ok(found.filter(|one| (one.account_id, one.device_id) == (account, device)))
    }

    async fn has_message(&self, device: DeviceId, id: &WhatsappId) -> StoreResult<bool> {
        let is_it = |message: &Message| message.device_id == device && message.whatsapp_id == *id;
        Ok(self.state().history.values().any(is_it))
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>> {
        let before = page.before.unwrap_or(i64::MAX);
        let mut found = self.state().found(account, filter);
        found.retain(|message| message.id.0 < before);
        Ok(page_within(found, page.limit, |message| message.text().len()))
    }

    async fn counted_messages(
        &self,
        account: AccountId,
        filter: &MessageFilter,
        offset: u32,
        limit: u32,
    ) -> StoreResult<CountedPage<Message>> {
        let found = self.state().found(account, filter);
        let total = i64::try_from(found.len()).expect("few messages");
        let offset = usize::try_from(offset).expect("a small number");
        let found = found.into_iter().skip(offset).collect();
        let page = page_within(found, limit, |message: &Message| message.text().len());
        Ok(CountedPage { items: page.items, total })
    }

    async fn count_batch(
        &self,
        account: AccountId,
        batch: MessageBatch,
        now: Timestamp,
    ) -> StoreResult<Vec<(MessageState, i64)>> {
        let own = self.state().found(account, &MessageFilter::default());
        Ok(counted_by_state(&own, batch, now))
    }

    async fn message_counts(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> StoreResult<MessageCounts> {
        use MessageState::{Delivered, Played, Read, Sent};
        let state = self.state();
        let mut counts = MessageCounts::default();
        for message in state.history.values() {
            if message.account_id != account
                || message.device_id != device
                || message.direction() == Direction::In
            {
                continue;
            }
            if matches!(message.state, Sent | Delivered | Read | Played) {
                counts.sent += 1;
            } else {
                counts.failed += 1;
            }
        }
        Ok(counts)
    }

    async fn usage_by_hour(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        since: Timestamp,
    ) -> StoreResult<Vec<HourUsage>> {
        const HOUR_S: i64 = 3_600;
        let hour_of = |at: Timestamp| at.as_second().div_euclid(HOUR_S);
        let state = self.state();
        let is_wanted = |message: &&Message| {
            message.account_id == account
                && device.is_none_or(|device| message.device_id == device)
                && hour_of(message.created_at) >= hour_of(since)
        };
        let mut counts = BTreeMap::new();
        for message in state.history.values().filter(is_wanted) {
            let (direction, status) = (message.direction().as_str(), message.state.as_str());
            let hour = hour_of(message.created_at);
            let key = (hour, message.device_id.to_string(), direction, status);
            let new = HourUsage {
                hour: Timestamp::from_second(hour * HOUR_S).expect("an hour of a message"),
                device_id: message.device_id,
                direction: message.direction(),
                state: message.state,
                count: 0,
            };
            counts.entry(key).or_insert(new).count += 1;
        }
        Ok(counts.into_values().collect())
    }

    async fn contacts(
        &self,
        device: DeviceId,
        since: Timestamp,
    ) -> StoreResult<(Vec<ChatId>, u32)> {
        let state = self.state();
        let contacts = || state.contacts.iter().filter(|((owner, _), _)| *owner == device);
        let new = contacts().filter(|(_, first_at)| **first_at >= stored(since)).count();
        let chats = contacts().map(|((_, chat), _)| chat.clone()).collect();
        Ok((chats, u32::try_from(new).expect("few contacts")))
    }

    async fn clean_up(&self, now: Timestamp, _since: Timestamp) -> StoreResult<u64> {
        let mut state = self.state();
        let before = state.idempotency.len();
        state.idempotency.retain(|_, remembered| remembered.at > forgotten_before(now));
        Ok(u64::try_from(before - state.idempotency.len()).expect("a small number"))
    }

    async fn old_messages(&self, since: Timestamp) -> StoreResult<Vec<OldMessage>> {
        let state = self.state();
        let old = state.history.values().filter(|message| message.created_at < stored(since));
        let archived = |message: &Message| OldMessage {
            id: message.id,
            account: message.account_id,
            created_at: message.created_at,
            line: serde_json::json!({ "id": message.id.0, "text": message.content.text() })
                .to_string(),
        };
        Ok(old.map(archived).collect())
    }

    async fn delete_messages(&self, ids: &[MessageId]) -> StoreResult<u64> {
        let mut state = self.state();
        let before = state.history.len();
        state.history.retain(|id, _| !ids.contains(id));
        state.forget_files();
        Ok(u64::try_from(before - state.history.len()).expect("a small number"))
    }

    async fn delete_old_messages(&self, since: Timestamp) -> StoreResult<u64> {
        let old = self.old_messages(since).await?;
        self.delete_messages(&old.iter().map(|message| message.id).collect::<Vec<_>>()).await
    }
}

pub(super) fn forgotten_before(now: Timestamp) -> Timestamp {
    stored(now.checked_sub(SignedDuration::from_hours(IDEMPOTENCY_HOURS)).expect("in range"))
}

type KeyName = (AccountId, String, String);

/// The name of a key for everybody in its account, or for one device's token alone.
fn key_of(account: AccountId, key: &IdempotencyKey, token_of: Option<DeviceId>) -> KeyName {
    let of = token_of.map_or_else(String::new, |device| format!(" of {device}"));
    (account, format!("{}{of}", key.route), key.key.clone())
}

impl State {
    fn by_id(&self, id: MessageId) -> Option<Message> {
        let waiting = self.waiting.get(&id).map(|waiting| &waiting.message);
        waiting.or_else(|| self.history.get(&id)).cloned()
    }

    fn found(&self, account: AccountId, filter: &MessageFilter) -> Vec<Message> {
        let waiting = self.waiting.values().map(|waiting| &waiting.message);
        let mut found: Vec<Message> = waiting
            .chain(self.history.values())
            .filter(|message| message.account_id == account && matches(message, filter))
            .cloned()
            .collect();
        found.sort_by_key(|message| std::cmp::Reverse(message.id));
        found
    }

    /// Emits the events of a message since its log had `since` entries.
    pub(super) fn recorded(&mut self, message: Message, since: usize) -> Recorded {
        let device = self.devices.iter().find(|device| device.id == message.device_id);
        let events = device.map_or_else(Vec::new, |device| {
            Event::of_message(&message, &EventDevice::from(device), since)
        });
        self.emit(&events);
        Recorded { message, events, is_new: false }
    }

    fn queue_size(&self, account: AccountId) -> QueueSize {
        let waiting = self.waiting.values().map(|waiting| &waiting.message);
        let of_account = waiting.filter(|message| message.account_id == account);
        of_account.fold(QueueSize::default(), |size, message| {
            let bytes = |count: usize| i64::try_from(count).expect("few bytes");
            size.plus(QueueSize {
                messages: 1,
                text_bytes: bytes(message.text().len()),
                file_bytes: self
                    .inline
                    .get(&message.id)
                    .map_or(0, |file| i64::try_from(file.size).expect("few bytes")),
            })
        })
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
        let more = QueueSize::of(&request.messages);
        if let Err(full) = request.limits.admit(self.queue_size(account), more) {
            return Accepted::QueueFull(full);
        }
        let now = stored(request.now);
        let of_account = self.grants.iter().filter(|(owner, _)| *owner == account);
        let grants = of_account.map(|(_, grant)| grant.clone()).collect();
        let mut allowance = Allowance { usage: self.usage[&account].at(request.period), grants };
        let untouched = allowance.clone();
        let pay = |new: &NewMessage| allowance.pay(&request.plan, new.device_id, now);
        let Some(charges) = request.messages.iter().map(pay).collect::<Option<Vec<_>>>() else {
            let device = request.messages[0].device_id;
            let plan = untouched.usage.remaining(&request.plan);
            let remaining = plan.saturating_add(untouched.granted(device, now));
            return Accepted::QuotaExhausted { remaining };
        };
        let period = allowance.usage.period;
        self.usage.insert(account, allowance.usage);
        self.grants.retain(|(owner, _)| *owner != account);
        self.grants.extend(allowance.grants.into_iter().map(|grant| (account, grant)));
        let mut made = Vec::new();
        for (mut new, charge) in request.messages.into_iter().zip(charges) {
            let id = self.next_message_id();
            if let Some(file) = new.inline_file.take() {
                self.inline.insert(id, file);
            }
            let message = new.accepted(id, account, charge.receipt, now);
            let message = self.named_by_number(message);
            let waiting = Waiting { message: message.clone(), period, grant: charge.grant };
            self.waiting.insert(id, waiting);
            made.push(message);
        }
        if let Some(key) = &request.idempotency {
            let ids = made.iter().map(|message| message.id).collect();
            let remembered = Remembered { request_hash: key.request_hash, ids, at: now };
            let (name, _) = self.earlier(account, key, now);
            self.idempotency.insert(name, remembered);
        }
        Accepted::New(made)
    }

    /// The name of a key for this caller, and the earlier request under it.
    fn earlier(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> (KeyName, Option<&Remembered>) {
        let known = |name: &KeyName| {
            self.idempotency.get(name).filter(|before| before.at > forgotten_before(now))
        };
        let device_of = |before: &Remembered| Some(self.by_id(*before.ids.first()?)?.device_id);
        let shared = key_of(account, key, None);
        let of_account = known(&shared);
        let Some(device) = key.token_of else { return (shared, of_account) };
        let own = key_of(account, key, Some(device));
        match (of_account, known(&own)) {
            (Some(before), _) if device_of(before) == Some(device) => (shared, Some(before)),
            (None, None) => (shared, None),
            (_, of_device) => (own, of_device),
        }
    }

    fn repeated(
        &self,
        account: AccountId,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Option<Accepted> {
        let remembered = self.earlier(account, key, now).1?;
        if remembered.request_hash != key.request_hash {
            return Some(Accepted::Mismatch);
        }
        let mut messages: Vec<_> = remembered.ids.iter().filter_map(|id| self.by_id(*id)).collect();
        let mut bytes = 0;
        for (index, message) in messages.iter_mut().rev().enumerate() {
            bytes += message.text().len();
            if bytes > REPEATED_BYTES_MAX && index > 0 {
                message.content = Content::default();
            }
        }
        Some(Accepted::Repeated(messages))
    }

    pub(super) fn record_one(&mut self, progress: &Progress) -> Option<Recorded> {
        let Waiting { mut message, period, grant } = self.waiting.remove(&progress.id)?;
        message = self.named_by_number(message);
        let since = message.history.len();
        progress.apply_to(&mut message);
        if message.state.is_waiting() {
            self.waiting.insert(message.id, Waiting { message: message.clone(), period, grant });
            return Some(self.recorded(message, since));
        }
        self.inline.remove(&message.id);
        use MessageState::{Cancelled, Expired, Failed};
        if matches!(message.state, Failed | Expired | Cancelled) {
            let is_free = message.quota().is_some_and(|quota| quota.kind == QuotaKind::Plan);
            if let (true, Some(usage)) = (is_free, self.usage.get_mut(&message.account_id)) {
                *usage = usage.refund(period);
            }
            let payer = self.grants.iter_mut().find(|(_, other)| Some(other.id) == grant);
            if let Some((_, payer)) = payer {
                payer.used = (payer.used - 1).max(0);
            }
        } else {
            let at = message.history.last().map_or(message.created_at, |change| change.at);
            self.contacts.entry((message.device_id, message.chat.clone())).or_insert(at);
        }
        self.history.insert(message.id, message.clone());
        Some(self.recorded(message, since))
    }
}
