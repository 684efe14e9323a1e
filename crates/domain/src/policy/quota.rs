//! Whether an account may send, and out of which allowance.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::plan::Plan;

/// What APIs print where a plan sets no limit.
pub const NO_LIMIT: i64 = 2_147_483_647;

/// Out of which allowance a message was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum QuotaKind {
    /// The plan's own messages.
    #[serde(rename = "free")]
    Plan,
    /// A grant.
    #[serde(rename = "pro")]
    Grant,
}

/// How a message was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaReceipt {
    /// Out of which allowance.
    pub kind: QuotaKind,
    /// What was left of it afterwards; [`NO_LIMIT`] where there is none.
    pub remaining: i64,
}

/// The calendar day and month of an account, as integers that grow: 20261121 and 202611.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Year, month and day.
    pub day: i64,
    /// Year and month.
    pub month: i64,
}

impl Period {
    /// The period `now` falls into in `zone`.
    pub fn of(now: Timestamp, zone: &TimeZone) -> Self {
        let date = zone.to_datetime(now).date();
        let month = i64::from(date.year()) * 100 + i64::from(date.month());
        Self { day: month * 100 + i64::from(date.day()), month }
    }

    fn is_day_after(self, other: Self) -> bool {
        let tomorrow = other.date().and_then(|date| date.tomorrow().ok());
        tomorrow.is_some() && tomorrow == self.date()
    }

    fn date(self) -> Option<Date> {
        let [year, month] = [self.month / 100, self.month % 100].map(i16::try_from);
        let (month, day) = (i8::try_from(month.ok()?), i8::try_from(self.day % 100));
        Date::new(year.ok()?, month.ok()?, day.ok()?).ok()
    }
}

/// How much of the plan an account has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The period the two counts belong to.
    pub period: Period,
    /// Messages of the day.
    pub day_used: i64,
    /// Messages of the month.
    pub month_used: i64,
}

impl Usage {
    /// The same usage seen at `period`: a new day or month starts at zero. Seen from the day before,
    /// as by a request that was under way at midnight, it stays what it is.
    #[must_use]
    pub fn at(self, period: Period) -> Self {
        if self.period.is_day_after(period) {
            return self;
        }
        Self {
            period,
            day_used: if self.period.day == period.day { self.day_used } else { 0 },
            month_used: if self.period.month == period.month { self.month_used } else { 0 },
        }
    }

    /// What is left of `plan`: the lesser of the day's and the month's rest.
    pub fn remaining(self, plan: &Plan) -> i64 {
        let day = plan.messages_per_day.map(|limit| limit - self.day_used);
        let month = plan.messages_per_month.map(|limit| limit - self.month_used);
        [day, month].into_iter().flatten().min().map_or(NO_LIMIT, |rest| rest.max(0))
    }

    /// Pays for a message, if something is left.
    pub fn spend(self, plan: &Plan) -> Option<(Self, QuotaReceipt)> {
        let rest = self.remaining(plan);
        if rest < 1 {
            return None;
        }
        let used = Self { day_used: self.day_used + 1, month_used: self.month_used + 1, ..self };
        let remaining = if rest == NO_LIMIT { NO_LIMIT } else { rest - 1 };
        Some((used, QuotaReceipt { kind: QuotaKind::Plan, remaining }))
    }

    /// Gives back a message that never left, if its period still runs.
    #[must_use]
    pub fn refund(self, accepted_in: Period) -> Self {
        let day = i64::from(self.period.day == accepted_in.day);
        let month = i64::from(self.period.month == accepted_in.month);
        Self {
            day_used: (self.day_used - day).max(0),
            month_used: (self.month_used - month).max(0),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(day: Option<i64>, month: Option<i64>) -> Plan {
        let free = Plan::built_in().remove(0);
        Plan { messages_per_day: day, messages_per_month: month, ..free }
    }

    fn usage(day_used: i64, month_used: i64) -> Usage {
        Usage { period: Period { day: 20_261_121, month: 202_611 }, day_used, month_used }
    }

    #[test]
    fn the_day_and_the_month_both_hold() {
        let cases = [
            (Some(50), Some(1_000), 49, 49, Some(0)),
            (Some(50), Some(1_000), 50, 50, None),
            (Some(50), Some(1_000), 0, 1_000, None),
            (Some(50), None, 10, 9_999, Some(39)),
            (None, None, 1_000_000, 1_000_000, Some(NO_LIMIT)),
        ];
        for (day, month, day_used, month_used, expected) in cases {
            let spent = usage(day_used, month_used).spend(&plan(day, month));
            assert_eq!(spent.map(|(_, receipt)| receipt.remaining), expected);
            let used = expected.map(|_| usage(day_used + 1, month_used + 1));
            assert_eq!(spent.map(|(used, _)| used), used);
        }
    }

    #[test]
    fn days_begin_where_the_account_lives() {
        let now: Timestamp = "2026-11-30T18:30:00Z".parse().unwrap();
        let jakarta = Period::of(now, &TimeZone::get("Asia/Jakarta").unwrap());
        assert_eq!(jakarta, Period { day: 20_261_201, month: 202_612 });
        assert_eq!(Period::of(now, &TimeZone::UTC), Period { day: 20_261_130, month: 202_611 });
        assert_eq!(usage(7, 9).at(jakarta), Usage { period: jakarta, day_used: 0, month_used: 0 });
    }

    #[test]
    fn only_the_day_before_is_seen_as_today() {
        let seen = |now: (i64, i64), from: (i64, i64)| {
            let [period, from] = [now, from].map(|(day, month)| Period { day, month });
            Usage { period, ..usage(7, 9) }.at(from).period.day
        };
        assert_eq!(seen((20_261_122, 202_611), (20_261_121, 202_611)), 20_261_122);
        assert_eq!(seen((20_270_101, 202_701), (20_261_231, 202_612)), 20_270_101);
        assert_eq!(seen((20_280_301, 202_803), (20_280_229, 202_802)), 20_280_301);
        // A clock that went wrong for a while does not stop the count for ever.
        assert_eq!(seen((20_300_101, 203_001), (20_261_121, 202_611)), 20_261_121);
        assert_eq!(seen((0, 0), (20_261_121, 202_611)), 20_261_121);
    }

    #[test]
    fn a_refund_never_goes_into_another_period() {
        let today = usage(5, 8);
        let yesterday = Period { day: 20_261_120, month: 202_611 };
        assert_eq!(today.refund(today.period), usage(4, 7));
        assert_eq!(today.refund(yesterday), usage(5, 7));
        let last_month = Period { day: 20_261_021, month: 202_610 };
        assert_eq!(today.refund(last_month), today);
        assert_eq!(usage(0, 0).refund(today.period), usage(0, 0), "a count is never negative");
    }
}
