//! Group commit: a few workers take everything that has queued and commit it at once, while the
//! next batch gathers. Nobody waits for a batch to fill.
//!
//! Each kind of request goes into a transaction of its own, which locks its rows in order, once, so
//! that no two of them can wait for each other.

use std::sync::{Arc, Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{begin, end};
use crate::cache::Cache;
use crate::job::{GroupItem, Groups, Reply, RunGroup, answer};
use crate::sql::{SqlError, SqlResult};

/// Batches on their way at the same time.
const WORKERS: usize = 3;
/// Most requests that wait for a worker; further ones wait to get in.
const QUEUED_REQUESTS_MAX: usize = 4_096;
/// Most requests in one transaction.
const BATCH_REQUESTS_MAX: usize = 512;

/// The way to the workers.
pub(super) struct Workers {
    queue: Sender<GroupItem>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(super) fn start(pool: &PgPool, cache: &Arc<Cache>) -> Self {
        let (queue, requests) = async_channel::bounded(QUEUED_REQUESTS_MAX);
        let start = |_| tokio::spawn(run(pool.clone(), cache.clone(), requests.clone()));
        Self { queue, tasks: Mutex::new((0..WORKERS).map(start).collect()) }
    }

    pub(super) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> GroupItem) -> SqlResult<T> {
        let (reply, receiver) = oneshot::channel();
        self.send(ask(reply)).await?;
        answer(receiver).await
    }

    async fn send(&self, item: GroupItem) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(item).await.map_err(closed)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let _ = task.await;
        }
    }
}

async fn run(pool: PgPool, cache: Arc<Cache>, requests: Receiver<GroupItem>) {
    while let Ok(first) = requests.recv().await {
        let mut groups = Groups::default();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(item) = next {
            groups.push(item);
            count += 1;
            next = (count < BATCH_REQUESTS_MAX).then(|| requests.try_recv().ok()).flatten();
        }
        for group in groups.into_vec() {
            commit(&pool, &cache, group).await;
        }
    }
}

/// Commits a group and answers everybody in it.
async fn commit(pool: &PgPool, cache: &Cache, mut group: Box<dyn RunGroup>) {
    let outcome = match begin(pool).await {
        Ok(mut tx) => {
            let outcome = group.run(&mut tx).await;
            end(tx, outcome, cache).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        tracing::error!(%error, "a batch was rolled back");
    }
    group.finish(&outcome);
}
