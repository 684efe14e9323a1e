//! How many messages went and came, by day and device.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::{Core, Principal};
use crate::error::{Error, Result};
use crate::ids::DeviceId;
use crate::message::{Direction, MessageState};
use crate::ports::{HourUsage, MessageCounts};
use crate::scope::Scope;

/// Most days of a report: messages are kept for 90.
pub const USAGE_DAYS_MAX: u32 = 90;

/// What became of messages; one that was read was delivered and sent, too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageFigures {
    /// WhatsApp has them.
    pub sent: i64,
    /// They are on their recipients' phones.
    pub delivered: i64,
    /// Their recipients have seen them.
    pub read: i64,
    /// They failed, expired or were cancelled.
    pub failed: i64,
    /// Those of them that were cancelled.
    pub cancelled: i64,
    /// They came in.
    pub received: i64,
}

/// How many messages a device has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFigures {
    /// That WhatsApp has.
    pub sent: i64,
    /// That ended otherwise: failed, expired or cancelled.
    pub failed: i64,
    /// Of those WhatsApp has, how many were accepted in the present day of the account.
    pub sent_today: i64,
}

impl AddAssign for UsageFigures {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.read += other.read;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.received += other.received;
    }
}

impl UsageFigures {
    fn of(usage: &HourUsage) -> Self {
        use MessageState::{Cancelled, Delivered, Expired, Failed, Played, Read, Sent};
        let HourUsage { direction, state, count, .. } = *usage;
        let is = |states: &[MessageState]| i64::from(states.contains(&state)) * count.max(0);
        if direction == Direction::In {
            return Self { received: count.max(0), ..Self::default() };
        }
        Self {
            sent: is(&[Sent, Delivered, Read, Played]),
            delivered: is(&[Delivered, Read, Played]),
            read: is(&[Read, Played]),
            failed: is(&[Failed, Expired, Cancelled]),
            cancelled: is(&[Cancelled]),
            received: 0,
        }
    }
}

/// The messages of a device that were accepted or came in on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub struct DayUsage {
    pub day: Date,
    pub device: DeviceId,
    pub figures: UsageFigures,
}

/// Messages by day and device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// Every day of the report, the earliest first.
    pub days: Vec<Date>,
    /// By day and device; without those that had no messages.
    pub rows: Vec<DayUsage>,
}

impl UsageReport {
    /// All days and devices together.
    pub fn total(&self) -> UsageFigures {
        let mut total = UsageFigures::default();
        self.rows.iter().for_each(|row| total += row.figures);
        total
    }
}

impl Core {
    /// How many messages were accepted and came in within the last `days`, the present one included, by
    /// day of the account's time zone. Counted by the hour: where days begin within one, it belongs to
    /// the day in which it begins.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the device, [`Error::Invalid`] for the days, [`Error::ScopeMissing`].
    pub async fn usage_by_day(
        &self,
        principal: &Principal,
        device: Option<DeviceId>,
        days: u32,
    ) -> Result<UsageReport> {
        principal.require(Scope::Read)?;
        if !(1..=USAGE_DAYS_MAX).contains(&days) {
            return Err(Error::invalid("days", format!("must be 1 to {USAGE_DAYS_MAX}")));
        }
        let account = principal.account()?;
        let device = device.or(principal.caller.bound_device());
        if let Some(device) = device {
            self.remembered_device(principal, device).await?;
        }
        let zone = account.timezone.zone();
        let today = self.clock.now().to_zoned(zone.clone()).date();
        let first = today.saturating_sub(Span::new().days(i64::from(days) - 1));
        let since = first.to_zoned(zone.clone()).map_or(Timestamp::MIN, |day| day.timestamp());
        let mut sums: BTreeMap<(Date, DeviceId), UsageFigures> = BTreeMap::new();
        for usage in self.store.usage_by_hour(account.id, device, since).await? {
            let day = usage.hour.to_zoned(zone.clone()).date().max(first);
            *sums.entry((day, usage.device_id)).or_default() += UsageFigures::of(&usage);
        }
        let row = |((day, device), figures)| DayUsage { day, device, figures };
        let days = first.series(Span::new().days(1)).take_while(|day| *day <= today).collect();
        Ok(UsageReport { days, rows: sums.into_iter().map(row).collect() })
    }

    /// How many messages a device has sent.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn device_figures(
        &self,
        principal: &Principal,
        id: DeviceId,
    ) -> Result<DeviceFigures> {
        let today = self.usage_by_day(principal, Some(id), 1).await?.total();
        let MessageCounts { sent, failed } =
            self.store.message_counts(principal.account_id()?, id).await?;
        Ok(DeviceFigures { sent, failed, sent_today: today.sent })
    }
}
