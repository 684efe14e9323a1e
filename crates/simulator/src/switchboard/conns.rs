//! Open connections: their peers and outgoing queues.
//!
//! Invariant: at most one connection per linked device; a second login ends the first.

use tokio::sync::mpsc;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;
use waproto::whatsapp::client_payload::DevicePairingRegistrationData;

use super::Switchboard;
use crate::address::{DeviceAddr, Number};
use crate::control::server::Version;
use crate::error::{Result, SimulatorError, conflict};
use crate::limits::{CONNECTIONS_MAX, RESTART_TIME_MAX};
use crate::wire::socket::SocketCommand;

/// The client must start again.
const RESTART: u16 = 515;
/// How long a ban lasts unless the fault says so.
const BAN_S: u32 = 3_600;

/// One connection, for as long as the process runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ConnId(u64);

/// The other end of a connection.
pub(crate) enum Peer {
    /// A client that is not paired yet.
    Unpaired(Box<DevicePairingRegistrationData>),
    /// A linked device.
    Device(DeviceAddr),
}

/// An open connection.
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    pub(crate) client_static: [u8; 32],
    /// The host the client called, for media addresses.
    pub(crate) host: String,
    pub(crate) out: mpsc::Sender<SocketCommand>,
    /// Whether it logged in without asking for its mail.
    pub(crate) is_passive: bool,
    /// The server's ping that it has not answered yet.
    pub(crate) ping: Option<String>,
    /// Whether new mail is sent at once: set after the waiting mail has been sent.
    pub(crate) live: bool,
    /// Whether the client has asked for its mail.
    pub(crate) mail_asked: bool,
    /// The last row of mail sent.
    pub(crate) mail_seq: i64,
    /// Rows of waiting mail sent since this login.
    pub(crate) mail_count: u32,
    /// The version of the protocol that the client announced.
    pub(crate) version: Version,
    /// The language that the client announced, such as en-US.
    pub(crate) language: String,
    /// Since when others see it online, in milliseconds; a login alone does not show it.
    pub(crate) available_ms: Option<i64>,
}

impl Switchboard {
    /// Adds a connection after its handshake.
    pub(crate) fn connect(
        &mut self,
        out: mpsc::Sender<SocketCommand>,
        payload: ClientPayload,
        client_static: [u8; 32],
        host: String,
    ) -> Result<ConnId> {
        if self.conns.len() >= CONNECTIONS_MAX {
            return Err(conflict("too many connections"));
        }
        let (login, version) = (login_device(&payload), Version::of(&payload));
        let is_passive = payload.passive.unwrap_or(false);
        let language = language_of(&payload);
        let peer = match (login, payload.device_pairing_data.into_option()) {
            (Some(device), _) => Peer::Device(device),
            (None, Some(data)) => Peer::Unpaired(Box::new(data)),
            (None, None) => return Err(SimulatorError::Protocol("neither login nor registration")),
        };
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        let conn = Conn {
            peer,
            client_static,
            host,
            out,
            is_passive,
            ping: None,
            live: false,
            mail_asked: false,
            mail_seq: 0,
            mail_count: 0,
            available_ms: None,
            version,
            language,
        };
        self.conns.insert(id, conn);
        match login {
            Some(device) => self.log_in(id, device)?,
            None if self.is_outdated(version) => {
                self.send(id, failure(405, None));
                self.close(id);
            }
            None => self.offer_pairing(id)?,
        }
        Ok(id)
    }

    /// Removes a connection whose socket has closed.
    pub(crate) fn disconnected(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(&id) else {
            return;
        };
        self.refs.retain(|_, owner| *owner != id);
        self.codes.forget(id);
        self.pairings.remove(&id);
        if let Peer::Device(device) = conn.peer
            && self.by_device.get(&device) == Some(&id)
        {
            self.by_device.remove(&device);
            self.phone_changed(device.number);
        }
        if let Peer::Device(device) = conn.peer {
            self.end_typing_of(device.number);
        }
    }

    /// The linked device behind a connection.
    pub(crate) fn device_of(&self, id: ConnId) -> Option<DeviceAddr> {
        match self.conns.get(&id)?.peer {
            Peer::Device(device) => Some(device),
            Peer::Unpaired(_) => None,
        }
    }

    /// Sends a stanza after the commit.
    pub(crate) fn send(&mut self, to: ConnId, node: Node) {
        self.after_commit(move |sb| sb.put_out(to, node));
    }

    /// Sends a stanza now: only for effects, and for stanzas that depend on nothing stored.
    pub(crate) fn put_out(&mut self, to: ConnId, node: Node) {
        let due = self.faults.due();
        let Some(conn) = self.conns.get(&to) else {
            return;
        };
        let node = Box::new(node);
        if conn.out.try_send(SocketCommand::Stanza { node, due }).is_err() {
            // The client does not read: what it missed waits for its next login.
            tracing::debug!("a connection's outgoing queue is full; closing it");
            self.drop_conn(to);
        }
    }

    /// Ends a connection after the stanzas sent before, with the stream's end.
    pub(crate) fn close(&mut self, id: ConnId) {
        self.send(id, NodeBuilder::new("xmlstreamend").build());
        self.after_commit(move |sb| {
            if let Some(conn) = sb.conns.get(&id)
                && conn.out.try_send(SocketCommand::Close).is_err()
            {
                sb.drop_conn(id);
            }
        });
    }

    /// Ends a connection without a word, as when the network breaks.
    pub(crate) fn cut(&mut self, id: ConnId) {
        self.after_commit(move |sb| sb.drop_conn(id));
    }

    /// Ends a connection with a code. A client that is asked to start again ends it itself; only one
    /// that does not is closed.
    pub(crate) fn end_with(&mut self, id: ConnId, code: u16) {
        self.send(id, disconnect_stanza(code));
        if code != RESTART {
            self.close(id);
            return;
        }
        // Its next login replaces nothing.
        if let Some(device) = self.device_of(id)
            && self.by_device.get(&device) == Some(&id)
        {
            self.by_device.remove(&device);
        }
        self.later(RESTART_TIME_MAX, move |sb| {
            sb.close(id);
            Ok(())
        });
    }

    /// Ends a device's connection with `<stream:error>`, or with `<failure>` for codes
    /// that a client meets while logging in.
    pub(crate) fn kick(&mut self, number: Number, code: u16) -> usize {
        let found: Vec<_> = self
            .by_device
            .iter()
            .filter(|(device, _)| device.number == number)
            .map(|(_, id)| *id)
            .collect();
        for id in &found {
            self.end_with(*id, code);
        }
        found.len()
    }

    /// Ends `id` as `<stream:error><conflict type=…>` does.
    pub(crate) fn close_with_conflict(&mut self, id: ConnId, kind: &'static str) {
        let conflict = NodeBuilder::new("conflict").attr("type", kind).build();
        let mut error = NodeBuilder::new("stream:error").children([conflict]);
        if kind == "device_removed" {
            error = error.attr("code", "401");
        }
        self.send(id, error.build());
        self.close(id);
    }

    /// A device sends a message. One that comes over an older connection than the last one did was written
    /// by a process whose place another one had taken.
    pub(crate) fn note_sender(&mut self, device: DeviceAddr, id: ConnId) {
        let newest = self.newest_senders.entry(device).or_insert(id);
        if id < *newest {
            self.counters.messages_stale += 1;
        }
        *newest = id.max(*newest);
    }

    /// Whether a version is older than those that are taken.
    pub(crate) fn is_outdated(&self, version: Version) -> bool {
        self.min_version.is_some_and(|oldest| version < oldest)
    }

    /// Ends the connections of clients that are too old from now on.
    pub(crate) fn set_min_version(&mut self, oldest: Option<Version>) -> usize {
        self.min_version = oldest;
        let outdated = self.conns.iter().filter(|(_, conn)| self.is_outdated(conn.version));
        let outdated: Vec<ConnId> = outdated.map(|(id, _)| *id).collect();
        for id in &outdated {
            self.close(*id);
        }
        outdated.len()
    }

    /// Removes a connection; dropping its queue ends both halves of the socket.
    fn drop_conn(&mut self, id: ConnId) {
        self.disconnected(id);
    }

    pub(super) fn close_everything(&mut self) {
        for id in self.conns.keys().copied().collect::<Vec<_>>() {
            self.drop_conn(id);
        }
    }
}

/// How the server ends a connection with `code`.
pub(crate) fn disconnect_stanza(code: u16) -> Node {
    match code {
        401 => {
            let removed = NodeBuilder::new("conflict").attr("type", "device_removed");
            NodeBuilder::new("stream:error").attr("code", "401").children([removed.build()]).build()
        }
        409 => {
            let replaced = NodeBuilder::new("conflict").attr("type", "replaced");
            NodeBuilder::new("stream:error").children([replaced.build()]).build()
        }
        402 | 403 | 405 | 406 | 413..=418 => failure(code, None),
        _ => NodeBuilder::new("stream:error").attr("code", code.to_string()).build(),
    }
}

/// `<failure reason=…>`, which answers a login; a ban ends after so many seconds.
pub(crate) fn failure(code: u16, expire_s: Option<u32>) -> Node {
    let mut node =
        NodeBuilder::new("failure").attr("reason", code.to_string()).attr("location", "sim");
    if code == 402 {
        let expire_s = expire_s.unwrap_or(BAN_S);
        node = node.attr("code", "101").attr("expire", expire_s.to_string());
    }
    node.build()
}

/// The language that a client announces, such as en-US.
fn language_of(payload: &ClientPayload) -> String {
    let Some(agent) = payload.user_agent.as_option() else { return String::new() };
    let parts = [&agent.locale_language_iso6391, &agent.locale_country_iso31661_alpha2];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join("-").chars().take(20).collect()
}

fn login_device(payload: &ClientPayload) -> Option<DeviceAddr> {
    let number = Number::parse(&payload.username?.to_string())?;
    let device = u16::try_from(payload.device?).ok()?;
    (1..=255).contains(&device).then_some(DeviceAddr { number, device })
}

#[cfg(test)]
impl ConnId {
    /// An id that no connection has.
    pub(crate) fn for_tests() -> Self {
        ConnId(0)
    }
}
