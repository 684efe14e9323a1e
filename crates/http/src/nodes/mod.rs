//! Requests that another node has to answer, and streams of what happens on every node.
//!
//! A request about a device that another node runs fails with [`domain::error::Error::RunsElsewhere`] before
//! it has changed anything. [`crate::edge`] then sends it on to that node as it came, once, signed under the
//! secret key ([`sign`]); the node answers it as if it had come there. So every API has this without knowing it.
//! When the node is gone, the answer stays what it was: try again. So it is with a form of the dashboard
//! that another node has acted on before.
//!
//! When the node had the request and does not answer, it may have acted on it. A send that waits for its outcome
//! is sent on with an idempotency key, and then accepted here under that key, so that it is accepted once,
//! whichever node was first; its caller learns that it waits ([`waits`]). For what else changes something
//! the answer says that the outcome is not known.

mod capture;
mod hop;
mod internal;
mod merge;
mod sign;
#[cfg(test)]
mod tests;
pub mod waits;

use std::future::Future;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use domain::ids::{DeviceId, NodeId};

pub use self::internal::routes;
pub use self::sign::NodeKey;

use self::capture::Captured;
use self::hop::Hop;
use crate::api_error::{ApiError, ErrorKind};
use crate::body::MEDIA_JSON_BYTES_MAX;
use crate::fallback;
use crate::idempotency::IDEMPOTENCY_KEY;
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

    /// The answer of the node that has to give it, or `response`. `waits` says whether the request is a send
    /// that waits; `accept` handles one here that need not wait any more.
    pub async fn answered<F>(
        self,
        state: &AppState,
        response: Response<Body>,
        waits: bool,
        accept: impl FnOnce(Request<Body>) -> F,
    ) -> Response<Body>
    where
        F: Future<Output = Response<Body>>,
    {
        if response.extensions().get::<EveryNode>().is_some() {
            return merge::with_other_nodes(state, self.parts, response);
        }
        let Some(elsewhere) = response.extensions().get::<Elsewhere>().copied() else {
            return response;
        };
        let Some(body) = self.body.take() else { return response };
        let mut parts = self.parts;
        if waits {
            add_key(state, &mut parts);
        }
        let hop = match elsewhere {
            Elsewhere::Device(device) => {
                hop::owners_answer(state, device, &parts, body.clone()).await
            }
            Elsewhere::Node(node) => hop::nodes_answer(state, node, &parts, body.clone()).await,
        };
        match (hop, elsewhere) {
            (Hop::Answered(answer), _) => answer,
            (Hop::Unanswered, Elsewhere::Device(_)) if waits => {
                let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
                let answer = accept(Request::from_parts(parts, Body::from(body))).await;
                match is_decided(&answer) {
                    true => answer,
                    false => fallback::rendered(state, &uri, &headers, ApiError::OutcomeUnknown),
                }
            }
            (Hop::Unanswered, Elsewhere::Device(_)) if !parts.method.is_safe() => {
                fallback::rendered(state, &parts.uri, &parts.headers, ApiError::OutcomeUnknown)
            }
            _ => response,
        }
    }
}

/// Gives a request an idempotency key, unless it has one.
fn add_key(state: &AppState, parts: &mut Parts) {
    let mut random = [0; 16];
    state.core().fill_random(&mut random);
    if let Ok(key) = HeaderValue::from_str(&format!("hop-{}", hex::encode(random))) {
        parts.headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
}

/// Whether an answer says what became of a send: not that it could not be looked at now.
fn is_decided(answer: &Response<Body>) -> bool {
    let status = answer.status();
    let is_for_now = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    // The failure of a message that was accepted is no error of the request, and names none.
    !is_for_now || answer.extensions().get::<ErrorKind>().is_none()
}
