//! Sending and waiting for the outcome, on the same durable queue as everything else.

use std::time::Duration;

use futures_util::future::join_all;

use super::send::key_of;
use super::{AcceptedMessages, Core, Principal, SendRefusal, SendRequest, SendingDevice};
use crate::error::{Error, Result};
use crate::message::{Failure, Message, MessageState};
use crate::ports::IdempotencyKey;

/// The priority of a message somebody waits for.
const WAITING_PRIORITY: i16 = 100;

/// How long a request waits for its message to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncWait {
    /// With text alone.
    pub text: Duration,
    /// With a file.
    pub media: Duration,
}

impl Default for SyncWait {
    fn default() -> Self {
        Self { text: Duration::from_secs(30), media: Duration::from_secs(60) }
    }
}

/// What became of a message somebody waited for, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendOutcome {
    /// WhatsApp has it.
    Sent,
    /// It still waits and will be sent: behind pacing, or submitted and not acknowledged yet.
    Pending,
}

impl Core {
    /// Accepts messages as [`Core::send_batch`] does, then waits for all of them together. The
    /// messages are as they are at the end of the wait.
    ///
    /// A repeat with the same idempotency key resumes the wait.
    ///
    /// # Errors
    /// Those of [`Core::send`], [`Error::TooManyWaits`], [`Error::IdempotencyInFlight`].
    pub async fn send_and_wait(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages, SendRefusal> {
        // Before anything is accepted: only the node that runs the device learns the outcome at once.
        for request in &requests {
            let named = request.device.as_ref().map(SendingDevice::id);
            if let Some(device) = principal.caller.bound_device().or(named) {
                self.require_here(device)?;
            }
        }
        let waiting = idempotency.clone().map(|key| key_of(principal, key));
        let _permit = self.waits.enter(principal.account_id()?, waiting.as_ref())?;
        let has_media = requests.iter().any(|request| request.content.is_file());
        let patience = if has_media { self.sync_wait.media } else { self.sync_wait.text };
        let sent = self.send_batch(principal, preferred(requests), idempotency).await?;
        let waits = sent.messages.into_iter().map(|message| self.wait_for(message, patience));
        Ok(AcceptedMessages { messages: join_all(waits).await, ..sent })
    }

    /// Accepts messages as [`Core::send_and_wait`] does and waits for none of them, for a caller whose wait broke
    /// off on another node: those which that one has accepted under the idempotency key are as they are now.
    ///
    /// # Errors
    /// Those of [`Core::send`].
    pub async fn send_after_wait(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages, SendRefusal> {
        self.send_batch(principal, preferred(requests), idempotency).await
    }

    /// The message as it is at the end of the wait. An error of the wait, such as that its device went to
    /// another node, undoes nothing: the message is accepted, and a caller that heard otherwise would repeat it.
    async fn wait_for(&self, message: Message, patience: Duration) -> Message {
        if !message.state.is_waiting() {
            return message;
        }
        let (account, device) = (message.account_id, message.device_id);
        let ended = self.dispatcher.wait(account, device, message.id, patience).await;
        ended.ok().flatten().unwrap_or_else(|| self.as_seen(message))
    }
}

/// Puts messages that somebody waits for before others.
fn preferred(mut requests: Vec<SendRequest>) -> Vec<SendRequest> {
    for request in &mut requests {
        request.priority = request.priority.or(Some(WAITING_PRIORITY));
    }
    requests
}

impl Message {
    /// What became of it, for somebody who waited.
    ///
    /// # Errors
    /// [`Error::NotOnWhatsapp`], [`Error::Media`], [`Error::DeviceNotConnected`],
    /// [`Error::NotSent`] when it will not be sent.
    pub fn outcome(&self) -> Result<SendOutcome> {
        use MessageState as S;
        match self.state {
            S::Sent | S::Delivered | S::Read | S::Played => Ok(SendOutcome::Sent),
            S::Scheduled | S::Queued | S::Sending => Ok(SendOutcome::Pending),
            S::Failed | S::Expired | S::Cancelled => Err(self.why_not_sent()),
        }
    }

    fn why_not_sent(&self) -> Error {
        let number = || self.chat.user().to_owned();
        match &self.failure {
            Some(failure) if failure.code == Failure::NOT_ON_WHATSAPP => {
                Error::NotOnWhatsapp(number())
            }
            Some(failure) if failure.code == Failure::MEDIA => {
                Error::Media(failure.message.clone())
            }
            Some(failure) if failure.code == Failure::NOT_CONNECTED => {
                Error::DeviceNotConnected("disconnected")
            }
            Some(failure) => Error::NotSent(failure.clone()),
            None => Error::NotSent(Failure::new(
                self.state.as_str(),
                format!("the message is {}", self.state.as_str()),
            )),
        }
    }
}
