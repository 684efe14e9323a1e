//! `/ws/chat`: where clients connect.

use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use ring::digest;
use tokio_websockets::{Limits, ServerBuilder};

use crate::Simulator;
use crate::limits::FRAME_BYTES_MAX;
use crate::wire::socket::serve;

/// What a server appends to a client's key before hashing it (RFC 6455, section 1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The only version of the protocol there is.
const VERSION: &str = "13";

/// Upgrades a request to a client's connection.
pub(crate) async fn upgrade(State(simulator): State<Simulator>, mut request: Request) -> Response {
    let Some(accept) = accept_key(request.headers()) else {
        return (StatusCode::BAD_REQUEST, "not a web socket's handshake\n").into_response();
    };
    let host = host_of(request.headers());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(connection) = upgraded.await else { return };
        let limits = Limits::default().max_payload_len(Some(FRAME_BYTES_MAX + 64));
        let socket = ServerBuilder::new().limits(limits).serve(TokioIo::new(connection));
        serve(socket, simulator.server_identity(), simulator.switchboard().clone(), host).await;
    });
    let headers =
        [(CONNECTION, "upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, accept.as_str())];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The answer to a handshake's key; nothing when it is no handshake.
fn accept_key(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if !text(UPGRADE)?.eq_ignore_ascii_case("websocket") || text(SEC_WEBSOCKET_VERSION)? != VERSION
    {
        return None;
    }
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(text(SEC_WEBSOCKET_KEY)?.as_bytes());
    hash.update(ACCEPT_GUID.as_bytes());
    Some(STANDARD.encode(hash.finish()))
}

/// The host a request was sent to.
pub(crate) fn host_of(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or("localhost").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn a_handshake_is_answered_as_the_standard_says() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, "WebSocket".parse().unwrap());
        headers.insert(SEC_WEBSOCKET_VERSION, "13".parse().unwrap());
        assert_eq!(accept_key(&headers), None);
        headers.insert(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        assert_eq!(accept_key(&headers).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        headers.insert(SEC_WEBSOCKET_VERSION, "8".parse().unwrap());
        assert_eq!(accept_key(&headers), None);
    }
}
