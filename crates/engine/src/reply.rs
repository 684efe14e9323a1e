//! How a question to a task, or to WhatsApp, is answered.

use std::time::Duration;

use tokio::sync::oneshot;

use domain::error::{Error, Result};
use domain::message::Failure;
use domain::ports::SendError;

use crate::timing::within;

/// How long WhatsApp may take to answer a question.
const LOOKUP_WAIT: Duration = Duration::from_secs(15);

/// Where the answer to a question goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// Answers. The receiver may be gone: its client has hung up, or its time limit has passed.
pub(crate) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}

/// Why WhatsApp refused a question about a group for good.
pub(crate) fn refusal(failure: Failure) -> Error {
    match failure.code.as_str() {
        Failure::GROUP_NOT_AVAILABLE => Error::NotFound("group"),
        Failure::GROUP_FORBIDDEN => Error::Conflict("this number may not do that in the group"),
        Failure::GROUP_PERSON_UNKNOWN => Error::invalid("participants", failure.message),
        _ => Error::Whatsapp(failure.message),
    }
}

/// What WhatsApp answers, if it does in time.
pub(crate) async fn answer_of<T>(asked: impl Future<Output = Result<T, SendError>>) -> Result<T> {
    match within(LOOKUP_WAIT, asked).await {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(SendError::NotConnected)) => Err(Error::DeviceNotConnected("disconnected")),
        Some(Err(error)) => Err(Error::Whatsapp(error.to_string())),
        None => Err(Error::Whatsapp("no answer in time".into())),
    }
}
