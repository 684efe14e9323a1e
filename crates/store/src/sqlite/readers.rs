//! A few threads that read, each with its own connection and, for each query, its own snapshot.

use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::block_on;
use crate::OpenError;
use crate::job::Job;
use crate::sql::{SqlError, SqlResult, Tx};

/// Threads that read.
pub(super) const READERS: usize = 3;
/// Most queries that wait for a reader; further ones wait to be queued.
const QUEUED_READS_MAX: usize = 1_024;

/// A handle to the readers.
pub(super) struct Readers {
    queue: Sender<Box<dyn Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Tx>) -> Result<Self, OpenError> {
        let (queue, jobs) = async_channel::bounded(QUEUED_READS_MAX);
        let start = |(index, tx): (usize, Tx)| {
            let jobs: Receiver<Box<dyn Job>> = jobs.clone();
            std::thread::Builder::new()
                .name(format!("store-reader-{index}"))
                .spawn(move || run(tx, &jobs))
                .map_err(|error| OpenError::Database(error.to_string()))
        };
        let threads = connections.into_iter().enumerate().map(start).collect::<Result<_, _>>()?;
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    pub(super) async fn send(&self, job: Box<dyn Job>) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(job).await.map_err(closed)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

fn run(mut tx: Tx, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(mut job) = jobs.recv_blocking() {
        let outcome = snapshot(&mut tx, job.as_mut());
        if let Err(error) = &outcome {
            tracing::error!(%error, "a read failed");
        }
        job.finish(outcome);
    }
}

fn snapshot(tx: &mut Tx, job: &mut dyn Job) -> SqlResult<()> {
    block_on(tx.execute("BEGIN", &[]))?;
    let outcome = block_on(job.run(tx));
    block_on(tx.execute("COMMIT", &[]))?;
    outcome
}
