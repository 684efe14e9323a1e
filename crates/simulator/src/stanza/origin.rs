//! The sender attributes of a stanza: a number with its LID beside it, or the other way
//! round. WhatsApp does either, for the same person; clients must know both.

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use crate::address::DeviceAddr;
use crate::error::Result;
use crate::switchboard::Switchboard;

impl Switchboard {
    /// `from`, in a group as its `participant`, in a direct chat as itself.
    pub(crate) fn with_origin(
        &self,
        node: NodeBuilder,
        from: DeviceAddr,
        group: Option<&Jid>,
    ) -> Result<NodeBuilder> {
        let (number, lid) = (from.number.jid(), from.number.lid_jid());
        let Some(group) = group else {
            return Ok(match self.phone(from.number)?.by_lid {
                true => node.attr("from", from.lid_jid()).attr("sender_pn", number),
                false => node.attr("from", from.jid()).attr("sender_lid", lid),
            });
        };
        let node = node.attr("from", group);
        Ok(match self.group_is_by_lid(&group.user)? {
            true => node
                .attr("participant", from.lid_jid())
                .attr("participant_pn", number)
                .attr("addressing_mode", "lid"),
            false => node
                .attr("participant", from.jid())
                .attr("participant_lid", lid)
                .attr("addressing_mode", "pn"),
        })
    }
}
