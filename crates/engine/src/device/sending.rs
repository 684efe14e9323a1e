//! How what the queue wants is done, and what follows.

use std::time::Duration;

use jiff::SignedDuration;

use domain::content::{Content, OutgoingContent, OutgoingFile};
use domain::context::Context;
use domain::error::StoreError;
use domain::ids::{AccountId, MessageId};
use domain::link::{LinkPreview, first_link};
use domain::message::Message;
use domain::ports::{Cancellation, OutgoingMessage, Progress, SendError, StoreResult};

use super::DeviceTask;
use super::jobs::Done;
use super::journal::Write;
use crate::context::EngineContext;
use crate::queue::Action;
use crate::reply::{Reply, answer};
use crate::timing::{STORE_PAUSE, until, within};

/// How long the messenger may take to write one message to its connection. Then the message counts
/// as submitted, for it may have been.
const SEND_WAIT: Duration = Duration::from_secs(60);
/// How long a text may be delayed by looking at where a link in it leads; no longer than half of what is
/// left until it expires, so that it goes out without a preview in time.
const PREVIEW_WAIT: Duration = Duration::from_secs(5);
/// The same for a message with a file, which is uploaded first; longer than the messenger's own
/// limit of an upload.
const SEND_FILE_WAIT: Duration = Duration::from_secs(15 * 60);

impl DeviceTask {
    /// Gives the queue what was accepted.
    pub(super) fn take_arrivals(&mut self) {
        let now = self.now();
        for entry in self.inbox.take_arrivals() {
            // It may have been loaded at the start, sent, and not been written down yet.
            if !self.records.mentions(entry.id) {
                tracing::debug!(
                    message_id = %entry.id, whatsapp_id = %entry.whatsapp_id,
                    attempts = entry.attempts, due_at = %entry.due_at, "queued",
                );
                self.outbox.queue_mut().accepted(entry, now);
            }
        }
    }

    /// Does what the queue wants.
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Load(id) => self.load(id),
            Action::ShowTyping(id) => self.show_typing(id, true),
            Action::HideTyping(id) => {
                self.show_typing(id, false);
                self.outbox.in_flight_mut().unload(id);
            }
            Action::Send(id) => self.send(id),
            Action::Record(progress) => self.record(progress),
            Action::LoadContacts => self.configure(true, Vec::new()),
        }
    }

    fn load(&self, id: MessageId) {
        tracing::debug!(message_id = %id, "picked");
        let store = self.context.store().clone();
        self.begin(async move {
            let body = store.waiting_message(id).await;
            Done::Loaded(id, body.map(|message| message.map(Box::new)))
        });
    }

    fn show_typing(&self, id: MessageId, is_typing: bool) {
        let Some(message) = self.outbox.in_flight().body(id) else { return };
        let chat = message.chat.clone();
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            messenger.typing(device, &chat, is_typing).await;
            Done::Nothing
        });
    }

    fn send(&mut self, id: MessageId) {
        let Some((message, file)) = self.outbox.submit(id) else { return };
        let limit = if file.is_some() { SEND_FILE_WAIT } else { SEND_WAIT };
        let (media, permit) = file.map(|file| file.into_parts()).unzip();
        let content = message.content.with_file(|file| {
            Some(OutgoingFile {
                media: media?,
                caption: file.caption.to_string(),
                is_view_once: file.media.is_view_once,
                is_gif: file.media.is_gif,
            })
        });
        let Some(content) = content else {
            let error = SendError::Temporary("its file is not ready".to_owned());
            self.begin(async move { Done::Sent(id, Err(error)) });
            return;
        };
        let (chat, whatsapp_id, context) = (message.chat, message.whatsapp_id, message.context);
        let attempt = message.attempts.saturating_add(1);
        tracing::debug!(message_id = %id, %whatsapp_id, attempt, "sending");
        let (surroundings, account) = (context, message.account_id);
        let expires_at = message.expires_at;
        let (context, device) = (self.context.clone(), self.id);
        self.begin(async move {
            let left = expires_at.map_or(PREVIEW_WAIT, |at| until(context.now(), at) / 2);
            let look = look_at_link(&context, account, &content, &surroundings);
            let preview = within(left.min(PREVIEW_WAIT), look).await.flatten();
            let message = OutgoingMessage {
                chat,
                whatsapp_id,
                content,
                context: surroundings,
                preview,
                expires_at,
            };
            let upload = match &permit {
                Some(permit) => Some(context.files().upload(permit.holder()).await),
                None => None,
            };
            if expires_at.is_some_and(|at| at <= context.now()) {
                return Done::Sent(id, Err(SendError::Expired));
            }
            let sent = within(limit, context.messenger().send(device, message)).await;
            drop((upload, permit));
            Done::Sent(id, sent.unwrap_or(Ok(())))
        });
    }

    /// The messenger took a message, or did not.
    pub(super) fn sent(&mut self, id: MessageId, result: Result<(), SendError>) {
        let now = self.now();
        match result {
            Ok(()) => {
                tracing::debug!(message_id = %id, "submitted");
                self.outbox.queue_mut().submitted(id, now);
            }
            Err(error) => {
                tracing::debug!(message_id = %id, code = code_of(&error), "not submitted");
                self.outbox.send_failed(id, error, now);
            }
        }
    }

    fn record(&mut self, mut progress: Progress) {
        progress.file = self.outbox.end(&progress);
        for (event, _) in &progress.steps {
            self.context.stats().message_event(*event);
        }
        self.records.push(Write::Progress(progress));
    }

    /// The body of a message was read, or was not.
    pub(super) fn loaded(&mut self, id: MessageId, body: StoreResult<Option<Box<Message>>>) {
        let now = self.now();
        match body {
            Ok(Some(message)) => {
                self.records.store_answered();
                if message.content.is_file() && !self.outbox.in_flight().has_file(id) {
                    self.prepare_file(message);
                } else {
                    self.outbox.loaded(message, now);
                }
            }
            Ok(None) => {
                tracing::debug!(message_id = %id, "does not wait any more");
                self.outbox.vanished(id, now);
            }
            Err(error) => {
                self.outbox.queue_mut().load_failed(id, now);
                self.read_failed(&error);
            }
        }
    }

    /// The store could not be read: nothing can be sent for a moment.
    pub(super) fn read_failed(&mut self, error: &StoreError) {
        self.store_failed(error);
        let pause = SignedDuration::try_from(STORE_PAUSE).unwrap_or_default();
        let now = self.now();
        self.outbox.queue_mut().pause(now.saturating_add(pause).unwrap_or(now));
    }

    /// Withdraws a message, if it cannot have reached WhatsApp.
    pub(super) fn cancel(&mut self, id: MessageId, reply: Reply<Cancellation>) {
        self.take_arrivals();
        let now = self.now();
        match self.outbox.queue_mut().withdraw(id, now) {
            Some(withdrawn) => self.records.push(Write::Cancel(withdrawn, now, None, Some(reply))),
            None => answer(reply, Ok(Cancellation::TooLate)),
        }
    }
}

/// What is shown of the first link in a text.
async fn look_at_link(
    context: &EngineContext,
    account: AccountId,
    content: &OutgoingContent,
    surroundings: &Context,
) -> Option<LinkPreview> {
    let Content::Text(text) = content else { return None };
    let link = first_link(text).filter(|_| !surroundings.is_without_preview)?;
    let _permit = context.files().look(account).await;
    context.outbound().look_at(link).await
}

fn code_of(error: &SendError) -> &str {
    match error {
        SendError::NotConnected => "not_connected",
        SendError::Expired => "expired",
        SendError::Temporary(_) => "temporary",
        SendError::Permanent(failure) => &failure.code,
    }
}
