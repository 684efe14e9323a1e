//! A few connections that read, each query with its own snapshot.
//!
//! Queries go to threads, each of which has a connection. A short one runs on its caller's thread instead while a
//! connection has nothing to do: to change threads and back costs more than the query.

use std::sync::Arc;
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::block_on;
use crate::OpenError;
use crate::job::Job;
use crate::sql::{SqlError, SqlResult, Tx};

/// Threads that read.
pub(super) const READERS: usize = 3;
/// Most queries that wait for a reader; further ones wait to be queued.
const QUEUED_READS_MAX: usize = 1_024;

/// The connection of a thread; `None` while the thread works with it, and after the end.
type Slot = Arc<Mutex<Option<Tx>>>;

/// A handle to the readers.
pub(super) struct Readers {
    queue: Sender<Box<dyn Job>>,
    slots: Vec<Slot>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Tx>) -> Result<Self, OpenError> {
        let (queue, jobs) = async_channel::bounded(QUEUED_READS_MAX);
        let slot = |tx| Arc::new(Mutex::new(Some(tx)));
        let slots: Vec<Slot> = connections.into_iter().map(slot).collect();
        let start = |(index, slot): (usize, &Slot)| {
            let (slot, jobs) = (Arc::clone(slot), jobs.clone());
            std::thread::Builder::new()
                .name(format!("store-reader-{index}"))
                .spawn(move || run(&slot, &jobs))
                .map_err(|error| OpenError::Database(error.to_string()))
        };
        let threads = slots.iter().enumerate().map(start).collect::<Result<_, _>>()?;
        Ok(Self { queue, slots, threads: Mutex::new(threads) })
    }

    pub(super) async fn send(&self, job: Box<dyn Job>) -> SqlResult<()> {
        let closed = |_| SqlError::Unavailable("the store is closed".into());
        self.queue.send(job).await.map_err(closed)
    }

    /// Runs a read of one statement here and now; gives it back when no connection is free. It needs no
    /// transaction: a statement has a snapshot of its own.
    pub(super) fn run_here<T, F>(&self, work: F) -> Result<SqlResult<T>, F>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>>,
    {
        for slot in &self.slots {
            if let Some(mut held) = slot.try_lock()
                && let Some(tx) = held.as_mut()
            {
                let found = block_on(work(tx));
                // That a row cannot be read is reported where it was read.
                if let Err(error) = &found
                    && !matches!(error, SqlError::Unreadable(_))
                {
                    tracing::error!(%error, "a read failed");
                }
                return Ok(found);
            }
        }
        Err(work)
    }

    pub(super) async fn close(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

fn run(slot: &Mutex<Option<Tx>>, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(mut job) = jobs.recv_blocking() {
        // Out of its slot, so that a connection goes with the thread when a job panics: its transaction is open.
        let Some(mut tx) = slot.lock().take() else { return };
        let outcome = snapshot(&mut tx, job.as_mut());
        *slot.lock() = Some(tx);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a read failed");
        }
        job.finish(outcome);
    }
    drop(slot.lock().take());
}

fn snapshot(tx: &mut Tx, job: &mut dyn Job) -> SqlResult<()> {
    block_on(tx.execute("BEGIN", &[]))?;
    let outcome = block_on(job.run(tx));
    block_on(tx.execute("COMMIT", &[]))?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::ClosureJob;
    use crate::sqlite::memory;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    fn here(tx: &mut Tx) -> BoxFuture<'_, SqlResult<ThreadId>> {
        Box::pin(async move {
            assert_eq!(tx.query("SELECT 1", &[]).await?.len(), 1);
            Ok(std::thread::current().id())
        })
    }

    #[tokio::test]
    async fn a_short_read_runs_here_unless_all_connections_are_taken() {
        let readers = Readers::start(vec![memory()]).unwrap();
        let found = readers.run_here(here).map_err(drop).unwrap();
        assert_eq!(found.unwrap(), std::thread::current().id());

        let (taken, is_taken) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (job, done) = ClosureJob::boxed(move |tx| {
            Box::pin(async move {
                let id = here(tx).await.unwrap();
                taken.send(id).unwrap();
                released.recv().unwrap();
                Ok(())
            })
        });
        readers.send(job).await.unwrap();
        assert_ne!(is_taken.recv().unwrap(), std::thread::current().id());
        assert!(readers.run_here(here).is_err(), "it is to be queued");
        release.send(()).unwrap();
        done.await.unwrap().unwrap();
        let found = readers.run_here(here).map_err(drop).unwrap();
        assert_eq!(found.unwrap(), std::thread::current().id());

        readers.close().await;
        assert!(readers.run_here(here).is_err(), "every connection is closed");
    }

    fn panics(_: &mut Tx) -> BoxFuture<'_, SqlResult<()>> {
        panic!("on purpose")
    }

    #[tokio::test]
    async fn a_connection_goes_with_the_job_that_panics() {
        let readers = Readers::start(vec![memory(), memory()]).unwrap();
        let (job, done) = ClosureJob::boxed(panics);
        readers.send(job).await.unwrap();
        assert!(done.await.is_err());
        for _ in 0..2 {
            assert!(readers.run_here(here).map_err(drop).unwrap().is_ok());
        }
        let left = readers.slots.iter().filter(|slot| slot.lock().is_some()).count();
        assert_eq!(left, 1, "not the one whose transaction is open");
        readers.close().await;
    }
}
