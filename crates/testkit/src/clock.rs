//! A clock that stands still until a test moves it.

use std::sync::Mutex;

use domain::ports::Clock;
use jiff::{SignedDuration, Timestamp};

/// A clock under a test's control.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Starts at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Jumps to `now`, backwards too.
    ///
    /// # Panics
    /// When a test panicked while it held the clock.
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().expect("no test panics inside the clock") = now;
    }

    /// Moves by `by`.
    ///
    /// # Panics
    /// When the result is out of range.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().expect("no test panics inside the clock");
        *now = now.checked_add(by).expect("a time in range");
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
        *self.0.lock().expect("no test panics inside the clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_only_when_told() {
        let clock = ManualClock::default();
        let start = clock.now();
        assert_eq!(start.to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(clock.now(), start);
        clock.advance(SignedDuration::from_secs(90));
        assert_eq!(clock.now().duration_since(start).as_secs(), 90);
    }
}
