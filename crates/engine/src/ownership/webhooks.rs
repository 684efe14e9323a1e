//! Which webhooks this node posts to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use domain::ids::{AccountId, WebhookId};
use domain::node::{Fleet, OwnedWebhook, Registration};
use domain::policy::ownership::{Move, next_move};
use domain::ports::StoreResult;

use crate::context::EngineContext;

/// What is known of the webhooks of this node.
pub(super) struct WebhookShare {
    context: Arc<EngineContext>,
    registration: Option<Registration>,
    owned: HashMap<WebhookId, OwnedWebhook>,
    /// Those whose senders end, to be released then.
    leaving: HashMap<WebhookId, OwnedWebhook>,
    /// Those that were switched off or claimed by another node, whose senders still run: they may have to
    /// write what became of a post.
    ending: HashMap<WebhookId, OwnedWebhook>,
}

impl WebhookShare {
    pub(super) fn new(context: Arc<EngineContext>) -> Self {
        let (owned, leaving, ending) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { context, registration: None, owned, leaving, ending }
    }

    /// Claims and releases what the share says, and starts and ends senders accordingly.
    pub(super) async fn look(
        &mut self,
        registration: Registration,
        fleet: &Fleet,
        is_settled: bool,
    ) -> StoreResult<()> {
        let store = self.context.store().clone();
        if self.registration.replace(registration) != Some(registration) {
            self.owned.clear();
            self.leaving.clear();
            self.ending.clear();
        }
        let mut has_claimed = false;
        match next_move(&fleet.of_webhooks(), u32::MAX, is_settled) {
            Move::Stay => {}
            Move::Claim(limit) => {
                has_claimed = store.claim_webhooks(registration, limit).await? > 0;
            }
            Move::HandOver(count) => {
                let beyond = self.owned.values().take(count as usize);
                self.leaving.extend(beyond.map(|owned| (owned.webhook, *owned)));
            }
        }
        let is_known = u64::try_from(self.owned.len()) == Ok(fleet.owned_webhooks);
        if has_claimed || fleet.live > 1 || !is_known || !self.leaving.is_empty() {
            let owned = store.owned_webhooks(registration).await?;
            self.reconcile(registration, owned);
        }
        self.release(registration).await
    }

    /// Starts, ends and wakes senders.
    fn reconcile(&mut self, registration: Registration, owned: Vec<OwnedWebhook>) {
        let mut changed: BTreeSet<AccountId> = BTreeSet::new();
        let owned: HashMap<WebhookId, OwnedWebhook> =
            owned.into_iter().map(|owned| (owned.webhook, owned)).collect();
        self.ending.extend(self.owned.iter().map(|(id, one)| (*id, *one)));
        let webhooks = self.context.webhooks();
        self.ending
            .retain(|id, one| !owned.contains_key(id) && webhooks.runs(one.account, one.webhook));
        let held = owned.values().map(|one| (*one, !self.leaving.contains_key(&one.webhook)));
        let ending = self.ending.values().map(|one| (*one, false));
        self.context.leases().hold_webhooks(registration, held.chain(ending));
        for now in owned.values() {
            match self.owned.get(&now.webhook) {
                Some(before) if (before.epoch, before.revision) == (now.epoch, now.revision) => {
                    if before.newest < now.newest {
                        self.context.webhooks().nudge(now.account);
                    }
                }
                _ => drop(changed.insert(now.account)),
            }
        }
        let gone = self.owned.values().filter(|before| !owned.contains_key(&before.webhook));
        changed.extend(gone.map(|gone| gone.account));
        let leaving = self.leaving.values();
        let running = leaving.filter(|one| self.context.webhooks().runs(one.account, one.webhook));
        changed.extend(running.map(|one| one.account));
        self.leaving.retain(|id, _| owned.contains_key(id));
        self.owned = owned;
        changed.into_iter().for_each(|account| self.context.webhooks().changed(account));
    }

    /// Releases those whose senders have ended.
    async fn release(&mut self, registration: Registration) -> StoreResult<()> {
        let webhooks = self.context.webhooks();
        let ended = self.leaving.values().filter(|one| !webhooks.runs(one.account, one.webhook));
        let ended: Vec<OwnedWebhook> = ended.copied().collect();
        if ended.is_empty() {
            return Ok(());
        }
        self.context.store().release_webhooks(registration, &ended).await?;
        for one in ended {
            self.leaving.remove(&one.webhook);
            self.owned.remove(&one.webhook);
        }
        Ok(())
    }
}
