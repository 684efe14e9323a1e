//! The calls of this dialect, each under both of its mounts.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use domain::error::Error;
use serde::Serialize;

use super::auth::authorize;
use super::errors::render;
use super::translate::{answer, command};
use super::types::{SendBody, SentBody};
use crate::body::read_json;
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::refusal::Refusal;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    ["/{device_id}/send", "/api/v1/{device_id}/send"].map(send_route).into()
}

fn send_route(path: &'static str) -> Route {
    Route::post(path, Access::Device, send)
        .summary("Queue a WhatsApp message for delivery through a device")
        .description("The message is sent with the device's natural delay.")
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .body::<SendBody>()
        .answers::<SentBody>(200)
        .with_header("Location", "Where the message is in /v1")
        .with_header("Gerbang-Status", "The message's state now")
        .error(400, "`Invalid JSON payload`: bad JSON, or a missing or wrong field, in `errors`")
        .error(401, "`Unauthorized`: unknown key, or the device is not the key's")
        .error(402, "`Quota exhausted`, or what the plan does not include")
        .error(404, "`Device not found`")
        .error(409, "The first request with this idempotency key is still being handled")
        .error(413, "`Payload too large`")
        .error(415, "`Unsupported media type`")
        .error(429, "`Too many messages are waiting`")
        .error(500, "`Internal server error`")
        .error(503, "`Device not connected`: never linked, or logged out")
}

/// What an idempotency key stands for: the device is part of the request here.
#[derive(Serialize)]
struct Fingerprint<'a> {
    device: domain::ids::DeviceId,
    body: &'a SendBody,
}

async fn send(
    State(state): State<AppState>,
    device: Result<Path<String>, PathRejection>,
    request: Request<Body>,
) -> Response<Body> {
    // What cannot be read names no device, which is told only to those with a key.
    let device = device.map_or(String::new(), |Path(device)| device);
    try_send(&state, &device, request).await.unwrap_or_else(|refusal| render(&refusal))
}

async fn try_send(
    state: &AppState,
    device: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let (session, device) = authorize(state, &headers, device).await?;
    let body: SendBody = read_json(&headers, body).await?;
    let fingerprint = Fingerprint { device: device.id, body: &body };
    let key = headers.get(IDEMPOTENCY_KEY);
    let idempotency = idempotency_key(key, "wagy POST send", &fingerprint)?;
    let command = command(device.id, body)?;
    let sent = state.core.send(&session, vec![command], idempotency).await?;
    let message = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = json(StatusCode::OK, &answer(message));
    add_send_headers(&mut response, message, sent.is_repeat);
    Ok(response)
}
