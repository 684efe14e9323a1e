//! Authentication: the key in `Authorization: Bearer`, and the principal it stands for.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use domain::error::Error;
use domain::service::{Core, Principal};

use crate::net::share_of;
use crate::{request_context, request_span};

/// The key of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        // Two keys: whichever was meant, the other was not.
        return None;
    }
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The principal of the bearer.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::RateLimited`], and the store's.
pub async fn authenticate(core: &Core, headers: &HeaderMap) -> Result<Principal, Error> {
    authenticate_key(core, bearer(headers).ok_or(Error::Unauthorized)?).await
}

/// The principal that this key stands for, wherever in the request it was. Every API comes through
/// here, so that every answer has the headers of the rate limit and every log line the account.
///
/// # Errors
/// [`Error::Unauthorized`], [`Error::RateLimited`] also for many wrong keys from one address, and the
/// store's.
pub async fn authenticate_key(core: &Core, key: &str) -> Result<Principal, Error> {
    let principal = match core.authenticate(key).await {
        Err(Error::Unauthorized) => Err(match request_context::client() {
            Some(client) => core.wrong_key(share_of(client)),
            None => Error::Unauthorized,
        }),
        known => known,
    };
    request_context::note(&principal);
    principal.inspect(request_span::record_principal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_a_key() {
        let cases = [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("abc", None),
        ];
        for (value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), expected, "{value}");
            headers.append(AUTHORIZATION, "Bearer other".parse().unwrap());
            assert_eq!(bearer(&headers), None);
        }
    }
}
