//! When a waiting message could be sent, at the earliest.

use jiff::{SignedDuration, Timestamp};

use domain::ids::MessageId;
use domain::message::{Waiting, WaitingReason};

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
        let at = if is_over_budget { at.max(self.budget.opens_at()) } else { at };
        Some(self.after_quiet_hours(at))
    }

    /// What a message waits for; `None` when it does not wait any more.
    pub fn waiting_for(&self, id: MessageId, now: Timestamp) -> Option<Waiting> {
        let entry = self.backlog.get(id)?;
        let earliest = self.earliest(id, now).filter(|at| *at > now);
        let waiting = |reason, until| Some(Waiting { reason, until });
        if let Some(flight) = self.flights.get(id) {
            return match flight.stage {
                Stage::Fetching => waiting(WaitingReason::File, None),
                Stage::Ready { .. } => self.waiting_for_turn(earliest, now),
                Stage::Typing { until } => waiting(WaitingReason::Pacing, Some(until)),
                Stage::CutOff if !self.is_connected => waiting(WaitingReason::NotConnected, None),
                _ => None,
            };
        }
        if entry.due_at > now {
            let is_new = entry.attempts == 0;
            let reason = if is_new { WaitingReason::Scheduled } else { WaitingReason::Retry };
            return waiting(reason, Some(entry.due_at));
        }
        if self.backlog.is_first_contact(id) && !self.budget.allows() {
            return waiting(self.budget.reason(), Some(self.budget.opens_at()));
        }
        if self.backlog.first_of_chat(id).is_some_and(|first| first != id) {
            return waiting(WaitingReason::ChatOrder, earliest);
        }
        if entry.has_file && !self.has_file_slot() {
            return waiting(WaitingReason::File, None);
        }
        self.waiting_for_turn(earliest, now)
    }

    /// What holds back every message of the device.
    fn waiting_for_turn(&self, earliest: Option<Timestamp>, now: Timestamp) -> Option<Waiting> {
        let (reason, until) = match self.quiet_until(now) {
            _ if !self.is_connected => (WaitingReason::NotConnected, None),
            Some(until) => (WaitingReason::QuietHours, Some(until)),
            None if self.pause_until > now => (WaitingReason::NotConnected, Some(self.pause_until)),
            None => (WaitingReason::Pacing, earliest),
        };
        Some(Waiting { reason, until })
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
