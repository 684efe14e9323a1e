//! The machine's clock and randomness: the only file that takes them from the system.

use std::time::{Duration, Instant};

use domain::message::whole_millis;
use domain::ports::{Clock, Entropy};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// By how much the clock must be set back to be worth a line in the log.
const SET_BACK_NOTED: SignedDuration = SignedDuration::from_secs(5);

/// The system's clock, in whole milliseconds, as times are stored and rendered.
///
/// It never goes back: when the system's is set back, the time goes on at half its pace until the system's
/// has caught up. What waits for a time would wait for hours otherwise, and orders would turn around.
pub struct SystemClock;

/// The system's time when it was last ahead of ours, and when that was by the clock that nobody sets.
static LAST: Mutex<Option<(Timestamp, Instant)>> = Mutex::new(None);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        let (wall, at) = (Timestamp::now(), Instant::now());
        let mut last = LAST.lock();
        let held_back = last.map(|(time, since)| slowed(time, at.duration_since(since)));
        whole_millis(match held_back {
            Some(slowed) if slowed > wall => {
                note(slowed.duration_since(wall));
                slowed
            }
            _ => {
                *last = Some((wall, at));
                wall
            }
        })
    }
}

/// The time so long after another one, at half its pace.
fn slowed(time: Timestamp, elapsed: Duration) -> Timestamp {
    let elapsed = SignedDuration::try_from(elapsed / 2).unwrap_or(SignedDuration::MAX);
    time.saturating_add(elapsed).unwrap_or(time)
}

/// Reports once that the clock was set back.
fn note(ahead: SignedDuration) {
    static NOTED: std::sync::Once = std::sync::Once::new();
    if ahead >= SET_BACK_NOTED {
        NOTED.call_once(|| {
            tracing::warn!(
                seconds = ahead.as_secs(),
                "the clock of this machine was set back; times go on at half their pace until it has caught \
                 up. Restart the gateway to take its time at once"
            );
        });
    }
}

/// The system's randomness.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness comes from")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_caught_up_with() {
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let after = |seconds| slowed(noon, Duration::from_secs(seconds));
        assert_eq!(after(0), noon);
        assert_eq!(after(3_600).to_string(), "2026-03-01T12:30:00Z");
        // Set back by an hour, the system's clock is there after two.
        let wall = |seconds: i64| noon + SignedDuration::from_secs(seconds - 3_600);
        assert!(after(7_198) > wall(7_198) && after(7_200) == wall(7_200));
    }
}
