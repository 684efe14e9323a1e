//! Looks once a second at what this node owns and should own.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use domain::ids::{AccountId, DeviceId, MessageId};
use domain::node::{Fleet, OwnedDevice, Registration};
use domain::policy::ownership::{Move, next_move};
use domain::ports::StoreResult;

use super::Ownership;
use super::webhooks::WebhookShare;
use crate::device::inbox::Input;
use crate::timing::pause;

/// How often, about.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// By how much that varies, so that nodes do not claim at the same time.
const LOOK_JITTER: Duration = Duration::from_millis(200);
/// Between two reads that follow hints: of many nodes one always has something new.
const HINTED_PAUSE: Duration = Duration::from_millis(50);
/// How many devices a second are released to a node that has joined.
const HAND_OVERS_PER_S: u32 = 5;
/// How long nodes have neither come nor gone before devices are moved that run well where they are.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// How long a device stays with a node before it is moved again, unless the node is drained.
const STAYS_FOR: Duration = Duration::from_secs(60);
/// Why devices are shown as not connected at a start.
const RESTARTED: &str = "the gateway was restarted";
/// The same when they come from another node.
const MOVED: &str = "another node of the gateway takes over";

/// The state of the look.
pub(super) struct Balance {
    ownership: Arc<Ownership>,
    /// As what everything was last reconciled.
    known: Option<(Registration, u64, i64)>,
    taking: u32,
    settled_at: Instant,
    webhooks: WebhookShare,
    is_first: bool,
    has_failed: bool,
}

impl Balance {
    pub(super) fn new(ownership: Arc<Ownership>) -> Self {
        let settled_at = Instant::now() + SETTLED_AFTER;
        Self {
            webhooks: WebhookShare::new(ownership.context.clone()),
            ownership,
            known: None,
            taking: 1,
            settled_at,
            is_first: true,
            has_failed: false,
        }
    }

    /// Looks for ever.
    pub(super) async fn run(mut self) {
        loop {
            let jitter = LOOK_JITTER.as_millis().try_into().unwrap_or(1);
            let jitter = Duration::from_millis(self.ownership.context.random() % jitter);
            self.read_hinted_until(Instant::now() + LOOK_EVERY - LOOK_JITTER / 2 + jitter).await;
            let looked = self.look().await;
            if let (Err(error), false) = (&looked, self.has_failed) {
                tracing::warn!(%error, "cannot see which devices this node owns; trying again");
            }
            self.has_failed = looked.is_err();
        }
    }

    /// Reads what others accept as soon as they hint at it, until it is time to look, or something asks for that.
    async fn read_hinted_until(&self, look_at: Instant) {
        let store = self.ownership.context.store();
        let mut read_at = Instant::now();
        loop {
            let rest = read_at.saturating_duration_since(Instant::now());
            let hinted = async {
                pause(rest).await;
                store.accepted_elsewhere().await
            };
            tokio::select! {
                () = pause(look_at.saturating_duration_since(Instant::now())) => return,
                () = self.ownership.look.notified() => return,
                accounts = hinted => {
                    // What cannot be read now is read with the next look.
                    drop(self.read_accepted(accounts.as_ref()).await);
                    read_at = Instant::now() + HINTED_PAUSE;
                }
            }
        }
    }

    /// Looks once.
    pub(super) async fn look(&mut self) -> StoreResult<()> {
        let ownership = self.ownership.clone();
        let lost: Vec<DeviceId> = ownership.leases.take_lost().into_iter().collect();
        if !lost.is_empty() {
            ownership.lose(&lost).await;
            self.known = None;
        }
        let Some(registration) = ownership.registration() else { return Ok(()) };
        // A void registration is the renewal's business.
        let Some(fleet) = ownership.context.store().fleet(registration).await? else {
            return Ok(());
        };
        ownership.leases.set_shared(fleet.live > 1);
        if self.taking != fleet.taking {
            self.taking = fleet.taking;
            self.settled_at = Instant::now() + SETTLED_AFTER;
        }
        let is_settled = self.settled_at <= Instant::now();
        match next_move(&fleet, ownership.node.capacity, is_settled) {
            Move::Stay => {}
            Move::Claim(limit) => {
                ownership.context.store().claim_devices(registration, limit).await?;
                self.known = None;
            }
            Move::HandOver(count) => self.hand_over(registration, &fleet, count),
        }
        if self.known != Some((registration, fleet.owned, fleet.fingerprint)) {
            self.reconcile(registration).await?;
        }
        // A node that is alone has given all that it has accepted to the queues, unless it never learned of it.
        if fleet.live > 1 || ownership.context.store().has_lost_answers() {
            self.read_accepted(None).await?;
        }
        self.webhooks.look(registration, &fleet, is_settled).await
    }

    /// Brings what runs here in line with what this node owns.
    async fn reconcile(&mut self, registration: Registration) -> StoreResult<()> {
        let ownership = self.ownership.clone();
        let owned = ownership.context.store().owned_devices(registration).await?;
        let by_device: HashMap<DeviceId, OwnedDevice> =
            owned.iter().map(|owned| (owned.device, *owned)).collect();
        let is_same = |one: &OwnedDevice, other: &OwnedDevice| one.epoch == other.epoch;
        let (mut lost, mut revised) = (Vec::new(), Vec::new());
        for (device, taken) in ownership.taken.lock().iter_mut() {
            match by_device.get(device) {
                Some(now) if is_same(now, &taken.owned) => {
                    if now.revision != taken.owned.revision {
                        taken.owned = *now;
                        revised.push(*now);
                    }
                }
                _ => lost.push(*device),
            }
        }
        if !lost.is_empty() {
            ownership.lose(&lost).await;
        }
        self.reload(registration, &revised).await;
        let new: Vec<OwnedDevice> = {
            let (taken, leaving) = (ownership.taken.lock(), ownership.leaving.lock());
            let is_new = |owned: &&OwnedDevice| {
                !taken.contains_key(&owned.device) && !leaving.contains_key(&owned.device)
            };
            owned.iter().filter(is_new).copied().collect()
        };
        if !new.is_empty() {
            let reason = if self.is_first { RESTARTED } else { MOVED };
            ownership.take_over(registration, &new, reason).await?;
            tracing::info!(devices = new.len(), "devices are taken over");
        }
        self.is_first = false;
        let fingerprint = owned.iter().map(|owned| owned.epoch * 31 + owned.revision).sum();
        let count = u64::try_from(owned.len()).unwrap_or(u64::MAX);
        self.known = Some((registration, count, fingerprint));
        self.forget_accounts();
        Ok(())
    }

    /// The settings of devices have changed, perhaps at another node.
    async fn reload(&self, registration: Registration, revised: &[OwnedDevice]) {
        for owned in revised {
            self.ownership.leases.hold(registration, *owned);
            if let Some(mailbox) = self.ownership.registry.mailbox(owned.device) {
                let (reply, _loaded) = tokio::sync::oneshot::channel();
                // One that is full is read again with the next change.
                let _ = mailbox.send(Input::Reload(reply)).await;
            }
        }
    }

    /// Reads what other nodes have accepted for devices of this one, of these accounts or of all.
    async fn read_accepted(&self, accounts: Option<&BTreeSet<AccountId>>) -> StoreResult<()> {
        let ownership = &self.ownership;
        let is_asked =
            |account: &AccountId| accounts.is_none_or(|accounts| accounts.contains(account));
        let seen: Vec<(AccountId, MessageId)> = {
            let seen = ownership.seen.lock();
            let asked = seen.iter().filter(|(account, _)| is_asked(account));
            asked.map(|(account, last)| (*account, *last)).collect()
        };
        if seen.is_empty() {
            return Ok(());
        }
        let loaded = ownership.context.store().outbox_since(&seen).await?;
        ownership.registry.accepted(loaded.entries);
        ownership.seen.lock().extend(loaded.last_ids);
        Ok(())
    }

    /// Forgets accounts of which this node runs no device.
    fn forget_accounts(&self) {
        let taken = self.ownership.taken.lock();
        let accounts: HashSet<AccountId> =
            taken.values().map(|taken| taken.owned.account).collect();
        self.ownership.seen.lock().retain(|account, _| accounts.contains(account));
        self.ownership.context.store().follow_accounts(accounts);
    }

    /// Begins to hand over devices, those first that have been here for the longest.
    fn hand_over(&self, registration: Registration, fleet: &Fleet, count: u32) {
        let per_s = fleet.drain_per_s.unwrap_or(HAND_OVERS_PER_S);
        let now = Instant::now();
        let mut taken = self.ownership.taken.lock();
        let may_leave = |at: Instant| fleet.drain_per_s.is_some() || now - at >= STAYS_FOR;
        let mut leaving: Vec<_> =
            taken.values().filter(|taken| may_leave(taken.at)).copied().collect();
        leaving.sort_unstable_by_key(|taken| taken.at);
        leaving.truncate(count.min(per_s) as usize);
        if leaving.is_empty() {
            return;
        }
        let devices: Vec<OwnedDevice> = leaving.iter().map(|taken| taken.owned).collect();
        for owned in &devices {
            taken.remove(&owned.device);
            self.ownership.leaving.lock().insert(owned.device, *owned);
        }
        drop(taken);
        self.ownership.count();
        tracing::info!(devices = devices.len(), "devices are released");
        // Each on its own: one that waits for an acknowledgement delays no other.
        for owned in devices {
            tokio::spawn(self.ownership.clone().hand_over(registration, vec![owned]));
        }
    }
}
