//! When a failed attempt is repeated, and when a message expires.

use jiff::{SignedDuration, Timestamp};

/// Pauses after the first failed attempts, in seconds; the last one repeats.
pub const RETRY_PAUSES_S: [i64; 5] = [30, 120, 600, 1_800, 3_600];
/// How long a message may wait when its sender did not say.
pub const EXPIRY_DEFAULT: SignedDuration = SignedDuration::from_hours(24);
/// Longest time a message may wait, and the furthest it may be scheduled ahead.
pub const EXPIRY_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);

/// When the attempt after the `attempts`-th failed one is due.
///
/// `chosen_s` is the sender's own `retry_interval_s`.
pub fn next_attempt_at(failed_at: Timestamp, attempts: u32, chosen_s: Option<u32>) -> Timestamp {
    let steps = RETRY_PAUSES_S.len();
    let step = usize::try_from(attempts.max(1) - 1).unwrap_or(steps).min(steps - 1);
    let pause_s = chosen_s.map_or(RETRY_PAUSES_S[step], i64::from);
    failed_at.saturating_add(SignedDuration::from_secs(pause_s)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_an_hour() {
        let pauses: Vec<i64> =
            (1..=8).map(|n| next_attempt_at(Timestamp::UNIX_EPOCH, n, None).as_second()).collect();
        assert_eq!(pauses, [30, 120, 600, 1_800, 3_600, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn the_senders_own_interval_wins() {
        for attempts in [1, 5, 50] {
            let at = next_attempt_at(Timestamp::UNIX_EPOCH, attempts, Some(7));
            assert_eq!(at.as_second(), 7);
        }
    }

    #[test]
    fn messages_are_scheduled_a_leap_year_ahead_at_most() {
        assert_eq!(EXPIRY_MAX.as_secs(), 31_622_400);
    }
}
