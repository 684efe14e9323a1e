//! The ports of webhooks, grants and vouchers.

use async_trait::async_trait;
use domain::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use domain::ids::{AccountId, DeliveryId, DeviceId, WebhookId};
use domain::key::KeyHash;
use domain::ports::{GrantStore, Page, PageRequest, StoreResult, WebhookStore};
use domain::webhook::{
    CreatedWebhook, Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, NewWebhook, ReplayRange,
    SealNewSecret, Webhook, WebhookPatch,
};
use jiff::Timestamp;

use super::SqlStore;
use super::clean_up::CLEAN_UP_BATCHES_MAX;
use crate::{deliveries, grants, webhooks};

#[async_trait]
impl WebhookStore for SqlStore {
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        seal: SealNewSecret,
        now: Timestamp,
    ) -> StoreResult<CreatedWebhook> {
        run!(self.write, webhooks::create_webhook, webhook, seal, now)
    }

    async fn webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<Option<Webhook>> {
        run!(self.read, webhooks::webhook, account, id)
    }

    async fn webhooks(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<Webhook>> {
        run!(self.read, webhooks::webhooks, account, device, page)
    }

    async fn active_webhooks(&self) -> StoreResult<Vec<Webhook>> {
        run!(self.read, webhooks::active_webhooks)
    }

    async fn update_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> StoreResult<Option<Webhook>> {
        run!(self.write, webhooks::update_webhook, account, id, patch)
    }

    async fn delete_webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<bool> {
        run!(self.write_long, webhooks::delete_webhook, account, id)
    }

    async fn pending_deliveries(
        &self,
        webhook: WebhookId,
        except: &[DeliveryId],
        limit: u32,
    ) -> StoreResult<Page<Delivery>> {
        let except = except.to_vec();
        run!(self.read, deliveries::pending_deliveries, webhook, except, limit)
    }

    async fn record_deliveries(&self, outcomes: Vec<DeliveryOutcome>) -> StoreResult<()> {
        run!(self.write, deliveries::record_deliveries, outcomes)
    }

    async fn delivery_tries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
    ) -> StoreResult<Vec<DeliveryTry>> {
        run!(self.read, deliveries::delivery_tries, account, webhook, delivery)
    }

    async fn failed_webhooks(
        &self,
        account: AccountId,
        after: Timestamp,
    ) -> StoreResult<Vec<WebhookId>> {
        run!(self.read, deliveries::failed_webhooks, account, after)
    }

    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        page: PageRequest,
    ) -> StoreResult<Page<Delivery>> {
        run!(self.read, deliveries::deliveries, account, webhook, state, page)
    }

    async fn replay_delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<Option<Delivery>> {
        run!(self.write, deliveries::replay_delivery, account, webhook, delivery, now)
    }

    async fn count_replayable(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
    ) -> StoreResult<u32> {
        run!(self.read, deliveries::count_replayable, account, webhook, range, limit)
    }

    async fn replay_since(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<u32> {
        run!(self.write_long, deliveries::replay_since, account, webhook, range, limit, now)
    }

    async fn clean_up_deliveries(
        &self,
        delivered_since: Timestamp,
        dead_since: Timestamp,
    ) -> StoreResult<u64> {
        let mut rows = 0;
        let ended =
            [(DeliveryState::Delivered, delivered_since), (DeliveryState::Dead, dead_since)];
        for (state, since) in ended {
            for _ in 0..CLEAN_UP_BATCHES_MAX {
                let batch = self
                    .write_long(move |tx| Box::pin(deliveries::clean_up(tx, state, since)))
                    .await?;
                rows += batch.rows;
                if !batch.has_more {
                    break;
                }
            }
        }
        Ok(rows)
    }
}

#[async_trait]
impl GrantStore for SqlStore {
    async fn add_grant(&self, grant: NewGrant, now: Timestamp) -> StoreResult<Option<Grant>> {
        run!(self.write, grants::add_grant, grant, now)
    }

    async fn grants(&self, account: AccountId) -> StoreResult<Vec<Grant>> {
        run!(self.read, grants::grants, account)
    }

    async fn create_vouchers(&self, vouchers: Vec<NewVoucher>, now: Timestamp) -> StoreResult<()> {
        run!(self.write_long, grants::create_vouchers, vouchers, now)
    }

    async fn redeem_voucher(
        &self,
        account: AccountId,
        device: DeviceId,
        code: &KeyHash,
        now: Timestamp,
    ) -> StoreResult<Redeemed> {
        let code = *code;
        run!(self.write, grants::redeem_voucher, account, device, code, now)
    }
}
