//! App state: the server stores none and accepts every patch.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::{attr, result};
use crate::error::Result;
use crate::switchboard::{ConnId, Switchboard};

impl Switchboard {
    /// Every collection is empty; a patch is accepted and its version counted.
    pub(super) fn on_app_state(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let collections = node.get_optional_child("sync").map(super::children).unwrap_or_default();
        let answers = collections.iter().take(16).map(|asked| {
            let version: u64 = attr(asked, "version").parse().unwrap_or(0);
            let patched = asked.get_optional_child("patch").is_some();
            NodeBuilder::new("collection")
                .attr("name", attr(asked, "name"))
                .attr("version", (version + u64::from(patched)).to_string())
                .build()
        });
        let sync = NodeBuilder::new("sync").children(answers).build();
        self.send(conn, result(node, vec![sync]));
        Ok(())
    }
}
