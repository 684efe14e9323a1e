//! Every error in this dialect's shape: `{"status":"error","message":…}`, exhaustively.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::translate::field_name;
use super::types::ErrorBody;
use crate::api_error::{ApiError, ErrorShape, OUTCOME_UNKNOWN, add_retry_after, log_fault};
use crate::native::problem::feature_name;
use crate::reply::json;

const INVALID: &str = "Invalid JSON payload";
const INVALID_QUERY: &str = "Invalid query parameters";
const INTERNAL: &str = "Internal server error";

/// This API's errors.
pub(super) enum Wagy {}

impl ErrorShape for Wagy {
    type Own = Infallible;

    fn render(error: &ApiError) -> Response<Body> {
        render_reply(error, reply_to(error))
    }

    fn render_own(error: Infallible) -> Response<Body> {
        match error {}
    }
}

/// The errors of a call whose parameters are in its query.
pub(super) enum WagyQuery {}

impl ErrorShape for WagyQuery {
    type Own = Infallible;

    fn render(error: &ApiError) -> Response<Body> {
        let reply = reply_to(error);
        let is_of_query = reply.message == INVALID;
        let message = if is_of_query { INVALID_QUERY.to_owned() } else { reply.message };
        render_reply(error, ErrorReply { message, ..reply })
    }

    fn render_own(error: Infallible) -> Response<Body> {
        match error {}
    }
}

fn render_reply(error: &ApiError, reply: ErrorReply) -> Response<Body> {
    let ErrorReply { status, message, errors } = reply;
    let mut response = json(status, &ErrorBody { status: "error", message: &message, errors });
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    add_retry_after(&mut response, error);
    response
}

struct ErrorReply {
    status: StatusCode,
    message: String,
    errors: Vec<String>,
}

fn reply(status: StatusCode, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, message: message.into(), errors: Vec::new() }
}

fn invalid(errors: Vec<String>) -> ErrorReply {
    ErrorReply { errors, ..reply(StatusCode::BAD_REQUEST, INVALID) }
}

fn reply_to(error: &ApiError) -> ErrorReply {
    match error {
        ApiError::UnknownPath => reply(StatusCode::NOT_FOUND, "Not found"),
        ApiError::WrongMethod => reply(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        ApiError::Unreadable(why) => reply(why.status(), why.message()),
        ApiError::WrongContentType => reply(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type, Content-Type must be application/json",
        ),
        ApiError::TooLarge(_) => reply(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        ApiError::BodyLost => reply(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ApiError::Malformed(message) => invalid(vec![message.clone()]),
        ApiError::Field { field, message } if field.is_empty() => invalid(vec![message.clone()]),
        ApiError::Field { field, message } => invalid(vec![format!("{field}: {message}")]),
        ApiError::Crashed => reply(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        ApiError::OutcomeUnknown => reply(StatusCode::GATEWAY_TIMEOUT, OUTCOME_UNKNOWN),
        ApiError::Core { error, .. } => core_reply(error),
    }
}

fn core_reply(error: &Error) -> ErrorReply {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => {
            invalid(vec![format!("{}: {message}", field_name(field))])
        }
        // The operator's key belongs to no device.
        Error::Unauthorized | Error::Forbidden => reply(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::ScopeMissing(scope) => reply(
            StatusCode::UNAUTHORIZED,
            format!("Unauthorized: this key lacks the scope {}", scope.as_str()),
        ),
        Error::FeatureMissing(feature) => reply(
            StatusCode::PAYMENT_REQUIRED,
            format!("Your plan does not include {}", feature_name(*feature)),
        ),
        Error::NotFound("device") => reply(StatusCode::NOT_FOUND, "Device not found"),
        Error::NotFound(_) => reply(StatusCode::NOT_FOUND, "Not found"),
        Error::DeviceNotConnected(_) => {
            reply(StatusCode::SERVICE_UNAVAILABLE, "Device not connected")
        }
        Error::QuotaExhausted { .. } => reply(StatusCode::PAYMENT_REQUIRED, "Quota exhausted"),
        Error::EventMissing(kind) => reply(
            StatusCode::PAYMENT_REQUIRED,
            format!("Your plan does not include {}", kind.as_str()),
        ),
        Error::RateLimited(_) => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyRequests
        | Error::TooManyTries(_)
        | Error::TooManyWaits
        | Error::TooManyStreams => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait"),
        Error::NotOnWhatsapp(number) => {
            reply(StatusCode::BAD_REQUEST, format!("{number} is not on WhatsApp"))
        }
        Error::Media(reason) => reply(StatusCode::BAD_REQUEST, reason.clone()),
        Error::NotSent(failure) => reply(StatusCode::BAD_GATEWAY, failure.message.clone()),
        Error::VoucherInvalid => {
            reply(StatusCode::BAD_REQUEST, "Invalid voucher or already redeemed")
        }
        Error::ChallengeFailed(reason) => reply(StatusCode::BAD_REQUEST, reason.clone()),
        Error::DeviceLimit(_) => {
            reply(StatusCode::PAYMENT_REQUIRED, "Your plan allows no more devices")
        }
        Error::QueueFull(full) => reply(StatusCode::TOO_MANY_REQUESTS, full.summary()),
        Error::IdempotencyMismatch => {
            reply(StatusCode::BAD_REQUEST, "This Idempotency-Key was used with another request")
        }
        Error::IdempotencyInFlight => reply(
            StatusCode::CONFLICT,
            "A request with this Idempotency-Key is still being handled",
        ),
        Error::Conflict(message) => reply(StatusCode::CONFLICT, *message),
        Error::Passkey(why) => reply(StatusCode::CONFLICT, why.to_string()),
        Error::NotEditable(why) | Error::NotRevocable(why) => reply(StatusCode::CONFLICT, *why),
        Error::NotWaiting(_) => reply(StatusCode::CONFLICT, "The message no longer waits"),
        Error::Whatsapp(_) => reply(StatusCode::BAD_GATEWAY, "WhatsApp did not answer"),
        Error::DiskFull => reply(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server has no room for more messages, try again later",
        ),
        Error::RunsElsewhere(_)
        | Error::Store(StoreError::Unavailable(_) | StoreError::NotOwner) => {
            reply(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => reply(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
    }
}
