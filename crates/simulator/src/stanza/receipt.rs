//! Receipts from linked devices: they remove mail, and are passed on to the message's sender.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::{attr, children, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::control::rules::Struck;
use crate::error::Result;
use crate::limits::RECEIPT_IDS_MAX;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

impl Switchboard {
    pub(super) fn on_receipt(
        &mut self,
        conn: ConnId,
        node: &NodeRef<'_>,
        struck: Struck,
    ) -> Result<()> {
        let (Some(by), Some(to)) = (self.device_of(conn), jid_attr(node, "to")) else {
            return Ok(());
        };
        self.counters.receipts_in += 1;
        let kind = attr(node, "type");
        let ids = receipt_ids(node);
        for id in &ids {
            self.mail_taken(by, StanzaClass::Message, id, "")?;
        }
        let author = match to.server {
            Server::Group => jid_attr(node, "participant"),
            _ => Some(to.clone()),
        };
        if !self.is_receipt_well_addressed(by.number, &to, author.as_ref())? {
            // It is acknowledged, but no author gets it.
            self.counters.receipts_misaddressed += 1;
            self.acknowledge_receipt(conn, node, &to, &kind);
            return Ok(());
        }
        let author = author.and_then(|jid| DeviceAddr::from_jid(&jid));
        match (&*kind, author) {
            ("retry", Some(author)) => self.on_retry(by, author, &to, node)?,
            // Between devices of one phone, or for the server only.
            ("server-error", _) => self.on_media_retry(conn, by, node)?,
            ("sender" | "peer_msg" | "hist_sync" | "enc_rekey_retry", _) => {}
            (_, Some(author)) if author.number != by.number => {
                self.pass_on_receipt(by, author.number, &to, &kind, &ids)?;
            }
            _ => {}
        }
        if !struck.drops_ack {
            self.acknowledge_receipt(conn, node, &to, &kind);
        }
        Ok(())
    }

    fn acknowledge_receipt(&mut self, conn: ConnId, node: &NodeRef<'_>, to: &Jid, kind: &str) {
        let mut ack = NodeBuilder::new("ack")
            .attr("class", "receipt")
            .attr("id", attr(node, "id"))
            .attr("from", to);
        if !kind.is_empty() {
            ack = ack.attr("type", kind);
        }
        if let Some(participant) = jid_attr(node, "participant") {
            ack = ack.attr("participant", participant);
        }
        self.send(conn, ack.build());
    }

    fn pass_on_receipt(
        &mut self,
        by: DeviceAddr,
        author: Number,
        to: &Jid,
        kind: &str,
        ids: &[String],
    ) -> Result<()> {
        let group = (to.server == Server::Group).then(|| to.clone());
        // A device reads for its phone as well.
        if kind == "read" || kind == "played" {
            self.read_elsewhere(by.number, ids, kind == "played")?;
        }
        self.give_receipt(by, author, group.as_ref(), kind, ids)
    }

    /// Sends every device of `author` the receipts of its messages.
    pub(crate) fn give_receipt(
        &mut self,
        by: DeviceAddr,
        author: Number,
        group: Option<&Jid>,
        kind: &str,
        ids: &[String],
    ) -> Result<()> {
        let Some((first, more)) = ids.split_first() else {
            return Ok(());
        };
        self.sent_state(author, ids, kind)?;
        for device in self.linked_devices(author)? {
            let mut receipt = NodeBuilder::new("receipt")
                .attr("id", first)
                .attr("t", clock::unix_s().to_string());
            receipt = self.with_origin(receipt, by, group, author)?;
            if !kind.is_empty() {
                receipt = receipt.attr("type", kind);
            }
            if !more.is_empty() {
                let items = more.iter().map(|id| NodeBuilder::new("item").attr("id", id).build());
                receipt = receipt.children([NodeBuilder::new("list").children(items).build()]);
            }
            self.mail(device, StanzaClass::Receipt, receipt.build())?;
        }
        Ok(())
    }

    /// Sends every device of `author` one receipt of several members of a group, who have read a
    /// message.
    pub(crate) fn give_group_receipt(
        &mut self,
        author: Number,
        group: &Jid,
        id: &str,
        readers: &[Number],
    ) -> Result<()> {
        self.sent_state(author, &[id.to_owned()], "read")?;
        let (by_lid, now) = (self.group_is_by_lid(&group.user)?, clock::unix_s().to_string());
        let users = readers.iter().map(|reader| {
            let jid = if by_lid { self.lid_jid(*reader) } else { reader.jid() };
            NodeBuilder::new("user").attr("jid", jid).attr("t", now.clone()).build()
        });
        let users = NodeBuilder::new("participants").attr("key", id).children(users).build();
        for device in self.linked_devices(author)? {
            let receipt = NodeBuilder::new("receipt")
                .attr("id", clock::message_id())
                .attr("from", group)
                .attr("type", "read")
                .attr("t", now.clone())
                .children([users.clone()])
                .build();
            self.mail(device, StanzaClass::Receipt, receipt)?;
        }
        Ok(())
    }

    /// A device could not decrypt a message: its author is asked to resend it.
    fn on_retry(
        &mut self,
        by: DeviceAddr,
        author: DeviceAddr,
        to: &Jid,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        if author.is_phone() {
            return self.phone_sends_again(author.number, by, node);
        }
        let content: Vec<Node> = children(node).iter().map(NodeRef::to_owned).collect();
        let mut receipt = NodeBuilder::new("receipt")
            .attr("id", attr(node, "id"))
            .attr("type", "retry")
            .attr("t", clock::unix_s().to_string());
        let group = (to.server == Server::Group).then_some(to);
        receipt = self.with_origin(receipt, by, group, author.number)?;
        if let Some(recipient) = jid_attr(node, "recipient") {
            receipt = receipt.attr("recipient", recipient);
        }
        self.mail(author, StanzaClass::Receipt, receipt.children(content).build())
    }
}

/// The message ids a receipt is about.
fn receipt_ids(node: &NodeRef<'_>) -> Vec<String> {
    let items = node.get_optional_child("list").map(children).unwrap_or_default();
    let mut ids = vec![attr(node, "id")];
    ids.extend(items.iter().take(RECEIPT_IDS_MAX * 4).map(|item| attr(item, "id")));
    ids.retain(|id| !id.is_empty());
    ids
}
