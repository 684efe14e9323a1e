//! The style sheet and the module of the pages, under names that change with their content.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::reply::bytes_reply;
use crate::state::AppState;

const STYLE: &str = include_str!("dashboard.css");
const SCRIPT: &str = include_str!("dashboard.js");

/// The path of the style sheet.
pub(super) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| named(STYLE, "css"));
/// The path of the module.
pub(super) static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| named(SCRIPT, "js"));

fn named(text: &str, ending: &str) -> String {
    let digest = hex::encode(&Sha256::digest(text)[..8]);
    format!("/assets/app-{digest}.{ending}")
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route(STYLE_PATH.as_str(), get(|state| file(state, "text/css; charset=utf-8", STYLE)))
        .route(
            SCRIPT_PATH.as_str(),
            get(|state| file(state, "text/javascript; charset=utf-8", SCRIPT)),
        )
}

async fn file(State(_): State<AppState>, kind: &'static str, text: &'static str) -> Response<Body> {
    let mut response = bytes_reply(StatusCode::OK, HeaderValue::from_static(kind), text);
    let headers = response.headers_mut();
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(CACHE_CONTROL, kept);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
