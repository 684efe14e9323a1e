//! Every refusal in this dialect's shape: `{"status":false,"msg":…}`, exhaustively.

use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::translate::{InvalidType, field_name};
use super::types::ErrorBody;
use crate::native::problem::feature_name;
use crate::refusal::{Refusal, add_retry_after, log_fault};
use crate::reply::json;

const INVALID: &str = "Invalid parameters!";
const NOT_SENT: &str = "Failed to send message!, Check your connection!";
const INTERNAL: &str = "Internal server error";

/// What is answered instead of success by a handler of this dialect.
pub(super) enum Answer {
    /// As for every API.
    Refusal(Refusal),
    /// Fields that are missing.
    Missing(Vec<&'static str>),
    /// A type of media that this API does not have.
    InvalidType,
}

impl<T: Into<Refusal>> From<T> for Answer {
    fn from(refusal: T) -> Self {
        Self::Refusal(refusal.into())
    }
}

impl From<InvalidType> for Answer {
    fn from(_: InvalidType) -> Self {
        Self::InvalidType
    }
}

impl Answer {
    /// The response.
    pub(super) fn render(&self) -> Response<Body> {
        match self {
            Self::Refusal(refusal) => render(refusal),
            Self::Missing(fields) => {
                let errors = fields.iter().map(|field| format!("{field}: is required")).collect();
                respond(invalid(errors))
            }
            Self::InvalidType => respond(bad(InvalidType::message())),
        }
    }
}

/// The response to a refusal.
pub(super) fn render(refusal: &Refusal) -> Response<Body> {
    let mut response = respond(tell(refusal));
    add_retry_after(&mut response, refusal);
    if matches!(refusal, Refusal::WrongMethod) {
        // The router would name HEAD, too.
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

struct Told {
    status: StatusCode,
    message: String,
    errors: Vec<String>,
}

fn respond(told: Told) -> Response<Body> {
    let Told { status, message, errors } = told;
    json(status, &ErrorBody { status: false, msg: message, errors })
}

fn told(status: StatusCode, message: impl Into<String>) -> Told {
    Told { status, message: message.into(), errors: Vec::new() }
}

fn bad(message: impl Into<String>) -> Told {
    told(StatusCode::BAD_REQUEST, message)
}

fn invalid(errors: Vec<String>) -> Told {
    Told { errors, ..bad(INVALID) }
}

fn tell(refusal: &Refusal) -> Told {
    match refusal {
        Refusal::UnknownPath => told(StatusCode::NOT_FOUND, "Not found"),
        Refusal::WrongMethod => told(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        Refusal::WrongContentType => told(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported content type, send JSON or a form",
        ),
        Refusal::TooLarge(_) => told(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        Refusal::BodyLost => told(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        Refusal::Malformed(message) => invalid(vec![message.clone()]),
        Refusal::Field { field, message } if field.is_empty() => invalid(vec![message.clone()]),
        Refusal::Field { field, message } => {
            invalid(vec![format!("{}: {message}", field_name(field))])
        }
        Refusal::Crashed => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        Refusal::Core { error, .. } => tell_core(error),
    }
}

fn tell_core(error: &Error) -> Told {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => {
            invalid(vec![format!("{}: {message}", field_name(field))])
        }
        Error::Unauthorized | Error::Forbidden | Error::NotFound("device") => {
            bad("Invalid api_key or sender,please check again")
        }
        Error::NotFound(_) => told(StatusCode::NOT_FOUND, "Not found"),
        Error::FeatureMissing(feature) => {
            bad(format!("Your plan does not include {}", feature_name(*feature)))
        }
        Error::EventMissing(kind) => bad(format!("Your plan does not include {}", kind.as_str())),
        Error::DeviceNotConnected(_) | Error::NotSent(_) | Error::Whatsapp(_) => bad(NOT_SENT),
        Error::NotOnWhatsapp(number) => {
            bad(format!("Failed to send message!, {number} is not on WhatsApp"))
        }
        Error::Media(reason) => bad(format!("Failed to send media!, {reason}")),
        Error::QuotaExhausted { .. } => bad("Message quota exhausted!"),
        Error::DeviceLimit(_) => bad("Your plan allows no more devices"),
        Error::IdempotencyMismatch => bad("This Idempotency-Key was used with another request"),
        Error::IdempotencyInFlight => {
            bad("A request with this Idempotency-Key is still being handled")
        }
        Error::Conflict(message) => bad(*message),
        Error::NotWaiting(_) => bad("The message no longer waits"),
        Error::VoucherInvalid => bad("Invalid voucher or already redeemed"),
        Error::ChallengeFailed(reason) => bad(reason.clone()),
        Error::QueueFull(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many messages are waiting"),
        Error::RateLimited(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyWaits | Error::TooManyStreams => {
            told(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait")
        }
        Error::Store(StoreError::Unavailable(_)) => {
            told(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
    }
}
