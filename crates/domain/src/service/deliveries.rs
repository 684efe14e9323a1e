//! The delivery log of a webhook, and delivering again what has ended.

use jiff::Timestamp;

use super::{Core, Principal};
use crate::error::{Error, Result};
use crate::ids::{DeliveryId, WebhookId};
use crate::ports::{Page, PageRequest, WebhookRequest};
use crate::scope::Scope;
use crate::webhook::{Delivery, DeliveryState, DeliveryTry, REPLAYED_MAX, ReplayRange};

impl Core {
    /// What was, is and could not be delivered to a webhook, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn deliveries(
        &self,
        principal: &Principal,
        id: WebhookId,
        state: Option<DeliveryState>,
        page: PageRequest,
    ) -> Result<Page<Delivery>> {
        let webhook = self.webhook(principal, id).await?;
        let mut page = self.store.deliveries(webhook.account_id, id, state, page).await?;
        page.items.iter_mut().for_each(|delivery| delivery.event.link_file(&*self.links));
        Ok(page)
    }

    /// The caller's webhooks to which a delivery has failed for good after that time.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator and for device tokens.
    pub async fn failed_webhooks(
        &self,
        principal: &Principal,
        after: Timestamp,
    ) -> Result<Vec<WebhookId>> {
        principal.require(Scope::Manage)?;
        let account = principal.require_account_key()?;
        Ok(self.store.failed_webhooks(account, after).await?)
    }

    /// Delivers again what was delivered or is a dead letter.
    ///
    /// # Errors
    /// [`Error::NotFound`] also for a delivery that waits.
    pub async fn replay_delivery(
        &self,
        principal: &Principal,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Delivery> {
        let account = self.webhook(principal, id).await?.account_id;
        let replayed = self.store.replay_delivery(account, id, delivery, self.clock.now()).await?;
        let replayed = replayed.ok_or(Error::NotFound("delivery that has ended"))?;
        self.dispatcher.webhooks_changed(account);
        Ok(replayed)
    }

    /// One delivery, and what is posted with it now: `None` where the webhook's format has no shape for
    /// the event, or its secret cannot be read.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delivery(
        &self,
        principal: &Principal,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<(Delivery, Option<WebhookRequest>)> {
        let page = PageRequest { before: delivery.0.checked_add(1), limit: 1 };
        let webhook = self.webhook(principal, id).await?;
        let found = self.store.deliveries(webhook.account_id, id, None, page).await?.items.pop();
        let mut found =
            found.filter(|found| found.id == delivery).ok_or(Error::NotFound("delivery"))?;
        found.event.link_file(&*self.links);
        let now = self.clock.now();
        let request = self.sealer.secrets(&webhook).and_then(|secrets| {
            let (format, url, secrets) = (&webhook.format, &webhook.url, secrets.at(now));
            self.formats.encode(format, url, &found.event, secrets, now)
        });
        Ok((found, request))
    }

    /// The tries of a delivery, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delivery_tries(
        &self,
        principal: &Principal,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Vec<DeliveryTry>> {
        let webhook = self.webhook(principal, id).await?;
        Ok(self.store.delivery_tries(webhook.account_id, id, delivery).await?)
    }

    /// How many deliveries [`Core::replay_since`] would deliver again, at most [`REPLAYED_MAX`].
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn count_replayable(
        &self,
        principal: &Principal,
        id: WebhookId,
        range: ReplayRange,
    ) -> Result<u32> {
        let account = self.webhook(principal, id).await?.account_id;
        Ok(self.store.count_replayable(account, id, range, REPLAYED_MAX).await?)
    }

    /// Delivers again what has ended of the events since a time, the oldest [`REPLAYED_MAX`] of them:
    /// how many there were.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn replay_since(
        &self,
        principal: &Principal,
        id: WebhookId,
        range: ReplayRange,
    ) -> Result<u32> {
        let account = self.webhook(principal, id).await?.account_id;
        let now = self.clock.now();
        let replayed = self.store.replay_since(account, id, range, REPLAYED_MAX, now).await?;
        self.dispatcher.webhooks_changed(account);
        Ok(replayed)
    }
}
