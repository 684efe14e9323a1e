//! How a stanza names people: by number with the LID beside it, or the other way round. WhatsApp does
//! either, for the same person; clients must know both. Of hidden people only the LID is named.
//!
//! An account that was migrated addresses people by LID; any other by number, but for those that it
//! knows by LID. A direct message in the wrong addressing, or in both, is refused.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeRef};

use super::{attr, children, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::error::Result;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// `from`, in a group as its `participant`, in a direct chat as itself: as `reader` knows it.
    pub(crate) fn with_origin(
        &self,
        node: NodeBuilder,
        from: DeviceAddr,
        group: Option<&Jid>,
        reader: Number,
    ) -> Result<NodeBuilder> {
        let (number, lid) = (from.number.jid(), from.number.lid_jid());
        let phone = self.phone(from.number)?;
        let Some(group) = group else {
            let by_lid = phone.by_lid || phone.hidden || self.is_migrated(reader)?;
            return Ok(match (by_lid, phone.hidden) {
                (true, true) => node.attr("from", from.lid_jid()),
                (true, false) => node.attr("from", from.lid_jid()).attr("sender_pn", number),
                (false, _) => node.attr("from", from.jid()).attr("sender_lid", lid),
            });
        };
        let node = node.attr("from", group);
        Ok(match (self.group_is_by_lid(&group.user)?, phone.hidden) {
            (true, true) => node.attr("participant", from.lid_jid()).attr("addressing_mode", "lid"),
            (true, false) => node
                .attr("participant", from.lid_jid())
                .attr("participant_pn", number)
                .attr("addressing_mode", "lid"),
            (false, _) => node
                .attr("participant", from.jid())
                .attr("participant_lid", lid)
                .attr("addressing_mode", "pn"),
        })
    }

    /// Whether an account addresses people by LID.
    pub(crate) fn is_migrated(&self, number: Number) -> Result<bool> {
        Ok(self.phone(number.owner())?.migrated)
    }

    /// The chat of a message that another device of `owner` has sent.
    pub(crate) fn with_chat(
        &self,
        node: NodeBuilder,
        owner: Number,
        peer: Number,
    ) -> Result<NodeBuilder> {
        let is_hidden = self.phone(peer)?.hidden;
        Ok(match (self.is_migrated(owner)? || is_hidden, is_hidden) {
            (true, true) => node.attr("recipient", peer.lid_jid()),
            (true, false) => {
                node.attr("recipient", peer.lid_jid()).attr("peer_recipient_pn", peer.jid())
            }
            (false, _) => node.attr("recipient", peer.jid()),
        })
    }

    /// Whether a direct message of `from` is addressed as its account addresses this person.
    pub(super) fn is_well_addressed(
        &self,
        from: Number,
        to: &Jid,
        node: &NodeRef<'_>,
    ) -> Result<bool> {
        // Between devices of one account either is taken.
        if attr(node, "category") == "peer" {
            return Ok(true);
        }
        let is_migrated = self.is_migrated(from)?;
        let peer = DeviceAddr::from_jid(to).map(|peer| self.phone(peer.number)).transpose()?;
        let is_allowed = match (to.is_lid(), peer) {
            (true, Some(peer)) => is_migrated || peer.by_lid || peer.hidden,
            (true, None) => is_migrated,
            (false, peer) => !is_migrated && !peer.is_some_and(|peer| peer.hidden),
        };
        let participants = node.get_optional_child("participants").map(children);
        let mut named =
            participants.unwrap_or_default().iter().filter_map(|to| jid_attr(to, "jid"));
        Ok(is_allowed && named.all(|jid| jid.is_lid() == to.is_lid()))
    }
}
