//! Where webhooks, deliveries, grants and vouchers are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest, StoreResult};
use crate::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use crate::ids::{AccountId, DeliveryId, DeviceId, WebhookId};
use crate::key::KeyHash;
use crate::webhook::{
    CreatedWebhook, Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, NewWebhook, ReplayRange,
    SealNewSecret, Webhook, WebhookPatch,
};

/// Webhooks and their outbox. The rows of the outbox are written by the calls that change messages
/// and devices, in the same transaction as their cause: one for each event and each webhook that
/// wants it ([`Webhook::wants`]).
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Makes a webhook with the secret that `seal` gives it. One at a time of an account, so that
    /// those made at the same time share their secret, too.
    async fn create_webhook(
        &self,
        webhook: NewWebhook,
        seal: SealNewSecret,
        now: Timestamp,
    ) -> StoreResult<CreatedWebhook>;
    /// One webhook of an account.
    async fn webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<Option<Webhook>>;
    /// The webhooks of an account, newest first; all, or those of one device alone.
    async fn webhooks(
        &self,
        account: AccountId,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> StoreResult<Page<Webhook>>;
    /// Every webhook that is not disabled, of all accounts; for the engine at its start.
    async fn active_webhooks(&self) -> StoreResult<Vec<Webhook>>;
    /// Changes a webhook; `None` when there is none.
    async fn update_webhook(
        &self,
        account: AccountId,
        id: WebhookId,
        patch: WebhookPatch,
    ) -> StoreResult<Option<Webhook>>;
    /// Erases a webhook with its deliveries; false when there was none.
    async fn delete_webhook(&self, account: AccountId, id: WebhookId) -> StoreResult<bool>;
    /// The oldest pending deliveries of a webhook, by id, without those in `except`; there may be
    /// more as long as [`Page::has_more`] says so.
    async fn pending_deliveries(
        &self,
        webhook: WebhookId,
        except: &[DeliveryId],
        limit: u32,
    ) -> StoreResult<Page<Delivery>>;
    /// Writes what became of tries. Unknown ids are skipped.
    async fn record_deliveries(&self, outcomes: Vec<DeliveryOutcome>) -> StoreResult<()>;
    /// The deliveries of a webhook, newest first, in one state or all.
    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        page: PageRequest,
    ) -> StoreResult<Page<Delivery>>;
    /// The webhooks of an account to which a delivery has failed for good after that time, by id.
    async fn failed_webhooks(
        &self,
        account: AccountId,
        after: Timestamp,
    ) -> StoreResult<Vec<WebhookId>>;
    /// The tries of a delivery, oldest first. Of many the last ones are kept.
    async fn delivery_tries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
    ) -> StoreResult<Vec<DeliveryTry>>;
    /// Makes a delivery that has ended pending again, with no tries so far and due at once, under
    /// its own id; `None` when there is none such that has ended.
    async fn replay_delivery(
        &self,
        account: AccountId,
        webhook: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> StoreResult<Option<Delivery>>;
    /// How many deliveries of a webhook [`WebhookStore::replay_since`] would replay, at most `limit`.
    async fn count_replayable(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
    ) -> StoreResult<u32>;
    /// Makes the deliveries of a range pending again, the oldest `limit` of them, as
    /// [`WebhookStore::replay_delivery`] does: how many there were.
    async fn replay_since(
        &self,
        account: AccountId,
        webhook: WebhookId,
        range: ReplayRange,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<u32>;
    /// Forgets deliveries that ended as delivered before `delivered_since` or as dead before
    /// `dead_since`, in bounded bites; how many rows went.
    async fn clean_up_deliveries(
        &self,
        delivered_since: Timestamp,
        dead_since: Timestamp,
    ) -> StoreResult<u64>;
}

/// Grants and vouchers.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// Adds to the grant of an account or a device ([`Grant::add`]); one that has expired by `now`
    /// is replaced. `None` when there is no such account, or no such device of it.
    async fn add_grant(&self, grant: NewGrant, now: Timestamp) -> StoreResult<Option<Grant>>;
    /// The grants of an account, those that have expired included.
    async fn grants(&self, account: AccountId) -> StoreResult<Vec<Grant>>;
    /// Stores vouchers, all or none.
    async fn create_vouchers(&self, vouchers: Vec<NewVoucher>, now: Timestamp) -> StoreResult<()>;
    /// Redeems a voucher for a device, once, however many try at the same time.
    async fn redeem_voucher(
        &self,
        account: AccountId,
        device: DeviceId,
        code: &KeyHash,
        now: Timestamp,
    ) -> StoreResult<Redeemed>;
}
