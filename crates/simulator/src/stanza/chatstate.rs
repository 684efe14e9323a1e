//! Typing: relayed to linked devices that are connected, and timed for the phone's inbox.
//! Never stored.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::{children, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::limits::TYPING_CHATS_MAX;
use crate::switchboard::{ConnId, Switchboard};

impl Switchboard {
    pub(super) fn on_chatstate(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let to = jid_attr(node, "to").and_then(|jid| DeviceAddr::from_jid(&jid));
        let (Some(from), Some(to)) = (self.device_of(conn), to) else {
            return Ok(());
        };
        let Some(state) = children(node).first() else {
            return Ok(());
        };
        if &*state.tag == "composing" {
            self.typing_started(from.number, to.number);
        }
        let relayed = NodeBuilder::new("chatstate")
            .attr("from", from.number.jid())
            .children([state.to_owned()])
            .build();
        for device in self.linked_devices(to.number)? {
            self.send_if_live(device, relayed.clone());
        }
        self.phone_changed(to.number);
        Ok(())
    }

    fn typing_started(&mut self, from: Number, to: Number) {
        if self.typing.len() >= TYPING_CHATS_MAX {
            self.typing.clear();
        }
        // A client repeats `composing` while it types: the first one counts.
        self.typing.entry((from, to)).or_insert_with(clock::unix_ms);
    }

    /// For how long `from` was seen typing to `to` before now; ends the count.
    pub(crate) fn typed_ms(&mut self, from: Number, to: Number) -> i64 {
        self.typing
            .remove(&(from, to))
            .map_or(0, |start| clock::unix_ms().saturating_sub(start).max(1))
    }

    /// Sends something that is not worth keeping.
    pub(crate) fn send_if_live(&mut self, to: DeviceAddr, node: wacore_binary::Node) {
        self.after_commit(move |sb| {
            if let Some(&id) = sb.by_device.get(&to)
                && sb.conns.get(&id).is_some_and(|conn| conn.live)
            {
                sb.put_out(id, node);
            }
        });
    }
}
