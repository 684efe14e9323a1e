//! The port of devices.

use std::sync::Arc;

use async_trait::async_trait;
use domain::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, Heartbeats, NewDevice, StatusChange,
};
use domain::ids::{AccountId, DeviceId};
use domain::ports::{
    CreatedDevice, DeviceStore, MovedDevice, NewKey, Page, PageRequest, Recorded, StoreResult,
};
use jiff::Timestamp;

use super::SqlStore;
use crate::devices;

#[async_trait]
impl DeviceStore for SqlStore {
    async fn create_device(
        &self,
        device: NewDevice,
        token: NewKey,
        limit: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<CreatedDevice> {
        let created: StoreResult<_> =
            run!(self.write, devices::create_device, device, token, limit, now);
        created.inspect(|created| self.hold_created(created))
    }

    async fn device(&self, account: AccountId, id: DeviceId) -> StoreResult<Option<Arc<Device>>> {
        let error = match self.any_device(id).await {
            Ok(device) => return Ok(device.filter(|device| device.account_id == account)),
            Err(error) => error,
        };
        // Another account's is no fault of this one, also where it cannot be read.
        let is_owned = self.read(move |tx| Box::pin(devices::is_owned(tx, account, id))).await?;
        if is_owned { Err(error) } else { Ok(None) }
    }

    fn known_device(&self, account: AccountId, id: DeviceId) -> Option<Arc<Device>> {
        self.cache().devices.get(&id).ok().filter(|device| device.account_id == account)
    }

    fn known_devices(&self, account: AccountId, filter: &DeviceFilter) -> Option<Vec<Arc<Device>>> {
        self.cache().found(account, filter)
    }

    async fn device_exists(&self, id: DeviceId) -> StoreResult<bool> {
        Ok(self.any_device(id).await?.is_some())
    }

    async fn devices(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Device>> {
        run!(self.read, devices::devices, account, page)
    }

    async fn find_devices(
        &self,
        account: AccountId,
        filter: &DeviceFilter,
        limit: u32,
    ) -> StoreResult<Vec<Device>> {
        let (generation, wanted) = (self.cache().look_up_generation(), filter.clone());
        let found: Vec<Device> = self
            .read(move |tx| Box::pin(devices::find_devices(tx, account, wanted, limit)))
            .await?;
        if found.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            self.cache().keep_found(&generation, account, filter.clone(), &found);
        }
        Ok(found)
    }

    async fn devices_to_choose(&self, account: AccountId, limit: u32) -> StoreResult<Vec<Device>> {
        run!(self.read, devices::devices_to_choose, account, limit)
    }

    async fn count_devices(
        &self,
        account: Option<AccountId>,
    ) -> StoreResult<Vec<(DeviceStatus, i64)>> {
        run!(self.read, devices::count_devices, account)
    }

    async fn device_by_id(&self, id: DeviceId) -> StoreResult<Option<Arc<Device>>> {
        self.any_device(id).await
    }

    async fn all_devices(&self) -> StoreResult<Vec<Device>> {
        run!(self.read, devices::all_devices)
    }

    async fn update_device(
        &self,
        account: AccountId,
        id: DeviceId,
        patch: DevicePatch,
    ) -> StoreResult<Option<Device>> {
        run!(self.write, devices::update_device, account, id, patch)
    }

    async fn set_device_status(
        &self,
        id: DeviceId,
        change: &StatusChange,
    ) -> StoreResult<Option<MovedDevice>> {
        let change = change.clone();
        run!(self.write, devices::set_device_status, id, change)
    }

    async fn restrict_device(
        &self,
        id: DeviceId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> StoreResult<Option<MovedDevice>> {
        run!(self.write, devices::restrict_device, id, until, now)
    }

    async fn beat(&self, devices: &[DeviceId], at: Timestamp) -> StoreResult<()> {
        let devices = devices.to_vec();
        run!(self.write, devices::beat, devices, at)
    }

    async fn heartbeats(
        &self,
        account: AccountId,
        id: DeviceId,
        since: Timestamp,
    ) -> StoreResult<Vec<Heartbeats>> {
        run!(self.read, devices::heartbeats, account, id, since)
    }

    async fn delete_device(
        &self,
        account: AccountId,
        id: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<Recorded>>> {
        run!(self.write_long, devices::delete_device, account, id, now)
    }
}
