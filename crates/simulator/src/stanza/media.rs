//! The media hosts, and what proves to them who uploads.

use wacore_binary::NodeRef;
use wacore_binary::builder::NodeBuilder;

use super::result;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::switchboard::{ConnId, Switchboard};

/// How long a client may use the hosts.
const TTL_S: u32 = 3_600;
const BUCKETS: u32 = 12;
/// The bytes of a proof.
const PROOF_BYTES: usize = 16;

/// Where files go.
pub(crate) struct MediaHosts {
    /// As clients call them, the first one first; empty for the one that the client connected to.
    pub(crate) hosts: Vec<String>,
    /// How long the right to upload lasts, in seconds.
    pub(crate) auth_s: u32,
}

impl Default for MediaHosts {
    fn default() -> Self {
        Self { hosts: Vec::new(), auth_s: TTL_S }
    }
}

impl Switchboard {
    pub(super) fn on_media_conn(
        &mut self,
        conn: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let called = self.conns.get(&conn).map(|conn| conn.host.clone());
        let hosts = match self.media_hosts.hosts.is_empty() {
            true => vec![self.base_host.clone().or(called).unwrap_or_default()],
            false => self.media_hosts.hosts.clone(),
        };
        let hosts = hosts.into_iter().enumerate().map(|(index, host)| {
            let kind = if index == 0 { "primary" } else { "fallback" };
            NodeBuilder::new("host").attr("hostname", host).attr("type", kind).build()
        });
        let answer = NodeBuilder::new("media_conn")
            .attr("auth", self.media_auth(device)?)
            .attr("ttl", TTL_S.to_string())
            .attr("auth_ttl", self.media_hosts.auth_s.to_string())
            .attr("max_buckets", BUCKETS.to_string())
            .children(hosts)
            .build();
        self.send(conn, result(node, vec![answer]));
        Ok(())
    }

    /// A device's right to upload, for a while.
    pub(crate) fn media_auth(&self, device: DeviceAddr) -> Result<String> {
        let until_s = clock::unix_s().saturating_add(i64::from(self.media_hosts.auth_s));
        let claim = format!("{}.{}.{until_s}", device.number, device.device);
        let proof = self.media_proof(&claim)?;
        Ok(format!("{claim}.{proof}"))
    }

    pub(crate) fn media_proof(&self, claim: &str) -> Result<String> {
        let proof = self.seed.bytes(&format!("media auth {claim}"))?;
        Ok(hex::encode(&proof[..PROOF_BYTES]))
    }

    /// Whose right to upload this is.
    ///
    /// # Errors
    /// When it is wrong, or over.
    pub(crate) fn media_owner(&self, auth: &str) -> Result<Number> {
        let wrong = || SimulatorError::Unauthorized("the auth is wrong");
        let (claim, proof) = auth.rsplit_once('.').ok_or_else(wrong)?;
        if self.media_proof(claim)? != proof {
            return Err(wrong());
        }
        let parts: Vec<&str> = claim.split('.').collect();
        let [number, _, until_s] = parts[..] else { return Err(wrong()) };
        if until_s.parse::<i64>().is_ok_and(|until_s| until_s < clock::unix_s()) {
            return Err(SimulatorError::Unauthorized("the auth has expired"));
        }
        Number::parse(number).ok_or_else(wrong)
    }
}
