//! The media host: the one that the client connected to.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::result;
use crate::error::Result;
use crate::switchboard::{ConnId, Switchboard};

/// How long a client may use the answer.
const TTL_S: u32 = 3_600;
const BUCKETS: u32 = 12;

impl Switchboard {
    pub(super) fn on_media_conn(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let called = self.conns.get(&conn).map(|conn| conn.host.clone());
        let host = self.base_host.clone().or(called).unwrap_or_default();
        let host = NodeBuilder::new("host").attr("hostname", host).attr("type", "primary").build();
        let answer = NodeBuilder::new("media_conn")
            .attr("auth", "simulator")
            .attr("ttl", TTL_S.to_string())
            .attr("auth_ttl", TTL_S.to_string())
            .attr("max_buckets", BUCKETS.to_string())
            .children([host])
            .build();
        self.send(conn, result(node, vec![answer]));
        Ok(())
    }
}
