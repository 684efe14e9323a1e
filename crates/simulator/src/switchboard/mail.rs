//! Mail: stanzas stored for a linked device until it acknowledges them.
//!
//! A stanza goes into the `mail` table first and, when its device is connected and has been
//! sent all older mail, is sent right after the commit. It leaves the table when the device
//! acknowledges it; the rest is sent again at the next login.

use rusqlite::params;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent, NodeRef, marshal};
use wacore_libsignal::protocol::PreKeySignalMessage;

use super::{ConnId, Switchboard};
use crate::address::{DeviceAddr, Number};
use crate::control::rules::{FaultOn, Happening};
use crate::error::Result;
use crate::limits::MAIL_PAGE_ROWS;
use crate::wire::socket::SocketCommand;

/// The kinds of stanza a device acknowledges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StanzaClass {
    Message,
    Receipt,
    Notification,
}

impl StanzaClass {
    pub(crate) fn name(self) -> &'static str {
        match self {
            StanzaClass::Message => "message",
            StanzaClass::Receipt => "receipt",
            StanzaClass::Notification => "notification",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [StanzaClass::Message, StanzaClass::Receipt, StanzaClass::Notification]
            .into_iter()
            .find(|class| class.name() == name)
    }
}

impl Switchboard {
    /// Stores `node` for `to` and sends it.
    pub(crate) fn mail(&mut self, to: DeviceAddr, class: StanzaClass, node: Node) -> Result<()> {
        if self.companions.contains(&to) {
            return match class {
                StanzaClass::Message => self.phone_takes(Number::of_companion(to), node),
                StanzaClass::Receipt | StanzaClass::Notification => Ok(()),
            };
        }
        let node = match class {
            StanzaClass::Message => self.damaged(to, node),
            StanzaClass::Receipt | StanzaClass::Notification => node,
        };
        let text =
            |key: &str| node.attrs.get(key).map(|v| v.as_str().into_owned()).unwrap_or_default();
        let stanza = marshal::marshal(&node)?;
        self.db
            .prepare_cached(
                "INSERT INTO mail (number, device, class, id, type, stanza) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                to.number.sql(),
                to.device,
                class.name(),
                text("id"),
                text("type"),
                stanza
            ])?;
        let seq = self.db.last_insert_rowid();
        self.counters.mail_out += 1;
        self.after_commit(move |sb| {
            let Some(&id) = sb.by_device.get(&to) else {
                return;
            };
            if let Some(conn) = sb.conns.get_mut(&id)
                && conn.live
                && seq > conn.mail_seq
            {
                conn.mail_seq = seq;
                sb.put_out(id, node);
            }
        });
        Ok(())
    }

    /// A message as scripted faults leave it. What a phone and its devices exchange by themselves is
    /// never damaged.
    fn damaged(&mut self, to: DeviceAddr, mut node: Node) -> Node {
        let is_peer = node.attrs.get("category").is_some_and(|category| *category == "peer");
        if is_peer || to.is_phone() {
            return node;
        }
        let of = [to.number];
        let delivery = Happening { is_delivery: true, ..Happening::new(FaultOn::Message, &of) };
        let struck = self.strike(delivery);
        if struck.is_unavailable {
            let unavailable = NodeBuilder::new("unavailable").build();
            node.content = Some(NodeContent::Nodes(vec![unavailable]));
        } else if struck.corrupts {
            corrupt(&mut node);
        }
        node
    }

    /// A device acknowledges a stanza. `kind` distinguishes the receipts of one message.
    pub(crate) fn mail_taken(
        &mut self,
        by: DeviceAddr,
        class: StanzaClass,
        id: &str,
        kind: &str,
    ) -> Result<()> {
        self.db
            .prepare_cached(
                "DELETE FROM mail WHERE seq = (SELECT seq FROM mail \
                 WHERE number = ?1 AND device = ?2 AND id = ?3 AND class = ?4 \
                 ORDER BY type = ?5 DESC, seq LIMIT 1)",
            )?
            .execute(params![by.number.sql(), by.device, id, class.name(), kind])?;
        Ok(())
    }

    /// Sends the waiting mail page by page, each after the last has been written.
    pub(crate) fn next_mail_page(&mut self, id: ConnId) -> Result<()> {
        let (Some(device), Some(conn)) = (self.device_of(id), self.conns.get(&id)) else {
            return Ok(());
        };
        if conn.live {
            return Ok(());
        }
        let page = self.mail_page(device, conn.mail_seq)?;
        let last = page.len() < MAIL_PAGE_ROWS;
        let mut sent = 0;
        let newest = page.last().map(|(seq, _)| *seq);
        for (_, stanza) in page {
            if let Ok(node) = waiting(&stanza) {
                sent += 1;
                self.send(id, node);
            }
        }
        self.after_commit(move |sb| sb.mail_page_sent(id, newest, sent, last));
        Ok(())
    }

    /// Continues with the next page, or reports that all is sent and goes live.
    fn mail_page_sent(&mut self, id: ConnId, newest: Option<i64>, sent: u32, last: bool) {
        let Some(conn) = self.conns.get_mut(&id) else {
            return;
        };
        conn.mail_seq = newest.unwrap_or(conn.mail_seq);
        conn.mail_count += sent;
        if !last {
            let _ = conn.out.try_send(SocketCommand::MailPageWritten);
            return;
        }
        conn.live = true;
        let count = conn.mail_count.to_string();
        let offline = NodeBuilder::new("offline").attr("count", count).build();
        let ib = NodeBuilder::new("ib").attr("from", "s.whatsapp.net").children([offline]).build();
        self.put_out(id, ib);
    }

    fn mail_page(&self, device: DeviceAddr, after: i64) -> Result<Vec<(i64, Vec<u8>)>> {
        let mut query = self.db.prepare_cached(
            "SELECT seq, stanza FROM mail WHERE number = ?1 AND device = ?2 AND seq > ?3 \
             ORDER BY seq LIMIT ?4",
        )?;
        let limit = i64::try_from(MAIL_PAGE_ROWS).unwrap_or(i64::MAX);
        let rows = query
            .query_map(params![device.number.sql(), device.device, after, limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Damages what is encrypted for one device, or else for the group: its MAC or signature is wrong.
fn corrupt(node: &mut Node) {
    let Some(NodeContent::Nodes(children)) = &mut node.content else { return };
    let first = children.iter_mut().find(|child| child.tag == "enc");
    let Some(Node { content: Some(NodeContent::Bytes(sealed)), .. }) = first else { return };
    let inner = PreKeySignalMessage::try_from(&sealed[..]).ok();
    let inner = inner.map(|message| message.message().serialized().to_vec());
    let at = inner.and_then(|inner| {
        let start = sealed.windows(inner.len().max(1)).position(|part| part == inner)?;
        Some(start + inner.len())
    });
    let end = at.unwrap_or(sealed.len());
    if let Some(last) = end.checked_sub(1).and_then(|last| sealed.get_mut(last)) {
        *last ^= 0xFF;
    }
}

/// A stored stanza, marked as one that waited.
fn waiting(stanza: &[u8]) -> Result<Node> {
    let node: NodeRef<'_> = marshal::unmarshal_ref(stanza.get(1..).unwrap_or_default())?;
    let mut node = node.to_owned();
    node.attrs.insert("offline", "0");
    Ok(node)
}
