//! The one writer: everything that has queued goes into one transaction, one `fsync`, and is
//! answered afterwards; what arrives meanwhile is the next batch. No request waits for a batch to
//! fill, but for one short pause: callers that got their replies together come back together, and
//! the first of them would otherwise start a commit of its own and keep the rest waiting for two.
//!
//! A refusal (a full quota, a taken address) is an answer like any other. A fault of a statement
//! rolls back the request that it belongs to and no other. A failure of the database, such as a full
//! disk, rolls back the batch, and all its requests get that error.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::block_on;
use crate::OpenError;
use crate::cache::Cache;
use crate::job::{GROUP_BYTES_MAX, GroupItem, Groups, Job, Parts, RunGroup};
use crate::sql::{ConnectionRole, SqlError, SqlResult, Tx};

/// Most requests that wait for the writer; further ones wait to be queued.
const QUEUED_REQUESTS_MAX: usize = 1_024;
/// Most requests in one transaction.
const BATCH_REQUESTS_MAX: usize = 512;

/// How long the writer waits when far fewer came back than it has just answered.
const GATHER_WAIT: Duration = Duration::from_micros(200);

/// Work for the writer.
pub(super) enum WriterItem {
    Group(GroupItem),
    Other(Box<dyn Job>),
}

impl WriterItem {
    fn bytes(&self) -> usize {
        match self {
            Self::Group(item) => item.bytes(),
            Self::Other(_) => 0,
        }
    }
}

/// A handle to the writer's thread.
pub(super) struct Writer {
    queue: Sender<WriterItem>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread; to be called within a runtime, which replies to the callers.
    pub(super) fn start(tx: Tx, cache: Arc<Cache>) -> Result<Self, OpenError> {
        let (queue, requests) = async_channel::bounded(QUEUED_REQUESTS_MAX);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(tx, &requests, &cache, &runtime))
            .map_err(|error| OpenError::Database(error.to_string()))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn send(&self, item: WriterItem) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(item).await.map_err(closed)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // It ends when the queue is empty; its connection checkpoints as it closes.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn run(mut tx: Tx, requests: &Receiver<WriterItem>, cache: &Cache, runtime: &Handle) {
    let mut answered = 0;
    let mut next = None;
    while let Some(first) = next.take().or_else(|| requests.recv_blocking().ok()) {
        let mut batch = Batch::default();
        batch.push(first);
        next = batch.gather(requests);
        if next.is_none() && batch.requests < answered / 2 {
            std::thread::sleep(GATHER_WAIT);
            next = batch.gather(requests);
        }
        answered = batch.requests;
        batch.commit(&mut tx, cache, runtime);
    }
}

/// The requests that share one commit.
#[derive(Default)]
struct Batch {
    requests: usize,
    bytes: usize,
    groups: Groups,
    others: Vec<Box<dyn Job>>,
}

impl Batch {
    fn push(&mut self, item: WriterItem) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(item.bytes());
        match item {
            WriterItem::Group(item) => self.groups.push(item),
            WriterItem::Other(job) => self.others.push(job),
        }
    }

    /// Takes what has queued, as far as it fits; returns the first request that has too many bytes.
    fn gather(&mut self, requests: &Receiver<WriterItem>) -> Option<WriterItem> {
        while self.requests < BATCH_REQUESTS_MAX
            && let Ok(item) = requests.try_recv()
        {
            if self.bytes.saturating_add(item.bytes()) > GROUP_BYTES_MAX {
                return Some(item);
            }
            self.push(item);
        }
        None
    }

    /// Commits everything and has all requests replied to.
    fn commit(mut self, tx: &mut Tx, cache: &Cache, runtime: &Handle) {
        let mut groups = self.groups.into_vec();
        let outcome = control(tx, "BEGIN IMMEDIATE")
            .and_then(|()| Work { tx: &mut *tx, has_any: false }.run(&mut groups, &mut self.others))
            .and_then(|()| control(tx, "COMMIT"))
            .or_else(|error| roll_back(tx).and(Err(error)));
        if let Err(error) = &outcome {
            tracing::error!(%error, requests = self.requests, "a batch was rolled back");
        }
        cache.forget(&std::mem::take(&mut tx.touched));
        let others = self.others;
        // One wake-up of the runtime in place of one for each caller.
        runtime.spawn(async move {
            for group in groups {
                group.finish(&outcome);
            }
            for job in others {
                job.finish(outcome.clone());
            }
        });
    }
}

/// Runs the parts of a batch within one transaction.
struct Work<'t> {
    tx: &'t mut Tx,
    /// Whether the transaction holds the work of any part.
    has_any: bool,
}

impl Work<'_> {
    /// Messages first: what else is in the batch did not know of them, nor they of it.
    fn run(
        mut self,
        groups: &mut [Box<dyn RunGroup>],
        others: &mut [Box<dyn Job>],
    ) -> SqlResult<()> {
        for group in groups {
            let mut parts = Parts::of(&**group);
            while let Some(part) = parts.next() {
                if let Err(error) = self.part(|tx| block_on(group.run(tx, part.clone())))? {
                    parts.failed(&mut **group, part, &error);
                }
            }
        }
        for job in others {
            // A job keeps its error for its caller.
            let _ = self.part(|tx| block_on(job.run(tx)))?;
        }
        Ok(())
    }

    /// Runs a part of the batch; its failure undoes nothing else. The outer error is one of the whole batch.
    fn part(&mut self, work: impl FnOnce(&mut Tx) -> SqlResult<()>) -> SqlResult<SqlResult<()>> {
        // Within a savepoint SQLite copies each page before it changes it. The first part goes without one: a
        // rollback of the transaction undoes it alone.
        let is_first = !self.has_any;
        if !is_first {
            control(self.tx, "SAVEPOINT part")?;
        }
        let outcome = work(self.tx);
        match &outcome {
            Err(error @ SqlError::Unavailable(_)) => return Err(error.clone()),
            Err(_) if is_first => {
                roll_back(self.tx)?;
                control(self.tx, "BEGIN IMMEDIATE")?;
            }
            // After some errors SQLite itself has rolled back the whole transaction.
            Err(error) if !is_in_transaction(self.tx) => return Err(error.clone()),
            Err(_) => {
                note_rollback(self.tx);
                control(self.tx, "ROLLBACK TO part")?;
                control(self.tx, "RELEASE part")?;
            }
            Ok(()) if is_first => self.has_any = true,
            Ok(()) => control(self.tx, "RELEASE part")?,
        }
        Ok(outcome)
    }
}

fn roll_back(tx: &mut Tx) -> SqlResult<()> {
    note_rollback(tx);
    if is_in_transaction(tx) { control(tx, "ROLLBACK") } else { Ok(()) }
}

fn note_rollback(tx: &mut Tx) {
    if let ConnectionRole::Sqlite(link) = &mut tx.link {
        link.note_rollback();
    }
}

fn is_in_transaction(tx: &Tx) -> bool {
    matches!(&tx.link, ConnectionRole::Sqlite(link) if link.is_in_transaction())
}

fn control(tx: &mut Tx, sql: &'static str) -> SqlResult<()> {
    block_on(tx.execute(sql, &[])).map(drop)
}
