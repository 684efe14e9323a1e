//! The one error type of the use cases. Every API maps it, exhaustively, once.

use crate::ids::MessageId;
use crate::plan::Feature;

/// What a use case may answer instead of success.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field is missing, of the wrong type or out of range.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, in our own API's spelling.
        field: &'static str,
        /// What is wrong, for people.
        message: String,
    },
    /// No key, or one that is unknown or revoked.
    #[error("the key is missing or unknown")]
    Unauthorized,
    /// A key that may not do this.
    #[error("this key may not do that")]
    Forbidden,
    /// The plan lacks a feature.
    #[error("the plan does not include {0:?}")]
    FeatureMissing(Feature),
    /// There is none, or it belongs to another account.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The device was never linked, or has been logged out.
    #[error("the device is not connected to WhatsApp: {0}")]
    DeviceNotConnected(&'static str),
    /// The plan's messages are used up.
    #[error("the message quota is used up")]
    QuotaExhausted,
    /// The plan allows no further device.
    #[error("the plan allows no more devices (limit {0})")]
    DeviceLimit(i64),
    /// Too many messages of the account wait already.
    #[error("too many messages are waiting (limit {0})")]
    QueueFull(i64),
    /// The idempotency key was used with another request.
    #[error("this idempotency key was used with another request")]
    IdempotencyMismatch,
    /// The first request with that idempotency key has not been answered yet.
    #[error("a request with this idempotency key is still being handled")]
    IdempotencyInFlight,
    /// It is no longer possible.
    #[error("{0}")]
    Conflict(&'static str),
    /// The message has left, or ended: it cannot be cancelled.
    #[error("message {0} no longer waits")]
    NotWaiting(MessageId),
    /// WhatsApp refused, or did not answer.
    #[error("WhatsApp: {0}")]
    Whatsapp(String),
    /// The store cannot take it now; nothing was kept.
    #[error("the store is not available: {0}")]
    Store(#[from] StoreError),
}

impl Error {
    /// Names a faulty field.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

/// What a store may answer instead of success.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or written to; trying again may help.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// What was read makes no sense, or a statement failed: a fault of ours.
    #[error("database fault: {0}")]
    Fault(String),
}

/// What a use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
