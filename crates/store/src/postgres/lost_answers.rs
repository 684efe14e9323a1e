//! Commits whose answers were lost: PostgreSQL may have done them. The messages that such a commit has accepted wait in
//! the database, and nobody has given them to their queues.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// How long PostgreSQL may take with a commit after the connection that asked for it is gone.
const COMMIT_MAX: Duration = Duration::from_secs(300);

/// When the last answer was lost, if ever.
#[derive(Default)]
pub(super) struct LostAnswers(Mutex<Option<Instant>>);

impl LostAnswers {
    /// A commit was not answered, or failed.
    pub(super) fn note(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether such a commit may have happened lately, or may happen yet.
    pub(super) fn are_recent(&self) -> bool {
        self.0.lock().is_some_and(|at| at.elapsed() < COMMIT_MAX)
    }
}
