//! Accepting messages: everything is checked first, then made durable in one commit.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use jiff::{SignedDuration, Timestamp};

use super::content::LastText;
use super::context::Reference;
use super::request_files::UnkeptFile;
use super::{Core, Principal};
use crate::account::Account;
use crate::content::ContentRequest;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ids::{DeviceId, WhatsappId};
use crate::message::{BATCH_MESSAGES_MAX, Message, NewMessage};
use crate::phone::Recipient;
use crate::plan::{Feature, Plan};
use crate::policy::queue::QueueLimits;
use crate::policy::quota::Period;
use crate::policy::retry::{EXPIRY_DEFAULT, EXPIRY_MAX};
use crate::ports::{Acceptance, Accepted, IdempotencyKey, OutboxEntry};
use crate::request_file::{RequestFile, blob_key};
use crate::scope::Scope;

/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Longest `retry_interval_s`: a day.
pub const RETRY_INTERVAL_S_MAX: u32 = 86_400;
const PRIORITY_MAX: i16 = 100;
/// How many messages of a batch are checked before other requests have their turn.
const CHECKED_AT_ONCE: usize = 32;

/// Gives the thread away once.
async fn let_others_go_on() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The device of a request to send.
#[derive(Debug, Clone)]
pub enum SendingDevice {
    /// Its id: [`Core`] reads the device.
    Id(DeviceId),
    /// The device, as the caller's access to it was checked; it is not read again.
    Found(Arc<Device>),
}

impl SendingDevice {
    /// The device's id.
    pub fn id(&self) -> DeviceId {
        match self {
            Self::Id(id) => *id,
            Self::Found(device) => device.id,
        }
    }
}

impl From<DeviceId> for SendingDevice {
    fn from(id: DeviceId) -> Self {
        Self::Id(id)
    }
}

impl From<Arc<Device>> for SendingDevice {
    fn from(device: Arc<Device>) -> Self {
        Self::Found(device)
    }
}

/// A message that a caller wants to send.
#[derive(Debug, Clone, Default)]
pub struct SendRequest {
    /// Through which device; a device token may leave it out.
    pub device: Option<SendingDevice>,
    /// To whom, as people write it.
    pub to: String,
    /// What it carries.
    pub content: ContentRequest,
    /// The message that it answers, or that a reaction is on: our id, or WhatsApp's.
    pub reply_to: Option<String>,
    /// Whom it mentions: numbers, LIDs, or `all` in a group.
    pub mentions: Vec<String>,
    /// Whether something is shown of where a link in its text leads; unless given it is.
    pub link_preview: Option<bool>,
    /// Not before this.
    pub schedule_at: Option<Timestamp>,
    /// Not after this; wins over `expires_in_s`.
    pub expires_at: Option<Timestamp>,
    /// Not later than this many seconds after it may first be sent.
    pub expires_in_s: Option<i64>,
    /// Seconds between attempts.
    pub retry_interval_s: Option<u32>,
    /// Whether the recipient is shown that somebody types (default: as the device's pacing says).
    pub typing: Option<bool>,
    /// Higher goes first, between chats; -100 to 100.
    pub priority: Option<i16>,
}

/// Why nothing of a request to send was accepted.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendRefusal {
    /// Which message is at fault, counted from zero; `None` when it is not one of them.
    pub index: Option<usize>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for SendRefusal {
    fn from(error: Error) -> Self {
        Self { index: None, error }
    }
}

/// What became of a request to send.
#[derive(Debug, Clone)]
pub struct AcceptedMessages {
    /// The messages, in the order they were asked for.
    pub messages: Vec<Message>,
    /// Whether they were accepted by an earlier, equal request.
    pub is_repeat: bool,
}

impl Core {
    /// Accepts messages, all or none. When this returns they survive a crash.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] for the device, [`Error::DeviceNotConnected`] for
    /// one that was never linked or is logged out, [`Error::FeatureMissing`],
    /// [`Error::QuotaExhausted`], [`Error::QueueFull`], [`Error::IdempotencyMismatch`]. Nothing
    /// is kept then.
    pub async fn send(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages> {
        self.send_batch(principal, requests, idempotency).await.map_err(|refusal| refusal.error)
    }

    /// Accepts messages as [`Core::send`] does, and says which one is at fault.
    ///
    /// # Errors
    /// Those of [`Core::send`].
    pub async fn send_batch(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<AcceptedMessages, SendRefusal> {
        if requests.is_empty() || requests.len() > BATCH_MESSAGES_MAX {
            let message = format!("must hold 1 to {BATCH_MESSAGES_MAX} messages");
            return Err(Error::invalid("messages", message).into());
        }
        let idempotency = idempotency.map(|key| key_of(principal, key));
        if let Some(key) = &idempotency {
            check_idempotency_key(&key.key)?;
        }
        principal.require(Scope::Send)?;
        let now = self.clock.now();
        let account = principal.account()?;
        let (messages, keys) = match self.prepare(principal, requests, now).await {
            Ok(prepared) => prepared,
            // Who may use the device is settled before the key is looked up: a token learns nothing
            // of the requests of its account's other devices.
            Err(refusal) if is_of_another_device(principal, &refusal.error) => return Err(refusal),
            // What was accepted once may be out of date by now; the first answer still holds.
            Err(refusal) => {
                let Some(key) = &idempotency else { return Err(refusal) };
                let earlier = self.store.repeated(account.id, key, now).await;
                let earlier = earlier.map_err(Error::from)?.ok_or(refusal)?;
                return Ok(self.announce(earlier)?);
            }
        };
        let accepted = self.accept(principal, messages, idempotency, now).await;
        let is_refused = match &accepted {
            Ok(accepted) => accepted.is_repeat,
            // The messages may be there in spite of it; if they are not, the files are swept away later.
            Err(Error::Store(_)) => false,
            Err(_) => true,
        };
        if is_refused {
            self.drop_request_files(keys).await;
        }
        Ok(accepted?)
    }

    /// Checks messages and puts their files into the media store; also returns the names of those.
    async fn prepare(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        now: Timestamp,
    ) -> Result<(Vec<NewMessage>, Vec<String>), SendRefusal> {
        let (messages, files) = self.new_messages(principal, requests, now).await?;
        Ok((messages, self.keep_request_files(files).await?))
    }

    /// Makes checked messages durable and gives them to their queues.
    pub(super) async fn accept(
        &self,
        principal: &Principal,
        messages: Vec<NewMessage>,
        idempotency: Option<IdempotencyKey>,
        now: Timestamp,
    ) -> Result<AcceptedMessages> {
        let (account, plan) = (principal.account()?, principal.plan()?);
        let acceptance = Acceptance {
            account_id: account.id,
            plan: Arc::clone(plan),
            period: Period::of(now, account.timezone.zone()),
            limits: QueueLimits::default(),
            messages,
            idempotency,
            now,
        };
        self.announce(self.store.accept(acceptance).await?)
    }

    /// Refuses when the disk has too little free space. What was deleted makes room inside the
    /// database, whose file stays as large.
    pub(super) async fn require_room(&self) -> Result<()> {
        let has_room = self.outbound.has_room(0)
            || self.outbound.has_room(self.store.reusable_bytes().await.unwrap_or(0));
        if !has_room {
            self.outbound.report_full();
        }
        has_room.then_some(()).ok_or(Error::DiskFull)
    }

    async fn new_messages(
        &self,
        principal: &Principal,
        requests: Vec<SendRequest>,
        now: Timestamp,
    ) -> Result<(Vec<NewMessage>, Vec<UnkeptFile>), SendRefusal> {
        let (account, plan) = (principal.account()?, principal.plan()?);
        let (mut messages, mut files) = (Vec::with_capacity(requests.len()), Vec::new());
        let (mut read, mut last) = (BTreeMap::new(), LastText::default());
        for (index, mut request) in requests.into_iter().enumerate() {
            if index > 0 && index % CHECKED_AT_ONCE == 0 {
                let_others_go_on().await;
            }
            let device = self.sending_device(principal, request.device.take(), &mut read).await;
            let message = match device {
                Ok(device) => self.new_message(device, account, request, now, &mut last).await,
                Err(error) => Err(error),
            };
            let checked = message.and_then(|(new, file)| Ok((check_features(new, plan)?, file)));
            let (message, file) =
                checked.map_err(|error| SendRefusal { index: Some(index), error })?;
            messages.push(message);
            files.extend(file);
        }
        let is_to_many = messages.windows(2).any(|pair| pair[0].chat != pair[1].chat);
        if is_to_many && !plan.has(Feature::Broadcast) {
            return Err(Error::FeatureMissing(Feature::Broadcast).into());
        }
        self.require_room().await?;
        Ok((messages, files))
    }

    pub(super) fn announce(&self, accepted: Accepted) -> Result<AcceptedMessages> {
        match accepted {
            Accepted::New(messages) => {
                self.dispatcher.accepted(messages.iter().map(OutboxEntry::from).collect());
                Ok(AcceptedMessages { messages, is_repeat: false })
            }
            Accepted::Repeated(messages) => Ok(AcceptedMessages { messages, is_repeat: true }),
            Accepted::Mismatch => Err(Error::IdempotencyMismatch),
            Accepted::QuotaExhausted { remaining } => Err(Error::QuotaExhausted { remaining }),
            Accepted::QueueFull(limit) => Err(Error::QueueFull(limit)),
            Accepted::DeviceGone => Err(Error::NotFound("device")),
        }
    }

    async fn new_message(
        &self,
        device_id: DeviceId,
        account: &Account,
        mut request: SendRequest,
        now: Timestamp,
        last: &mut LastText,
    ) -> Result<(NewMessage, Option<UnkeptFile>)> {
        let recipient = Recipient::parse(&request.to, &account.default_country)
            .map_err(|error| Error::invalid("to", error.to_string()))?;
        let country = &account.default_country;
        let (content, bytes) =
            self.check_content(std::mem::take(&mut request.content), country, last)?;
        let refers = Reference {
            to: recipient.clone().into(),
            reply_to: request.reply_to.take(),
            mentions: std::mem::take(&mut request.mentions),
        };
        let mut context = self.check_context(account, device_id, refers, &content).await?;
        context.is_without_preview = request.link_preview == Some(false);
        let due_at = check_schedule(request.schedule_at, now)?;
        let expires_at = check_expiry(&request, due_at, now)?;
        if request.retry_interval_s.is_some_and(|s| !(1..=RETRY_INTERVAL_S_MAX).contains(&s)) {
            let message = format!("must be 1 to {RETRY_INTERVAL_S_MAX} seconds");
            return Err(Error::invalid("retry_interval_s", message));
        }
        let priority = request.priority.unwrap_or_default();
        if !(-PRIORITY_MAX..=PRIORITY_MAX).contains(&priority) {
            return Err(Error::invalid("priority", "must be -100 to 100"));
        }
        let whatsapp_id = WhatsappId::from_random(self.random());
        let inline_file = bytes.as_deref().map(RequestFile::of);
        let file = bytes
            .map(|bytes| UnkeptFile { key: blob_key(account.id, device_id, &whatsapp_id), bytes });
        let message = NewMessage {
            device_id,
            chat: recipient.into(),
            content,
            context,
            inline_file,
            whatsapp_id,
            typing: request.typing.unwrap_or(true),
            priority,
            due_at,
            is_scheduled: due_at > now,
            expires_at,
            retry_interval_s: request.retry_interval_s,
        };
        Ok((message, file))
    }

    /// The id of the device that sends. `read` holds the devices that earlier messages of the same
    /// request have read, so that a batch reads each of its devices once.
    async fn sending_device(
        &self,
        principal: &Principal,
        named: Option<SendingDevice>,
        read: &mut BTreeMap<DeviceId, Arc<Device>>,
    ) -> Result<DeviceId> {
        let named = named.or(principal.caller.bound_device().map(SendingDevice::Id));
        let device = match named.ok_or_else(|| Error::invalid("device", "is required"))? {
            SendingDevice::Found(device) => {
                let account = principal.require_device(device.id)?;
                (device.account_id == account).then_some(device).ok_or(Error::NotFound("device"))?
            }
            SendingDevice::Id(id) => match read.get(&id) {
                Some(device) => device.clone(),
                // Of one that was unlinked within the last second the message waits, as if it had come before; of
                // one that was deleted the commit refuses it.
                None => self.remembered_device(principal, id).await?,
            },
        };
        if !device.status.is_paired() {
            return Err(Error::DeviceNotConnected(device.status.as_str()));
        }
        let id = device.id;
        read.insert(id, device);
        Ok(id)
    }
}

pub(super) fn check_features(message: NewMessage, plan: &Plan) -> Result<NewMessage> {
    let is_group = message.chat.is_group();
    let needs = [
        (is_group, Feature::Groups),
        (is_group && message.content.is_file(), Feature::SendGroupMedia),
        (message.is_scheduled, Feature::Schedule),
    ];
    match needs.into_iter().find(|(is_needed, feature)| *is_needed && !plan.has(*feature)) {
        Some((_, feature)) => Err(Error::FeatureMissing(feature)),
        None => Ok(message),
    }
}

fn check_schedule(schedule_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp> {
    match schedule_at {
        None => Ok(now),
        Some(at) if at <= now => Err(Error::invalid("schedule_at", "must be in the future")),
        Some(at) if at.duration_since(now) > EXPIRY_MAX => {
            Err(Error::invalid("schedule_at", "must be within 366 days"))
        }
        Some(at) => Ok(at),
    }
}

fn check_expiry(request: &SendRequest, due_at: Timestamp, now: Timestamp) -> Result<Timestamp> {
    let after = |wait: SignedDuration| due_at.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let (field, expires_at) = match (request.expires_at, request.expires_in_s) {
        (Some(at), _) => ("expires_at", at),
        (None, Some(s)) if s < 1 => {
            return Err(Error::invalid("expires_in_s", "must be at least 1"));
        }
        (None, Some(s)) => ("expires_in_s", after(SignedDuration::from_secs(s))),
        (None, None) => return Ok(after(EXPIRY_DEFAULT)),
    };
    if expires_at <= now {
        return Err(Error::invalid(field, "must be in the future"));
    }
    if expires_at <= due_at && due_at > now {
        return Err(Error::invalid(field, "must be after schedule_at"));
    }
    // Other gateways know no such limit: what is further away counts as the furthest.
    Ok(expires_at.min(after(EXPIRY_MAX)))
}

/// Whether a token was refused because it named a device that is not its own.
fn is_of_another_device(principal: &Principal, error: &Error) -> bool {
    principal.caller.bound_device().is_some()
        && matches!(error, Error::NotFound(_) | Error::Forbidden)
}

/// The key as this caller may know it.
pub(super) fn key_of(principal: &Principal, key: IdempotencyKey) -> IdempotencyKey {
    IdempotencyKey { token_of: principal.caller.bound_device(), ..key }
}

pub(super) fn check_idempotency_key(key: &str) -> Result<()> {
    let length = key.chars().count();
    if length == 0 || length > IDEMPOTENCY_KEY_CHARS_MAX || key.contains('\0') {
        let message = format!("must have 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters");
        return Err(Error::invalid("Idempotency-Key", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(expires_at: Option<Timestamp>, expires_in_s: Option<i64>) -> SendRequest {
        SendRequest { expires_at, expires_in_s, ..SendRequest::default() }
    }

    #[test]
    fn a_message_expires_when_its_sender_says() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let after = |seconds: i64| now + SignedDuration::from_secs(seconds);
        let max_s = EXPIRY_MAX.as_secs();
        let past = Err(("expires_at", "must be in the future"));
        let furthest = Ok(after(max_s));
        for (at, in_s, due_at, expected) in [
            (None, None, now, Ok(now + EXPIRY_DEFAULT)),
            (None, None, after(60), Ok(after(60) + EXPIRY_DEFAULT)),
            (None, Some(1), after(60), Ok(after(61))),
            (None, Some(0), now, Err(("expires_in_s", "must be at least 1"))),
            (None, Some(max_s), now, Ok(after(max_s))),
            (None, Some(max_s + 1), now, furthest),
            (None, Some(i64::MAX), now, furthest),
            // `expires_at` wins; what it replaces is not checked.
            (Some(after(9)), Some(0), now, Ok(after(9))),
            (Some(now), None, now, past),
            (Some(after(-1)), None, after(60), past),
            (Some(after(60)), None, after(60), Err(("expires_at", "must be after schedule_at"))),
            (Some(after(61)), None, after(60), Ok(after(61))),
            (Some(after(max_s + 1)), None, now, furthest),
            (Some(Timestamp::MAX), None, after(60), Ok(after(max_s + 60))),
        ] {
            let expiry = check_expiry(&request(at, in_s), due_at, now);
            let expected = expected.map_err(|(field, message)| (field, message.to_owned()));
            let expiry = expiry.map_err(|error| match error {
                Error::Invalid { field, message } => (field, message),
                other => panic!("{other:?}"),
            });
            assert_eq!(expiry, expected, "{at:?} {in_s:?} {due_at}");
        }
    }
}
