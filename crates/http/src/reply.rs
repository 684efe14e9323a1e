//! Small answers.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

/// The content type of our answers.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer in JSON, which nobody on the way may keep.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    typed_json(status, JSON, body)
}

/// As [`json`], with a content type of its own.
pub fn typed_json(
    status: StatusCode,
    content_type: HeaderValue,
    body: &impl Serialize,
) -> Response<Body> {
    let mut bytes = Vec::with_capacity(512);
    if let Err(error) = serde_json::to_writer(&mut bytes, body) {
        // Only a map with keys that are no strings gets here, and there is none.
        tracing::error!(%error, "an answer cannot be written as JSON");
        return bytes_reply(StatusCode::INTERNAL_SERVER_ERROR, content_type, Vec::new());
    }
    bytes_reply(status, content_type, bytes)
}

/// An answer of any type, which nobody on the way may keep.
pub fn bytes_reply(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without a body.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
