//! Devices.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use domain::client::ShownAs;
use domain::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, Heartbeats, IncomingSettings, NewDevice,
    StatusChange,
};
use domain::ids::{AccountId, DeviceId, DeviceNumber};
use domain::incoming_file::MediaDownload;
use domain::message::MessageEvent;
use domain::ports::{
    CreatedDevice, DeviceStore, MovedDevice, NewKey, Page, PageRequest, Progress, Recorded,
    StoreResult,
};
use domain::webhook::Event;
use jiff::Timestamp;

use super::{MemoryStore, State, page_of, stored};

#[async_trait]
impl DeviceStore for MemoryStore {
    async fn create_device(
        &self,
        device: NewDevice,
        token: NewKey,
        limit: Option<i64>,
        now: Timestamp,
    ) -> StoreResult<CreatedDevice> {
        let mut state = self.state();
        let NewDevice { id, account_id, name } = device;
        let count = state.devices.iter().filter(|other| other.account_id == account_id).count();
        let count = i64::try_from(count).expect("few devices");
        if limit.is_some_and(|limit| count >= limit) || !state.accounts.contains_key(&account_id) {
            return Ok(CreatedDevice::LimitReached);
        }
        let device = Device {
            id,
            number_id: DeviceNumber(state.next_id("devices")),
            account_id,
            name,
            status: DeviceStatus::Unpaired,
            reason: None,
            phone: None,
            lid: None,
            pacing: None,
            shown_as: ShownAs::default(),
            proxy: None,
            media_download: MediaDownload::default(),
            incoming: IncomingSettings::default(),
            restricted_until: None,
            banned_until: None,
            paired_at: None,
            connected_at: None,
            last_seen_at: None,
            created_at: stored(now),
        };
        state.devices.push(device.clone());
        state.add_token(account_id, id, token, now);
        state.nodes.created(id, account_id);
        Ok(CreatedDevice::Created(device))
    }

    async fn device(&self, account: AccountId, id: DeviceId) -> StoreResult<Option<Arc<Device>>> {
        Ok(self.state().owned(account, id).cloned().map(Arc::new))
    }

    async fn device_exists(&self, id: DeviceId) -> StoreResult<bool> {
        Ok(self.state().devices.iter().any(|device| device.id == id))
    }

    async fn devices(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Device>> {
        let before = page.before.unwrap_or(i64::MAX);
        let state = self.state();
        let items = state.devices.iter().rev();
        let items = items.filter(|d| d.account_id == account && d.number_id.0 < before).cloned();
        Ok(page_of(items.collect(), page.limit))
    }

    async fn find_devices(
        &self,
        account: AccountId,
        filter: &DeviceFilter,
        limit: u32,
    ) -> StoreResult<Vec<Device>> {
        let state = self.state();
        let found = state.devices.iter().filter(|d| d.account_id == account && filter.matches(d));
        Ok(found.take(usize::try_from(limit).expect("a small limit")).cloned().collect())
    }

    async fn devices_to_choose(&self, account: AccountId, limit: u32) -> StoreResult<Vec<Device>> {
        let state = self.state();
        let mut own: Vec<_> = state.devices.iter().filter(|d| d.account_id == account).collect();
        own.sort_by_key(|device| (!device.status.is_paired(), Reverse(device.number_id)));
        Ok(own.into_iter().take(usize::try_from(limit).expect("a small limit")).cloned().collect())
    }

    async fn device_by_id(&self, id: DeviceId) -> StoreResult<Option<Arc<Device>>> {
        let state = self.state();
        Ok(state.devices.iter().find(|device| device.id == id).cloned().map(Arc::new))
    }

    async fn all_devices(&self) -> StoreResult<Vec<Device>> {
        Ok(self.state().devices.clone())
    }

    async fn count_devices(
        &self,
        account: Option<AccountId>,
    ) -> StoreResult<Vec<(DeviceStatus, i64)>> {
        let mut counts: Vec<(DeviceStatus, i64)> = Vec::new();
        let state = self.state();
        let is_counted = |d: &&Device| account.is_none_or(|account| d.account_id == account);
        for device in state.devices.iter().filter(is_counted) {
            match counts.iter_mut().find(|(status, _)| *status == device.status) {
                Some((_, count)) => *count += 1,
                None => counts.push((device.status, 1)),
            }
        }
        counts.sort_by_key(|(status, _)| status.as_str());
        Ok(counts)
    }

    async fn update_device(
        &self,
        account: AccountId,
        id: DeviceId,
        patch: DevicePatch,
    ) -> StoreResult<Option<Device>> {
        let mut state = self.state();
        let Some(device) = state.owned(account, id) else { return Ok(None) };
        device.incoming = patch.incoming(device.incoming.clone());
        if let Some(name) = patch.name {
            device.name = name;
        }
        if let Some(pacing) = patch.pacing {
            device.pacing = pacing;
        }
        if let Some(shown_as) = patch.shown_as {
            device.shown_as = shown_as;
        }
        if let Some(proxy) = patch.proxy {
            device.proxy = proxy;
        }
        if let Some(media_download) = patch.media_download {
            device.media_download = media_download;
        }
        let device = device.clone();
        state.nodes.changed(id);
        Ok(Some(device))
    }

    async fn set_device_status(
        &self,
        id: DeviceId,
        change: &StatusChange,
    ) -> StoreResult<Option<MovedDevice>> {
        let mut state = self.state();
        state.fence(id)?;
        let Some(device) = state.devices.iter_mut().find(|device| device.id == id) else {
            return Ok(None);
        };
        let before = device.status;
        let at = Some(stored(change.at));
        let is_connected = change.status == DeviceStatus::Connected;
        if is_connected {
            device.connected_at = at;
        } else if device.status == DeviceStatus::Connected {
            device.last_seen_at = at;
        }
        if let Some(linked) = &change.linked {
            if device.phone.as_ref() != Some(&linked.phone) {
                device.restricted_until = None;
            }
            device.phone = Some(linked.phone.clone());
            device.lid.clone_from(&linked.lid);
            device.paired_at = at;
        }
        device.banned_until = device.ban_after(change).map(stored);
        device.status = change.status;
        device.reason.clone_from(&change.reason);
        let device = device.clone();
        let events = Event::of_device(before, &device, change);
        state.emit(&events);
        Ok(Some(MovedDevice { device, events }))
    }

    async fn restrict_device(
        &self,
        id: DeviceId,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> StoreResult<Option<MovedDevice>> {
        let mut state = self.state();
        state.fence(id)?;
        let Some(device) = state.devices.iter_mut().find(|device| device.id == id) else {
            return Ok(None);
        };
        let until = until.map(stored);
        let is_news = until != device.restricted_until;
        device.restricted_until = until;
        let device = device.clone();
        let news = until.filter(|until| is_news && *until > now);
        let event = |until| Event::of_restriction(&device, until, stored(now));
        let events: Vec<Event> = news.map(event).into_iter().collect();
        state.emit(&events);
        Ok(Some(MovedDevice { device, events }))
    }

    async fn beat(&self, devices: &[DeviceId], at: Timestamp) -> StoreResult<()> {
        let mut state = self.state();
        let beat = Heartbeats::at(at);
        for id in devices {
            if state.devices.iter().any(|device| device.id == *id) {
                *state.heartbeats.entry((*id, beat.hour)).or_default() |= beat.minutes;
            }
        }
        Ok(())
    }

    async fn heartbeats(
        &self,
        account: AccountId,
        id: DeviceId,
        since: Timestamp,
    ) -> StoreResult<Vec<Heartbeats>> {
        let mut state = self.state();
        if state.owned(account, id).is_none() {
            return Ok(Vec::new());
        }
        let since = Heartbeats::at(since).hour;
        let of_device = state.heartbeats.range((id, since)..);
        let of_device = of_device.take_while(|((device, _), _)| *device == id);
        Ok(of_device
            .map(|((_, hour), minutes)| Heartbeats { hour: *hour, minutes: *minutes })
            .collect())
    }

    async fn delete_device(
        &self,
        account: AccountId,
        id: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<Recorded>>> {
        let mut state = self.state();
        if state.owned(account, id).is_none() {
            return Ok(None);
        }
        state.fence(id)?;
        let waiting = state.waiting.values().map(|waiting| &waiting.message);
        let ids: Vec<_> = waiting.filter(|m| m.device_id == id).map(|message| message.id).collect();
        let mut cancelled = Vec::new();
        for id in ids {
            let steps = vec![(MessageEvent::Withdrawn, now)];
            let progress = Progress { id, steps, failure: None, next_attempt_at: None, file: None };
            cancelled.extend(state.record_one(&progress));
        }
        state.devices.retain(|device| device.id != id);
        state.grants.retain(|(_, grant)| grant.device_id != Some(id));
        let gone: Vec<_> =
            state.webhooks.iter().filter(|w| w.device_id == Some(id)).map(|w| w.id).collect();
        state.webhooks.retain(|webhook| !gone.contains(&webhook.id));
        state.deliveries.retain(|delivery| !gone.contains(&delivery.webhook_id));
        state.keys.retain(|(_, key)| key.device_id != Some(id));
        state.contacts.retain(|(device, _), _| *device != id);
        state.identities.retain(|(device, _), _| *device != id);
        state.spellings.retain(|(device, _), _| *device != id);
        state.session.retain(|(device, ..), _| *device != id);
        state.heartbeats.retain(|(device, _), _| *device != id);
        state.forget_files();
        state.portal_links.retain(|(_, link)| link.device_id != id);
        Ok(Some(cancelled))
    }
}

impl State {
    pub(super) fn owned(&mut self, account: AccountId, id: DeviceId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.id == id && device.account_id == account)
    }
}
