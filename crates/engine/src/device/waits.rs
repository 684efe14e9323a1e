//! Requests that wait until a message has left the queue.
//!
//! Invariants:
//! - No outcome is answered before it is durable.
//! - The task that owns the message decides: whether the device is connected, whether the message
//!   was submitted and whether it is withdrawn are one decision.
//! - A message is withdrawn only for a request that still waits, not for one that has hung up.

use std::collections::HashMap;

use jiff::Timestamp;

use domain::error::StoreError;
use domain::ids::MessageId;
use domain::message::{Failure, Message};
use domain::ports::Recorded;

use super::DeviceTask;
use super::connection::Connection;
use super::journal::Write;
use super::outbox::Outbox;
use super::records::{Records, same};
use crate::reply::{Reply, answer};

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

/// The requests that wait, by message. Bounded by what the use cases let wait.
#[derive(Default)]
pub(super) struct Waits(HashMap<MessageId, Vec<Wait>>);

/// What follows for the requests that wait for one message.
enum Decision {
    /// They go on waiting; look again then, at the latest.
    Wait(Option<Timestamp>),
    /// Those whose time ends by then have their answer: it still waits.
    PendingUntil(Timestamp),
    /// The message is not sent any more.
    Withdraw,
    /// The store knows.
    Elsewhere,
}

impl Waits {
    pub(super) fn add(&mut self, id: MessageId, until: Timestamp, reply: Reply<Waited>) {
        self.0.entry(id).or_default().push(Wait { until, reply });
    }

    /// These outcomes are durable.
    pub(super) fn ended(&mut self, recorded: &[Recorded]) {
        for message in recorded.iter().map(|recorded| &recorded.message) {
            if !message.state.is_waiting() {
                self.answer(message.id, || Ok(Waited::Ended(Box::new(message.clone()))));
            }
        }
    }

    /// The message could not be withdrawn.
    pub(super) fn fail(&mut self, id: MessageId, error: &StoreError) {
        self.answer(id, || Err(same(error).into()));
    }

    fn answer(&mut self, id: MessageId, outcome: impl Fn() -> domain::error::Result<Waited>) {
        for wait in self.0.remove(&id).into_iter().flatten() {
            answer(wait.reply, outcome());
        }
    }

    /// Answers those whose time ends by `time`: their message still waits.
    fn end_until(&mut self, id: MessageId, time: Timestamp) {
        let Some(waits) = self.0.get_mut(&id) else { return };
        for wait in waits.extract_if(.., |wait| wait.until <= time) {
            answer(wait.reply, Ok(Waited::Pending));
        }
        if waits.is_empty() {
            self.0.remove(&id);
        }
    }

    fn forget_gone(&mut self) {
        self.0.retain(|_, waits| {
            waits.retain(|wait| !wait.reply.is_closed());
            !waits.is_empty()
        });
    }

    /// Answers those that need not wait any longer. When to look again, and the messages that are
    /// to be withdrawn.
    fn check(
        &mut self,
        decide: impl Fn(MessageId, Timestamp) -> Decision,
    ) -> (Option<Timestamp>, Vec<MessageId>) {
        self.forget_gone();
        let first_ends: Vec<_> = self
            .0
            .iter()
            .filter_map(|(id, waits)| Some((*id, waits.iter().map(|wait| wait.until).min()?)))
            .collect();
        let (mut next, mut unsent) = (None, Vec::new());
        for (id, first_end) in first_ends {
            match decide(id, first_end) {
                Decision::Wait(look_again) => {
                    next = [next, look_again].into_iter().flatten().min();
                }
                Decision::PendingUntil(time) => {
                    self.end_until(id, time);
                    let left = self.0.get(&id).into_iter().flatten();
                    next = left.map(|wait| wait.until).chain(next).min();
                }
                Decision::Withdraw => unsent.push(id),
                Decision::Elsewhere => self.answer(id, || Ok(Waited::Elsewhere)),
            }
        }
        (next, unsent)
    }
}

impl DeviceTask {
    /// Answers those that need not wait any longer. When to look again, and whether a message was
    /// withdrawn.
    pub(super) fn check_waits(&mut self, now: Timestamp) -> (Option<Timestamp>, bool) {
        let (outbox, connection, records) = (&self.outbox, &self.connection, &self.records);
        let (next, unsent) = self
            .waits
            .check(|id, first_end| decide(outbox, connection, records, (id, first_end), now));
        let mut has_withdrawn = false;
        for id in unsent {
            has_withdrawn |= self.withdraw_unsent(id, now);
        }
        (next, has_withdrawn)
    }

    fn withdraw_unsent(&mut self, id: MessageId, now: Timestamp) -> bool {
        let Some(withdrawn) = self.outbox.queue_mut().withdraw(id, now) else { return false };
        let why = Failure::new(
            Failure::NOT_CONNECTED,
            "the device did not connect while the message was waited for",
        );
        self.records.push(Write::Cancel(withdrawn, now, Some(why), None));
        true
    }
}

/// What follows for those that wait for a message; the time of the first of them ends at
/// `first_end`.
fn decide(
    outbox: &Outbox,
    connection: &Connection,
    records: &Records,
    (id, first_end): (MessageId, Timestamp),
    now: Timestamp,
) -> Decision {
    let queue = outbox.queue();
    if !queue.contains(id) {
        // Its outcome is on its way into the store, or is there already.
        let is_here = records.mentions(id);
        return if is_here { Decision::Wait(None) } else { Decision::Elsewhere };
    }
    if connection.is_connected() || queue.may_have_arrived(id) {
        let earliest = queue.earliest(id, now).filter(|_| outbox.is_configured());
        let earliest = earliest.map_or(now, |earliest| earliest.max(now));
        return if earliest >= first_end {
            Decision::PendingUntil(earliest)
        } else {
            Decision::Wait(Some(first_end))
        };
    }
    let is_unpaired = connection.status().is_some_and(|status| !status.is_paired());
    match queue.due_at(id).filter(|due_at| *due_at > first_end) {
        Some(due_at) => Decision::PendingUntil(due_at),
        None if first_end <= now || is_unpaired => Decision::Withdraw,
        None => Decision::Wait(Some(first_end)),
    }
}
