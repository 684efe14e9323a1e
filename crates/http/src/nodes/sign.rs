//! Signatures of requests between nodes: HMAC-SHA256 under a key that is derived from the secret key, over
//! everything that the other node acts upon.

use std::fmt;
use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// The header with time, client, hash of the body, and signature.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-gerbang-node");
/// What that header says in an answer.
pub(super) const TAKEN: HeaderValue = HeaderValue::from_static("taken");
/// By how much the clocks of nodes may differ, with the time that a request takes.
const AGE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// What nodes sign with.
#[derive(Clone)]
pub struct NodeKey([u8; 32]);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

/// What is signed, but for the headers.
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
}

/// What a signature holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The client's address.
    pub(super) client: Option<IpAddr>,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub(super) body: String,
}

impl NodeKey {
    /// The key of the nodes with this secret key.
    pub fn derive(secret_key: &[u8; 32]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret_key).expect("HMAC takes any key");
        mac.update(b"requests between nodes");
        Self(mac.finalize().into_bytes().into())
    }

    /// The value of [`SIGNATURE`] for a request.
    pub(super) fn sign(
        &self,
        request: &Signed<'_>,
        body: &[u8],
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<HeaderValue> {
        let client = client.map(|client| client.to_string()).unwrap_or_default();
        let claims = format!("{};{client};{}", now.as_millisecond(), hash(body));
        let mac = hex::encode(self.mac(request, &claims).finalize().into_bytes());
        HeaderValue::from_str(&format!("{claims};{mac}")).ok()
    }

    /// What a signature says, when it is one of this key and not old.
    pub(super) fn check(&self, request: &Signed<'_>, now: Timestamp) -> Option<Claims> {
        let value = request.headers.get(SIGNATURE)?.to_str().ok()?;
        let (claims, mac) = value.rsplit_once(';')?;
        self.mac(request, claims).verify_slice(&hex::decode(mac).ok()?).ok()?;
        let mut parts = claims.split(';');
        let at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
        if now.duration_since(at).abs() > AGE_MAX {
            return None;
        }
        let client = parts.next()?;
        let client = if client.is_empty() { None } else { Some(client.parse().ok()?) };
        Some(Claims { client, body: parts.next()?.to_owned() })
    }

    fn mac(&self, request: &Signed<'_>, claims: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        for part in [request.method.as_str(), request.path, claims] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        let mut lines: Vec<Vec<u8>> = request
            .headers
            .iter()
            .filter(|(name, _)| **name != SIGNATURE && is_sent_on(name))
            .map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes()].concat())
            .collect();
        lines.sort();
        mac.update(&Sha256::digest(lines.join(&b"\n"[..])));
        mac
    }
}

/// The SHA-256 of a body, in hexadecimal digits.
pub(super) fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// Whether a header is for the other end, and not for the connection.
pub(super) fn is_sent_on(name: &HeaderName) -> bool {
    const OF_CONNECTION: [&str; 10] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-gerbang-node",
    ];
    !OF_CONNECTION.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn signed(key: &NodeKey) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer gbk_x"));
        let request = Signed { method: &Method::POST, path: "/v1/x?a=1", headers: &headers };
        let client = Some(IpAddr::from([10, 0, 0, 7]));
        let signature = key.sign(&request, b"{}", client, NOW).unwrap();
        headers.insert(SIGNATURE, signature);
        headers
    }

    #[test]
    fn only_what_was_signed_is_believed_and_not_for_long() {
        let key = NodeKey::derive(&[1; 32]);
        let headers = signed(&key);
        let check = |key: &NodeKey, method: &Method, path: &str, headers: &HeaderMap, now| {
            key.check(&Signed { method, path, headers }, now)
        };
        let claims = check(&key, &Method::POST, "/v1/x?a=1", &headers, NOW).unwrap();
        assert_eq!(claims.client, Some(IpAddr::from([10, 0, 0, 7])));
        assert_eq!(claims.body, hash(b"{}"));
        let later = |seconds| NOW.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
        assert!(check(&key, &Method::POST, "/v1/x?a=1", &headers, later(29)).is_some());
        for now in [later(31), later(-31)] {
            assert!(check(&key, &Method::POST, "/v1/x?a=1", &headers, now).is_none());
        }
        let other = NodeKey::derive(&[2; 32]);
        assert!(check(&other, &Method::POST, "/v1/x?a=1", &headers, NOW).is_none());
        assert!(check(&key, &Method::GET, "/v1/x?a=1", &headers, NOW).is_none());
        assert!(check(&key, &Method::POST, "/v1/x?a=2", &headers, NOW).is_none());
        let mut changed = headers.clone();
        changed.insert("authorization", HeaderValue::from_static("Bearer gbk_y"));
        assert!(check(&key, &Method::POST, "/v1/x?a=1", &changed, NOW).is_none());
        let mut unsigned = headers;
        unsigned.remove(SIGNATURE);
        assert!(check(&key, &Method::POST, "/v1/x?a=1", &unsigned, NOW).is_none());
    }
}
