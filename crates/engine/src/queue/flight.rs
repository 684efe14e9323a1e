//! The messages between being picked and being acknowledged; a handful, so lists will do.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use domain::ids::MessageId;

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its body is being fetched.
    Loading,
    /// Its file is being prepared; it takes no place among those in flight.
    Fetching,
    /// Its file is ready, until it is dropped; likewise.
    Ready { until: Timestamp },
    /// "typing…" is shown.
    Typing { until: Timestamp },
    /// The messenger has it and has not answered yet whether it is on the wire.
    Submitting,
    /// It is on the wire.
    Unacknowledged { deadline: Timestamp },
    /// The connection broke before the answer came: it may have arrived, or not.
    CutOff,
}

impl Stage {
    /// Whether it may be with WhatsApp on the present connection.
    pub(super) fn is_in_the_air(self) -> bool {
        matches!(self, Self::Submitting | Self::Unacknowledged { .. })
    }
}

/// One attempt.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) stage: Stage,
    /// When it was submitted, on this connection or on one that broke.
    pub(super) submitted_at: Option<Timestamp>,
    /// The same of an earlier connection, that broke before the answer came.
    pub(super) cut_off_at: Option<Timestamp>,
    /// The connection broke while the messenger had not answered yet.
    pub(super) lost_connection: bool,
    /// The pause that follows it.
    pub(super) gap: SignedDuration,
    /// Whether it took from the budget of first contacts.
    pub(super) is_first_contact: bool,
    /// Whether it has one of the slots for files.
    pub(super) has_file_slot: bool,
}

impl Flight {
    pub(super) fn new(is_first_contact: bool, has_file_slot: bool) -> Self {
        Self {
            stage: Stage::Loading,
            submitted_at: None,
            cut_off_at: None,
            lost_connection: false,
            gap: SignedDuration::ZERO,
            is_first_contact,
            has_file_slot,
        }
    }

    /// Whether the message may have reached WhatsApp.
    pub(super) fn may_have_arrived(&self) -> bool {
        self.submitted_at.is_some()
    }
}

/// All attempts that run.
#[derive(Debug, Default)]
pub(super) struct Flights(BTreeMap<MessageId, Flight>);

impl Flights {
    /// How many there are, without those whose file is not sent yet.
    pub(super) fn active(&self) -> usize {
        let is_aside = |stage| matches!(stage, Stage::Fetching | Stage::Ready { .. });
        self.0.values().filter(|flight| !is_aside(flight.stage)).count()
    }

    /// How many slots for files are taken.
    pub(super) fn file_slots(&self) -> usize {
        self.0.values().filter(|flight| flight.has_file_slot).count()
    }

    pub(super) fn begin(&mut self, id: MessageId, flight: Flight) {
        self.0.insert(id, flight);
    }

    pub(super) fn end(&mut self, id: MessageId) -> Option<Flight> {
        self.0.remove(&id)
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Flight> {
        self.0.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut Flight> {
        self.0.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageId, &Flight)> {
        self.0.iter().map(|(id, flight)| (*id, flight))
    }

    pub(super) fn ids(&self) -> Vec<MessageId> {
        self.0.keys().copied().collect()
    }

    pub(super) fn overdue(&self, now: Timestamp) -> Vec<MessageId> {
        self.with(|stage| matches!(stage, Stage::Unacknowledged { deadline } if deadline <= now))
    }

    pub(super) fn typed(&self, now: Timestamp) -> Vec<MessageId> {
        self.with(|stage| matches!(stage, Stage::Typing { until } if until <= now))
    }

    /// Those whose file has waited too long for its message's turn.
    pub(super) fn stale(&self, now: Timestamp) -> Vec<MessageId> {
        self.with(|stage| matches!(stage, Stage::Ready { until } if until <= now))
    }

    /// The first one whose file is ready.
    pub(super) fn first_ready(&self) -> Option<MessageId> {
        let is_ready = |stage| matches!(stage, Stage::Ready { .. });
        self.iter().find(|(_, flight)| is_ready(flight.stage)).map(|(id, _)| id)
    }

    /// When the next file is dropped.
    pub(super) fn next_stale(&self) -> Option<Timestamp> {
        let until = |stage| if let Stage::Ready { until } = stage { Some(until) } else { None };
        self.0.values().filter_map(|flight| until(flight.stage)).min()
    }

    pub(super) fn cut_off(&self) -> Vec<MessageId> {
        self.with(|stage| stage == Stage::CutOff)
    }

    /// When the next one is typed, or overdue.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let deadline = |stage| match stage {
            Stage::Typing { until } => Some(until),
            Stage::Unacknowledged { deadline } => Some(deadline),
            Stage::Loading
            | Stage::Fetching
            | Stage::Ready { .. }
            | Stage::Submitting
            | Stage::CutOff => None,
        };
        self.0.values().filter_map(|flight| deadline(flight.stage)).min()
    }

    fn with(&self, is_wanted: impl Fn(Stage) -> bool) -> Vec<MessageId> {
        self.iter().filter(|(_, flight)| is_wanted(flight.stage)).map(|(id, _)| id).collect()
    }
}
