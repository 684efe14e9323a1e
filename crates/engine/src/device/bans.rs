//! Bans: no login is tried before one is over, whatever happens meanwhile.
//!
//! The messenger waits for the end of a ban itself. This is for what it does not know of: a restart, another
//! node, other settings.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use domain::device::DeviceStatus;

use super::DeviceTask;
use super::jobs::Done;
use crate::timing::{pause, until};

/// How long after its end a ban is taken to be over.
const BAN_MARGIN: SignedDuration = SignedDuration::from_secs(2);

fn late(end: Timestamp) -> Timestamp {
    end.saturating_add(BAN_MARGIN).unwrap_or(Timestamp::MAX)
}

impl DeviceTask {
    /// Connects the device once its number is banned no more: a login before would prolong that.
    pub(super) fn wait_for_ban(&mut self) {
        let now = self.now();
        if self.connection.status() != Some(DeviceStatus::Disconnected) || self.ending.is_some() {
            return;
        }
        let Some(end) = self.connection.ban_ends().map(late).filter(|end| now < *end) else {
            self.change(DeviceStatus::Connecting, None, None);
            return self.ask_to_connect(Duration::ZERO);
        };
        let rest = until(now, end);
        self.begin(async move {
            pause(rest).await;
            Done::BanWaited
        });
    }

    /// Ends the messenger's attempts while the number is banned; it begins anew, with the settings of then.
    pub(super) fn end_attempts(&mut self) {
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            messenger.disconnect(device).await;
            Done::BanWaited
        });
    }
}
