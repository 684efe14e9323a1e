//! Everything that can be answered instead of success, the same for every API.
//!
//! An API has exactly one function from [`ApiError`] to a response, and it is exhaustive: a new
//! kind of error does not compile until every API has said how it looks.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::RETRY_AFTER as RETRY_AFTER_HEADER;
use axum::http::{HeaderValue, Response};
use domain::error::{Error, StoreError};

/// What is answered instead of success.
#[derive(Debug)]
pub enum ApiError {
    /// No route has this path.
    UnknownPath,
    /// The path exists, for other methods. The router adds `Allow`.
    WrongMethod,
    /// The body has another content type than the route takes.
    WrongContentType,
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body did not arrive in time, or broke off.
    BodyLost,
    /// The body is no JSON at all; in words for people.
    Malformed(String),
    /// A field is unknown, missing, of the wrong type or out of range.
    Field {
        /// The field, as a path such as `messages[3].to`; empty for the whole body.
        field: String,
        /// What is wrong, for people.
        message: String,
    },
    /// A use case refused; `index` says which message of a batch is at fault.
    Core {
        /// Counted from zero.
        index: Option<usize>,
        /// What it said.
        error: Error,
    },
    /// A handler panicked.
    Crashed,
}

impl ApiError {
    /// Names a faulty field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// Gives one of the core's fields the name it has in this request.
    #[must_use]
    pub fn renamed(self, core: &str, name: &'static str) -> Self {
        match self {
            Self::Core { index, error: Error::Invalid { field, message } } if field == core => {
                Self::Core { index, error: Error::Invalid { field: name, message } }
            }
            same => same,
        }
    }

    /// Says that it is about one message of a batch.
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

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self::Core { index: None, error }
    }
}

impl From<domain::service::SendRefusal> for ApiError {
    fn from(refusal: domain::service::SendRefusal) -> Self {
        Self::Core { index: refusal.index, error: refusal.error }
    }
}

/// How long a client should stay away while the store is not available.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Says when to come back, while the store is not available. What `rate` says of every 429
/// comes from around the routes.
pub fn add_retry_after(response: &mut Response<Body>, refusal: &ApiError) {
    if matches!(refusal, ApiError::Core { error: Error::Store(StoreError::Unavailable(_)), .. }) {
        let seconds = HeaderValue::from(RETRY_AFTER.as_secs());
        response.headers_mut().insert(RETRY_AFTER_HEADER, seconds);
    }
}

/// Logs what the client is not told. To be called once, by the renderer of an API.
pub fn log_fault(error: &Error) {
    if let Error::Store(error) = error {
        tracing::error!(%error, "the store failed a request");
    }
}
