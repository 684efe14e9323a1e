//! What comes to the task of a device from outside.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use domain::chat::ChatId;
use domain::contact::{Identity, Spelling};
use domain::device::{PairMethod, PairOffer};
use domain::ids::{AccountId, MessageId, WhatsappId};
use domain::message::{Receipt, Waiting};
use domain::passkey::Assertion;
use domain::ports::{Cancellation, MessengerEvent, OutboxEntry, StoreResult};

use super::waits::Waited;
use crate::reply::Reply;

/// Most inputs that wait for one device; then the messenger waits.
const MAILBOX_MAX: usize = 256;

/// How long a device that cannot send leaves what is accepted for it where it is: then it takes all of
/// it at once.
const ARRIVALS_PAUSE: Duration = Duration::from_millis(200);

/// What a task is asked for, or what is reported to it.
pub(crate) enum Input {
    /// The messenger reports something, receipts apart.
    Event(MessengerEvent),
    /// A recipient's phone reported messages; answered when that is durable.
    Receipt(Vec<WhatsappId>, Receipt, Timestamp, oneshot::Sender<StoreResult<()>>),
    /// A message is to be withdrawn.
    Cancel(MessageId, Reply<Cancellation>),
    /// A request waits for a message, until then.
    Wait(MessageId, Timestamp, Reply<Waited>),
    /// The device is to be paired.
    Pair(PairMethod, Reply<PairOffer>),
    /// What is on offer, while the device is being paired.
    Offer(Reply<Option<PairOffer>>),
    /// WhatsApp's challenge is answered.
    Passkey(Assertion, Reply<PairOffer>),
    /// The phone shows the same code.
    ConfirmPasskey(Reply<()>),
    /// The device is to be connected again.
    Connect(Reply<()>),
    /// The device is to be unpaired.
    Logout(Reply<()>),
    /// The device of this account is to be stopped and erased.
    Remove(AccountId, Reply<()>),
    /// The device's settings have changed.
    Reload(Reply<()>),
    /// What messages wait for is asked.
    Waiting(Vec<MessageId>, Reply<Vec<(MessageId, Waiting)>>),
    /// Numbers and LIDs are one person's each; the store knows it.
    Identified(Vec<Identity>),
    /// WhatsApp knows a number by another spelling; the store knows it.
    Spelled(Spelling),
    /// The number has these chats from before it was linked; the store knows them.
    ChatsKnown(Vec<ChatId>),
}

/// Messages on their way into a device's queue. Bounded by what the store accepts.
#[derive(Default)]
pub(crate) struct Arrivals {
    entries: Mutex<Vec<OutboxEntry>>,
    came: Notify,
}

impl Arrivals {
    pub(crate) fn add(&self, entries: impl IntoIterator<Item = OutboxEntry>) {
        self.entries.lock().extend(entries);
        self.came.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<OutboxEntry> {
        std::mem::take(&mut *self.entries.lock())
    }
}

/// What [`Inbox::next`] waited for.
pub(super) enum Incoming {
    Input(Input),
    /// Messages were accepted: [`Inbox::take_arrivals`].
    Arrivals,
    /// Nothing will ever come again.
    Closed,
}

/// The task's end of its mailbox and its arrivals.
pub(crate) struct Inbox {
    inputs: mpsc::Receiver<Input>,
    arrivals: Arc<Arrivals>,
    /// Until then a device that cannot send is not woken by arrivals.
    quiet_until: Instant,
}

impl Inbox {
    /// The two ways in, and their end.
    pub(crate) fn new() -> (mpsc::Sender<Input>, Arc<Arrivals>, Self) {
        let (mailbox, inputs) = mpsc::channel(MAILBOX_MAX);
        let arrivals = Arc::new(Arrivals::default());
        let quiet_until = Instant::now();
        (mailbox, arrivals.clone(), Self { inputs, arrivals, quiet_until })
    }

    /// What comes next; inputs only when they are wanted, arrivals at once only when they can be sent.
    pub(super) async fn next(&mut self, takes_inputs: bool, can_send: bool) -> Incoming {
        let arrivals = async {
            if !can_send {
                sleep_until(self.quiet_until).await;
            }
            self.arrivals.came.notified().await;
        };
        tokio::select! {
            input = self.inputs.recv(), if takes_inputs => {
                input.map_or(Incoming::Closed, Incoming::Input)
            }
            () = arrivals => {
                self.quiet_until = Instant::now() + ARRIVALS_PAUSE;
                Incoming::Arrivals
            }
        }
    }

    pub(super) fn take_arrivals(&self) -> Vec<OutboxEntry> {
        self.arrivals.take()
    }

    /// Whether nothing has come, and nothing is about to: a second sender is held by a caller who is
    /// about to send.
    pub(super) fn is_undisturbed(&self) -> bool {
        let has_arrivals = !self.arrivals.entries.lock().is_empty();
        !has_arrivals && self.inputs.is_empty() && self.inputs.sender_strong_count() <= 1
    }

    pub(super) fn close(&mut self) {
        self.inputs.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_disturbed_by_what_has_come_and_by_who_is_about_to_ask() {
        let (mailbox, _arrivals, inbox) = Inbox::new();
        assert!(inbox.is_undisturbed());
        let asking = mailbox.clone();
        assert!(!inbox.is_undisturbed(), "a caller holds the mailbox");
        drop(asking);
        assert!(inbox.is_undisturbed());
        let (reply, _answer) = oneshot::channel();
        assert!(mailbox.try_send(Input::Logout(reply)).is_ok());
        assert!(!inbox.is_undisturbed(), "an input waits");
    }
}
