//! What a device still has to write down, in order.
//!
//! Invariants:
//! - What is written of a device is written in the order in which it happened, one batch at a
//!   time; the next batch gathers while the last one syncs.
//! - Nothing is dropped while the store is unavailable: the batch is tried again, and the task sends
//!   nothing new and takes no more events once the journal is full. Only where a caller waits for
//!   the answer, it gets the error instead.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use tokio::sync::oneshot;

use domain::device::StatusChange;
use domain::error::Result;
use domain::ids::{AccountId, MessageId, WhatsappId};
use domain::message::{Failure, Receipt};
use domain::ports::{Cancellation, Progress, StoreResult};

use crate::queue::Withdrawn;
use crate::reply::answer;

/// Most outcomes in one batch.
pub(super) const BATCH_MAX: usize = 256;
/// From this many waiting writes on, a device submits nothing new and takes no more events.
pub(super) const WRITES_WAITING_MAX: usize = 1_024;
/// How often a write that the store calls faulty is tried before it is dropped.
const FAULTS_MAX: u32 = 3;

/// Something to write down.
pub(super) enum Write {
    /// What happened to a message.
    Progress(Progress),
    /// A message is to be cancelled, for that reason; a caller may wait for the answer.
    Cancel(Withdrawn, Timestamp, Option<Failure>, Option<oneshot::Sender<Result<Cancellation>>>),
    /// A receipt for a message that has been sent.
    Receipt(WhatsappId, Receipt, Timestamp),
    /// The device's state has changed.
    Status(StatusChange),
    /// Until when WhatsApp takes no first contacts, as known at that time.
    Restriction(Option<Timestamp>, Timestamp),
    /// The device's state has become `pairing`; pairing begins when that is durable.
    StartPairing(StatusChange),
    /// The device of this account is to be erased, at that time; a caller waits for it.
    Erase(AccountId, Timestamp, oneshot::Sender<Result<()>>),
    /// The messenger waits until what it reported before this is durable.
    Reported(oneshot::Sender<StoreResult<()>>),
    /// A caller waits until everything before this is durable.
    Barrier(oneshot::Sender<Result<()>>),
}

impl Write {
    fn kind(&self) -> u8 {
        match self {
            Self::Progress(_) | Self::Cancel(..) => 0,
            Self::Receipt(..) => 1,
            Self::Status(_) | Self::StartPairing(_) => 2,
            Self::Reported(_) | Self::Barrier(_) => 3,
            Self::Erase(..) => 4,
            Self::Restriction(..) => 5,
        }
    }
}

/// What the store is asked to do in one go.
#[derive(Clone)]
pub(super) enum Batch {
    /// One call of `record`.
    Progress(Vec<Progress>),
    /// One call of `record_receipts` each, side by side: no message is in two of them.
    Receipts(Vec<(Vec<WhatsappId>, Receipt, Timestamp)>),
    /// One call of `set_device_status`.
    Status(StatusChange),
    /// One call of `restrict_device`.
    Restriction(Option<Timestamp>, Timestamp),
    /// One call of `delete_device`.
    Erase(AccountId, Timestamp),
}

/// The writes of one device.
#[derive(Default)]
pub(super) struct Journal {
    waiting: VecDeque<Write>,
    /// How many of the first are being written now.
    taken: usize,
    faults: u32,
    messages: HashMap<MessageId, u32>,
}

impl Journal {
    pub(super) fn push(&mut self, write: Write) {
        if let Some(id) = message_of(&write) {
            *self.messages.entry(id).or_default() += 1;
        }
        self.waiting.push_back(write);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WRITES_WAITING_MAX
    }

    /// Whether something about this message is still to be written.
    pub(super) fn mentions(&self, id: MessageId) -> bool {
        self.messages.contains_key(&id)
    }

    /// What to write next; `None` while a batch is being written, and when nothing is left.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.taken > 0 {
            return None;
        }
        self.answer_barriers();
        let limit = if self.faults > 0 { 1 } else { BATCH_MAX };
        let first = self.waiting.front()?;
        let kind = first.kind();
        let batch = match first {
            Write::Status(change) | Write::StartPairing(change) => {
                self.taken = 1;
                return Some(Batch::Status(change.clone()));
            }
            Write::Restriction(until, at) => {
                self.taken = 1;
                return Some(Batch::Restriction(*until, *at));
            }
            Write::Erase(account, at, _) => {
                self.taken = 1;
                return Some(Batch::Erase(*account, *at));
            }
            Write::Reported(_) | Write::Barrier(_) => return None,
            Write::Receipt(..) => Batch::Receipts(self.receipts(limit)),
            Write::Progress(_) | Write::Cancel(..) => {
                let run = self.waiting.iter().take_while(|write| write.kind() == kind).take(limit);
                Batch::Progress(run.filter_map(progress_of).collect())
            }
        };
        self.taken = match &batch {
            Batch::Progress(progress) => progress.len(),
            Batch::Receipts(groups) => groups.iter().map(|(ids, ..)| ids.len()).sum(),
            Batch::Status(_) | Batch::Restriction(..) | Batch::Erase(..) => 1,
        };
        Some(batch)
    }

    /// Answers those for whom nothing is left to be written.
    fn answer_barriers(&mut self) {
        while let Some(Write::Reported(_) | Write::Barrier(_)) = self.waiting.front() {
            match self.waiting.pop_front() {
                Some(Write::Reported(reply)) => answer(reply, Ok(())),
                Some(Write::Barrier(reply)) => answer(reply, Ok(())),
                _ => {}
            }
        }
    }

    fn receipts(&self, limit: usize) -> Vec<(Vec<WhatsappId>, Receipt, Timestamp)> {
        let mut groups: Vec<(Vec<WhatsappId>, Receipt, Timestamp)> = Vec::new();
        let mut seen = HashSet::new();
        for write in self.waiting.iter().take(limit) {
            let Write::Receipt(id, receipt, at) = write else { break };
            if !seen.insert(id) {
                break;
            }
            match groups.last_mut().filter(|(_, r, t)| (r, t) == (receipt, at)) {
                Some((ids, ..)) => ids.push(id.clone()),
                None => groups.push((vec![id.clone()], *receipt, *at)),
            }
        }
        groups
    }

    /// The batch is durable: what it was.
    pub(super) fn written(&mut self) -> Vec<Write> {
        self.faults = 0;
        self.drop_taken()
    }

    /// The store was unavailable: what is answered with the error instead of being tried again,
    /// of everything that waits.
    pub(super) fn unavailable(&mut self) -> Vec<Write> {
        self.taken = 0;
        let is_asked = |write: &Write| {
            use Write::{Barrier, Cancel, Erase, Reported, StartPairing};
            matches!(write, Cancel(..) | StartPairing(_) | Erase(..) | Reported(_) | Barrier(_))
        };
        let (asked, kept): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(is_asked);
        self.waiting = kept.into();
        self.forget(&asked);
        asked
    }

    /// The store calls the batch faulty: tried again in single steps, then dropped. What is over.
    pub(super) fn faulty(&mut self) -> Vec<Write> {
        self.faults += 1;
        if self.taken == 1 && self.faults > FAULTS_MAX {
            self.faults = 0;
            return self.drop_taken();
        }
        self.unavailable()
    }

    fn drop_taken(&mut self) -> Vec<Write> {
        let taken = std::mem::take(&mut self.taken);
        let writes: Vec<_> = self.waiting.drain(..taken).collect();
        self.forget(&writes);
        writes
    }

    fn forget(&mut self, writes: &[Write]) {
        for id in writes.iter().filter_map(message_of) {
            if let Some(n) = self.messages.get_mut(&id) {
                *n -= 1;
                if *n == 0 {
                    self.messages.remove(&id);
                }
            }
        }
    }
}

fn message_of(write: &Write) -> Option<MessageId> {
    match write {
        Write::Progress(progress) => Some(progress.id),
        Write::Cancel(withdrawn, ..) => Some(withdrawn.id()),
        _ => None,
    }
}

fn progress_of(write: &Write) -> Option<Progress> {
    match write {
        Write::Progress(progress) => Some(progress.clone()),
        Write::Cancel(withdrawn, at, failure, _) => {
            Some(Progress { failure: failure.clone(), ..withdrawn.progress(*at) })
        }
        Write::Receipt(..)
        | Write::Status(_)
        | Write::StartPairing(_)
        | Write::Restriction(..)
        | Write::Erase(..)
        | Write::Reported(_)
        | Write::Barrier(_) => None,
    }
}
