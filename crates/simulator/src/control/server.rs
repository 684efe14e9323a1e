//! The service itself: which versions of the protocol it takes, and the one it publishes.

use std::fmt;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};
use waproto::whatsapp::ClientPayload;

use super::{Body, HandlerResult};
use crate::Simulator;
use crate::clock;
use crate::error::{Result, bad_request};
use crate::switchboard::Switchboard;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32, u32);

/// The newest version, unless an older one is refused.
const NEWEST: Version = Version(2, 3_000, 1_035_000_000);

impl Version {
    /// The one that a client announces; the lowest when it announces none.
    pub(crate) fn of(payload: &ClientPayload) -> Self {
        let version =
            payload.user_agent.as_option().and_then(|agent| agent.app_version.as_option());
        let part = |part: Option<u32>| part.unwrap_or_default();
        version.map_or(Version::default(), |version| {
            Version(part(version.primary), part(version.secondary), part(version.tertiary))
        })
    }

    /// Only the last part of a version is published.
    fn parse(text: &str) -> Result<Self> {
        let parts: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some([2, 3_000, revision]) => Ok(Version(2, 3_000, *revision)),
            _ => Err(bad_request("min_version is a version such as 2.3000.1035000000")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Media hosts there may be.
const MEDIA_HOSTS_MAX: usize = 8;

/// The body of `PUT /server`; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerPatch {
    /// Empty for any version.
    min_version: Option<String>,
    /// Empty for the one that a client connected to.
    media_hosts: Option<Vec<String>>,
    /// How long the right to upload lasts.
    media_auth_s: Option<u32>,
    /// Until when no number may write to strangers; empty ends it.
    timelock_until: Option<String>,
}

impl ServerPatch {
    /// The oldest version that is taken, if that changes.
    fn oldest(&self) -> Result<Option<Option<Version>>> {
        Ok(match self.min_version.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(text) => Some(Some(Version::parse(text)?)),
        })
    }

    fn check_hosts(&self) -> Result<()> {
        let is_host = |host: &String| {
            let port = host.rsplit_once(':').map(|(name, port)| (name, port.parse::<u16>()));
            port.is_some_and(|(name, port)| {
                !name.is_empty() && port.is_ok() && !name.contains(['/', '@', ' '])
            })
        };
        let hosts = self.media_hosts.as_deref().unwrap_or_default();
        match hosts.len() <= MEDIA_HOSTS_MAX && hosts.iter().all(is_host) {
            true => Ok(()),
            false => Err(bad_request(format!(
                "media_hosts are at most {MEDIA_HOSTS_MAX} texts such as 127.0.0.1:4000"
            ))),
        }
    }
}

impl Switchboard {
    /// Changes what is given; how many connections that has ended.
    fn change_server(&mut self, oldest: Option<Option<Version>>, patch: ServerPatch) -> usize {
        if let Some(hosts) = patch.media_hosts {
            self.media_hosts.hosts = hosts;
        }
        if let Some(auth_s) = patch.media_auth_s {
            self.media_hosts.auth_s = auth_s;
        }
        oldest.map_or(0, |oldest| self.set_min_version(oldest))
    }
}

/// `PUT /server`
pub(super) async fn put(
    State(simulator): State<Simulator>,
    Body(patch): Body<ServerPatch>,
) -> HandlerResult<Json<Value>> {
    let oldest = patch.oldest()?;
    patch.check_hosts()?;
    let timelock = patch.timelock_until.as_deref().map(timelock).transpose()?;
    let set = simulator.switchboard().run(move |sb| {
        if let Some(until) = timelock {
            sb.timelock_until = until;
        }
        let disconnected = sb.change_server(oldest, patch);
        Ok(json!({
            "min_version": sb.min_version.map(|version| version.to_string()).unwrap_or_default(),
            "media_hosts": sb.media_hosts.hosts,
            "media_auth_s": sb.media_hosts.auth_s,
            "timelock_until": sb.timelock_until.map(clock::rfc3339),
            "disconnected": disconnected,
        }))
    });
    Ok(Json(set.await?))
}

/// A time in milliseconds.
fn timelock(text: &str) -> Result<Option<i64>> {
    let parse = || text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
    let wrong = |_| bad_request("timelock_until is a time such as 2026-11-29T12:00:00Z, or empty");
    (!text.is_empty()).then(parse).transpose().map_err(wrong)
}

/// `GET /sw.js`: as far as clients read it.
pub(super) async fn published(
    State(simulator): State<Simulator>,
) -> HandlerResult<impl IntoResponse> {
    let oldest = simulator.switchboard().run(|sb| {
        sb.counters.versions_asked += 1;
        Ok(sb.min_version)
    });
    let oldest = oldest.await?;
    let Version(_, _, revision) = oldest.unwrap_or(NEWEST);
    let script = format!("self.wa = {{\"client_revision\": {revision}}};\n");
    Ok(([(CONTENT_TYPE, "text/javascript")], script))
}
