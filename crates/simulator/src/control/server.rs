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
use crate::error::{Result, bad_request};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerPatch {
    /// Empty for any version.
    min_version: String,
}

/// `PUT /server`
pub(super) async fn put(
    State(simulator): State<Simulator>,
    Body(patch): Body<ServerPatch>,
) -> HandlerResult<Json<Value>> {
    let oldest = match &*patch.min_version {
        "" => None,
        text => Some(Version::parse(text)?),
    };
    let set = simulator.switchboard().run(move |sb| Ok(sb.set_min_version(oldest)));
    Ok(Json(json!({ "min_version": patch.min_version, "disconnected": set.await? })))
}

/// `GET /sw.js`: as far as clients read it.
pub(super) async fn published(
    State(simulator): State<Simulator>,
) -> HandlerResult<impl IntoResponse> {
    let oldest = simulator.switchboard().run(|sb| Ok(sb.min_version)).await?;
    let Version(_, _, revision) = oldest.unwrap_or(NEWEST);
    let script = format!("self.wa = {{\"client_revision\": {revision}}};\n");
    Ok(([(CONTENT_TYPE, "text/javascript")], script))
}
