//! Nodes, and what they own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::device::Device;
use domain::error::StoreError;
use domain::ids::{AccountId, DeviceId, MessageId, NodeId, WebhookId};
use domain::leases::Leases;
use domain::node::{Fleet, NewNode, Node, NodeAddress, OwnedDevice, OwnedWebhook, Registration};
use domain::policy::ownership::share_of;
use domain::policy::rate::{RateState, SharedWindow, Taken};
use domain::ports::{LoadedOutbox, MessageStore as _, NodeStore, StoreResult};
use domain::webhook::{Delivery, DeliveryOutcome, DeliveryState};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{MemoryStore, State};

/// The nodes, and the owners of devices that have one or had one.
#[derive(Debug)]
pub(super) struct Nodes {
    leases: Arc<Leases>,
    began: Instant,
    nodes: Vec<Registered>,
    owners: BTreeMap<DeviceId, Owner>,
    webhooks: BTreeMap<WebhookId, Owner>,
    windows: BTreeMap<String, SharedWindow>,
}

#[derive(Debug)]
struct Registered {
    id: NodeId,
    node: NewNode,
    epoch: i64,
    started_ms: i64,
    expires_ms: i64,
    drain_per_s: Option<u32>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Owner {
    node: Option<NodeId>,
    epoch: i64,
    revision: i64,
}

impl Default for Nodes {
    fn default() -> Self {
        let (leases, began) = (Arc::default(), Instant::now());
        let (owners, webhooks) = (BTreeMap::new(), BTreeMap::new());
        let windows = BTreeMap::new();
        Self { leases, began, nodes: Vec::new(), owners, webhooks, windows }
    }
}

impl Nodes {
    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).expect("a short test")
    }

    fn live(&self) -> impl Iterator<Item = &Registered> {
        let now = self.now_ms();
        self.nodes.iter().filter(move |node| node.expires_ms > now)
    }

    fn registered(&mut self, registration: Registration) -> Option<&mut Registered> {
        let Registration { node, epoch } = registration;
        self.nodes.iter_mut().find(|known| known.id == node && known.epoch == epoch)
    }

    fn owner(&self, device: DeviceId) -> Owner {
        self.owners.get(&device).copied().unwrap_or_default()
    }

    /// The live node that owns a device.
    fn live_owner(&self, device: DeviceId) -> Option<&Registered> {
        let owner = self.owner(device).node?;
        self.live().find(|node| node.id == owner)
    }

    /// A new device belongs to the node that makes it.
    pub(super) fn created(&mut self, device: DeviceId, account: AccountId) {
        let Some(registration) = self.leases.registration() else { return };
        let node = Some(registration.node);
        self.owners.insert(device, Owner { node, epoch: 1, revision: 0 });
        self.leases.hold_new(registration, OwnedDevice { device, account, epoch: 1, revision: 0 });
    }

    fn live_poster(&self, webhook: WebhookId) -> Option<&Registered> {
        let owner = self.webhooks.get(&webhook)?.node?;
        self.live().find(|node| node.id == owner)
    }

    fn poster(&self, webhook: WebhookId) -> Owner {
        self.webhooks.get(&webhook).copied().unwrap_or_default()
    }

    /// The settings of a webhook have changed.
    pub(super) fn webhook_changed(&mut self, webhook: WebhookId) {
        self.webhooks.entry(webhook).or_default().revision += 1;
    }

    /// The settings of a device have changed.
    pub(super) fn changed(&mut self, device: DeviceId) {
        self.owners.entry(device).or_default().revision += 1;
    }
}

impl State {
    /// Refuses what became of posts to webhooks of another node.
    pub(super) fn fence_deliveries(&self, outcomes: &[DeliveryOutcome]) -> StoreResult<()> {
        let leases = &self.nodes.leases;
        let is_foreign = |delivery: &&Delivery| {
            let epoch = self.nodes.poster(delivery.webhook_id).epoch;
            outcomes.iter().any(|outcome| outcome.id == delivery.id)
                && leases.webhook_epoch(delivery.webhook_id) != Some(epoch)
        };
        if leases.is_fenced() && self.deliveries.iter().any(|one| is_foreign(&one)) {
            leases.refuse_webhook();
            return Err(StoreError::NotOwner);
        }
        Ok(())
    }

    /// Refuses a write for a device of another node.
    pub(super) fn fence(&self, device: DeviceId) -> StoreResult<()> {
        let nodes = &self.nodes;
        let Some(held) = nodes.leases.epochs([device]) else { return Ok(()) };
        let is_there = self.devices.iter().any(|other| other.id == device);
        if is_there && held.get(&device) != Some(&Some(nodes.owner(device).epoch)) {
            nodes.leases.refuse(device);
            return Err(StoreError::NotOwner);
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a short time")
}

#[async_trait]
impl NodeStore for MemoryStore {
    fn leases(&self) -> Arc<Leases> {
        self.state().nodes.leases.clone()
    }

    async fn register_node(&self, node: &NewNode, lease: Duration) -> StoreResult<Registration> {
        let mut state = self.state();
        let nodes = &mut state.nodes;
        let (now, count) = (nodes.now_ms(), nodes.nodes.iter().map(|known| known.id.0).max());
        let count = count.unwrap_or(0);
        let known = nodes.nodes.iter_mut().find(|known| known.node.name == node.name);
        let (id, epoch) = known.map_or((NodeId(count + 1), 1), |known| (known.id, known.epoch + 1));
        nodes.nodes.retain(|known| known.id != id);
        nodes.nodes.push(Registered {
            id,
            node: node.clone(),
            epoch,
            started_ms: now,
            expires_ms: now + millis(lease),
            drain_per_s: None,
        });
        let owners = nodes.owners.values_mut().chain(nodes.webhooks.values_mut());
        for owner in owners.filter(|owner| owner.node == Some(id)) {
            owner.epoch += 1;
        }
        Ok(Registration { node: id, epoch })
    }

    async fn renew_node(&self, registration: Registration, lease: Duration) -> StoreResult<bool> {
        let mut state = self.state();
        let until = state.nodes.now_ms() + millis(lease);
        let known = state.nodes.registered(registration);
        Ok(known.map(|known| known.expires_ms = until).is_some())
    }

    async fn fleet(&self, registration: Registration) -> StoreResult<Option<Fleet>> {
        let mut state = self.state();
        let Some(known) = state.nodes.registered(registration) else { return Ok(None) };
        let drain_per_s = known.drain_per_s;
        let nodes = &state.nodes;
        let owned: Vec<Owner> = state.devices.iter().map(|device| nodes.owner(device.id)).collect();
        let owned: Vec<&Owner> =
            owned.iter().filter(|owner| owner.node == Some(registration.node)).collect();
        let count = |n: usize| u64::try_from(n).expect("few");
        let small = |n: usize| u32::try_from(n).expect("few");
        let unowned = state.devices.iter().filter(|device| nodes.live_owner(device.id).is_none());
        let active = || state.webhooks.iter().filter(|webhook| webhook.disabled.is_none());
        let unposted = active().filter(|webhook| nodes.live_poster(webhook.id).is_none());
        let posted = active().filter(|one| nodes.poster(one.id).node == Some(registration.node));
        let taking = || nodes.live().filter(|node| node.drain_per_s.is_none());
        let capacities: Vec<u32> = taking().map(|node| node.node.capacity).collect();
        Ok(Some(Fleet {
            webhooks: count(active().count()),
            unowned_webhooks: count(unposted.count()),
            owned_webhooks: count(posted.count()),
            live: small(nodes.live().count()),
            taking: small(taking().count()),
            devices: count(state.devices.len()),
            share: Some(share_of(count(state.devices.len()), &capacities)),
            unowned: count(unowned.count()),
            owned: count(owned.len()),
            fingerprint: owned.iter().map(|owner| owner.epoch * 31 + owner.revision).sum(),
            drain_per_s,
            is_eldest: nodes.live().all(|node| node.id >= registration.node),
        }))
    }

    async fn nodes(&self) -> StoreResult<Vec<Node>> {
        let state = self.state();
        let time = |ms| Timestamp::from_millisecond(ms).expect("a time");
        let node = |known: &Registered| {
            let of_node = |device: &&Device| state.nodes.owner(device.id).node == Some(known.id);
            let devices = state.devices.iter().filter(of_node).count();
            Node {
                id: known.id,
                name: known.node.name.clone(),
                url: known.node.url.clone(),
                version: known.node.version.clone(),
                started_at: time(known.started_ms),
                expires_at: time(known.expires_ms),
                is_live: known.expires_ms > state.nodes.now_ms(),
                drain_per_s: known.drain_per_s,
                capacity: known.node.capacity,
                devices: u64::try_from(devices).expect("few"),
                webhooks: u64::try_from(
                    state.nodes.webhooks.values().filter(|own| own.node == Some(known.id)).count(),
                )
                .expect("few"),
            }
        };
        let mut nodes: Vec<Node> = state.nodes.nodes.iter().map(node).collect();
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(nodes)
    }

    async fn remove_node(&self, id: NodeId) -> StoreResult<bool> {
        let mut state = self.state();
        let nodes = &mut state.nodes;
        let (now, count) = (nodes.now_ms(), nodes.nodes.len());
        nodes.nodes.retain(|known| known.id != id || known.expires_ms > now);
        Ok(nodes.nodes.len() < count)
    }

    async fn drain_node(&self, id: NodeId, devices_per_s: Option<u32>) -> StoreResult<bool> {
        let mut state = self.state();
        let known = state.nodes.nodes.iter_mut().find(|known| known.id == id);
        Ok(known.map(|known| known.drain_per_s = devices_per_s).is_some())
    }

    async fn leave_node(&self, registration: Registration) -> StoreResult<()> {
        if let Some(known) = self.state().nodes.registered(registration) {
            known.expires_ms = 0;
            known.drain_per_s = None;
        }
        Ok(())
    }

    async fn claim_devices(&self, registration: Registration, limit: u32) -> StoreResult<u64> {
        let mut state = self.state();
        if !state
            .nodes
            .live()
            .any(|node| (node.id, node.epoch) == (registration.node, registration.epoch))
        {
            return Ok(0);
        }
        let free = state.devices.iter().map(|device| device.id);
        let free = free.filter(|device| state.nodes.live_owner(*device).is_none());
        let free: Vec<DeviceId> = free.take(limit as usize).collect();
        for device in &free {
            let owner = state.nodes.owners.entry(*device).or_default();
            owner.node = Some(registration.node);
            owner.epoch += 1;
        }
        Ok(u64::try_from(free.len()).expect("few"))
    }

    async fn owned_devices(&self, registration: Registration) -> StoreResult<Vec<OwnedDevice>> {
        let mut state = self.state();
        if state.nodes.registered(registration).is_none() {
            return Ok(Vec::new());
        }
        let owned = state.devices.iter().filter_map(|device| {
            let owner = state.nodes.owner(device.id);
            let (epoch, revision) = (owner.epoch, owner.revision);
            let is_owner = owner.node == Some(registration.node);
            let (device, account) = (device.id, device.account_id);
            is_owner.then_some(OwnedDevice { device, account, epoch, revision })
        });
        Ok(owned.collect())
    }

    async fn release_devices(
        &self,
        registration: Registration,
        devices: &[OwnedDevice],
    ) -> StoreResult<()> {
        let mut state = self.state();
        for owned in devices {
            let owner = state.nodes.owners.entry(owned.device).or_default();
            if (owner.node, owner.epoch) == (Some(registration.node), owned.epoch) {
                owner.node = None;
            }
        }
        Ok(())
    }

    async fn claim_webhooks(&self, registration: Registration, limit: u32) -> StoreResult<u64> {
        let mut state = self.state();
        let free = state.webhooks.iter().filter(|webhook| webhook.disabled.is_none());
        let free = free.map(|webhook| webhook.id);
        let free = free.filter(|webhook| state.nodes.live_poster(*webhook).is_none());
        let free: Vec<WebhookId> = free.take(limit as usize).collect();
        for webhook in &free {
            let owner = state.nodes.webhooks.entry(*webhook).or_default();
            owner.node = Some(registration.node);
            owner.epoch += 1;
        }
        Ok(u64::try_from(free.len()).expect("few"))
    }

    async fn owned_webhooks(&self, registration: Registration) -> StoreResult<Vec<OwnedWebhook>> {
        let state = self.state();
        let owned = state.webhooks.iter().filter_map(|webhook| {
            let owner = state.nodes.poster(webhook.id);
            let pending = state.deliveries.iter().filter(|delivery| {
                delivery.webhook_id == webhook.id && delivery.state == DeliveryState::Pending
            });
            let is_owner = owner.node == Some(registration.node) && webhook.disabled.is_none();
            is_owner.then_some(OwnedWebhook {
                webhook: webhook.id,
                account: webhook.account_id,
                epoch: owner.epoch,
                revision: owner.revision,
                newest: pending.map(|delivery| delivery.id).max(),
            })
        });
        Ok(owned.collect())
    }

    async fn release_webhooks(
        &self,
        registration: Registration,
        webhooks: &[OwnedWebhook],
    ) -> StoreResult<()> {
        let mut state = self.state();
        for owned in webhooks {
            let owner = state.nodes.webhooks.entry(owned.webhook).or_default();
            if (owner.node, owner.epoch) == (Some(registration.node), owned.epoch) {
                owner.node = None;
            }
        }
        Ok(())
    }

    async fn owner_of(&self, device: DeviceId) -> StoreResult<Option<NodeAddress>> {
        let state = self.state();
        let owner = state.nodes.live_owner(device);
        Ok(owner.map(|owner| NodeAddress { id: owner.id, url: owner.node.url.clone() }))
    }

    async fn devices_by_id(&self, devices: &[DeviceId]) -> StoreResult<Vec<Device>> {
        let state = self.state();
        let wanted = state.devices.iter().filter(|device| devices.contains(&device.id));
        Ok(wanted.cloned().collect())
    }

    async fn outbox_of_devices(&self, devices: &[OwnedDevice]) -> StoreResult<LoadedOutbox> {
        let mut entries = self.outbox().await?;
        entries.retain(|entry| devices.iter().any(|owned| owned.device == entry.device_id));
        let last = MessageId(self.state().last_message_id);
        let last_ids = devices.iter().map(|owned| (owned.account, last)).collect();
        Ok(LoadedOutbox { entries, last_ids })
    }

    async fn outbox_since(&self, seen: &[(AccountId, MessageId)]) -> StoreResult<LoadedOutbox> {
        let seen: BTreeMap<AccountId, MessageId> = seen.iter().copied().collect();
        let mut entries = self.outbox().await?;
        entries.retain(|entry| seen.get(&entry.account_id).is_some_and(|seen| *seen < entry.id));
        let newest = entries.iter().map(|entry| (entry.account_id, entry.id));
        let last_ids = newest.collect::<BTreeMap<_, _>>().into_iter().collect();
        Ok(LoadedOutbox { entries, last_ids })
    }

    async fn database_time_ms(&self) -> StoreResult<i64> {
        Ok(self.state().nodes.now_ms())
    }

    async fn take_requests(
        &self,
        subject: &str,
        limit: i64,
        wanted: i64,
        now: Timestamp,
    ) -> StoreResult<Result<Taken, RateState>> {
        let mut state = self.state();
        let window = state.nodes.windows.entry(subject.to_owned()).or_default();
        Ok(window.take(limit, wanted, now))
    }
}
