//! Group commit: a worker takes everything that has queued and commits it at once, while the next
//! batch gathers. No request waits for a batch to fill.
//!
//! Each kind of request goes into a transaction of its own, concurrent with the others; it locks
//! its rows in order, once, so that no two of them can deadlock. Several batches at once would be
//! smaller ones that wait for each other's locks on the accounts.
//!
//! Nodes that accept for the same accounts take turns. What queues while a group waits for its turn joins the group
//! where its account is locked by then: else nodes that wait half of the time would make groups of half the size.

use std::collections::VecDeque;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{ANSWER_MAX, Pool, end};
use crate::cache::Cache;
use crate::job::{GROUP_BYTES_MAX, GroupItem, Groups, Parts, Reply, RunGroup, answer};
use crate::sql::{SqlError, SqlResult, Tx};

/// Most requests that wait for the worker; further ones wait to be queued.
const QUEUED_REQUESTS_MAX: usize = 4_096;
/// Most requests in one transaction.
const BATCH_REQUESTS_MAX: usize = 512;

/// A handle to the worker.
pub(super) struct Worker {
    queue: Sender<GroupItem>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    pub(super) fn start(pool: &Pool, cache: &Arc<Cache>) -> Self {
        let (queue, requests) = async_channel::bounded(QUEUED_REQUESTS_MAX);
        let task = tokio::spawn(run(pool.clone(), cache.clone(), requests));
        Self { queue, task: Mutex::new(Some(task)) }
    }

    pub(super) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> GroupItem) -> SqlResult<T> {
        let (reply, receiver) = oneshot::channel();
        self.send(ask(reply)).await?;
        answer(receiver).await
    }

    pub(super) async fn send(&self, item: GroupItem) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(item).await.map_err(closed)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// What waits for the worker.
struct Queue {
    requests: Receiver<GroupItem>,
    /// What was taken out of it and left for the next batch, in order.
    left: Mutex<VecDeque<GroupItem>>,
}

/// What a batch holds.
#[derive(Clone, Copy, Default)]
struct Load {
    requests: usize,
    bytes: usize,
}

impl Load {
    /// With one request more; `None` when that does not fit. The first one always does.
    fn with(self, item: &GroupItem) -> Option<Self> {
        let Self { requests, bytes } = self;
        let load = Self { requests: requests + 1, bytes: bytes.saturating_add(item.bytes()) };
        let fits = load.requests <= BATCH_REQUESTS_MAX && load.bytes <= GROUP_BYTES_MAX;
        (requests == 0 || fits).then_some(load)
    }
}

impl Queue {
    /// The next request, if one waits.
    fn next(&self) -> Option<GroupItem> {
        let left = self.left.lock().pop_front();
        left.or_else(|| self.requests.try_recv().ok())
    }

    /// A batch of `first` and what waits, as far as it fits.
    fn batch(&self, first: GroupItem) -> (Groups, Load) {
        let (mut groups, mut load) = (Groups::default(), Load::default());
        let mut next = Some(first);
        while let Some(item) = next {
            let Some(more) = load.with(&item) else {
                self.left.lock().push_front(item);
                break;
            };
            load = more;
            groups.push(item);
            next = self.next();
        }
        (groups, load)
    }

    /// Gives a group of a batch what has queued since, as far as the group takes it and it fits. No request
    /// overtakes an earlier one of its account: that is not taken either, or nothing is.
    fn join(&self, group: &mut dyn RunGroup, mut load: Load) {
        let mut left = self.left.lock();
        if !left.is_empty() {
            return;
        }
        while left.len() < BATCH_REQUESTS_MAX
            && let Ok(item) = self.requests.try_recv()
        {
            let Some(more) = load.with(&item) else {
                left.push_back(item);
                return;
            };
            match group.admit(item) {
                Some(item) => left.push_back(item),
                None => load = more,
            }
        }
    }
}

async fn run(pool: Pool, cache: Arc<Cache>, requests: Receiver<GroupItem>) {
    let queue = Queue { requests, left: Mutex::default() };
    // The connections of the last commits: the pool would ping each of them twice between two commits.
    let mut kept: Vec<Tx> = Vec::new();
    loop {
        let mut next = queue.next();
        if next.is_none() {
            kept.clear();
            next = queue.requests.recv().await.ok();
        }
        let Some(first) = next else { return };
        let (groups, load) = queue.batch(first);
        let groups = groups.into_vec().into_iter();
        let commits = groups.map(|group| commit(&pool, &cache, &queue, load, group, kept.pop()));
        let commits = join_all(commits.collect::<Vec<_>>());
        kept = commits.await.into_iter().flatten().collect();
    }
}

/// Commits a group and replies to all its requests. One that cannot be written fails alone. Takes the connection of an
/// earlier commit, and returns its own when that can be used again.
async fn commit(
    pool: &Pool,
    cache: &Cache,
    queue: &Queue,
    load: Load,
    mut group: Box<dyn RunGroup>,
    mut kept: Option<Tx>,
) -> Option<Tx> {
    let mut parts = Parts::of(&*group);
    while let Some(mut part) = parts.next() {
        let outcome = match pool.begin_on(kept.take()).await {
            Ok(mut tx) => {
                let work = async {
                    let is_whole = part.len() == group.len();
                    if group.lock(&mut tx, part.clone()).await? && is_whole {
                        queue.join(&mut *group, load);
                        part.end = group.len();
                    }
                    group.run(&mut tx, part.clone()).await
                };
                let outcome = timeout(ANSWER_MAX, work).await;
                let ended = end(pool, &mut tx, outcome, cache).await;
                kept = ended.is_ok().then_some(tx);
                ended
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            parts.failed(&mut *group, part, &error);
        }
    }
    if pool.leases.is_shared() {
        // Of what it has accepted for its own devices this node knows, and the others need not.
        let devices = group.devices().into_iter();
        pool.hints.send_accepted(devices.filter(|device| !pool.leases.owns(*device)));
    }
    group.finish(&Ok(()));
    kept
}
