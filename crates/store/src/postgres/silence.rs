//! Connections that have fallen silent: found by a ping, before one that waited in the pool is used, or by the BEGIN on
//! one that was kept.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, timeout};

/// How long a connection may take to show that it still works.
pub(super) const PING_MAX: Duration = Duration::from_secs(1);

/// When a connection last did not answer, if ever. What was idle then is not tried: each would cost its request
/// as long, and a wire that is cut silences all of them.
#[derive(Default)]
pub(super) struct Silence(Mutex<Option<Instant>>);

impl Silence {
    /// Whether a connection that was idle so long still works.
    pub(super) async fn works(
        &self,
        connection: &mut PgConnection,
        idle_for: Duration,
    ) -> Result<bool, sqlx::Error> {
        if self.covers(idle_for) {
            return Ok(false);
        }
        let asked_at = Instant::now();
        let works = matches!(timeout(PING_MAX, connection.ping()).await, Ok(Ok(())));
        if !works {
            self.note(asked_at);
        }
        Ok(works)
    }

    /// A connection that was asked then has not answered.
    pub(super) fn note(&self, asked_at: Instant) {
        let mut last = self.0.lock();
        *last = (*last).max(Some(asked_at));
    }

    /// Whether a connection that is idle so long was so when another one did not answer.
    fn covers(&self, idle_for: Duration) -> bool {
        self.0.lock().is_some_and(|at| at.elapsed() < idle_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_idle_when_another_did_not_answer_is_not_tried() {
        let (silence, minute) = (Silence::default(), Duration::from_secs(60));
        assert!(!silence.covers(minute * 2));
        let now = Instant::now();
        silence.note(now + minute);
        assert!(silence.covers(Duration::from_secs(1)), "it was idle all the time");
        assert!(!silence.covers(Duration::ZERO), "it was used since");
        silence.note(now);
        assert_eq!(*silence.0.lock(), Some(now + minute), "the latest counts");
    }
}
