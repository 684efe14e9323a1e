//! The settings of a device's queue: the device's own, its account's time zone, its contacts.

use std::sync::Arc;

use jiff::Timestamp;

use domain::chat::ChatId;
use domain::device::Device;
use domain::ids::{AccountId, DeviceId};
use domain::ports::StoreResult;

use super::DeviceTask;
use super::jobs::Done;
use crate::context::EngineContext;
use crate::queue::Settings;
use crate::reply::Reply;
use crate::timing::{STORE_PAUSE, pause};

/// What the store knows of a device that its queue needs.
pub(super) struct LoadedSettings {
    device: Device,
    settings: Settings,
    contacts: Vec<ChatId>,
    first_contacts_today: u32,
}

impl DeviceTask {
    /// Reads the device's row, its settings and, where first contacts are limited, its contacts. Without its
    /// account the device is not looked for.
    pub(super) fn configure(&self, with_contacts: bool, replies: Vec<Reply<()>>) {
        let Some(account) = self.connection.account() else { return };
        let (context, id) = (self.context.clone(), self.id);
        self.begin(async move {
            loop {
                match load_settings(&context, account, id, with_contacts).await {
                    Ok(loaded) => return Done::Configured(loaded.map(Box::new), replies),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read the settings yet");
                        pause(STORE_PAUSE).await;
                    }
                }
            }
        });
    }

    /// The device's row and settings were read.
    pub(super) fn configured(&mut self, loaded: Option<Box<LoadedSettings>>) {
        let Some(loaded) = loaded else {
            self.gone();
            return;
        };
        let LoadedSettings { device, settings, contacts, first_contacts_today } = *loaded;
        let now = self.now();
        self.outbox.configure(settings, &contacts, first_contacts_today, now);
        if self.connection.status().is_some() {
            let is_changed = self.connection.is_changed_by(&device);
            self.connection.set_device(device);
            if is_changed {
                self.connect_anew();
            }
            return self.reconnect_as_asked();
        }
        // Later ones come as events, and may not be written yet.
        self.outbox.queue_mut().restrict(device.restricted_at(now), now);
        let (status, reason) = (device.status, device.reason.clone());
        self.connection.set_device(device);
        self.connection.set_status(status, reason);
        self.resume();
        self.reconnect_as_asked();
        self.pair_as_asked();
    }
}

async fn load_settings(
    context: &EngineContext,
    account: AccountId,
    id: DeviceId,
    with_contacts: bool,
) -> StoreResult<Option<LoadedSettings>> {
    let store = context.store();
    let Some(device) = store.device(account, id).await? else { return Ok(None) };
    let Some(account) = store.account(account).await? else { return Ok(None) };
    let zone = account.timezone.zone().clone();
    let pacing = device.pacing.clone().unwrap_or_else(|| context.default_pacing().clone());
    let settings = Settings { pacing, zone, linked_at: device.paired_at };
    let device = Arc::unwrap_or_clone(device);
    let has_limit = settings.pacing.first_contacts_per_day.is_some();
    if !with_contacts && !has_limit && device.restricted_at(context.now()).is_none() {
        let contacts = Vec::new();
        return Ok(Some(LoadedSettings { device, settings, contacts, first_contacts_today: 0 }));
    }
    let today = context.now().to_zoned(settings.zone.clone()).start_of_day();
    let today = today.map_or(Timestamp::MIN, |midnight| midnight.timestamp());
    let (contacts, first_contacts_today) = store.contacts(id, today).await?;
    Ok(Some(LoadedSettings { device, settings, contacts, first_contacts_today }))
}
