//! Jobs for a connection, and their replies.
//!
//! A reply that promises durability is sent only after the commit: a job runs first and is
//! finished later, with the outcome of the whole transaction.

use std::collections::BTreeSet;
use std::ops::Range;

use domain::ids::DeviceId;
use domain::ports::{Accepted, Progress, Recorded};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::messages::accept::accept_group;
use crate::messages::accept_request::{AcceptReply, AcceptRequest};
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
            let Some(work) = self.work.take() else { return Ok(()) };
            let value = work(tx).await;
            let undone = match &value {
                // Nothing was changed: there is nothing to roll back.
                Ok(_) | Err(SqlError::Unreadable(_)) => Ok(()),
                Err(error) => Err(error.clone()),
            };
            self.value = Some(value);
            undone
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

/// Most bytes of texts in one group commit; a request with more has one of its own.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Requests that are served in groups, with few statements.
pub(crate) enum GroupItem {
    Accept(Box<AcceptRequest>, Reply<AcceptReply>),
    Record(Vec<Progress>, Reply<Vec<Recorded>>),
    Report(Report, Reply<Vec<Recorded>>),
    Receive(Arrival, Reply<Vec<Recorded>>),
}

impl GroupItem {
    /// How many bytes of texts it brings.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(request, _) => request.bytes(),
            Self::Receive(arrival, _) => {
                arrival.messages.iter().map(|new| new.content.text().len()).sum()
            }
            Self::Record(..) | Self::Report(..) => 0,
        }
    }
}

/// The requests of a batch, by kind.
#[derive(Default)]
pub(crate) struct Groups {
    accepts: Group<Box<AcceptRequest>, AcceptReply>,
    records: Group<Vec<Progress>, Vec<Recorded>>,
    reports: Group<Report, Vec<Recorded>>,
    arrivals: Group<Arrival, Vec<Recorded>>,
}

impl Groups {
    pub(crate) fn push(&mut self, item: GroupItem) {
        match item {
            GroupItem::Accept(request, reply) => self.accepts.push(request, reply),
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
        groups.retain(|group| group.len() > 0);
        groups
    }
}

/// Requests of one kind that share their statements.
struct Group<I, O> {
    inputs: Vec<I>,
    /// What each led to, once it has run.
    outputs: Vec<Option<SqlResult<O>>>,
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
        self.outputs.push(None);
        self.replies.push(reply);
    }
}

/// A [`Group`] of any kind.
pub(crate) trait RunGroup: Send {
    /// How many requests it holds.
    fn len(&self) -> usize;
    /// Does the work of a part of its requests.
    fn run<'a>(&'a mut self, tx: &'a mut Tx, part: Range<usize>) -> BoxFuture<'a, SqlResult<()>>;
    /// The devices for which it has accepted messages.
    fn devices(&self) -> BTreeSet<DeviceId>;
    /// Fails a part of its requests.
    fn fail(&mut self, part: Range<usize>, error: &SqlError);
    /// Replies to all requests, once the transaction is committed or rolled back.
    fn finish(self: Box<Self>, outcome: &SqlResult<()>);
}

/// The parts of a group that are still to be run: first the whole, then the halves of what failed,
/// so that a request which cannot be written fails alone and costs the others little.
pub(crate) struct Parts(Vec<Range<usize>>);

impl Parts {
    /// The whole of a group.
    pub(crate) fn of(group: &dyn RunGroup) -> Self {
        Self(vec![Range { start: 0, end: group.len() }])
    }

    /// The next part to run.
    pub(crate) fn next(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// Deals with a part that failed and was rolled back: it is run again in halves, in order; a
    /// single request fails, and so does all that a database which is away could not take.
    pub(crate) fn failed(
        &mut self,
        group: &mut dyn RunGroup,
        part: Range<usize>,
        error: &SqlError,
    ) {
        let is_away = matches!(error, SqlError::Unavailable(_));
        if part.len() > 1 && !is_away {
            let middle = part.start + part.len() / 2;
            self.0.extend([middle..part.end, part.start..middle]);
            return;
        }
        match error {
            SqlError::NotOwner => tracing::warn!("a write for a device of another node is refused"),
            _ => tracing::error!(%error, requests = part.len(), "a write was rolled back"),
        }
        group.fail(part, error);
    }
}

/// The devices of what was accepted.
fn devices_of(
    requests: &[Box<AcceptRequest>],
    answers: &[Option<SqlResult<AcceptReply>>],
) -> BTreeSet<DeviceId> {
    let mut devices = BTreeSet::new();
    for (request, answer) in requests.iter().zip(answers) {
        if let Some(Ok(AcceptReply { accepted: Accepted::New(_), .. })) = answer {
            devices.extend(request.messages().iter().map(|message| message.device_id));
        }
    }
    devices
}

/// Nothing was accepted.
fn no_devices<I, O>(_: &[I], _: &[Option<SqlResult<O>>]) -> BTreeSet<DeviceId> {
    BTreeSet::new()
}

/// Only where nothing of the batch is done.
fn did_not_run<O>() -> SqlResult<O> {
    Err(SqlError::Fault("the request did not run".into()))
}

/// Everything is in the answer.
fn as_it_is<I, O>(_: I, answer: SqlResult<O>) -> SqlResult<O> {
    answer
}

macro_rules! run_group {
    (
        $input:ty, $output:ty, $work:path $(, $mutable:tt)?;
        $outcome:expr, $devices:expr, $answer:expr
    ) => {
        impl RunGroup for Group<$input, $output> {
            fn len(&self) -> usize {
                self.replies.len()
            }

            fn run<'a>(
                &'a mut self,
                tx: &'a mut Tx,
                part: Range<usize>,
            ) -> BoxFuture<'a, SqlResult<()>> {
                Box::pin(async move {
                    let inputs = &$($mutable)? self.inputs[part.clone()];
                    let outputs = $work(tx, inputs).await?;
                    for (slot, output) in self.outputs[part].iter_mut().zip(outputs) {
                        *slot = Some($outcome(output));
                    }
                    Ok(())
                })
            }

            fn devices(&self) -> BTreeSet<DeviceId> {
                $devices(&self.inputs, &self.outputs)
            }

            fn fail(&mut self, part: Range<usize>, error: &SqlError) {
                self.outputs[part].fill_with(|| Some(Err(error.clone())));
            }

            fn finish(self: Box<Self>, outcome: &SqlResult<()>) {
                let Self { inputs, outputs, replies } = *self;
                for ((input, output), reply) in inputs.into_iter().zip(outputs).zip(replies) {
                    let output = output.unwrap_or_else(did_not_run);
                    let _ = reply.send(outcome.clone().and($answer(input, output)));
                }
            }
        }
    };
}

run_group!(
    Box<AcceptRequest>, AcceptReply, accept_group, mut;
    std::convert::identity, devices_of, AcceptRequest::answered
);
run_group!(Vec<Progress>, Vec<Recorded>, record_group; Ok, no_devices, as_it_is);
run_group!(Report, Vec<Recorded>, report_group; Ok, no_devices, as_it_is);
run_group!(Arrival, Vec<Recorded>, receive_group; std::convert::identity, no_devices, as_it_is);
