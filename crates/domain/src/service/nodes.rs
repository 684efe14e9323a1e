//! The processes that share the database.

use super::{Core, Principal};
use crate::audit::Action;
use crate::device::DeviceStatus;
use crate::error::{Error, Result};
use crate::ids::{DeviceId, NodeId};
use crate::node::{Node, NodeAddress};
use crate::ports::{FormClaim, FormHash};

/// How many devices a second a drained node hands over, unless it is asked for.
pub const DRAIN_PER_S: u32 = 5;
/// Most devices a second.
pub const DRAIN_PER_S_MAX: u32 = 1_000;

impl Core {
    /// How many devices of all accounts are in each state that some are in.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the operator.
    pub async fn devices_by_status(
        &self,
        principal: &Principal,
    ) -> Result<Vec<(DeviceStatus, i64)>> {
        principal.require_operator()?;
        Ok(self.store.count_devices(None).await?)
    }

    /// Whether other processes use the database, too.
    pub fn is_shared(&self) -> bool {
        self.store.leases().is_shared()
    }

    /// The other node that runs a device; `None` when this one does, or none.
    ///
    /// # Errors
    /// The store's.
    pub async fn owner_of(&self, device: DeviceId) -> Result<Option<NodeAddress>> {
        let own = self.store.leases().node();
        let owner = self.store.owner_of(device).await?;
        Ok(owner.filter(|owner| Some(owner.id) != own))
    }

    /// The other nodes that are live.
    ///
    /// # Errors
    /// The store's.
    pub async fn other_nodes(&self) -> Result<Vec<NodeAddress>> {
        let own = self.store.leases().node();
        let nodes = self.store.nodes().await?.into_iter();
        let others = nodes.filter(|node| node.is_live && Some(node.id) != own);
        Ok(others.map(|node| NodeAddress { id: node.id, url: node.url }).collect())
    }

    /// One of them; `None` when it is not live, or this one.
    ///
    /// # Errors
    /// The store's.
    pub async fn other_node(&self, id: NodeId) -> Result<Option<NodeAddress>> {
        Ok(self.other_nodes().await?.into_iter().find(|node| node.id == id))
    }

    /// What distinguishes this node from others; `None` where there are none.
    pub fn node(&self) -> Option<NodeId> {
        self.store.leases().node()
    }

    /// Claims a form of the dashboard for this node, so that it is acted on once.
    ///
    /// # Errors
    /// The store's.
    pub async fn claim_form(&self, form: FormHash) -> Result<FormClaim> {
        Ok(self.store.claim_form(form, self.node(), self.clock.now()).await?)
    }

    /// Gives a claim back: the form changed nothing.
    pub async fn release_form(&self, form: FormHash) {
        // A form whose claim stays is filled in anew; what the store cannot write it reports.
        let _ = self.store.release_form(form).await;
    }

    /// Refuses what only the node can do that runs a device, before anything is done.
    pub(super) fn require_here(&self, device: DeviceId) -> Result<()> {
        if self.dispatcher.runs(device) { Ok(()) } else { Err(Error::RunsElsewhere(device)) }
    }

    /// Ends the live streams whose keys are gone.
    pub async fn end_revoked(&self) {
        for account in self.streams.accounts() {
            self.end_revoked_streams(account).await;
        }
    }

    /// All nodes, by name; none where the database is shared with no other process.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for all but the operator.
    pub async fn nodes(&self, principal: &Principal) -> Result<Vec<Node>> {
        principal.require_operator()?;
        Ok(self.store.nodes().await?)
    }

    /// Has a node hand its devices over to the others, so many a second; with 0 it takes devices again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Forbidden`] for all but the operator.
    pub async fn drain_node(
        &self,
        principal: &Principal,
        id: NodeId,
        devices_per_s: u32,
    ) -> Result<Node> {
        principal.require_operator()?;
        if devices_per_s > DRAIN_PER_S_MAX {
            let message = format!("must be at most {DRAIN_PER_S_MAX}");
            return Err(Error::invalid("devices_per_s", message));
        }
        let per_s = (devices_per_s > 0).then_some(devices_per_s);
        if !self.store.drain_node(id, per_s).await? {
            return Err(Error::NotFound("node"));
        }
        let node = self.registered(id).await?;
        let action = per_s.map_or(Action::NodeResumed, |_| Action::NodeDrained);
        self.note(principal, action, &node.name).await;
        Ok(node)
    }

    /// Takes a node off the list that is gone. One that comes back all the same ends itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is live, [`Error::Forbidden`] for all but the operator.
    pub async fn remove_node(&self, principal: &Principal, id: NodeId) -> Result<()> {
        principal.require_operator()?;
        let node = self.registered(id).await?;
        if !self.store.remove_node(id).await? {
            return Err(Error::Conflict("the node is live: stop it first"));
        }
        self.note(principal, Action::NodeRemoved, &node.name).await;
        Ok(())
    }

    async fn registered(&self, id: NodeId) -> Result<Node> {
        let nodes = self.store.nodes().await?;
        nodes.into_iter().find(|node| node.id == id).ok_or(Error::NotFound("node"))
    }
}
