//! Portal links: one device for somebody without an account, until the link ends or is revoked.

use jiff::{SignedDuration, Timestamp};

use crate::ids::{AccountId, DeviceId, PortalLinkId};
use crate::scope::Scope;

/// Most valid portal links of a device.
pub const PORTAL_LINKS_MAX: i64 = 100;
/// Shortest life of a portal link, in seconds.
pub const PORTAL_LINK_S_MIN: i64 = 60;
/// Longest life of a portal link, in seconds: 366 days.
pub const PORTAL_LINK_S_MAX: i64 = 366 * 86_400;
/// How long a portal link lives unless it is said: 7 days.
pub const PORTAL_LINK_S: i64 = 7 * 86_400;

/// What the holder of a portal link may do, beside seeing the device's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Links the device to a number.
    Pair,
    /// Sees the device's messages.
    Read,
    /// Sends from the device.
    Send,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::Pair, Self::Read, Self::Send];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Read => "read",
            Self::Send => "send",
        }
    }

    /// The scope that it takes.
    pub fn scope(self) -> Scope {
        match self {
            Self::Pair => Scope::Manage,
            Self::Read => Scope::Read,
            Self::Send => Scope::Send,
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }
}

/// A portal link, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalLink {
    /// Its id.
    pub id: PortalLinkId,
    /// Whose device it opens.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
    /// What its holder may do.
    pub may: Vec<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// When a link ends that is made now.
pub fn expiry(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_each_permission_takes_a_scope() {
        for (permission, scope) in [
            (Permission::Pair, Scope::Manage),
            (Permission::Read, Scope::Read),
            (Permission::Send, Scope::Send),
        ] {
            assert_eq!(Permission::from_name(permission.as_str()), Some(permission));
            assert_eq!(permission.scope(), scope);
        }
        assert_eq!(Permission::from_name("fly"), None);
    }

    #[test]
    fn a_link_lives_a_week_and_a_leap_year_at_most() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, end) in [
            (60, "1970-01-01T00:01:00Z"),
            (PORTAL_LINK_S, "1970-01-08T00:00:00Z"),
            (PORTAL_LINK_S_MAX, "1971-01-02T00:00:00Z"),
        ] {
            assert_eq!(expiry(now, seconds).to_string(), end);
        }
        assert_eq!(expiry(now, i64::MAX), Timestamp::MAX);
    }
}
