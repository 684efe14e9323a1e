//! When a device may send its next message, so that it behaves like a person.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Longest pause between two messages that may be asked for, in seconds.
pub const GAP_S_MAX: u32 = 3_600;
/// New numbers a device writes to in a day, unless its pacing says otherwise.
pub const FIRST_CONTACTS_PER_DAY: u32 = 50;
/// How much of its limit of new numbers a device may use on its first days, in percent; all of it
/// from then on.
pub const WARM_UP_PERCENT: [u32; 7] = [20, 25, 30, 40, 50, 65, 80];
const TYPING_MS_PER_CHAR: u64 = 40;
const TYPING_MS_MIN: u64 = 500;
const TYPING_MS_MAX: u64 = 8_000;

/// How a device paces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pacing {
    /// Shortest pause between two messages, in seconds.
    pub min_s: u32,
    /// Longest pause between two messages, in seconds.
    pub max_s: u32,
    /// Whether time to type is taken before a text.
    pub typing: bool,
    /// Most new numbers in a day of the account; `None` for no limit.
    pub first_contacts_per_day: Option<u32>,
    /// Whether that limit grows over the first days after the number was linked.
    pub warm_up: bool,
    /// Hours in which nothing is sent, in the account's time zone.
    pub quiet_hours: Option<QuietHours>,
}

/// From `from` until `until`, over midnight when `until` is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: Time,
    /// The first minute that is not quiet any more.
    pub until: Time,
}

/// A pause range that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `off` or seconds as MIN-MAX, such as 3-8, at most {GAP_S_MAX}")]
pub struct InvalidPacing;

impl Pacing {
    /// No pacing at all: no pause, no typing time, no budget, no quiet hours.
    pub fn off() -> Self {
        Self {
            min_s: 0,
            max_s: 0,
            typing: false,
            first_contacts_per_day: None,
            warm_up: false,
            quiet_hours: None,
        }
    }

    /// A pause between `min_s` and `max_s` seconds, and the other defaults.
    ///
    /// # Errors
    /// [`InvalidPacing`] when the range is empty or too long.
    pub fn between(min_s: u32, max_s: u32) -> Result<Self, InvalidPacing> {
        let pacing = Self {
            min_s,
            max_s,
            typing: true,
            first_contacts_per_day: Some(FIRST_CONTACTS_PER_DAY),
            warm_up: true,
            quiet_hours: None,
        };
        pacing.check().map(|()| pacing)
    }

    /// Reads `off` or `MIN-MAX`.
    ///
    /// # Errors
    /// [`InvalidPacing`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidPacing> {
        if text == "off" {
            return Ok(Self::off());
        }
        let (min, max) = text.split_once('-').ok_or(InvalidPacing)?;
        let seconds = |part: &str| part.trim().parse().map_err(|_| InvalidPacing);
        Self::between(seconds(min)?, seconds(max)?)
    }

    /// Whether the ranges make sense.
    ///
    /// # Errors
    /// [`InvalidPacing`] when they do not.
    pub fn check(&self) -> Result<(), InvalidPacing> {
        (self.min_s <= self.max_s && self.max_s <= GAP_S_MAX).then_some(()).ok_or(InvalidPacing)
    }

    /// The pause after a message; `random` picks it.
    pub fn gap(&self, random: u64) -> SignedDuration {
        let span_ms = u64::from(self.max_s - self.min_s) * 1_000;
        let extra_ms = random.checked_rem(span_ms + 1).unwrap_or(0);
        let gap_ms = u64::from(self.min_s) * 1_000 + extra_ms;
        SignedDuration::from_millis(i64::try_from(gap_ms).unwrap_or(i64::MAX))
    }

    /// Most new numbers on the day of `now`, of a device that was linked at `linked_at`; `None` for no
    /// limit.
    pub fn first_contacts_on(
        &self,
        now: Timestamp,
        linked_at: Option<Timestamp>,
        zone: &TimeZone,
    ) -> Option<u32> {
        let limit = self.first_contacts_per_day?;
        let Some(linked_at) = linked_at.filter(|_| self.warm_up) else { return Some(limit) };
        let date = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let days = date(now).since(date(linked_at)).map_or(0, |age| age.get_days());
        let day = usize::try_from(days).unwrap_or_default();
        Some(WARM_UP_PERCENT.get(day).map_or(limit, |percent| warmed_up(limit, *percent)))
    }

    /// How long somebody would type `text`.
    pub fn typing_time(&self, text: &str) -> SignedDuration {
        if !self.typing {
            return SignedDuration::ZERO;
        }
        let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        let typing_ms = chars.saturating_mul(TYPING_MS_PER_CHAR);
        let typing_ms = typing_ms.clamp(TYPING_MS_MIN, TYPING_MS_MAX);
        SignedDuration::from_millis(i64::try_from(typing_ms).unwrap_or(i64::MAX))
    }

    /// When the quiet hours that hold at `now` end; `None` outside them.
    pub fn quiet_until(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let quiet = self.quiet_hours?;
        let local = now.to_zoned(zone.clone());
        let (time, today) = (local.time(), local.date());
        let is_over_midnight = quiet.until < quiet.from;
        let end = match (quiet.from <= time, time < quiet.until) {
            (true, true) => today,
            (false, true) if is_over_midnight => today,
            (true, false) if is_over_midnight => today.tomorrow().ok()?,
            _ => return None,
        };
        let end = zone.to_ambiguous_timestamp(end.to_datetime(quiet.until));
        // In the night in which the clocks go back it may be that time twice.
        end.compatible().ok().filter(|first| *first > now).or_else(|| end.later().ok())
    }
}

fn warmed_up(limit: u32, percent: u32) -> u32 {
    let share = u64::from(limit) * u64::from(percent) / 100;
    // A limit is not turned into a ban.
    u32::try_from(share).unwrap_or(limit).max(limit.min(1))
}

/// When the next day begins in `zone`, which is when the first-contact budget is new.
pub fn next_day(now: Timestamp, zone: &TimeZone) -> Timestamp {
    let tomorrow = now.to_zoned(zone.clone()).date().tomorrow();
    tomorrow
        .and_then(|date| date.to_zoned(zone.clone()))
        .map_or(Timestamp::MAX, |midnight| midnight.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_setting_may_say() {
        assert_eq!(Pacing::parse("off"), Ok(Pacing::off()));
        assert_eq!(Pacing::parse("3-8"), Pacing::between(3, 8));
        for wrong in ["", "3", "8-3", "a-b", "0-3601", "-1-2", "on"] {
            assert_eq!(Pacing::parse(wrong), Err(InvalidPacing), "{wrong}");
        }
    }

    #[test]
    fn pauses_stay_in_their_range() {
        let pacing = Pacing::between(3, 8).unwrap();
        for (random, gap_ms) in [(0, 3_000), (1, 3_001), (5_000, 8_000), (5_001, 3_000)] {
            assert_eq!(pacing.gap(random).as_millis(), gap_ms, "{random}");
        }
        assert!((3_000..=8_000).contains(&pacing.gap(u64::MAX).as_millis()));
        assert_eq!(Pacing::between(5, 5).unwrap().gap(u64::MAX), SignedDuration::from_secs(5));
        assert_eq!(Pacing::off().gap(u64::MAX), SignedDuration::ZERO);
    }

    #[test]
    fn long_texts_take_longer_to_type_but_not_for_ever() {
        let pacing = Pacing::between(3, 8).unwrap();
        let times: Vec<i128> =
            [1, 100, 5_000].map(|n| pacing.typing_time(&"x".repeat(n)).as_millis()).into();
        assert_eq!(times, [500, 4_000, 8_000]);
    }

    #[test]
    fn quiet_hours_end_on_the_day_they_began_or_over_midnight() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let (night, noon) = ((21, 7), (12, 13));
        let cases = [
            (night, "2026-11-21T13:59:59Z", None),
            (night, "2026-11-21T14:00:00Z", Some("2026-11-22T00:00:00Z")),
            (night, "2026-11-21T16:59:59Z", Some("2026-11-22T00:00:00Z")),
            // Midnight in Jakarta.
            (night, "2026-11-21T17:00:00Z", Some("2026-11-22T00:00:00Z")),
            (night, "2026-11-21T23:59:59Z", Some("2026-11-22T00:00:00Z")),
            (night, "2026-11-22T00:00:00Z", None),
            (noon, "2026-11-21T04:59:59Z", None),
            (noon, "2026-11-21T05:00:00Z", Some("2026-11-21T06:00:00Z")),
            (noon, "2026-11-21T05:59:59Z", Some("2026-11-21T06:00:00Z")),
            (noon, "2026-11-21T06:00:00Z", None),
            ((12, 12), "2026-11-21T04:59:59Z", None),
            ((12, 12), "2026-11-21T05:00:00Z", None),
        ];
        for ((from, until), now, end) in cases {
            let [from, until] = [from, until].map(|hour| Time::constant(hour, 0, 0, 0));
            let quiet_hours = Some(QuietHours { from, until });
            let pacing = Pacing { quiet_hours, ..Pacing::off() };
            assert_eq!(pacing.quiet_until(at(now), &zone), end.map(at), "{quiet_hours:?} {now}");
        }
        assert_eq!(Pacing::off().quiet_until(at("2026-11-21T14:00:00Z"), &zone), None);
    }

    #[test]
    fn quiet_hours_end_later_than_now_when_the_clocks_go_back() {
        let (from, until) = (Time::constant(22, 0, 0, 0), Time::constant(2, 30, 0, 0));
        let quiet_hours = Some(QuietHours { from, until });
        let pacing = Pacing { quiet_hours, ..Pacing::off() };
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // At 01:00Z three o'clock becomes two o'clock.
        for (now, end) in [
            ("2026-10-25T00:15:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:30:00Z", None),
            ("2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")),
            ("2026-10-25T01:29:59Z", Some("2026-10-25T01:30:00Z")),
            ("2026-10-25T01:30:00Z", None),
        ] {
            assert_eq!(pacing.quiet_until(at(now), &zone), end.map(at), "{now}");
        }
    }

    #[test]
    fn a_new_device_warms_up() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let linked_at = Some(at("2026-11-21T16:00:00Z"));
        let pacing = Pacing::between(3, 8).unwrap();
        for (now, limit) in [
            ("2026-11-21T16:30:00Z", 10),
            // Midnight in Jakarta.
            ("2026-11-21T17:00:00Z", 12),
            ("2026-11-24T16:00:00Z", 20),
            ("2026-11-28T16:59:00Z", 50),
            ("2030-01-01T00:00:00Z", 50),
        ] {
            assert_eq!(pacing.first_contacts_on(at(now), linked_at, &zone), Some(limit), "{now}");
        }
        let now = at("2026-11-21T16:30:00Z");
        let of_one = Pacing { first_contacts_per_day: Some(1), ..pacing.clone() };
        assert_eq!(of_one.first_contacts_on(now, linked_at, &zone), Some(1));
        let without = Pacing { warm_up: false, ..pacing.clone() };
        assert_eq!(without.first_contacts_on(now, linked_at, &zone), Some(50));
        assert_eq!(pacing.first_contacts_on(now, None, &zone), Some(50), "its age is not known");
        assert_eq!(Pacing::off().first_contacts_on(now, linked_at, &zone), None);
    }

    #[test]
    fn the_budget_is_new_at_midnight() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        assert_eq!(next_day(at("2026-11-21T13:00:00Z"), &zone), at("2026-11-21T17:00:00Z"));
    }
}
