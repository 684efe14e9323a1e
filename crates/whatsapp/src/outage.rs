//! Outages of our own store: when a connection is lost for one, WhatsApp has no part in it, so the
//! device connects again as soon as the store answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::error::StoreError;
use domain::ids::DeviceId;
use domain::ports::ProtocolStore;
use tokio::time::sleep;

use crate::limits::STORE_PROBE_PAUSE;

/// Whether the store was away since a device last began to connect. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outage(Arc<AtomicBool>);

impl Outage {
    /// A new connection begins.
    pub(crate) fn begin(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Notes that the store is away, when this error says so.
    pub(crate) fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Unavailable(_)) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Whether it was.
    pub(crate) fn was_noted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Waits until the store answers, well or badly.
pub(crate) async fn store_answers(store: &dyn ProtocolStore, device: DeviceId) {
    while let Err(StoreError::Unavailable(_)) = store.protocol_get(device, "device", "").await {
        sleep(STORE_PROBE_PAUSE).await;
    }
}
