//! How many requests a key, a device or an account may make: at most so many in any 60 seconds.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// The window.
pub const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// Where a key stands after a request, as the `RateLimit-*` headers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// Most requests in any 60 seconds.
    pub limit: i64,
    /// How many more are possible at once.
    pub remaining: i64,
    /// Seconds until one more is possible than now; 0 while none was made.
    pub reset_s: i64,
}

/// The requests of the last 60 seconds, oldest first. At most as many as the limit.
#[derive(Debug, Default)]
pub struct SlidingWindow {
    requests: VecDeque<Timestamp>,
}

impl SlidingWindow {
    /// Counts a request at `now`, unless that would be more than `limit`.
    ///
    /// # Errors
    /// The state of a key that has to wait; the request is not counted.
    pub fn count(&mut self, limit: i64, now: Timestamp) -> Result<RateState, RateState> {
        self.check(limit, now)?;
        self.requests.push_back(now);
        Ok(self.state(limit, now))
    }

    /// Whether a request at `now` would be counted.
    ///
    /// # Errors
    /// As [`SlidingWindow::count`].
    pub fn check(&mut self, limit: i64, now: Timestamp) -> Result<(), RateState> {
        while self.requests.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            self.requests.pop_front();
        }
        let used = i64::try_from(self.requests.len()).unwrap_or(i64::MAX);
        if used >= limit { Err(self.state(limit, now)) } else { Ok(()) }
    }

    /// Whether nothing of it matters any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.requests.back().is_none_or(|at| now.duration_since(*at) >= WINDOW)
    }

    fn state(&self, limit: i64, now: Timestamp) -> RateState {
        let used = i64::try_from(self.requests.len()).unwrap_or(i64::MAX);
        let oldest = self.requests.front().copied();
        RateState { limit, remaining: (limit - used).max(0), reset_s: reset_s(oldest, now) }
    }
}

/// The requests that several nodes let pass together: they take a few at a time from here, and count these
/// themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedWindow {
    /// When how many were taken, oldest first.
    taken: VecDeque<(Timestamp, i64)>,
}

impl SharedWindow {
    /// One of which this was taken, in milliseconds since 1970.
    pub fn of(taken: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let at = |(at, count)| Some((Timestamp::from_millisecond(at).ok()?, count));
        Self { taken: taken.into_iter().filter_map(at).collect() }
    }

    /// What was taken from it in the last 60 seconds.
    pub fn taken(&self) -> Vec<(i64, i64)> {
        self.taken.iter().map(|(at, count)| (at.as_millisecond(), *count)).collect()
    }

    /// Takes up to `wanted` requests at `now`, as far as `limit` allows.
    ///
    /// # Errors
    /// The state where there is none left.
    pub fn take(&mut self, limit: i64, wanted: i64, now: Timestamp) -> Result<Taken, RateState> {
        while self.taken.front().is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.taken.pop_front();
        }
        let count = wanted.min(limit - self.used());
        if count <= 0 {
            return Err(self.state(limit, now));
        }
        self.taken.push_back((now, count));
        Ok(Taken { count, state: self.state(limit, now) })
    }

    fn used(&self) -> i64 {
        self.taken.iter().map(|(_, count)| *count).sum()
    }

    fn state(&self, limit: i64, now: Timestamp) -> RateState {
        let oldest = self.taken.front().map(|(at, _)| *at);
        RateState { limit, remaining: (limit - self.used()).max(0), reset_s: reset_s(oldest, now) }
    }
}

/// Requests that a node may let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many.
    pub count: i64,
    /// What is left for all nodes.
    pub state: RateState,
}

/// Seconds until the oldest request of a window counts no more.
fn reset_s(oldest: Option<Timestamp>, now: Timestamp) -> i64 {
    let rest = oldest
        .map_or(SignedDuration::ZERO, |oldest| WINDOW.saturating_sub(now.duration_since(oldest)));
    i64::try_from((rest.as_millis() + 999) / 1_000).unwrap_or(i64::MAX).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn any_sixty_seconds_hold_at_most_the_limit() {
        let mut window = SlidingWindow::default();
        for (second, remaining) in [(0, 2), (10, 1), (20, 0)] {
            let state = window.count(3, at(second * 1_000)).unwrap();
            assert_eq!((state.limit, state.remaining), (3, remaining), "{second}");
        }
        let full = window.count(3, at(59_500)).unwrap_err();
        assert_eq!(full, RateState { limit: 3, remaining: 0, reset_s: 1 });
        let freed = window.count(3, at(60_000)).unwrap();
        assert_eq!(freed, RateState { limit: 3, remaining: 0, reset_s: 10 });
        let full = window.count(3, at(69_999)).unwrap_err();
        assert_eq!(full, RateState { limit: 3, remaining: 0, reset_s: 1 });
        let freed = window.count(3, at(70_000)).unwrap();
        assert_eq!(freed, RateState { limit: 3, remaining: 0, reset_s: 10 });
        assert!(!window.is_over(at(129_999)));
        assert!(window.is_over(at(130_000)));
    }

    #[test]
    fn nodes_together_take_no_more_than_the_limit() {
        let mut window = SharedWindow::default();
        assert_eq!(window.take(10, 4, at(0)).unwrap().count, 4);
        assert_eq!(window.take(10, 4, at(10_000)).unwrap().state.remaining, 2);
        let mut kept = SharedWindow::of(window.taken());
        assert_eq!(kept, window);
        assert_eq!(kept.take(10, 4, at(20_000)).unwrap().count, 2);
        let full = kept.take(10, 1, at(59_000)).unwrap_err();
        assert_eq!(full, RateState { limit: 10, remaining: 0, reset_s: 1 });
        assert_eq!(kept.take(10, 9, at(60_000)).unwrap().count, 4);
    }
}
