//! How long a pairing waits before its next connection, and for what.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::device::{DisconnectReason, Reconnect};
use domain::ports::MessengerEvent;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::timeout;

use super::{Supervisor, raised};
use crate::disconnect;
use crate::limits::{RECONNECT_MAX, REDELIVERY_FIRST};
use crate::outage::store_answers;

/// Requests to connect now: they cut pauses short.
#[derive(Default)]
pub(super) struct Hurry {
    came: Notify,
    /// Whether one has come since [`Hurry::take`].
    has_come: AtomicBool,
}

impl Hurry {
    pub(super) fn ask(&self) {
        self.has_come.store(true, Ordering::SeqCst);
        self.came.notify_waiters();
    }

    /// The next request, from this call on.
    pub(super) fn next(&self) -> Notified<'_> {
        self.came.notified()
    }

    /// Whether a request has come that nothing was answered to yet.
    pub(super) fn take(&self) -> bool {
        self.has_come.swap(false, Ordering::SeqCst)
    }
}

impl Supervisor {
    /// Reports a lost connection and waits before the next; false when there must be none.
    pub(super) async fn handle_loss(
        &mut self,
        reason: DisconnectReason,
        held: Option<Duration>,
    ) -> bool {
        let hurry = self.hurry.clone();
        // From before the loss is known: who hears of it may ask to connect at once.
        let hurried = hurry.next();
        // Who has asked for a connection hears how that ended, though it is as it was before.
        let was_asked = hurry.take();
        // Each ban has an end of its own.
        let is_ban = matches!(reason, DisconnectReason::TemporarilyBanned(_));
        if is_ban || was_asked || self.reported_loss != Some(reason) {
            self.reported_loss = Some(reason);
            self.emit(MessengerEvent::Disconnected(reason)).await;
        }
        if self.outage.was_noted() && reason.reconnect() == Reconnect::Soon {
            return self.wait_for_store().await;
        }
        self.failures = disconnect::failures_after(self.failures, held);
        let Some(pause) = disconnect::pause(reason, self.failures, self.device) else {
            return false;
        };
        // A ban ends when it ends.
        let can_hurry = !is_ban;
        let is_kept = self.keep_pause(reason, pause).await;
        let goes_on = tokio::select! {
            goes_on = self.wait_and_retry(pause) => goes_on,
            () = hurried, if can_hurry => true,
        };
        if is_kept && goes_on {
            self.forget_pause().await;
        }
        goes_on
    }

    /// Waits; false when the engine stopped the pairing meanwhile.
    pub(super) async fn wait_and_retry(&mut self, pause: Duration) -> bool {
        timeout(pause, raised(&mut self.stopped)).await.is_err()
    }

    /// Waits until the store answers again and a little longer; false when the engine stopped the
    /// pairing meanwhile.
    pub(super) async fn wait_for_store(&mut self) -> bool {
        let back = store_answers(&*self.shared.sessions, self.device);
        tokio::select! {
            () = back => {}
            () = raised(&mut self.stopped) => return false,
        }
        let pause = self.outage_pause();
        self.wait_and_retry(pause).await
    }

    fn outage_pause(&mut self) -> Duration {
        self.outages = self.outages.saturating_add(1);
        disconnect::pause_after_outage(self.outages, self.device)
    }

    /// How long to wait before messages that could not be stored are requested again.
    pub(super) fn redelivery_pause(&mut self) -> Duration {
        if self.outage.was_noted() {
            return self.outage_pause();
        }
        let pause = (REDELIVERY_FIRST * (1 << self.redeliveries.min(8))).min(RECONNECT_MAX);
        self.redeliveries = self.redeliveries.saturating_add(1);
        disconnect::spread(pause, self.redeliveries, self.device)
    }
}
