//! How a stanza names people: by number with the LID beside it, or the other way round. WhatsApp does
//! either, for the same person; clients must know both. Of hidden people only the LID is named.
//!
//! An account that was migrated addresses people by LID; any other by number, but for those that it
//! knows by LID. A direct message in the wrong addressing, or in both, is refused.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, NodeRef};

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
        let (number, lid) = (from.number.jid(), self.lid_jid(from.number));
        let from_lid = self.device_lid_jid(from);
        let phone = self.phone(from.number)?;
        let Some(group) = group else {
            let by_lid = phone.by_lid || phone.hidden || self.is_migrated(reader)?;
            return Ok(match (by_lid, phone.hidden) {
                (true, true) => node.attr("from", from_lid),
                (true, false) => node.attr("from", from_lid).attr("sender_pn", number),
                (false, _) => node.attr("from", from.jid()).attr("sender_lid", lid),
            });
        };
        let node = node.attr("from", group);
        Ok(match (self.group_is_by_lid(&group.user)?, phone.hidden) {
            (true, true) => node.attr("participant", from_lid).attr("addressing_mode", "lid"),
            (true, false) => node
                .attr("participant", from_lid)
                .attr("participant_pn", number)
                .attr("addressing_mode", "lid"),
            (false, _) => node
                .attr("participant", from.jid())
                .attr("participant_lid", lid)
                .attr("addressing_mode", "pn"),
        })
    }

    /// `LID@lid` of a number's present owner.
    pub(crate) fn lid_jid(&self, number: Number) -> Jid {
        self.device_lid_jid(DeviceAddr::phone(number))
    }

    /// `LID:DEVICE@lid` of a number's present owner.
    pub(crate) fn device_lid_jid(&self, device: DeviceAddr) -> Jid {
        let before = self.owners_before(device.number);
        Jid::lid_device(device.number.lid_after(before), device.device)
    }

    /// How many owners a number had before its present one.
    pub(crate) fn owners_before(&self, number: Number) -> u8 {
        self.recycled.get(&number).copied().unwrap_or_default()
    }

    /// Whether this is the LID of somebody whose number is another's by now.
    pub(crate) fn is_of_former_owner(&self, jid: &Jid) -> bool {
        let owner = jid.is_lid().then(|| Number::owner_of_lid(&jid.user)).flatten();
        owner.is_some_and(|(number, before)| before != self.owners_before(number))
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
            (true, true) => node.attr("recipient", self.lid_jid(peer)),
            (true, false) => {
                node.attr("recipient", self.lid_jid(peer)).attr("peer_recipient_pn", peer.jid())
            }
            (false, _) => node.attr("recipient", peer.jid()),
        })
    }

    /// Whether the members of a group are addressed as the group knows them.
    pub(super) fn is_group_well_addressed(&self, to: &Jid, node: &NodeRef<'_>) -> Result<bool> {
        let by_lid = self.group_is_by_lid(&to.user)?;
        let participants = node.get_optional_child("participants").map(children);
        let mut named =
            participants.unwrap_or_default().iter().filter_map(|to| jid_attr(to, "jid"));
        let one = jid_attr(node, "participant");
        Ok(named.all(|jid| jid.is_lid() == by_lid) && one.is_none_or(|jid| jid.is_lid() == by_lid))
    }

    /// Whether a receipt of `by` names its chat and its author as the service does.
    pub(super) fn is_receipt_well_addressed(
        &self,
        by: Number,
        to: &Jid,
        author: Option<&Jid>,
    ) -> Result<bool> {
        if to.is_group() {
            let by_lid = self.group_is_by_lid(&to.user)?;
            return Ok(author.is_none_or(|author| author.is_lid() == by_lid));
        }
        // Between devices of one account either is taken.
        let peer = DeviceAddr::from_jid(to).filter(|peer| peer.number != by);
        peer.map_or(Ok(true), |peer| self.may_address(by, to, peer.number))
    }

    /// Whether an account addresses a person in this way.
    fn may_address(&self, from: Number, to: &Jid, peer: Number) -> Result<bool> {
        let (is_migrated, peer) = (self.is_migrated(from)?, self.phone(peer)?);
        Ok(match to.is_lid() {
            true => is_migrated || peer.by_lid || peer.hidden,
            false => !is_migrated && !peer.hidden,
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
        let is_allowed = match DeviceAddr::from_jid(to) {
            Some(peer) => self.may_address(from, to, peer.number)?,
            None => to.is_lid() == is_migrated,
        };
        let participants = node.get_optional_child("participants").map(children);
        let mut named =
            participants.unwrap_or_default().iter().filter_map(|to| jid_attr(to, "jid"));
        Ok(is_allowed && named.all(|jid| jid.is_lid() == to.is_lid()))
    }
}
