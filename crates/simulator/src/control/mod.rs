//! The control API and the phones' pages: plain HTTP, JSON in and out.
//!
//! Every call is described in the crate's README.md. Every error is `{"error": "…"}`; errors of
//! the caller are 4xx and name the field.

pub(crate) mod faults;
mod groups;
mod history;
mod mms;
pub(crate) mod origin;
mod others;
mod pairing;
mod phones;
pub(crate) mod rules;
mod send;
pub(crate) mod server;
mod stats;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use serde::de::DeserializeOwned;

use crate::address::Number;
use crate::error::{Result, SimulatorError, bad_request};
use crate::limits::CONTROL_BYTES_MAX;
use crate::{Simulator, page, socket};

/// The result of every handler.
pub(crate) type HandlerResult<T> = std::result::Result<T, ControlError>;

/// An error as the caller sees it.
pub(crate) struct ControlError(SimulatorError);

impl From<SimulatorError> for ControlError {
    fn from(error: SimulatorError) -> Self {
        ControlError(error)
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            SimulatorError::BadRequest(_) | SimulatorError::Disconnected(_) => {
                StatusCode::BAD_REQUEST
            }
            SimulatorError::NotFound(_) => StatusCode::NOT_FOUND,
            SimulatorError::Conflict(_) => StatusCode::CONFLICT,
            SimulatorError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            SimulatorError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            SimulatorError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            SimulatorError::Scripted(status) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = match status {
            StatusCode::INTERNAL_SERVER_ERROR if !matches!(self.0, SimulatorError::Scripted(_)) => {
                tracing::error!(error = %self.0, "the control API failed");
                "the simulator failed; its log says why".to_owned()
            }
            _ => self.0.to_string(),
        };
        (status, axum::Json(serde_json::json!({ "error": message }))).into_response()
    }
}

/// A JSON body; an empty one is `{}`, whatever the content type.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ControlError;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, ControlError> {
        let bytes = bytes::Bytes::from_request(request, state)
            .await
            .map_err(|error: BytesRejection| bad_request(error.body_text()))?;
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let body =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| explain(&error))?;
        reader.end().map_err(|error| bad_request(format!("the body is not JSON: {error}")))?;
        Ok(Body(body))
    }
}

/// What is wrong with a body: the field, and what it must be.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> SimulatorError {
    if !error.inner().is_data() {
        return bad_request(format!("the body is not JSON: {}", error.inner()));
    }
    let path = error.path().to_string();
    let field = if path == "." { "the body" } else { path.trim_end_matches(".?") };
    let message = error.inner().to_string();
    // serde_json appends where; the field's name says it better.
    let message = message.split(" at line ").next().unwrap_or_default();
    match message.rsplit_once("expected ") {
        Some((_, expected)) if message.starts_with("invalid ") => {
            bad_request(format!("{field}: must be {}", wanted(expected)))
        }
        _ => bad_request(format!("{field}: {message}")),
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a string" | "string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "f32" | "f64" => "a number",
        "u16" | "u32" | "u64" | "i64" => "a whole number",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    }
}

/// A number from a path or a body.
pub(crate) fn parse_number(text: &str) -> Result<Number> {
    Number::parse(text).ok_or_else(|| {
        bad_request(format!(
            "{text:?} is not a telephone number (5 to 15 digits with the country code, like 6281234567890)"
        ))
    })
}

/// All routes, relative, for the root or for nesting.
pub(crate) fn router(simulator: Simulator) -> Router {
    let api = Router::new()
        .route("/phones", get(phones::list))
        .route("/phones/{number}", put(phones::change).get(phones::show))
        .route("/phones/{number}/scan", post(pairing::scan))
        .route("/phones/{number}/enter-code", post(pairing::enter_code))
        .route("/phones/{number}/devices/{device}", delete(pairing::unpair))
        .route("/phones/{number}/sessions", delete(phones::forget_sessions))
        .route("/phones/{number}/inbox", get(phones::inbox))
        .route("/phones/{number}/inbox/{id}/media", get(mms::inbox_media).delete(mms::forget_media))
        .route("/phones/{number}/timeline", get(phones::timeline))
        .route("/phones/{number}/events", get(phones::events))
        .route("/phones/{number}/send", post(send::send))
        .route("/phones/{number}/read", post(phones::read))
        .route("/phones/{number}/companions", put(others::companions))
        .route("/phones/{number}/companions/{index}/inbox", get(others::companion_inbox))
        .route("/phones/{number}/reinstall", post(others::reinstall))
        .route("/phones/{number}/recycle", post(others::recycle))
        .route("/phones/{number}/history", post(history::put))
        .route("/phones/{number}/chats/{chat}", put(others::chat))
        .route("/phones/{number}/bundle", put(others::bundle))
        .route("/groups", post(groups::create).get(groups::list))
        .route("/groups/{id}", put(groups::change))
        .route("/groups/{id}/read", post(groups::read))
        .route("/groups/{id}/members/{number}", put(groups::add).delete(groups::remove))
        .route("/faults", put(faults::put).get(faults::get))
        .route("/server", put(server::put))
        .route("/sw.js", get(server::published))
        .route("/stats", get(stats::stats))
        .route("/root-key", get(stats::root_key))
        .route("/ws/chat", get(socket::upgrade))
        .layer(DefaultBodyLimit::max(CONTROL_BYTES_MAX))
        .with_state(simulator.clone());
    let checked = middleware::from_fn_with_state(simulator.allowed_hosts(), origin::check);
    api.merge(page::router()).layer(checked).merge(media_router(simulator))
}

/// Only the media, which clients call at the root of the host.
pub(crate) fn media_router(simulator: Simulator) -> Router {
    Router::new()
        .route("/mms/{kind}/{token}", post(mms::upload).get(mms::download))
        .route("/product/{kind}/{token}", post(mms::upload))
        .layer(middleware::from_fn_with_state(simulator.allowed_hosts(), origin::check))
        .with_state(simulator)
}
