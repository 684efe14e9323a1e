//! Errors of requests, the same for every API, and how a handler returns them.
//!
//! An API has exactly one function from [`ApiError`] to a response ([`ErrorShape::render`]), and it
//! is exhaustive: a new kind of error does not compile until every API renders it. Handlers of every
//! API return [`ApiResult`] and use `?`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::RETRY_AFTER as RETRY_AFTER_HEADER;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use domain::error::{Error, StoreError};

use crate::native::problem;
use crate::nodes::Elsewhere;

/// Why a request fails.
#[derive(Debug)]
pub enum ApiError {
    /// No route has this path.
    UnknownPath,
    /// The path takes other methods only. The router adds `Allow`.
    WrongMethod,
    /// The route does not take the body's content type.
    WrongContentType,
    /// The request cannot be read at all; it reached no handler.
    Unreadable(Unreadable),
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body did not arrive in time, or broke off.
    BodyLost,
    /// The body is not JSON; with an explanation for people.
    Malformed(String),
    /// A field is unknown, missing, of the wrong type or out of range.
    Field {
        /// The field, as a path such as `messages[3].to`; empty for the whole body.
        field: String,
        /// What is wrong, for people.
        message: String,
    },
    /// A use case failed; `index` says which message of a batch is at fault.
    Core {
        /// Counted from zero.
        index: Option<usize>,
        /// Its error.
        error: Error,
    },
    /// A handler panicked.
    Crashed,
    /// The node that runs the device had the request, and did not answer.
    OutcomeUnknown,
}

/// What [`ApiError::OutcomeUnknown`] means, for people.
pub const OUTCOME_UNKNOWN: &str =
    "No answer: this may have been done or not, look before you try again";

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Its first line or a header breaks the rules of HTTP.
    Head,
    /// Its target is too long.
    Target,
    /// Its headers are too many or too long.
    Headers,
    /// Its body is compressed in a way that is not known here.
    Coding,
}

impl Unreadable {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Head => StatusCode::BAD_REQUEST,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// What is wrong, for people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Head => "Bad request: its first line or a header cannot be read",
            Self::Target => "The URL is too long, send a body instead",
            Self::Headers => "The headers are too many or too long",
            Self::Coding => "Unsupported Content-Encoding, send gzip, deflate or none",
        }
    }
}

impl ApiError {
    /// Names a faulty field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// Puts the field into one message of a batch.
    #[must_use]
    pub fn of_message(self, index: usize) -> Self {
        match self {
            Self::Field { field, message } => {
                Self::Field { field: format!("messages[{index}].{field}"), message }
            }
            same => same,
        }
    }
}

/// How an API renders errors. Its type is a name for the API only: it has no values.
pub trait ErrorShape {
    /// Errors that only this API has; [`Infallible`](std::convert::Infallible) when it has none.
    type Own;

    /// The response to an error.
    fn render(error: &ApiError) -> Response<Body>;

    /// The response to an error that only this API has.
    fn render_own(error: Self::Own) -> Response<Body>;
}

/// What every handler of the API `A` returns.
pub type ApiResult<A, T = Response<Body>> = Result<T, Rejection<A>>;

/// An error that becomes a response in the shape of the API `A`.
pub enum Rejection<A: ErrorShape> {
    /// An error that every API has.
    Shared(ApiError),
    /// An error that only this API has.
    Own(A::Own),
}

impl<A: ErrorShape, E: Into<ApiError>> From<E> for Rejection<A> {
    fn from(error: E) -> Self {
        Self::Shared(error.into())
    }
}

impl<A: ErrorShape> IntoResponse for Rejection<A> {
    fn into_response(self) -> Response<Body> {
        match self {
            Self::Shared(error) => named(A::render(&error), &error),
            Self::Own(error) => A::render_own(error),
        }
    }
}

/// The stable name of the error that an answer renders, whatever API renders it.
#[derive(Debug, Clone, Copy)]
pub struct ErrorKind(pub &'static str);

/// An answer that knows which error it renders, and which device another node should answer for.
pub fn named(mut response: Response<Body>, error: &ApiError) -> Response<Body> {
    response.extensions_mut().insert(ErrorKind(problem::kind(error).code));
    if let ApiError::Core { error: Error::RunsElsewhere(device), .. } = error {
        response.extensions_mut().insert(Elsewhere::Device(*device));
    }
    response
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Core { index: None, error }
    }
}

impl From<domain::service::SendRefusal> for ApiError {
    fn from(failed: domain::service::SendRefusal) -> Self {
        Self::Core { index: failed.index, error: failed.error }
    }
}

/// How long a client should stay away while the store is not available.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Adds `Retry-After` while the store is not available, and after too many tries. `rate` adds it to every
/// other 429.
pub fn add_retry_after(response: &mut Response<Body>, error: &ApiError) {
    let ApiError::Core { error, .. } = error else { return };
    let seconds = match error {
        Error::Store(error) if !matches!(error, StoreError::Fault(_)) => RETRY_AFTER.as_secs(),
        Error::RunsElsewhere(_) => RETRY_AFTER.as_secs(),
        // Rounded up: a try before the end would be refused again.
        Error::TooManyTries(wait) => {
            wait.unsigned_abs().as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
        }
        _ => return,
    };
    response.headers_mut().insert(RETRY_AFTER_HEADER, HeaderValue::from(seconds));
}

/// Logs the details that the client does not get. An API's renderer calls it, once per error.
pub fn log_fault(error: &Error) {
    if let Error::Store(error) = error {
        tracing::error!(%error, "the store failed a request");
    }
}
