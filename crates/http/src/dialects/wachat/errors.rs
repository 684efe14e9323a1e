//! Every refusal in this dialect's shapes, exhaustively: `{"error":true,"message":…}`, and for faulty
//! parameters `{"detail":[…]}`.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::faults::fault;
use super::form::Form;
use super::translate::field_name;
use super::types::{AnyError, ErrorBody, Fault, FaultsBody};
use crate::api_error::{ApiError, add_retry_after, log_fault};
use crate::fallback::Renderer;
use crate::native::problem::feature_name;

const INTERNAL: &str = "Internal server error";

/// What is answered instead of success by a handler of this dialect.
pub(super) enum Answer {
    /// As for every API.
    ApiError(ApiError),
    /// Faults of the body, one or several.
    Faults(Vec<Fault>),
}

impl From<Vec<Fault>> for Answer {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Faults(faults)
    }
}

impl<T: Into<ApiError>> From<T> for Answer {
    fn from(refusal: T) -> Self {
        Self::ApiError(refusal.into())
    }
}

impl Answer {
    /// The response to it.
    pub(super) fn render(self, form: Form) -> Response<Body> {
        match self {
            Self::ApiError(refusal) => render(form, &refusal),
            Self::Faults(detail) => {
                form.reply(StatusCode::UNPROCESSABLE_ENTITY, &FaultsBody { detail })
            }
        }
    }
}

/// What answers a refusal in the form that the client wants.
pub(super) fn renderer(headers: &HeaderMap) -> Renderer {
    match Form::of(headers) {
        Form::Json => |refusal| render(Form::Json, refusal),
        Form::Xml => |refusal| render(Form::Xml, refusal),
    }
}

fn render(form: Form, refusal: &ApiError) -> Response<Body> {
    let (status, body) = tell(refusal);
    let mut response = form.reply(status, &body);
    add_retry_after(&mut response, refusal);
    response
}

fn faulty(fault: Fault) -> (StatusCode, AnyError) {
    (StatusCode::UNPROCESSABLE_ENTITY, AnyError::Faults(FaultsBody { detail: vec![fault] }))
}

fn told(status: StatusCode, message: impl Into<String>) -> (StatusCode, AnyError) {
    (status, AnyError::Error(ErrorBody { error: true, message: message.into() }))
}

fn tell(refusal: &ApiError) -> (StatusCode, AnyError) {
    match refusal {
        ApiError::UnknownPath => told(StatusCode::NOT_FOUND, "Not found"),
        ApiError::WrongMethod => told(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        ApiError::WrongContentType => told(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported media type, Content-Type must be application/json",
        ),
        ApiError::TooLarge(_) => told(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        ApiError::BodyLost => told(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ApiError::Malformed(message) => {
            faulty(fault("", message.clone(), "value_error.jsondecode"))
        }
        ApiError::Field { field, message } => faulty(field_fault(field, message)),
        ApiError::Crashed => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        ApiError::Core { error, .. } => tell_core(error),
    }
}

fn field_fault(field: &str, message: &str) -> Fault {
    let place = if field == "Idempotency-Key" { "header" } else { "body" };
    let mut fault = fault(field_name(field), message, "value_error");
    fault.loc[0] = place.to_owned();
    fault
}

fn tell_core(error: &Error) -> (StatusCode, AnyError) {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => faulty(field_fault(field, message)),
        Error::IdempotencyMismatch => {
            let message = "was used with another request";
            faulty(field_fault("Idempotency-Key", message))
        }
        Error::Unauthorized => told(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Forbidden => told(StatusCode::FORBIDDEN, "This key may not use that sender"),
        Error::FeatureMissing(feature) => told(
            StatusCode::FORBIDDEN,
            format!("Your plan does not include {}", feature_name(*feature)),
        ),
        Error::EventMissing(kind) => {
            told(StatusCode::FORBIDDEN, format!("Your plan does not include {}", kind.as_str()))
        }
        Error::DeviceLimit(_) => told(StatusCode::FORBIDDEN, "Your plan allows no more devices"),
        Error::NotFound(what) => told(StatusCode::NOT_FOUND, format!("No such {what}")),
        Error::DeviceNotConnected(_) => told(StatusCode::BAD_REQUEST, "Gateway is not connected"),
        Error::QuotaExhausted { .. } => {
            told(StatusCode::TOO_MANY_REQUESTS, "Gateway limit reached")
        }
        Error::QueueFull(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many messages are waiting"),
        Error::RateLimited(_) => told(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyWaits | Error::TooManyStreams => {
            told(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait")
        }
        Error::IdempotencyInFlight => {
            told(StatusCode::CONFLICT, "A request with this Idempotency-Key is still being handled")
        }
        Error::Conflict(message) => told(StatusCode::CONFLICT, *message),
        Error::NotWaiting(_) => told(StatusCode::CONFLICT, "The message no longer waits"),
        Error::Media(reason) => told(StatusCode::BAD_REQUEST, format!("Media: {reason}")),
        Error::NotOnWhatsapp(number) => {
            told(StatusCode::BAD_REQUEST, format!("{number} is not on WhatsApp"))
        }
        Error::VoucherInvalid => {
            told(StatusCode::BAD_REQUEST, "Invalid voucher or already redeemed")
        }
        Error::ChallengeFailed(reason) => told(StatusCode::BAD_REQUEST, reason.clone()),
        Error::NotSent(failure) => told(StatusCode::BAD_GATEWAY, failure.message.clone()),
        Error::Whatsapp(_) => told(StatusCode::BAD_GATEWAY, "WhatsApp did not answer"),
        Error::Store(StoreError::Unavailable(_)) => {
            told(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable, try again later")
        }
        Error::Store(StoreError::Fault(_)) => told(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
    }
}
