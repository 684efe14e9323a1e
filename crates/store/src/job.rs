//! Work on its way to a connection, and the answers on their way back.
//!
//! An answer that promises durability leaves only after the commit: a job runs first and is
//! finished later, with the outcome of the whole transaction.

use domain::message::Message;
use domain::ports::{Acceptance, Accepted, Progress};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::messages::{accept::accept_group, record::record_group};
use crate::sql::{SqlError, SqlResult, Tx};

/// Where an answer goes.
pub(crate) type Reply<T> = oneshot::Sender<SqlResult<T>>;

/// Waits for an answer.
pub(crate) async fn answer<T>(receiver: oneshot::Receiver<SqlResult<T>>) -> SqlResult<T> {
    let closed = |_| Err(SqlError::Unavailable("the store is closed".into()));
    receiver.await.unwrap_or_else(closed)
}

/// Any operation.
pub(crate) trait Job: Send {
    /// Does the work, within a transaction of others.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>>;
    /// Answers, once the transaction is committed or rolled back.
    fn finish(self: Box<Self>, outcome: SqlResult<()>);
}

/// The one implementation of [`Job`]: a closure, its result and where that goes.
pub(crate) struct ClosureJob<T, F> {
    work: Option<F>,
    value: Option<T>,
    reply: Reply<T>,
}

impl<T, F> ClosureJob<T, F>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
{
    /// A job, and where to wait for its answer.
    pub(crate) fn boxed(work: F) -> (Box<dyn Job>, oneshot::Receiver<SqlResult<T>>) {
        let (reply, receiver) = oneshot::channel();
        (Box::new(Self { work: Some(work), value: None, reply }), receiver)
    }
}

impl<T, F> Job for ClosureJob<T, F>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
{
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                self.value = Some(work(tx).await?);
            }
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: SqlResult<()>) {
        let skipped = || SqlError::Fault("the work was not done".into());
        let Self { value, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or_else(skipped));
        // A caller that has gone does not want to know.
        let _ = reply.send(answer);
    }
}

/// Work that is done for many callers with few statements.
#[expect(clippy::large_enum_variant, reason = "nearly every item is the large one")]
pub(crate) enum GroupItem {
    Accept(Acceptance, Reply<Accepted>),
    Record(Vec<Progress>, Reply<Vec<Message>>),
}

/// Requests of one kind that share their statements.
pub(crate) struct Group<I, O> {
    inputs: Vec<I>,
    outputs: Vec<O>,
    replies: Vec<Reply<O>>,
}

impl<I, O> Default for Group<I, O> {
    fn default() -> Self {
        Self { inputs: Vec::new(), outputs: Vec::new(), replies: Vec::new() }
    }
}

impl<I, O> Group<I, O> {
    /// Adds a request.
    pub(crate) fn push(&mut self, input: I, reply: Reply<O>) {
        self.inputs.push(input);
        self.replies.push(reply);
    }

    /// Whether nobody asked for anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Answers everybody, once the transaction is committed or rolled back.
    pub(crate) fn finish(self, outcome: &SqlResult<()>) {
        let mut outputs = self.outputs.into_iter();
        for reply in self.replies {
            let answer = match outcome {
                Ok(()) => outputs.next().ok_or_else(|| SqlError::Fault("no answer".into())),
                Err(error) => Err(error.clone()),
            };
            let _ = reply.send(answer);
        }
    }
}

/// What the two kinds of groups do.
pub(crate) trait RunGroup {
    /// Does the work of all requests.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>>;
}

impl RunGroup for Group<Acceptance, Accepted> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>> {
        Box::pin(async move {
            if !self.is_empty() {
                self.outputs = accept_group(tx, std::mem::take(&mut self.inputs)).await?;
            }
            Ok(())
        })
    }
}

impl RunGroup for Group<Vec<Progress>, Vec<Message>> {
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>> {
        Box::pin(async move {
            if !self.is_empty() {
                self.outputs = record_group(tx, &self.inputs).await?;
            }
            Ok(())
        })
    }
}
