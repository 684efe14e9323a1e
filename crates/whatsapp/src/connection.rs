//! What a link keeps in mind about its one connection.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What is known of the connection that is up, or coming up.
pub(crate) struct Connection {
    /// The right to log in, held until ready.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
    /// Since when messages can be sent.
    pub(crate) ready_at: Option<Instant>,
    /// What is to be done next.
    pub(crate) deadline: Deadline,
    /// Asks WhatsApp for a pairing code.
    pub(crate) code_request: Option<JoinHandle<()>>,
}

impl Connection {
    /// How long it has been ready; `None` when it never was.
    pub(crate) fn held(&self) -> Option<Duration> {
        self.ready_at.map(|at| at.elapsed())
    }

    pub(crate) fn ask_anew(&mut self, request: Option<JoinHandle<()>>) {
        self.stop_asking();
        self.code_request = request;
    }

    pub(crate) fn stop_asking(&mut self) {
        if let Some(request) = self.code_request.take() {
            request.abort();
        }
    }
}

/// The next thing to do without being asked. One at a time suffices: a device is logging in, or
/// being linked, or up.
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) what: What,
}

pub(crate) enum What {
    Nothing,
    EndTurn,
    GiveUpPairing,
    Reconnect,
}

impl Deadline {
    pub(crate) fn new(after: Duration, what: What) -> Self {
        Self { at: Instant::now() + after, what }
    }

    pub(crate) fn none() -> Self {
        Self::new(Duration::from_secs(24 * 60 * 60), What::Nothing)
    }
}
