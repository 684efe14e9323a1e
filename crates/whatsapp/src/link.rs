//! The link of a number: stored before WhatsApp hears that the device has taken it, so that no phone lists a device
//! whose keys a crash has taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wacore::store::traits::DeviceStore as _;
use whatsapp_rust::store::persistence_manager::PersistenceManager;

use crate::storage::DeviceState;

/// What a client knows of its link, and whether that is stored.
pub(crate) struct Link {
    record: Arc<PersistenceManager>,
    state: Arc<DeviceState>,
    is_stored: AtomicBool,
}

impl Link {
    /// The link in `record`, to be stored in `state`.
    pub(crate) fn new(record: Arc<PersistenceManager>, state: Arc<DeviceState>) -> Self {
        let is_stored = AtomicBool::new(record.get_device_snapshot().pn.is_some());
        Self { record, state, is_stored }
    }

    /// Stores it once it is complete. The library writes its record some time after the answer that completes
    /// the link, so nothing is sent before this.
    pub(crate) async fn store(&self) -> anyhow::Result<()> {
        if self.is_stored.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.record.get_device_snapshot();
        // They are set one after the other, the LID last.
        if known.pn.is_some() && known.account.is_some() && known.lid.is_some() {
            self.state.save(&known.core).await?;
            self.is_stored.store(true, Ordering::Release);
        }
        Ok(())
    }
}
