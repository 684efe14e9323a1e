//! What every accepted send of every API carries: `Location` and `Gerbang-Status`.

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, Response};
use domain::message::Message;

use crate::idempotency::IDEMPOTENCY_REPLAYED;

/// The state of the message at the moment of the answer.
pub const GERBANG_STATUS: HeaderName = HeaderName::from_static("gerbang-status");

/// Adds them; `first` is the first receiver's message.
pub fn add_send_headers(response: &mut Response<Body>, first: &Message, is_repeat: bool) {
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/messages/{}", first.id)) {
        headers.insert(LOCATION, location);
    }
    headers.insert(GERBANG_STATUS, HeaderValue::from_static(first.state.as_str()));
    if is_repeat {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}
