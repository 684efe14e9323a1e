//! The headers of the rate limit, on every answer of every API.
//!
//! The step that authenticates notes the state ([`crate::request_context`]); the layer around all
//! routes puts it onto the answer. In between lies code of each API, which need not know of it.

use axum::body::Body;
use axum::http::header::RETRY_AFTER as RETRY_AFTER_HEADER;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use domain::policy::rate::{RateState, WINDOW};

use crate::api_error::RETRY_AFTER;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
/// The two fields that the current draft of the IETF has in place of those three.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Where a key stands, and whether its request was one too many.
#[derive(Debug, Clone, Copy)]
pub struct RateNote {
    state: RateState,
    is_over: bool,
}

impl RateNote {
    /// Of a request that is answered.
    pub fn within(state: RateState) -> Self {
        Self { state, is_over: false }
    }

    /// Of a request that was one too many.
    pub fn over(state: RateState) -> Self {
        Self { state, is_over: true }
    }
}

/// Adds the headers. Every 429 says when to come back, by itself or by what is added here.
pub fn add_headers(response: &mut Response<Body>, note: Option<RateNote>) {
    let is_refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let headers = response.headers_mut();
    if let Some(RateNote { state, .. }) = note {
        headers.insert(LIMIT, HeaderValue::from(state.limit));
        headers.insert(REMAINING, HeaderValue::from(state.remaining));
        headers.insert(RESET, HeaderValue::from(state.reset_s));
        let RateState { limit, remaining, reset_s } = state;
        let policy = format!("\"requests\";q={limit};w={}", WINDOW.as_secs());
        let standing = format!("\"requests\";r={remaining};t={reset_s}");
        for (name, value) in [(POLICY, policy), (STANDING, standing)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
    if is_refused {
        let over = note.filter(|note| note.is_over);
        let wait_s = over.and_then(|note| u64::try_from(note.state.reset_s.max(1)).ok());
        let wait_s = wait_s.unwrap_or(RETRY_AFTER.as_secs());
        headers.entry(RETRY_AFTER_HEADER).or_insert(HeaderValue::from(wait_s));
    }
}
