//! `Idempotency-Key`: what makes a repeated request recognisable.

use axum::http::{HeaderName, HeaderValue};
use domain::ports::IdempotencyKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api_error::ApiError;

/// The request header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that is the first one's.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The request's idempotency key, if it has one.
///
/// The hash is taken over the parsed request, so that spaces and the order of fields do not
/// matter. It must hold the device: a token fixes one that the body need not name. `route` names
/// API and call, so that the same key may be used for each of them.
///
/// # Errors
/// [`ApiError::Field`] when the header is no text.
pub fn idempotency_key(
    header: Option<&HeaderValue>,
    route: &str,
    request: &impl Serialize,
) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = header else { return Ok(None) };
    let key = value
        .to_str()
        .map_err(|_| ApiError::field("Idempotency-Key", "must be printable ASCII"))?
        .to_owned();
    let canonical = serde_json::to_vec(request)
        .map_err(|error| ApiError::Malformed(format!("the body cannot be read: {error}")))?;
    let hash = Sha256::new().chain_update(route).chain_update([0]).chain_update(canonical);
    let request_hash = hash.finalize().into();
    Ok(Some(IdempotencyKey { route: route.to_owned(), key, request_hash, token_of: None }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key_of(route: &str, request: &serde_json::Value) -> IdempotencyKey {
        let header = HeaderValue::from_static("k");
        idempotency_key(Some(&header), route, request).unwrap().unwrap()
    }

    #[test]
    fn the_hash_is_of_the_route_and_of_the_whole_request() {
        let request = json!({"device": 1, "body": {"to": "628111", "text": "a"}});
        let first = key_of("POST /a", &request);
        assert_eq!((first.route.as_str(), first.key.as_str()), ("POST /a", "k"));
        let spaced = r#"{"body":{"text":"a", "to":"628111"}, "device":1}"#;
        let same = key_of("POST /a", &serde_json::from_str(spaced).unwrap());
        assert_eq!(same.request_hash, first.request_hash, "spaces and order do not matter");
        for (route, other) in [
            ("POST /b", request.clone()),
            ("POST /a", json!({"device": 2, "body": {"to": "628111", "text": "a"}})),
            ("POST /a", json!({"device": 1, "body": {"to": "628111", "text": "b"}})),
        ] {
            assert_ne!(key_of(route, &other).request_hash, first.request_hash, "{route} {other}");
        }
    }

    #[test]
    fn a_key_is_optional_and_text() {
        assert!(idempotency_key(None, "POST /a", &()).unwrap().is_none());
        let binary = HeaderValue::from_bytes(b"\xff").unwrap();
        let refused = idempotency_key(Some(&binary), "POST /a", &()).unwrap_err();
        assert!(matches!(&refused, ApiError::Field { field, .. } if field == "Idempotency-Key"));
    }
}
