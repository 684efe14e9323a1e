//! App state: the collections that an account's devices keep in step, as patches and snapshots.
//!
//! The service stores them without a key; its phones have one, so here every patch is checked as a device
//! would: its MACs, and that it follows the newest version. One that does not follow is refused with
//! 409 and the patches that it misses.

use wacore::appstate::patch_decode::WAPatchName;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use super::{attr, bytes_of, server};
use crate::address::DeviceAddr;
use crate::clock;
use crate::error::Result;
use crate::limits::APP_STATE_PATCHES_MAX;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// Collections that a query may name.
const COLLECTIONS_MAX: usize = 16;

/// What a device asks for of one collection.
struct Asked {
    name: String,
    version: u64,
    wants_snapshot: bool,
    patch: Option<Vec<u8>>,
}

impl Asked {
    fn read(node: &NodeRef<'_>) -> Option<Self> {
        let name = attr(node, "name");
        let is_known = name.parse().is_ok_and(|name| !matches!(name, WAPatchName::Unknown));
        is_known.then(|| Self {
            version: attr(node, "version").parse().unwrap_or(0),
            wants_snapshot: attr(node, "return_snapshot") == "true",
            patch: node.get_optional_child("patch").map(bytes_of),
            name,
        })
    }
}

impl Switchboard {
    pub(super) fn on_app_state(
        &mut self,
        conn: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let asked = node.get_optional_child("sync").map(super::children).unwrap_or_default();
        self.counters.app_state_queries += 1;
        let mut answers = Vec::new();
        for collection in asked.iter().take(COLLECTIONS_MAX) {
            answers.push(match Asked::read(collection) {
                Some(asked) => self.collection(device, &asked)?,
                None => refused(&attr(collection, "name"), 400, vec![]),
            });
        }
        let sync = NodeBuilder::new("sync").children(answers).build();
        self.send(conn, super::result(node, vec![sync]));
        Ok(())
    }

    fn collection(&mut self, device: DeviceAddr, asked: &Asked) -> Result<Node> {
        let (number, name) = (device.number, &*asked.name);
        let state = self.app_state(number, name)?;
        if let Some(patch) = &asked.patch {
            if asked.version != state.version {
                let missed = self.missed_patches(device, asked)?;
                return Ok(refused(name, 409, missed));
            }
            return Ok(match self.take_patch(number, name, state, patch)? {
                None => refused(name, 400, vec![]),
                Some(version) => {
                    self.notify_app_state(number, Some(device), name, version)?;
                    versioned(name, version).build()
                }
            });
        }
        let collection = versioned(name, state.version);
        let collection = match self.faults.endless_app_state {
            true => collection.attr("has_more_patches", "true"),
            false => collection,
        };
        if asked.wants_snapshot && state.version > 0 {
            let snapshot = self.snapshot(number, name, &state)?;
            let snapshot = NodeBuilder::new("snapshot").bytes(snapshot).build();
            return Ok(collection.children([snapshot]).build());
        }
        let missed = self.missed_patches(device, asked)?;
        Ok(match missed.is_empty() {
            true => collection.build(),
            false => collection.children(missed).build(),
        })
    }

    /// The patches that a device has not seen, wrapped, as far as they go at once.
    fn missed_patches(&self, device: DeviceAddr, asked: &Asked) -> Result<Vec<Node>> {
        let patches = self.patches_since(device.number, &asked.name, asked.version)?;
        let patches: Vec<Node> = patches
            .into_iter()
            .map(|patch| NodeBuilder::new("patch").bytes(patch).build())
            .take(APP_STATE_PATCHES_MAX)
            .collect();
        let wrapped = || NodeBuilder::new("patches").children(patches.iter().cloned()).build();
        Ok((!patches.is_empty()).then(wrapped).into_iter().collect())
    }

    /// Notifies an account's devices of a new version of a collection.
    pub(crate) fn notify_app_state(
        &mut self,
        number: crate::address::Number,
        by: Option<DeviceAddr>,
        name: &str,
        version: u64,
    ) -> Result<()> {
        for device in self.linked_devices(number)? {
            if Some(device) == by {
                continue;
            }
            let notification = NodeBuilder::new("notification")
                .attr("from", server())
                .attr("type", "server_sync")
                .attr("id", clock::message_id())
                .attr("t", clock::unix_s().to_string())
                .children([versioned(name, version).build()])
                .build();
            self.mail(device, StanzaClass::Notification, notification)?;
        }
        Ok(())
    }
}

fn versioned(name: &str, version: u64) -> NodeBuilder {
    NodeBuilder::new("collection").attr("name", name).attr("version", version.to_string())
}

fn refused(name: &str, code: u16, missed: Vec<Node>) -> Node {
    let text = if code == 409 { "conflict" } else { "bad-request" };
    let error = NodeBuilder::new("error").attr("code", code.to_string()).attr("text", text).build();
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("type", "error")
        .children(std::iter::once(error).chain(missed))
        .build()
}
