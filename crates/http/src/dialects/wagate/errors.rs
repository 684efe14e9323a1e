//! Every error in this dialect's shape: `{"success":false,"message":…}`, exhaustively.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use domain::error::{Error, StoreError};

use super::translate::{Missing, field_name};
use super::types::ErrorBody;
use crate::api_error::{
    ApiError, ErrorShape, OUTCOME_UNKNOWN, Rejection, add_retry_after, log_fault,
};
use crate::native::problem::feature_name;
use crate::reply::json;

const INTERNAL: &str = "Internal server error";
const NO_TOKEN: &str = "Invalid or inactive API token.";
const NO_QUOTA: &str = "Insufficient quota. Please upgrade your package or wait for quota reset.";
const NOT_CONNECTED: &str =
    "WhatsApp client is not connected. Please reconnect your device from dashboard.";

/// This API's errors.
pub(super) enum Wagate {}

impl ErrorShape for Wagate {
    type Own = Missing;

    fn render(error: &ApiError) -> Response<Body> {
        let mut response = respond(reply_to(error));
        add_retry_after(&mut response, error);
        response
    }

    fn render_own(Missing(message): Missing) -> Response<Body> {
        respond(reply(StatusCode::UNPROCESSABLE_ENTITY, message))
    }
}

impl From<Missing> for Rejection<Wagate> {
    fn from(missing: Missing) -> Self {
        Self::Own(missing)
    }
}

struct ErrorReply {
    status: StatusCode,
    message: String,
    remaining_quota: Option<i64>,
}

fn respond(reply: ErrorReply) -> Response<Body> {
    let ErrorReply { status, message, remaining_quota } = reply;
    json(status, &ErrorBody { success: false, message, remaining_quota })
}

fn reply(status: StatusCode, message: impl Into<String>) -> ErrorReply {
    ErrorReply { status, message: message.into(), remaining_quota: None }
}

fn bad(message: impl Into<String>) -> ErrorReply {
    reply(StatusCode::BAD_REQUEST, message)
}

fn forbidden(message: impl Into<String>) -> ErrorReply {
    reply(StatusCode::FORBIDDEN, message)
}

fn invalid(field: &str, message: &str) -> ErrorReply {
    let message = match field_name(field) {
        "" => message.to_owned(),
        name => format!("{name}: {message}"),
    };
    reply(StatusCode::UNPROCESSABLE_ENTITY, message)
}

fn not_downloaded(reason: &str) -> ErrorReply {
    bad(format!("Failed to download media from URL: {reason}"))
}

fn too_many(message: &str) -> ErrorReply {
    reply(StatusCode::TOO_MANY_REQUESTS, message)
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
        ApiError::Malformed(message) => invalid("", message),
        ApiError::Field { field, message } => invalid(field, message),
        ApiError::Crashed => reply(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
        ApiError::OutcomeUnknown => reply(StatusCode::GATEWAY_TIMEOUT, OUTCOME_UNKNOWN),
        ApiError::Core { error, .. } => core_reply(error),
    }
}

fn core_reply(error: &Error) -> ErrorReply {
    log_fault(error);
    match error {
        // The published document has a URL that is none among the downloads that fail.
        Error::Invalid { field: "media.url", message } => {
            not_downloaded(&format!("media_url {message}"))
        }
        Error::Invalid { field, message } => invalid(field, message),
        Error::Media(reason) => not_downloaded(reason),
        Error::NotOnWhatsapp(number) => bad(format!(
            "Number {number} is not registered on WhatsApp. Please check the number or ask the \
             recipient to activate their WhatsApp account."
        )),
        Error::DeviceNotConnected(_) => bad(NOT_CONNECTED),
        Error::NotSent(failure) => bad(format!("Failed to send message: {}", failure.message)),
        Error::VoucherInvalid => bad("Invalid voucher or already redeemed"),
        Error::ChallengeFailed(reason) => bad(reason.clone()),
        Error::Unauthorized => reply(StatusCode::UNAUTHORIZED, NO_TOKEN),
        Error::QuotaExhausted { remaining } => {
            ErrorReply { remaining_quota: Some(*remaining), ..forbidden(NO_QUOTA) }
        }
        Error::Forbidden => forbidden("This token may not do that"),
        Error::ScopeMissing(scope) => {
            forbidden(format!("This token lacks the scope {}", scope.as_str()))
        }
        Error::FeatureMissing(feature) => {
            forbidden(format!("Your plan does not include {}", feature_name(*feature)))
        }
        Error::EventMissing(kind) => {
            forbidden(format!("Your plan does not include {}", kind.as_str()))
        }
        Error::DeviceLimit(_) => forbidden("Your plan allows no more devices"),
        Error::NotFound(what) => reply(StatusCode::NOT_FOUND, format!("No such {what}")),
        Error::IdempotencyMismatch => invalid("Idempotency-Key", "was used with another request"),
        Error::IdempotencyInFlight => reply(
            StatusCode::CONFLICT,
            "A request with this Idempotency-Key is still being handled",
        ),
        Error::Conflict(message) => reply(StatusCode::CONFLICT, *message),
        Error::Passkey(why) => reply(StatusCode::CONFLICT, why.to_string()),
        Error::NotEditable(why) | Error::NotRevocable(why) => reply(StatusCode::CONFLICT, *why),
        Error::NotWaiting(_) => reply(StatusCode::CONFLICT, "The message no longer waits"),
        Error::QueueFull(full) => too_many(full.summary()),
        Error::RateLimited(_) => too_many("Too many requests"),
        Error::TooManyRequests
        | Error::TooManyTries(_)
        | Error::TooManyWaits
        | Error::TooManyStreams => too_many("Too many requests wait"),
        Error::Whatsapp(_) => reply(StatusCode::INTERNAL_SERVER_ERROR, "WhatsApp did not answer"),
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
