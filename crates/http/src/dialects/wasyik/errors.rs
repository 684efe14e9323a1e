//! Every refusal in this dialect's shape, `{"data":{"responseCode":"NN","message":…}}`,
//! exhaustively.

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use domain::error::{Error, StoreError};

use super::types::{Enveloped, Words};
use crate::api_error::{ApiError, add_retry_after, log_fault};
use crate::native::problem::feature_name;
use crate::reply::json;

/// What a handler of this dialect returns.
pub(super) type Answer = Result<Response<Body>, Refused>;

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Refused(pub ApiError);

impl<T: Into<ApiError>> From<T> for Refused {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        render(&self.0)
    }
}

/// The response to a refusal.
pub(super) fn render(refusal: &ApiError) -> Response<Body> {
    let ErrorReply { status, response_code, message } = tell(refusal);
    let body = Enveloped::coded(response_code, Words { message });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &body);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    add_retry_after(&mut response, refusal);
    response
}

struct ErrorReply {
    status: u16,
    response_code: &'static str,
    message: String,
}

fn told(status: u16, response_code: &'static str, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, response_code, message: message.into() }
}

fn invalid(field: &str, message: &str) -> ErrorReply {
    let named = if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") };
    told(422, "01", named)
}

fn internal() -> ErrorReply {
    told(500, "99", "Internal server error")
}

fn tell(refusal: &ApiError) -> ErrorReply {
    match refusal {
        ApiError::UnknownPath => told(404, "04", "Not found"),
        ApiError::WrongMethod => told(405, "09", "Method not allowed"),
        ApiError::WrongContentType => {
            told(415, "01", "Content-Type must be application/json, or that of a form")
        }
        ApiError::TooLarge(bytes_max) => {
            told(413, "11", format!("The body may have at most {bytes_max} bytes"))
        }
        ApiError::BodyLost => told(408, "01", "The body came too slowly or broke off"),
        ApiError::Malformed(message) => invalid("", message),
        ApiError::Field { field, message } => invalid(field, message),
        ApiError::Crashed => internal(),
        ApiError::Core { error, .. } => tell_core(error),
    }
}

fn tell_core(error: &Error) -> ErrorReply {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => invalid(field, message),
        Error::Unauthorized => told(401, "02", "The API key is missing or invalid"),
        Error::Forbidden => told(403, "03", "This key belongs to another device"),
        Error::FeatureMissing(feature) => {
            let feature = feature_name(*feature);
            told(403, "03", format!("Your plan does not include {feature}"))
        }
        Error::EventMissing(kind) => {
            told(403, "03", format!("Your plan does not include {}", kind.as_str()))
        }
        Error::QuotaExhausted { .. } => told(403, "03", "Your message limit is reached"),
        Error::DeviceLimit(_) => told(403, "03", "Your plan allows no more devices"),
        Error::NotFound("device") => told(404, "04", "Device not found"),
        Error::NotFound("message") => told(404, "04", "Scheduled message not found"),
        Error::NotFound(_) => told(404, "04", "Not found"),
        Error::DeviceNotConnected(_) => told(409, "05", "Device is not connected"),
        Error::RateLimited(_) => told(429, "06", "Too many requests"),
        Error::TooManyWaits | Error::TooManyStreams => {
            told(429, "06", "Too many requests wait for their message")
        }
        Error::QueueFull(_) => told(429, "06", "Too many messages are waiting"),
        Error::NotOnWhatsapp(number) => {
            told(400, "07", format!("{number} is not registered on WhatsApp"))
        }
        Error::Media(reason) => told(400, "08", reason.clone()),
        Error::VoucherInvalid => told(422, "01", "The voucher is unknown or was redeemed already"),
        Error::ChallengeFailed(reason) => told(422, "01", reason.clone()),
        Error::IdempotencyMismatch => {
            told(422, "01", "This Idempotency-Key was used with another request")
        }
        Error::IdempotencyInFlight => {
            told(409, "10", "A request with this Idempotency-Key is still being handled")
        }
        Error::Conflict(message) => told(409, "10", *message),
        Error::NotWaiting(_) => told(409, "10", "The message is not pending any more"),
        Error::NotSent(failure) => told(502, "99", failure.message.clone()),
        Error::Whatsapp(_) => told(502, "99", "WhatsApp did not answer"),
        Error::Store(StoreError::Unavailable(_)) => {
            told(503, "99", "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => internal(),
    }
}
