//! The engine as others see it: what the use cases ask of it, and where the messenger delivers to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::BoxStream;
use tokio::sync::{Semaphore, oneshot, watch};

use domain::device::{DeviceNotice, DeviceStatus, PairMethod, PairOffer};
use domain::error::{Error, Result};
use domain::ids::{DeviceId, MessageId};
use domain::message::IncomingMessage;
use domain::phone::PhoneNumber;
use domain::ports::{
    Cancellation, Clock, Dispatcher, Entropy, Messenger, MessengerEvent, MessengerEvents,
    OutboxEntry, SendError, Store, StoreResult,
};

use crate::EngineConfig;
use crate::lookup::Answers;
use crate::run::{clean_up, within};
use crate::sending::SendingSet;
use crate::shared::{CONNECTS_MAX, Input, Phase, Registry, Reply, Shared};
use crate::stats::EngineStats;
use crate::watchers::Watchers;

/// How long WhatsApp may take to say whether a number is known.
const LOOKUP_WAIT: Duration = Duration::from_secs(15);
/// How long a device's task may take to answer; more than any single wait inside it.
const ANSWER_WAIT: Duration = Duration::from_secs(45);

/// Sends what waits, for all devices of this process.
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// An engine at rest; messages that are accepted before [`Engine::start`] are kept for it.
    pub fn new(
        config: EngineConfig,
        store: Arc<dyn Store>,
        messenger: Arc<dyn Messenger>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<Self> {
        let registry = Registry { phase: Phase::New(Vec::new()), devices: HashMap::new() };
        let shared = Shared {
            config,
            store,
            messenger,
            clock,
            entropy,
            stats: EngineStats::default(),
            sending: SendingSet::default(),
            watchers: Watchers::default(),
            answers: Answers::default(),
            connects: Arc::new(Semaphore::new(CONNECTS_MAX)),
            stop: watch::Sender::new(false),
            registry: Mutex::new(registry),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// Connects every linked device and resumes every queue. Returns when all of it has begun.
    ///
    /// # Errors
    /// [`Error::Store`] when what waits cannot be read; nothing has begun then.
    pub async fn start(&self) -> Result<()> {
        let devices = self.shared.store.all_devices().await?;
        let mut waiting: HashMap<DeviceId, Vec<OutboxEntry>> = HashMap::new();
        for entry in self.shared.store.outbox().await? {
            waiting.entry(entry.device_id).or_default().push(entry);
        }
        let early = {
            let mut registry = self.shared.registry();
            let Phase::New(early) = std::mem::replace(&mut registry.phase, Phase::Running) else {
                return Err(Error::Conflict("the engine was started before"));
            };
            for device in devices {
                let entries = waiting.remove(&device.id).unwrap_or_default();
                let has_to_run =
                    device.status.is_paired() || device.status == DeviceStatus::Pairing;
                if has_to_run || !entries.is_empty() {
                    let account = Some(device.account_id);
                    let task = self.shared.get_or_spawn(&mut registry, device.id, account);
                    task.arrivals.add(entries);
                }
            }
            early
        };
        self.shared.arrive(early);
        tokio::spawn(clean_up(self.shared.clone()));
        Ok(())
    }

    /// Hands nothing over any more, waits a little for acknowledgements, writes down what is left
    /// to write, and disconnects. Bounded; what is accepted meanwhile is sent after the next start.
    pub async fn shutdown(&self) {
        // The mailboxes stay so that acknowledgements still come through.
        let tasks: Vec<_> = {
            let mut registry = self.shared.registry();
            registry.phase = Phase::Stopped;
            self.shared.stop.send_replace(true);
            registry.devices.values_mut().filter_map(|handle| handle.task.take()).collect()
        };
        let ended = join_all(tasks).await;
        self.shared.registry().devices.clear();
        let crashed = ended.iter().filter(|end| end.is_err()).count();
        if crashed > 0 {
            tracing::error!(crashed, "tasks of devices have crashed");
        }
        self.shared.watchers.close_all();
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> &EngineStats {
        &self.shared.stats
    }

    /// Asks the task of a device, and waits for its answer. `None` when there is no such task.
    async fn ask<T>(
        &self,
        device: DeviceId,
        is_to_start: bool,
        input: impl Fn(Reply<T>) -> Input + Send,
    ) -> Result<Option<T>> {
        let ask = async {
            // Twice: the task may be retiring at this moment.
            for _ in 0..2 {
                let Some(mailbox) = self.mailbox(device, is_to_start)? else { return Ok(None) };
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

    fn mailbox(
        &self,
        device: DeviceId,
        is_to_start: bool,
    ) -> Result<Option<tokio::sync::mpsc::Sender<Input>>> {
        let mut registry = self.shared.registry();
        if is_to_start {
            match registry.phase {
                Phase::New(_) => return Err(Error::Conflict("the gateway is still starting")),
                Phase::Stopped => return Err(Error::Conflict("the gateway is stopping")),
                Phase::Running => {}
            }
            return Ok(Some(self.shared.get_or_spawn(&mut registry, device, None).mailbox.clone()));
        }
        Ok(registry.devices.get(&device).map(|handle| handle.mailbox.clone()))
    }
}

#[async_trait]
impl Dispatcher for Engine {
    fn accepted(&self, entries: Vec<OutboxEntry>) {
        self.shared.arrive(entries);
    }

    async fn cancel(&self, device: DeviceId, id: MessageId) -> Result<Cancellation> {
        let answer = self.ask(device, false, |reply| Input::Cancel(id, reply)).await?;
        Ok(answer.unwrap_or(Cancellation::TooLate))
    }

    fn is_sending(&self, _device: DeviceId, id: MessageId) -> bool {
        self.shared.sending.contains(id)
    }

    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<PairOffer> {
        let offer = self.ask(device, true, |reply| Input::Pair(method.clone(), reply)).await?;
        offer.ok_or(Error::NotFound("device"))
    }

    async fn logout(&self, device: DeviceId) -> Result<()> {
        self.ask(device, true, Input::Logout).await?.ok_or(Error::NotFound("device"))
    }

    async fn remove(&self, device: DeviceId) -> Result<()> {
        self.ask(device, false, Input::Remove).await?;
        self.shared.watchers.close(device);
        Ok(())
    }

    async fn reload(&self, device: DeviceId) {
        if let Err(error) = self.ask(device, false, Input::Reload).await {
            tracing::warn!(%device, %error, "changed settings have not been taken up yet");
        }
    }

    async fn is_on_whatsapp(&self, device: DeviceId, phone: &PhoneNumber) -> Result<bool> {
        let now = self.shared.clock.now();
        if let Some(found) = self.shared.answers.get(phone, now) {
            return Ok(found);
        }
        let asked = self.shared.messenger.is_on_whatsapp(device, phone);
        match within(LOOKUP_WAIT, asked).await {
            Some(Ok(found)) => {
                self.shared.answers.put(phone, found, now);
                Ok(found)
            }
            Some(Err(SendError::NotConnected)) => Err(Error::DeviceNotConnected("disconnected")),
            Some(Err(error)) => Err(Error::Whatsapp(error.to_string())),
            None => Err(Error::Whatsapp("no answer in time".into())),
        }
    }

    fn watch(&self, device: DeviceId) -> BoxStream<'static, DeviceNotice> {
        if matches!(self.shared.registry().phase, Phase::Stopped) {
            return futures_util::stream::empty().boxed();
        }
        self.shared.watchers.watch(device)
    }
}

#[async_trait]
impl MessengerEvents for Engine {
    async fn event(&self, device: DeviceId, event: MessengerEvent) {
        // Whatever is linked or being linked has a task; anything else is an echo from before.
        if let Ok(Some(mailbox)) = self.mailbox(device, false)
            && mailbox.send(Input::Event(event)).await.is_err()
        {
            tracing::debug!(%device, "an event came for a device that is stopped");
        }
    }

    async fn received(&self, device: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<()> {
        let now = self.shared.clock.now();
        // The seam for webhooks: `receive` will write the rows of `message.received` in the same
        // transaction, and what it returns will wake their sender.
        let new = self.shared.store.receive(device, messages, now).await?;
        let count = u64::try_from(new.len()).unwrap_or(u64::MAX);
        self.shared.stats.received.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}
