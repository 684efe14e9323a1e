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
    Ok(Some(IdempotencyKey { route: route.to_owned(), key, request_hash: hash.finalize().into() }))
}
