//! Devices: linked numbers, their state and their settings.

mod disconnect;

use jiff::{SignedDuration, Timestamp};

use crate::chat::{GroupId, Lid};
use crate::client::ShownAs;
use crate::ids::{AccountId, DeviceId, DeviceNumber};
use crate::incoming_file::MediaDownload;
use crate::message::Address;
use crate::passkey::PasskeyStep;
use crate::phone::PhoneNumber;
use crate::policy::pacing::Pacing;
use crate::webhook::{SealedSecret, SecretRow};

pub use disconnect::{DisconnectReason, Reconnect};

/// A linked WhatsApp number, or one to be linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its id as a small integer.
    pub number_id: DeviceNumber,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// Whether it is linked, and connected.
    pub status: DeviceStatus,
    /// Why it is in that state, in words for people.
    pub reason: Option<String>,
    /// The number it is, or last was, linked to.
    pub phone: Option<PhoneNumber>,
    /// The other name WhatsApp has for that number.
    pub lid: Option<Lid>,
    /// Its own pacing; `None` follows the gateway's.
    pub pacing: Option<Pacing>,
    /// How the phone lists it.
    pub shown_as: ShownAs,
    /// The proxy through which it reaches WhatsApp, encrypted.
    pub proxy: Option<SealedSecret>,
    /// Which files it fetches of the messages that come in.
    pub media_download: MediaDownload,
    /// What it does with what comes in.
    pub incoming: IncomingSettings,
    /// Until when WhatsApp lets its number write to no strangers.
    pub restricted_until: Option<Timestamp>,
    /// Until when its number is banned, as far as is known: no login is tried before.
    pub banned_until: Option<Timestamp>,
    /// When it was last linked to a number.
    pub paired_at: Option<Timestamp>,
    /// When it last connected.
    pub connected_at: Option<Timestamp>,
    /// When it was last known to be connected.
    pub last_seen_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a number is restricted, in words for people.
pub const RESTRICTED: &str = "WhatsApp lets this number write to no new contacts until then";

impl Device {
    /// The row that its proxy is sealed for.
    pub fn proxy_row(&self) -> SecretRow {
        SecretRow::Proxy { account: self.account_id, device: self.id }
    }

    /// The names of its number on WhatsApp.
    pub fn address(&self) -> Address {
        Address { phone: self.phone.clone(), lid: self.lid.clone() }
    }

    /// Until when WhatsApp lets its number write to no strangers, while that lasts.
    pub fn restricted_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.restricted_until.filter(|until| *until > now)
    }

    /// Until when its number is banned, while that lasts.
    pub fn banned_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.banned_until.filter(|until| *until > now)
    }

    /// Its ban after this change of its state.
    pub fn ban_after(&self, change: &StatusChange) -> Option<Timestamp> {
        let is_over = change.linked.is_some()
            || matches!(change.status, DeviceStatus::Connected | DeviceStatus::LoggedOut);
        change.banned_until.or(self.banned_until).filter(|_| !is_over)
    }
}

/// What a device does with what comes in, unasked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncomingSettings {
    /// Whether it rejects calls.
    pub rejects_calls: bool,
    /// What callers are sent whose calls it has rejected.
    pub reject_text: Option<String>,
    /// Whether it marks messages as read as soon as they are stored.
    pub reads_at_once: bool,
}

/// The states of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceStatus {
    /// Never linked.
    Unpaired,
    /// Waiting for a phone to scan its QR or to take its code.
    Pairing,
    /// Linked, and on its way to WhatsApp.
    Connecting,
    /// Linked and ready.
    Connected,
    /// Linked, but not reachable now; it comes back by itself, or says why it does not.
    Disconnected,
    /// Unlinked by the phone, by WhatsApp or by request.
    LoggedOut,
}

impl DeviceStatus {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Unpaired,
        Self::Pairing,
        Self::Connecting,
        Self::Connected,
        Self::Disconnected,
        Self::LoggedOut,
    ];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unpaired => "unpaired",
            Self::Pairing => "pairing",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::LoggedOut => "logged_out",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether a number is linked, so that messages may wait for it.
    ///
    /// A device being paired was either never linked or logged out.
    pub fn is_paired(self) -> bool {
        matches!(self, Self::Connecting | Self::Connected | Self::Disconnected)
    }
}

/// A device that is to be made.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Its id.
    pub id: DeviceId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// What its owner calls it.
    pub name: String,
}

/// What may change about a device; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct DevicePatch {
    /// A new name.
    pub name: Option<String>,
    /// New pacing; `Some(None)` follows the gateway's again.
    pub pacing: Option<Option<Pacing>>,
    /// How the phone lists it from the next link on.
    pub shown_as: Option<ShownAs>,
    /// Another proxy; `Some(None)` for none.
    pub proxy: Option<Option<SealedSecret>>,
    /// Which files it fetches from now on.
    pub media_download: Option<MediaDownload>,
    /// Whether it rejects calls.
    pub rejects_calls: Option<bool>,
    /// What callers are sent whose calls it has rejected; `Some(None)` for nothing.
    pub reject_text: Option<Option<String>>,
    /// Whether it marks messages as read as soon as they are stored.
    pub reads_at_once: Option<bool>,
}

impl DevicePatch {
    /// What a device does with what comes in, after this change.
    pub fn incoming(&self, before: IncomingSettings) -> IncomingSettings {
        IncomingSettings {
            rejects_calls: self.rejects_calls.unwrap_or(before.rejects_calls),
            reject_text: self.reject_text.clone().unwrap_or(before.reject_text),
            reads_at_once: self.reads_at_once.unwrap_or(before.reads_at_once),
        }
    }
}

/// A change of a device's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusChange {
    /// The new state.
    pub status: DeviceStatus,
    /// Why, in words for people.
    pub reason: Option<String>,
    /// Why the connection is gone, as a number; see [`DisconnectReason::code`].
    pub code: Option<u16>,
    /// Whether a lost connection comes back by itself.
    pub should_reconnect: bool,
    /// The number it has just been linked to.
    pub linked: Option<LinkedNumber>,
    /// Until when its number is banned now.
    pub banned_until: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// Which devices of an account are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DeviceFilter {
    /// Only the one with this number.
    pub number: Option<DeviceNumber>,
    /// Only those linked to this number.
    pub phone: Option<PhoneNumber>,
    /// Only those that are connected.
    pub is_connected: bool,
}

impl DeviceFilter {
    /// Whether a device is wanted.
    pub fn matches(&self, device: &Device) -> bool {
        self.number.is_none_or(|number| device.number_id == number)
            && self.phone.as_ref().is_none_or(|phone| device.phone.as_ref() == Some(phone))
            && (!self.is_connected || device.status == DeviceStatus::Connected)
    }
}

impl StatusChange {
    /// A change of state without a word about why.
    pub fn new(status: DeviceStatus, at: Timestamp) -> Self {
        Self {
            status,
            reason: None,
            code: None,
            should_reconnect: false,
            linked: None,
            banned_until: None,
            at,
        }
    }
}

/// How long heartbeats are kept.
pub const HEARTBEATS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// In which minutes of an hour a device was alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeats {
    /// When the hour began.
    pub hour: Timestamp,
    /// Bit n: in minute n.
    pub minutes: u64,
}

impl Heartbeats {
    /// The heartbeat of one moment.
    pub fn at(now: Timestamp) -> Self {
        let seconds = now.as_second();
        let hour = seconds.div_euclid(3_600) * 3_600;
        let minute = seconds.rem_euclid(3_600) / 60;
        let hour = Timestamp::from_second(hour).unwrap_or(Timestamp::MIN);
        Self { hour, minutes: 1 << minute }
    }

    /// The minutes, 0 to 59.
    pub fn list(self) -> Vec<u8> {
        (0..60).filter(|minute| self.minutes >> minute & 1 == 1).collect()
    }
}

/// A group the number of a device is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: String,
}

/// A number a device has been linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedNumber {
    /// The number.
    pub phone: PhoneNumber,
    /// WhatsApp's other name for it.
    pub lid: Option<Lid>,
}

/// How a device is to be linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairMethod {
    /// The phone scans a QR.
    Qr,
    /// The phone's owner types a code.
    Code(PhoneNumber),
}

/// What the phone's owner needs to link a device. `Debug` hides it: with it anybody can link.
#[derive(Clone, PartialEq, Eq)]
pub enum PairOffer {
    /// The text of a QR, and how long it holds.
    Qr {
        /// The QR's text.
        code: String,
        /// Seconds until the next one takes its place.
        expires_in_s: u64,
    },
    /// Eight characters to type into the phone.
    Code {
        /// The code.
        code: String,
        /// Seconds until it expires.
        expires_in_s: u64,
    },
    /// WhatsApp wants a passkey.
    Passkey {
        /// The challenge, as WhatsApp sent it: WebAuthn's request options (JSON).
        request: String,
        /// How far it is.
        step: PasskeyStep,
        /// Seconds until it is too late.
        expires_in_s: u64,
    },
}

impl std::fmt::Debug for PairOffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Qr { .. } => "PairOffer::Qr(…)",
            Self::Code { .. } => "PairOffer::Code(…)",
            Self::Passkey { .. } => "PairOffer::Passkey(…)",
        })
    }
}

/// What those who watch a device are notified of, live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceNotice {
    /// Its state has changed.
    Status(StatusChange),
    /// There is a new QR or code.
    Offer(PairOffer),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_a_minute_of_an_hour() {
        let now: Timestamp = "2026-11-28T21:59:59.9Z".parse().unwrap();
        let beat = Heartbeats::at(now);
        assert_eq!(beat.hour.to_string(), "2026-11-28T21:00:00Z");
        assert_eq!(beat.list(), [59]);
        let both = Heartbeats { minutes: beat.minutes | 1, ..beat };
        assert_eq!(both.list(), [0, 59]);
    }

    #[test]
    fn each_minute_of_an_hour_has_its_heartbeat() {
        for (time, minute) in [("21:00:00", 0), ("21:00:59", 0), ("21:01:00", 1), ("21:07:30", 7)] {
            let now: Timestamp = format!("2026-11-28T{time}Z").parse().unwrap();
            assert_eq!(Heartbeats::at(now).list(), [minute], "{time}");
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn device() -> Device {
        Device {
            id: DeviceId(uuid::Uuid::from_u128(3)),
            number_id: DeviceNumber(3),
            account_id: AccountId(1),
            name: "Toko".into(),
            status: DeviceStatus::Connected,
            reason: None,
            phone: Some(PhoneNumber::from_digits("628111")),
            lid: Some(Lid::from_user("200")),
            pacing: None,
            shown_as: ShownAs::default(),
            proxy: None,
            media_download: MediaDownload::Auto,
            incoming: IncomingSettings::default(),
            restricted_until: Some(at(100)),
            banned_until: Some(at(200)),
            paired_at: None,
            connected_at: None,
            last_seen_at: None,
            created_at: at(0),
        }
    }

    #[test]
    fn a_device_has_both_names_of_its_number() {
        let Address { phone, lid } = device().address();
        assert_eq!(phone, Some(PhoneNumber::from_digits("628111")));
        assert_eq!(lid, Some(Lid::from_user("200")));
    }

    #[test]
    fn a_restriction_and_a_ban_last_until_their_end() {
        let device = device();
        for (now, restricted, banned) in [
            (99, Some(100), Some(200)),
            (100, None, Some(200)),
            (101, None, Some(200)),
            (199, None, Some(200)),
            (200, None, None),
            (201, None, None),
        ] {
            assert_eq!(device.restricted_at(at(now)), restricted.map(at), "{now}");
            assert_eq!(device.banned_at(at(now)), banned.map(at), "{now}");
        }
    }

    #[test]
    fn a_ban_ends_with_a_login_or_with_another_link() {
        use DeviceStatus::{Connected, Connecting, Disconnected, LoggedOut};
        let linked = LinkedNumber { phone: PhoneNumber::from_digits("628222"), lid: None };
        for (status, linked, banned_until, expected) in [
            (Disconnected, None, None, Some(200)),
            (Disconnected, None, Some(300), Some(300)),
            (Connecting, None, None, Some(200)),
            (Connecting, Some(linked), None, None),
            (Connected, None, None, None),
            (LoggedOut, None, None, None),
        ] {
            let banned_until = banned_until.map(at);
            let change =
                StatusChange { linked, banned_until, ..StatusChange::new(status, at(150)) };
            assert_eq!(device().ban_after(&change), expected.map(at), "{change:?}");
        }
    }

    #[test]
    fn messages_may_wait_for_devices_with_a_number() {
        for (status, name, is_paired) in [
            (DeviceStatus::Unpaired, "unpaired", false),
            (DeviceStatus::Pairing, "pairing", false),
            (DeviceStatus::Connecting, "connecting", true),
            (DeviceStatus::Connected, "connected", true),
            (DeviceStatus::Disconnected, "disconnected", true),
            (DeviceStatus::LoggedOut, "logged_out", false),
        ] {
            assert_eq!(DeviceStatus::from_name(name), Some(status));
            assert_eq!((status.as_str(), status.is_paired()), (name, is_paired));
        }
        assert_eq!(DeviceStatus::from_name("asleep"), None);
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let before = IncomingSettings {
            rejects_calls: true,
            reject_text: Some("Please write".into()),
            reads_at_once: true,
        };
        let none = DevicePatch::default();
        assert_eq!(none.incoming(before.clone()), before);
        let without_text = DevicePatch { reject_text: Some(None), ..none.clone() };
        let after = IncomingSettings { reject_text: None, ..before.clone() };
        assert_eq!(without_text.incoming(before.clone()), after);
        let reads_later = DevicePatch { reads_at_once: Some(false), ..none.clone() };
        let after = IncomingSettings { reads_at_once: false, ..before.clone() };
        assert_eq!(reads_later.incoming(before.clone()), after);
        let takes_calls = DevicePatch { rejects_calls: Some(false), ..none };
        let after = IncomingSettings { rejects_calls: false, ..before.clone() };
        assert_eq!(takes_calls.incoming(before), after);
    }

    #[test]
    fn a_filter_wants_devices_that_fit_all_of_it() {
        let phone = |digits: &str| Some(PhoneNumber::from_digits(digits));
        let connected = device();
        let offline = Device { status: DeviceStatus::Disconnected, ..device() };
        let unlinked = Device { phone: None, ..offline.clone() };
        for (number, phone, is_connected, wanted) in [
            (None, None, false, [true, true, true]),
            (None, None, true, [true, false, false]),
            (None, phone("628111"), false, [true, true, false]),
            (None, phone("628111"), true, [true, false, false]),
            (None, phone("628222"), false, [false, false, false]),
            (Some(3), None, false, [true, true, true]),
            (Some(4), None, false, [false, false, false]),
            (Some(4), phone("628111"), true, [false, false, false]),
        ] {
            let filter = DeviceFilter { number: number.map(DeviceNumber), phone, is_connected };
            let matched = [&connected, &offline, &unlinked].map(|device| filter.matches(device));
            assert_eq!(matched, wanted, "{filter:?}");
        }
    }
}
