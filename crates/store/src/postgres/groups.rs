//! Group commit: a few workers take everything that has queued and commit it at once, while the
//! next batch gathers. Nobody waits for a batch to fill.
//!
//! Acceptances and outcomes go into transactions of their own: each locks its accounts in order,
//! once, so that no two of them can wait for each other.

use std::sync::{Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use domain::message::Message;
use domain::ports::{Acceptance, Accepted, Progress};
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{begin, end};
use crate::job::{Group, GroupItem, RunGroup, answer};
use crate::sql::{SqlError, SqlResult};

/// Batches on their way at the same time.
const WORKERS: usize = 3;
/// Most requests that wait for a worker; further ones wait to get in.
const QUEUED_REQUESTS_MAX: usize = 4_096;
/// Most requests in one transaction.
const BATCH_REQUESTS_MAX: usize = 512;

/// The way to the workers.
pub(super) struct Groups {
    queue: Sender<GroupItem>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Groups {
    pub(super) fn start(pool: &PgPool) -> Self {
        let (queue, requests) = async_channel::bounded(QUEUED_REQUESTS_MAX);
        let start = |_| tokio::spawn(run(pool.clone(), requests.clone()));
        Self { queue, workers: Mutex::new((0..WORKERS).map(start).collect()) }
    }

    pub(super) async fn accept(&self, acceptance: Acceptance) -> SqlResult<Accepted> {
        let (reply, receiver) = oneshot::channel();
        self.send(GroupItem::Accept(acceptance, reply)).await?;
        answer(receiver).await
    }

    pub(super) async fn record(&self, progress: Vec<Progress>) -> SqlResult<Vec<Message>> {
        let (reply, receiver) = oneshot::channel();
        self.send(GroupItem::Record(progress, reply)).await?;
        answer(receiver).await
    }

    async fn send(&self, item: GroupItem) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(item).await.map_err(closed)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let workers =
            std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            let _ = worker.await;
        }
    }
}

async fn run(pool: PgPool, requests: Receiver<GroupItem>) {
    while let Ok(first) = requests.recv().await {
        let mut accepts = Group::<Acceptance, Accepted>::default();
        let mut records = Group::<Vec<Progress>, Vec<Message>>::default();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(item) = next {
            match item {
                GroupItem::Accept(acceptance, reply) => accepts.push(acceptance, reply),
                GroupItem::Record(progress, reply) => records.push(progress, reply),
            }
            count += 1;
            next = (count < BATCH_REQUESTS_MAX).then(|| requests.try_recv().ok()).flatten();
        }
        if !accepts.is_empty() {
            commit(&pool, accepts).await;
        }
        if !records.is_empty() {
            commit(&pool, records).await;
        }
    }
}

/// Commits a group and answers everybody in it.
async fn commit<I: Send, O: Send>(pool: &PgPool, mut group: Group<I, O>)
where
    Group<I, O>: RunGroup,
{
    let outcome = match begin(pool).await {
        Ok(mut tx) => {
            let outcome = group.run(&mut tx).await;
            end(tx, outcome).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        tracing::error!(%error, "a batch was rolled back");
    }
    group.finish(&outcome);
}
