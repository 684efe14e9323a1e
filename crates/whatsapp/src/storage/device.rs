//! The device's own record: its keys, its number, its counters. One JSON blob.

use async_trait::async_trait;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::{DeviceState, to_json};

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
