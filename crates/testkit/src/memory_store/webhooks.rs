//! Webhooks, their outbox, grants and vouchers.

use async_trait::async_trait;
use domain::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use domain::ids::{AccountId, DeliveryId, DeviceId, GrantId, WebhookId};
use domain::key::KeyHash;
use domain::ports::{GrantStore, Page, PageRequest, StoreResult, WebhookStore};
use domain::service::days_later;
use domain::webhook::{
    CreatedWebhook, Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, Event, NewWebhook,
    ReplayRange, SealNewSecret, Subject, WEBHOOKS_MAX, Webhook, WebhookPatch,
};
use jiff::Timestamp;

use super::{MemoryStore, State, page_of, page_within, stored};

/// Tries of a delivery that are kept.
const TRIES_KEPT: usize = 12;

#[async_trait]
impl WebhookStore for MemoryStore {
    async fn create_webhook(
        &self,
        new: NewWebhook,
        seal: SealNewSecret,
        now: Timestamp,
    ) -> StoreResult<CreatedWebhook> {
        let mut state = self.state();
        let of_account = || state.webhooks.iter().filter(|w| w.account_id == new.account_id);
        if of_account().count() >= WEBHOOKS_MAX {
            return Ok(CreatedWebhook::LimitReached);
        }
        let others: Vec<_> = of_account().filter(|w| w.format == new.format).cloned().collect();
        let id = WebhookId(state.next_id("webhooks"));
        let Some(secret) = seal(id, &others) else { return Ok(CreatedWebhook::SecretUnreadable) };
        let webhook = Webhook {
            id,
            account_id: new.account_id,
            device_id: new.device_id,
            url: new.url,
            format: new.format,
            events: new.events,
            secret,
            disabled: None,
            created_at: stored(now),
        };
        state.webhooks.push(webhook.clone());
        Ok(CreatedWebhook::Created(webhook))
    }

    async fn webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<Option<Webhook>> {
        Ok(self.state().owned_webhook(account, id).cloned())
    }

    async fn webhooks(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<Webhook>> {
        let before = page.before.unwrap_or(i64::MAX);
        let state = self.state();
        let items = state.webhooks.iter().rev();
        let items = items.filter(|w| w.account_id == account && w.id.0 < before);
        let items = items.filter(|w| device.is_none() || w.device_id == device).cloned();
        Ok(page_of(items.collect(), page.limit))
    }

    async fn active_webhooks(&self) -> StoreResult<Vec<Webhook>> {
        let state = self.state();
        Ok(state.webhooks.iter().filter(|webhook| webhook.disabled.is_none()).cloned().collect())
    }

    async fn update_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> StoreResult<Option<Webhook>> {
        let mut state = self.state();
        let Some(webhook) = state.owned_webhook(account, id) else { return Ok(None) };
        if let Some(url) = patch.url {
            webhook.url = url;
        }
        if let Some(events) = patch.events {
            webhook.events = events;
        }
        if let Some(disabled) = patch.disabled {
            webhook.disabled = disabled;
        }
        if let Some(secret) = patch.secret {
            webhook.secret = secret;
        }
        let webhook = webhook.clone();
        state.nodes.webhook_changed(id);
        Ok(Some(webhook))
    }

    async fn delete_webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<bool> {
        let mut state = self.state();
        let is_there = state.owned_webhook(account, id).is_some();
        if is_there {
            state.webhooks.retain(|webhook| webhook.id != id);
            state.deliveries.retain(|delivery| delivery.webhook_id != id);
        }
        Ok(is_there)
    }

    async fn pending_deliveries(
        &self,
        webhook: WebhookId,
        except: &[DeliveryId],
        limit: u32,
    ) -> StoreResult<Page<Delivery>> {
        let state = self.state();
        let is_wanted = |delivery: &&Delivery| {
            delivery.webhook_id == webhook
                && delivery.state == DeliveryState::Pending
                && !except.contains(&delivery.id)
        };
        let found = state.deliveries.iter().filter(is_wanted).cloned().collect();
        Ok(page_within(found, limit, event_bytes))
    }

    async fn record_deliveries(&self, outcomes: Vec<DeliveryOutcome>) -> StoreResult<()> {
        let mut state = self.state();
        state.fence_deliveries(&outcomes)?;
        for outcome in outcomes {
            let found = state.deliveries.iter_mut().find(|delivery| delivery.id == outcome.id);
            let Some(delivery) = found else { continue };
            delivery.state = outcome.state;
            delivery.attempts = outcome.attempts;
            delivery.due_at = stored(outcome.due_at);
            delivery.last_status = outcome.last_status;
            delivery.last_error = outcome.last_error;
            delivery.ended_at = outcome.ended_at.map(stored);
            let tries = state.tries.entry(outcome.id).or_default();
            tries.extend(outcome.tried);
            if tries.len() > TRIES_KEPT {
                tries.remove(0);
            }
        }
        Ok(())
    }

    async fn delivery_tries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
    ) -> StoreResult<Vec<DeliveryTry>> {
        let mut state = self.state();
        let is_theirs = state.owned_webhook(account, webhook).is_some();
        Ok(state.tries.get(&delivery).filter(|_| is_theirs).cloned().unwrap_or_default())
    }

    async fn failed_webhooks(
        &self,
        account: AccountId,
        after: Timestamp,
    ) -> StoreResult<Vec<WebhookId>> {
        let state = self.state();
        let is_late = |delivery: &Delivery| delivery.ended_at.is_some_and(|at| at > after);
        let has_failed = |id: WebhookId| {
            let mut its = state.deliveries.iter().filter(|delivery| delivery.webhook_id == id);
            its.any(|delivery| delivery.state == DeliveryState::Dead && is_late(delivery))
        };
        let own = state.webhooks.iter().filter(|webhook| webhook.account_id == account);
        Ok(own.map(|webhook| webhook.id).filter(|id| has_failed(*id)).collect())
    }

    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        page: PageRequest,
    ) -> StoreResult<Page<Delivery>> {
        let before = page.before.unwrap_or(i64::MAX);
        let mut all = self.state();
        if all.owned_webhook(account, webhook).is_none() {
            return Ok(Page { items: Vec::new(), has_more: false, looked_to: None });
        }
        let items = all.deliveries.iter().rev().filter(|delivery| {
            delivery.webhook_id == webhook
                && delivery.id.0 < before
                && state.is_none_or(|state| state == delivery.state)
        });
        Ok(page_within(items.cloned().collect(), page.limit, event_bytes))
    }

    async fn replay_delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<Option<Delivery>> {
        let mut state = self.state();
        if state.owned_webhook(account, webhook).is_none() {
            return Ok(None);
        }
        let found = state.deliveries.iter_mut().find(|other| {
            other.id == delivery
                && other.webhook_id == webhook
                && other.state != DeliveryState::Pending
        });
        let Some(found) = found else { return Ok(None) };
        make_pending(found, now);
        Ok(Some(found.clone()))
    }

    async fn count_replayable(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
    ) -> StoreResult<u32> {
        let mut state = self.state();
        Ok(u32::try_from(state.replayable(account, webhook, range, limit).len()).expect("few"))
    }

    async fn replay_since(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<u32> {
        let mut state = self.state();
        let mut found = state.replayable(account, webhook, range, limit);
        found.iter_mut().for_each(|delivery| make_pending(delivery, now));
        Ok(u32::try_from(found.len()).expect("few"))
    }

    async fn clean_up_deliveries(
        &self,
        delivered_since: Timestamp,
        dead_since: Timestamp,
    ) -> StoreResult<u64> {
        let mut state = self.state();
        let before = state.deliveries.len();
        state.deliveries.retain(|delivery| {
            let Some(ended_at) = delivery.ended_at else { return true };
            match delivery.state {
                DeliveryState::Pending => true,
                DeliveryState::Delivered => ended_at >= stored(delivered_since),
                DeliveryState::Dead => ended_at >= stored(dead_since),
            }
        });
        Ok(u64::try_from(before - state.deliveries.len()).expect("a small number"))
    }
}

#[async_trait]
impl GrantStore for MemoryStore {
    async fn add_grant(&self, new: NewGrant, now: Timestamp) -> StoreResult<Option<Grant>> {
        Ok(self.state().add_grant(new, now))
    }

    async fn grants(&self, account: AccountId) -> StoreResult<Vec<Grant>> {
        let state = self.state();
        let of_account = state.grants.iter().filter(|(owner, _)| *owner == account);
        Ok(of_account.map(|(_, grant)| grant.clone()).collect())
    }

    async fn create_vouchers(&self, vouchers: Vec<NewVoucher>, _: Timestamp) -> StoreResult<()> {
        self.state().vouchers.extend(vouchers);
        Ok(())
    }

    async fn redeem_voucher(
        &self,
        account: AccountId,
        device: DeviceId,
        code: &KeyHash,
        now: Timestamp,
    ) -> StoreResult<Redeemed> {
        let mut state = self.state();
        let found = state.vouchers.iter().position(|voucher| voucher.code == *code);
        let Some(index) = found.filter(|_| state.owned(account, device).is_some()) else {
            return Ok(Redeemed::Invalid);
        };
        let NewVoucher { messages, valid_days, .. } = state.vouchers.remove(index);
        let expires_at = valid_days.map(|days| days_later(now, days));
        let new = NewGrant { account_id: account, device_id: Some(device), messages, expires_at };
        let grant = state.add_grant(new, now).expect("the device is there");
        Ok(Redeemed::Granted { messages, grant })
    }
}

fn event_bytes(delivery: &Delivery) -> usize {
    match &delivery.event.subject {
        Subject::Message(message) => message.content.text().len(),
        Subject::Device(_) | Subject::Contact(_) | Subject::Call(_) | Subject::Group(_) => 0,
    }
}

fn make_pending(delivery: &mut Delivery, now: Timestamp) {
    delivery.state = DeliveryState::Pending;
    delivery.attempts = 0;
    delivery.due_at = stored(now);
    delivery.ended_at = None;
}

impl State {
    fn replayable(
        &mut self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
    ) -> Vec<&mut Delivery> {
        let range = ReplayRange { since: stored(range.since), ..range };
        if self.owned_webhook(account, webhook).is_none() {
            return Vec::new();
        }
        let is_wanted = |d: &&mut Delivery| d.webhook_id == webhook && range.includes(d);
        let limit = usize::try_from(limit).expect("few");
        self.deliveries.iter_mut().filter(is_wanted).take(limit).collect()
    }

    fn owned_webhook(&mut self, account: AccountId, id: WebhookId) -> Option<&mut Webhook> {
        self.webhooks.iter_mut().find(|webhook| webhook.id == id && webhook.account_id == account)
    }

    fn add_grant(&mut self, new: NewGrant, now: Timestamp) -> Option<Grant> {
        let NewGrant { account_id, device_id, messages, expires_at } = new;
        let expires_at = expires_at.map(stored);
        let is_there = match device_id {
            Some(device) => self.owned(account_id, device).is_some(),
            None => self.accounts.contains_key(&account_id),
        };
        if !is_there {
            return None;
        }
        let is_same = |(owner, grant): &(AccountId, Grant)| {
            *owner == account_id && grant.device_id == device_id
        };
        self.grants.retain(|grant| !is_same(grant) || grant.1.holds(stored(now)));
        if let Some((_, grant)) = self.grants.iter_mut().find(|grant| is_same(grant)) {
            grant.add(messages, expires_at);
            return Some(grant.clone());
        }
        let id = GrantId(self.next_id("grants"));
        let grant = Grant { id, device_id, total: messages, used: 0, expires_at };
        self.grants.push((account_id, grant.clone()));
        Some(grant)
    }

    /// Writes these events into the outbox of webhooks.
    pub(super) fn emit(&mut self, events: &[Event]) {
        for event in events {
            let Some(account) = self.accounts.get(&event.account_id) else { continue };
            let Some(plan) = self.plans.get(&account.plan) else { continue };
            let wants = |webhook: &&Webhook| {
                webhook.account_id == event.account_id
                    && webhook.wants(event.kind, event.device.id, plan)
            };
            let wanting: Vec<WebhookId> =
                self.webhooks.iter().filter(wants).map(|webhook| webhook.id).collect();
            for webhook_id in wanting {
                let id = DeliveryId(self.next_id("deliveries"));
                self.deliveries.push(Delivery {
                    id,
                    webhook_id,
                    event: event.clone(),
                    state: DeliveryState::Pending,
                    attempts: 0,
                    due_at: stored(event.at),
                    last_status: None,
                    last_error: None,
                    created_at: stored(event.at),
                    ended_at: None,
                });
            }
        }
    }
}
