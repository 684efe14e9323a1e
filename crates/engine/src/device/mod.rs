//! What the task of one device knows.

pub(crate) mod connection;
mod deletion;
pub(crate) mod files;
pub(crate) mod journal;
pub(crate) mod sending;
pub(crate) mod task_loop;
pub(crate) mod waits;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::{AbortHandle, BoxFuture};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use domain::chat::ChatId;
use domain::device::{Device, DeviceStatus};
use domain::error::{Result, StoreError};
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{ContentKind, Message};
use domain::ports::{MovedDevice, Recorded, SendError, StoreResult};

use crate::context::{Arrivals, Input, Shared};
use crate::device::connection::Pairing;
use crate::device::files::{NotReady, ReadyFile};
use crate::device::journal::Journal;
use crate::device::waits::Waits;
use crate::queue::{DeviceQueue, Settings};
use crate::reply::Reply;

/// Something that was begun and has come to its end.
pub(crate) enum Done {
    /// The body of a message was fetched.
    Loaded(MessageId, StoreResult<Option<Box<Message>>>),
    /// The file of a message was made ready, or was not.
    FileReady(MessageId, std::result::Result<ReadyFile, NotReady>),
    /// The messenger took a message, or did not.
    Sent(MessageId, Result<(), SendError>),
    /// A batch of the journal was written, or was not.
    Written(StoreResult<Wrote>),
    /// The device's row and settings were read; `None` when there is no such device any more.
    Configured(Option<Box<Configured>>, Vec<Reply<()>>),
    /// It is this device's turn to connect.
    ConnectTurn(OwnedSemaphorePermit),
    /// The messenger was asked to connect.
    ConnectAsked(Result<()>),
    /// The messenger was asked to link the device, for the n-th time.
    PairAsked(u64, Result<()>),
    /// The device was unlinked, or was not.
    Unlinked(Result<()>, Reply<()>),
    /// The device of this account was stopped for good.
    Stopped(AccountId, Reply<()>),
    /// Nothing has to follow.
    Nothing,
}

/// What the store answered to a batch.
pub(crate) enum Wrote {
    /// The messages that changed.
    Messages(Vec<Recorded>),
    /// The device as it is now; `None` when there is none.
    Device(Option<Box<MovedDevice>>),
    /// The device is erased: the messages that were cancelled; `None` when there was none.
    Erased(Option<Vec<Recorded>>),
}

impl Wrote {
    /// The messages that changed.
    pub(crate) fn recorded(&self) -> &[Recorded] {
        match self {
            Self::Messages(recorded) | Self::Erased(Some(recorded)) => recorded,
            Self::Device(_) | Self::Erased(None) => &[],
        }
    }
}

/// What a device's queue needs to know before it sends.
pub(crate) struct Configured {
    pub(crate) device: Device,
    pub(crate) settings: Settings,
    pub(crate) contacts: Vec<ChatId>,
    pub(crate) first_contacts_today: u32,
}

/// Why a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The gateway stops.
    Shutdown,
    /// The device is to be erased, or is gone.
    Removed,
}

/// The task of one device; `task_loop.rs` drives it.
pub(crate) struct DeviceTask {
    pub(crate) id: DeviceId,
    pub(crate) account: Option<AccountId>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) inputs: mpsc::Receiver<Input>,
    pub(crate) arrivals: Arc<Arrivals>,
    /// The device as it was last read or written.
    pub(crate) device: Option<Device>,
    /// Its state as it is, durable or not yet.
    pub(crate) status: Option<DeviceStatus>,
    pub(crate) reason: Option<String>,
    pub(crate) queue: DeviceQueue,
    pub(crate) is_configured: bool,
    pub(crate) journal: Journal,
    /// Those who wait until what they reported is durable; not in the journal yet.
    pub(crate) reporters: Vec<oneshot::Sender<StoreResult<()>>>,
    pub(crate) pairing: Option<Pairing>,
    pub(crate) pairings: u64,
    pub(crate) connect_turn: Option<(OwnedSemaphorePermit, Instant)>,
    pub(crate) bodies: HashMap<MessageId, Message>,
    /// What is making files ready.
    pub(crate) fetching: HashMap<MessageId, AbortHandle>,
    /// Files that are ready and not handed over yet.
    pub(crate) files: HashMap<MessageId, ReadyFile>,
    /// What the files of messages on their way have turned out to be.
    pub(crate) kinds: HashMap<MessageId, ContentKind>,
    pub(crate) waits: Waits,
    pub(crate) jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Whether the outage of the store has been logged.
    pub(crate) is_store_down: bool,
    /// Whether the last write failed, so that the next one comes after a pause.
    pub(crate) has_write_failed: bool,
    pub(crate) ending: Option<Ending>,
    sending: HashSet<MessageId>,
    counted: i64,
}

impl DeviceTask {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: DeviceId,
        account: Option<AccountId>,
        inputs: mpsc::Receiver<Input>,
        arrivals: Arc<Arrivals>,
    ) -> Self {
        let settings =
            Settings { pacing: shared.config.default_pacing.clone(), zone: TimeZone::UTC };
        let queue = DeviceQueue::new(settings, shared.clock.now());
        Self {
            id,
            account,
            shared,
            inputs,
            arrivals,
            device: None,
            status: None,
            reason: None,
            queue,
            is_configured: false,
            journal: Journal::default(),
            reporters: Vec::new(),
            pairing: None,
            pairings: 0,
            connect_turn: None,
            bodies: HashMap::new(),
            fetching: HashMap::new(),
            files: HashMap::new(),
            kinds: HashMap::new(),
            waits: Waits::default(),
            jobs: FuturesUnordered::new(),
            is_store_down: false,
            has_write_failed: false,
            ending: None,
            sending: HashSet::new(),
            counted: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Begins something; its end comes back through [`DeviceTask::finished`].
    pub(crate) fn begin(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.jobs.push(Box::pin(job));
    }

    pub(crate) fn is_paired(&self) -> bool {
        self.status.is_some_and(DeviceStatus::is_paired)
    }

    /// Shows a message as being sent.
    pub(crate) fn show_sending(&mut self, id: MessageId) {
        if self.sending.insert(id) && self.shared.sending.insert(id) {
            self.shared.stats.sending.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Shows a message as waiting again, unless it may have reached WhatsApp.
    pub(crate) fn hide_sending(&mut self, id: MessageId) {
        if !self.queue.may_have_arrived(id) {
            self.unmark(id);
        }
    }

    fn unmark(&mut self, id: MessageId) {
        if self.sending.remove(&id) && self.shared.sending.remove(id) {
            self.shared.stats.sending.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Brings the gauge of waiting messages up to date.
    pub(crate) fn count(&mut self) {
        let now = i64::try_from(self.queue.len()).unwrap_or(i64::MAX);
        let change = now - std::mem::replace(&mut self.counted, now);
        if change != 0 {
            self.shared.stats.queued.fetch_add(change, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Notes that the store did not do its part; logged once per outage.
    pub(crate) fn store_failed(&mut self, error: &StoreError) {
        self.shared.stats.store_errors.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if !std::mem::replace(&mut self.is_store_down, true) {
            tracing::warn!(device = %self.id, %error, "the store does not answer; trying again");
        }
    }
}

impl Drop for DeviceTask {
    fn drop(&mut self) {
        for id in self.sending.clone() {
            self.unmark(id);
        }
        let counted = std::mem::take(&mut self.counted);
        self.shared.stats.queued.fetch_sub(counted, std::sync::atomic::Ordering::Relaxed);
        self.shared.stats.device_moves(self.status.take(), None);
    }
}
