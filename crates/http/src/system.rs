//! The probes and metrics of the process.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};
use prometheus::{Encoder, TextEncoder};
use serde_json::json as body;

use crate::api_error::{ApiError, ApiResult};
use crate::auth::authenticate;
use crate::native::V1;
use crate::net::is_local;
use crate::reply::{bytes_reply, json};
use crate::routes::{Access, Route};
use crate::state::AppState;

/// The paths by which this machine sees how the process is.
pub const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/", Access::Public, home)
            .summary("Leads to the dashboard")
            .answers_type(303, ""),
        Route::get("/healthz", Access::Public, healthz)
            .summary("Whether the process lives")
            .answers_type(200, "application/json"),
        Route::get("/readyz", Access::Public, readyz)
            .summary("Whether requests can be taken")
            .answers_type(200, "application/json")
            .error(503, "The store is not available"),
        Route::get("/metrics", Access::Local, metrics)
            .summary("Metrics for Prometheus; elsewhere than on this machine with the operator key")
            .answers_type(200, "text/plain")
            .error(401, "`unauthorized`")
            .error(403, "`forbidden`"),
    ]
}

async fn home() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/app"));
    response
}

async fn healthz() -> Response<Body> {
    json(StatusCode::OK, &body!({"status": "ok"}))
}

async fn readyz(State(state): State<AppState>) -> ApiResult<V1> {
    let unavailable = |error: StoreError| StoreError::Unavailable(error.to_string());
    state.core().ping().await.map_err(unavailable).map_err(Error::Store)?;
    Ok(json(StatusCode::OK, &body!({"status": "ready"})))
}

async fn metrics(State(state): State<AppState>, request: Request) -> ApiResult<V1> {
    let proxies = &state.config().trusted_proxies;
    if !is_local(request.extensions(), request.headers(), proxies) {
        authenticate(state.core(), request.headers()).await?.require_operator()?;
    }
    metrics_text(&state)
}

fn metrics_text(state: &AppState) -> ApiResult<V1> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&state.registry().gather(), &mut text).map_err(|error| {
        tracing::error!(%error, "metrics cannot be written");
        ApiError::Crashed
    })?;
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(bytes_reply(StatusCode::OK, content_type, text))
}
