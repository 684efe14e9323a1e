//! Small answers.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

/// The content type of our answers.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What most answers fit into.
const SMALL_ANSWER_BYTES: usize = 1_024;

/// An answer in JSON that no cache keeps.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    typed_json(status, JSON, body)
}

/// As [`json`], with a content type of its own.
pub fn typed_json(
    status: StatusCode,
    content_type: HeaderValue,
    body: &impl Serialize,
) -> Response<Body> {
    let mut bytes = Vec::with_capacity(SMALL_ANSWER_BYTES);
    if let Err(error) = serde_json::to_writer(&mut bytes, body) {
        // Only a map with keys that are no strings gets here, and there is none.
        tracing::error!(%error, "an answer cannot be written as JSON");
        return bytes_reply(StatusCode::INTERNAL_SERVER_ERROR, content_type, Vec::new());
    }
    bytes_reply(status, content_type, bytes)
}

/// An answer of any type that no cache keeps.
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

/// The answer to something that was made, which says where it is.
pub fn created(location: &str, body: &impl Serialize) -> Response<Body> {
    let mut response = json(StatusCode::CREATED, body);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// An answer without a body.
pub fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A time as Laravel prints it: UTC with microseconds, such as `2025-12-10T10:00:00.000000Z`.
pub fn laravel_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_digits() {
        let cases = [
            ("2025-12-10T10:00:00Z", "2025-12-10T10:00:00.000000Z"),
            ("2025-12-10T17:00:00.25+07:00", "2025-12-10T10:00:00.250000Z"),
            ("2025-12-10T10:00:00.0000019Z", "2025-12-10T10:00:00.000001Z"),
        ];
        for (time, printed) in cases {
            assert_eq!(laravel_time(time.parse().unwrap()), printed);
        }
    }
}
