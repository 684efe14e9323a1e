//! The one error type of the use cases. Every API maps it, exhaustively, once.

use jiff::SignedDuration;

use crate::ids::{DeviceId, MessageId};
use crate::message::Failure;
use crate::passkey::PasskeyRefusal;
use crate::plan::Feature;
use crate::policy::queue::QueueFull;
use crate::policy::rate::RateState;
use crate::ports::BlobError;
use crate::scope::Scope;
use crate::webhook::EventKind;

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
    /// A key, or a person, without the scope that this takes.
    #[error("this key may not do that: it lacks the scope {}", .0.as_str())]
    ScopeMissing(Scope),
    /// The plan lacks a feature.
    #[error("the plan does not include {0:?}")]
    FeatureMissing(Feature),
    /// There is none, or it belongs to another account.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The device was never linked, or has been logged out.
    #[error("the device is not connected to WhatsApp: {0}")]
    DeviceNotConnected(&'static str),
    /// The plan and the grants have not enough messages left.
    #[error("the message quota is used up ({remaining} left)")]
    QuotaExhausted {
        /// What is left; not enough for what was asked.
        remaining: i64,
    },
    /// The plan does not include an event that a webhook asks for.
    #[error("the plan does not include {}", .0.as_str())]
    EventMissing(EventKind),
    /// The key has made too many requests in the last 60 seconds.
    #[error("too many requests; at most {} in 60 seconds", .0.limit)]
    RateLimited(RateState),
    /// Too many requests of the client's address, or of the account, are being answered.
    #[error("too many requests of this address or account are being answered")]
    TooManyRequests,
    /// Too many wrong passwords or codes; how long the next try must wait.
    #[error("too many wrong tries; the next one is possible in {} s", .0.as_secs())]
    TooManyTries(SignedDuration),
    /// Too many requests of the account, or of all, wait for their message to be sent.
    #[error("too many requests wait for their message to be sent")]
    TooManyWaits,
    /// Too many of the account, or of all, listen to what happens.
    #[error("too many live streams are open")]
    TooManyStreams,
    /// The number is not on WhatsApp.
    #[error("{0} is not on WhatsApp")]
    NotOnWhatsapp(String),
    /// The file cannot be fetched, or cannot be sent; the reason is safe to show.
    #[error("media: {0}")]
    Media(String),
    /// The message was not sent, for another reason.
    #[error("the message was not sent: {}", .0.message)]
    NotSent(Failure),
    /// There is no such voucher, or it was redeemed before.
    #[error("the voucher is unknown or was redeemed already")]
    VoucherInvalid,
    /// The webhook's receiver did not prove to be willing; the reason is safe to show.
    #[error("the webhook did not answer its challenge: {0}")]
    ChallengeFailed(String),
    /// The plan allows no further device.
    #[error("the plan allows no more devices (limit {0})")]
    DeviceLimit(i64),
    /// As much of the account waits already as may.
    #[error("{0}")]
    QueueFull(QueueFull),
    /// The disk is so full that nothing more is accepted; what waits is kept.
    #[error("the disk of the gateway is nearly full: nothing more is accepted for now")]
    DiskFull,
    /// The idempotency key was used with another request.
    #[error("this idempotency key was used with another request")]
    IdempotencyMismatch,
    /// The first request with that idempotency key has not been answered yet.
    #[error("a request with this idempotency key is still being handled")]
    IdempotencyInFlight,
    /// It is no longer possible.
    #[error("{0}")]
    Conflict(&'static str),
    /// Linking with a passkey is not so far, or is over.
    #[error("{0}")]
    Passkey(PasskeyRefusal),
    /// The message has left, or ended: it cannot be cancelled.
    #[error("message {0} no longer waits")]
    NotWaiting(MessageId),
    /// The message cannot be edited; why, for people.
    #[error("this message cannot be edited: {0}")]
    NotEditable(&'static str),
    /// The message cannot be deleted for everyone; why, for people.
    #[error("this message cannot be deleted for everyone: {0}")]
    NotRevocable(&'static str),
    /// WhatsApp refused, or did not answer.
    #[error("WhatsApp: {0}")]
    Whatsapp(String),
    /// Another node runs the device, and has to do this; nothing was done here.
    #[error("another node runs device {0}")]
    RunsElsewhere(DeviceId),
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
    /// The database or the media store, which the text names, cannot be reached or written to; trying again may
    /// help.
    #[error("{0}")]
    Unavailable(String),
    /// What was read makes no sense, or a statement failed: a fault of ours.
    #[error("database fault: {0}")]
    Fault(String),
    /// Another node runs the device; trying again may help.
    #[error("another node runs the device")]
    NotOwner,
}

impl From<BlobError> for StoreError {
    fn from(error: BlobError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What a use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_store_that_is_away_is_not_called_the_database() {
        let error = Error::Store(BlobError("no such bucket".to_owned()).into());
        assert_eq!(error.to_string(), "the store is not available: media store: no such bucket");
    }
}
