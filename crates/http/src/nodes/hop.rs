//! The way to another node.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use domain::ids::{DeviceId, NodeId};
use domain::node::NodeAddress;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, sleep, timeout};

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
/// What a node that lives answers at once.
const SIGN_OF_LIFE: &str = "/healthz";
/// How long a request is on its way before its node is asked whether it lives, and between two times. Most
/// are answered before.
const QUIET_MAX: Duration = Duration::from_millis(300);
/// A node that takes longer to say that it lives is taken for frozen. With the pause before, a caller of one
/// knows after less than two seconds.
const SIGN_OF_LIFE_MAX: Duration = Duration::from_millis(1_500);

/// What became of a request that another node has to answer.
pub(super) enum Hop {
    /// It was answered.
    Answered(Response<Body>),
    /// It was not sent on: nothing has happened.
    NotReached,
    /// It was sent on and not answered: it may have been done, or may be done yet.
    Unanswered,
}

/// The answer of the node that runs a device.
pub(super) async fn owners_answer(
    state: &AppState,
    device: DeviceId,
    parts: &Parts,
    body: Bytes,
) -> Hop {
    if body.len() > HOP_BODY_BYTES_MAX {
        return Hop::NotReached;
    }
    let Some(owner) = owner(state, device).await else { return Hop::NotReached };
    ask_watched(state, &owner, parts, body, until_moved(state, device, &owner)).await
}

/// The answer of a node.
pub(super) async fn nodes_answer(
    state: &AppState,
    node: NodeId,
    parts: &Parts,
    body: Bytes,
) -> Hop {
    let found = timeout(LOOK_MAX, state.core().other_node(node)).await;
    let Ok(Ok(Some(address))) = found else { return Hop::NotReached };
    ask_watched(state, &address, parts, body, until_gone(state, node)).await
}

/// Asks a node until it answers, is frozen or `gone` ends.
async fn ask_watched(
    state: &AppState,
    node: &NodeAddress,
    parts: &Parts,
    body: Bytes,
    gone: impl Future<Output = ()>,
) -> Hop {
    let Some(request) = sent_on(state, parts, body) else { return Hop::NotReached };
    let Some(line) = connect(node).await else { return Hop::NotReached };
    tokio::select! {
        hop = send(line, request) => hop,
        () = gone => Hop::Unanswered,
        () = until_frozen(state, node) => Hop::Unanswered,
    }
}

/// Ends when a node does not say any more that it lives.
async fn until_frozen(state: &AppState, node: &NodeAddress) {
    let (mut parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.uri) = (Method::GET, Uri::from_static(SIGN_OF_LIFE));
    loop {
        sleep(QUIET_MAX).await;
        let answer = timeout(SIGN_OF_LIFE_MAX, ask(state, node, &parts, Bytes::new())).await;
        if !matches!(answer, Ok(Some(_))) {
            return;
        }
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
    match send(connect(node).await?, request).await {
        Hop::Answered(answer) => Some(answer),
        Hop::NotReached | Hop::Unanswered => None,
    }
}

async fn connect(node: &NodeAddress) -> Option<SendRequest<Body>> {
    let address = node.url.parse::<Uri>().ok()?;
    let authority = address.authority()?;
    let (host, port) = (authority.host(), authority.port_u16().unwrap_or(80));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = timeout(CONNECT_MAX, TcpStream::connect((host, port))).await.ok()?.ok()?;
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with the answer's body.
    tokio::spawn(connection);
    Some(sender)
}

async fn send(mut line: SendRequest<Body>, request: Request<Body>) -> Hop {
    let answer = match line.send_request(request).await {
        Ok(answer) => answer,
        // It was never written.
        Err(error) if error.is_canceled() => return Hop::NotReached,
        Err(_) => return Hop::Unanswered,
    };
    let (mut head, body) = answer.into_parts();
    // It did not take the request: its clock, or its secret key, is another one. Those of an older release
    // have no mark; their 404 becomes a "try again".
    if head.headers.remove(SIGNATURE).is_none() && head.status == StatusCode::NOT_FOUND {
        note_refusal();
        return Hop::NotReached;
    }
    remove_those_of_connection(&mut head.headers);
    Hop::Answered(Response::from_parts(head, Body::new(body)))
}

/// Reports once that another node does not take our requests: every one that crosses nodes fails until then.
fn note_refusal() {
    static NOTED: std::sync::Once = std::sync::Once::new();
    NOTED.call_once(|| {
        tracing::warn!(
            "another node does not take requests that are sent on to it: its clock is more than 30 seconds away \
             from this one's, its secret key is another one, or it is an older release"
        );
    });
}

fn remove_those_of_connection(headers: &mut HeaderMap) {
    let of_connection: Vec<_> = headers.keys().filter(|name| !is_sent_on(name)).cloned().collect();
    // Its length stands, for the body is the same.
    for name in of_connection.into_iter().filter(|name| name != "content-length") {
        headers.remove(name);
    }
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
