//! How a question to a task is answered.

use tokio::sync::oneshot;

use domain::error::Result;

/// Where the answer to a question goes.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// Answers. The receiver may be gone: its client has hung up, or its time limit has passed.
pub(crate) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    drop(reply.send(value));
}
