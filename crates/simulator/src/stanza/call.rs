//! Calls: they ring at linked devices, which may reject them; nothing is said over them.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::{attr, children};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, bad_request};
use crate::switchboard::{ConnId, Switchboard};

/// Rejected calls that are remembered.
const REJECTED_MAX: usize = 1_000;

impl Switchboard {
    /// A phone calls a number; the call's id. It rings at the devices that are connected.
    pub(crate) fn call(&mut self, number: Number, to: Number, is_video: bool) -> Result<String> {
        self.in_use(number)?;
        if !self.phone(to)?.registered {
            return Err(bad_request(format!("{to} is not registered with WhatsApp")));
        }
        let id = clock::message_id();
        let caller = DeviceAddr::phone(number);
        let is_hidden = self.phone(number)?.hidden;
        let by_lid = self.is_migrated(to)? || is_hidden;
        let creator = if by_lid { self.lid_jid(number) } else { number.jid() };
        for device in self.linked_devices(to)? {
            let audio = NodeBuilder::new("audio").attr("enc", "opus").attr("rate", "16000").build();
            let video = is_video.then(|| NodeBuilder::new("video").attr("enc", "h264").build());
            let mut offer = NodeBuilder::new("offer")
                .attr("call-id", &id)
                .attr("call-creator", creator.clone());
            if by_lid && !is_hidden {
                offer = offer.attr("caller_pn", number.jid());
            }
            let offer = offer.children([audio].into_iter().chain(video)).build();
            let call = NodeBuilder::new("call")
                .attr("id", clock::message_id())
                .attr("t", clock::unix_s().to_string())
                .attr("notify", format!("Phone {number}"));
            let call = match by_lid {
                true => call.attr("from", self.device_lid_jid(caller)),
                false => call.attr("from", caller.jid()),
            };
            if let Some(&conn) = self.by_device.get(&device) {
                self.send(conn, call.children([offer]).build());
            }
        }
        Ok(id)
    }

    /// A device answers a call.
    pub(super) fn on_call(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let ack = NodeBuilder::new("ack")
            .attr("class", "call")
            .attr("id", attr(node, "id"))
            .attr("from", attr(node, "to"))
            .build();
        let rejected = children(node).iter().filter(|child| child.tag == "reject");
        for reject in rejected {
            if self.rejected_calls.len() < REJECTED_MAX {
                self.rejected_calls.push(attr(reject, "call-id"));
            }
        }
        self.answer(conn, ack)
    }
}
