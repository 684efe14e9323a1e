//! Jobs for a connection, and their replies.
//!
//! A reply that promises durability is sent only after the commit: a job runs first and is
//! finished later, with the outcome of the whole transaction.

use domain::ports::{Acceptance, Accepted, Progress, Recorded};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::messages::accept::accept_group;
use crate::messages::receive::{Arrival, receive_group};
use crate::messages::record::{Report, record_group, report_group};
use crate::sql::{SqlError, SqlResult, Tx};

/// Where a result is sent.
pub(crate) type Reply<T> = oneshot::Sender<SqlResult<T>>;

/// Waits for a result.
pub(crate) async fn answer<T>(receiver: oneshot::Receiver<SqlResult<T>>) -> SqlResult<T> {
    let closed = |_| Err(SqlError::Unavailable("the store is closed".into()));
    receiver.await.unwrap_or_else(closed)
}

/// One operation of the store.
pub(crate) trait Job: Send {
    /// Does the work, in a transaction shared with other jobs.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>>;
    /// Replies, once the transaction is committed or rolled back.
    fn finish(self: Box<Self>, outcome: SqlResult<()>);
}

/// The one implementation of [`Job`]: a closure, its result and where that is sent.
pub(crate) struct ClosureJob<T, F> {
    work: Option<F>,
    value: Option<SqlResult<T>>,
    reply: Reply<T>,
}

impl<T, F> ClosureJob<T, F>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
{
    /// A job, and where to wait for its result.
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
                self.value = Some(match work(tx).await {
                    // This job alone fails: those that share the transaction go on.
                    Err(error @ SqlError::Unreadable(_)) => Err(error),
                    outcome => Ok(outcome?),
                });
            }
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: SqlResult<()>) {
        let skipped = || Err(SqlError::Fault("the work was not done".into()));
        let Self { value, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.unwrap_or_else(skipped));
        // A caller that was dropped needs no result.
        let _ = reply.send(answer);
    }
}

/// Requests that are served in groups, with few statements.
pub(crate) enum GroupItem {
    Accept(Acceptance, Reply<Accepted>),
    Record(Vec<Progress>, Reply<Vec<Recorded>>),
    Report(Report, Reply<Vec<Recorded>>),
    Receive(Arrival, Reply<Vec<Recorded>>),
}

/// The requests of a batch, by kind.
#[derive(Default)]
pub(crate) struct Groups {
    accepts: Group<Acceptance, Accepted>,
    records: Group<Vec<Progress>, Vec<Recorded>>,
    reports: Group<Report, Vec<Recorded>>,
    arrivals: Group<Arrival, Vec<Recorded>>,
}

impl Groups {
    pub(crate) fn push(&mut self, item: GroupItem) {
        match item {
            GroupItem::Accept(acceptance, reply) => self.accepts.push(acceptance, reply),
            GroupItem::Record(progress, reply) => self.records.push(progress, reply),
            GroupItem::Report(report, reply) => self.reports.push(report, reply),
            GroupItem::Receive(arrival, reply) => self.arrivals.push(arrival, reply),
        }
    }

    /// The groups that are not empty, in the order they must run in.
    pub(crate) fn into_vec(self) -> Vec<Box<dyn RunGroup>> {
        let Self { accepts, records, reports, arrivals } = self;
        let mut groups: Vec<Box<dyn RunGroup>> =
            vec![Box::new(accepts), Box::new(records), Box::new(reports), Box::new(arrivals)];
        groups.retain(|group| !group.is_empty());
        groups
    }
}

/// Requests of one kind that share their statements.
struct Group<I, O> {
    inputs: Vec<I>,
    outputs: Vec<SqlResult<O>>,
    replies: Vec<Reply<O>>,
}

impl<I, O> Default for Group<I, O> {
    fn default() -> Self {
        Self { inputs: Vec::new(), outputs: Vec::new(), replies: Vec::new() }
    }
}

impl<I, O> Group<I, O> {
    fn push(&mut self, input: I, reply: Reply<O>) {
        self.inputs.push(input);
        self.replies.push(reply);
    }
}

fn no_output<O>() -> SqlResult<O> {
    Err(SqlError::Fault("no answer".into()))
}

/// A [`Group`] of any kind.
pub(crate) trait RunGroup: Send {
    /// Whether it holds no request.
    fn is_empty(&self) -> bool;
    /// Does the work of all requests.
    fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>>;
    /// Replies to all requests, once the transaction is committed or rolled back.
    fn finish(self: Box<Self>, outcome: &SqlResult<()>);
}

macro_rules! run_group {
    ($input:ty, $output:ty, $work:expr, $outcome:expr) => {
        impl RunGroup for Group<$input, $output> {
            fn is_empty(&self) -> bool {
                self.replies.is_empty()
            }

            fn run<'a>(&'a mut self, tx: &'a mut Tx) -> BoxFuture<'a, SqlResult<()>> {
                Box::pin(async move {
                    let outputs = $work(tx, std::mem::take(&mut self.inputs)).await?;
                    self.outputs = outputs.into_iter().map($outcome).collect();
                    Ok(())
                })
            }

            fn finish(self: Box<Self>, outcome: &SqlResult<()>) {
                let mut outputs = self.outputs.into_iter();
                for reply in self.replies {
                    let answer = match outcome {
                        Ok(()) => outputs.next().unwrap_or_else(no_output),
                        Err(error) => Err(error.clone()),
                    };
                    let _ = reply.send(answer);
                }
            }
        }
    };
}

run_group!(Acceptance, Accepted, accept_group, std::convert::identity);
run_group!(Vec<Progress>, Vec<Recorded>, record_group, Ok);
run_group!(Report, Vec<Recorded>, report_group, Ok);
run_group!(Arrival, Vec<Recorded>, receive_group, std::convert::identity);
