//! Devices: making, linking and removing them.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::{Core, Principal, check_name};
use crate::audit::Action;
use crate::client::ShownAs;
use crate::device::{
    Device, DeviceFilter, DeviceNotice, DevicePatch, DeviceStatus, HEARTBEATS_KEPT, Heartbeats,
    NewDevice, PairMethod, PairOffer,
};
use crate::error::{Error, Result, StoreError};
use crate::ids::{AccountId, DeviceId, DeviceNumber};
use crate::incoming_file::MediaDownload;
use crate::key::{KeyKind, Secret};
use crate::phone::PhoneNumber;
use crate::policy::pacing::{GAP_S_MAX, Pacing};
use crate::ports::{CreatedDevice, Page, PageRequest};
use crate::proxy::Proxy;
use crate::scope::Scope;
use crate::webhook::{SealedSecret, SecretRow};

/// Most devices looked at to find one by its number.
const DEVICES_FOUND_MAX: u32 = 100;
/// Longest text for callers, in characters.
const REJECT_TEXT_CHARS_MAX: usize = 1_000;

/// A device as callers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceName {
    /// By its id.
    Id(DeviceId),
    /// By its `number_id`.
    Number(DeviceNumber),
}

impl DeviceName {
    /// Reads an id or the digits of a `number_id`.
    pub fn parse(text: &str) -> Option<Self> {
        // Only the hyphenated form: 32 bare hex digits could be all decimal ones.
        if text.len() == 36 {
            return text.parse().ok().map(Self::Id);
        }
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().ok().map(|n| Self::Number(DeviceNumber(n)))).flatten()
    }
}

/// What is to change about a device; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct DeviceChange {
    /// A new name.
    pub name: Option<String>,
    /// New pacing; `Some(None)` follows the gateway's again.
    pub pacing: Option<Option<Pacing>>,
    /// How the phone lists it from the next link on.
    pub shown_as: Option<ShownAs>,
    /// The URL of another proxy; `Some(None)` for none.
    pub proxy: Option<Option<String>>,
    /// Which files it fetches from now on.
    pub media_download: Option<MediaDownload>,
    /// Whether it rejects calls.
    pub rejects_calls: Option<bool>,
    /// What callers are sent whose calls it has rejected; `Some(None)` for nothing.
    pub reject_text: Option<Option<String>>,
    /// Whether it marks messages as read as soon as they are stored.
    pub reads_at_once: Option<bool>,
}

/// What a caller may do with a device it named, for the APIs that distinguish "not yours" from "unknown".
#[derive(Debug, Clone)]
pub enum DeviceAccess {
    /// It may use it.
    Granted(Arc<Device>),
    /// It is the caller's account's, but the caller's token is bound to another device.
    OtherDevice,
    /// It belongs to another account.
    NotYours,
    /// There is no such device.
    Unknown,
}

impl Core {
    /// The device a caller means, as [`Core::remembered_device`] has it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or it is somebody else's.
    pub async fn find_device(
        &self,
        principal: &Principal,
        name: DeviceName,
    ) -> Result<Arc<Device>> {
        match name {
            DeviceName::Id(id) => self.remembered_device(principal, id).await,
            DeviceName::Number(number) => {
                let device = self.numbered_device(principal, number).await?;
                device
                    .filter(|device| principal.require_device(device.id).is_ok())
                    .ok_or(Error::NotFound("device"))
            }
        }
    }

    /// Until when WhatsApp lets a device's number write to no strangers, while that lasts.
    pub fn restricted_until(&self, device: &Device) -> Option<Timestamp> {
        device.restricted_at(self.clock.now())
    }

    /// Until when a device's number is banned, while that lasts.
    pub fn banned_until(&self, device: &Device) -> Option<Timestamp> {
        device.banned_at(self.clock.now())
    }

    /// What the caller may do with the device it names, which is as [`Core::remembered_device`] has it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator, and the store's.
    pub async fn device_access(
        &self,
        principal: &Principal,
        name: DeviceName,
    ) -> Result<DeviceAccess> {
        let account = principal.account_id()?;
        let (device, exists) = match name {
            DeviceName::Id(id) => match self.remembered(account, id).await? {
                Some(device) => (Some(device), true),
                None => (None, self.store.device_exists(id).await?),
            },
            DeviceName::Number(number) => (self.numbered_device(principal, number).await?, false),
        };
        Ok(match device {
            Some(device) if principal.require_device(device.id).is_ok() => {
                DeviceAccess::Granted(device)
            }
            Some(_) => DeviceAccess::OtherDevice,
            None if exists => DeviceAccess::NotYours,
            None => DeviceAccess::Unknown,
        })
    }

    /// What the caller may do with the device that is linked to a number, as people write it: the
    /// connected one with the lowest `number_id`, else the one with the lowest. A text that is no
    /// number is unknown, and so is a number of another account's device. It is as
    /// [`Core::remembered_device`] has it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator.
    pub async fn device_with_phone(
        &self,
        principal: &Principal,
        text: &str,
    ) -> Result<DeviceAccess> {
        let account = principal.account_id()?;
        let Ok(phone) = parse_phone(principal, "phone", text) else {
            return Ok(DeviceAccess::Unknown);
        };
        if let Some(bound) = principal.caller.bound_device()
            && let Some(device) = self.remembered(account, bound).await?
            && device.phone.as_ref() == Some(&phone)
        {
            return Ok(DeviceAccess::Granted(device));
        }
        let filter = DeviceFilter { phone: Some(phone), ..DeviceFilter::default() };
        let mut devices = self.look_up(account, &filter).await?;
        let exists = !devices.is_empty();
        devices.retain(|device| principal.require_device(device.id).is_ok());
        let connected = devices.iter().find(|device| device.status == DeviceStatus::Connected);
        Ok(match connected.or(devices.first()) {
            Some(device) => DeviceAccess::Granted(Arc::clone(device)),
            None if exists => DeviceAccess::OtherDevice,
            None => DeviceAccess::Unknown,
        })
    }

    /// The caller's only device that is wanted; `None` when there is none or several. A device token
    /// has its own, in any case. It is as [`Core::remembered_device`] has it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator.
    pub async fn only_device(
        &self,
        principal: &Principal,
        filter: &DeviceFilter,
    ) -> Result<Option<Arc<Device>>> {
        let account = principal.account_id()?;
        if let Some(bound) = principal.caller.bound_device() {
            return self.remembered(account, bound).await;
        }
        let devices = self.look_up(account, filter).await?;
        Ok(<[Arc<Device>; 1]>::try_from(devices).ok().map(|[device]| device))
    }

    async fn numbered_device(
        &self,
        principal: &Principal,
        number: DeviceNumber,
    ) -> Result<Option<Arc<Device>>> {
        let filter = DeviceFilter { number: Some(number), ..DeviceFilter::default() };
        Ok(self.look_up(principal.account_id()?, &filter).await?.pop())
    }

    /// The devices of an account that are wanted: remembered, where all of those are linked.
    async fn look_up(&self, account: AccountId, filter: &DeviceFilter) -> Result<Vec<Arc<Device>>> {
        let known = self.store.known_devices(account, filter);
        if let Some(devices) = known
            && devices.iter().all(|device| device.status.is_paired())
        {
            return Ok(devices);
        }
        let found = self.store.find_devices(account, filter, DEVICES_FOUND_MAX).await?;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    /// Makes a device, not linked yet; its token is shown only now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for device tokens, [`Error::Invalid`], [`Error::DeviceLimit`].
    pub async fn create_device(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<(Device, Secret)> {
        principal.require_all_scopes()?;
        let account_id = principal.require_account_key()?;
        let limit = principal.plan()?.device_limit;
        let id = DeviceId(uuid::Builder::from_random_bytes(self.random()).into_uuid());
        let device = NewDevice { id, account_id, name: check_name("name", name)? };
        let (secret, token) = self.new_secret(KeyKind::Device, "device token");
        match self.store.create_device(device, token, limit, self.clock.now()).await? {
            CreatedDevice::Created(device) => {
                self.note_device(principal, Action::DeviceCreated, &device).await;
                Ok((device, secret))
            }
            CreatedDevice::LimitReached => Err(Error::DeviceLimit(limit.unwrap_or_default())),
        }
    }

    /// The devices the caller may use.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the operator.
    pub async fn devices(&self, principal: &Principal, page: PageRequest) -> Result<Page<Device>> {
        principal.require(Scope::Read)?;
        let account = principal.account_id()?;
        if let Some(bound) = principal.caller.bound_device() {
            let items =
                self.store.device(account, bound).await?.map(Arc::unwrap_or_clone).into_iter();
            let items = items.filter(|d| page.before.is_none_or(|before| d.number_id.0 < before));
            return Ok(Page { items: items.collect(), has_more: false, looked_to: None });
        }
        Ok(self.store.devices(account, page).await?)
    }

    /// Changes a device's settings.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub async fn update_device(
        &self,
        principal: &Principal,
        id: DeviceId,
        change: DeviceChange,
    ) -> Result<Device> {
        principal.require(Scope::Manage)?;
        let account = principal.require_device(id)?;
        if let Some(Some(pacing)) = &change.pacing {
            let message = format!("min_s must not be above max_s, and max_s not above {GAP_S_MAX}");
            pacing.check().map_err(|_| Error::invalid("pacing", message))?;
        }
        let name = change.name.map(|name| check_name("name", &name)).transpose()?;
        let proxy = match change.proxy {
            None => None,
            Some(None) => Some(None),
            Some(Some(text)) => Some(Some(self.seal_proxy(account, id, &text)?)),
        };
        let reject_text = change.reject_text.map(checked_reject_text).transpose()?;
        let DeviceChange { pacing, shown_as, media_download, rejects_calls, reads_at_once, .. } =
            change;
        let patch = DevicePatch {
            name,
            pacing,
            shown_as,
            proxy,
            media_download,
            rejects_calls,
            reject_text,
            reads_at_once,
        };
        let device = self.store.update_device(account, id, patch).await?;
        let device = device.ok_or(Error::NotFound("device"))?;
        self.dispatcher.reload(id).await;
        self.note_device(principal, Action::DeviceChanged, &device).await;
        Ok(device)
    }

    async fn note_device(&self, principal: &Principal, action: Action, device: &Device) {
        self.note(principal, action, named(device)).await;
    }

    /// Takes a proxy and encrypts it.
    fn seal_proxy(&self, account: AccountId, id: DeviceId, text: &str) -> Result<SealedSecret> {
        let proxy = Proxy::parse(text).map_err(|why| Error::invalid("proxy", why))?;
        if !self.outbound.permits_proxy(&proxy) {
            return Err(Error::invalid("proxy", "must be at a public address"));
        }
        let row = SecretRow::Proxy { account, device: id };
        Ok(self.sealer.seal(row, &proxy.to_text()))
    }

    /// The proxy of a device as it may be shown; `None` when it has none.
    pub fn shown_proxy(&self, device: &Device) -> Option<String> {
        let sealed = device.proxy.as_ref()?;
        let text = self.sealer.open(device.proxy_row(), sealed);
        let proxy = text.and_then(|text| Proxy::parse(&text).ok());
        Some(proxy.map_or_else(|| "unreadable".to_owned(), |proxy| proxy.shown()))
    }

    /// Unlinks a device and erases it; what waits is cancelled and refunded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for device tokens.
    pub async fn delete_device(&self, principal: &Principal, id: DeviceId) -> Result<()> {
        principal.require(Scope::Manage)?;
        let account = principal.require_account_key()?;
        let subject = match self.device(principal, id).await {
            Ok(device) => named(&device),
            // It is the account's, but cannot be read: it is deleted by its id alone.
            Err(Error::Store(StoreError::Fault(_))) => id.to_text(),
            Err(error) => return Err(error),
        };
        let is_full = self.store.make_room().await;
        match self.dispatcher.remove(account, id).await {
            // There is no room to keep what waits, as cancelled.
            Err(Error::Store(StoreError::Unavailable(_))) if is_full => {
                self.store.discard_waiting(account, id).await?;
                self.dispatcher.remove(account, id).await?;
            }
            removed => removed?,
        }
        self.end_revoked_streams(account).await;
        self.note(principal, Action::DeviceDeleted, subject).await;
        Ok(())
    }

    /// Puts a new token in place of the old one, which is void at once.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn new_device_token(&self, principal: &Principal, id: DeviceId) -> Result<Secret> {
        principal.require_all_scopes()?;
        let account = principal.require_device(id)?;
        let device = self.device(principal, id).await?;
        let (secret, token) = self.new_secret(KeyKind::Device, "device token");
        let now = self.clock.now();
        let replaced = self.store.replace_device_token(account, id, token, now).await?;
        self.end_revoked_streams(account).await;
        replaced.then_some(()).ok_or(Error::NotFound("device"))?;
        self.note_device(principal, Action::DeviceTokenReplaced, &device).await;
        Ok(secret)
    }

    /// Begins to link a device to a number, or shows the offer that runs.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is linked already, [`Error::Whatsapp`]
    /// when WhatsApp makes no offer.
    pub async fn pair(
        &self,
        principal: &Principal,
        id: DeviceId,
        phone: Option<&str>,
    ) -> Result<PairOffer> {
        principal.require(Scope::Manage)?;
        let device = self.device(principal, id).await?;
        if device.status.is_paired() {
            return Err(Error::Conflict("the device is already paired; unpair it first"));
        }
        let method = match phone {
            Some(text) => PairMethod::Code(parse_phone(principal, "phone", text)?),
            None => PairMethod::Qr,
        };
        let offer = self.dispatcher.pair(id, method).await?;
        // Some clients ask for the running offer with this call, again and again.
        if device.status != DeviceStatus::Pairing {
            self.note_device(principal, Action::DevicePairing, &device).await;
        }
        Ok(offer)
    }

    /// Unlinks a device; it can be linked again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is not linked.
    pub async fn logout(&self, principal: &Principal, id: DeviceId) -> Result<Arc<Device>> {
        principal.require(Scope::Manage)?;
        let device = self.device(principal, id).await?;
        if matches!(device.status, DeviceStatus::Unpaired | DeviceStatus::LoggedOut) {
            return Err(Error::Conflict("the device is not paired"));
        }
        self.dispatcher.logout(id).await?;
        self.note_device(principal, Action::DeviceUnlinked, &device).await;
        self.device(principal, id).await
    }

    /// Connects a paired device again that has stopped, or waits to try again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is not linked.
    pub async fn connect(&self, principal: &Principal, id: DeviceId) -> Result<Arc<Device>> {
        principal.require(Scope::Manage)?;
        let device = self.device(principal, id).await?;
        if !device.status.is_paired() {
            return Err(Error::Conflict("the device is not paired"));
        }
        self.dispatcher.connect(id).await?;
        self.device(principal, id).await
    }

    /// When a device last proved that its connection is alive; `None` when it never did.
    pub fn alive_at(&self, device: &Device) -> Option<Timestamp> {
        match device.status {
            DeviceStatus::Connected => self.dispatcher.alive_at(device.id).or(device.connected_at),
            _ => device.last_seen_at,
        }
    }

    /// In which minutes of the last day a device was alive, by hour.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn heartbeats(&self, principal: &Principal, id: DeviceId) -> Result<Vec<Heartbeats>> {
        principal.require(Scope::Read)?;
        let account = self.device(principal, id).await?.account_id;
        let since = self.clock.now().saturating_sub(HEARTBEATS_KEPT).unwrap_or(Timestamp::MIN);
        Ok(self.store.heartbeats(account, id, since).await?)
    }

    /// What happens to a device, live.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooManyStreams`], [`Error::Unauthorized`].
    pub async fn watch_device(
        &self,
        principal: &Principal,
        id: DeviceId,
    ) -> Result<(Arc<Device>, BoxStream<'static, DeviceNotice>)> {
        principal.require(Scope::Read)?;
        // Nothing is kept for watchers of what does not exist.
        self.device(principal, id).await?;
        self.require_here(id)?;
        let notices = self.as_live(principal, self.dispatcher.watch(id)).await?;
        // As it is now: from here on, changes are noticed.
        Ok((self.device(principal, id).await?, notices))
    }

    /// A number, and that of the account it reaches when it is on WhatsApp, asked through a
    /// connected device.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::DeviceNotConnected`],
    /// [`Error::Whatsapp`].
    pub async fn find_number(
        &self,
        principal: &Principal,
        id: DeviceId,
        phone: &str,
    ) -> Result<(PhoneNumber, Option<PhoneNumber>)> {
        principal.require(Scope::Send)?;
        let device = self.device(principal, id).await?;
        let phone = parse_phone(principal, "phone", phone)?;
        if device.status != DeviceStatus::Connected {
            return Err(Error::DeviceNotConnected(device.status.as_str()));
        }
        let found = self.dispatcher.find_number(id, &phone).await?;
        Ok((phone, found))
    }
}

/// What names a device in the audit log, also when it is gone.
fn named(device: &Device) -> String {
    format!("{} {}", device.id, device.name)
}

fn parse_phone(principal: &Principal, field: &'static str, text: &str) -> Result<PhoneNumber> {
    let country = &principal.account()?.default_country;
    PhoneNumber::parse(text, country).map_err(|error| Error::invalid(field, error.to_string()))
}

/// The text for callers; an empty one is none.
fn checked_reject_text(text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    if text.chars().count() > REJECT_TEXT_CHARS_MAX || text.contains('\0') {
        let message = format!("must have at most {REJECT_TEXT_CHARS_MAX} characters");
        return Err(Error::invalid("reject_text", message));
    }
    Ok(Some(text))
}
