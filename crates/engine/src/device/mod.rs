//! The task of one device: it owns the device's messages, its connection and its pairing.
//!
//! Each part owns its fields and is a file here; the task composes them, and its own functions say
//! what follows for the others when something happens to one:
//!
//! - `inbox`: what comes from outside; `jobs`: what was begun and has not ended.
//! - `outbox`: the queue and the messages in flight (`sending`, `files`, `receipts`).
//! - `connection` (with `requests` and `restriction`) and `pairing` (with `passkey`): the device itself; `deletion`: its end.
//! - `records`: what is still to be written down; `waits`: requests that wait for a message.
//! - `task_loop` runs it all. The registry above starts tasks; a task knows nothing of it.

mod bans;
mod connection;
mod deletion;
pub(crate) mod files;
mod gauges;
mod in_flight;
pub(crate) mod inbox;
mod jobs;
mod journal;
mod outbox;
mod pairing;
mod passkey;
mod receipts;
mod records;
mod reports;
mod requests;
mod restriction;
mod sending;
mod settings;
mod task_loop;
pub(crate) mod waits;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use domain::ids::{AccountId, DeviceId};

use crate::context::EngineContext;
use connection::Connection;
use inbox::Inbox;
use jobs::{Done, Jobs};
use outbox::Outbox;
use pairing::Pairing;
use records::Records;
use requests::ConnectRequests;
use restriction::RestrictionAsks;
use waits::Waits;

pub(crate) use connection::CLOSED_HERE_CODE;
pub(crate) use task_loop::CLOSE_WAIT;

/// Why [`DeviceTask::run`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing is left to do; it may be run again when something has just come.
    Idle,
    /// The gateway stops.
    Shutdown,
    /// The device is erased.
    Removed,
    /// Another node runs the device.
    Lost,
}

/// How a task is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is not.
    No,
    /// When what is under way has ended and is written down.
    Gently,
    /// At once, with nothing sent or written any more: another node may run the device by now.
    AtOnce,
}

/// Why a task is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The gateway stops.
    Shutdown,
    /// The device is to be erased, or is gone.
    Removed,
    /// Another node runs the device.
    Lost,
}

/// The task of one device.
pub(crate) struct DeviceTask {
    id: DeviceId,
    context: Arc<EngineContext>,
    inbox: Inbox,
    jobs: Jobs,
    outbox: Outbox,
    connection: Connection,
    requests: ConnectRequests,
    restriction: RestrictionAsks,
    pairing: Pairing,
    records: Records,
    waits: Waits,
    ending: Option<Ending>,
    stop: watch::Receiver<Stop>,
}

impl DeviceTask {
    /// A task at rest. Without its account it does nothing but what it is asked for.
    pub(crate) fn new(
        context: Arc<EngineContext>,
        id: DeviceId,
        account: Option<AccountId>,
        inbox: Inbox,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let task = Self {
            id,
            inbox,
            jobs: Jobs::default(),
            outbox: Outbox::new(context.clone()),
            connection: Connection::new(context.clone(), account),
            requests: ConnectRequests::default(),
            restriction: RestrictionAsks::default(),
            pairing: Pairing::default(),
            records: Records::default(),
            waits: Waits::default(),
            ending: None,
            stop,
            context,
        };
        task.configure(false, Vec::new());
        task
    }

    pub(crate) fn id(&self) -> DeviceId {
        self.id
    }

    /// Whether nothing has come that the task has not seen.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.inbox.is_undisturbed()
    }

    fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// Begins something; its end comes back through [`DeviceTask::finished`].
    fn begin(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.jobs.begin(job);
    }
}
