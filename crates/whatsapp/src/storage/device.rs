//! The device's own record: its keys, its number, its counters. One JSON blob.

use async_trait::async_trait;
use domain::device::LinkedNumber;
use domain::ids::DeviceId;
use domain::ports::{ProtocolStore, StoreResult};
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::{DeviceState, from_json, to_json};
use crate::events;

const DEVICE: &str = "device";
/// The only key of its space.
const SELF: &str = "self";

#[async_trait]
impl DeviceStore for DeviceState {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put(DEVICE, SELF, to_json(device)?).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        self.get_json(DEVICE, SELF).await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.get(DEVICE, SELF).await?.is_some())
    }

    async fn create(&self) -> Result<i32> {
        // The library's own numbering of devices; a state is always of one device.
        if !self.exists().await? {
            self.save(&Device::new()).await?;
        }
        Ok(1)
    }
}

/// The number that a device is linked to by its stored record; `None` also when that cannot be read, or the
/// link in it is not complete: WhatsApp has not heard of that one.
pub(crate) async fn linked_number(
    sessions: &dyn ProtocolStore,
    device: DeviceId,
) -> StoreResult<Option<LinkedNumber>> {
    let stored = sessions.protocol_get(device, DEVICE, SELF).await?;
    let record = stored.and_then(|bytes| from_json::<Device>(&bytes).ok());
    let linked = record.as_ref().and_then(|record| {
        let (pn, _) = (record.pn.as_ref()?, record.account.as_ref()?);
        Some(events::linked_number(pn, record.lid.as_ref()))
    });
    Ok(linked)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use waproto::whatsapp as wa;

    use super::*;
    use crate::storage::conformance::fresh;

    #[tokio::test]
    async fn only_a_complete_link_counts() {
        let ((sessions, state), device) = (fresh(), DeviceId(uuid::Uuid::from_u128(1)));
        assert_eq!(linked_number(&*sessions, device).await.unwrap(), None);
        let mut record = Device::new();
        record.pn = Some("62811:3@s.whatsapp.net".parse().unwrap());
        state.save(&record).await.unwrap();
        assert_eq!(linked_number(&*sessions, device).await.unwrap(), None);
        record.account = Some(Arc::new(wa::ADVSignedDeviceIdentity::default()));
        state.save(&record).await.unwrap();
        let linked = linked_number(&*sessions, device).await.unwrap().unwrap();
        assert_eq!((linked.phone.as_str(), linked.lid), ("62811", None));
    }
}
