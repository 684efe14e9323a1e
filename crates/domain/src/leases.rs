//! What this process owns of a database that it shares with others.
//!
//! The store checks every write for a device against the epoch that is held here, and the messenger asks
//! here before every byte it sends. A process that shares its database with no other is not fenced: it owns
//! everything, and nothing is checked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::RwLock;

use crate::ids::{DeviceId, NodeId, WebhookId};
use crate::node::{OwnedDevice, OwnedWebhook, Registration};

/// What this process owns.
#[derive(Debug, Default)]
pub struct Leases {
    state: RwLock<State>,
    refused: AtomicU64,
}

/// A webhook that is held.
#[derive(Debug, Clone, Copy)]
struct HeldWebhook {
    epoch: i64,
    /// Whether something may be posted to it; what became of earlier posts is written in any case.
    posts: bool,
}

#[derive(Debug, Default)]
struct State {
    is_fenced: bool,
    registration: Option<Registration>,
    /// Whether other nodes are live.
    is_shared: bool,
    /// After this nothing is sent, whatever is held.
    send_until: Option<Instant>,
    devices: HashMap<DeviceId, OwnedDevice>,
    webhooks: HashMap<WebhookId, HeldWebhook>,
    /// Held since they were made; not yet seen by what runs devices.
    new: Vec<DeviceId>,
    /// Whose writes the store has refused.
    lost: HashSet<DeviceId>,
}

impl State {
    /// Holds a device, unless another registration is in force; whether it is held.
    fn hold(&mut self, registration: Registration, owned: OwnedDevice) -> bool {
        let is_in_force = self.registration == Some(registration);
        if is_in_force {
            self.lost.remove(&owned.device);
            self.devices.insert(owned.device, owned);
        }
        is_in_force
    }
}

impl Leases {
    /// From now on only what is held may be written and sent.
    pub fn fence(&self) {
        self.state.write().is_fenced = true;
    }

    /// Whether this process owns only what it holds.
    pub fn is_fenced(&self) -> bool {
        self.state.read().is_fenced
    }

    /// The process is registered, or has renewed that: it may send until then.
    pub fn renewed(&self, registration: Registration, send_until: Instant) {
        let mut state = self.state.write();
        state.is_fenced = true;
        state.registration = Some(registration);
        state.send_until = Some(send_until);
    }

    /// As what the process is registered.
    pub fn registration(&self) -> Option<Registration> {
        self.state.read().registration
    }

    /// The node that this process is.
    pub fn node(&self) -> Option<NodeId> {
        self.registration().map(|registration| registration.node)
    }

    /// Whether other nodes write to the database, too.
    pub fn is_shared(&self) -> bool {
        self.state.read().is_shared
    }

    /// Other nodes write to the database, too, or do not any more.
    pub fn set_shared(&self, is_shared: bool) {
        self.state.write().is_shared = is_shared;
    }

    /// Holds a device that was claimed under a registration, as long as this is the one in force.
    pub fn hold(&self, registration: Registration, owned: OwnedDevice) {
        self.state.write().hold(registration, owned);
    }

    /// Holds a device that this process has just made.
    pub fn hold_new(&self, registration: Registration, owned: OwnedDevice) {
        let mut state = self.state.write();
        if state.hold(registration, owned) {
            state.new.push(owned.device);
        }
    }

    /// The devices that this process has made since the last call.
    pub fn take_new(&self) -> Vec<DeviceId> {
        if self.state.read().new.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.state.write().new)
    }

    /// Holds a device no longer.
    pub fn drop_device(&self, device: DeviceId) {
        self.state.write().devices.remove(&device);
    }

    /// Holds nothing any more, and is not registered; the devices that were held.
    pub fn drop_all(&self) -> Vec<DeviceId> {
        let mut state = self.state.write();
        state.registration = None;
        state.send_until = None;
        state.lost.clear();
        state.webhooks.clear();
        state.new.clear();
        std::mem::take(&mut state.devices).into_keys().collect()
    }

    /// As what a device is held.
    pub fn held(&self, device: DeviceId) -> Option<OwnedDevice> {
        self.state.read().devices.get(&device).copied()
    }

    /// All devices that are held.
    pub fn all_held(&self) -> Vec<OwnedDevice> {
        self.state.read().devices.values().copied().collect()
    }

    /// Whether this process runs a device.
    pub fn owns(&self, device: DeviceId) -> bool {
        let state = self.state.read();
        !state.is_fenced || state.devices.contains_key(&device)
    }

    /// Whether something may be sent for a device at this time.
    pub fn may_send(&self, device: DeviceId, now: Instant) -> bool {
        let state = self.state.read();
        let is_in_time = || state.send_until.is_some_and(|until| now < until);
        !state.is_fenced || (is_in_time() && state.devices.contains_key(&device))
    }

    /// Holds these webhooks and no others, as long as the registration is the one in force; each with whether
    /// something may be posted to it.
    pub fn hold_webhooks(
        &self,
        registration: Registration,
        webhooks: impl Iterator<Item = (OwnedWebhook, bool)>,
    ) {
        let mut state = self.state.write();
        if state.registration == Some(registration) {
            let held = |(one, posts): (OwnedWebhook, bool)| {
                (one.webhook, HeldWebhook { epoch: one.epoch, posts })
            };
            state.webhooks = webhooks.map(held).collect();
        }
    }

    /// Whether this process posts to a webhook.
    pub fn posts_to(&self, webhook: WebhookId) -> bool {
        let state = self.state.read();
        !state.is_fenced || state.webhooks.get(&webhook).is_some_and(|held| held.posts)
    }

    /// Whether something may be posted to a webhook at this time.
    pub fn may_post(&self, webhook: WebhookId, now: Instant) -> bool {
        let state = self.state.read();
        let is_in_time = || state.send_until.is_some_and(|until| now < until);
        let posts = || state.webhooks.get(&webhook).is_some_and(|held| held.posts);
        !state.is_fenced || (is_in_time() && posts())
    }

    /// Under which epoch a webhook is held, to be compared with the database.
    pub fn webhook_epoch(&self, webhook: WebhookId) -> Option<i64> {
        self.state.read().webhooks.get(&webhook).map(|held| held.epoch)
    }

    /// The store has refused what became of a post: another node posts to the webhook.
    pub fn refuse_webhook(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// Under which epochs some devices are held, to be compared with the database; `None` where nothing
    /// has to be compared.
    pub fn epochs(
        &self,
        devices: impl IntoIterator<Item = DeviceId>,
    ) -> Option<BTreeMap<DeviceId, Option<i64>>> {
        let state = self.state.read();
        let epoch = |device| (device, state.devices.get(&device).map(|owned| owned.epoch));
        state.is_fenced.then(|| devices.into_iter().map(epoch).collect())
    }

    /// The store has refused a write: another node runs the device.
    pub fn refuse(&self, device: DeviceId) {
        self.refused.fetch_add(1, Relaxed);
        self.state.write().lost.insert(device);
    }

    /// How many writes were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The devices for which writes were refused since the last call.
    pub fn take_lost(&self) -> HashSet<DeviceId> {
        std::mem::take(&mut self.state.write().lost)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::ids::AccountId;

    const DEVICE: DeviceId = DeviceId(Uuid::from_u128(1));
    const REGISTRATION: Registration = Registration { node: NodeId(1), epoch: 1 };

    fn owned(epoch: i64) -> OwnedDevice {
        OwnedDevice { device: DEVICE, account: AccountId(1), epoch, revision: 0 }
    }

    #[test]
    fn who_shares_with_none_owns_everything() {
        let (leases, now) = (Leases::default(), Instant::now());
        assert!(leases.owns(DEVICE) && leases.may_send(DEVICE, now));
        assert_eq!(leases.epochs([DEVICE]), None, "nothing is compared");
    }

    #[test]
    fn a_node_sends_for_what_it_holds_as_long_as_it_has_renewed_in_time() {
        let (leases, now) = (Leases::default(), Instant::now());
        let until = now + Duration::from_secs(8);
        let registration = REGISTRATION;
        leases.renewed(registration, until);
        assert_eq!((leases.registration(), leases.node()), (Some(registration), Some(NodeId(1))));
        assert!(!leases.owns(DEVICE) && !leases.may_send(DEVICE, now));
        assert_eq!(leases.epochs([DEVICE]), Some([(DEVICE, None)].into()));
        leases.hold(Registration { epoch: 0, ..registration }, owned(3));
        assert!(!leases.owns(DEVICE), "claimed before");
        leases.hold(registration, owned(3));
        assert!(leases.may_send(DEVICE, now));
        assert!(!leases.may_send(DEVICE, until), "it is too late");
        assert_eq!(leases.epochs([DEVICE]), Some([(DEVICE, Some(3))].into()));
        assert_eq!(leases.drop_all(), [DEVICE]);
        assert!(!leases.owns(DEVICE) && leases.node().is_none());
    }

    #[test]
    fn a_webhook_that_another_node_gets_is_held_until_its_last_outcome_is_written() {
        let (leases, now) = (Leases::default(), Instant::now());
        let (webhook, registration, until) =
            (WebhookId(5), REGISTRATION, now + Duration::from_secs(8));
        assert!(leases.posts_to(webhook) && leases.may_post(webhook, now), "it shares with none");
        leases.renewed(registration, until);
        assert!(!leases.posts_to(webhook) && leases.webhook_epoch(webhook).is_none());
        let owned = |epoch| OwnedWebhook {
            webhook,
            account: AccountId(1),
            epoch,
            revision: 0,
            newest: None,
        };
        leases.hold_webhooks(registration, [(owned(3), true)].into_iter());
        assert!(leases.posts_to(webhook) && leases.may_post(webhook, now));
        assert!(!leases.may_post(webhook, until), "it is too late");
        assert_eq!(leases.webhook_epoch(webhook), Some(3));
        leases.hold_webhooks(registration, [(owned(3), false)].into_iter());
        assert!(!leases.posts_to(webhook) && !leases.may_post(webhook, now));
        assert_eq!(leases.webhook_epoch(webhook), Some(3));
        leases.hold_webhooks(Registration { epoch: 0, ..registration }, [].into_iter());
        assert_eq!(leases.webhook_epoch(webhook), Some(3), "of a former registration");
        leases.drop_all();
        assert_eq!(leases.webhook_epoch(webhook), None);
    }

    #[test]
    fn a_fenced_process_owns_nothing_until_it_is_registered() {
        let (leases, now) = (Leases::default(), Instant::now());
        assert!(!leases.is_fenced());
        leases.fence();
        assert!(leases.is_fenced() && leases.registration().is_none());
        leases.hold(REGISTRATION, owned(1));
        assert!(!leases.owns(DEVICE) && !leases.may_send(DEVICE, now));
        assert!(!leases.posts_to(WebhookId(5)) && !leases.may_post(WebhookId(5), now));
    }

    #[test]
    fn other_nodes_come_and_go() {
        let leases = Leases::default();
        for is_shared in [false, true, false] {
            leases.set_shared(is_shared);
            assert_eq!(leases.is_shared(), is_shared);
        }
    }

    #[test]
    fn what_is_held_is_held_until_it_is_dropped() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.renewed(REGISTRATION, now + Duration::from_secs(8));
        assert_eq!((leases.held(DEVICE), leases.all_held()), (None, Vec::new()));
        leases.hold(REGISTRATION, owned(3));
        assert_eq!((leases.held(DEVICE), leases.all_held()), (Some(owned(3)), vec![owned(3)]));
        leases.drop_device(DEVICE);
        assert!(!leases.owns(DEVICE) && leases.all_held().is_empty());
    }

    #[test]
    fn a_device_that_was_made_here_is_new_once() {
        let leases = Leases::default();
        leases.renewed(REGISTRATION, Instant::now());
        leases.hold_new(REGISTRATION, owned(1));
        assert!(leases.owns(DEVICE));
        assert_eq!((leases.take_new(), leases.take_new()), (vec![DEVICE], Vec::new()));
        leases.hold_new(Registration { epoch: 0, ..REGISTRATION }, owned(1));
        assert_eq!(leases.take_new(), [], "it was made under a former registration");
        leases.hold_new(REGISTRATION, owned(1));
        assert_eq!(leases.drop_all(), [DEVICE]);
        assert_eq!(leases.take_new(), [], "it is held no longer");
    }

    #[test]
    fn what_was_refused_is_reported_once() {
        let leases = Leases::default();
        leases.refuse(DEVICE);
        assert_eq!(leases.take_lost(), [DEVICE].into());
        assert!(leases.take_lost().is_empty());
        leases.refuse_webhook();
        assert_eq!((leases.take_lost().len(), leases.refused()), (0, 2));
    }

    #[test]
    fn what_is_claimed_again_or_dropped_is_not_lost() {
        let leases = Leases::default();
        leases.renewed(REGISTRATION, Instant::now());
        leases.refuse(DEVICE);
        leases.hold(REGISTRATION, owned(4));
        assert!(leases.take_lost().is_empty());
        leases.refuse(DEVICE);
        leases.drop_all();
        assert!(leases.take_lost().is_empty());
    }
}
