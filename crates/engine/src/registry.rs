//! The tasks that run: started, found, retired and stopped here.
//!
//! The registry knows its tasks by their handles, and the tasks do not know the registry: a task
//! that has nothing left to do returns, and `supervisor` asks here whether it may go. What decides
//! which devices run on this node belongs between this file and the store.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use domain::device::{Device, DeviceStatus};
use domain::error::{Error, Result};
use domain::ids::{AccountId, DeviceId};
use domain::ports::{OutboxEntry, StoreResult};

use crate::context::EngineContext;
use crate::device::DeviceTask;
use crate::device::inbox::{Arrivals, Inbox, Input};
use crate::supervisor::supervise;

/// How the task of a device is reached.
struct Handle {
    mailbox: mpsc::Sender<Input>,
    arrivals: Arc<Arrivals>,
    /// Taken when the gateway stops, to wait for the task's end.
    task: Option<JoinHandle<()>>,
}

enum Phase {
    /// Not started: what is accepted meanwhile waits here, for it may not be in what is loaded.
    New(Vec<OutboxEntry>),
    Running,
    /// Stopping, or stopped: what is accepted now is sent after the next start.
    Stopped,
}

struct State {
    phase: Phase,
    devices: HashMap<DeviceId, Handle>,
}

/// The tasks of all devices.
pub(crate) struct Registry {
    context: Arc<EngineContext>,
    state: Mutex<State>,
}

impl Registry {
    pub(crate) fn new(context: Arc<EngineContext>) -> Arc<Self> {
        let state = State { phase: Phase::New(Vec::new()), devices: HashMap::new() };
        Arc::new(Self { context, state: Mutex::new(state) })
    }

    /// Starts the tasks of the devices that are paired, are being paired, or have messages waiting.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was called before.
    pub(crate) fn start(
        self: &Arc<Self>,
        devices: Vec<Device>,
        outbox: Vec<OutboxEntry>,
    ) -> Result<()> {
        let mut waiting: HashMap<DeviceId, Vec<OutboxEntry>> = HashMap::new();
        for entry in outbox {
            waiting.entry(entry.device_id).or_default().push(entry);
        }
        let early = {
            let mut state = self.state.lock();
            let Phase::New(early) = std::mem::replace(&mut state.phase, Phase::Running) else {
                return Err(Error::Conflict("the engine was started before"));
            };
            for device in devices {
                let entries = waiting.remove(&device.id).unwrap_or_default();
                let has_to_run =
                    device.status.is_paired() || device.status == DeviceStatus::Pairing;
                if has_to_run || !entries.is_empty() {
                    let account = Some(device.account_id);
                    self.get_or_spawn(&mut state, device.id, account).arrivals.add(entries);
                }
            }
            early
        };
        self.accepted(early);
        Ok(())
    }

    /// Gives messages to the queues of their devices, and starts the tasks that do not run.
    pub(crate) fn accepted(self: &Arc<Self>, entries: Vec<OutboxEntry>) {
        let mut state = self.state.lock();
        match &mut state.phase {
            Phase::New(early) => early.extend(entries),
            Phase::Stopped => {}
            Phase::Running => {
                for entry in entries {
                    let (device, account) = (entry.device_id, entry.account_id);
                    self.get_or_spawn(&mut state, device, Some(account)).arrivals.add([entry]);
                }
            }
        }
    }

    /// How the task of a device is reached; `None` when none runs.
    pub(crate) fn mailbox(&self, device: DeviceId) -> Option<mpsc::Sender<Input>> {
        self.state.lock().devices.get(&device).map(|handle| handle.mailbox.clone())
    }

    /// As [`Registry::mailbox`]; starts the task when none runs.
    ///
    /// # Errors
    /// [`Error::Conflict`] while the gateway starts or stops.
    pub(crate) fn mailbox_or_start(
        self: &Arc<Self>,
        device: DeviceId,
    ) -> Result<mpsc::Sender<Input>> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::New(_) => Err(Error::Conflict("the gateway is still starting")),
            Phase::Stopped => Err(Error::Conflict("the gateway is stopping")),
            Phase::Running => Ok(self.get_or_spawn(&mut state, device, None).mailbox.clone()),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Stopped)
    }

    /// Stops all tasks and waits for their ends, which are bounded.
    pub(crate) async fn stop(&self) {
        // The mailboxes stay, so that acknowledgements still come through.
        let tasks: Vec<_> = {
            let mut state = self.state.lock();
            state.phase = Phase::Stopped;
            self.context.stop();
            state.devices.values_mut().filter_map(|handle| handle.task.take()).collect()
        };
        join_all(tasks).await;
        self.state.lock().devices.clear();
    }

    /// Lets a task go that has nothing left to do; false when something has just come for it.
    pub(crate) fn retire(&self, task: &DeviceTask) -> bool {
        let mut state = self.state.lock();
        if !task.is_undisturbed() {
            return false;
        }
        state.devices.remove(&task.id());
        true
    }

    /// Forgets a task that has ended with its device.
    pub(crate) fn forget(&self, device: DeviceId) {
        self.state.lock().devices.remove(&device);
    }

    /// Puts a new task into the place of one that has crashed; it goes on with what the store says.
    ///
    /// # Errors
    /// When the store cannot be read; to be called again then.
    pub(crate) async fn restart(self: &Arc<Self>, id: DeviceId) -> StoreResult<()> {
        let store = self.context.store();
        let device = store.device_by_id(id).await?;
        let waiting = match &device {
            Some(device) => store.outbox_of(device.account_id, id).await?,
            None => Vec::new(),
        };
        let mut state = self.state.lock();
        // Accepted since they were read.
        let late = state.devices.remove(&id).map(|crashed| crashed.arrivals.take());
        if let (Some(device), Phase::Running) = (device, &state.phase) {
            let handle = self.get_or_spawn(&mut state, id, Some(device.account_id));
            handle.arrivals.add(waiting.into_iter().chain(late.into_iter().flatten()));
        }
        Ok(())
    }

    fn get_or_spawn<'a>(
        self: &Arc<Self>,
        state: &'a mut State,
        device: DeviceId,
        account: Option<AccountId>,
    ) -> &'a mut Handle {
        state.devices.entry(device).or_insert_with(|| {
            let (mailbox, arrivals, inbox) = Inbox::new();
            let task = DeviceTask::new(self.context.clone(), device, account, inbox);
            let supervised = supervise(Arc::downgrade(self), self.context.clone(), task);
            // Of its own: whatever request happens to start the task, later lines are not about it. The
            // level `error` keeps the fields on lines of every level.
            let span = tracing::error_span!(
                parent: None,
                "device",
                %device,
                account = account.map(|account| account.0),
            );
            let task = Some(tokio::spawn(supervised.instrument(span)));
            Handle { mailbox, arrivals, task }
        })
    }
}
