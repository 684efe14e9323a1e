//! Messages from linked devices: stored for every addressee, then acknowledged.
//!
//! The acknowledgement leaves after the commit that holds the mail of every addressed
//! device and the inbox rows of every addressed phone.

use std::collections::HashSet;

use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};
use waproto::buffa::Message as _;
use waproto::whatsapp::ADVSignedDeviceIdentity;

use super::{attr, children, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::control::rules::Struck;
use crate::error::Result;
use crate::limits::TARGETS_MAX;
use crate::stanza::tokens::STRANGER_CODE;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// Attributes of a message that its addressees see unchanged.
const RELAYED_ATTRS: [&str; 4] = ["type", "edit", "category", "verified_name"];

/// The code of a stanza that lacks something.
const INVALID: u16 = 479;

/// The content for one device.
type Target = (DeviceAddr, Vec<Node>);

/// A refusal of one message.
pub(super) fn nack(node: &NodeRef<'_>, code: u16) -> Node {
    NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", attr(node, "id"))
        .attr("from", jid_attr(node, "to").unwrap_or_else(super::server))
        .attr("error", code.to_string())
        .build()
}

/// The answer to a message to a LID whose number is another's by now: the sender is to look it up anew.
fn stale_lid(node: &NodeRef<'_>) -> Node {
    NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", attr(node, "id"))
        .attr("from", jid_attr(node, "to").unwrap_or_else(super::server))
        .attr("t", clock::unix_s().to_string())
        .attr("refresh_lid", "true")
        .build()
}

impl Switchboard {
    pub(super) fn on_message(
        &mut self,
        conn: ConnId,
        node: &NodeRef<'_>,
        struck: Struck,
    ) -> Result<()> {
        let (Some(from), Some(to)) = (self.device_of(conn), jid_attr(node, "to")) else {
            self.send(conn, nack(node, 400));
            return Ok(());
        };
        if self.faults.drop_messages {
            return Ok(());
        }
        self.counters.messages_in += 1;
        self.note_sender(from, conn);
        if attr(node, "id").is_empty() {
            self.send(conn, nack(node, 400));
            return Ok(());
        }
        let peer = DeviceAddr::from_jid(&to).map(|device| device.number);
        if let Some(code) = self.faults.rejects(from.number, peer).or(struck.nack) {
            self.send(conn, nack(node, code));
            return Ok(());
        }
        let drops_ack = self.faults.drop_acks || struck.drops_ack;
        if self.is_of_former_owner(&to) {
            self.send(conn, stale_lid(node));
            return Ok(());
        }
        let mark = self.effect_mark();
        let outcome = match (to.server, peer) {
            _ if lacks_proof(node) => Err(INVALID),
            (Server::Group, _) => self.group_message(from, &to, node)?,
            (_, Some(peer)) => self.direct_message(from, peer, &to, node)?,
            // Status, channels and broadcast lists have no recipients here.
            _ => Ok(None),
        };
        match outcome {
            Ok(phash) => {
                if !drops_ack {
                    self.acknowledge(conn, node, &to, phash);
                    // The acknowledgement is sent before the receipts.
                    self.last_effect_first(mark);
                }
            }
            Err(code) => self.send(conn, nack(node, code)),
        }
        Ok(())
    }

    fn acknowledge(&mut self, conn: ConnId, node: &NodeRef<'_>, to: &Jid, phash: Option<String>) {
        self.counters.messages_acked += 1;
        let mut ack = NodeBuilder::new("ack")
            .attr("class", "message")
            .attr("id", attr(node, "id"))
            .attr("from", to)
            .attr("t", clock::unix_s().to_string());
        if let Some(phash) = phash {
            ack = ack.attr("phash", phash);
        }
        self.send(conn, ack.build());
    }

    /// A message to one person: the outer error is ours, the inner one a nack's code, and
    /// the value the hash of the devices when the sender has missed some.
    fn direct_message(
        &mut self,
        from: DeviceAddr,
        peer: Number,
        to: &Jid,
        node: &NodeRef<'_>,
    ) -> Result<Result<Option<String>, u16>> {
        if !self.phone(peer)?.registered {
            return Ok(Err(404));
        }
        if !self.is_well_addressed(from.number, to, node)? {
            return Ok(Err(400));
        }
        if self.is_refused_as_stranger(from.number, peer, node)? {
            return Ok(Err(STRANGER_CODE));
        }
        let whole_chat = node.get_optional_child("participants").is_some();
        let targets = targets(node, DeviceAddr::from_jid(to));
        if targets.is_empty() {
            return Ok(Err(400));
        }
        let addressed: HashSet<DeviceAddr> = targets.iter().map(|(device, _)| *device).collect();
        for (device, content) in targets {
            if device.number != peer && device.number != from.number {
                continue;
            }
            let mut relay = self.with_origin(self.relay(from, node)?, from, None, device.number)?;
            if device.number == from.number && attr(node, "category") != "peer" {
                relay = self.with_chat(relay, from.number, peer)?;
            }
            self.deliver(device, relay.children(content).build())?;
        }
        match whole_chat {
            true => Ok(Ok(self.missed(from, to, &[peer, from.number], &addressed)?)),
            false => Ok(Ok(None)),
        }
    }

    fn group_message(
        &mut self,
        from: DeviceAddr,
        to: &Jid,
        node: &NodeRef<'_>,
    ) -> Result<Result<Option<String>, u16>> {
        let members = self.group_members(&to.user)?;
        if !members.contains(&from.number) || !self.may_write(&to.user, from.number)? {
            return Ok(Err(403));
        }
        let one = jid_attr(node, "participant").and_then(|jid| DeviceAddr::from_jid(&jid));
        let keyed = targets(node, one);
        let shared: Vec<Node> = match one {
            Some(_) => Vec::new(),
            None => {
                children(node).iter().filter(|c| &*c.tag == "enc").map(NodeRef::to_owned).collect()
            }
        };
        let everyone = match one {
            Some(device) => vec![device],
            None => self.devices_of(&members)?,
        };
        let known = attr(node, "phash");
        if !self.is_group_well_addressed(to, node)? {
            return Ok(Err(400));
        }
        let by_lid = self.group_is_by_lid(&to.user)?;
        let right = one.is_none().then(|| self.phash(&everyone, by_lid));
        for device in everyone {
            if device == from || !members.contains(&device.number) {
                continue;
            }
            let own = keyed.iter().find(|(addr, _)| *addr == device);
            let mut content = own.map(|(_, content)| content.clone()).unwrap_or_default();
            content.extend(shared.iter().cloned());
            let relay = self.with_origin(self.relay(from, node)?, from, Some(to), device.number)?;
            self.deliver(device, relay.children(content).build())?;
        }
        Ok(Ok(right.filter(|right| !known.is_empty() && known != *right)))
    }

    /// The stanza that every addressee gets, without sender and content.
    fn relay(&self, from: DeviceAddr, node: &NodeRef<'_>) -> Result<NodeBuilder> {
        let mut relay = NodeBuilder::new("message")
            .attr("id", attr(node, "id"))
            .attr("t", clock::unix_s().to_string())
            .attr("notify", self.push_name(from)?);
        for key in RELAYED_ATTRS {
            if let Some(value) = node.get_attr(key) {
                relay = relay.attr(key, value.to_node_value());
            }
        }
        Ok(relay)
    }

    /// Delivers a message to a phone, or mails it to a linked device.
    pub(crate) fn deliver(&mut self, to: DeviceAddr, message: Node) -> Result<()> {
        if to.is_phone() {
            return self.phone_takes(to.number, message);
        }
        match self.is_linked(to)? {
            true => self.mail(to, StanzaClass::Message, message),
            false => Ok(()),
        }
    }

    /// The phones and linked devices of some people.
    pub(crate) fn devices_of(&self, numbers: &[Number]) -> Result<Vec<DeviceAddr>> {
        let mut devices = Vec::new();
        for number in numbers {
            devices.push(DeviceAddr::phone(*number));
            devices.extend(self.linked_devices(*number)?);
        }
        Ok(devices)
    }

    /// The hash of all devices, when the sender has not addressed every one.
    fn missed(
        &self,
        from: DeviceAddr,
        to: &Jid,
        numbers: &[Number],
        addressed: &HashSet<DeviceAddr>,
    ) -> Result<Option<String>> {
        let mut devices = self.devices_of(numbers)?;
        devices.retain(|device| *device != from);
        let is_missed = devices.iter().any(|device| !addressed.contains(device));
        Ok(is_missed.then(|| self.phash(&devices, to.is_lid())))
    }

    /// WhatsApp's hash of a set of devices, named by number or by LID.
    fn phash(&self, devices: &[DeviceAddr], by_lid: bool) -> String {
        let name = |device: &DeviceAddr| match by_lid {
            true => self.device_lid_jid(*device),
            false => device.jid(),
        };
        let named: Vec<Jid> = devices.iter().map(name).collect();
        MessageUtils::participant_list_hash(&named).unwrap_or_default()
    }

    fn is_linked(&self, device: DeviceAddr) -> Result<bool> {
        let sql = "SELECT 1 FROM devices WHERE number = ?1 AND device = ?2";
        let key = rusqlite::params![device.number.sql(), device.device];
        Ok(self.db.prepare_cached(sql)?.exists(key)?)
    }

    fn push_name(&self, device: DeviceAddr) -> Result<String> {
        use rusqlite::OptionalExtension as _;
        let sql = "SELECT push_name FROM devices WHERE number = ?1 AND device = ?2";
        let key = rusqlite::params![device.number.sql(), device.device];
        let name: Option<String> =
            self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        Ok(name.unwrap_or_default())
    }
}

/// Whether a first message of a session comes without the proof of who has linked its sender.
fn lacks_proof(node: &NodeRef<'_>) -> bool {
    let proof = node.get_optional_child("device-identity").map(super::bytes_of);
    let readable = |proof: &Vec<u8>| {
        let proof = ADVSignedDeviceIdentity::decode_from_slice(proof);
        proof.is_ok_and(|proof| proof.details.is_some())
    };
    begins_session(node) && !proof.as_ref().is_some_and(readable)
}

/// Whether it begins a session with a device of somebody else.
fn begins_session(node: &NodeRef<'_>) -> bool {
    let is_first = |enc: &NodeRef<'_>| &*enc.tag == "enc" && attr(enc, "type") == "pkmsg";
    let named = node.get_optional_child("participants").map(children).unwrap_or_default();
    attr(node, "category") != "peer"
        && (children(node).iter().any(is_first)
            || named.iter().any(|to| children(to).iter().any(is_first)))
}

/// The devices a message addresses: its participants, or `to` itself when the content is
/// not wrapped for several.
fn targets(node: &NodeRef<'_>, to: Option<DeviceAddr>) -> Vec<Target> {
    let identity = node.get_optional_child("device-identity").map(NodeRef::to_owned);
    let with_identity = |content: &[NodeRef<'_>]| {
        let encs = content.iter().filter(|child| &*child.tag == "enc");
        let mut content: Vec<Node> = encs.map(NodeRef::to_owned).collect();
        let fresh = |node: &Node| node.attrs.get("type").is_some_and(|kind| *kind == "pkmsg");
        if content.iter().any(fresh) {
            content.extend(identity.clone());
        }
        content
    };
    let Some(participants) = node.get_optional_child("participants") else {
        let content = with_identity(children(node));
        return to.filter(|_| !content.is_empty()).map(|to| (to, content)).into_iter().collect();
    };
    children(participants)
        .iter()
        .take(TARGETS_MAX)
        .filter_map(|to| {
            let device = DeviceAddr::from_jid(&jid_attr(to, "jid")?)?;
            Some((device, with_identity(children(to))))
        })
        .collect()
}
