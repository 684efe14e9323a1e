//! Texts that are built once and served as they are.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::gzip::{self, Compressed};

/// What stands for the server's address in a text whose readers reach the server at several. The name
/// resolves nowhere (RFC 2606), so that no text has it by chance.
pub const ADDRESS: &str = "http://gerbang.invalid";

/// Clients keep it and ask each time whether it is still the same.
pub const REVALIDATED: &str = "no-cache";
/// Clients keep it for an hour.
pub const KEPT: &str = "public, max-age=3600";

/// A text, with its address left open where that depends on the request.
pub struct Built {
    content_type: HeaderValue,
    cache_control: HeaderValue,
    /// What stands between the addresses; one piece when there is none.
    pieces: Vec<Bytes>,
    compressed: Compressed,
    digest: [u8; 32],
    last: Mutex<Option<Arc<Filled>>>,
}

/// A text with an address in its places.
struct Filled {
    address: String,
    plain: Coded,
    gzip: Coded,
}

/// A body in one coding. Each has a tag of its own, because its bytes are its own.
struct Coded {
    body: Bytes,
    tag: HeaderValue,
}

impl Built {
    /// Prepares a text; [`ADDRESS`] in it becomes the address of each request.
    pub fn new(content_type: &'static str, cache_control: &'static str, text: Bytes) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text.clone();
        while let Some(at) = find(&rest, ADDRESS.as_bytes()) {
            let mut piece = rest.split_to(at + ADDRESS.len());
            piece.truncate(at);
            pieces.push(piece);
        }
        pieces.push(rest);
        Self {
            content_type: HeaderValue::from_static(content_type),
            cache_control: HeaderValue::from_static(cache_control),
            compressed: Compressed::new(&pieces),
            pieces,
            digest: Sha256::digest(&text).into(),
            last: Mutex::default(),
        }
    }

    /// The answer to a client that reaches the server at `address`, which must hold nothing that HTML
    /// or JSON would escape; 304 when the client has the text.
    pub fn respond(&self, address: &str, headers: &HeaderMap) -> Response<Body> {
        let filled = self.filled(address);
        let is_gzip = gzip::is_accepted(headers);
        let coded = if is_gzip { &filled.gzip } else { &filled.plain };
        let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &coded.tag));
        let body = if is_known { Bytes::new() } else { coded.body.clone() };
        let mut response = Response::new(Body::from(body));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else if is_gzip {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        headers.insert(VARY, HeaderValue::from(ACCEPT_ENCODING));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(ETAG, coded.tag.clone());
        response
    }

    /// The text at an address; the one that was asked last is kept.
    fn filled(&self, address: &str) -> Arc<Filled> {
        let address = if self.pieces.len() > 1 { address } else { "" };
        let mut last = self.last.lock();
        match &*last {
            Some(filled) if filled.address == address => filled.clone(),
            _ => last.insert(Arc::new(self.fill(address))).clone(),
        }
    }

    fn fill(&self, address: &str) -> Filled {
        let digest = match self.pieces.len() {
            1 => self.digest,
            _ => Sha256::new().chain_update(self.digest).chain_update(address).finalize().into(),
        };
        let coded = |body, coding: &str| {
            let tag = format!("\"{}{coding}\"", hex::encode(&digest[..16]));
            let tag = HeaderValue::from_str(&tag);
            Coded { body, tag: tag.unwrap_or_else(|_| HeaderValue::from_static("\"\"")) }
        };
        Filled {
            address: address.to_owned(),
            plain: coded(self.text(address), ""),
            gzip: coded(self.compressed.join(address.as_bytes()), "-gzip"),
        }
    }

    fn text(&self, address: &str) -> Bytes {
        if let [whole] = self.pieces.as_slice() {
            return whole.clone();
        }
        let length: usize = self.pieces.iter().map(|piece| piece.len() + address.len()).sum();
        let mut text = BytesMut::with_capacity(length);
        for (index, piece) in self.pieces.iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(address.as_bytes());
            }
            text.extend_from_slice(piece);
        }
        text.freeze()
    }
}

/// Whether an `If-None-Match` names this tag.
fn names(header: &HeaderValue, tag: &HeaderValue) -> bool {
    let known = header.to_str().unwrap_or_default().split(',').map(str::trim);
    known
        .map(|known| known.strip_prefix("W/").unwrap_or(known))
        .any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response<Body>) -> Bytes {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    fn asking(tag: &str) -> HeaderMap {
        HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap())])
    }

    #[tokio::test]
    async fn a_text_without_an_address_is_never_copied() {
        let built = Built::new("text/plain", KEPT, Bytes::from("a".repeat(1_000)));
        let first = body(built.respond("http://a", &HeaderMap::new())).await;
        let second = body(built.respond("http://b", &HeaderMap::new())).await;
        assert_eq!(first.as_ptr(), second.as_ptr());
    }

    #[tokio::test]
    async fn an_address_is_filled_in_and_has_a_tag_of_its_own() {
        let built =
            Built::new("text/plain", REVALIDATED, Bytes::from(format!("{ADDRESS} x {ADDRESS}/y")));
        let one = built.respond("http://a", &HeaderMap::new());
        let other = built.respond("http://b:1", &HeaderMap::new());
        assert_ne!(one.headers()[ETAG], other.headers()[ETAG]);
        assert_eq!(body(one).await, "http://a x http://a/y");
        let other = body(other).await;
        assert_eq!(other, "http://b:1 x http://b:1/y");
        let again = body(built.respond("http://b:1", &HeaderMap::new())).await;
        assert_eq!(again.as_ptr(), other.as_ptr(), "it is kept");
    }

    #[tokio::test]
    async fn a_client_that_takes_gzip_gets_it_under_a_tag_of_its_own() {
        let built = Built::new("text/plain", KEPT, Bytes::from("a".repeat(1_000)));
        let takes_gzip =
            HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let plain = built.respond("", &HeaderMap::new());
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        let response = built.respond("", &takes_gzip);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        assert_ne!(response.headers()[ETAG], plain.headers()[ETAG]);
        assert!(body(response).await.len() < 100);
    }

    #[tokio::test]
    async fn what_the_client_has_is_not_sent_again() {
        let built = Built::new("text/plain", REVALIDATED, Bytes::from("text"));
        let tag = built.respond("", &HeaderMap::new()).headers()[ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()]
        {
            let response = built.respond("", &asking(&known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[ETAG], tag.as_str());
            assert!(body(response).await.is_empty());
        }
        assert_eq!(built.respond("", &asking("\"other\"")).status(), StatusCode::OK);
    }
}
