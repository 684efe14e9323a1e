//! Presence: whether others see a number online.
//!
//! A number is online while one of its linked devices has announced itself as available; as long as
//! it is, its phone shows no notifications.

use wacore_binary::NodeRef;

use super::attr;
use crate::address::Number;
use crate::clock;
use crate::error::Result;
use crate::switchboard::{ConnId, Peer, Switchboard};

impl Switchboard {
    /// A client announces itself, or withdraws that; its push name is stored.
    pub(super) fn on_presence(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let Some(device) = self.device_of(conn) else { return Ok(()) };
        let name = attr(node, "name");
        if !name.is_empty() {
            self.set_push_name(device, &name)?;
        }
        let now_ms = clock::unix_ms();
        let Some(conn) = self.conns.get_mut(&conn) else { return Ok(()) };
        match &*attr(node, "type") {
            "available" => conn.available_ms = conn.available_ms.or(Some(now_ms)),
            "unavailable" => conn.available_ms = None,
            _ => return Ok(()),
        }
        self.end_typing_of(device.number);
        self.phone_changed(device.number);
        Ok(())
    }

    /// Whether a connection has announced itself as available.
    pub(super) fn is_available(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|conn| conn.available_ms.is_some())
    }

    /// Since when others see a number online, in milliseconds; `None` while they do not.
    pub(crate) fn online_since(&self, number: Number) -> Option<i64> {
        let of_number = self
            .conns
            .values()
            .filter(|conn| matches!(conn.peer, Peer::Device(device) if device.number == number));
        of_number.filter_map(|conn| conn.available_ms).min()
    }
}
