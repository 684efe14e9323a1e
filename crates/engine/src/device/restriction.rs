//! A restriction of the number: WhatsApp takes no first contacts until its end.
//!
//! It may be lifted before, and WhatsApp does not say so: it is asked when the device connects, and once in a
//! while.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use domain::ports::{MovedDevice, SendError};

use super::DeviceTask;
use super::jobs::Done;
use super::journal::Write;

/// How often WhatsApp is asked whether a restriction still holds.
const ASK_PAUSE: Duration = Duration::from_secs(60 * 60);

/// When WhatsApp was asked.
#[derive(Default)]
pub(super) struct RestrictionAsks {
    /// The last time over this connection.
    asked_at: Option<Instant>,
}

impl RestrictionAsks {
    pub(super) fn begin_connection(&mut self) {
        self.asked_at = None;
    }
}

impl DeviceTask {
    /// WhatsApp takes first contacts of the number, or does not until then.
    pub(super) fn restricted(&mut self, until: Option<Timestamp>) {
        let now = self.now();
        self.restriction.asked_at = Some(Instant::now());
        self.outbox.queue_mut().restrict(until, now);
        if self.connection.restricted_until() != until {
            tracing::info!(until = ?until.map(|at| at.to_string()), "the number is restricted");
            self.records.push(Write::Restriction(until, now));
        }
    }

    /// Asks whether a restriction still holds, when that is due; when to look again.
    pub(super) fn check_restriction(&mut self, now: Timestamp) -> Option<Instant> {
        let is_held = self.ending.is_none()
            && self.connection.is_connected()
            && self.connection.restricted_until().is_some_and(|until| until > now);
        if !is_held {
            return None;
        }
        let clock = Instant::now();
        let due = self.restriction.asked_at.map(|at| at + ASK_PAUSE);
        if due.is_some_and(|due| due > clock) {
            return due;
        }
        self.restriction.asked_at = Some(clock);
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move { Done::RestrictionAsked(messenger.restriction(device).await) });
        Some(clock + ASK_PAUSE)
    }

    /// WhatsApp has answered, or has not.
    pub(super) fn restriction_asked(&mut self, answer: Result<Option<Timestamp>, SendError>) {
        match answer {
            // Meanwhile it may have become another number.
            Ok(_) if !self.connection.is_connected() => {}
            Ok(until) => self.restricted(until),
            Err(error) => tracing::debug!(%error, "whether the number is restricted is not known"),
        }
    }

    /// A restriction is durable, or its end.
    pub(super) fn restriction_written(&mut self, moved: Option<&MovedDevice>) {
        let Some(MovedDevice { device, events }) = moved else {
            self.gone();
            return;
        };
        self.context.emit(events);
        self.connection.set_device(device.clone());
    }
}
