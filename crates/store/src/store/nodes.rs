//! The port of the nodes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::device::Device;
use domain::ids::{AccountId, DeviceId, MessageId, NodeId};
use domain::leases::Leases;
use domain::node::{Fleet, NewNode, Node, NodeAddress, OwnedDevice, OwnedWebhook, Registration};
use domain::policy::rate::{RateState, Taken};
use domain::ports::{CreatedDevice, LoadedOutbox, NodeStore, StoreResult};
use jiff::Timestamp;

use super::{Engine, SqlStore};
use crate::messages::outbox;
use crate::sql::Invalidation;
use crate::{devices, nodes, rates};

impl SqlStore {
    /// A device that was made here is owned here.
    pub(super) fn hold_created(&self, created: &CreatedDevice) {
        let (leases, CreatedDevice::Created(device)) = (self.leases(), created) else { return };
        if let Some(registration) = leases.registration() {
            let (device, account) = (device.id, device.account_id);
            let epoch = devices::FIRST_EPOCH;
            leases.hold_new(registration, OwnedDevice { device, account, epoch, revision: 0 });
        }
    }

    /// A device of any account.
    pub(super) async fn any_device(&self, id: DeviceId) -> StoreResult<Option<Arc<Device>>> {
        let (leases, known) = (self.leases(), &self.cache().devices);
        let generation = match known.get(&id) {
            // Another node writes the row of its device: what is remembered may be a second old.
            Ok(_) if leases.is_shared() && !leases.owns(id) => known.generation(),
            Ok(device) => return Ok(Some(device)),
            Err(generation) => generation,
        };
        let device = self.read(move |tx| Box::pin(devices::device(tx, id))).await?.map(Arc::new);
        if let Some(device) = &device {
            known.fill(generation, id, device.clone());
        }
        Ok(device)
    }
}

#[async_trait]
impl NodeStore for SqlStore {
    fn leases(&self) -> Arc<Leases> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.leases.clone(),
            Engine::Postgres(postgres) => postgres.leases().clone(),
        }
    }

    async fn register_node(&self, node: &NewNode, lease: Duration) -> StoreResult<Registration> {
        let node = node.clone();
        run!(self.write, nodes::register, node, lease)
    }

    async fn renew_node(&self, registration: Registration, lease: Duration) -> StoreResult<bool> {
        run!(self.write, nodes::renew, registration, lease)
    }

    async fn fleet(&self, registration: Registration) -> StoreResult<Option<Fleet>> {
        run!(self.read, nodes::fleet, registration)
    }

    async fn nodes(&self) -> StoreResult<Vec<Node>> {
        run!(self.read, nodes::nodes)
    }

    async fn drain_node(&self, id: NodeId, devices_per_s: Option<u32>) -> StoreResult<bool> {
        run!(self.write, nodes::drain, id, devices_per_s)
    }

    async fn remove_node(&self, id: NodeId) -> StoreResult<bool> {
        run!(self.write, nodes::remove, id)
    }

    async fn leave_node(&self, registration: Registration) -> StoreResult<()> {
        run!(self.write, nodes::leave, registration)
    }

    async fn claim_devices(&self, registration: Registration, limit: u32) -> StoreResult<u64> {
        run!(self.write, nodes::claim, registration, limit)
    }

    async fn owned_devices(&self, registration: Registration) -> StoreResult<Vec<OwnedDevice>> {
        let owned = self.read(move |tx| Box::pin(nodes::owned(tx, registration))).await?;
        let leases = self.leases();
        // Others have written to what is new here.
        let is_new = |owned: &&OwnedDevice| leases.held(owned.device) != Some(**owned);
        let new = owned.iter().filter(is_new).map(|owned| Invalidation::Device(owned.device));
        self.cache().forget(&new.collect::<Vec<_>>());
        Ok(owned)
    }

    async fn release_devices(
        &self,
        registration: Registration,
        devices: &[OwnedDevice],
    ) -> StoreResult<()> {
        let devices = devices.to_vec();
        run!(self.write, nodes::release, registration, devices)
    }

    async fn claim_webhooks(&self, registration: Registration, limit: u32) -> StoreResult<u64> {
        run!(self.write, nodes::claim_webhooks, registration, limit)
    }

    async fn owned_webhooks(&self, registration: Registration) -> StoreResult<Vec<OwnedWebhook>> {
        run!(self.read, nodes::owned_webhooks, registration)
    }

    async fn release_webhooks(
        &self,
        registration: Registration,
        webhooks: &[OwnedWebhook],
    ) -> StoreResult<()> {
        let webhooks = webhooks.to_vec();
        run!(self.write, nodes::release_webhooks, registration, webhooks)
    }

    async fn owner_of(&self, device: DeviceId) -> StoreResult<Option<NodeAddress>> {
        run!(self.read, nodes::owner_of, device)
    }

    async fn devices_by_id(&self, ids: &[DeviceId]) -> StoreResult<Vec<Device>> {
        let ids = ids.iter().copied().collect();
        let found = self.read(move |tx| Box::pin(async move { devices::by_ids(tx, &ids).await }));
        Ok(found.await?.into_values().collect())
    }

    async fn outbox_of_devices(&self, devices: &[OwnedDevice]) -> StoreResult<LoadedOutbox> {
        let devices = devices.to_vec();
        run!(self.read, outbox::outbox_of_devices, devices)
    }

    async fn outbox_since(&self, seen: &[(AccountId, MessageId)]) -> StoreResult<LoadedOutbox> {
        let (seen, own) = (seen.to_vec(), self.own_accepts.clone());
        run!(self.read, outbox::outbox_since, seen, own)
    }

    fn follow_accounts(&self, accounts: HashSet<AccountId>) {
        self.own_accepts.follow(accounts);
    }

    fn has_lost_answers(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => false,
            Engine::Postgres(postgres) => postgres.has_lost_answers(),
        }
    }

    async fn database_time_ms(&self) -> StoreResult<i64> {
        run!(self.read, nodes::database_time_ms)
    }

    async fn take_requests(
        &self,
        subject: &str,
        limit: i64,
        wanted: i64,
        now: Timestamp,
    ) -> StoreResult<Result<Taken, RateState>> {
        let subject = subject.to_owned();
        run!(self.write, rates::take_requests, subject, limit, wanted, now)
    }

    async fn accepted_elsewhere(&self) -> Option<BTreeSet<AccountId>> {
        match &self.engine {
            Engine::Sqlite(_) => std::future::pending().await,
            Engine::Postgres(postgres) => postgres.accepted_elsewhere().await,
        }
    }
}
