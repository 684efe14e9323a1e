//! The one place that answers unknown paths and wrong methods, in the shape of the API whose
//! client most likely asked ("Unknown paths and methods" in the dialects' contract).

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};

use crate::api::Renderer;
use crate::api_error::{ApiError, ErrorShape as _};
use crate::native::V1;
use crate::native::problem::kind;
use crate::reply::bytes_reply;
use crate::state::AppState;

/// First segments that are ours: no device, and so no dialect, is there.
pub const RESERVED_SEGMENTS: [&str; 15] = [
    "app",
    "assets",
    "docs",
    "v1",
    "api",
    "wachat_api",
    "simulator",
    "login",
    "setup",
    "media",
    "healthz",
    "readyz",
    "metrics",
    "openapi.json",
    "",
];

/// The segments of a path, without its leading slash.
#[derive(Debug, Clone, Copy)]
pub struct PathSegments<'a> {
    path: &'a str,
}

impl<'a> PathSegments<'a> {
    /// Splits a path.
    pub fn of(path: &'a str) -> Self {
        Self { path: path.strip_prefix('/').unwrap_or(path) }
    }

    /// The segment at `index`, counted from zero; empty when there is none.
    pub fn get(&self, index: usize) -> &'a str {
        self.path.split('/').nth(index).unwrap_or_default()
    }

    /// How many there are; those after a trailing slash count.
    pub fn count(&self) -> usize {
        self.path.split('/').count()
    }

    /// Whether the first one is ours.
    pub fn is_reserved(&self) -> bool {
        RESERVED_SEGMENTS.contains(&self.get(0))
    }
}

/// Renders errors at `path`: as the API that owns it, else as a page for browsers and as our own API
/// for everything else.
pub fn renderer(state: &AppState, path: &str, headers: &HeaderMap) -> Renderer {
    let segments = PathSegments::of(path);
    match state.apis().iter().find(|api| (api.owns)(segments)) {
        Some(api) => (api.renderer)(headers),
        None if wants_page(headers) => page,
        None => V1::render,
    }
}

/// Whether a route with a parameter in front caught a path that is ours.
pub fn is_shadowed(template: &str, path: &str) -> bool {
    template.starts_with("/{") && PathSegments::of(path).is_reserved()
}

/// Answers a path that no route has.
pub async fn unknown_path(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    renderer(&state, uri.path(), &headers)(&ApiError::UnknownPath)
}

/// Answers a method that the route does not have; the router adds `Allow`.
pub async fn wrong_method(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    renderer(&state, uri.path(), &headers)(&ApiError::WrongMethod)
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The policy of our pages: nothing from anywhere, but our own style sheets and images.
pub const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// An HTML answer under the strict policy.
pub fn html(status: StatusCode, page: String) -> Response<Body> {
    let mut response =
        bytes_reply(status, HeaderValue::from_static("text/html; charset=utf-8"), page);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}

fn page(error: &ApiError) -> Response<Body> {
    let kind = kind(error);
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::NOT_FOUND);
    html(
        status,
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <link rel=\"stylesheet\" href=\"/assets/docs.css\"></head><body><main>\
             <h1>{code} {title}</h1><p><a href=\"/docs\">The API's documentation</a></p>\
             </main></body></html>\n",
            title = kind.title,
            code = kind.status,
        ),
    )
}
