//! How what the queue wants is done, and what follows when it is done.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use domain::content::OutgoingFile;
use domain::error::StoreError;
use domain::ids::{DeviceId, MessageId};
use domain::message::{Message, MessageState};
use domain::ports::{Cancellation, OutgoingMessage, Progress, SendError, Store, StoreResult};

use crate::context::Shared;
use crate::device::files::ReadyFile;
use crate::device::journal::{Batch, Write};
use crate::device::{Configured, DeviceTask, Done, Wrote};
use crate::fair_semaphore::acquire;
use crate::queue::{Action, Settings};
use crate::reply::Reply;
use crate::timing::{pause, within};

/// The pause after the store has failed.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long the messenger may take to write one message to its connection. Then the message counts
/// as handed over, for it may have been.
pub(crate) const SEND_WAIT: Duration = Duration::from_secs(60);
/// The same for a message with a file, which is uploaded first; longer than the messenger itself
/// takes to give an upload up.
pub(crate) const SEND_FILE_WAIT: Duration = Duration::from_secs(15 * 60);

impl DeviceTask {
    /// Gives the queue what has come.
    pub(crate) fn take_arrivals(&mut self) {
        let now = self.now();
        for entry in self.arrivals.take() {
            // It may have been loaded at the start, sent, and not been written down yet.
            if !self.journal.mentions(entry.id) {
                self.queue.accepted(entry, now);
            }
        }
    }

    /// Does what the queue wants.
    pub(crate) fn perform(&mut self, action: Action) {
        match action {
            Action::Load(id) => {
                let store = self.shared.store.clone();
                self.begin(async move {
                    let body = store.waiting_message(id).await;
                    Done::Loaded(id, body.map(|message| message.map(Box::new)))
                });
            }
            Action::ShowTyping(id) => self.show_typing(id, true),
            Action::HideTyping(id) => {
                self.show_typing(id, false);
                self.bodies.remove(&id);
            }
            Action::Send(id) => self.send(id),
            Action::Record(progress) => self.record(progress),
            Action::LoadContacts => self.configure(true, Vec::new()),
        }
    }

    fn show_typing(&self, id: MessageId, is_typing: bool) {
        let Some(chat) = self.bodies.get(&id).map(|message| message.chat.clone()) else { return };
        let (messenger, device) = (self.shared.messenger.clone(), self.id);
        self.begin(async move {
            messenger.typing(device, &chat, is_typing).await;
            Done::Nothing
        });
    }

    fn send(&mut self, id: MessageId) {
        let Some(message) = self.bodies.remove(&id) else { return };
        let ready = self.files.remove(&id);
        let limit = if ready.is_some() { SEND_FILE_WAIT } else { SEND_WAIT };
        let (media, place) = ready.map(|ReadyFile { media, place }| (media, place)).unzip();
        let content = message
            .content
            .with_file(|file| Some(OutgoingFile { media: media?, caption: file.caption }));
        let Some(content) = content else {
            let error = SendError::Temporary("its file is not ready".to_owned());
            self.begin(async move { Done::Sent(id, Err(error)) });
            return;
        };
        let (chat, whatsapp_id) = (message.chat, message.whatsapp_id);
        let message = OutgoingMessage { chat, whatsapp_id, content };
        self.show_sending(id);
        let (shared, device) = (self.shared.clone(), self.id);
        self.begin(async move {
            let turn = match &place {
                Some(place) => Some(acquire(&shared.files.uploads, place.account()).await),
                None => None,
            };
            let sent = within(limit, shared.messenger.send(device, message)).await;
            drop((turn, place));
            Done::Sent(id, sent.unwrap_or(Ok(())))
        });
    }

    fn record(&mut self, mut progress: Progress) {
        self.bodies.remove(&progress.id);
        progress.kind = self.kinds.remove(&progress.id);
        for (event, _) in &progress.steps {
            self.shared.stats.message_event(*event);
        }
        self.journal.push(Write::Progress(progress));
    }

    /// The body of a message was fetched, or was not.
    pub(crate) fn loaded(&mut self, id: MessageId, body: StoreResult<Option<Box<Message>>>) {
        let now = self.now();
        match body {
            Ok(Some(message)) => {
                self.is_store_down = false;
                if message.content.is_file() && !self.files.contains_key(&id) {
                    self.fetch_file(message);
                    return;
                }
                let shared = self.shared.clone();
                let (typing, text) = (message.typing, message.text());
                if self.queue.loaded(id, typing, text, now, || shared.random()) {
                    self.bodies.insert(id, *message);
                }
            }
            Ok(None) => {
                self.queue.vanished(id, now);
                self.hide_sending(id);
            }
            Err(error) => {
                self.queue.load_failed(id, now);
                self.read_failed(&error);
            }
        }
    }

    /// The store could not be read: nothing can be sent for a moment.
    pub(crate) fn read_failed(&mut self, error: &StoreError) {
        self.store_failed(error);
        let pause = SignedDuration::try_from(STORE_PAUSE).unwrap_or_default();
        let now = self.now();
        self.queue.pause(now.saturating_add(pause).unwrap_or(now));
    }

    /// Takes a message back, if it can be.
    pub(crate) fn cancel(&mut self, id: MessageId, reply: Reply<Cancellation>) {
        self.take_arrivals();
        let now = self.now();
        match self.queue.withdraw(id, now) {
            Some(withdrawn) => self.journal.push(Write::Cancel(withdrawn, now, None, Some(reply))),
            // Whoever asked may have gone.
            None => drop(reply.send(Ok(Cancellation::TooLate))),
        }
    }

    /// Writes the journal's next batch, unless one is being written.
    pub(crate) fn write(&mut self) {
        let Some(batch) = self.journal.next_batch() else { return };
        let (store, device) = (self.shared.store.clone(), self.id);
        let has_write_failed = self.has_write_failed;
        self.begin(async move {
            if has_write_failed {
                pause(STORE_PAUSE).await;
            }
            Done::Written(write_batch(store.as_ref(), device, batch).await)
        });
    }

    /// A batch of the journal was written, or was not.
    pub(crate) fn written(&mut self, result: StoreResult<Wrote>) {
        match result {
            Ok(wrote) => {
                self.is_store_down = false;
                self.has_write_failed = false;
                // Before whoever asked for it is answered.
                self.waits.ended(wrote.recorded());
                self.shared.tell_of(wrote.recorded());
                for write in self.journal.written() {
                    self.write_done(write, &wrote);
                }
            }
            Err(error) => {
                self.store_failed(&error);
                self.has_write_failed = true;
                let over = match &error {
                    StoreError::Unavailable(_) => self.journal.unavailable(),
                    StoreError::Fault(_) => self.journal.faulty(),
                };
                for write in over {
                    self.write_failed(write, &error);
                }
            }
        }
    }

    fn write_done(&mut self, write: Write, wrote: &Wrote) {
        let moved = if let Wrote::Device(moved) = wrote { moved.as_deref() } else { None };
        match write {
            Write::Progress(progress) => self.hide_sending(progress.id),
            Write::Cancel(withdrawn, _, _, reply) => {
                let messages = wrote.recorded().iter().map(|recorded| &recorded.message);
                let mut cancelled = messages.filter(|m| m.state == MessageState::Cancelled);
                let cancelled = cancelled.find(|message| message.id == withdrawn.id());
                let answer = cancelled.map_or(Cancellation::TooLate, |message| {
                    self.shared.stats.message_event(domain::message::MessageEvent::Withdrawn);
                    Cancellation::Cancelled(Box::new(message.clone()))
                });
                // Whoever asked may have gone.
                let _ = reply.map(|reply| reply.send(Ok(answer)));
            }
            Write::Status(change) => self.status_written(change, moved, false),
            Write::StartPairing(change) => self.status_written(change, moved, true),
            Write::Erase(account, _, reply) => {
                let cancelled = wrote.recorded().len() as u64;
                self.shared.stats.cancelled.fetch_add(cancelled, Relaxed);
                self.erased(account, matches!(wrote, Wrote::Erased(Some(_))), reply);
            }
            Write::Receipt(..) | Write::Told(_) | Write::Done(_) => {}
        }
    }

    fn write_failed(&mut self, write: Write, error: &StoreError) {
        match write {
            Write::Cancel(withdrawn, _, _, reply) => {
                let now = self.now();
                self.waits.fail(withdrawn.id(), error);
                self.queue.restore(withdrawn, now);
                // Whoever asked may have gone.
                let _ = reply.map(|reply| reply.send(Err(same(error).into())));
            }
            Write::StartPairing(_) => self.pairing_not_begun(error),
            Write::Erase(_, _, reply) => self.not_erased(error, reply),
            // Whoever asked may have gone.
            Write::Done(reply) => drop(reply.send(Err(same(error).into()))),
            // Whoever reports may have gone.
            Write::Told(reply) => drop(reply.send(Err(same(error)))),
            Write::Progress(progress) => {
                tracing::error!(device = %self.id, message = %progress.id, %error,
                    "an outcome could not be written down");
                self.hide_sending(progress.id);
            }
            Write::Receipt(..) | Write::Status(_) => {
                tracing::error!(device = %self.id, %error, "a change could not be written down");
            }
        }
    }

    /// Reads the device's row, its settings and, where there is a budget, its contacts.
    pub(crate) fn configure(&mut self, with_contacts: bool, replies: Vec<Reply<()>>) {
        let Some(account) = self.account else { return };
        let (shared, id) = (self.shared.clone(), self.id);
        self.begin(async move {
            loop {
                match read_settings(&shared, account, id, with_contacts).await {
                    Ok(configured) => return Done::Configured(configured.map(Box::new), replies),
                    Err(error) => {
                        tracing::warn!(device = %id, %error, "cannot read the settings yet");
                        pause(STORE_PAUSE).await;
                    }
                }
            }
        });
    }
}

/// The same error once more, for another who waits.
pub(crate) fn same(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
        StoreError::Fault(why) => StoreError::Fault(why.clone()),
    }
}

async fn write_batch(store: &dyn Store, device: DeviceId, batch: Batch) -> StoreResult<Wrote> {
    match batch {
        Batch::Progress(progress) => store.record(progress).await.map(Wrote::Messages),
        Batch::Status(change) => {
            let moved = store.set_device_status(device, &change).await?;
            Ok(Wrote::Device(moved.map(Box::new)))
        }
        Batch::Erase(account, at) => {
            store.delete_device(account, device, at).await.map(Wrote::Erased)
        }
        Batch::Receipts(groups) => {
            let calls = groups
                .iter()
                .map(|(ids, receipt, at)| store.record_receipts(device, ids, *receipt, *at));
            let results: StoreResult<Vec<_>> = join_all(calls).await.into_iter().collect();
            results.map(|changed| Wrote::Messages(changed.concat()))
        }
    }
}

async fn read_settings(
    shared: &Shared,
    account: domain::ids::AccountId,
    id: DeviceId,
    with_contacts: bool,
) -> StoreResult<Option<Configured>> {
    let Some(device) = shared.store.device(account, id).await? else { return Ok(None) };
    let Some(account) = shared.store.account(account).await? else { return Ok(None) };
    let zone = TimeZone::get(&account.timezone).unwrap_or(TimeZone::UTC);
    let pacing = device.pacing.clone().unwrap_or_else(|| shared.config.default_pacing.clone());
    let settings = Settings { pacing, zone };
    if !with_contacts && settings.pacing.first_contacts_per_day.is_none() {
        let contacts = Vec::new();
        return Ok(Some(Configured { device, settings, contacts, first_contacts_today: 0 }));
    }
    let today = shared.clock.now().to_zoned(settings.zone.clone()).start_of_day();
    let today = today.map_or(jiff::Timestamp::MIN, |midnight| midnight.timestamp());
    let (contacts, first_contacts_today) = shared.store.contacts(id, today).await?;
    Ok(Some(Configured { device, settings, contacts, first_contacts_today }))
}
