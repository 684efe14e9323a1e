//! The messages of a device that wait or are in flight.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use domain::chat::ChatId;
use domain::ids::MessageId;
use domain::media::FileFacts;
use domain::message::{Message, Waiting};
use domain::ports::{Progress, SendError};

use super::files::ReadyFile;
use super::gauges::{QueueGauge, SendingMarks};
use super::in_flight::InFlight;
use crate::context::EngineContext;
use crate::queue::{DeviceQueue, Settings, Step};

/// The queue, which decides, and what the messages it has picked carry.
pub(super) struct Outbox {
    context: Arc<EngineContext>,
    queue: DeviceQueue,
    /// Whether the queue knows the device's settings; nothing is sent before.
    is_configured: bool,
    in_flight: InFlight,
    /// What the files were of messages whose last attempt has failed: it may be acknowledged after all.
    late_facts: HashMap<MessageId, Box<FileFacts>>,
    marks: SendingMarks,
    gauge: QueueGauge,
}

impl Outbox {
    pub(super) fn new(context: Arc<EngineContext>) -> Self {
        let pacing = context.default_pacing().clone();
        let settings = Settings { pacing, zone: TimeZone::UTC, linked_at: None };
        Self {
            queue: DeviceQueue::new(settings, context.now()),
            is_configured: false,
            in_flight: InFlight::default(),
            late_facts: HashMap::new(),
            marks: SendingMarks::new(context.clone()),
            gauge: QueueGauge::new(context.clone()),
            context,
        }
    }

    pub(super) fn queue(&self) -> &DeviceQueue {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut DeviceQueue {
        &mut self.queue
    }

    pub(super) fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// The queue goes by these settings from now on.
    pub(super) fn configure(
        &mut self,
        settings: Settings,
        contacts: &[ChatId],
        first_contacts_today: u32,
        now: Timestamp,
    ) {
        self.queue.configure(settings, now);
        self.queue.learn_contacts(contacts, first_contacts_today, now);
        self.is_configured = true;
    }

    /// What messages wait for, as far as that is known.
    pub(super) fn waiting(&self, ids: Vec<MessageId>, now: Timestamp) -> Vec<(MessageId, Waiting)> {
        let waiting = |id| Some((id, self.queue.waiting_for(id, now)?));
        ids.into_iter().filter_map(waiting).collect()
    }

    /// What the queue wants done now; `is_held` while nothing new may be sent.
    pub(super) fn step(&mut self, is_held: bool, now: Timestamp) -> Step {
        self.queue.hold(is_held || !self.is_configured, now);
        let context = self.context.clone();
        self.queue.step(now, || context.random())
    }

    /// Brings what is kept of messages, and the gauge, up to date with the queue.
    pub(super) fn tidy_up(&mut self) {
        let queue = &self.queue;
        self.in_flight.retain(|id| queue.is_on_its_way(id), |id| queue.wants_file(id));
        self.late_facts.retain(|id, _| queue.has(*id));
        self.gauge.set(queue.len());
    }

    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    pub(super) fn in_flight_mut(&mut self) -> &mut InFlight {
        &mut self.in_flight
    }

    /// The body of a message was read, and its file is ready where it has one.
    pub(super) fn loaded(&mut self, message: Box<Message>, now: Timestamp) {
        let context = &self.context;
        let (id, typing, text) = (message.id, message.typing, message.text());
        if self.queue.loaded(id, typing, text, now, || context.random()) {
            self.in_flight.loaded(message);
        }
    }

    /// The message does not wait in the store any more.
    pub(super) fn vanished(&mut self, id: MessageId, now: Timestamp) {
        self.queue.vanished(id, now);
        self.hide_sending(id);
    }

    /// The file of a message is ready; kept when it is still wanted.
    pub(super) fn file_ready(&mut self, id: MessageId, file: Box<ReadyFile>, now: Timestamp) {
        if self.queue.file_ready(id, now) {
            self.in_flight.file_ready(id, file);
        }
    }

    /// The message is given to the messenger, with its file, and shown as being sent.
    pub(super) fn submit(
        &mut self,
        id: MessageId,
    ) -> Option<(Box<Message>, Option<Box<ReadyFile>>)> {
        let submitted = self.in_flight.submit(id)?;
        self.marks.show(id);
        Some(submitted)
    }

    /// The messenger did not write the message to its connection.
    pub(super) fn send_failed(&mut self, id: MessageId, error: SendError, now: Timestamp) {
        self.queue.send_failed(id, error, now);
        self.hide_sending(id);
    }

    /// An attempt, or the message, has an outcome, which is still to be written down: what the message's file
    /// has turned out to be, where it had one.
    pub(super) fn end(&mut self, outcome: &Progress) -> Option<Box<FileFacts>> {
        let facts = self.in_flight.end(outcome.id);
        if outcome.next_attempt_at.is_none() {
            return facts.or_else(|| self.late_facts.remove(&outcome.id));
        }
        self.late_facts.extend(facts.clone().map(|facts| (outcome.id, facts)));
        facts
    }

    /// Shows a message as waiting again, unless it may have reached WhatsApp.
    pub(super) fn hide_sending(&mut self, id: MessageId) {
        if !self.queue.may_have_arrived(id) {
            self.marks.hide(id);
        }
    }
}
