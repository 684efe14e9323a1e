//! Accounts, and who is calling.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::ids::{AccountId, DeviceId, KeyId};
use crate::scope::Scopes;

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its e-mail address; one account per address.
    pub email: String,
    /// The name of its plan.
    pub plan: String,
    /// The country code that replaces a leading zero, such as `62`.
    pub default_country: String,
    /// The time zone in which its days and months begin.
    pub timezone: AccountZone,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A time zone by its IANA name; UTC where that name is unknown, as after an older database of zones.
/// It is looked up once, when the account is read: every send needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountZone {
    name: String,
    zone: TimeZone,
}

impl AccountZone {
    /// Its name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }
}

impl From<String> for AccountZone {
    fn from(name: String) -> Self {
        let zone = TimeZone::get(&name).unwrap_or(TimeZone::UTC);
        Self { name, zone }
    }
}

/// An account that is to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// The name of its plan.
    pub plan: String,
    /// Country code that replaces a leading zero.
    pub default_country: String,
    /// IANA time zone.
    pub timezone: String,
}

/// What may change about an account; `None` leaves it.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields are those of `Account`")]
pub struct AccountPatch {
    pub name: Option<String>,
    pub email: Option<String>,
    pub plan: Option<String>,
    pub default_country: Option<String>,
    pub timezone: Option<String>,
}

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The one who runs the gateway.
    Operator,
    /// An account, with all of its devices.
    Account(AccountId, KeyId),
    /// One device of an account.
    Device(AccountId, DeviceId, KeyId),
}

impl Caller {
    /// The account whose data the caller may see.
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Operator => None,
            Self::Account(account, _) | Self::Device(account, _, _) => Some(account),
        }
    }

    /// The id of the caller's key; the operator's has none.
    pub fn key(self) -> Option<KeyId> {
        match self {
            Self::Operator => None,
            Self::Account(_, key) | Self::Device(_, _, key) => Some(key),
        }
    }

    /// The only device the caller may use, if it is bound to one.
    pub fn bound_device(self) -> Option<DeviceId> {
        match self {
            Self::Device(_, device, _) => Some(device),
            Self::Operator | Self::Account(..) => None,
        }
    }
}

/// Most account keys of an account; the tokens of its devices do not count.
pub const KEYS_MAX: i64 = 100;

/// An account key or a device token, as it may be shown again: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// The device it is bound to; `None` for an account key.
    pub device_id: Option<DeviceId>,
    /// What its owner calls it.
    pub name: String,
    /// Its last four characters.
    pub last_four: String,
    /// Whether it is the device's token, which was made with it.
    pub is_token: bool,
    /// What it may do.
    pub scopes: Scopes,
    /// Until when it is valid; `None` for ever.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, as far as that is stored: at most some minutes ago.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRights {
    /// In which ways.
    pub scopes: Scopes,
    /// The only device it is for; `None` for all of the account's.
    pub device: Option<DeviceId>,
    /// Until when; `None` for ever.
    pub expires_at: Option<Timestamp>,
}

impl KeyRights {
    /// Everything, for ever.
    pub const ALL: Self = Self { scopes: Scopes::ALL, device: None, expires_at: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_zone_keeps_its_name_and_counts_as_utc() {
        let jakarta = AccountZone::from("Asia/Jakarta".to_owned());
        assert_eq!(jakarta.zone(), &TimeZone::get("Asia/Jakarta").unwrap());
        let unknown = AccountZone::from("Mars/Olympus".to_owned());
        assert_eq!((unknown.name(), unknown.zone()), ("Mars/Olympus", &TimeZone::UTC));
    }

    #[test]
    fn a_caller_sees_its_account_and_is_bound_to_one_device_at_most() {
        let (account, key, device) = (AccountId(1), KeyId(2), DeviceId(uuid::Uuid::from_u128(3)));
        let cases = [
            (Caller::Operator, None, None, None),
            (Caller::Account(account, key), Some(account), Some(key), None),
            (Caller::Device(account, device, key), Some(account), Some(key), Some(device)),
        ];
        for (caller, account, key, device) in cases {
            let seen = (caller.account(), caller.key(), caller.bound_device());
            assert_eq!(seen, (account, key, device), "{caller:?}");
        }
    }
}
