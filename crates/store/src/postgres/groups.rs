//! Group commit: a worker takes everything that has queued and commits it at once, while the next
//! batch gathers. No request waits for a batch to fill.
//!
//! Each kind of request goes into a transaction of its own, concurrent with the others; it locks
//! its rows in order, once, so that no two of them can deadlock. Several batches at once would be
//! smaller ones that wait for each other's locks on the accounts.

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

async fn run(pool: Pool, cache: Arc<Cache>, requests: Receiver<GroupItem>) {
    let mut next = None;
    // The connections of the last commits: the pool would ping each of them twice between two commits.
    let mut kept: Vec<Tx> = Vec::new();
    loop {
        next = next.or_else(|| requests.try_recv().ok());
        if next.is_none() {
            kept.clear();
            next = requests.recv().await.ok();
        }
        if next.is_none() {
            return;
        }
        let mut groups = Groups::default();
        let (mut count, mut bytes) = (0, 0);
        while let Some(item) =
            next.take_if(|item| count == 0 || bytes + item.bytes() <= GROUP_BYTES_MAX)
        {
            count += 1;
            bytes += item.bytes();
            groups.push(item);
            next = (count < BATCH_REQUESTS_MAX).then(|| requests.try_recv().ok()).flatten();
        }
        let groups = groups.into_vec().into_iter();
        let commits = groups.map(|group| commit(&pool, &cache, group, kept.pop()));
        let commits = join_all(commits.collect::<Vec<_>>());
        kept = commits.await.into_iter().flatten().collect();
    }
}

/// Commits a group and replies to all its requests. One that cannot be written fails alone. Takes the connection of an
/// earlier commit, and returns its own when that can be used again.
async fn commit(
    pool: &Pool,
    cache: &Cache,
    mut group: Box<dyn RunGroup>,
    mut kept: Option<Tx>,
) -> Option<Tx> {
    let mut parts = Parts::of(&*group);
    while let Some(part) = parts.next() {
        let outcome = match pool.begin_on(kept.take()).await {
            Ok(mut tx) => {
                let outcome = timeout(ANSWER_MAX, group.run(&mut tx, part.clone())).await;
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
