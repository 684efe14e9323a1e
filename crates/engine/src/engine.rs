//! The engine as others see it: what the use cases ask of it, and where the messenger delivers to.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use domain::client::ConnectedAs;
use domain::device::{DeviceNotice, Group, PairMethod, PairOffer};
use domain::error::{Error, Result, StoreError};
use domain::fair_semaphore::Permit;
use domain::group::{GroupAnswer, GroupRequest};
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::media::MediaSource;
use domain::message::{Message, Receipt, Waiting};
use domain::passkey::{Assertion, PasskeyRefusal, PasskeyStep};
use domain::phone::PhoneNumber;
use domain::ports::{
    BlobStore, CallReplies, Cancellation, Clock, Dispatcher, Entropy, EventFormats, MediaCodec,
    MessageArchive, Messenger, Outbound, OutboxEntry, SecretCipher, SendError, Store, StoreResult,
};
use domain::webhook::Event;

use crate::EngineConfig;
use crate::cleanup::{self, clean_up};
use crate::context::EngineContext;
use crate::device::inbox::Input;
use crate::device::waits::Waited;
use crate::group_facts;
use crate::group_picture;
use crate::heartbeats;
use crate::incoming_files;
use crate::logs::{log_accepted, log_recorded};
use crate::ownership::{Ownership, show_disconnected};
use crate::registry::Registry;
use crate::reply::{Reply, answer_of, refusal};
use crate::stats::EngineStats;
use crate::timing::within;
use crate::unheard::queue_unheard;
use crate::webhooks;

mod linking;
mod reception;

use linking::{linked, next_step};

/// How long, after its end, a wait lasts until the outcome is durable.
const OUTCOME_WAIT: Duration = Duration::from_secs(10);
/// How long a list waits for a device to say what its messages wait for.
const EXPLAIN_WAIT: Duration = Duration::from_secs(1);
/// How long WhatsApp waits for a receipt to be durable; then it reports it again.
const RECEIPT_WAIT: Duration = Duration::from_secs(20);
/// How long the answer to a passkey waits for the code that the phone shows, too.
const CODE_WAIT: Duration = Duration::from_secs(10);
/// How long a confirmation waits for the link.
const LINK_WAIT: Duration = Duration::from_secs(15);
/// How long a device's task may take to answer; more than any single wait inside it.
const ANSWER_WAIT: Duration = Duration::from_secs(45);

/// The ports of the engine.
pub struct EngineParts {
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// WhatsApp.
    pub messenger: Arc<dyn Messenger>,
    /// What fetches files and posts to webhooks.
    pub outbound: Arc<dyn Outbound>,
    /// What prepares files to be sent.
    pub codec: Arc<dyn MediaCodec>,
    /// Where files that come in are kept, and those that come with requests.
    pub blobs: Arc<dyn BlobStore>,
    /// Where messages are kept that are older than the store keeps them; `None` where they are not kept.
    pub archive: Option<Arc<dyn MessageArchive>>,
    /// What keeps the secrets of webhooks unreadable.
    pub sealer: Arc<dyn SecretCipher>,
    /// The shapes of webhook events.
    pub formats: Arc<dyn EventFormats>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Sends what waits, for all devices of this process.
pub struct Engine {
    context: Arc<EngineContext>,
    registry: Arc<Registry>,
    /// `None` where this process shares its database with no other.
    ownership: Option<Arc<Ownership>>,
    /// The task that runs the senders of webhooks.
    webhooks: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// An engine at rest; messages that are accepted before [`Engine::start`] are kept for it.
    pub fn new(config: EngineConfig, parts: EngineParts) -> Arc<Self> {
        let context = EngineContext::new(config, parts);
        let registry = Registry::new(context.clone());
        let ownership = context.node().cloned();
        let ownership =
            ownership.map(|node| Ownership::new(context.clone(), registry.clone(), node));
        Arc::new(Self { context, registry, ownership, webhooks: Mutex::new(None) })
    }

    /// Connects every paired device and resumes every queue, of those that this node runs. Returns when all
    /// of it has begun.
    ///
    /// # Errors
    /// [`Error::Store`] when what waits cannot be read; nothing has begun then.
    pub async fn start(&self) -> Result<()> {
        self.prepare().await?;
        match &self.ownership {
            Some(ownership) => ownership.start().await?,
            None => {
                let devices = self.context.store().all_devices().await?;
                let outbox = self.context.store().outbox().await?;
                self.registry.start(devices, outbox)?;
            }
        }
        tokio::spawn(clean_up(self.context.clone()));
        tokio::spawn(heartbeats::beat(self.context.clone()));
        tokio::spawn(queue_unheard(self.context.clone(), Arc::downgrade(&self.registry)));
        tokio::spawn(incoming_files::fetch_all(self.context.clone()));
        let webhooks = tokio::spawn(webhooks::manager::manage(self.context.clone()));
        *self.webhooks.lock() = Some(webhooks);
        Ok(())
    }

    /// Registers this process where it shares its database, else shows every device as not connected, for
    /// that is what they are now. Part of [`Engine::start`]; to be called before requests are answered that
    /// come earlier.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn prepare(&self) -> Result<()> {
        if let Some(ownership) = &self.ownership {
            return ownership.register().await;
        }
        let devices = self.context.store().all_devices().await?;
        Ok(show_disconnected(&self.context, devices.iter(), "the gateway was restarted").await?)
    }

    /// Hands over all devices while other nodes take them; to be called before a shutdown, while requests are
    /// still answered. Bounded.
    pub async fn hand_over(&self) {
        if let Some(ownership) = &self.ownership {
            ownership.hand_over_all().await;
        }
    }

    /// Waits until this process must end because another one runs under its name; for ever otherwise.
    pub async fn void(&self) {
        let Some(ownership) = &self.ownership else { return std::future::pending().await };
        // The sender lives as long as this engine.
        let _ = ownership.void().wait_for(|is_void| *is_void).await;
    }

    /// Whether this process runs a device: what needs a connection is asked of the node that does.
    pub fn runs(&self, device: DeviceId) -> bool {
        self.registry.runs(device)
    }

    /// What needs the device's connection or queue fails with an error that says to try again while another
    /// node runs it.
    fn ensure_runs(&self, device: DeviceId) -> Result<()> {
        if self.runs(device) { Ok(()) } else { Err(Error::RunsElsewhere(device)) }
    }

    /// Submits nothing any more, waits a little for acknowledgements, writes down what is left
    /// to write, and disconnects. Bounded; what is accepted meanwhile is sent after the next start.
    pub async fn shutdown(&self) {
        self.registry.stop().await;
        let webhooks = self.webhooks.lock().take();
        if let Some(webhooks) = webhooks {
            // Bounded by itself.
            drop(webhooks.await);
        }
        if let Some(ownership) = &self.ownership {
            ownership.leave().await;
        }
        self.context.device_watchers().close_all();
        self.context.account_watchers().close_all();
    }

    /// Sets what accepts the answers to rejected calls. Only the first call counts.
    pub fn set_call_replies(&self, replies: Weak<dyn CallReplies>) {
        self.context.set_call_replies(replies);
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> &EngineStats {
        self.context.stats()
    }

    /// Asks the task of a device, and waits for its answer. `None` when there is no such task.
    async fn ask<T>(
        &self,
        device: DeviceId,
        is_to_start: bool,
        input: impl Fn(Reply<T>) -> Input + Send,
    ) -> Result<Option<T>> {
        self.ensure_runs(device)?;
        let ask = async {
            // Twice: the task may be retiring at this moment.
            for _ in 0..2 {
                let mailbox = if is_to_start {
                    self.registry.mailbox_or_start(device)?
                } else if let Some(mailbox) = self.registry.mailbox(device) {
                    mailbox
                } else {
                    return Ok(None);
                };
                let (reply, answer) = oneshot::channel();
                if mailbox.send(input(reply)).await.is_ok()
                    && let Ok(answer) = answer.await
                {
                    return answer.map(Some);
                }
            }
            Ok(None)
        };
        let late = || Err(Error::Whatsapp("the device did not answer in time".into()));
        within(ANSWER_WAIT, ask).await.unwrap_or_else(late)
    }

    /// Reports something to the task of a device.
    async fn inform(&self, device: DeviceId, input: Input) {
        // A device that is paired or being paired has a task; what comes else is from before.
        if let Some(mailbox) = self.registry.mailbox(device)
            && mailbox.send(input).await.is_err()
        {
            tracing::debug!(%device, "an event came for a device that is stopped");
        }
    }

    async fn wait_in_queue(
        &self,
        device: DeviceId,
        id: MessageId,
        patience: Duration,
    ) -> Result<Waited> {
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        let until = self.context.now().saturating_add(patience).unwrap_or(Timestamp::MAX);
        let Some(mailbox) = self.registry.mailbox(device) else {
            return Ok(Waited::Elsewhere);
        };
        let (reply, answer) = oneshot::channel();
        // Without an answer the task has ended: the store knows all it knew.
        if mailbox.send(Input::Wait(id, until, reply)).await.is_err() {
            return Ok(Waited::Elsewhere);
        }
        drop(mailbox);
        answer.await.unwrap_or(Ok(Waited::Elsewhere))
    }

    /// A message that is in no queue, as the store knows it; `None` when it waits there.
    async fn ended(&self, account: AccountId, id: MessageId) -> Result<Option<Message>> {
        let message = self.context.store().message(account, id).await?;
        let message = message.ok_or(Error::NotFound("message"))?;
        Ok((!message.state.is_waiting()).then_some(message))
    }

    /// Writes a receipt down, in the order of what else happens to the device.
    async fn receipt(
        &self,
        device: DeviceId,
        ids: Vec<WhatsappId>,
        receipt: Receipt,
        at: Timestamp,
    ) -> StoreResult<()> {
        let Some(mailbox) = self.registry.mailbox(device) else {
            let recorded = self.context.store().record_receipts(device, &ids, receipt, at).await?;
            log_recorded(&recorded);
            self.context.emit_recorded(&recorded);
            return Ok(());
        };
        let report = async {
            let (reply, answer) = oneshot::channel();
            let sent = mailbox.send(Input::Receipt(ids, receipt, at, reply)).await;
            if sent.is_err() { None } else { answer.await.ok() }
        };
        let late = || StoreError::Unavailable("a receipt could not be written in time".into());
        let stopped = || StoreError::Unavailable("the device is stopping".into());
        within(RECEIPT_WAIT, report).await.ok_or_else(late)?.ok_or_else(stopped)?
    }
}

#[async_trait]
impl Dispatcher for Engine {
    fn accepted(&self, entries: Vec<OutboxEntry>) {
        log_accepted(&entries);
        self.registry.accepted(entries);
    }

    fn runs(&self, device: DeviceId) -> bool {
        Self::runs(self, device)
    }

    async fn cancel(&self, device: DeviceId, id: MessageId) -> Result<Cancellation> {
        let answer = self.ask(device, false, |reply| Input::Cancel(id, reply)).await?;
        Ok(answer.unwrap_or(Cancellation::TooLate))
    }

    async fn waiting(&self, device: DeviceId, ids: Vec<MessageId>) -> Vec<(MessageId, Waiting)> {
        let asked = self.ask(device, false, |reply| Input::Waiting(ids.clone(), reply));
        match within(EXPLAIN_WAIT, asked).await {
            Some(Ok(Some(waiting))) => waiting,
            _ => Vec::new(),
        }
    }

    fn is_sending(&self, _device: DeviceId, id: MessageId) -> bool {
        self.context.sending().contains(id)
    }

    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<PairOffer> {
        let offer = self.ask(device, true, |reply| Input::Pair(method.clone(), reply)).await?;
        offer.ok_or(Error::NotFound("device"))
    }

    async fn pairing(&self, device: DeviceId) -> Result<Option<PairOffer>> {
        Ok(self.ask(device, false, Input::Offer).await?.flatten())
    }

    async fn give_passkey(&self, device: DeviceId, assertion: Assertion) -> Result<PairOffer> {
        let notices = self.watch(device);
        let given = self.ask(device, false, |reply| Input::Passkey(assertion.clone(), reply));
        let offer = given.await?.ok_or(Error::Passkey(PasskeyRefusal::NotRequested))?;
        if !matches!(&offer, PairOffer::Passkey { step: PasskeyStep::Accepted, .. }) {
            return Ok(offer);
        }
        match within(CODE_WAIT, next_step(notices)).await {
            Some(Some(next)) => next,
            // The phone takes its time: its owner may have to unlock it first.
            Some(None) | None => Ok(offer),
        }
    }

    async fn confirm_passkey(&self, device: DeviceId) -> Result<()> {
        let notices = self.watch(device);
        let confirmed = self.ask(device, false, Input::ConfirmPasskey).await?;
        confirmed.ok_or(Error::Passkey(PasskeyRefusal::NotRequested))?;
        within(LINK_WAIT, linked(notices)).await.unwrap_or(Ok(()))
    }

    async fn logout(&self, device: DeviceId) -> Result<()> {
        self.ask(device, true, Input::Logout).await?.ok_or(Error::NotFound("device"))
    }

    async fn connect(&self, device: DeviceId) -> Result<()> {
        self.ask(device, true, Input::Connect).await?.ok_or(Error::NotFound("device"))
    }

    async fn remove(&self, account: AccountId, device: DeviceId) -> Result<()> {
        let erased = self.ask(device, true, |reply| Input::Remove(account, reply)).await?;
        erased.ok_or(Error::NotFound("device"))?;
        if let Some(ownership) = &self.ownership {
            ownership.erased(device);
        }
        incoming_files::erase_device(&self.context, account, device).await;
        Ok(())
    }

    async fn reload(&self, device: DeviceId) {
        if let Err(error) = self.ask(device, false, Input::Reload).await {
            tracing::warn!(%device, %error, "changed settings have not been taken up yet");
        }
    }

    fn alive_at(&self, device: DeviceId) -> Option<Timestamp> {
        self.context.messenger().alive_at(device)
    }

    fn connected_as(&self, device: DeviceId) -> Option<ConnectedAs> {
        self.context.messenger().connected_as(device)
    }

    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> Result<Option<PhoneNumber>> {
        self.ensure_runs(device)?;
        answer_of(self.context.messenger().find_number(device, phone)).await
    }

    async fn mark_read(&self, device: DeviceId, messages: &[Message]) -> Result<()> {
        self.ensure_runs(device)?;
        answer_of(self.context.messenger().mark_read(device, messages)).await
    }

    async fn groups(&self, device: DeviceId) -> Result<Vec<Group>> {
        self.ensure_runs(device)?;
        let mut groups = answer_of(self.context.messenger().groups(device)).await?;
        groups.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(groups)
    }

    async fn group(&self, device: DeviceId, request: GroupRequest) -> Result<GroupAnswer> {
        self.ensure_runs(device)?;
        let asked = async {
            match self.context.messenger().group(device, request).await {
                Err(SendError::Permanent(failure)) => Ok(Err(refusal(failure))),
                Ok(answer) => {
                    group_facts::described(&self.context, device, &answer).await;
                    Ok(Ok(answer))
                }
                Err(error) => Err(error),
            }
        };
        answer_of(asked).await?
    }

    async fn ask_history(
        &self,
        device: DeviceId,
        before: &Message,
        count: u32,
    ) -> Result<Option<u64>> {
        self.ensure_runs(device)?;
        answer_of(self.context.messenger().ask_history(device, before, count)).await
    }

    async fn make_picture(&self, account: AccountId, source: &MediaSource) -> Result<Vec<u8>> {
        group_picture::make(&self.context, account, source).await
    }

    fn watch(&self, device: DeviceId) -> BoxStream<'static, DeviceNotice> {
        if self.registry.is_stopped() {
            return futures_util::stream::empty().boxed();
        }
        self.context.device_watchers().watch(device)
    }

    async fn wait(
        &self,
        account: AccountId,
        device: DeviceId,
        id: MessageId,
        patience: Duration,
    ) -> Result<Option<Message>> {
        match within(patience + OUTCOME_WAIT, self.wait_in_queue(device, id, patience)).await {
            Some(Ok(Waited::Ended(message))) => Ok(Some(*message)),
            Some(Ok(Waited::Elsewhere)) => self.ended(account, id).await,
            Some(Ok(Waited::Pending)) | None => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    async fn webhook_permit(&self, account: AccountId) -> Permit {
        self.context.webhooks().post(account).await
    }

    async fn fetch_file(
        &self,
        account: AccountId,
        message: MessageId,
        patience: Duration,
    ) -> Result<()> {
        incoming_files::fetch_now(&self.context, account, message, patience).await
    }

    fn webhooks_changed(&self, account: AccountId) {
        self.context.webhooks().changed(account);
    }

    fn account_erased(&self, account: AccountId) {
        self.context.webhooks().changed(account);
        cleanup::remove_archive(&self.context, account);
    }

    fn watch_account(&self, account: AccountId) -> BoxStream<'static, Event> {
        if self.registry.is_stopped() {
            return futures_util::stream::empty().boxed();
        }
        self.context.account_watchers().watch(account)
    }
}
