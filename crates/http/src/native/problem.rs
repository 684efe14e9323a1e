//! Errors as RFC 9457 problem documents with a stable `code`.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Response, StatusCode};
use domain::error::{Error, StoreError};
use domain::passkey::PasskeyRefusal;
use domain::plan::Feature;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api_error::{ApiError, ErrorShape, Unreadable, add_retry_after, log_fault};
use crate::reply::typed_json;

/// This API's errors.
pub enum V1 {}

impl ErrorShape for V1 {
    type Own = Infallible;

    fn render(error: &ApiError) -> Response<Body> {
        render(error)
    }

    fn render_own(error: Infallible) -> Response<Body> {
        match error {}
    }
}

/// A kind of problem: clients may rely on `code` and status.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What it is, for people; the same for every problem of the kind.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal;)*) => {
        $(#[doc = $title]
        pub static $name: Kind = Kind { code: $code, status: $status, title: $title };)*
        /// Every kind there is.
        pub static KINDS: [&Kind; [$($code),*].len()] = [$(&$name),*];
    };
}

kinds! {
    MALFORMED = 400 "malformed" "The request cannot be read";
    UNAUTHORIZED = 401 "unauthorized" "The key is missing, unknown or revoked";
    QUOTA_EXHAUSTED = 402 "quota_exhausted" "The message quota is used up";
    FORBIDDEN = 403 "forbidden" "This key may not do that";
    SCOPE_MISSING = 403 "scope_missing" "This key lacks the scope for that";
    FEATURE_MISSING = 403 "feature_missing" "The plan does not include this";
    DEVICE_LIMIT = 403 "device_limit" "The plan allows no more devices";
    NOT_FOUND = 404 "not_found" "There is no such thing";
    WRONG_METHOD = 405 "wrong_method" "The path does not take this method";
    BODY_TIMEOUT = 408 "body_timeout" "The body did not arrive in time";
    CONFLICT = 409 "conflict" "That is not possible now";
    DEVICE_NOT_CONNECTED = 409 "device_not_connected" "The device is not connected to WhatsApp";
    IDEMPOTENCY_IN_FLIGHT = 409 "idempotency_in_flight" "The first request with this idempotency key is still being handled";
    PASSKEY_NOT_REQUESTED = 409 "passkey_not_requested" "WhatsApp has not asked for a passkey";
    PASSKEY_ALREADY_GIVEN = 409 "passkey_already_given" "The passkey was given already";
    PASSKEY_NO_CODE = 409 "passkey_no_code" "There is no code to confirm yet";
    PASSKEY_EXPIRED = 409 "passkey_expired" "The time for the passkey is over";
    NOT_EDITABLE = 409 "not_editable" "The message cannot be edited";
    NOT_REVOCABLE = 409 "not_revocable" "The message cannot be deleted for everyone";
    NOT_WAITING = 409 "not_waiting" "The message no longer waits";
    FILE_GONE = 410 "file_gone" "The file is not kept any more";
    TOO_LARGE = 413 "too_large" "The body is too large";
    URL_TOO_LONG = 414 "url_too_long" "The URL is too long";
    WRONG_TYPE = 415 "unsupported_media_type" "The body must be JSON";
    WRONG_CODING = 415 "unsupported_encoding" "The body's encoding is not known";
    INVALID = 422 "invalid" "A field is not as it should be";
    IDEMPOTENCY_MISMATCH = 422 "idempotency_mismatch" "The idempotency key was used with another request";
    CHALLENGE_FAILED = 422 "challenge_failed" "The webhook's receiver did not answer its challenge";
    MEDIA = 422 "media" "The file could not be fetched, or cannot be sent";
    NOT_ON_WHATSAPP = 422 "not_on_whatsapp" "The number is not on WhatsApp";
    PASSKEY_REJECTED = 422 "passkey_rejected" "WhatsApp did not accept the passkey";
    VOUCHER_INVALID = 422 "voucher_invalid" "The voucher is unknown or was redeemed already";
    RATE_LIMITED = 429 "rate_limited" "Too many requests in 60 seconds";
    TOO_MANY_REQUESTS = 429 "too_many_requests" "Too many requests of the address or account are being answered";
    TOO_MANY_WAITS = 429 "too_many_waits" "Too many requests wait for their message to be sent";
    TOO_MANY_STREAMS = 429 "too_many_streams" "Too many live streams are open";
    QUEUE_FULL = 429 "queue_full" "Too many messages are waiting";
    HEADERS_TOO_LARGE = 431 "headers_too_large" "The headers are too many or too long";
    INTERNAL = 500 "internal" "Something went wrong here";
    NOT_SENT = 502 "not_sent" "The message was not sent";
    FILE_FAILED = 502 "file_failed" "The file could not be fetched from WhatsApp";
    WHATSAPP = 502 "whatsapp" "WhatsApp refused or did not answer";
    FILE_PENDING = 503 "file_pending" "The file has not come yet";
    UNAVAILABLE = 503 "unavailable" "The gateway cannot take requests now";
    OUTCOME_UNKNOWN = 504 "outcome_unknown" "It is not known whether this was done";
    DISK_FULL = 507 "disk_full" "The disk of the gateway is nearly full";
}

/// The kind of an error.
pub fn kind(error: &ApiError) -> &'static Kind {
    match error {
        ApiError::UnknownPath => &NOT_FOUND,
        ApiError::WrongMethod => &WRONG_METHOD,
        ApiError::Unreadable(Unreadable::Head) => &MALFORMED,
        ApiError::Unreadable(Unreadable::Target) => &URL_TOO_LONG,
        ApiError::Unreadable(Unreadable::Headers) => &HEADERS_TOO_LARGE,
        ApiError::Unreadable(Unreadable::Coding) => &WRONG_CODING,
        ApiError::WrongContentType => &WRONG_TYPE,
        ApiError::TooLarge(_) => &TOO_LARGE,
        ApiError::BodyLost => &BODY_TIMEOUT,
        ApiError::Malformed(_) => &MALFORMED,
        ApiError::Field { .. } => &INVALID,
        ApiError::Crashed => &INTERNAL,
        ApiError::OutcomeUnknown => &OUTCOME_UNKNOWN,
        ApiError::Core { error, .. } => core_kind(error),
    }
}

fn core_kind(error: &Error) -> &'static Kind {
    match error {
        Error::Invalid { .. } => &INVALID,
        Error::Unauthorized => &UNAUTHORIZED,
        Error::Forbidden => &FORBIDDEN,
        Error::ScopeMissing(_) => &SCOPE_MISSING,
        Error::FeatureMissing(_) => &FEATURE_MISSING,
        Error::NotFound(_) => &NOT_FOUND,
        Error::DeviceNotConnected(_) => &DEVICE_NOT_CONNECTED,
        Error::QuotaExhausted { .. } => &QUOTA_EXHAUSTED,
        Error::EventMissing(_) => &FEATURE_MISSING,
        Error::RateLimited(_) => &RATE_LIMITED,
        Error::TooManyRequests | Error::TooManyTries(_) => &TOO_MANY_REQUESTS,
        Error::TooManyWaits => &TOO_MANY_WAITS,
        Error::TooManyStreams => &TOO_MANY_STREAMS,
        Error::NotOnWhatsapp(_) => &NOT_ON_WHATSAPP,
        Error::Media(_) => &MEDIA,
        Error::NotSent(_) => &NOT_SENT,
        Error::VoucherInvalid => &VOUCHER_INVALID,
        Error::ChallengeFailed(_) => &CHALLENGE_FAILED,
        Error::DeviceLimit(_) => &DEVICE_LIMIT,
        Error::QueueFull(_) => &QUEUE_FULL,
        Error::DiskFull => &DISK_FULL,
        Error::IdempotencyMismatch => &IDEMPOTENCY_MISMATCH,
        Error::IdempotencyInFlight => &IDEMPOTENCY_IN_FLIGHT,
        Error::Conflict(_) => &CONFLICT,
        Error::Passkey(PasskeyRefusal::NotRequested) => &PASSKEY_NOT_REQUESTED,
        Error::Passkey(PasskeyRefusal::AlreadyGiven) => &PASSKEY_ALREADY_GIVEN,
        Error::Passkey(PasskeyRefusal::NoCode) => &PASSKEY_NO_CODE,
        Error::Passkey(PasskeyRefusal::Expired) => &PASSKEY_EXPIRED,
        Error::Passkey(PasskeyRefusal::Rejected) => &PASSKEY_REJECTED,
        Error::NotEditable(_) => &NOT_EDITABLE,
        Error::NotRevocable(_) => &NOT_REVOCABLE,
        Error::NotWaiting(_) => &NOT_WAITING,
        Error::Whatsapp(_) => &WHATSAPP,
        Error::RunsElsewhere(_)
        | Error::Store(StoreError::Unavailable(_) | StoreError::NotOwner) => &UNAVAILABLE,
        Error::Store(StoreError::Fault(_)) => &INTERNAL,
    }
}

/// The body of an error: RFC 9457 with a stable `code`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Where this kind of problem is described.
    #[serde(rename = "type")]
    kind: String,
    /// What it is; the same for every problem of this kind.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What it is this time.
    detail: String,
    /// The stable name of the kind.
    code: &'a str,
    /// The fields at fault, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// A field at fault.
#[derive(Serialize, ToSchema)]
struct FieldError {
    /// The field, as a path such as `messages[3].to`.
    field: String,
    /// What is wrong with it.
    message: String,
}

/// A problem of a kind that no use case answers with.
pub fn problem(kind: &'static Kind, detail: String) -> Response<Body> {
    rendered(kind, detail, None)
}

fn rendered(kind: &'static Kind, detail: String, field: Option<FieldError>) -> Response<Body> {
    let body = ProblemBody {
        kind: format!("/docs#{}", kind.code),
        title: kind.title,
        status: kind.status,
        detail,
        code: kind.code,
        errors: field.into_iter().collect(),
    };
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = HeaderValue::from_static("application/problem+json");
    typed_json(status, content_type, &body)
}

fn render(error: &ApiError) -> Response<Body> {
    let kind = kind(error);
    let mut response = rendered(kind, detail(error), field_error(error));
    let headers = response.headers_mut();
    if kind.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gerbang\""));
    }
    add_retry_after(&mut response, error);
    response
}

/// What an error is this time, for people.
pub fn detail(error: &ApiError) -> String {
    match error {
        ApiError::UnknownPath => "no route has this path".to_owned(),
        ApiError::WrongMethod => "the header Allow names the methods of this path".to_owned(),
        ApiError::Unreadable(why) => why.message().to_owned(),
        ApiError::WrongContentType => "Content-Type must be application/json".to_owned(),
        ApiError::TooLarge(bytes_max) => format!("the body may have at most {bytes_max} bytes"),
        ApiError::BodyLost => "the body came too slowly or broke off".to_owned(),
        ApiError::Malformed(message) => message.clone(),
        ApiError::Field { field, message } if field.is_empty() => message.clone(),
        ApiError::Field { field, message } => format!("{field}: {message}"),
        ApiError::OutcomeUnknown => {
            "the node that runs the device did not answer; look whether this was done before you \
             send it again"
                .to_owned()
        }
        ApiError::Crashed => "the request may be repeated; its id is in X-Request-Id".to_owned(),
        ApiError::Core { index, error } => {
            log_fault(error);
            match (index, error) {
                (
                    _,
                    Error::RunsElsewhere(_)
                    | Error::Store(StoreError::Unavailable(_) | StoreError::NotOwner),
                ) => "nothing was kept; try again later".to_owned(),
                (_, Error::Store(StoreError::Fault(_))) => {
                    "its id is in X-Request-Id; the details are in the gateway's log".to_owned()
                }
                (_, Error::FeatureMissing(feature)) => {
                    format!("the plan does not include {}", feature_name(*feature))
                }
                (Some(index), Error::Invalid { field, message }) => {
                    format!("messages[{index}].{field}: {message}")
                }
                (Some(index), error) => format!("messages[{index}]: {error}"),
                (None, error) => error.to_string(),
            }
        }
    }
}

fn field_error(error: &ApiError) -> Option<FieldError> {
    let (field, message) = match error {
        ApiError::Field { field, message } => (field.clone(), message),
        ApiError::Core { index, error: Error::Invalid { field, message } } => match index {
            Some(index) => (format!("messages[{index}].{field}"), message),
            None => ((*field).to_owned(), message),
        },
        _ => return None,
    };
    (!field.is_empty()).then(|| FieldError { field, message: message.clone() })
}

/// The name of a feature in every API.
pub fn feature_name(feature: Feature) -> String {
    feature.as_str().to_owned()
}
