//! When a waiting message could be sent, at the earliest.

use jiff::{SignedDuration, Timestamp};

use domain::ids::MessageId;

use super::DeviceQueue;
use super::flight::Stage;

/// Most messages that are counted before one; with more, the earliest time is too early.
const AHEAD_MAX: usize = 256;

impl DeviceQueue {
    /// Whether a message waits or is unacknowledged.
    pub fn contains(&self, id: MessageId) -> bool {
        self.backlog.get(id).is_some()
    }

    /// When a message that waits is due, for the first time or again.
    pub fn due_at(&self, id: MessageId) -> Option<Timestamp> {
        self.backlog.get(id).map(|entry| entry.due_at)
    }

    /// The earliest time at which a message can be submitted on a device that is connected, by
    /// what is certain: its due time, those before it, pacing, quiet hours and the budget of first
    /// contacts. It may become later. `None` when no such message waits.
    pub fn earliest(&self, id: MessageId, now: Timestamp) -> Option<Timestamp> {
        let entry = self.backlog.get(id)?;
        if let Some(flight) = self.flights.get(id) {
            return Some(match flight.stage {
                Stage::Typing { until } => until,
                Stage::Ready { .. } => self.after_quiet_hours(self.rest_until.max(now)),
                Stage::CutOff => self.pause_until.max(now),
                Stage::Loading
                | Stage::Fetching
                | Stage::Submitting
                | Stage::Unacknowledged { .. } => now,
            });
        }
        let chat_due_at = self.backlog.chat_due_at(id).unwrap_or(now);
        let turn = now.max(self.rest_until).max(self.pause_until);
        let turn = turn.saturating_add(self.turns_before(id)).unwrap_or(Timestamp::MAX);
        let at = turn.max(entry.due_at).max(chat_due_at);
        let is_over_budget = self.backlog.is_first_contact(id) && !self.budget.allows();
        let at = if is_over_budget { at.max(self.budget.ends_at()) } else { at };
        Some(self.after_quiet_hours(at))
    }

    fn after_quiet_hours(&self, at: Timestamp) -> Timestamp {
        self.quiet_until(at).unwrap_or(at)
    }

    /// How long those take, at least, that go before a waiting message.
    fn turns_before(&self, id: MessageId) -> SignedDuration {
        let gap = self.settings.pacing.gap(0);
        if gap.is_zero() {
            // Counting would be for nothing, and it is asked for every message that is waited for.
            return gap;
        }
        let is_busy = usize::from(self.busy_with.is_some());
        let ahead = is_busy + self.backlog.ahead(id, self.available_now(), AHEAD_MAX);
        gap.saturating_mul(i32::try_from(ahead).unwrap_or(i32::MAX))
    }
}
