//! What follows from a webhook's answer: when the event is posted again, and when it is a dead letter.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// When an event is posted, in seconds after the first try; the pauses in between vary by
/// [`JITTER_PERCENT`].
pub const TRIES_AT_S: [i64; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// By how much a pause is shorter or longer, so that many that failed together do not come back
/// together.
pub const JITTER_PERCENT: i64 = 20;
/// Later events of the same chat or device wait for so many tries of an earlier one; then they pass.
pub const HOLDING_TRIES: u32 = 4;
/// So many answers that call the request itself faulty end it.
pub const REFUSALS_MAX: u32 = 3;
/// Longest pause a receiver may ask for.
pub const RETRY_AFTER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What follows from a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver took it.
    Delivered,
    /// It is posted again then.
    Again(Timestamp),
    /// It is a dead letter.
    Dead,
    /// It is a dead letter and the webhook is disabled: its receiver wants no more.
    Gone,
}

/// Judges the `tries`-th try, which ended at `now` with `status` (`None`: no answer). `random`
/// varies the pause.
pub fn judge(
    status: Option<u16>,
    retry_after: Option<Duration>,
    tries: u32,
    now: Timestamp,
    random: u64,
) -> Verdict {
    match status {
        Some(200..=299) => return Verdict::Delivered,
        Some(410) => return Verdict::Gone,
        Some(400 | 404 | 413 | 415 | 422) if tries >= REFUSALS_MAX => return Verdict::Dead,
        _ => {}
    }
    let Some(pause) = pause_after(tries, random) else { return Verdict::Dead };
    let asked = retry_after.map(|asked| SignedDuration::try_from(asked).unwrap_or(RETRY_AFTER_MAX));
    let pause = asked.map_or(pause, |asked| pause.max(asked.min(RETRY_AFTER_MAX)));
    Verdict::Again(now.saturating_add(pause).unwrap_or(Timestamp::MAX))
}

/// Whether later events wait for one that has been tried so often.
pub fn is_holding(tries: u32) -> bool {
    tries < HOLDING_TRIES
}

/// The pause after the `tries`-th try; `None` after the last.
fn pause_after(tries: u32, random: u64) -> Option<SignedDuration> {
    let next = usize::try_from(tries.max(1)).ok()?;
    let plain_ms = (TRIES_AT_S.get(next)? - TRIES_AT_S[next - 1]) * 1_000;
    let shortest_ms = plain_ms * (100 - JITTER_PERCENT) / 100;
    let span_ms = plain_ms * 2 * JITTER_PERCENT / 100;
    let span = u64::try_from(span_ms).ok()?;
    let extra_ms = i64::try_from(random % (span + 1)).ok()?;
    Some(SignedDuration::from_millis(shortest_ms + extra_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn pause_s(verdict: Verdict) -> Option<i64> {
        match verdict {
            Verdict::Again(at) => Some(at.as_second()),
            _ => None,
        }
    }

    #[test]
    fn the_tries_spread_over_a_day() {
        // The middle of what chance may give, then its ends.
        let middle = |tries: u32| {
            let shortest = pause_s(judge(None, None, tries, NOW, 0))?;
            Some(shortest * 100 / 80)
        };
        let mut at = 0;
        let mut tries_at = vec![at];
        for tries in 1..10 {
            at += middle(tries).unwrap();
            tries_at.push(at);
        }
        assert_eq!(tries_at, TRIES_AT_S);
        assert_eq!(judge(None, None, 10, NOW, 0), Verdict::Dead);
        // A fifth shorter or longer than five seconds, as chance will have it.
        for (random, pause_ms) in [(0, 4_000), (1_999, 5_999), (2_000, 6_000), (2_001, 4_000)] {
            let again = Verdict::Again(NOW + SignedDuration::from_millis(pause_ms));
            assert_eq!(judge(Some(500), None, 1, NOW, random), again, "{random}");
        }
    }

    #[test]
    fn the_table_of_answers() {
        let cases = [
            (Some(200), 1, "delivered"),
            (Some(204), 9, "delivered"),
            (Some(301), 1, "again"),
            (Some(400), 2, "again"),
            (Some(400), 3, "dead"),
            (Some(404), 3, "dead"),
            (Some(413), 3, "dead"),
            (Some(415), 3, "dead"),
            (Some(422), 3, "dead"),
            (Some(401), 3, "again"),
            (Some(401), 10, "dead"),
            (Some(410), 1, "gone"),
            (Some(429), 9, "again"),
            (Some(500), 10, "dead"),
            (None, 9, "again"),
            (None, 10, "dead"),
        ];
        for (status, tries, expected) in cases {
            let verdict = match judge(status, None, tries, NOW, 0) {
                Verdict::Delivered => "delivered",
                Verdict::Again(_) => "again",
                Verdict::Dead => "dead",
                Verdict::Gone => "gone",
            };
            assert_eq!(verdict, expected, "{status:?} for the {tries}. time");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_of_at_most_a_day() {
        let pause = |asked_s, tries| {
            pause_s(judge(Some(503), Some(Duration::from_secs(asked_s)), tries, NOW, 0))
        };
        assert_eq!(pause(120, 1), Some(120));
        assert_eq!(pause(1, 2), Some(236), "not a shorter one");
        assert_eq!(pause(u64::MAX, 1), Some(86_400));
    }

    #[test]
    fn later_events_wait_for_four_tries_of_an_earlier_one() {
        for (tries, holds) in [(0, true), (3, true), (4, false), (10, false)] {
            assert_eq!(is_holding(tries), holds, "{tries}");
        }
    }
}
