//! The switchboard: one thread that owns the database and all state.
//!
//! Everything that changes something is a *job* run on this thread, inside one database
//! transaction shared with the jobs that wait beside it (group commit). A job never writes
//! to a socket or answers a caller itself: it leaves *effects*, which are released, in
//! order, only after the commit. Hence the invariants the crash tests rely on:
//!
//! - an acknowledgement means that what it acknowledges is on disk;
//! - a phone's ratchet and its inbox row change together or not at all;
//! - a connection sees its mail in the order it was committed.
//!
//! A job that fails or panics is rolled back alone, to its savepoint.

mod conns;
mod mail;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{broadcast, mpsc, oneshot};
use wacore_libsignal::protocol::{SenderKeyRecord, SessionRecord};

pub(crate) use conns::{Conn, ConnId, Peer, failure};
pub(crate) use mail::StanzaClass;

use crate::address::{DeviceAddr, Number};
use crate::control::faults::Faults;
use crate::control::server::Version;
use crate::error::{Result, SimulatorError};
use crate::keys::{PhoneKeys, Seed};
use crate::limits::{CACHE_ENTRIES_MAX, JOBS_MAX, JOBS_PER_COMMIT_MAX};
use crate::media::MediaStore;
use crate::phone::pairing::{PairingState, PendingCodes};
use crate::stanza::{MediaHosts, Typing};

type Job = Box<dyn FnOnce(&mut Switchboard) + Send>;
type Effect = Box<dyn FnOnce(&mut Switchboard) + Send>;

/// A phone has changed; its page should reload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhoneChanged(pub(crate) Number);

/// Counters since the start.
#[derive(Default, Clone, Copy, serde::Serialize)]
pub(crate) struct Counters {
    /// Logins of linked devices, the refused ones too.
    pub(crate) logins: u64,
    /// Times that the newest version was asked for.
    pub(crate) versions_asked: u64,
    pub(crate) app_state_queries: u64,
    pub(crate) messages_in: u64,
    pub(crate) messages_acked: u64,
    /// Messages that came over an older connection of their device than one before.
    pub(crate) messages_stale: u64,
    pub(crate) receipts_in: u64,
    /// Receipts that named their chat, or the author, in another way than their account does.
    pub(crate) receipts_misaddressed: u64,
    pub(crate) mail_out: u64,
    pub(crate) decrypt_failures: u64,
    /// Scripted faults, as often as each struck.
    pub(crate) faults_struck: u64,
    pub(crate) commits: u64,
    pub(crate) jobs: u64,
    /// Jobs that panicked: none should.
    pub(crate) panics: u64,
}

/// All state. Lives on one thread.
pub(crate) struct Switchboard {
    pub(crate) db: Connection,
    pub(crate) seed: Seed,
    pub(crate) media: MediaStore,
    pub(crate) read_delay: Duration,
    pub(crate) base_host: Option<String>,
    pub(crate) conns: HashMap<ConnId, Conn>,
    pub(crate) by_device: HashMap<DeviceAddr, ConnId>,
    /// Over which connection each device has sent last.
    pub(crate) newest_senders: HashMap<DeviceAddr, ConnId>,
    pub(crate) next_conn: u64,
    pub(crate) refs: HashMap<String, ConnId>,
    pub(crate) codes: PendingCodes,
    pub(crate) pairings: HashMap<ConnId, PairingState>,
    pub(crate) faults: Faults,
    /// The oldest version of the protocol that is taken.
    pub(crate) min_version: Option<Version>,
    pub(crate) media_hosts: MediaHosts,
    pub(crate) typing: Typing,
    /// Phones with a wake-up for reading under way.
    pub(crate) reading: HashSet<Number>,
    pub(crate) counters: Counters,
    /// How many owners numbers had before their present ones, where there were any.
    pub(crate) recycled: HashMap<Number, u8>,
    /// Until when no number may write to strangers, in milliseconds.
    pub(crate) timelock_until: Option<i64>,
    /// Linked devices that are simulated here.
    pub(crate) companions: HashSet<DeviceAddr>,
    /// The ids of calls that linked devices have rejected.
    pub(crate) rejected_calls: Vec<String>,
    pub(crate) phone_keys: HashMap<Number, Arc<PhoneKeys>>,
    pub(crate) sessions: HashMap<(Number, DeviceAddr), SessionRecord>,
    pub(crate) sender_keys: HashMap<(Number, String, DeviceAddr), SenderKeyRecord>,
    pub(crate) changed: broadcast::Sender<PhoneChanged>,
    effects: Vec<Effect>,
    stopping: bool,
    runtime: tokio::runtime::Handle,
    jobs: mpsc::WeakSender<Job>,
}

/// The parts of a new switchboard.
pub(crate) struct SwitchboardStart {
    pub(crate) db: Connection,
    pub(crate) seed: Seed,
    pub(crate) media: MediaStore,
    pub(crate) read_delay: Duration,
    pub(crate) changed: broadcast::Sender<PhoneChanged>,
}

/// Sends jobs to the switchboard; cheap to clone. The thread ends with the last handle.
#[derive(Clone)]
pub(crate) struct SwitchboardHandle {
    jobs: mpsc::Sender<Job>,
}

impl SwitchboardHandle {
    /// Starts the thread. The receiver fires when it has ended.
    pub(crate) fn start(
        start: SwitchboardStart,
    ) -> Result<(SwitchboardHandle, oneshot::Receiver<()>)> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let (ended, on_end) = oneshot::channel();
        let mut switchboard = Switchboard::new(start, jobs.downgrade());
        std::thread::Builder::new().name("simulator-switchboard".into()).spawn(move || {
            switchboard.work(queue);
            let _ = ended.send(());
        })?;
        Ok((SwitchboardHandle { jobs }, on_end))
    }

    /// Runs `job` and waits until its result is durable.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Switchboard) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |sb| {
            let result = sb.in_savepoint(job);
            sb.after_commit(move |_| {
                let _ = reply.send(result);
            });
        });
        self.jobs.send(job).await.map_err(|_| SimulatorError::Closed)?;
        answer.await.map_err(|_| SimulatorError::Closed)?
    }

    /// Runs `job` later; a failure is only logged.
    pub(crate) async fn post(
        &self,
        job: impl FnOnce(&mut Switchboard) -> Result<()> + Send + 'static,
    ) {
        let _ = self.jobs.send(fire_and_forget(job)).await;
    }
}

fn fire_and_forget(job: impl FnOnce(&mut Switchboard) -> Result<()> + Send + 'static) -> Job {
    Box::new(move |sb| {
        if let Err(error) = sb.in_savepoint(job) {
            tracing::debug!(%error, "a job was rolled back");
        }
    })
}

impl Switchboard {
    fn new(start: SwitchboardStart, jobs: mpsc::WeakSender<Job>) -> Self {
        Switchboard {
            db: start.db,
            seed: start.seed,
            media: start.media,
            read_delay: start.read_delay,
            base_host: None,
            conns: HashMap::new(),
            by_device: HashMap::new(),
            next_conn: 1,
            refs: HashMap::new(),
            codes: PendingCodes::default(),
            pairings: HashMap::new(),
            faults: Faults::default(),
            min_version: None,
            media_hosts: MediaHosts::default(),
            typing: Typing::default(),
            reading: HashSet::new(),
            counters: Counters::default(),
            newest_senders: HashMap::new(),
            recycled: HashMap::new(),
            timelock_until: None,
            companions: HashSet::new(),
            rejected_calls: Vec::new(),
            phone_keys: HashMap::new(),
            sessions: HashMap::new(),
            sender_keys: HashMap::new(),
            changed: start.changed,
            effects: Vec::new(),
            stopping: false,
            runtime: tokio::runtime::Handle::current(),
            jobs,
        }
    }

    fn work(&mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            if let Err(error) = self.transaction(first, &mut queue) {
                tracing::error!(%error, "a transaction of the simulator failed; closing all connections");
                let _ = self.db.execute_batch("ROLLBACK");
                self.effects.clear();
                self.forget_cached_keys();
                self.close_everything();
            }
            if self.stopping {
                break;
            }
        }
        self.close_everything();
    }

    /// Ends the thread after this transaction; jobs that still wait are dropped.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    fn transaction(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) -> Result<()> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let mut next = Some(first);
        for _ in 0..JOBS_PER_COMMIT_MAX {
            let Some(job) = next else { break };
            job(self);
            self.counters.jobs += 1;
            next = queue.try_recv().ok();
        }
        if let Some(job) = next {
            // Taken from the queue already, so it runs in this transaction after all.
            job(self);
        }
        self.db.execute_batch("COMMIT")?;
        self.counters.commits += 1;
        for effect in std::mem::take(&mut self.effects) {
            effect(self);
        }
        self.bound_caches();
        Ok(())
    }

    /// Runs a job so that its failure, or its panic, undoes its own writes and effects only.
    fn in_savepoint<R>(&mut self, job: impl FnOnce(&mut Switchboard) -> Result<R>) -> Result<R> {
        let effects_before = self.effects.len();
        self.db.prepare_cached("SAVEPOINT job")?.execute([])?;
        let outcome = catch_unwind(AssertUnwindSafe(|| job(self))).unwrap_or_else(|_| {
            tracing::error!("a job of the simulator panicked");
            self.counters.panics += 1;
            Err(SimulatorError::Internal("a job panicked".into()))
        });
        if outcome.is_err() {
            self.effects.truncate(effects_before);
            self.forget_cached_keys();
            self.db.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        self.db.prepare_cached("RELEASE job")?.execute([])?;
        outcome
    }

    /// Adds an effect that runs when this transaction is durable.
    pub(crate) fn after_commit(&mut self, effect: impl FnOnce(&mut Switchboard) + Send + 'static) {
        self.effects.push(Box::new(effect));
    }

    /// Where the next effect will be.
    pub(crate) fn effect_mark(&self) -> usize {
        self.effects.len()
    }

    /// Moves the last effect before all those left since `mark`.
    pub(crate) fn last_effect_first(&mut self, mark: usize) {
        if let Some(since) = self.effects.get_mut(mark..)
            && !since.is_empty()
        {
            since.rotate_right(1);
        }
    }

    /// Runs `job` after `delay`, if the simulator is still there.
    pub(crate) fn later(
        &self,
        delay: Duration,
        job: impl FnOnce(&mut Switchboard) -> Result<()> + Send + 'static,
    ) {
        let jobs = self.jobs.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(jobs) = jobs.upgrade() {
                let _ = jobs.send(fire_and_forget(job)).await;
            }
        });
    }

    /// Fires after `delay`.
    pub(crate) fn over_after(&self, delay: Duration) -> oneshot::Receiver<()> {
        let (over, delayed) = oneshot::channel();
        self.later(delay, move |_| {
            let _ = over.send(());
            Ok(())
        });
        delayed
    }

    /// Notifies the pages of `number` to reload, after the commit.
    pub(crate) fn phone_changed(&mut self, number: Number) {
        if self.changed.receiver_count() > 0 {
            self.after_commit(move |sb| {
                let _ = sb.changed.send(PhoneChanged(number));
            });
        }
    }

    /// The keys of a phone.
    pub(crate) fn keys_of(&mut self, number: Number) -> Result<Arc<PhoneKeys>> {
        if let Some(keys) = self.phone_keys.get(&number) {
            return Ok(keys.clone());
        }
        let keys = Arc::new(self.seed.phone(number, self.generation(number)?)?);
        self.phone_keys.insert(number, keys.clone());
        Ok(keys)
    }

    fn forget_cached_keys(&mut self) {
        self.sessions.clear();
        self.sender_keys.clear();
    }

    fn bound_caches(&mut self) {
        if self.sessions.len() > CACHE_ENTRIES_MAX {
            self.sessions.clear();
        }
        if self.sender_keys.len() > CACHE_ENTRIES_MAX {
            self.sender_keys.clear();
        }
        if self.phone_keys.len() > CACHE_ENTRIES_MAX {
            self.phone_keys.clear();
        }
    }
}
