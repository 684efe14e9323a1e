//! Every error in this dialect's shapes, exhaustively: `{"error":true,"message":…}`, and for faulty
//! parameters `{"detail":[…]}`.

use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::faults::fault;
use super::form::Form;
use super::translate::field_name;
use super::types::{AnyError, ErrorBody, Fault, FaultsBody};
use crate::api::Renderer;
use crate::api_error::{
    ApiError, ErrorShape, OUTCOME_UNKNOWN, Rejection, add_retry_after, log_fault,
};
use crate::native::problem::feature_name;

const INTERNAL: &str = "Internal server error";

/// This API's errors.
pub(super) enum Wachat {}

/// Several faulty parameters of a body.
pub(super) struct Faults(Vec<Fault>);

impl ErrorShape for Wachat {
    type Own = Faults;

    fn render(error: &ApiError) -> Response<Body> {
        render(Form::Json, error)
    }

    fn render_own(Faults(detail): Faults) -> Response<Body> {
        Form::Json.reply(StatusCode::UNPROCESSABLE_ENTITY, &FaultsBody { detail })
    }
}

impl From<Vec<Fault>> for Rejection<Wachat> {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Own(Faults(faults))
    }
}

/// Renders errors that come from outside of the handlers, in the form that the client wants.
pub(super) fn renderer(headers: &HeaderMap) -> Renderer {
    match Form::of(headers) {
        Form::Json => |error| render(Form::Json, error),
        Form::Xml => |error| render(Form::Xml, error),
    }
}

fn render(form: Form, error: &ApiError) -> Response<Body> {
    let (status, body) = reply_to(error);
    let mut response = form.reply(status, &body);
    add_retry_after(&mut response, error);
    response
}

fn faulty(fault: Fault) -> (StatusCode, AnyError) {
    (StatusCode::UNPROCESSABLE_ENTITY, AnyError::Faults(FaultsBody { detail: vec![fault] }))
}

fn reply(status: StatusCode, message: impl Into<String>) -> (StatusCode, AnyError) {
    (status, AnyError::Error(ErrorBody { error: true, message: message.into() }))
}

fn reply_to(error: &ApiError) -> (StatusCode, AnyError) {
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
        ApiError::Malformed(message) => {
            faulty(fault("", message.clone(), "value_error.jsondecode"))
        }
        ApiError::Field { field, message } => faulty(field_fault(field, message)),
        ApiError::Crashed => reply(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        ApiError::OutcomeUnknown => reply(StatusCode::GATEWAY_TIMEOUT, OUTCOME_UNKNOWN),
        ApiError::Core { error, .. } => core_reply(error),
    }
}

fn field_fault(field: &str, message: &str) -> Fault {
    let place = if field == "Idempotency-Key" { "header" } else { "body" };
    let mut fault = fault(field_name(field), message, "value_error");
    fault.loc[0] = place.to_owned();
    fault
}

fn core_reply(error: &Error) -> (StatusCode, AnyError) {
    log_fault(error);
    match error {
        Error::Invalid { field, message } => faulty(field_fault(field, message)),
        Error::IdempotencyMismatch => {
            let message = "was used with another request";
            faulty(field_fault("Idempotency-Key", message))
        }
        Error::Unauthorized => reply(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Forbidden => reply(StatusCode::FORBIDDEN, "This key may not use that sender"),
        Error::ScopeMissing(scope) => {
            reply(StatusCode::FORBIDDEN, format!("This key lacks the scope {}", scope.as_str()))
        }
        Error::FeatureMissing(feature) => reply(
            StatusCode::FORBIDDEN,
            format!("Your plan does not include {}", feature_name(*feature)),
        ),
        Error::EventMissing(kind) => {
            reply(StatusCode::FORBIDDEN, format!("Your plan does not include {}", kind.as_str()))
        }
        Error::DeviceLimit(_) => reply(StatusCode::FORBIDDEN, "Your plan allows no more devices"),
        Error::NotFound(what) => reply(StatusCode::NOT_FOUND, format!("No such {what}")),
        Error::DeviceNotConnected(_) => reply(StatusCode::BAD_REQUEST, "Gateway is not connected"),
        Error::QuotaExhausted { .. } => {
            reply(StatusCode::TOO_MANY_REQUESTS, "Gateway limit reached")
        }
        Error::QueueFull(full) => reply(StatusCode::TOO_MANY_REQUESTS, full.summary()),
        Error::RateLimited(_) => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyRequests
        | Error::TooManyTries(_)
        | Error::TooManyWaits
        | Error::TooManyStreams => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait"),
        Error::IdempotencyInFlight => reply(
            StatusCode::CONFLICT,
            "A request with this Idempotency-Key is still being handled",
        ),
        Error::Conflict(message) => reply(StatusCode::CONFLICT, *message),
        Error::Passkey(why) => reply(StatusCode::CONFLICT, why.to_string()),
        Error::NotEditable(why) | Error::NotRevocable(why) => reply(StatusCode::CONFLICT, *why),
        Error::NotWaiting(_) => reply(StatusCode::CONFLICT, "The message no longer waits"),
        Error::Media(reason) => reply(StatusCode::BAD_REQUEST, format!("Media: {reason}")),
        Error::NotOnWhatsapp(number) => {
            reply(StatusCode::BAD_REQUEST, format!("{number} is not on WhatsApp"))
        }
        Error::VoucherInvalid => {
            reply(StatusCode::BAD_REQUEST, "Invalid voucher or already redeemed")
        }
        Error::ChallengeFailed(reason) => reply(StatusCode::BAD_REQUEST, reason.clone()),
        Error::NotSent(failure) => reply(StatusCode::BAD_GATEWAY, failure.message.clone()),
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
