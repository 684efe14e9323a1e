//! What scripted faults do to a client's stanzas, before and after they are handled.

use wacore_binary::{NodeRef, marshal};

use super::{error, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::control::rules::{FaultOn, Happening, Struck};
use crate::error::Result;
use crate::switchboard::{ConnId, Switchboard};

impl Switchboard {
    /// One stanza of a client.
    pub(crate) fn on_stanza(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        if !self.conns.contains_key(&conn) {
            return Ok(());
        }
        let struck = self.stanza_faults(conn, node);
        let Some(delay) = struck.delay else { return self.on_struck_stanza(conn, node, struck) };
        let stanza = marshal::marshal(&node.to_owned())?;
        self.later(delay, move |sb| {
            let node = marshal::unmarshal_ref(stanza.get(1..).unwrap_or_default())?;
            match sb.conns.contains_key(&conn) {
                true => sb.on_struck_stanza(conn, &node, struck.after_delay()),
                false => Ok(()),
            }
        });
        Ok(())
    }

    fn stanza_faults(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Struck {
        let on = match &*node.tag {
            "iq" => FaultOn::Iq,
            "message" => FaultOn::Message,
            "receipt" => FaultOn::Receipt,
            "presence" => FaultOn::Presence,
            "chatstate" => FaultOn::Chatstate,
            _ => return Struck::default(),
        };
        let peer = match on {
            FaultOn::Message | FaultOn::Receipt | FaultOn::Chatstate => jid_attr(node, "to"),
            _ => None,
        };
        let peer = peer.and_then(|to| DeviceAddr::from_jid(&to)).map(|peer| peer.number);
        let own = self.device_of(conn).map(|device| device.number);
        let of: Vec<Number> = own.into_iter().chain(peer).collect();
        self.strike(Happening::new(on, &of))
    }

    fn on_struck_stanza(&mut self, conn: ConnId, node: &NodeRef<'_>, struck: Struck) -> Result<()> {
        // Without its acknowledgement it was handled before the connection ended.
        let is_handled = struck.disconnect.is_none() || struck.drops_ack;
        let is_query = &*node.tag == "iq";
        match (is_query, struck.refusal()) {
            _ if !is_handled => {}
            (true, Some(code)) => self.send(conn, error(node, code, "internal-server-error")),
            (true, None) if struck.drops_ack => {}
            (false, _) if struck.drops_ack && matches!(&*node.tag, "presence" | "chatstate") => {}
            _ => self.handle_stanza(conn, node, struck)?,
        }
        if let Some(code) = struck.disconnect {
            self.cut_off(conn, code);
        }
        Ok(())
    }

    /// Ends a connection with a code, or without a word.
    pub(super) fn cut_off(&mut self, conn: ConnId, code: Option<u16>) {
        match code {
            Some(code) => self.end_with(conn, code),
            None => self.cut(conn),
        }
    }
}
