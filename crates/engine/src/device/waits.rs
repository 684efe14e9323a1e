//! Who waits until a message has left the queue.
//!
//! Invariants:
//! - Nobody is told of an outcome before it is durable.
//! - The task that owns the message decides: whether the device is connected, whether the message
//!   was handed over and whether it is taken back are one decision.
//! - Whoever has gone decides nothing: only for somebody who still waits a message is taken back.

use std::collections::HashMap;

use jiff::Timestamp;

use domain::device::DeviceStatus;
use domain::error::StoreError;
use domain::ids::MessageId;
use domain::message::{Failure, Message};
use domain::ports::Recorded;

use crate::device::DeviceTask;
use crate::device::journal::Write;
use crate::device::sending::same;
use crate::reply::Reply;

/// How a wait ended.
pub(crate) enum Waited {
    /// The message has left the queue.
    Ended(Box<Message>),
    /// It still waits.
    Pending,
    /// It is not in this queue: the store knows what became of it.
    Elsewhere,
}

struct Wait {
    until: Timestamp,
    reply: Reply<Waited>,
}

/// Those who wait, by message. Bounded by what the use cases let wait.
#[derive(Default)]
pub(crate) struct Waits(HashMap<MessageId, Vec<Wait>>);

/// What follows for those who wait for one message.
enum Decision {
    /// They wait on; look again then, at the latest.
    Wait(Option<Timestamp>),
    /// Those whose time ends by then have their answer: it still waits.
    PendingUntil(Timestamp),
    /// The message is not sent any more.
    TakeBack,
    /// The store knows.
    Elsewhere,
}

impl Waits {
    pub(crate) fn add(&mut self, id: MessageId, until: Timestamp, reply: Reply<Waited>) {
        self.0.entry(id).or_default().push(Wait { until, reply });
    }

    /// These outcomes are durable.
    pub(crate) fn ended(&mut self, recorded: &[Recorded]) {
        for message in recorded.iter().map(|recorded| &recorded.message) {
            if !message.state.is_waiting() {
                self.answer(message.id, || Ok(Waited::Ended(Box::new(message.clone()))));
            }
        }
    }

    /// The message could not be taken back.
    pub(crate) fn fail(&mut self, id: MessageId, error: &StoreError) {
        self.answer(id, || Err(same(error).into()));
    }

    fn answer(&mut self, id: MessageId, answer: impl Fn() -> domain::error::Result<Waited>) {
        for wait in self.0.remove(&id).into_iter().flatten() {
            // Whoever asked may have gone.
            let _ = wait.reply.send(answer());
        }
    }

    /// Lets those go whose time ends by `time`: their message still waits.
    fn end_until(&mut self, id: MessageId, time: Timestamp) {
        let Some(waits) = self.0.get_mut(&id) else { return };
        for wait in waits.extract_if(.., |wait| wait.until <= time) {
            // Whoever asked may have gone.
            let _ = wait.reply.send(Ok(Waited::Pending));
        }
        if waits.is_empty() {
            self.0.remove(&id);
        }
    }

    fn forget_those_gone(&mut self) {
        self.0.retain(|_, waits| {
            waits.retain(|wait| !wait.reply.is_closed());
            !waits.is_empty()
        });
    }
}

impl DeviceTask {
    /// Answers those who need not wait any longer. When to look again, and whether a message was
    /// taken back.
    pub(crate) fn check_waits(&mut self, now: Timestamp) -> (Option<Timestamp>, bool) {
        self.waits.forget_those_gone();
        let ids: Vec<MessageId> = self.waits.0.keys().copied().collect();
        let mut has_taken_back = false;
        let mut next = None;
        for id in ids {
            match self.decide(id, now) {
                Decision::Wait(look_again) => {
                    next = [next, look_again].into_iter().flatten().min();
                }
                Decision::PendingUntil(time) => {
                    self.waits.end_until(id, time);
                    let left = self.waits.0.get(&id).into_iter().flatten();
                    next = left.map(|wait| wait.until).chain(next).min();
                }
                Decision::TakeBack => has_taken_back |= self.take_back(id, now),
                Decision::Elsewhere => self.waits.answer(id, || Ok(Waited::Elsewhere)),
            }
        }
        (next, has_taken_back)
    }

    fn decide(&self, id: MessageId, now: Timestamp) -> Decision {
        if !self.queue.contains(id) {
            // Its outcome is on its way into the store, or is there already.
            let is_here = self.journal.mentions(id);
            return if is_here { Decision::Wait(None) } else { Decision::Elsewhere };
        }
        let ends = self.waits.0.get(&id).into_iter().flatten().map(|wait| wait.until).min();
        let Some(first_end) = ends else { return Decision::Wait(None) };
        if self.status == Some(DeviceStatus::Connected) || self.queue.may_have_arrived(id) {
            let earliest = self.queue.earliest(id, now).filter(|_| self.is_configured);
            let earliest = earliest.map_or(now, |earliest| earliest.max(now));
            return if earliest >= first_end {
                Decision::PendingUntil(earliest)
            } else {
                Decision::Wait(Some(first_end))
            };
        }
        let is_unlinked = self.status.is_some_and(|status| !status.is_paired());
        match self.queue.due_at(id).filter(|due_at| *due_at > first_end) {
            Some(due_at) => Decision::PendingUntil(due_at),
            None if first_end <= now || is_unlinked => Decision::TakeBack,
            None => Decision::Wait(Some(first_end)),
        }
    }

    fn take_back(&mut self, id: MessageId, now: Timestamp) -> bool {
        let Some(withdrawn) = self.queue.withdraw(id, now) else { return false };
        let why = Failure::new(
            Failure::NOT_CONNECTED,
            "the device did not connect while the message was waited for",
        );
        self.journal.push(Write::Cancel(withdrawn, now, Some(why), None));
        true
    }
}
