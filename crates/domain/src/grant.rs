//! Grants: messages beside the plan's own ("pro"), given by the operator or by a voucher.
//!
//! An account has at most one grant for all its devices and at most one for each device. What is
//! added to a grant that still holds goes on top of it, and the later expiry counts for all of it.

use jiff::Timestamp;

use crate::ids::{AccountId, DeviceId, GrantId};
use crate::plan::Plan;
use crate::policy::quota::{QuotaKind, QuotaReceipt, Usage};

/// Most vouchers made in one go.
pub const VOUCHERS_MAX: u32 = 1_000;
/// Most messages of one grant or voucher.
pub const GRANT_MESSAGES_MAX: i64 = 1_000_000_000;
/// Longest a voucher's grant may hold, in days.
pub const VOUCHER_DAYS_MAX: u32 = 3_660;

/// Messages that were granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id. A grant that is made after the former one has expired has another.
    pub id: GrantId,
    /// The device it belongs to; `None` for all devices of the account.
    pub device_id: Option<DeviceId>,
    /// How many messages were granted.
    pub total: i64,
    /// How many of them are used up.
    pub used: i64,
    /// When the rest is void; `None` for never.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    /// Whether it holds at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// What is left.
    pub fn remaining(&self) -> i64 {
        (self.total - self.used).max(0)
    }

    /// Puts more on top; the later expiry counts.
    pub fn add(&mut self, messages: i64, expires_at: Option<Timestamp>) {
        self.total = self.total.saturating_add(messages);
        self.expires_at = match (self.expires_at, expires_at) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (None, _) | (_, None) => None,
        };
    }

    /// Whether `device` may spend it.
    pub fn is_for(&self, device: DeviceId) -> bool {
        self.device_id.is_none_or(|owner| owner == device)
    }
}

/// All that an account can pay with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// What it has used of its plan, seen at the present period.
    pub usage: Usage,
    /// Its grants.
    pub grants: Vec<Grant>,
}

/// How a message was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// As APIs show it.
    pub receipt: QuotaReceipt,
    /// The grant that paid; `None` for the plan.
    pub grant: Option<GrantId>,
}

impl Allowance {
    /// Pays for one message: out of the device's grant, else the account's, else the plan.
    pub fn pay(&mut self, plan: &Plan, device: DeviceId, now: Timestamp) -> Option<Charge> {
        let can_pay =
            |grant: &&mut Grant| grant.is_for(device) && grant.holds(now) && grant.remaining() > 0;
        // `None`, the account's own, sorts before any device.
        let payer = self.grants.iter_mut().filter(can_pay).max_by_key(|grant| grant.device_id);
        if let Some(grant) = payer {
            grant.used += 1;
            let id = grant.id;
            let remaining = self.granted(device, now);
            let receipt = QuotaReceipt { kind: QuotaKind::Grant, remaining };
            return Some(Charge { receipt, grant: Some(id) });
        }
        let (usage, receipt) = self.usage.spend(plan)?;
        self.usage = usage;
        Some(Charge { receipt, grant: None })
    }

    /// What `device` may still spend of grants.
    pub fn granted(&self, device: DeviceId, now: Timestamp) -> i64 {
        let holds = |grant: &&Grant| grant.is_for(device) && grant.holds(now);
        self.grants.iter().filter(holds).map(Grant::remaining).sum()
    }
}

/// What an account, or one of its devices, may still send.
#[derive(Debug, Clone)]
pub struct Quota {
    /// The plan.
    pub plan: Plan,
    /// What is used of it, seen at the present period.
    pub usage: Usage,
    /// The grants that hold now, and that the device in question may spend.
    pub grants: Vec<Grant>,
}

impl Quota {
    /// The part of it that one device may spend.
    #[must_use]
    pub fn of_device(&self, device: DeviceId) -> Self {
        let mut quota = self.clone();
        quota.grants.retain(|grant| grant.is_for(device));
        quota
    }

    /// Messages granted: all of them, and those used up.
    pub fn granted(&self) -> (i64, i64) {
        let sum = |of: fn(&Grant) -> i64| self.grants.iter().map(of).sum();
        (sum(|grant| grant.total), sum(|grant| grant.used))
    }

    /// When the last of the grants expires; `None` for never, or when there is none.
    pub fn granted_until(&self) -> Option<Timestamp> {
        let never = self.grants.iter().any(|grant| grant.expires_at.is_none());
        if never { None } else { self.grants.iter().filter_map(|grant| grant.expires_at).max() }
    }

    /// How many more messages are accepted now: grants and the plan's rest together.
    pub fn remaining(&self) -> i64 {
        let granted: i64 = self.grants.iter().map(Grant::remaining).sum();
        match self.usage.remaining(&self.plan) {
            crate::policy::quota::NO_LIMIT => crate::policy::quota::NO_LIMIT,
            rest => rest.saturating_add(granted),
        }
    }
}

/// Messages to be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewGrant {
    /// To whom.
    pub account_id: AccountId,
    /// To which device; `None` for all of the account's.
    pub device_id: Option<DeviceId>,
    /// How many.
    pub messages: i64,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

/// A voucher that is to be stored; only its maker knows the code.
#[derive(Debug, Clone)]
pub struct NewVoucher {
    /// The hash of its code.
    pub code: crate::key::KeyHash,
    /// How many messages it grants.
    pub messages: i64,
    /// How many days the grant holds once redeemed; `None` for ever.
    pub valid_days: Option<u32>,
}

/// What became of a voucher's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// So many messages went to the device; its grant as it is now.
    Granted {
        /// How many.
        messages: i64,
        /// The device's grant.
        grant: Grant,
    },
    /// There is no such voucher, or it was redeemed before.
    Invalid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::quota::Period;

    fn device(n: u128) -> DeviceId {
        DeviceId(uuid::Uuid::from_u128(n))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn grant(id: i64, owner: Option<DeviceId>, left: i64, until: Option<i64>) -> Grant {
        Grant { id: GrantId(id), device_id: owner, total: left, used: 0, expires_at: until.map(at) }
    }

    fn allowance(grants: Vec<Grant>) -> Allowance {
        let period = Period { day: 20_261_121, month: 202_611 };
        Allowance { usage: Usage { period, day_used: 0, month_used: 0 }, grants }
    }

    #[test]
    fn grants_are_spent_first_and_the_devices_own_before_the_accounts() {
        let plan = Plan { messages_per_day: Some(1), ..Plan::built_in().remove(0) };
        let (one, two) = (device(1), device(2));
        let mut allowance = allowance(vec![
            grant(1, None, 1, None),
            grant(2, Some(one), 1, Some(100)),
            grant(3, Some(two), 9, None),
            grant(4, Some(one), 9, Some(10)),
        ]);
        let paid: Vec<_> = std::iter::from_fn(|| allowance.pay(&plan, one, at(50)))
            .take(9)
            .map(|charge| (charge.grant.map(|id| id.0), charge.receipt.remaining))
            .collect();
        assert_eq!(paid, [(Some(2), 1), (Some(1), 0), (None, 0)]);
        assert_eq!(allowance.granted(two, at(50)), 9);
    }

    #[test]
    fn grants_stack_and_the_later_expiry_counts() {
        let mut stack = grant(1, None, 10, Some(100));
        stack.add(5, Some(at(50)));
        assert_eq!((stack.total, stack.expires_at), (15, Some(at(100))));
        stack.add(5, None);
        assert_eq!((stack.total, stack.expires_at), (20, None));
        assert!(stack.holds(at(1_000)));
    }

    #[test]
    fn a_grant_is_void_at_its_expiry() {
        for (now, holds) in [(99, true), (100, false), (101, false)] {
            assert_eq!(grant(1, None, 10, Some(100)).holds(at(now)), holds, "{now}");
        }
    }

    #[test]
    fn a_quota_is_the_plans_rest_and_all_grants() {
        use crate::policy::quota::NO_LIMIT;
        let used = |used, grant| Grant { used, ..grant };
        let (early, late) = (grant(1, None, 10, Some(100)), grant(2, None, 5, Some(200)));
        let endless = grant(3, None, 3, None);
        let cases = [
            (vec![], (0, 0), None, 4),
            (vec![used(4, early.clone())], (10, 4), Some(100), 10),
            (vec![late.clone(), used(10, early.clone())], (15, 10), Some(200), 9),
            (vec![used(1, early), late, used(2, endless)], (18, 3), None, 19),
        ];
        for (grants, granted, until, remaining) in cases {
            let Allowance { usage, grants } = allowance(grants);
            let plan = Plan { messages_per_day: Some(4), ..Plan::built_in().remove(0) };
            let quota = Quota { plan, usage, grants };
            assert_eq!((quota.granted(), quota.granted_until()), (granted, until.map(at)));
            assert_eq!(quota.remaining(), remaining);
            let plan = Plan { messages_per_day: None, messages_per_month: None, ..quota.plan };
            assert_eq!(Quota { plan, ..quota }.remaining(), NO_LIMIT);
        }
    }
}
