//! What may still be sent: the plan's messages, grants and vouchers.

use jiff::Timestamp;

use super::{Core, Principal};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::grant::{
    GRANT_MESSAGES_MAX, Grant, NewGrant, NewVoucher, Quota, Redeemed, VOUCHER_DAYS_MAX,
    VOUCHERS_MAX,
};
use crate::ids::{AccountId, DeviceId};
use crate::key::{KeyHash, Secret};
use crate::plan::Plan;
use crate::scope::Scope;

/// What a voucher's code is made of: digits and letters that cannot be mistaken for one another.
const CODE_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// A code is four groups of four characters: 80 random bits.
const CODE_GROUPS: usize = 4;

impl Core {
    /// What the caller's account, or one of its devices, may still send.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the device, [`Error::Forbidden`] for the operator.
    pub async fn quota(&self, principal: &Principal, device: Option<DeviceId>) -> Result<Quota> {
        let account = principal.account()?;
        let device = device.or(principal.caller.bound_device());
        if let Some(device) = device {
            self.remembered_device(principal, device).await?;
        }
        let now = self.clock.now();
        let usage = self.store.usage(account.id).await?.at(self.period(account));
        let mut grants = self.store.grants(account.id).await?;
        grants.retain(|grant| grant.holds(now));
        let quota = Quota { plan: Plan::clone(principal.plan()?), usage, grants };
        Ok(match device {
            Some(device) => quota.of_device(device),
            None => quota,
        })
    }

    /// Grants messages to an account or one of its devices, for the operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Invalid`], [`Error::NotFound`].
    pub async fn add_grant(&self, principal: &Principal, grant: NewGrant) -> Result<Grant> {
        principal.require_operator()?;
        let now = self.clock.now();
        check_messages(grant.messages)?;
        if grant.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid("expires_at", "must be in the future"));
        }
        if self.store.account(grant.account_id).await?.is_none() {
            return Err(Error::NotFound("account"));
        }
        let (account, messages) = (Some(grant.account_id), grant.messages);
        let granted = self.store.add_grant(grant, now).await?.ok_or(Error::NotFound("device"))?;
        self.note_in(principal, account, Action::GrantAdded, messages).await;
        Ok(granted)
    }

    /// The grants of an account, those that have expired included, for the operator.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`].
    pub async fn grants(&self, principal: &Principal, account: AccountId) -> Result<Vec<Grant>> {
        principal.require_operator()?;
        self.store.account(account).await?.ok_or(Error::NotFound("account"))?;
        Ok(self.store.grants(account).await?)
    }

    /// Makes vouchers, for the operator; their codes are shown only now.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Invalid`].
    pub async fn create_vouchers(
        &self,
        principal: &Principal,
        messages: i64,
        valid_days: Option<u32>,
        count: u32,
    ) -> Result<Vec<Secret>> {
        principal.require_operator()?;
        check_messages(messages)?;
        if valid_days.is_some_and(|days| !(1..=VOUCHER_DAYS_MAX).contains(&days)) {
            return Err(Error::invalid("valid_days", format!("must be 1 to {VOUCHER_DAYS_MAX}")));
        }
        if !(1..=VOUCHERS_MAX).contains(&count) {
            return Err(Error::invalid("count", format!("must be 1 to {VOUCHERS_MAX}")));
        }
        let codes: Vec<Secret> = (0..count).map(|_| code(self.random())).collect();
        let voucher = |code: &Secret| NewVoucher { code: code.hash(), messages, valid_days };
        self.store.create_vouchers(codes.iter().map(voucher).collect(), self.clock.now()).await?;
        self.note(principal, Action::VouchersCreated, format!("{count} x {messages}")).await;
        Ok(codes)
    }

    /// Redeems a voucher for a device: how many messages it brought.
    ///
    /// # Errors
    /// [`Error::VoucherInvalid`], [`Error::NotFound`] for the device.
    pub async fn redeem(&self, principal: &Principal, device: DeviceId, code: &str) -> Result<i64> {
        principal.require(Scope::Manage)?;
        let account = principal.require_device(device)?;
        self.device(principal, device).await?;
        match self.store.redeem_voucher(account, device, &code_hash(code), self.clock.now()).await?
        {
            Redeemed::Granted { messages, .. } => {
                self.note(principal, Action::VoucherRedeemed, messages).await;
                Ok(messages)
            }
            Redeemed::Invalid => Err(Error::VoucherInvalid),
        }
    }
}

/// A time `days` later; as far as times go.
pub fn days_later(now: Timestamp, days: u32) -> Timestamp {
    let wait = jiff::SignedDuration::from_hours(24 * i64::from(days));
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

fn check_messages(messages: i64) -> Result<()> {
    let message = format!("must be 1 to {GRANT_MESSAGES_MAX}");
    let fits = (1..=GRANT_MESSAGES_MAX).contains(&messages);
    fits.then_some(()).ok_or_else(|| Error::invalid("messages", message))
}

fn code(random: [u8; 4 * CODE_GROUPS]) -> Secret {
    let letter = |byte: &u8| char::from(CODE_ALPHABET[usize::from(byte % 32)]);
    let groups: Vec<String> =
        random.chunks(4).map(|group| group.iter().map(letter).collect()).collect();
    Secret::new(groups.join("-"))
}

/// Codes are typed by people: case, spaces and missing dashes do not matter.
fn code_hash(typed: &str) -> KeyHash {
    let bare: Vec<char> = typed
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| c.to_ascii_uppercase())
        .take(64)
        .collect();
    let groups: Vec<String> = bare.chunks(4).map(|group| group.iter().collect()).collect();
    Secret::new(groups.join("-")).hash()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_may_be_typed_carelessly() {
        let made = code([1; 16]);
        assert_eq!(made.reveal(), "3333-3333-3333-3333");
        for typed in ["3333-3333-3333-3333", " 3333333333333333 ", "3333 3333 3333 3333"] {
            assert_eq!(code_hash(typed), made.hash(), "{typed}");
        }
        assert_eq!(code_hash("abcd-efgh"), code_hash("ABCDEFGH"));
        assert_ne!(code_hash("3333-3333-3333-333"), made.hash());
    }

    #[test]
    fn grants_have_a_size_and_days_an_end() {
        for (messages, fits) in [
            (-1, false),
            (0, false),
            (1, true),
            (GRANT_MESSAGES_MAX, true),
            (GRANT_MESSAGES_MAX + 1, false),
        ] {
            assert_eq!(check_messages(messages).is_ok(), fits, "{messages}");
        }
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(days_later(now, 3).to_string(), "2026-12-03T12:00:00Z");
        assert_eq!(days_later(Timestamp::MAX, 1), Timestamp::MAX);
    }

    #[test]
    fn each_random_byte_is_a_letter_of_the_code() {
        let random = std::array::from_fn(|n| [0, 31, 32, 255][n % 4]);
        assert_eq!(code(random).reveal(), "2Z2Z-2Z2Z-2Z2Z-2Z2Z");
    }
}
