//! Takes devices over, and hands them over.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use tokio::time::Instant;

use domain::device::{Device, DeviceStatus, StatusChange};
use domain::ids::DeviceId;
use domain::node::{OwnedDevice, Registration};
use domain::ports::{MovedDevice, StoreResult};

use super::{Ownership, Taken};
use crate::context::EngineContext;
use crate::device::{CLOSED_HERE_CODE, Stop};
use crate::timing::{STORE_PAUSE, pause};

/// Most states of devices that are written at the same time.
const WRITES_AT_ONCE_MAX: usize = 64;
/// Most devices that are read at a time.
const READ_AT_ONCE_MAX: usize = 1_000;

impl Ownership {
    /// Takes over devices that were claimed under a registration, with all that waits for them.
    pub(super) async fn take_over(
        &self,
        registration: Registration,
        devices: &[OwnedDevice],
        reason: &str,
    ) -> StoreResult<()> {
        for chunk in devices.chunks(READ_AT_ONCE_MAX) {
            self.take_over_some(registration, chunk, reason).await?;
        }
        Ok(())
    }

    async fn take_over_some(
        &self,
        registration: Registration,
        owned: &[OwnedDevice],
        reason: &str,
    ) -> StoreResult<()> {
        let store = self.context.store();
        let begins = self.registry.begin_take_over(owned.iter().map(|owned| owned.device));
        owned.iter().for_each(|owned| self.leases.hold(registration, *owned));
        let ids: Vec<DeviceId> = owned.iter().map(|owned| owned.device).collect();
        let devices = store.devices_by_id(&ids).await?;
        let not_running = devices.iter().filter(|device| begins.contains(&device.id));
        show_disconnected(&self.context, not_running, reason).await?;
        let loaded = store.outbox_of_devices(owned).await?;
        {
            let mut seen = self.seen.lock();
            for (account, last) in loaded.last_ids {
                seen.entry(account).or_insert(last);
            }
        }
        if self.registration() != Some(registration) {
            // Everything was lost meanwhile, these too.
            self.registry.release(&ids, Stop::AtOnce).await;
            return Ok(());
        }
        self.registry.take_over(devices, loaded.entries);
        let at = Instant::now();
        let taken = owned.iter().map(|owned| (owned.device, Taken { owned: *owned, at }));
        self.taken.lock().extend(taken);
        let count = u64::try_from(owned.len()).unwrap_or(u64::MAX);
        self.context.stats().takeovers.fetch_add(count, Relaxed);
        self.count();
        Ok(())
    }

    /// Hands devices over: their tasks end, and then others may claim them.
    pub(super) async fn hand_over(
        self: Arc<Self>,
        registration: Registration,
        devices: Vec<OwnedDevice>,
    ) {
        let ids: Vec<DeviceId> = devices.iter().map(|owned| owned.device).collect();
        self.registry.release(&ids, Stop::Gently).await;
        ids.iter().for_each(|device| self.leases.drop_device(*device));
        while self.registration() == Some(registration) {
            match self.context.store().release_devices(registration, &devices).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(%error, "devices cannot be released yet");
                    pause(STORE_PAUSE).await;
                }
            }
        }
        self.leaving.lock().retain(|device, _| !ids.contains(device));
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        self.context.stats().add_released(count);
    }
}

/// Shows devices as not connected, for that is what they are now, whatever was last written, and emits that
/// as what it is: a lost connection that comes back.
pub(crate) async fn show_disconnected<'d>(
    context: &EngineContext,
    devices: impl Iterator<Item = &'d Device>,
    reason: &str,
) -> StoreResult<()> {
    let stale = devices.filter(|device| device.status == DeviceStatus::Connected);
    let stale: Vec<DeviceId> = stale.map(|device| device.id).collect();
    let writes = futures_util::stream::iter(stale).map(|id| async move {
        let change = StatusChange {
            reason: Some(reason.to_owned()),
            code: Some(CLOSED_HERE_CODE),
            should_reconnect: true,
            ..StatusChange::new(DeviceStatus::Connecting, context.now())
        };
        context.store().set_device_status(id, &change).await
    });
    let written: Vec<_> = writes.buffer_unordered(WRITES_AT_ONCE_MAX).collect().await;
    for written in written {
        let Some(MovedDevice { events, .. }) = written? else { continue };
        context.emit(&events);
    }
    Ok(())
}
