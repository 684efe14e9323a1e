//! Messages that carry a file, which has to be prepared before they can be sent.

use jiff::{SignedDuration, Timestamp};

use domain::ids::MessageId;
use domain::message::{Failure, MessageEvent};

use super::DeviceQueue;
use super::flight::Stage;
use super::verdict;

/// Most files of a device that are being prepared, or are ready and not submitted.
pub const FILE_SLOTS_MAX: usize = 4;
/// How long a file that is ready waits for its message's turn; then it is dropped, and fetched
/// again when the turn comes.
pub const FILE_KEPT: SignedDuration = SignedDuration::from_mins(2);

impl DeviceQueue {
    /// The message that was to be loaded carries a file, which is not there. True when it is to be
    /// prepared now; answer with [`DeviceQueue::file_ready`], [`DeviceQueue::file_failed`],
    /// [`DeviceQueue::file_delayed`] or [`DeviceQueue::file_put_off`]. Otherwise the message waits for a slot.
    pub fn needs_file(&mut self, id: MessageId, now: Timestamp) -> bool {
        let has_place = self.has_file_slot();
        let Some(entry) = self.backlog.get_mut(id) else { return false };
        entry.has_file = true;
        let is_over = entry.expires_at <= now;
        let Some(flight) = self.flights.get_mut(id) else { return false };
        if flight.stage != Stage::Loading || is_over {
            return false;
        }
        if !flight.has_file_slot && !has_place {
            self.put_back(id, now);
            return false;
        }
        flight.has_file_slot = true;
        flight.stage = Stage::Fetching;
        if self.busy_with == Some(id) {
            self.busy_with = None;
        }
        true
    }

    /// The file is ready: the next turn is its message's. False when it is not wanted any more.
    pub fn file_ready(&mut self, id: MessageId, now: Timestamp) -> bool {
        let until = now.saturating_add(FILE_KEPT).unwrap_or(Timestamp::MAX);
        let Some(flight) = self.fetching(id) else { return false };
        flight.stage = Stage::Ready { until };
        true
    }

    /// The file could not be fetched, or cannot be sent: the message has failed.
    pub fn file_failed(&mut self, id: MessageId, failure: Failure, now: Timestamp) {
        if self.fetching(id).is_some() {
            self.forget_first_contact(id);
            self.end(id, MessageEvent::Failed, Some(failure), now);
        }
    }

    /// The file could not be prepared, for reasons of ours: the attempt has failed.
    pub fn file_delayed(&mut self, id: MessageId, why: String, now: Timestamp) {
        if self.fetching(id).is_some() {
            self.forget_first_contact(id);
            self.attempt_failed(id, verdict::not_submitted(why), now);
        }
    }

    /// The file could not be read now; that is no attempt.
    pub fn file_put_off(&mut self, id: MessageId, now: Timestamp) {
        if self.fetching(id).is_some() {
            self.put_back(id, now);
        }
    }

    /// Whether the file of a message is kept, or waited for.
    pub fn wants_file(&self, id: MessageId) -> bool {
        self.flights.get(id).is_some_and(|flight| flight.has_file_slot)
    }

    /// Whether a message is between being picked and its outcome.
    pub fn is_on_its_way(&self, id: MessageId) -> bool {
        self.flights.get(id).is_some()
    }

    pub(super) fn has_file_slot(&self) -> bool {
        self.flights.file_slots() < FILE_SLOTS_MAX
    }

    /// The next message whose file is ready.
    pub(super) fn take_ready(&mut self) -> Option<MessageId> {
        let id = self.flights.first_ready()?;
        self.flights.get_mut(id)?.stage = Stage::Loading;
        Some(id)
    }

    pub(super) fn drop_stale_files(&mut self, now: Timestamp) {
        for id in self.flights.stale(now) {
            self.put_back(id, now);
        }
    }

    /// The chat was not written to after all.
    fn forget_first_contact(&mut self, id: MessageId) {
        if let Some(flight) = self.flights.get_mut(id)
            && std::mem::take(&mut flight.is_first_contact)
        {
            self.budget.give_back();
            self.backlog.forget_contact(id);
        }
    }

    fn fetching(&mut self, id: MessageId) -> Option<&mut super::Flight> {
        self.flights.get_mut(id).filter(|flight| flight.stage == Stage::Fetching)
    }
}
