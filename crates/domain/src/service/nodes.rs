//! The processes that share the database.

use super::{Core, Principal};
use crate::error::{Error, Result};
use crate::ids::NodeId;
use crate::node::Node;

/// How many devices a second a drained node hands over, unless it is asked for.
pub const DRAIN_PER_S: u32 = 5;
/// Most devices a second.
pub const DRAIN_PER_S_MAX: u32 = 1_000;

impl Core {
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
        let nodes = self.store.nodes().await?;
        nodes.into_iter().find(|node| node.id == id).ok_or(Error::NotFound("node"))
    }
}
