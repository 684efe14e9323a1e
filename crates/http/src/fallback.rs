//! The one place that answers unknown paths and wrong methods, in the shape of the API whose
//! client most likely asked ("Unknown paths and methods" in the dialects' contract).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Response, StatusCode, Uri};

use crate::api::{Api, Renderer};
use crate::api_error::{ApiError, ErrorShape as _, named};
use crate::dashboard;
use crate::html;
use crate::native::V1;
use crate::native::problem::kind;
use crate::state::AppState;

/// First segments that are ours: no device, and so no dialect, is there.
pub const RESERVED_SEGMENTS: [&str; 19] = [
    "app",
    "assets",
    "docs",
    "v1",
    "api",
    "wachat_api",
    "simulator",
    "login",
    "logout",
    "setup",
    "portal",
    "media",
    "healthz",
    "readyz",
    "metrics",
    "openapi.json",
    "openapi-3.0.json",
    "llms.txt",
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

/// The API that owns a path.
pub fn owner(state: &AppState, path: &str) -> Option<&'static Api> {
    let segments = PathSegments::of(path);
    state.apis().iter().find(|api| (api.owns)(segments)).copied()
}

/// Renders errors at a path: as the API that owns it, else as a page for browsers and as our own API
/// for everything else.
pub fn renderer(owner: Option<&Api>, headers: &HeaderMap) -> Renderer {
    match owner {
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
    rendered(&state, &uri, &headers, ApiError::UnknownPath)
}

/// An error that no handler answers with: for people as a page, else in the shape of the path's API.
pub fn rendered(
    state: &AppState,
    uri: &Uri,
    headers: &HeaderMap,
    error: ApiError,
) -> Response<Body> {
    let error = Arc::new(error);
    let response = match is_for_people(uri.path()) {
        true => dashboard::error_page(error.clone(), headers),
        false => renderer(owner(state, uri.path()), headers)(&error),
    };
    named(response, &error)
}

/// Whether pages for people are below this path, and nothing that programs call.
fn is_for_people(path: &str) -> bool {
    ["app", "login", "logout", "setup", "portal"].contains(&PathSegments::of(path).get(0))
}

/// Answers a method that the route does not have; the router adds `Allow`.
pub async fn wrong_method(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    rendered(&state, &uri, &headers, ApiError::WrongMethod)
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn page(error: &ApiError) -> Response<Body> {
    let kind = kind(error);
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::NOT_FOUND);
    let body = maud::html! {
        main {
            h1 { (kind.status) " " (kind.title) }
            p { a href="/docs" { "The API's documentation" } }
        }
    };
    html::respond(status, html::page(kind.title, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_parameter_catches_none_of_our_paths() {
        for segment in RESERVED_SEGMENTS {
            let path = format!("/{segment}/status");
            assert!(is_shadowed("/{device_id}/status", &path), "{path}");
        }
        for path in ["/7/status", "/apples/status", "/API/status"] {
            assert!(!is_shadowed("/{device_id}/status", path), "{path}");
        }
        assert!(!is_shadowed("/v1/messages/{id}", "/v1/messages/7"), "this route is ours");
    }
}
