//! What one device sends next: the pure core of the engine.
//!
//! [`DeviceQueue`] knows no clock, no randomness and no store. What happens comes in by calls, and
//! [`DeviceQueue::step`] answers with what is to be done now and when to ask again. The task
//! of the device does it.
//!
//! Invariants:
//! - Within a chat messages go strictly by id, one unacknowledged at a time; a message that waits
//!   for its retry holds back its own chat and no other. One scheduled for later holds back none.
//! - Between chats the higher priority goes first, then who has waited longest.
//! - At most [`IN_FLIGHT_MAX`] messages are between being picked and being acknowledged.
//! - A message that may have reached WhatsApp is never withdrawn, and never repeated with another
//!   id; after a lost connection it goes first, and that does not count as a failed attempt.
//! - While the file of a message is prepared, its chat waits and others go; few files are prepared at
//!   a time. The next free turn is the message's then.
//! - Nothing is submitted after its expiry, and every message ends in exactly one
//!   [`Action::Record`] with a final step.

mod backlog;
mod budget;
mod files;
mod flight;
mod forecast;
mod inputs;
mod verdict;

use std::collections::{BTreeSet, HashMap};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use domain::ids::MessageId;
use domain::message::{Failure, MessageEvent};
use domain::policy::pacing::Pacing;
use domain::ports::{OutboxEntry, Progress};

use backlog::{Backlog, Entry, Resources, WhatsappKey};
use budget::Budget;
use flight::{Flight, Flights, Stage};

pub use files::{FILE_KEPT, FILE_SLOTS_MAX};
pub use verdict::{STRANGER_REFUSALS_MAX, UNEXPLAINED_REFUSALS_MAX};

/// Most messages of a device between being picked and being acknowledged.
pub const IN_FLIGHT_MAX: usize = 16;
/// How long an acknowledgement may take while the device stays connected.
pub const ACK_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// The pause when the messenger says that it has no connection, and had not said so before.
pub const NOT_CONNECTED_PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// Most messages that expire in one step, so that a step stays short.
pub const EXPIRIES_PER_STEP_MAX: usize = 256;

/// The settings of a device's queue.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the device paces itself.
    pub pacing: Pacing,
    /// The time zone of its account: of quiet hours and of the day of the budget.
    pub zone: TimeZone,
    /// When the device was linked, where its limit of first contacts grows with its age.
    pub linked_at: Option<Timestamp>,
}

impl Settings {
    /// Most first contacts on the day of `now`.
    fn first_contacts_on(&self, now: Timestamp) -> Option<u32> {
        self.pacing.first_contacts_on(now, self.linked_at, &self.zone)
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fetch the body; answer with [`DeviceQueue::loaded`], [`DeviceQueue::needs_file`] or
    /// [`DeviceQueue::load_failed`].
    Load(MessageId),
    /// Show "typing…" in the chat of a loaded message.
    ShowTyping(MessageId),
    /// The message will not come: hide "typing…".
    HideTyping(MessageId),
    /// Submit a loaded message; answer with [`DeviceQueue::submitted`] or
    /// [`DeviceQueue::send_failed`].
    Send(MessageId),
    /// Write down what happened.
    Record(Progress),
    /// Fetch the chats the device has written to; answer with [`DeviceQueue::learn_contacts`].
    LoadContacts,
}

/// What follows from a step.
#[derive(Debug, Default)]
pub struct Step {
    /// What is to be done, in order.
    pub actions: Vec<Action>,
    /// When to ask again, unless something happens before.
    pub next_wake: Option<Timestamp>,
}

/// A message that was taken out of the queue to be cancelled.
#[derive(Debug)]
pub struct Withdrawn {
    id: MessageId,
    entry: Entry,
}

/// The messages of one device that wait or are unacknowledged.
#[derive(Debug)]
pub struct DeviceQueue {
    settings: Settings,
    is_connected: bool,
    is_held: bool,
    backlog: Backlog,
    by_whatsapp: HashMap<WhatsappKey, MessageId>,
    expiries: BTreeSet<(Timestamp, MessageId)>,
    flights: Flights,
    budget: Budget,
    /// With pacing, the one message that is being typed or submitted.
    busy_with: Option<MessageId>,
    /// Nothing new is picked before this.
    rest_until: Timestamp,
    /// No attempt begins before this, not even a repeated one.
    pause_until: Timestamp,
    actions: Vec<Action>,
}

impl DeviceQueue {
    /// An empty queue; it sends nothing before [`DeviceQueue::connected`].
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        let budget = Budget::new(now, &settings);
        Self {
            settings,
            is_connected: false,
            is_held: false,
            backlog: Backlog::default(),
            by_whatsapp: HashMap::new(),
            expiries: BTreeSet::new(),
            flights: Flights::default(),
            budget,
            busy_with: None,
            rest_until: now,
            pause_until: now,
            actions: Vec::new(),
        }
    }

    /// How many messages wait or are unacknowledged.
    pub fn len(&self) -> usize {
        self.backlog.len()
    }

    /// Whether this one is among them.
    pub fn has(&self, id: MessageId) -> bool {
        self.backlog.get(id).is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages were submitted on the present connection and are unacknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.flights.iter().filter(|(_, flight)| flight.stage.is_in_the_air()).count()
    }

    /// Whether the message was submitted and its outcome is open: it cannot be withdrawn.
    pub fn may_have_arrived(&self, id: MessageId) -> bool {
        self.flights.get(id).is_some_and(Flight::may_have_arrived)
    }

    /// Does everything that is due, and says what the caller has to do. `random` is asked where
    /// chance decides.
    pub fn step(&mut self, now: Timestamp, mut random: impl FnMut() -> u64) -> Step {
        self.budget.roll(now, &self.settings);
        self.backlog.wake(now);
        self.expire(now);
        self.time_out(now);
        self.finish_typing(now, &mut random);
        self.drop_stale_files(now);
        self.repeat_what_was_cut_off(now);
        self.pick(now);
        Step { next_wake: self.next_wake(now), actions: std::mem::take(&mut self.actions) }
    }

    fn expire(&mut self, now: Timestamp) {
        for _ in 0..EXPIRIES_PER_STEP_MAX {
            let Some((at, id)) = self.expiries.first().copied() else { return };
            if at > now {
                return;
            }
            self.expiries.remove(&(at, id));
            // In the air it does not expire; it is looked at again when its attempt has failed.
            if self.flights.get(id).is_none_or(|flight| !flight.stage.is_in_the_air()) {
                self.end(id, MessageEvent::Expired, None, now);
            }
        }
    }

    fn time_out(&mut self, now: Timestamp) {
        if !self.is_connected {
            return;
        }
        for id in self.flights.overdue(now) {
            self.attempt_failed(id, verdict::no_answer(), now);
        }
    }

    fn finish_typing(&mut self, now: Timestamp, random: &mut impl FnMut() -> u64) {
        for id in self.flights.typed(now) {
            self.submit(id, now, random);
        }
    }

    fn submit(&mut self, id: MessageId, now: Timestamp, random: &mut impl FnMut() -> u64) {
        let gap = self.settings.pacing.gap(random());
        if let Some(flight) = self.flights.get_mut(id) {
            flight.stage = Stage::Submitting;
            flight.submitted_at = Some(now);
            flight.gap = gap;
            self.actions.push(Action::Send(id));
        }
    }

    fn repeat_what_was_cut_off(&mut self, now: Timestamp) {
        if !self.is_connected || self.is_held || now < self.pause_until {
            return;
        }
        for id in self.flights.cut_off() {
            let has_file = self.backlog.get(id).is_some_and(|entry| entry.has_file);
            if has_file && !self.has_file_slot() {
                continue;
            }
            if let Some(flight) = self.flights.get_mut(id) {
                flight.stage = Stage::Loading;
                flight.has_file_slot = has_file;
                self.actions.push(Action::Load(id));
            }
        }
    }

    fn is_paced(&self) -> bool {
        self.settings.pacing.max_s > 0 || self.settings.pacing.typing
    }

    fn may_pick(&self) -> bool {
        self.is_connected
            && !self.is_held
            && self.flights.active() < IN_FLIGHT_MAX
            && self.busy_with.is_none()
    }

    /// Which resources are free now that messages need besides their turn.
    fn available_now(&self) -> Resources {
        Resources { first_contact: self.budget.allows(), file: self.has_file_slot() }
    }

    /// The same tomorrow.
    fn available_later(&self) -> Resources {
        Resources { first_contact: true, ..self.available_now() }
    }

    fn pick(&mut self, now: Timestamp) {
        if !self.has_something_to_pick() || self.quiet_until(now).is_some() {
            return;
        }
        while self.may_pick() && now >= self.rest_until.max(self.pause_until) {
            let Some(id) = self.take_ready().or_else(|| self.take_next(now)) else { return };
            if self.is_paced() {
                self.busy_with = Some(id);
            }
            self.actions.push(Action::Load(id));
        }
    }

    fn has_something_to_pick(&self) -> bool {
        self.flights.first_ready().is_some() || self.backlog.next(self.available_later()).is_some()
    }

    fn take_next(&mut self, now: Timestamp) -> Option<MessageId> {
        let id = self.backlog.next(self.available_now())?;
        let has_file = self.backlog.get(id).is_some_and(|entry| entry.has_file);
        let is_first_contact = self.backlog.take(id, now);
        if is_first_contact {
            self.budget.spend();
        }
        self.flights.begin(id, Flight::new(is_first_contact, has_file));
        Some(id)
    }

    fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.settings.pacing.quiet_until(now, &self.settings.zone)
    }

    fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let deadline = self.flights.next_deadline().filter(|_| self.is_connected);
        let stale = self.flights.next_stale();
        let timer = self.backlog.next_timer();
        [timer, expiry, deadline, stale, self.next_repeat(now), self.next_pick(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// When attempts that were cut off are repeated, if only a pause holds them back.
    fn next_repeat(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.is_connected && !self.is_held && self.pause_until > now;
        (waits && !self.flights.cut_off().is_empty()).then_some(self.pause_until)
    }

    /// When that ends which holds back all new messages.
    fn next_pick(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.may_pick() || !self.has_something_to_pick() {
            return None;
        }
        let is_spent = self.flights.first_ready().is_none()
            && self.backlog.next(self.available_now()).is_none();
        let budget = is_spent.then(|| self.budget.opens_at());
        let rest = Some(self.rest_until.max(self.pause_until)).filter(|until| *until > now);
        [budget, rest, self.quiet_until(now)].into_iter().flatten().max()
    }

    /// The message is over: out of every index, and written down.
    fn end(&mut self, id: MessageId, last: MessageEvent, failure: Option<Failure>, now: Timestamp) {
        let mut steps = Vec::with_capacity(2);
        if let Some(flight) = self.land(id, now) {
            if matches!(flight.stage, Stage::Typing { .. }) {
                self.actions.push(Action::HideTyping(id));
            }
            steps.extend(flight.submitted_at.map(|at| (MessageEvent::Submitted, at)));
            // What was cut off has to be queued again before it can expire or be withdrawn.
            let is_open = matches!(last, MessageEvent::Expired | MessageEvent::Withdrawn);
            if is_open && flight.submitted_at.is_some() {
                steps.push((MessageEvent::AttemptFailed, now));
            }
        }
        steps.push((last, now));
        self.forget(id, now);
        self.actions.push(Action::Record(Progress {
            id,
            steps,
            failure,
            next_attempt_at: None,
            file: None,
        }));
    }

    fn forget(&mut self, id: MessageId, now: Timestamp) -> Option<Entry> {
        let entry = self.backlog.remove(id, now)?;
        self.expiries.remove(&(entry.expires_at, id));
        self.by_whatsapp.remove(&entry.whatsapp);
        Some(entry)
    }

    /// The message is no longer on its way; with pacing the pause begins.
    fn land(&mut self, id: MessageId, now: Timestamp) -> Option<Flight> {
        let flight = self.flights.end(id)?;
        if flight.stage == Stage::Submitting {
            self.rest(now, flight.gap);
        }
        if self.busy_with == Some(id) {
            self.busy_with = None;
        }
        Some(flight)
    }

    fn rest(&mut self, now: Timestamp, pause: SignedDuration) {
        let until = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        self.rest_until = self.rest_until.max(until);
    }

    /// An attempt failed but may be repeated.
    fn attempt_failed(&mut self, id: MessageId, failure: Failure, now: Timestamp) {
        let Some(entry) = self.backlog.get(id) else { return };
        let attempts = entry.attempts + 1;
        let next = domain::policy::retry::next_attempt_at(now, attempts, entry.retry_interval_s);
        self.repeat_at(next, id, failure, now);
    }

    /// The attempt is over; the next one is due then.
    fn repeat_at(&mut self, next: Timestamp, id: MessageId, failure: Failure, now: Timestamp) {
        let began_at = self.land(id, now).and_then(|flight| flight.submitted_at).unwrap_or(now);
        let Some(entry) = self.backlog.get_mut(id) else { return };
        entry.attempts += 1;
        self.expiries.insert((entry.expires_at, id));
        self.backlog.postpone(id, next, now);
        self.actions.push(Action::Record(Progress {
            id,
            steps: vec![(MessageEvent::Submitted, began_at), (MessageEvent::AttemptFailed, now)],
            failure: Some(failure),
            next_attempt_at: Some(next),
            file: None,
        }));
    }

    fn entry_of(&self, message: OutboxEntry, now: Timestamp) -> (MessageId, Entry) {
        let due_at = message.due_from(now);
        let entry = Entry {
            chat: self.backlog.shared_chat(message.chat),
            whatsapp: WhatsappKey::of(&message.whatsapp_id),
            due_at,
            expires_at: message.expires_at.unwrap_or(Timestamp::MAX),
            attempts: message.attempts,
            retry_interval_s: message.retry_interval_s,
            priority: message.priority,
            refusals: 0,
            is_stranger: false,
            has_file: false,
        };
        (message.id, entry)
    }
}
