//! The way to another node.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use domain::ids::{DeviceId, NodeId};
use domain::node::NodeAddress;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, timeout};

use super::sign::{SIGNATURE, Signed, is_sent_on};
use super::{HOP_BODY_BYTES_MAX, PREFIX};
use crate::net::client_address;
use crate::state::AppState;

/// How long another node may take to take a connection.
const CONNECT_MAX: Duration = Duration::from_millis(1_500);
/// How often it is looked whether the node that is to answer still runs the device.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The answer of the node that runs a device; `None` when none does, or it is gone.
pub(super) async fn owners_answer(
    state: &AppState,
    device: DeviceId,
    parts: Parts,
    body: Bytes,
) -> Option<Response<Body>> {
    if body.len() > HOP_BODY_BYTES_MAX {
        return None;
    }
    let owner = owner(state, device).await?;
    let answer = ask(state, &owner, &parts, body);
    tokio::select! {
        answer = answer => answer,
        () = until_moved(state, device, &owner) => None,
    }
}

/// The answer of a node; `None` when it is gone.
pub(super) async fn nodes_answer(
    state: &AppState,
    node: NodeId,
    parts: Parts,
    body: Bytes,
) -> Option<Response<Body>> {
    let address = timeout(LOOK_MAX, state.core().other_node(node)).await.ok()?.ok().flatten()?;
    let answer = ask(state, &address, &parts, body);
    tokio::select! {
        answer = answer => answer,
        () = until_gone(state, node) => None,
    }
}

/// Ends when a node is not live any more.
async fn until_gone(state: &AppState, node: NodeId) {
    let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    loop {
        looks.tick().await;
        let found = timeout(LOOK_MAX, state.core().other_node(node)).await;
        if matches!(found, Ok(Ok(None))) {
            return;
        }
    }
}

async fn owner(state: &AppState, device: DeviceId) -> Option<NodeAddress> {
    timeout(LOOK_MAX, state.core().owner_of(device)).await.ok()?.ok().flatten()
}

/// Ends when another node runs the device, or none: a node that is frozen answers nothing.
async fn until_moved(state: &AppState, device: DeviceId, node: &NodeAddress) {
    let mut looks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    loop {
        looks.tick().await;
        if owner(state, device).await.as_ref() != Some(node) {
            return;
        }
    }
}

/// Sends a request on to a node, and returns its answer, whose body follows.
pub(super) async fn ask(
    state: &AppState,
    node: &NodeAddress,
    parts: &Parts,
    body: Bytes,
) -> Option<Response<Body>> {
    let request = sent_on(state, parts, body)?;
    let address = node.url.parse::<Uri>().ok()?;
    let authority = address.authority()?;
    let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = timeout(CONNECT_MAX, TcpStream::connect((host, port))).await.ok()?.ok()?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the answer's body.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.ok()?;
    let (mut head, body) = answer.into_parts();
    let of_connection: Vec<_> =
        head.headers.keys().filter(|name| !is_sent_on(name)).cloned().collect();
    // Its length stands, for the body is the same.
    for name in of_connection.into_iter().filter(|name| name != "content-length") {
        head.headers.remove(name);
    }
    Some(Response::from_parts(head, Body::new(body)))
}

/// The request for the other node, signed.
fn sent_on(state: &AppState, parts: &Parts, body: Bytes) -> Option<Request<Body>> {
    let key = state.config().node_key.as_ref()?;
    let path = parts.uri.path_and_query()?.as_str();
    let client = client(state, parts);
    let signed = Signed { method: &parts.method, path, headers: &parts.headers };
    let signature = key.sign(&signed, &body, client, state.core().now())?;
    let mut request = Request::builder().method(&parts.method).uri(format!("{PREFIX}{path}"));
    for (name, value) in parts.headers.iter().filter(|(name, _)| is_sent_on(name)) {
        request = request.header(name, value);
    }
    request = request.header(SIGNATURE, signature);
    request.body(Body::from(body)).ok()
}

fn client(state: &AppState, parts: &Parts) -> Option<IpAddr> {
    client_address(&parts.extensions, &parts.headers, &state.config().trusted_proxies)
}
