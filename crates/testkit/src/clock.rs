//! Clocks for tests: one that stands still until a test moves it, and one that follows tokio.

use domain::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// A clock under a test's control.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Starts at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Jumps to `now`, backwards too.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock() = now;
    }

    /// Moves by `by`.
    ///
    /// # Panics
    /// When the result is out of range.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock();
        *now = now.checked_add(by).expect("a time in range");
    }
}

/// A clock that follows tokio's own time, so that a test with paused time needs no other.
#[derive(Debug)]
pub struct TokioClock {
    start: Timestamp,
    since: tokio::time::Instant,
}

impl TokioClock {
    /// Starts at `start`, now.
    pub fn new(start: Timestamp) -> Self {
        Self { start, since: tokio::time::Instant::now() }
    }
}

impl Default for TokioClock {
    /// The same fixed day as [`ManualClock`]'s.
    fn default() -> Self {
        Self::new(ManualClock::default().now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.since.elapsed()).unwrap_or(SignedDuration::MAX);
        self.start.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

impl Default for ManualClock {
    /// A fixed day: 2026-11-21, 08:00 UTC.
    fn default() -> Self {
        Self::new(Timestamp::constant(1_795_248_000, 0))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_when_set() {
        let clock = ManualClock::default();
        let start = clock.now();
        assert_eq!(start.to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(clock.now(), start);
        clock.advance(SignedDuration::from_secs(90));
        assert_eq!(clock.now().duration_since(start).as_secs(), 90);
    }
}
