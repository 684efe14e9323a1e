//! Every refusal in this dialect's shape: `{"status":"error","message":…}`, exhaustively.

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::translate::field_name;
use super::types::ErrorBody;
use crate::api_error::{ApiError, add_retry_after, log_fault};
use crate::native::problem::feature_name;
use crate::reply::json;

const INVALID: &str = "Invalid JSON payload";
const INVALID_QUERY: &str = "Invalid query parameters";
const INTERNAL: &str = "Internal server error";

/// The response to a refusal.
pub(super) fn render(refusal: &ApiError) -> Response<Body> {
    render_told(refusal, tell(refusal))
}

/// The response to a refusal of a request whose parameters are in its query.
pub(super) fn render_query(refusal: &ApiError) -> Response<Body> {
    let told = tell(refusal);
    let is_of_query = told.message == INVALID;
    let message = if is_of_query { INVALID_QUERY.to_owned() } else { told.message };
    render_told(refusal, ErrorReply { message, ..told })
}

fn render_told(refusal: &ApiError, told: ErrorReply) -> Response<Body> {
    let ErrorReply { status, message, errors } = told;
    let mut response = json(status, &ErrorBody { status: "error", message: &message, errors });
    if status == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    add_retry_after(&mut response, refusal);
    response
}

struct ErrorReply {
    status: StatusCode,
    message: String,
    errors: Vec<String>,
}

fn told(status: StatusCode, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, message: message.into(), errors: Vec::new() }
}

fn invalid(errors: Vec<String>) -> ErrorReply {
    ErrorReply { errors, ..told(StatusCode::BAD_REQUEST, INVALID) }
}

fn tell(refusal: &ApiError) -> ErrorReply {
    match refusal {
        ApiError::UnknownPath => told(StatusCode::NOT_FOUND, "Not found"),
        ApiError::WrongMethod => told(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        ApiError::WrongContentType => told(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type, Content-Type must be application/json",
        ),
        ApiError::TooLarge(_) => told(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        ApiError::BodyLost => told(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ApiError::Malformed(message) => invalid(vec![message.clone()]),
        ApiError::Field { field, message } if field.is_empty() => invalid(vec![message.clone()]),
        ApiError::Field { field, message } => invalid(vec![format!("{field}: {message}")]),
        ApiError::Crashed => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        ApiError::Core { error, .. } => tell_core(error),
    }
}

fn tell_core(error: &Error) -> ErrorReply {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => {
            invalid(vec![format!("{}: {message}", field_name(field))])
        }
        // The operator's key belongs to no device.
        Error::Unauthorized | Error::Forbidden => told(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::FeatureMissing(feature) => told(
            StatusCode::PAYMENT_REQUIRED,
            format!("Your plan does not include {}", feature_name(*feature)),
        ),
        Error::NotFound("device") => told(StatusCode::NOT_FOUND, "Device not found"),
        Error::NotFound(_) => told(StatusCode::NOT_FOUND, "Not found"),
        Error::DeviceNotConnected(_) => {
            told(StatusCode::SERVICE_UNAVAILABLE, "Device not connected")
        }
        Error::QuotaExhausted { .. } => told(StatusCode::PAYMENT_REQUIRED, "Quota exhausted"),
        Error::EventMissing(kind) => told(
            StatusCode::PAYMENT_REQUIRED,
            format!("Your plan does not include {}", kind.as_str()),
        ),
        Error::RateLimited(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyWaits | Error::TooManyStreams => {
            told(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait")
        }
        Error::NotOnWhatsapp(number) => {
            told(StatusCode::BAD_REQUEST, format!("{number} is not on WhatsApp"))
        }
        Error::Media(reason) => told(StatusCode::BAD_REQUEST, reason.clone()),
        Error::NotSent(failure) => told(StatusCode::BAD_GATEWAY, failure.message.clone()),
        Error::VoucherInvalid => {
            told(StatusCode::BAD_REQUEST, "Invalid voucher or already redeemed")
        }
        Error::ChallengeFailed(reason) => told(StatusCode::BAD_REQUEST, reason.clone()),
        Error::DeviceLimit(_) => {
            told(StatusCode::PAYMENT_REQUIRED, "Your plan allows no more devices")
        }
        Error::QueueFull(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many messages are waiting"),
        Error::IdempotencyMismatch => {
            told(StatusCode::BAD_REQUEST, "This Idempotency-Key was used with another request")
        }
        Error::IdempotencyInFlight => {
            told(StatusCode::CONFLICT, "A request with this Idempotency-Key is still being handled")
        }
        Error::Conflict(message) => told(StatusCode::CONFLICT, *message),
        Error::NotWaiting(_) => told(StatusCode::CONFLICT, "The message no longer waits"),
        Error::Whatsapp(_) => told(StatusCode::BAD_GATEWAY, "WhatsApp did not answer"),
        Error::Store(StoreError::Unavailable(_)) => {
            told(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
    }
}
