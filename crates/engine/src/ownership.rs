//! Which devices this node runs, where several share a database.
//!
//! Two tasks: `renewal` keeps the node registered and stops everything when that cannot be done in time;
//! [`balance`] looks once a second at what the node owns by the database, claims what no live node runs, hands
//! over what is beyond its share, and reads what other nodes have accepted for its devices.
//!
//! Invariants:
//! - A task of a device runs only while the node holds the device; it is stopped before the device is
//!   released, and before it is claimed again.
//! - What waits for a device is read after it was claimed and while what is accepted is collected, so that
//!   nothing is missed: [`Registry::begin_take_over`].

mod balance;
mod renewal;
mod take_over;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use domain::error::{Error, Result};
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::leases::Leases;
use domain::node::{LEASE, NewNode, OwnedDevice, Registration, SEND_WITHIN};

use crate::context::EngineContext;
use crate::device::Stop;
use crate::registry::Registry;
use crate::timing::within;

pub(crate) use take_over::show_disconnected;

/// How many devices a second a stopping node hands over at least.
const STOP_DRAIN_PER_S: u32 = 20;
/// How long a stopping node hands over devices.
const STOP_DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long the last words of a stopping node may take.
const LEAVE_WAIT: Duration = Duration::from_secs(2);

/// A device that was taken over.
#[derive(Debug, Clone, Copy)]
struct Taken {
    owned: OwnedDevice,
    at: Instant,
}

/// What this node owns, and the tasks that see to it.
pub(crate) struct Ownership {
    context: Arc<EngineContext>,
    registry: Arc<Registry>,
    leases: Arc<Leases>,
    node: NewNode,
    /// `None` while nothing may be owned.
    registration: watch::Sender<Option<Registration>>,
    taken: Mutex<HashMap<DeviceId, Taken>>,
    /// Devices that are being released.
    leaving: Mutex<HashMap<DeviceId, OwnedDevice>>,
    /// Up to which message what accounts accept is known.
    seen: Mutex<HashMap<AccountId, MessageId>>,
    /// Something is to be looked at before its time.
    look: Notify,
    /// Another process has taken this one's name: it must end.
    is_void: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Ownership {
    pub(crate) fn new(
        context: Arc<EngineContext>,
        registry: Arc<Registry>,
        node: NewNode,
    ) -> Arc<Self> {
        Arc::new(Self {
            leases: context.leases(),
            context,
            registry,
            node,
            registration: watch::Sender::new(None),
            taken: Mutex::default(),
            leaving: Mutex::default(),
            seen: Mutex::default(),
            look: Notify::new(),
            is_void: watch::Sender::new(false),
            tasks: Mutex::default(),
        })
    }

    /// Registers this process, unless it is registered, and keeps it so from then on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn register(self: &Arc<Self>) -> Result<()> {
        if self.registration().is_some() {
            return Ok(());
        }
        self.leases.fence();
        let began = Instant::now();
        let registration = self.context.store().register_node(&self.node, LEASE).await?;
        self.registered(registration, began);
        self.tasks.lock().push(tokio::spawn(renewal::keep(self.clone(), registration, began)));
        Ok(())
    }

    fn registered(&self, registration: Registration, began: Instant) {
        self.leases.renewed(registration, (began + SEND_WITHIN).into_std());
        self.registration.send_replace(Some(registration));
        self.look.notify_one();
    }

    /// Takes over what this node owns, claims its share of the rest, and goes on so.
    ///
    /// # Errors
    /// [`Error::Store`] when what is owned cannot be read; [`Error::Conflict`] when it was started before.
    pub(crate) async fn start(self: &Arc<Self>) -> Result<()> {
        self.registry.start_owned()?;
        let mut balance = balance::Balance::new(self.clone());
        balance.look().await.map_err(Error::Store)?;
        self.tasks.lock().push(tokio::spawn(balance.run()));
        Ok(())
    }

    fn registration(&self) -> Option<Registration> {
        *self.registration.borrow()
    }

    /// Becomes true when this process must end: another one has its name.
    pub(crate) fn void(&self) -> watch::Receiver<bool> {
        self.is_void.subscribe()
    }

    /// A device was erased here.
    pub(crate) fn erased(&self, device: DeviceId) {
        self.taken.lock().remove(&device);
        self.leases.drop_device(device);
        self.count();
    }

    /// Stops devices that another node runs, or may run by now.
    async fn lose(&self, devices: &[DeviceId]) {
        tracing::warn!(count = devices.len(), "devices that another node runs are stopped");
        for device in devices {
            self.leases.drop_device(*device);
            self.taken.lock().remove(device);
        }
        self.registry.release(devices, Stop::AtOnce).await;
        let count = u64::try_from(devices.len()).unwrap_or(u64::MAX);
        self.context.stats().devices_lost.fetch_add(count, Relaxed);
        self.count();
    }

    /// Stops everything: this node could not renew its registration in time.
    async fn lose_all(&self) {
        self.registration.send_replace(None);
        let held = self.leases.drop_all();
        let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
        self.context.stats().devices_lost.fetch_add(count, Relaxed);
        self.taken.lock().clear();
        self.registry.release_all().await;
        self.count();
    }

    /// Brings the gauge up to date.
    fn count(&self) {
        let owned = i64::try_from(self.taken.lock().len()).unwrap_or(i64::MAX);
        self.context.stats().owned_devices.store(owned, Relaxed);
    }

    /// Hands over all devices while other nodes take them, before the gateway stops. Bounded.
    pub(crate) async fn hand_over_all(&self) {
        let Some(registration) = self.registration() else { return };
        let store = self.context.store();
        let fleet = within(LEAVE_WAIT, store.fleet(registration)).await;
        let has_others =
            |fleet: domain::node::Fleet| fleet.taking > u32::from(fleet.drain_per_s.is_none());
        if !matches!(fleet, Some(Ok(Some(fleet))) if has_others(fleet)) {
            return;
        }
        let count = u32::try_from(self.taken.lock().len()).unwrap_or(u32::MAX);
        let in_time = u64::from(count).div_ceil(STOP_DRAIN_MAX.as_secs() * 3 / 4);
        let per_s = STOP_DRAIN_PER_S.max(u32::try_from(in_time).unwrap_or(u32::MAX));
        tracing::info!(devices = count, per_s, "handing over to the other nodes");
        let drained = within(LEAVE_WAIT, store.drain_node(registration.node, Some(per_s))).await;
        if !matches!(drained, Some(Ok(true))) {
            return;
        }
        self.look.notify_one();
        let mut gone = self.context.stats().released();
        let done = async {
            while !(self.taken.lock().is_empty() && self.leaving.lock().is_empty()) {
                if gone.changed().await.is_err() {
                    return;
                }
            }
        };
        if within(STOP_DRAIN_MAX, done).await.is_none() {
            tracing::warn!("not all devices were released in time");
        }
    }

    /// Ends the registration, once nothing runs any more: others may claim what is left.
    pub(crate) async fn leave(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        let Some(registration) = self.registration.send_replace(None) else { return };
        self.leases.drop_all();
        let left = within(LEAVE_WAIT, self.context.store().leave_node(registration)).await;
        if !matches!(left, Some(Ok(()))) {
            tracing::debug!("the registration of this node ends by itself");
        }
    }
}
