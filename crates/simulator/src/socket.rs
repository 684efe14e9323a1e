//! `/ws/chat`: where clients connect.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;

use crate::Simulator;
use crate::limits::FRAME_BYTES_MAX;
use crate::wire::socket::serve;

/// Upgrades a request to a client's connection.
pub(crate) async fn upgrade(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let host = host_of(&headers);
    upgrade.max_message_size(FRAME_BYTES_MAX + 64).max_frame_size(FRAME_BYTES_MAX + 64).on_upgrade(
        move |socket| {
            serve(socket, simulator.server_identity(), simulator.switchboard().clone(), host)
        },
    )
}

/// The host a request was sent to.
pub(crate) fn host_of(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.unwrap_or("localhost").to_owned()
}
