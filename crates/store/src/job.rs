//! Jobs for a connection, and their replies.
//!
//! A reply that promises durability is sent only after the commit: a job runs first and is
//! finished later, with the outcome of the whole transaction.

use std::collections::BTreeSet;
use std::ops::Range;

use domain::ids::DeviceId;
use domain::policy::queue::QueueSize;
use domain::ports::{Acceptance, Accepted, Progress, Recorded};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::messages::accept::{AcceptReply, LockedAccounts, accept_group, lock_accounts};
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
    Accept(Acceptance, Reply<AcceptReply>),
    Record(Vec<Progress>, Reply<Vec<Recorded>>),
    Report(Report, Reply<Vec<Recorded>>),
    Receive(Arrival, Reply<Vec<Recorded>>),
    Protocol(Changes, Reply<()>),
}

impl GroupItem {
    /// How many bytes of texts and protocol state it brings.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(acceptance, _) => acceptance_bytes(acceptance),
            Self::Receive(arrival, _) => {
                arrival.messages.iter().map(|new| new.content.text().len()).sum()
            }
            Self::Protocol(changes, _) => changes.bytes(),
            Self::Record(..) | Self::Report(..) => 0,
        }
    }
}

/// The bytes of the texts of a request; its files are in the media store.
pub(crate) fn acceptance_bytes(acceptance: &Acceptance) -> usize {
    usize::try_from(QueueSize::of(&acceptance.messages).text_bytes).unwrap_or(usize::MAX)
}

/// The requests of a batch, by kind.
#[derive(Default)]
pub(crate) struct Groups {
    accepts: Group<Acceptance, AcceptReply>,
    records: Group<Vec<Progress>, Vec<Recorded>>,
    reports: Group<Report, Vec<Recorded>>,
    arrivals: Group<Arrival, Vec<Recorded>>,
    changes: Group<Changes, ()>,
}

impl Groups {
    pub(crate) fn push(&mut self, item: GroupItem) {
        match item {
            GroupItem::Accept(acceptance, reply) => self.accepts.push(acceptance, reply),
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

/// Requests of one kind that share their statements.
struct Group<I, O> {
    inputs: Vec<I>,
    outputs: Vec<SqlResult<O>>,
    replies: Vec<Reply<O>>,
    /// What was locked for those that run next.
    locked: Option<LockedAccounts>,
}

impl<I, O> Default for Group<I, O> {
    fn default() -> Self {
        Self { inputs: Vec::new(), outputs: Vec::new(), replies: Vec::new(), locked: None }
    }
}

impl<I, O> Group<I, O> {
    fn push(&mut self, input: I, reply: Reply<O>) {
        self.inputs.push(input);
        self.outputs.push(Err(SqlError::Fault("no answer".into())));
        self.replies.push(reply);
    }
}

/// A [`Group`] of any kind.
pub(crate) trait RunGroup: Send {
    /// How many requests it holds.
    fn len(&self) -> usize;
    /// Takes the locks for which a part of its requests may have to wait, before it is run; whether it takes requests
    /// that have come meanwhile ([`RunGroup::admit`]).
    fn lock<'a>(&'a mut self, _: &'a mut Tx, _: Range<usize>) -> BoxFuture<'a, SqlResult<bool>> {
        Box::pin(async { Ok(false) })
    }
    /// Takes a further request, the last one of the part, if it needs no lock that was not taken; else gives it back.
    fn admit(&mut self, item: GroupItem) -> Option<GroupItem> {
        Some(item)
    }
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
fn devices_of(answers: &[SqlResult<AcceptReply>]) -> BTreeSet<DeviceId> {
    let mut devices = BTreeSet::new();
    for answer in answers.iter().flatten() {
        if let Accepted::New(messages) = &answer.accepted {
            devices.extend(messages.iter().map(|message| message.device_id));
        }
    }
    devices
}

/// Nothing was accepted.
fn no_devices<O>(_: &[SqlResult<O>]) -> BTreeSet<DeviceId> {
    BTreeSet::new()
}

macro_rules! run_group {
    ($input:ty, $output:ty, $work:expr, $outcome:expr, $devices:expr) => {
        run_group!(
            $input, $output,
            (tx, inputs, _locked) => $work(tx, inputs),
            $outcome, $devices, {}
        );
    };
    (
        $input:ty, $output:ty,
        ($tx:ident, $inputs:ident, $locked:ident) => $work:expr,
        $outcome:expr, $devices:expr, { $($own:tt)* }
    ) => {
        impl RunGroup for Group<$input, $output> {
            $($own)*

            fn len(&self) -> usize {
                self.replies.len()
            }

            fn run<'a>(
                &'a mut self,
                $tx: &'a mut Tx,
                part: Range<usize>,
            ) -> BoxFuture<'a, SqlResult<()>> {
                Box::pin(async move {
                    let ($inputs, $locked) = (&self.inputs[part.clone()], self.locked.take());
                    let outputs = $work.await?;
                    for (slot, output) in self.outputs[part].iter_mut().zip(outputs) {
                        *slot = $outcome(output);
                    }
                    Ok(())
                })
            }

            fn devices(&self) -> BTreeSet<DeviceId> {
                $devices(&self.outputs)
            }

            fn fail(&mut self, part: Range<usize>, error: &SqlError) {
                self.outputs[part].iter_mut().for_each(|output| *output = Err(error.clone()));
            }

            fn finish(self: Box<Self>, outcome: &SqlResult<()>) {
                for (reply, output) in self.replies.into_iter().zip(self.outputs) {
                    let _ = reply.send(outcome.clone().and(output));
                }
            }
        }
    };
}

run_group!(
    Acceptance, AcceptReply,
    (tx, inputs, locked) => accept_group(tx, inputs, locked),
    std::convert::identity, devices_of,
    {
        fn lock<'a>(
            &'a mut self,
            tx: &'a mut Tx,
            part: Range<usize>,
        ) -> BoxFuture<'a, SqlResult<bool>> {
            Box::pin(async move {
                self.locked = Some(lock_accounts(tx, &self.inputs[part]).await?);
                Ok(true)
            })
        }

        fn admit(&mut self, item: GroupItem) -> Option<GroupItem> {
            let is_locked =
                |account| self.locked.as_ref().is_some_and(|locked| locked.has(account));
            match item {
                GroupItem::Accept(acceptance, reply) if is_locked(acceptance.account_id) => {
                    self.push(acceptance, reply);
                    None
                }
                other => Some(other),
            }
        }
    }
);
run_group!(Vec<Progress>, Vec<Recorded>, record_group, Ok, no_devices);
run_group!(Report, Vec<Recorded>, report_group, Ok, no_devices);
run_group!(Arrival, Vec<Recorded>, receive_group, std::convert::identity, no_devices);
run_group!(Changes, (), write_group, Ok, no_devices);
