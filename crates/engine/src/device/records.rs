//! What a device still has to write down, and how the store takes it.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::join_all;
use tokio::sync::oneshot;

use domain::error::StoreError;
use domain::ids::{DeviceId, MessageId};
use domain::message::{MessageEvent, MessageState};
use domain::ports::{Cancellation, MovedDevice, Recorded, Store, StoreResult};

use super::jobs::Done;
use super::journal::{Batch, Journal, Write};
use super::{DeviceTask, Ending};
use crate::group_facts;
use crate::logs::log_recorded;
use crate::reply::answer;
use crate::request_files;
use crate::timing::{STORE_PAUSE, pause};

/// What the store answered to a batch.
pub(super) enum Written {
    /// The messages that changed.
    Messages(Vec<Recorded>),
    /// The device as it is now; `None` when there is none.
    Device(Option<Box<MovedDevice>>),
    /// The device is erased: the messages that were cancelled; `None` when there was none.
    Erased(Option<Vec<Recorded>>),
}

impl Written {
    /// The messages that changed.
    fn recorded(&self) -> &[Recorded] {
        match self {
            Self::Messages(recorded) | Self::Erased(Some(recorded)) => recorded,
            Self::Device(_) | Self::Erased(None) => &[],
        }
    }
}

/// The journal, those who wait for it, and how the store fares.
#[derive(Default)]
pub(super) struct Records {
    journal: Journal,
    /// Those who wait until what they reported is durable; not in the journal yet.
    reporters: Vec<oneshot::Sender<StoreResult<()>>>,
    /// Whether the outage of the store has been logged.
    is_store_down: bool,
    /// Whether the last write failed, so that the next one comes after a pause.
    has_write_failed: bool,
}

impl Records {
    pub(super) fn push(&mut self, write: Write) {
        self.journal.push(write);
    }

    /// Whether something about this message is still to be written.
    pub(super) fn mentions(&self, id: MessageId) -> bool {
        self.journal.mentions(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.journal.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    /// Answers when everything that follows from what was reported is durable.
    pub(super) fn answer_when_durable(&mut self, reply: oneshot::Sender<StoreResult<()>>) {
        self.reporters.push(reply);
    }

    /// All that follows from what was reported is in the journal now.
    pub(super) fn flush_reporters(&mut self) {
        for reply in self.reporters.drain(..) {
            self.journal.push(Write::Reported(reply));
        }
    }

    /// The store answered.
    pub(super) fn store_answered(&mut self) {
        self.is_store_down = false;
    }

    /// The store failed; whether that is new.
    fn store_failed(&mut self) -> bool {
        !std::mem::replace(&mut self.is_store_down, true)
    }

    fn written(&mut self) -> Vec<Write> {
        self.is_store_down = false;
        self.has_write_failed = false;
        self.journal.written()
    }

    fn write_failed(&mut self, error: &StoreError) -> Vec<Write> {
        self.has_write_failed = true;
        match error {
            StoreError::Unavailable(_) => self.journal.unavailable(),
            StoreError::Fault(_) => self.journal.faulty(),
            // The task ends, and what it has not written with it: the other node does it again.
            StoreError::NotOwner => self.journal.unavailable(),
        }
    }
}

impl DeviceTask {
    /// Notes that the store failed; logged once per outage.
    pub(super) fn store_failed(&mut self, error: &StoreError) {
        self.context.stats().store_errors.fetch_add(1, Relaxed);
        if self.records.store_failed() {
            tracing::warn!(%error, "the store does not answer; trying again");
        }
    }

    /// Writes the journal's next batch, unless one is being written.
    pub(super) fn write(&mut self) {
        let Some(batch) = self.records.journal.next_batch() else { return };
        let (store, device) = (self.context.store().clone(), self.id);
        let has_write_failed = self.records.has_write_failed;
        self.begin(async move {
            if has_write_failed {
                pause(STORE_PAUSE).await;
            }
            Done::Written(write_batch(store.as_ref(), device, batch).await)
        });
    }

    /// A batch of the journal was written, or was not.
    pub(super) fn written(&mut self, result: StoreResult<Written>) {
        match result {
            Ok(written) => {
                log_recorded(written.recorded());
                // Before those who asked for the writes are answered.
                self.waits.ended(written.recorded());
                self.context.emit_recorded(written.recorded());
                request_files::remove(&self.context, written.recorded());
                group_facts::learn(&self.context, self.id, written.recorded());
                for write in self.records.written() {
                    self.write_done(write, &written);
                }
            }
            Err(error) => {
                if matches!(error, StoreError::NotOwner) {
                    tracing::warn!("another node runs this device: it is stopped here");
                    self.ending = Some(Ending::Lost);
                } else {
                    self.store_failed(&error);
                }
                for write in self.records.write_failed(&error) {
                    self.write_failed(write, &error);
                }
            }
        }
    }

    fn write_done(&mut self, write: Write, written: &Written) {
        let moved = if let Written::Device(moved) = written { moved.as_deref() } else { None };
        match write {
            Write::Progress(progress) => self.outbox.hide_sending(progress.id),
            Write::Cancel(withdrawn, _, _, reply) => {
                let cancellation = self.cancellation(withdrawn.id(), written.recorded());
                if let Some(reply) = reply {
                    answer(reply, Ok(cancellation));
                }
            }
            Write::Status(change) => self.status_written(change, moved, false),
            Write::StartPairing(change) => self.status_written(change, moved, true),
            Write::Restriction(..) => self.restriction_written(moved),
            Write::Erase(account, _, reply) => {
                let cancelled = written.recorded().len() as u64;
                self.context.stats().cancelled.fetch_add(cancelled, Relaxed);
                self.erased(account, matches!(written, Written::Erased(Some(_))), reply);
            }
            Write::Receipt(..) | Write::Reported(_) | Write::Barrier(_) => {}
        }
    }

    fn cancellation(&self, id: MessageId, recorded: &[Recorded]) -> Cancellation {
        let mut messages = recorded.iter().map(|recorded| &recorded.message);
        let cancelled = messages.find(|m| m.id == id && m.state == MessageState::Cancelled);
        cancelled.map_or(Cancellation::TooLate, |message| {
            self.context.stats().message_event(MessageEvent::Withdrawn);
            Cancellation::Cancelled(Box::new(message.clone()))
        })
    }

    fn write_failed(&mut self, write: Write, error: &StoreError) {
        match write {
            Write::Cancel(withdrawn, _, _, reply) => {
                let now = self.now();
                self.waits.fail(withdrawn.id(), error);
                self.outbox.queue_mut().restore(withdrawn, now);
                if let Some(reply) = reply {
                    answer(reply, Err(same(error).into()));
                }
            }
            Write::StartPairing(_) => self.pairing_not_begun(error),
            Write::Erase(_, _, reply) => self.not_erased(error, reply),
            Write::Barrier(reply) => answer(reply, Err(same(error).into())),
            Write::Reported(reply) => answer(reply, Err(same(error))),
            Write::Progress(progress) => {
                tracing::error!(message_id = %progress.id, %error, "an outcome could not be written");
                self.outbox.hide_sending(progress.id);
            }
            Write::Restriction(..) => {
                tracing::error!(%error, "a restriction could not be written");
            }
            Write::Receipt(whatsapp_id, ..) => {
                tracing::error!(%whatsapp_id, %error, "a receipt could not be written");
            }
            Write::Status(change) => {
                let status = change.status.as_str();
                tracing::error!(status, %error, "a change of state could not be written");
            }
        }
    }
}

/// The same error once more, for another who waits.
pub(super) fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
        StoreError::Fault(why) => StoreError::Fault(why.clone()),
        StoreError::NotOwner => StoreError::NotOwner,
    }
}

async fn write_batch(store: &dyn Store, device: DeviceId, batch: Batch) -> StoreResult<Written> {
    match batch {
        Batch::Progress(progress) => store.record(progress).await.map(Written::Messages),
        Batch::Status(change) => {
            let moved = store.set_device_status(device, &change).await?;
            Ok(Written::Device(moved.map(Box::new)))
        }
        Batch::Restriction(until, at) => {
            let moved = store.restrict_device(device, until, at).await?;
            Ok(Written::Device(moved.map(Box::new)))
        }
        Batch::Erase(account, at) => {
            store.delete_device(account, device, at).await.map(Written::Erased)
        }
        Batch::Receipts(groups) => {
            let calls = groups
                .iter()
                .map(|(ids, receipt, at)| store.record_receipts(device, ids, *receipt, *at));
            let results: StoreResult<Vec<_>> = join_all(calls).await.into_iter().collect();
            results.map(|changed| Written::Messages(changed.concat()))
        }
    }
}
