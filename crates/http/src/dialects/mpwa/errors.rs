//! Every error in this dialect's shape: `{"status":false,"msg":…}`, exhaustively.

use axum::body::Body;
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};

use super::translate::{InvalidType, field_name};
use super::types::ErrorBody;
use crate::api_error::{
    ApiError, ErrorShape, OUTCOME_UNKNOWN, Rejection, add_retry_after, log_fault,
};
use crate::native::problem::feature_name;
use crate::reply::json;

const INVALID: &str = "Invalid parameters!";
const NOT_SENT: &str = "Failed to send message!, Check your connection!";
const INTERNAL: &str = "Internal server error";

/// This API's errors.
pub(super) enum Mpwa {}

/// Errors that only this API has.
pub(super) enum OwnError {
    /// Required fields that are missing.
    Missing(Vec<&'static str>),
    /// A type of media that this API does not have.
    InvalidType,
}

impl ErrorShape for Mpwa {
    type Own = OwnError;

    fn render(error: &ApiError) -> Response<Body> {
        let mut response = respond(reply_to(error));
        add_retry_after(&mut response, error);
        if matches!(error, ApiError::WrongMethod) {
            // The router would name HEAD, too.
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }

    fn render_own(error: OwnError) -> Response<Body> {
        respond(match error {
            OwnError::Missing(fields) => {
                invalid(fields.iter().map(|field| format!("{field}: is required")).collect())
            }
            OwnError::InvalidType => bad(InvalidType::message()),
        })
    }
}

impl From<InvalidType> for Rejection<Mpwa> {
    fn from(_: InvalidType) -> Self {
        Self::Own(OwnError::InvalidType)
    }
}

struct ErrorReply {
    status: StatusCode,
    message: String,
    errors: Vec<String>,
}

fn respond(reply: ErrorReply) -> Response<Body> {
    let ErrorReply { status, message, errors } = reply;
    json(status, &ErrorBody { status: false, msg: message, errors })
}

fn reply(status: StatusCode, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, message: message.into(), errors: Vec::new() }
}

fn bad(message: impl Into<String>) -> ErrorReply {
    reply(StatusCode::BAD_REQUEST, message)
}

fn invalid(errors: Vec<String>) -> ErrorReply {
    ErrorReply { errors, ..bad(INVALID) }
}

fn reply_to(error: &ApiError) -> ErrorReply {
    match error {
        ApiError::UnknownPath => reply(StatusCode::NOT_FOUND, "Not found"),
        ApiError::WrongMethod => reply(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        ApiError::Unreadable(why) => reply(why.status(), why.message()),
        ApiError::WrongContentType => reply(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported content type, send JSON or a form",
        ),
        ApiError::TooLarge(_) => reply(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        ApiError::BodyLost => reply(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ApiError::Malformed(message) => invalid(vec![message.clone()]),
        ApiError::Field { field, message } if field.is_empty() => invalid(vec![message.clone()]),
        ApiError::Field { field, message } => {
            invalid(vec![format!("{}: {message}", field_name(field))])
        }
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
        Error::Unauthorized | Error::Forbidden | Error::NotFound("device") => {
            bad("Invalid api_key or sender,please check again")
        }
        Error::NotFound(_) => reply(StatusCode::NOT_FOUND, "Not found"),
        Error::ScopeMissing(scope) => {
            bad(format!("This api_key lacks the scope {}", scope.as_str()))
        }
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
        Error::Passkey(why) => bad(why.to_string()),
        Error::NotEditable(why) | Error::NotRevocable(why) => bad(*why),
        Error::NotWaiting(_) => bad("The message no longer waits"),
        Error::VoucherInvalid => bad("Invalid voucher or already redeemed"),
        Error::ChallengeFailed(reason) => bad(reason.clone()),
        Error::QueueFull(full) => reply(StatusCode::TOO_MANY_REQUESTS, full.summary()),
        Error::RateLimited(_) => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::TooManyRequests
        | Error::TooManyTries(_)
        | Error::TooManyWaits
        | Error::TooManyStreams => reply(StatusCode::TOO_MANY_REQUESTS, "Too many requests wait"),
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
