//! What a link keeps in mind about its one connection.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use whatsapp_rust::Client;

use crate::limits::CLOSE_MAX;
use crate::receipts::Reports;

/// The client of a device, while it is ready to send.
#[derive(Default)]
pub(crate) struct Online(Mutex<Option<Arc<Client>>>);

impl Online {
    pub(crate) fn set(&self, client: Option<Arc<Client>>) {
        *self.0.lock() = client;
    }

    pub(crate) fn get(&self) -> Option<Arc<Client>> {
        self.0.lock().clone()
    }
}

/// What is known of the connection that is up, or coming up.
pub(crate) struct Connection {
    /// The right to log in, held until ready.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
    /// Since when messages can be sent.
    pub(crate) ready_at: Option<Instant>,
    /// What is to be done next.
    pub(crate) deadline: Deadline,
    /// Receipts that the engine has not answered for.
    pub(crate) reports: Reports,
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

/// Ends the connection but not the client, which may be connected again.
pub(crate) fn end_connection(client: Arc<Client>) {
    tokio::spawn(async move {
        if timeout(CLOSE_MAX, client.reconnect_immediately()).await.is_err() {
            tracing::warn!("a connection took long to end");
        }
    });
}

/// Takes back the library's announcement of being online: as long as it stands, the owner's phone
/// shows no notifications.
pub(crate) fn be_away(client: Arc<Client>) {
    tokio::spawn(async move {
        // Without a name yet there was no announcement either; a lost connection tells elsewhere.
        let _ = client.presence().set_unavailable().await;
    });
}
