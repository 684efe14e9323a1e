//! Nodes: processes that share one database, and which of them runs which device.

use std::time::Duration;

use jiff::Timestamp;

use crate::ids::{AccountId, DeliveryId, DeviceId, NodeId, WebhookId};

/// How long a node counts as live after it has renewed its registration, by the database's clock.
pub const LEASE: Duration = Duration::from_secs(12);
/// How often a node renews its registration.
pub const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How long after the beginning of its last successful renewal a node may send, by its own clock:
/// the rest of [`LEASE`] is for closing its connections, and for clocks that differ in speed.
pub const SEND_WITHIN: Duration = Duration::from_secs(8);

/// A process that begins to share a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNode {
    /// What the operator calls it; no two live nodes have the same.
    pub name: String,
    /// Where the other nodes reach it, without a trailing slash.
    pub url: String,
    /// Most devices it takes.
    pub capacity: u32,
    /// Its release.
    pub version: String,
}

/// As what a process is registered. Another process that takes the name raises the epoch, and this one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration {
    /// The node.
    pub node: NodeId,
    /// Which of the processes that had its name.
    pub epoch: i64,
}

/// A node, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where the other nodes reach it.
    pub url: String,
    /// Its release.
    pub version: String,
    /// When its process has registered.
    pub started_at: Timestamp,
    /// Until when it counts as live.
    pub expires_at: Timestamp,
    /// Whether it does, now.
    pub is_live: bool,
    /// How many devices a second it hands over, while it is being drained.
    pub drain_per_s: Option<u32>,
    /// Most devices it takes.
    pub capacity: u32,
    /// How many it runs.
    pub devices: u64,
    /// How many webhooks it posts to.
    pub webhooks: u64,
}

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub id: NodeId,
    /// Its address, without a trailing slash.
    pub url: String,
}

/// A device that a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedDevice {
    /// Which.
    pub device: DeviceId,
    /// Whose it is.
    pub account: AccountId,
    /// Raised by every claim.
    pub epoch: i64,
    /// Raised by every change of its settings.
    pub revision: i64,
}

/// A webhook that a node posts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedWebhook {
    /// Which.
    pub webhook: WebhookId,
    /// Whose it is.
    pub account: AccountId,
    /// Raised by every claim.
    pub epoch: i64,
    /// Raised by every change, and when deliveries are to be tried again.
    pub revision: i64,
    /// The newest delivery that waits for it.
    pub newest: Option<DeliveryId>,
}

/// All nodes, as one of them sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fleet {
    /// Nodes that are live.
    pub live: u32,
    /// Those of them that take devices: the others are being drained.
    pub taking: u32,
    /// The devices of all accounts.
    pub devices: u64,
    /// Those that no live node runs.
    pub unowned: u64,
    /// Those that this node runs.
    pub owned: u64,
    /// The part of them that each node runs at most; what each has in an even split where it is not given.
    pub share: Option<u64>,
    /// Changes with the devices that this node runs, their epochs and their settings.
    pub fingerprint: i64,
    /// The webhooks of all accounts that are not switched off.
    pub webhooks: u64,
    /// Those that no live node posts to.
    pub unowned_webhooks: u64,
    /// Those that this node posts to.
    pub owned_webhooks: u64,
    /// How many devices a second this node hands over, while it is being drained.
    pub drain_per_s: Option<u32>,
    /// Whether this node is the oldest of the live ones.
    pub is_eldest: bool,
}

impl Fleet {
    /// The same with webhooks in the place of devices: they are shared by the same rules.
    #[must_use]
    pub fn of_webhooks(self) -> Self {
        let (devices, unowned, owned) = (self.webhooks, self.unowned_webhooks, self.owned_webhooks);
        // Their number has nothing to do with what nodes can take of devices.
        Self { devices, unowned, owned, share: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_shared_evenly_whatever_nodes_take_of_devices() {
        let fleet = Fleet {
            live: 3,
            taking: 2,
            devices: 10,
            unowned: 5,
            owned: 2,
            share: Some(7),
            webhooks: 4,
            unowned_webhooks: 3,
            owned_webhooks: 1,
            ..Fleet::default()
        };
        let shared = Fleet { devices: 4, unowned: 3, owned: 1, share: None, ..fleet };
        assert_eq!(fleet.of_webhooks(), shared);
    }
}
