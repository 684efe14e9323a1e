//! How the senders of webhooks are reached.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::ids::{AccountId, WebhookId};
use domain::webhook::Webhook;

/// Most posts at a time, to all webhooks. How many of them may be one webhook's is
/// [`super::lanes::POSTS_MAX`].
pub(crate) const POSTS_IN_ALL_MAX: usize = 256;
/// Most posts at a time to the webhooks of one account.
pub(crate) const POSTS_PER_ACCOUNT_MAX: usize = 16;
/// Most senders that look for what waits at the same time.
pub(crate) const LOOKS_MAX: usize = 8;

/// How a sender is reached.
pub(crate) struct Handle {
    /// The webhook as it is; `None` when it is erased or switched off.
    pub(crate) webhook: watch::Sender<Option<Webhook>>,
    /// Something may wait for it.
    pub(crate) nudge: Arc<Notify>,
}

/// The senders of one account.
pub(crate) type AccountSenders = HashMap<WebhookId, Handle>;

/// All senders.
pub(crate) struct Webhooks {
    accounts: Mutex<HashMap<AccountId, AccountSenders>>,
    changed: Mutex<BTreeSet<AccountId>>,
    has_changed: Notify,
    posts: Arc<FairSemaphore>,
    looks: Semaphore,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            accounts: Mutex::default(),
            changed: Mutex::default(),
            has_changed: Notify::new(),
            posts: FairSemaphore::new(POSTS_IN_ALL_MAX, POSTS_PER_ACCOUNT_MAX),
            looks: Semaphore::new(LOOKS_MAX),
        }
    }
}

impl Webhooks {
    /// Something was written for the webhooks of an account, perhaps.
    pub(crate) fn nudge(&self, account: AccountId) {
        let accounts = self.accounts();
        let senders = accounts.get(&account).into_iter().flat_map(HashMap::values);
        senders.for_each(|sender| sender.nudge.notify_one());
    }

    /// The webhooks of an account are to be read again.
    pub(crate) fn changed(&self, account: AccountId) {
        self.changed.lock().insert(account);
        self.has_changed.notify_one();
    }

    /// Whether a sender of a webhook runs.
    pub(crate) fn runs(&self, account: AccountId, id: WebhookId) -> bool {
        self.accounts().get(&account).is_some_and(|senders| senders.contains_key(&id))
    }

    /// Waits until [`Webhooks::take_changed`] has something.
    pub(crate) async fn has_changed(&self) {
        self.has_changed.notified().await;
    }

    /// Waits for a permit to post to a webhook of this account.
    pub(crate) async fn post(&self, account: AccountId) -> Permit {
        self.posts.acquire(account).await
    }

    /// Waits for a permit to look for what waits.
    pub(crate) async fn look(&self) -> Option<SemaphorePermit<'_>> {
        self.looks.acquire().await.ok()
    }

    pub(crate) fn take_changed(&self) -> BTreeSet<AccountId> {
        std::mem::take(&mut *self.changed.lock())
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, HashMap<AccountId, AccountSenders>> {
        self.accounts.lock()
    }

    /// Lets a sender go whose webhook is erased or switched off; false when it is back.
    pub(crate) fn retire(&self, account: AccountId, id: WebhookId) -> bool {
        let mut accounts = self.accounts();
        let Some(one) = accounts.get_mut(&account) else { return true };
        if one.get(&id).is_some_and(|sender| sender.webhook.borrow().is_some()) {
            return false;
        }
        one.remove(&id);
        if one.is_empty() {
            accounts.remove(&account);
        }
        true
    }

    /// A sender has ended by itself.
    pub(crate) fn forget(&self, account: AccountId, id: WebhookId) {
        if let Some(one) = self.accounts().get_mut(&account) {
            one.remove(&id);
        }
    }
}
