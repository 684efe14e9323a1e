//! Every error in this dialect's shape, `{"data":{"responseCode":"NN","message":…}}`,
//! exhaustively.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::types::{Enveloped, Words};
use crate::api_error::{
    ApiError, ErrorShape, OUTCOME_UNKNOWN, Unreadable, add_retry_after, log_fault,
};
use crate::native::problem::feature_name;
use crate::reply::json;

/// This API's errors.
pub(super) enum Wasyik {}

impl ErrorShape for Wasyik {
    type Own = Infallible;

    fn render(error: &ApiError) -> Response<Body> {
        render(error)
    }

    fn render_own(error: Infallible) -> Response<Body> {
        match error {}
    }
}

fn render(error: &ApiError) -> Response<Body> {
    let ErrorReply { status, response_code, message } = reply_to(error);
    let body = Enveloped::coded(response_code, Words { message });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &body);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    add_retry_after(&mut response, error);
    response
}

struct ErrorReply {
    status: u16,
    response_code: &'static str,
    message: String,
}

fn reply(status: u16, response_code: &'static str, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, response_code, message: message.into() }
}

fn invalid(field: &str, message: &str) -> ErrorReply {
    let named = if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") };
    reply(422, "01", named)
}

fn internal() -> ErrorReply {
    reply(500, "99", "Internal server error")
}

fn reply_to(error: &ApiError) -> ErrorReply {
    match error {
        ApiError::UnknownPath => reply(404, "04", "Not found"),
        ApiError::WrongMethod => reply(405, "09", "Method not allowed"),
        ApiError::Unreadable(why) => {
            let code = if *why == Unreadable::Headers { "11" } else { "01" };
            reply(why.status().as_u16(), code, why.message())
        }
        ApiError::WrongContentType => {
            reply(415, "01", "Content-Type must be application/json, or that of a form")
        }
        ApiError::TooLarge(bytes_max) => {
            reply(413, "11", format!("The body may have at most {bytes_max} bytes"))
        }
        ApiError::BodyLost => reply(408, "01", "The body came too slowly or broke off"),
        ApiError::Malformed(message) => invalid("", message),
        ApiError::Field { field, message } => invalid(field, message),
        ApiError::Crashed => internal(),
        ApiError::OutcomeUnknown => reply(504, "99", OUTCOME_UNKNOWN),
        ApiError::Core { error, .. } => core_reply(error),
    }
}

fn core_reply(error: &Error) -> ErrorReply {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => invalid(field, message),
        Error::Unauthorized => reply(401, "02", "The API key is missing or invalid"),
        Error::Forbidden => reply(403, "03", "This key belongs to another device"),
        Error::ScopeMissing(scope) => {
            reply(403, "03", format!("This key lacks the scope {}", scope.as_str()))
        }
        Error::FeatureMissing(feature) => {
            let feature = feature_name(*feature);
            reply(403, "03", format!("Your plan does not include {feature}"))
        }
        Error::EventMissing(kind) => {
            reply(403, "03", format!("Your plan does not include {}", kind.as_str()))
        }
        Error::QuotaExhausted { .. } => reply(403, "03", "Your message limit is reached"),
        Error::DeviceLimit(_) => reply(403, "03", "Your plan allows no more devices"),
        Error::NotFound("device") => reply(404, "04", "Device not found"),
        Error::NotFound("message") => reply(404, "04", "Scheduled message not found"),
        Error::NotFound(_) => reply(404, "04", "Not found"),
        Error::DeviceNotConnected(_) => reply(409, "05", "Device is not connected"),
        Error::RateLimited(_) => reply(429, "06", "Too many requests"),
        Error::TooManyRequests
        | Error::TooManyTries(_)
        | Error::TooManyWaits
        | Error::TooManyStreams => reply(429, "06", "Too many requests wait for their message"),
        Error::QueueFull(full) => reply(429, "06", full.summary()),
        Error::NotOnWhatsapp(number) => {
            reply(400, "07", format!("{number} is not registered on WhatsApp"))
        }
        Error::Media(reason) => reply(400, "08", reason.clone()),
        Error::VoucherInvalid => reply(422, "01", "The voucher is unknown or was redeemed already"),
        Error::ChallengeFailed(reason) => reply(422, "01", reason.clone()),
        Error::IdempotencyMismatch => {
            reply(422, "01", "This Idempotency-Key was used with another request")
        }
        Error::IdempotencyInFlight => {
            reply(409, "10", "A request with this Idempotency-Key is still being handled")
        }
        Error::Conflict(message) => reply(409, "10", *message),
        Error::Passkey(why) => reply(409, "10", why.to_string()),
        Error::NotEditable(why) | Error::NotRevocable(why) => reply(409, "10", *why),
        Error::NotWaiting(_) => reply(409, "10", "The message is not pending any more"),
        Error::NotSent(failure) => reply(502, "99", failure.message.clone()),
        Error::Whatsapp(_) => reply(502, "99", "WhatsApp did not answer"),
        Error::DiskFull => {
            reply(503, "99", "The server has no room for more messages, try again later")
        }
        Error::RunsElsewhere(_)
        | Error::Store(StoreError::Unavailable(_) | StoreError::NotOwner) => {
            reply(503, "99", "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => internal(),
    }
}
