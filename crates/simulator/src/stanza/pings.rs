//! What the server says by itself: pings, where to connect next time, and what a client should ask for
//! again.

use rusqlite::params;
use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::{attr, children, server};
use crate::address::DeviceAddr;
use crate::clock;
use crate::error::Result;
use crate::limits::PING_EVERY;
use crate::switchboard::{ConnId, Switchboard};

/// What a client may have to ask for again, as bits of `devices.dirty`.
const DIRTY: [(i64, &str); 2] = [(1, "account_sync"), (2, "groups")];
/// Of a device that has just been linked.
pub(super) const DIRTY_AT_FIRST: i64 = 3;

impl Switchboard {
    /// Sends a client that has just logged in where to connect next time and what has changed.
    pub(super) fn welcome(&mut self, id: ConnId, device: DeviceAddr) -> Result<()> {
        let routing = NodeBuilder::new("routing_info").bytes(self.routing(device)).build();
        let routing = NodeBuilder::new("edge_routing").children([routing]).build();
        let ib = || NodeBuilder::new("ib").attr("from", "s.whatsapp.net");
        self.send(id, ib().children([routing]).build());
        let dirty = self.dirty(device)?;
        for (_, kind) in DIRTY.into_iter().filter(|(bit, _)| dirty & bit != 0) {
            let bit = NodeBuilder::new("dirty")
                .attr("type", kind)
                .attr("timestamp", clock::unix_s().to_string());
            self.send(id, ib().children([bit.build()]).build());
        }
        self.ping_later(id);
        Ok(())
    }

    /// What a device puts in front of its next connection; nothing here depends on it.
    fn routing(&self, device: DeviceAddr) -> Vec<u8> {
        let [high, low] = device.device.to_be_bytes();
        vec![8, high, low, 8]
    }

    fn dirty(&self, device: DeviceAddr) -> Result<i64> {
        let sql = "SELECT dirty FROM devices WHERE number = ?1 AND device = ?2";
        let key = params![device.number.sql(), device.device];
        Ok(self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
    }

    /// A client has asked for what was dirty.
    pub(super) fn on_clean(&mut self, device: DeviceAddr, node: &NodeRef<'_>) -> Result<()> {
        let mut cleaned = 0;
        for clean in children(node) {
            let kind = attr(clean, "type");
            cleaned |=
                DIRTY.iter().filter(|(_, name)| *name == kind).map(|(bit, _)| bit).sum::<i64>();
        }
        let sql = "UPDATE devices SET dirty = dirty & ~?3 WHERE number = ?1 AND device = ?2";
        let values = params![device.number.sql(), device.device, cleaned];
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn ping_later(&self, id: ConnId) {
        self.later(PING_EVERY, move |sb| {
            sb.ping(id);
            Ok(())
        });
    }

    /// Pings a client; one that has not answered the last ping is gone.
    pub(crate) fn ping(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let ping = clock::message_id();
        if conn.ping.replace(ping.clone()).is_some() {
            tracing::debug!("a client does not answer pings");
            self.cut(id);
            return;
        }
        let iq = NodeBuilder::new("iq")
            .attr("from", server())
            .attr("type", "get")
            .attr("id", ping)
            .attr("xmlns", "urn:xmpp:ping");
        self.send(id, iq.build());
        self.ping_later(id);
    }

    /// A client has answered a query of the server.
    pub(super) fn on_pong(&mut self, id: ConnId, answered: &str) {
        if let Some(conn) = self.conns.get_mut(&id)
            && conn.ping.as_deref() == Some(answered)
        {
            conn.ping = None;
        }
    }
}
