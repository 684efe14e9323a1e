//! Numbers, their LIDs, and the devices behind them.
//!
//! Invariant: a LID is a bijection of a number and which of its owners is meant, so that neither ever
//! needs a table. Everything inside the simulator goes by [`Number`], which means its present owner.

use std::fmt;

use wacore_binary::{Jid, Server};

/// LIDs are a multiple of this, one for each owner, plus fifteen digits, so that none begins with a
/// zero.
const LID_BASE: u64 = 1_000_000_000_000_000;
const LID_MODULUS: u128 = 1_000_000_000_000_000;
/// Owners that a number has had before its present one, at most.
pub(crate) const OWNERS_BEFORE_MAX: u8 = 8;
/// Above every telephone number.
const COMPANION_STEP: u64 = 1_000_000_000_000_000;
/// Coprime to the modulus, so multiplication can be undone.
const LID_FACTOR: u128 = 618_033_988_749_893;
const LID_SHIFT: u128 = 271_828_182_845_904;

/// A telephone number: 5 to 15 digits, the first not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Number(u64);

impl Number {
    /// Reads `628…`, also with a leading `+`; anything else is `None`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let plausible = (5..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        plausible.then(|| digits.parse().ok().map(Number)).flatten()
    }

    /// The number as SQLite stores it.
    pub(crate) fn sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// What [`Number::sql`] wrote.
    pub(crate) fn from_sql(value: i64) -> Self {
        Number(value.unsigned_abs())
    }

    /// The number a LID belongs to, or once did.
    pub(crate) fn from_lid(user: &str) -> Option<Self> {
        Self::owner_of_lid(user).map(|(number, _)| number)
    }

    /// The same, and how many owners the number had before.
    pub(crate) fn owner_of_lid(user: &str) -> Option<(Self, u8)> {
        let lid: u64 = user.parse().ok()?;
        let before = u8::try_from((lid / LID_BASE).checked_sub(1)?).ok()?;
        if before > OWNERS_BEFORE_MAX {
            return None;
        }
        let hidden = u128::from(lid % LID_BASE);
        let shifted = (hidden + LID_MODULUS - LID_SHIFT % LID_MODULUS) % LID_MODULUS;
        let number = shifted * inverse(LID_FACTOR, LID_MODULUS) % LID_MODULUS;
        Some((Number::parse(&number.to_string())?, before))
    }

    /// The number under which the state of a simulated companion is kept, as if it were a phone.
    pub(crate) fn of_companion(device: DeviceAddr) -> Self {
        Number(device.number.0 + u64::from(device.device) * COMPANION_STEP)
    }

    /// The device whose state is kept under this number: a phone, or a simulated companion.
    pub(crate) fn device(self) -> DeviceAddr {
        let device = u16::try_from(self.0 / COMPANION_STEP).unwrap_or(u16::MAX);
        DeviceAddr { number: Number(self.0 % COMPANION_STEP), device }
    }

    /// Whose device that is.
    pub(crate) fn owner(self) -> Self {
        self.device().number
    }

    /// The user part of the LID of the number's owner after so many others.
    pub(crate) fn lid_after(self, owners_before: u8) -> String {
        let hidden = (u128::from(self.0) * LID_FACTOR + LID_SHIFT) % LID_MODULUS;
        (u128::from(LID_BASE) * (1 + u128::from(owners_before)) + hidden).to_string()
    }

    /// `NUMBER@s.whatsapp.net`
    pub(crate) fn jid(self) -> Jid {
        Jid::pn(self.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The inverse of `factor` modulo `modulus`, by Euclid.
fn inverse(factor: u128, modulus: u128) -> u128 {
    let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
    let (mut r0, mut r1) = (signed(modulus), signed(factor % modulus));
    let (mut t0, mut t1) = (0_i128, 1_i128);
    while r1 != 0 {
        let quotient = r0 / r1;
        (r0, r1) = (r1, r0 - quotient * r1);
        (t0, t1) = (t1, t0 - quotient * t1);
    }
    t0.rem_euclid(signed(modulus)).unsigned_abs()
}

/// One device of a number; device 0 is the phone itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct DeviceAddr {
    /// Whose device.
    pub(crate) number: Number,
    /// 0 for the phone, 1 to 255 for linked devices.
    pub(crate) device: u16,
}

impl DeviceAddr {
    /// The phone of `number`.
    pub(crate) fn phone(number: Number) -> Self {
        DeviceAddr { number, device: 0 }
    }

    /// Whether this is the phone itself.
    pub(crate) fn is_phone(self) -> bool {
        self.device == 0
    }

    /// The device a user's JID names, by number or by LID; `None` for groups and the rest.
    pub(crate) fn from_jid(jid: &Jid) -> Option<Self> {
        let number = match jid.server {
            Server::Pn | Server::Hosted | Server::Legacy => Number::parse(&jid.user)?,
            Server::Lid | Server::HostedLid => Number::from_lid(&jid.user)?,
            _ => return None,
        };
        (jid.device <= 255).then_some(DeviceAddr { number, device: jid.device })
    }

    /// `NUMBER:DEVICE@s.whatsapp.net`
    pub(crate) fn jid(self) -> Jid {
        Jid::pn_device(self.number.to_string(), self.device)
    }
}

impl fmt::Display for DeviceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lid_leads_back_to_its_number() {
        for text in ["62811", "6281234567890", "999999999999999", "15551234567"] {
            let number = Number::parse(text).unwrap();
            for before in 0..=OWNERS_BEFORE_MAX {
                let lid = number.lid_after(before);
                assert_eq!(lid.len(), 16);
                assert_eq!(Number::owner_of_lid(&lid), Some((number, before)), "{text}");
            }
        }
    }

    #[test]
    fn a_companions_state_has_a_number_of_its_own() {
        let phone = Number::parse("999999999999999").unwrap();
        assert_eq!(phone.device(), DeviceAddr::phone(phone));
        let companion = DeviceAddr { number: phone, device: 250 };
        let state = Number::of_companion(companion);
        assert_eq!((state.device(), state.owner()), (companion, phone));
        assert_eq!(Number::from_sql(state.sql()), state);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "0811", "08123456", "62-811", "1234", "1234567890123456", "six"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        for lid in ["", "12", "99999999999999999999999", "abc", "999999999999999"] {
            assert_eq!(Number::from_lid(lid), None, "{lid}");
        }
    }

    #[test]
    fn jids_of_either_kind_name_the_same_device() {
        let device = DeviceAddr { number: Number::parse("628123456789").unwrap(), device: 7 };
        assert_eq!(DeviceAddr::from_jid(&device.jid()), Some(device));
        let lid = Jid::lid_device(device.number.lid_after(0), device.device);
        assert_eq!(DeviceAddr::from_jid(&lid), Some(device));
        assert_eq!(DeviceAddr::from_jid(&Jid::group("123")), None);
    }
}
