//! Requests that another node has to answer, and streams of what happens on every node.
//!
//! A request about a device that another node runs fails with [`domain::error::Error::RunsElsewhere`] before
//! it has changed anything. [`crate::edge`] then sends it on to that node as it came, once, signed under the
//! secret key ([`sign`]); the node answers it as if it had come there. So every API has this without knowing it.
//! When the node is gone, the answer stays what it was: try again. So it is with a form of the dashboard
//! that another node has acted on before.

mod capture;
mod hop;
mod internal;
mod merge;
mod sign;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response};
use domain::ids::{DeviceId, NodeId};

pub use self::internal::routes;
pub use self::sign::NodeKey;

use self::capture::Captured;
use crate::body::MEDIA_JSON_BYTES_MAX;
use crate::state::AppState;

/// Longest body that is sent on.
const HOP_BODY_BYTES_MAX: usize = MEDIA_JSON_BYTES_MAX;
/// What the paths of requests between nodes begin with.
const PREFIX: &str = "/internal";

/// An answer that another node should give: of a request that has changed nothing.
#[derive(Debug, Clone, Copy)]
pub enum Elsewhere {
    /// The one that runs a device.
    Device(DeviceId),
    /// This one.
    Node(NodeId),
}

/// An answer that is a stream of what happens on this node, to be joined by what happens on the others.
#[derive(Debug, Clone, Copy)]
pub struct EveryNode;

/// A request that another node has sent on: it goes no further.
#[derive(Debug, Clone, Copy)]
pub struct SentOn;

/// A request as it came, for another node.
pub struct Original {
    parts: Parts,
    body: Captured,
}

impl Original {
    /// Keeps what is needed to send a request on, where that may be.
    pub fn keep(state: &AppState, request: Request<Body>) -> (Request<Body>, Option<Self>) {
        let may_be = state.config().node_key.is_some()
            && state.core().is_shared()
            && request.extensions().get::<SentOn>().is_none();
        if !may_be {
            return (request, None);
        }
        let (parts, body) = request.into_parts();
        let (body, captured) = Captured::around(body, HOP_BODY_BYTES_MAX);
        let original = Self { parts: parts.clone(), body: captured };
        (Request::from_parts(parts, body), Some(original))
    }

    /// The answer of the node that has to give it, or `response`.
    pub async fn answered(self, state: &AppState, response: Response<Body>) -> Response<Body> {
        if let Some(elsewhere) = response.extensions().get::<Elsewhere>().copied() {
            let Some(body) = self.body.take() else { return response };
            let answer = match elsewhere {
                Elsewhere::Device(device) => {
                    hop::owners_answer(state, device, self.parts, body).await
                }
                Elsewhere::Node(node) => hop::nodes_answer(state, node, self.parts, body).await,
            };
            return answer.unwrap_or(response);
        }
        if response.extensions().get::<EveryNode>().is_some() {
            return merge::with_other_nodes(state, self.parts, response);
        }
        response
    }
}
