//! What a pairing keeps about its one connection.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::DeviceId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, sleep, timeout};
use whatsapp_rust::Client;

use crate::addressing::Addressing;
use crate::asked::Asked;
use crate::awaited::Awaited;
use crate::client::Sink;
use crate::history::HistoryTurn;
use crate::identities::Identities;
use crate::limits::{CLOSE_MAX, CUT_OFF_MAX};
use crate::passkey::Challenge;
use crate::presence::Presence;
use crate::receipts::Reports;
use crate::restrictions::Restrictions;
use crate::stanzas::SentStanzas;
use crate::timers::Timers;
use crate::wire::Line;

/// The client of a device, while it is ready to send.
#[derive(Default)]
pub(crate) struct Online {
    client: watch::Sender<Current>,
    /// What listens to the client.
    sink: Mutex<Option<Arc<Sink>>>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) addressing: Arc<Addressing>,
    pub(crate) stanzas: Arc<SentStanzas>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) awaited: Arc<Awaited>,
    /// The challenge of a passkey, while the device is being linked with one.
    challenge: Mutex<Option<Challenge>>,
    pub(crate) identities: Arc<Identities>,
    pub(crate) restrictions: Arc<Restrictions>,
    pub(crate) history_turn: Arc<HistoryTurn>,
    /// The requests for older messages that the phone has not answered.
    pub(crate) asked: Arc<Asked>,
    pub(crate) line: Arc<Line>,
}

/// The client that is ready, if any.
#[derive(Default)]
struct Current {
    client: Option<Arc<Client>>,
    /// How many connections have ended.
    ended: u64,
}

impl Online {
    pub(crate) fn set_challenge(&self, challenge: Option<Challenge>) {
        *self.challenge.lock() = challenge;
    }

    pub(crate) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().clone()
    }

    pub(crate) fn set(&self, client: Option<Arc<Client>>) {
        if client.is_some() {
            self.addressing.begin_connection();
        }
        self.client.send_modify(|current| {
            current.ended += u64::from(current.client.is_some() && client.is_none());
            current.client = client;
        });
    }

    pub(crate) fn get(&self) -> Option<Arc<Client>> {
        self.client.borrow().client.clone()
    }

    /// What `work` comes to; `None` when the connection that is up now has ended before, as happens to work that
    /// waits for an answer to a question which the library asked while the connection ended. It has a moment then to
    /// end by itself.
    pub(crate) async fn while_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut current = self.client.subscribe();
        let ended = current.borrow_and_update().ended;
        let cut_off = async {
            let _ = current.wait_for(|now| now.client.is_none() || now.ended != ended).await;
            sleep(CUT_OFF_MAX).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = cut_off => None,
        }
    }

    pub(crate) fn set_sink(&self, sink: Arc<Sink>) {
        *self.sink.lock() = Some(sink);
    }

    pub(crate) fn sink(&self) -> Option<Arc<Sink>> {
        self.sink.lock().clone()
    }
}

/// State of the connection that is up, or coming up.
pub(crate) struct Connection {
    /// The permit to log in, held until ready.
    pub(crate) login_permit: Option<OwnedSemaphorePermit>,
    /// Since when messages can be sent.
    pub(crate) ready_at: Option<Instant>,
    /// What happens next without an event.
    pub(crate) deadline: Deadline,
    /// Receipts that the engine has not answered yet.
    pub(crate) reports: Reports,
    /// When to look whether it is alive.
    pub(crate) looks: Interval,
    /// Asks WhatsApp for a pairing code.
    pub(crate) code_request: Option<JoinHandle<()>>,
}

impl Connection {
    /// How long it has been ready; `None` when it never was.
    pub(crate) fn ready_for(&self) -> Option<Duration> {
        self.ready_at.map(|at| at.elapsed())
    }

    pub(crate) fn replace_code_request(&mut self, request: Option<JoinHandle<()>>) {
        self.stop_code_request();
        self.code_request = request;
    }

    pub(crate) fn stop_code_request(&mut self) {
        if let Some(request) = self.code_request.take() {
            request.abort();
        }
    }
}

/// What to do at a time. One at a time suffices: a device is logging in, or being linked, or up.
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) action: DeadlineAction,
}

pub(crate) enum DeadlineAction {
    Nothing,
    ReleaseLogin,
    FailPairing,
    FailPasskey,
    Reconnect,
}

impl Deadline {
    pub(crate) fn new(after: Duration, action: DeadlineAction) -> Self {
        Self { at: Instant::now() + after, action }
    }

    pub(crate) fn none() -> Self {
        Self::new(Duration::from_secs(24 * 60 * 60), DeadlineAction::Nothing)
    }
}

/// Ends the connection but not the client, which may be connected again.
pub(crate) fn end_connection(device: DeviceId, client: Arc<Client>) {
    tokio::spawn(async move {
        if timeout(CLOSE_MAX, client.reconnect_immediately()).await.is_err() {
            tracing::warn!(%device, "a connection took long to end");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_connection_that_has_ended_is_cut_off() {
        let (online, start) = (Online::default(), Instant::now());
        assert_eq!(online.while_up(ready(1)).await, Some(1));
        let late = online.while_up(async {
            sleep(CUT_OFF_MAX / 2).await;
            2
        });
        assert_eq!(late.await, Some(2), "it ends by itself");
        assert_eq!(online.while_up(pending::<()>()).await, None);
        assert!(start.elapsed() < CUT_OFF_MAX * 2);
    }
}
