//! Requests and answers of a test, and how they are written down in snapshots.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

/// A request that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        // A fixed request id leaves the seeded randomness to the use cases.
        let headers = vec![("x-request-id".to_owned(), "test".to_owned())];
        Self { method, path: path.into(), headers, body: None }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").raw(body.to_string())
    }

    pub(crate) fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) async fn of(self, router: &Router) -> TestResponse {
        let response = self.open(router).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        TestResponse { status: parts.status, headers: parts.headers, body }
    }

    /// The response with its body unread, for those without an end.
    pub(crate) async fn open(self, router: &Router) -> Response<Body> {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body.map_or(Body::empty(), Body::from)).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl TestResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts the status, with the body in the message.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// Status, the headers that matter and body, for a snapshot.
    pub(crate) fn written(&self) -> String {
        let mut text = format!("{}\n", self.status.as_u16());
        let shown = [
            "content-type",
            "location",
            "gerbang-status",
            "idempotency-replayed",
            "allow",
            "www-authenticate",
            "retry-after",
        ];
        for name in shown {
            if let Some(value) = self.headers.get(name) {
                let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
            }
        }
        if !self.body.is_empty() {
            let _ = writeln!(text, "{}", serde_json::to_string_pretty(&self.json()).unwrap());
        }
        text
    }
}

/// A conversation, written down for a snapshot.
#[derive(Default)]
pub(crate) struct Transcript(String);

impl Transcript {
    pub(crate) fn add(&mut self, asked: &str, response: &TestResponse) {
        let _ = writeln!(self.0, "## {asked}\n{}", response.written());
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}
