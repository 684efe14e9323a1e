//! The tasks that run: started, found, retired and stopped here.
//!
//! The registry knows its tasks by their handles, and the tasks do not know the registry: a task
//! that has nothing left to do returns, and `supervisor` asks here whether it may go. Which devices run on
//! this node is decided by `ownership`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

use domain::device::{Device, DeviceStatus};
use domain::error::{Error, Result};
use domain::ids::{AccountId, DeviceId};
use domain::ports::{OutboxEntry, StoreResult};

use crate::context::EngineContext;
use crate::device::inbox::{Arrivals, Inbox, Input};
use crate::device::{DeviceTask, Stop};
use crate::supervisor::supervise;

/// How the task of a device is reached.
struct Handle {
    mailbox: mpsc::Sender<Input>,
    arrivals: Arc<Arrivals>,
    stop: watch::Sender<Stop>,
    /// Taken when the task is stopped, to wait for its end.
    task: Option<JoinHandle<()>>,
}

impl Handle {
    /// Asks the task to stop; where to wait for its end, unless that was asked before.
    fn stop(&mut self, stop: Stop) -> Option<JoinHandle<()>> {
        self.stop.send_replace(stop);
        self.task.take()
    }
}

enum Phase {
    /// Not started: what is accepted meanwhile waits here, for it may not be in what is loaded.
    New(Vec<OutboxEntry>),
    Running,
    /// Stopping, or stopped: what is accepted now is sent after the next start.
    Stopped,
}

/// Which devices run here.
enum Scope {
    All,
    Owned(HashMap<DeviceId, Owned>),
}

/// A device that this node owns.
enum Owned {
    /// What waits for it is being read; what is accepted meanwhile may not be in that.
    Loading(Vec<OutboxEntry>),
    Running,
}

struct State {
    phase: Phase,
    scope: Scope,
    devices: HashMap<DeviceId, Handle>,
}

impl State {
    /// Whether a device runs here, with all that waits for it.
    fn runs(&self, device: DeviceId) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Owned(owned) => matches!(owned.get(&device), Some(Owned::Running)),
        }
    }
}

fn by_device(outbox: Vec<OutboxEntry>) -> HashMap<DeviceId, Vec<OutboxEntry>> {
    let mut waiting: HashMap<DeviceId, Vec<OutboxEntry>> = HashMap::new();
    for entry in outbox {
        waiting.entry(entry.device_id).or_default().push(entry);
    }
    waiting
}

/// The tasks of all devices.
pub(crate) struct Registry {
    context: Arc<EngineContext>,
    state: Mutex<State>,
}

impl Registry {
    pub(crate) fn new(context: Arc<EngineContext>) -> Arc<Self> {
        let phase = Phase::New(Vec::new());
        let state = State { phase, scope: Scope::All, devices: HashMap::new() };
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
        let mut waiting = by_device(outbox);
        let early = {
            let mut state = self.state.lock();
            let Phase::New(early) = std::mem::replace(&mut state.phase, Phase::Running) else {
                return Err(Error::Conflict("the engine was started before"));
            };
            for device in devices {
                let entries = waiting.remove(&device.id).unwrap_or_default();
                self.start_device(&mut state, &device, entries);
            }
            early
        };
        self.accepted(early);
        Ok(())
    }

    /// From now on the devices run that are taken over, and no others.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was started before.
    pub(crate) fn start_owned(&self) -> Result<()> {
        let mut state = self.state.lock();
        // What was accepted before is read with all that waits.
        let Phase::New(_) = std::mem::replace(&mut state.phase, Phase::Running) else {
            return Err(Error::Conflict("the engine was started before"));
        };
        state.scope = Scope::Owned(HashMap::new());
        Ok(())
    }

    /// These devices are about to be taken over: to be called before what waits for them is read. Those of
    /// them that do not run yet: one that was made here does.
    pub(crate) fn begin_take_over(
        &self,
        devices: impl Iterator<Item = DeviceId>,
    ) -> HashSet<DeviceId> {
        let state = &mut *self.state.lock();
        self.adopt_new(state);
        let Scope::Owned(owned) = &mut state.scope else { return HashSet::new() };
        let begins = devices.filter(|device| {
            let owned = owned.entry(*device).or_insert(Owned::Loading(Vec::new()));
            matches!(owned, Owned::Loading(_))
        });
        begins.collect()
    }

    /// Takes devices over with what waits for them, and starts the tasks of those that are paired, are being
    /// paired, or have messages waiting. One that was released meanwhile is left.
    pub(crate) fn take_over(self: &Arc<Self>, devices: Vec<Device>, outbox: Vec<OutboxEntry>) {
        let mut waiting = by_device(outbox);
        let mut state = self.state.lock();
        if !matches!(state.phase, Phase::Running) {
            return;
        }
        for device in devices {
            let Scope::Owned(owned) = &mut state.scope else { return };
            let Some(owned) = owned.get_mut(&device.id) else { continue };
            let mut entries = waiting.remove(&device.id).unwrap_or_default();
            if let Owned::Loading(early) = std::mem::replace(owned, Owned::Running) {
                entries.extend(early);
            }
            self.start_device(&mut state, &device, entries);
        }
    }

    /// Stops the tasks of devices that this node runs no longer, and waits for their ends, which are bounded.
    pub(crate) async fn release(&self, devices: &[DeviceId], stop: Stop) {
        let tasks: Vec<_> = {
            let mut state = self.state.lock();
            if let Scope::Owned(owned) = &mut state.scope {
                owned.retain(|device, _| !devices.contains(device));
            }
            devices.iter().filter_map(|device| state.devices.get_mut(device)?.stop(stop)).collect()
        };
        join_all(tasks).await;
        let mut state = self.state.lock();
        devices.iter().for_each(|device| drop(state.devices.remove(device)));
    }

    /// As [`Registry::release`], of all devices at once.
    pub(crate) async fn release_all(&self) {
        let devices: Vec<DeviceId> = {
            let mut state = self.state.lock();
            if let Scope::Owned(owned) = &mut state.scope {
                owned.clear();
            }
            state.devices.keys().copied().collect()
        };
        self.release(&devices, Stop::AtOnce).await;
    }

    /// Whether this process runs a device, or would.
    pub(crate) fn runs(&self, device: DeviceId) -> bool {
        let state = &mut *self.state.lock();
        self.adopt_new(state);
        state.runs(device)
    }

    /// A device that was made here runs here, with nothing that waits yet.
    fn adopt_new(&self, state: &mut State) {
        if let Scope::Owned(owned) = &mut state.scope {
            let new = self.context.leases().take_new();
            owned.extend(new.into_iter().map(|device| (device, Owned::Running)));
        }
    }

    /// Starts the task of a device that has something to do.
    fn start_device(
        self: &Arc<Self>,
        state: &mut State,
        device: &Device,
        entries: Vec<OutboxEntry>,
    ) {
        let has_to_run = device.status.is_paired() || device.status == DeviceStatus::Pairing;
        if has_to_run || !entries.is_empty() {
            self.get_or_spawn(state, device.id, Some(device.account_id)).arrivals.add(entries);
        }
    }

    /// Gives messages to the queues of their devices, and starts the tasks that do not run. Those of other
    /// nodes' devices are left to these.
    pub(crate) fn accepted(self: &Arc<Self>, entries: Vec<OutboxEntry>) {
        let state = &mut *self.state.lock();
        self.adopt_new(state);
        match &mut state.phase {
            Phase::New(early) => early.extend(entries),
            Phase::Stopped => {}
            Phase::Running => {
                for entry in entries {
                    let (device, account) = (entry.device_id, entry.account_id);
                    if let Scope::Owned(owned) = &mut state.scope {
                        match owned.get_mut(&device) {
                            Some(Owned::Running) => {}
                            Some(Owned::Loading(early)) => {
                                early.push(entry);
                                continue;
                            }
                            None => continue,
                        }
                    }
                    self.get_or_spawn(state, device, Some(account)).arrivals.add([entry]);
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
        self.adopt_new(&mut state);
        match state.phase {
            Phase::New(_) => Err(Error::Conflict("the gateway is still starting")),
            Phase::Stopped => Err(Error::Conflict("the gateway is stopping")),
            Phase::Running if !state.runs(device) => Err(Error::RunsElsewhere(device)),
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
            state.devices.values_mut().filter_map(|handle| handle.stop(Stop::Gently)).collect()
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
        if let (Some(device), Phase::Running, true) = (device, &state.phase, state.runs(id)) {
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
            let (stop, stopped) = watch::channel(Stop::No);
            let task =
                DeviceTask::new(self.context.clone(), device, account, inbox, stopped.clone());
            let supervised = supervise(Arc::downgrade(self), self.context.clone(), task, stopped);
            // Of its own: whatever request happens to start the task, later lines are not about it. The
            // level `error` keeps the fields on lines of every level.
            let span = tracing::error_span!(
                parent: None,
                "device",
                %device,
                account = account.map(|account| account.0),
            );
            let task = Some(tokio::spawn(supervised.instrument(span)));
            Handle { mailbox, arrivals, stop, task }
        })
    }
}
