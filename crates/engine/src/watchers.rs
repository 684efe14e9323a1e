//! Who watches which device.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use domain::device::DeviceNotice;
use domain::ids::DeviceId;

/// Notices kept for a watcher that is slow; it misses older ones.
pub(crate) const NOTICES_KEPT_MAX: usize = 32;

/// Channels to watchers, made when somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<DeviceId, broadcast::Sender<DeviceNotice>>>);

impl Watchers {
    pub(crate) fn watch(&self, device: DeviceId) -> BoxStream<'static, DeviceNotice> {
        let receiver = self
            .lock()
            .entry(device)
            .or_insert_with(|| broadcast::channel(NOTICES_KEPT_MAX).0)
            .subscribe();
        stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(notice) => return Some((notice, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    pub(crate) fn notify(&self, device: DeviceId, notice: DeviceNotice) {
        let mut channels = self.lock();
        // An error means that nobody is left.
        if channels.get(&device).is_some_and(|channel| channel.send(notice).is_err()) {
            channels.remove(&device);
        }
    }

    /// Ends the streams of a device.
    pub(crate) fn close(&self, device: DeviceId) {
        self.lock().remove(&device);
    }

    /// Ends all streams.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, broadcast::Sender<DeviceNotice>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
