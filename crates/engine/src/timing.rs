//! Waiting: the only file of the engine that sleeps or sets a limit of time.

use std::time::Duration;

use jiff::Timestamp;

/// Longest sleep, so that a clock that is set does not make a task oversleep.
pub(crate) const SLEEP_MAX: Duration = Duration::from_secs(60);
/// The pause after the store has failed.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Waits for `duration`.
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// What `future` gives, if it does in time.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// How long to sleep at `now` until `wake`.
pub(crate) fn until(now: Timestamp, wake: Timestamp) -> Duration {
    Duration::try_from(wake.duration_since(now)).unwrap_or(Duration::ZERO).min(SLEEP_MAX)
}
