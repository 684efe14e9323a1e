//! What the tasks of all devices have in common, and how they are reached.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use domain::device::{DeviceNotice, PairMethod, PairOffer};
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::Receipt;
use domain::ports::{Cancellation, MessengerEvent, OutboxEntry, Recorded, StoreResult};
use domain::webhook::Event;

use crate::EngineConfig;
use crate::device::DeviceTask;
use crate::device::files::FileShares;
use crate::device::task_loop::drive;
use crate::device::waits::Waited;
use crate::engine::EngineParts;
use crate::reply::Reply;
use crate::sending_set::SendingSet;
use crate::stats::EngineStats;
use crate::watchers::Watchers;
use crate::webhooks::Webhooks;

/// Most events and wishes that wait for one device; then the messenger waits.
pub(crate) const MAILBOX_MAX: usize = 256;
/// Most devices that are on their way to WhatsApp at the same time after a start.
pub(crate) const CONNECTS_MAX: usize = 48;

/// What the task of a device is told.
pub(crate) enum Input {
    /// The messenger reports something, receipts apart.
    Event(MessengerEvent),
    /// A recipient's phone reported messages; answered when that is durable.
    Receipt(Vec<WhatsappId>, Receipt, Timestamp, oneshot::Sender<StoreResult<()>>),
    /// A message is to be taken back.
    Cancel(MessageId, Reply<Cancellation>),
    /// Somebody waits for a message, until then.
    Wait(MessageId, Timestamp, Reply<Waited>),
    /// The device is to be linked.
    Pair(PairMethod, Reply<PairOffer>),
    /// The device is to be unlinked.
    Logout(Reply<()>),
    /// The device of this account is to be stopped and erased.
    Remove(AccountId, Reply<()>),
    /// The device's settings have changed.
    Reload(Reply<()>),
}

/// Messages on their way into a device's queue. Bounded by what the store accepts.
#[derive(Default)]
pub(crate) struct Arrivals {
    entries: Mutex<Vec<OutboxEntry>>,
    pub(crate) came: Notify,
}

impl Arrivals {
    pub(crate) fn add(&self, entries: impl IntoIterator<Item = OutboxEntry>) {
        self.entries.lock().extend(entries);
        self.came.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<OutboxEntry> {
        std::mem::take(&mut *self.entries.lock())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.lock().is_empty()
    }
}

/// How the task of a device is reached.
pub(crate) struct Handle {
    pub(crate) mailbox: mpsc::Sender<Input>,
    pub(crate) arrivals: Arc<Arrivals>,
    /// Taken by whoever waits for the task's end.
    pub(crate) task: Option<JoinHandle<()>>,
}

/// Where the engine is in its life.
pub(crate) enum Phase {
    /// Not started: what is accepted meanwhile waits here, for it may not be in what is loaded.
    New(Vec<OutboxEntry>),
    /// Running.
    Running,
    /// Stopping, or stopped: what is accepted now is sent after the next start.
    Stopped,
}

/// The tasks that run.
pub(crate) struct Registry {
    pub(crate) phase: Phase,
    pub(crate) devices: HashMap<DeviceId, Handle>,
}

/// What the tasks of all devices share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) parts: EngineParts,
    pub(crate) stats: EngineStats,
    pub(crate) sending: SendingSet,
    pub(crate) watchers: Watchers<DeviceId, DeviceNotice>,
    pub(crate) listeners: Watchers<AccountId, Event>,
    pub(crate) webhooks: Webhooks,
    pub(crate) connects: Arc<Semaphore>,
    pub(crate) files: FileShares,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) registry: Mutex<Registry>,
}

impl std::ops::Deref for Shared {
    type Target = EngineParts;

    fn deref(&self) -> &EngineParts {
        &self.parts
    }
}

impl Shared {
    /// Tells what is durable to those who listen, and to webhooks.
    pub(crate) fn tell(&self, events: &[Event]) {
        for event in events {
            self.webhooks.nudge(event.account_id);
            self.listeners.notify(event.account_id, event.clone());
        }
    }

    /// As [`Shared::tell`], of messages.
    pub(crate) fn tell_of(&self, recorded: &[Recorded]) {
        for recorded in recorded {
            self.tell(&recorded.events);
        }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock()
    }

    /// Gives messages to the queues of their devices, and starts those that do not run.
    pub(crate) fn arrive(self: &Arc<Self>, entries: Vec<OutboxEntry>) {
        let mut registry = self.registry();
        match &mut registry.phase {
            Phase::New(early) => early.extend(entries),
            Phase::Stopped => {}
            Phase::Running => {
                for entry in entries {
                    let (device, account) = (entry.device_id, entry.account_id);
                    self.get_or_spawn(&mut registry, device, Some(account)).arrivals.add([entry]);
                }
            }
        }
    }

    /// The task of a device; started when it does not run.
    pub(crate) fn get_or_spawn<'a>(
        self: &Arc<Self>,
        registry: &'a mut Registry,
        device: DeviceId,
        account: Option<AccountId>,
    ) -> &'a mut Handle {
        registry.devices.entry(device).or_insert_with(|| {
            let (mailbox, inputs) = mpsc::channel(MAILBOX_MAX);
            let arrivals = Arc::new(Arrivals::default());
            let task = DeviceTask::new(self.clone(), device, account, inputs, arrivals.clone());
            Handle { mailbox, arrivals, task: Some(tokio::spawn(drive(task))) }
        })
    }
}
