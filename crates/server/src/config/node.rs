//! This process among those that share a PostgreSQL database.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use domain::node::NewNode;

use super::Settings;

/// Most devices of a node, unless it is set: as many as there may be.
const CAPACITY: u32 = 100_000;
/// Longest name of a node, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A name that can be shown and compared.
pub(super) fn checked_name(name: String) -> Result<String> {
    let is_name = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control);
    ensure!(is_name, "node_name must have 1 to {NAME_CHARS_MAX} characters");
    Ok(name.trim().to_owned())
}

pub(super) fn capacity(capacity: Option<u32>) -> Result<u32> {
    ensure!(capacity != Some(0), "node_capacity must be at least 1");
    Ok(capacity.unwrap_or(CAPACITY))
}

impl Settings {
    /// This process as a node; `None` on SQLite, which it shares with no other.
    pub fn node(&self) -> Option<NewNode> {
        if self.database_url.starts_with("sqlite:") {
            return None;
        }
        let host = host_name();
        // The port, so that two processes of one machine are two nodes.
        let name = || format!("{host}:{}", self.listen.port());
        Some(NewNode {
            name: self.node_name.clone().unwrap_or_else(name),
            url: self.node_url.clone().unwrap_or_else(|| url_of(&host, self.listen)),
            capacity: self.node_capacity,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}

/// The name of this machine, where the system says it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Where a listener is reached.
fn url_of(host: &str, listen: SocketAddr) -> String {
    match listen.ip().is_unspecified() {
        true => format!("http://{host}:{}", listen.port()),
        false => format!("http://{listen}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_its_host() {
        assert_eq!(url_of("a", "0.0.0.0:80".parse().unwrap()), "http://a:80");
        assert_eq!(url_of("a", "10.0.0.7:80".parse().unwrap()), "http://10.0.0.7:80");
        assert_eq!(url_of("a", "[::1]:80".parse().unwrap()), "http://[::1]:80");
    }
}
