//! Nodes that share one database, and what each of them owns. All times are the database's.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{OutboxEntry, StoreResult};
use crate::device::Device;
use crate::ids::{AccountId, DeviceId, MessageId, NodeId};
use crate::leases::Leases;
use crate::node::{Fleet, NewNode, Node, NodeAddress, OwnedDevice, OwnedWebhook, Registration};
use crate::policy::rate::{RateState, Taken};

/// Waiting messages, and how far they go.
#[derive(Debug, Clone, Default)]
pub struct LoadedOutbox {
    /// The messages, by id.
    pub entries: Vec<OutboxEntry>,
    /// The newest message of each account that is contained for certain. Of one account ids grow in the
    /// order of commits, whichever node accepts.
    pub last_ids: Vec<(AccountId, MessageId)>,
}

/// The nodes of a database.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// What this process owns. Every write for a device, and of what became of posts to a
    /// webhook, is checked against it and fails with
    /// [`StoreError::NotOwner`](crate::error::StoreError::NotOwner) when another node has claimed it.
    fn leases(&self) -> Arc<Leases>;
    /// Registers this process for `lease`. One that had the same name is void from then on, and this one
    /// owns its devices, under new epochs.
    async fn register_node(&self, node: &NewNode, lease: Duration) -> StoreResult<Registration>;
    /// Renews a registration for `lease`; false when it is void.
    async fn renew_node(&self, registration: Registration, lease: Duration) -> StoreResult<bool>;
    /// How a node sees all nodes; `None` when its registration is void.
    async fn fleet(&self, registration: Registration) -> StoreResult<Option<Fleet>>;
    /// All nodes, by name.
    async fn nodes(&self) -> StoreResult<Vec<Node>>;
    /// Has a node hand over its devices, so many a second, or ends that; false when there is no such node.
    async fn drain_node(&self, id: NodeId, devices_per_s: Option<u32>) -> StoreResult<bool>;
    /// Takes a node off the list that has expired; false when there is none, or it is live.
    async fn remove_node(&self, id: NodeId) -> StoreResult<bool>;
    /// Ends a registration: others may claim its devices at once. A restart under the same name gets back
    /// what was not claimed.
    async fn leave_node(&self, registration: Registration) -> StoreResult<()>;
    /// Claims devices that no live node runs, at most `limit`, under new epochs; how many.
    async fn claim_devices(&self, registration: Registration, limit: u32) -> StoreResult<u64>;
    /// The devices that a node runs.
    async fn owned_devices(&self, registration: Registration) -> StoreResult<Vec<OwnedDevice>>;
    /// Lets others claim devices that are held under these epochs.
    async fn release_devices(
        &self,
        registration: Registration,
        devices: &[OwnedDevice],
    ) -> StoreResult<()>;
    /// Claims webhooks that are not switched off and that no live node posts to, at most `limit`; how many.
    async fn claim_webhooks(&self, registration: Registration, limit: u32) -> StoreResult<u64>;
    /// The webhooks that a node posts to, without those that are switched off.
    async fn owned_webhooks(&self, registration: Registration) -> StoreResult<Vec<OwnedWebhook>>;
    /// Lets others claim webhooks that are held under these epochs.
    async fn release_webhooks(
        &self,
        registration: Registration,
        webhooks: &[OwnedWebhook],
    ) -> StoreResult<()>;
    /// The live node that runs a device.
    async fn owner_of(&self, device: DeviceId) -> StoreResult<Option<NodeAddress>>;
    /// Several devices, whatever accounts they belong to.
    async fn devices_by_id(&self, devices: &[DeviceId]) -> StoreResult<Vec<Device>>;
    /// What waits for devices.
    async fn outbox_of_devices(&self, devices: &[OwnedDevice]) -> StoreResult<LoadedOutbox>;
    /// What accounts have accepted after these messages and still waits. Where nodes share the database: for
    /// devices that this one holds, without what it has accepted itself for accounts that it follows.
    async fn outbox_since(&self, seen: &[(AccountId, MessageId)]) -> StoreResult<LoadedOutbox>;
    /// From now on it is kept what this process accepts for these accounts, and for no others, so that it is not read
    /// back: what is accepted is given to its queue by the caller that has the answer. What a caller never heard of
    /// is read like what others have accepted.
    fn follow_accounts(&self, _accounts: HashSet<AccountId>) {}
    /// Whether a commit of this process was not answered lately: messages that it may have accepted are in no queue,
    /// and are to be read like what others have accepted.
    fn has_lost_answers(&self) -> bool {
        false
    }
    /// How many milliseconds it is since 1970 by the database's clock.
    async fn database_time_ms(&self) -> StoreResult<i64>;
    /// Takes up to `wanted` of the requests that `subject` may make in 60 seconds, at all nodes together.
    async fn take_requests(
        &self,
        subject: &str,
        limit: i64,
        wanted: i64,
        now: Timestamp,
    ) -> StoreResult<Result<Taken, RateState>>;
    /// Waits for a hint that another node has accepted messages for devices that this one holds: of which accounts;
    /// `None` when it may be any. For ever where there are no hints.
    async fn accepted_elsewhere(&self) -> Option<BTreeSet<AccountId>> {
        std::future::pending().await
    }
}
