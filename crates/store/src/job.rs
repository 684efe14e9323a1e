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

use crate::messages::accept::{LockedAccounts, accept_group, lock_accounts};
use crate::messages::accept_request::{AcceptReply, AcceptRequest};
use crate::messages::receive::{Arrival, receive_group};
use crate::messages::record::{Report, record_group, report_group};
use crate::protocol::{Changes, write_group};
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

/// Most bytes of texts and protocol state in one group commit; a request with more has one of its own.
pub(crate) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Requests that are served in groups, with few statements.
pub(crate) enum GroupItem {
    Accept(Box<AcceptRequest>, Reply<AcceptReply>),
    Record(Vec<Progress>, Reply<Vec<Recorded>>),
    Report(Report, Reply<Vec<Recorded>>),
    Receive(Arrival, Reply<Vec<Recorded>>),
    Protocol(Changes, Reply<()>),
}

impl GroupItem {
    /// How many bytes of texts and protocol state it brings.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(request, _) => request.bytes(),
            Self::Receive(arrival, _) => {
                arrival.messages.iter().map(|new| new.content.text().len()).sum()
            }
            Self::Protocol(changes, _) => changes.bytes(),
            Self::Record(..) | Self::Report(..) => 0,
        }
    }
}

/// The requests of a batch, by kind.
#[derive(Default)]
pub(crate) struct Groups {
    accepts: Group<Box<AcceptRequest>>,
    records: Group<Vec<Progress>>,
    reports: Group<Report>,
    arrivals: Group<Arrival>,
    changes: Group<Changes>,
}

impl Groups {
    pub(crate) fn push(&mut self, item: GroupItem) {
        match item {
            GroupItem::Accept(request, reply) => self.accepts.push(request, reply),
            GroupItem::Record(progress, reply) => self.records.push(progress, reply),
            GroupItem::Report(report, reply) => self.reports.push(report, reply),
            GroupItem::Receive(arrival, reply) => self.arrivals.push(arrival, reply),
            GroupItem::Protocol(changes, reply) => self.changes.push(changes, reply),
        }
    }

    /// The groups that are not empty, in the order they must run in.
    pub(crate) fn into_vec(self) -> Vec<Box<dyn RunGroup>> {
        let Self { accepts, records, reports, arrivals, changes } = self;
        let mut groups: Vec<Box<dyn RunGroup>> = vec![
            Box::new(accepts),
            Box::new(records),
            Box::new(reports),
            Box::new(arrivals),
            Box::new(changes),
        ];
        groups.retain(|group| group.len() > 0);
        groups
    }
}

/// A request that shares its statements with others of its kind.
trait GroupInput: Send + Sized + 'static {
    /// What it leads to.
    type Output: Send + 'static;

    /// Does the work of all of them, with locks that were taken before or without.
    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        locked: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<Self::Output>>>>;

    /// [`RunGroup::lock`]
    fn lock<'a>(_: &'a mut Tx, _: &'a [Self]) -> BoxFuture<'a, SqlResult<Option<LockedAccounts>>> {
        Box::pin(async { Ok(None) })
    }

    /// [`RunGroup::admit`]
    fn admit(_: &mut Group<Self>, item: GroupItem) -> Option<GroupItem> {
        Some(item)
    }

    /// [`RunGroup::devices`]
    fn devices(_: &Group<Self>) -> BTreeSet<DeviceId> {
        BTreeSet::new()
    }

    /// Its answer, once that is durable.
    fn answered(self, output: SqlResult<Self::Output>) -> SqlResult<Self::Output> {
        output
    }
}

/// Requests of one kind.
struct Group<I: GroupInput> {
    inputs: Vec<I>,
    /// What each led to, once it has run.
    outputs: Vec<Option<SqlResult<I::Output>>>,
    replies: Vec<Reply<I::Output>>,
    /// What was locked for those that run next.
    locked: Option<LockedAccounts>,
}

impl<I: GroupInput> Default for Group<I> {
    fn default() -> Self {
        Self { inputs: Vec::new(), outputs: Vec::new(), replies: Vec::new(), locked: None }
    }
}

impl<I: GroupInput> Group<I> {
    fn push(&mut self, input: I, reply: Reply<I::Output>) {
        self.inputs.push(input);
        self.outputs.push(None);
        self.replies.push(reply);
    }
}

/// A [`Group`] of any kind.
pub(crate) trait RunGroup: Send {
    /// How many requests it holds.
    fn len(&self) -> usize;
    /// Takes the locks for which a part of its requests may have to wait, before it is run; whether it takes requests
    /// that have come meanwhile ([`RunGroup::admit`]).
    fn lock<'a>(&'a mut self, tx: &'a mut Tx, part: Range<usize>)
    -> BoxFuture<'a, SqlResult<bool>>;
    /// Takes a further request, the last one of the part, if it needs no lock that was not taken; else gives it back.
    fn admit(&mut self, item: GroupItem) -> Option<GroupItem>;
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

impl<I: GroupInput> RunGroup for Group<I> {
    fn len(&self) -> usize {
        self.replies.len()
    }

    fn lock<'a>(
        &'a mut self,
        tx: &'a mut Tx,
        part: Range<usize>,
    ) -> BoxFuture<'a, SqlResult<bool>> {
        Box::pin(async move {
            self.locked = I::lock(tx, &self.inputs[part]).await?;
            Ok(self.locked.is_some())
        })
    }

    fn admit(&mut self, item: GroupItem) -> Option<GroupItem> {
        I::admit(self, item)
    }

    fn run<'a>(&'a mut self, tx: &'a mut Tx, part: Range<usize>) -> BoxFuture<'a, SqlResult<()>> {
        Box::pin(async move {
            let locked = self.locked.take();
            let outputs = I::run(tx, &mut self.inputs[part.clone()], locked).await?;
            for (slot, output) in self.outputs[part].iter_mut().zip(outputs) {
                *slot = Some(output);
            }
            Ok(())
        })
    }

    fn devices(&self) -> BTreeSet<DeviceId> {
        I::devices(self)
    }

    fn fail(&mut self, part: Range<usize>, error: &SqlError) {
        self.outputs[part].fill_with(|| Some(Err(error.clone())));
    }

    fn finish(self: Box<Self>, outcome: &SqlResult<()>) {
        let Self { inputs, outputs, replies, .. } = *self;
        // Only where nothing of the batch is done.
        let did_not_run = || Err(SqlError::Fault("the request did not run".into()));
        for ((input, output), reply) in inputs.into_iter().zip(outputs).zip(replies) {
            let answer = input.answered(output.unwrap_or_else(did_not_run));
            let _ = reply.send(outcome.clone().and(answer));
        }
    }
}

impl GroupInput for Box<AcceptRequest> {
    type Output = AcceptReply;

    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        locked: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<AcceptReply>>>> {
        Box::pin(accept_group(tx, inputs, locked))
    }

    fn lock<'a>(
        tx: &'a mut Tx,
        inputs: &'a [Self],
    ) -> BoxFuture<'a, SqlResult<Option<LockedAccounts>>> {
        Box::pin(async move { lock_accounts(tx, inputs).await.map(Some) })
    }

    fn admit(group: &mut Group<Self>, item: GroupItem) -> Option<GroupItem> {
        let is_locked = |account| group.locked.as_ref().is_some_and(|locked| locked.has(account));
        match item {
            GroupItem::Accept(request, reply) if is_locked(request.account()) => {
                group.push(request, reply);
                None
            }
            other => Some(other),
        }
    }

    fn devices(group: &Group<Self>) -> BTreeSet<DeviceId> {
        let is_new = |answer: &Option<SqlResult<AcceptReply>>| {
            matches!(answer, Some(Ok(AcceptReply { accepted: Accepted::New(_), .. })))
        };
        let answered = group.inputs.iter().zip(&group.outputs);
        let accepted = answered.filter(|(_, answer)| is_new(answer));
        accepted.flat_map(|(request, _)| request.messages()).map(|it| it.device_id).collect()
    }

    fn answered(self, output: SqlResult<AcceptReply>) -> SqlResult<AcceptReply> {
        AcceptRequest::answered(self, output)
    }
}

impl GroupInput for Vec<Progress> {
    type Output = Vec<Recorded>;

    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        _: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<Vec<Recorded>>>>> {
        Box::pin(async { record_group(tx, inputs).await.map(each_done) })
    }
}

impl GroupInput for Report {
    type Output = Vec<Recorded>;

    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        _: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<Vec<Recorded>>>>> {
        Box::pin(async { report_group(tx, inputs).await.map(each_done) })
    }
}

impl GroupInput for Arrival {
    type Output = Vec<Recorded>;

    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        _: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<Vec<Recorded>>>>> {
        Box::pin(receive_group(tx, inputs))
    }
}

impl GroupInput for Changes {
    type Output = ();

    fn run<'a>(
        tx: &'a mut Tx,
        inputs: &'a mut [Self],
        _: Option<LockedAccounts>,
    ) -> BoxFuture<'a, SqlResult<Vec<SqlResult<()>>>> {
        Box::pin(async { write_group(tx, inputs).await.map(each_done) })
    }
}

fn each_done<T>(outputs: Vec<T>) -> Vec<SqlResult<T>> {
    outputs.into_iter().map(Ok).collect()
}
