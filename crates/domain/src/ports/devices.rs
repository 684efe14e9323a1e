//! Devices, as they are stored.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{NewKey, Page, PageRequest, Recorded, StoreResult};
use crate::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, Heartbeats, NewDevice, StatusChange,
};
use crate::ids::{AccountId, DeviceId};
use crate::webhook::Event;

/// What became of a device that was to be made.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "made once, and matched at once")]
pub enum CreatedDevice {
    /// The device.
    Created(Device),
    /// The account has as many as its plan allows.
    LimitReached,
}

/// A device whose state has been recorded.
#[derive(Debug, Clone)]
pub struct MovedDevice {
    /// As it is now.
    pub device: Device,
    /// The events it caused.
    pub events: Vec<Event>,
}

/// Devices.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Makes a device and its token, within `limit` devices of the account (exact also when
    /// several are made at once).
    async fn create_device(
        &self,
        device: NewDevice,
        token: NewKey,
        limit: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<CreatedDevice>;
    /// One device of an account. On the path of every request: answers from memory where it can.
    async fn device(&self, account: AccountId, id: DeviceId) -> StoreResult<Option<Arc<Device>>>;
    /// One device of an account as it is remembered, without asking the database: what another node has changed
    /// is known a second later. `None` where it is not remembered.
    fn known_device(&self, _account: AccountId, _id: DeviceId) -> Option<Arc<Device>> {
        None
    }
    /// The same for the devices of an account that are wanted, all of them and at least one.
    fn known_devices(
        &self,
        _account: AccountId,
        _filter: &DeviceFilter,
    ) -> Option<Vec<Arc<Device>>> {
        None
    }
    /// Whether any account has this device; dialects distinguish "not yours" from "unknown".
    async fn device_exists(&self, id: DeviceId) -> StoreResult<bool>;
    /// The devices of an account by `number_id`, newest first; `before` is a `number_id`.
    async fn devices(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Device>>;
    /// The devices of an account that are wanted, by `number_id`, lowest first.
    async fn find_devices(
        &self,
        account: AccountId,
        filter: &DeviceFilter,
        limit: u32,
    ) -> StoreResult<Vec<Device>>;
    /// The devices of an account to choose from: linked ones before others, and the newest first.
    async fn devices_to_choose(&self, account: AccountId, limit: u32) -> StoreResult<Vec<Device>>;
    /// How many devices of an account, or of all, have which status, by its name; a status that none has is left
    /// out.
    async fn count_devices(
        &self,
        account: Option<AccountId>,
    ) -> StoreResult<Vec<(DeviceStatus, i64)>>;
    /// One device, whatever account it belongs to; for the engine when it restarts a device's task.
    async fn device_by_id(&self, id: DeviceId) -> StoreResult<Option<Arc<Device>>>;
    /// Every device of every account; for the engine at its start.
    async fn all_devices(&self) -> StoreResult<Vec<Device>>;
    /// Changes a device's settings; `None` when there is none.
    async fn update_device(
        &self,
        account: AccountId,
        id: DeviceId,
        patch: DevicePatch,
    ) -> StoreResult<Option<Device>>;
    /// Records a change of state, with its events ([`Event::of_device`]): the device
    /// as it is now. `linked` sets phone, LID and `paired_at`; `Connected` sets `connected_at`;
    /// leaving `Connected` sets `last_seen_at`. `None` when there is no such device any more.
    async fn set_device_status(
        &self,
        id: DeviceId,
        change: &StatusChange,
    ) -> StoreResult<Option<MovedDevice>>;
    /// Records until when WhatsApp lets a device's number write to no strangers; `None` when it may.
    /// A new end is an event ([`Event::of_restriction`]). `None` when there is no such device any more.
    async fn restrict_device(
        &self,
        id: DeviceId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> StoreResult<Option<MovedDevice>>;
    /// Notes that these devices were alive in this minute.
    async fn beat(&self, devices: &[DeviceId], at: Timestamp) -> StoreResult<()>;
    /// In which minutes a device of an account was alive, by hour, from the hour of `since` on.
    async fn heartbeats(
        &self,
        account: AccountId,
        id: DeviceId,
        since: Timestamp,
    ) -> StoreResult<Vec<Heartbeats>>;
    /// Erases a device, its token, its session and contacts; its waiting messages end as
    /// cancelled and are refunded: those are the answer. Its history stays. `None` when the account
    /// has none such.
    async fn delete_device(
        &self,
        account: AccountId,
        id: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<Recorded>>>;
}
