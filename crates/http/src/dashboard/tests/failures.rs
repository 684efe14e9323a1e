//! Every failure has words of the reader's language, and none names a path of the API.

use domain::error::StoreError;
use domain::ids::{DeviceId, MessageId};
use domain::message::Failure as NotSent;
use domain::passkey::PasskeyRefusal;
use domain::plan::Feature;
use domain::policy::queue::QueueFull;
use domain::policy::rate::RateState;
use domain::scope::Scope;
use domain::webhook::EventKind;

use super::*;
use crate::api_error::Unreadable;

fn core_errors() -> Vec<Error> {
    let rate = RateState { limit: 5, remaining: 0, reset_s: 1 };
    vec![
        Error::invalid("poll.options", "must hold 2 to 12 answers"),
        Error::invalid("contacts[0].phone", "must be a phone number"),
        Error::Unauthorized,
        Error::Forbidden,
        Error::ScopeMissing(Scope::Send),
        Error::FeatureMissing(Feature::Groups),
        Error::NotFound("device"),
        Error::DeviceNotConnected("unpaired"),
        Error::QuotaExhausted { remaining: 1 },
        Error::EventMissing(EventKind::MessageReceived),
        Error::RateLimited(rate),
        Error::TooManyRequests,
        Error::TooManyTries(SignedDuration::from_mins(3)),
        Error::TooManyWaits,
        Error::TooManyStreams,
        Error::NotOnWhatsapp("628123".into()),
        Error::Media("the file is empty".into()),
        Error::NotSent(NotSent::new("x", "this kind of message cannot be sent")),
        Error::VoucherInvalid,
        Error::ChallengeFailed("the receiver could not be reached".into()),
        Error::DeviceLimit(3),
        Error::QueueFull(QueueFull::Messages(3)),
        Error::DiskFull,
        Error::IdempotencyMismatch,
        Error::IdempotencyInFlight,
        Error::Conflict("the device is not paired"),
        Error::Passkey(PasskeyRefusal::Expired),
        Error::NotWaiting(MessageId(1)),
        Error::NotEditable("it has not been sent"),
        Error::NotRevocable("it has not been sent"),
        Error::Whatsapp("x".into()),
        Error::RunsElsewhere(DeviceId(uuid::Uuid::nil())),
        Error::Store(StoreError::Unavailable("x".into())),
        Error::Store(StoreError::Fault("x".into())),
        Error::Store(StoreError::NotOwner),
    ]
}

#[test]
fn every_failure_has_words_in_both_languages() {
    let mut errors: Vec<ApiError> = core_errors().into_iter().map(ApiError::from).collect();
    errors.extend([
        ApiError::UnknownPath,
        ApiError::WrongMethod,
        ApiError::WrongContentType,
        ApiError::Unreadable(Unreadable::Head),
        ApiError::TooLarge(1),
        ApiError::TooLarge(JSON_BYTES_MAX + 1),
        ApiError::BodyLost,
        ApiError::Malformed("x".to_owned()),
        ApiError::field("messages[3].poll.question", "is required"),
        ApiError::Core { index: Some(3), error: Error::invalid("media.url", "is required") },
        ApiError::Crashed,
    ]);
    for error in errors {
        let (en, id) = (describe(&error, Lang::En.words()), describe(&error, Lang::Id.words()));
        assert_ne!(en, id, "{error:?}");
        for text in [en, id] {
            assert!(!text.contains(['[', '_']), "{text}");
            assert!(!text.contains("media.") && !text.contains("poll."), "{text}");
        }
    }
}
