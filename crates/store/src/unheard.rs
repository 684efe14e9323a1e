//! Callers that hang up: what was accepted for them waits in the database, and nobody gives it to its queue.
//!
//! A request that is queued for the group commit is committed whether its caller waits or not. Where the caller is
//! dropped before it has the answer, a task takes the answer in its place.

use async_channel::{Receiver, Sender};
use domain::ports::{Accepted, OutboxEntry};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::messages::accept_request::AcceptReply;
use crate::sql::{SqlError, SqlResult};

/// What was accepted for callers that had hung up.
pub(crate) struct Unheard {
    accepted: Sender<Vec<OutboxEntry>>,
    waiting: Receiver<Vec<OutboxEntry>>,
}

impl Default for Unheard {
    fn default() -> Self {
        let (accepted, waiting) = async_channel::unbounded();
        Self { accepted, waiting }
    }
}

impl Unheard {
    /// Waits for the answer to a request, for a caller that may be dropped meanwhile.
    pub(crate) async fn answer(
        &self,
        answer: oneshot::Receiver<SqlResult<AcceptReply>>,
    ) -> SqlResult<AcceptReply> {
        let mut caller = Caller { answer: Some(answer), accepted: self.accepted.clone() };
        caller.wait().await
    }

    /// Waits for what was accepted for a caller that had hung up.
    pub(crate) async fn next(&self) -> Vec<OutboxEntry> {
        match self.waiting.recv().await {
            Ok(entries) => entries,
            Err(_) => std::future::pending().await,
        }
    }
}

/// A caller that waits for its answer.
struct Caller {
    /// `None` once it has the answer.
    answer: Option<oneshot::Receiver<SqlResult<AcceptReply>>>,
    accepted: Sender<Vec<OutboxEntry>>,
}

impl Caller {
    async fn wait(&mut self) -> SqlResult<AcceptReply> {
        let closed = || SqlError::Unavailable("the store is closed".into());
        let answer = self.answer.as_mut().ok_or_else(closed)?;
        let answered = answer.await;
        self.answer = None;
        answered.unwrap_or_else(|_| Err(closed()))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        // Without a runtime the process ends, and its next start reads what waits.
        let Ok(runtime) = Handle::try_current() else { return };
        let accepted = self.accepted.clone();
        runtime.spawn(async move {
            if let Ok(Ok(AcceptReply { accepted: Accepted::New(messages), .. })) = answer.await {
                let entries = messages.iter().map(OutboxEntry::from).collect();
                let _ = accepted.send(entries).await;
            }
        });
    }
}
