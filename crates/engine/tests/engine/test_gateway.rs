//! A whole engine in a test: the store in memory, the scripted messenger, and time that a paused
//! runtime moves.

use std::sync::{Arc, Weak};
use std::time::Duration;

use domain::content::Content;
use domain::device::{Device, DeviceStatus, LinkedNumber, PairMethod, StatusChange};
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::key::Secret;
use domain::message::{Message, MessageState};
use domain::phone::PhoneNumber;
use domain::policy::pacing::Pacing;
use domain::ports::{CallReplies, Clock, DeviceStore, Dispatcher, MessageStore, Store};
use domain::service::{Core, CoreParts, NewAccountRequest, Principal, SendRequest, SyncWait};
use engine::{Engine, EngineConfig};
use testkit::clock::TokioClock;
use testkit::entropy::SeededEntropy;
use testkit::fake_outbound::ReversingCipher;
use testkit::flaky_store::FlakyStore;
use testkit::memory_blobs::MemoryBlobs;
use testkit::memory_store::MemoryStore;
use testkit::no_files::NoFiles;
use testkit::scripted_messenger::ScriptedMessenger;

use crate::outside::Outside;

/// What outlives a restart.
pub struct TestGateway {
    pub store: Arc<FlakyStore>,
    pub clock: Arc<TokioClock>,
    pub messenger: Arc<ScriptedMessenger>,
    pub outside: Arc<Outside>,
    pub blobs: Arc<MemoryBlobs>,
    pub engine: Arc<Engine>,
    pub core: Arc<Core>,
    pub principal: Principal,
    pub account: AccountId,
    pacing: Pacing,
}

pub fn linked(phone: &str) -> LinkedNumber {
    LinkedNumber { phone: PhoneNumber::from_digits(phone), lid: None }
}

impl TestGateway {
    /// An account without devices; the engine has not started.
    pub async fn new() -> Self {
        Self::with_pacing(Pacing::off()).await
    }

    pub async fn with_pacing(pacing: Pacing) -> Self {
        let store = Arc::new(FlakyStore::before(Arc::new(MemoryStore::new())));
        let clock = Arc::new(TokioClock::default());
        let messenger = ScriptedMessenger::new();
        let outside = Arc::new(Outside::default());
        let blobs = Arc::new(MemoryBlobs::default());
        let (engine, core) = build(&store, &clock, &messenger, &outside, &blobs, &pacing);
        let (account, principal) = new_account(&core, "ani").await;
        Self { store, clock, messenger, outside, blobs, engine, core, principal, account, pacing }
    }

    /// Another account of the same gateway.
    pub async fn neighbour(&self, name: &str) -> Self {
        let (account, principal) = new_account(&self.core, name).await;
        Self {
            store: self.store.clone(),
            clock: self.clock.clone(),
            messenger: self.messenger.clone(),
            outside: self.outside.clone(),
            blobs: self.blobs.clone(),
            engine: self.engine.clone(),
            core: self.core.clone(),
            principal,
            account,
            pacing: self.pacing.clone(),
        }
    }

    /// A started engine with one connected device.
    pub async fn with_device() -> (Self, DeviceId) {
        let gateway = Self::new().await;
        let device = gateway.linked_device("62811").await;
        gateway.start().await;
        gateway.until_status(device, DeviceStatus::Connected).await;
        (gateway, device)
    }

    pub async fn start(&self) {
        self.messenger.deliver_to(self.engine.clone());
        self.engine.start().await.unwrap();
    }

    /// The same store under a new engine and a new messenger, both not started.
    pub async fn restart(&mut self) {
        self.engine.shutdown().await;
        self.messenger = ScriptedMessenger::new();
        let Self { store, clock, messenger, outside, blobs, pacing, .. } = &*self;
        let (engine, core) = build(store, clock, messenger, outside, blobs, pacing);
        self.engine = engine;
        self.core = core;
    }

    /// What a new process finds after the old one was killed at `now`.
    pub fn after_crash(&self, now: jiff::Timestamp) -> Self {
        let (store, outside, blobs) =
            (self.store.clone(), self.outside.clone(), self.blobs.clone());
        let clock = Arc::new(TokioClock::new(now));
        let messenger = ScriptedMessenger::new();
        let (engine, core) = build(&store, &clock, &messenger, &outside, &blobs, &self.pacing);
        let (principal, account, pacing) =
            (self.principal.clone(), self.account, self.pacing.clone());
        Self { store, clock, messenger, outside, blobs, engine, core, principal, account, pacing }
    }

    pub async fn device(&self) -> DeviceId {
        self.core.create_device(&self.principal, "phone").await.unwrap().0.id
    }

    /// A device that was linked when the gateway last ran.
    pub async fn linked_device(&self, phone: &str) -> DeviceId {
        let id = self.device().await;
        let (status, linked) = (DeviceStatus::Disconnected, Some(linked(phone)));
        let change = StatusChange { linked, ..StatusChange::new(status, self.clock.now()) };
        self.store.set_device_status(id, &change).await.unwrap();
        id
    }

    pub async fn send(&self, device: DeviceId, to: &str, text: &str) -> Message {
        let request = SendRequest {
            to: to.into(),
            content: Content::Text(text.into()),
            ..Default::default()
        };
        self.request(device, request).await
    }

    pub async fn request(&self, device: DeviceId, request: SendRequest) -> Message {
        let request = SendRequest { device: Some(device.into()), ..request };
        self.core.send(&self.principal, vec![request], None).await.unwrap().messages.remove(0)
    }

    pub async fn stored(&self, id: MessageId) -> Message {
        self.store.message(self.account, id).await.unwrap().unwrap()
    }

    pub async fn stored_device(&self, id: DeviceId) -> Device {
        Arc::unwrap_or_clone(self.store.device(self.account, id).await.unwrap().unwrap())
    }

    /// Waits until the store says so.
    pub async fn until_state(&self, id: MessageId, state: MessageState) -> Message {
        self.until(async || {
            let message = self.stored(id).await;
            (message.state == state).then_some(message)
        })
        .await
    }

    /// Waits until that many attempts at a message have failed.
    pub async fn until_attempts(&self, id: MessageId, attempts: u32) -> Message {
        self.until(async || {
            let message = self.stored(id).await;
            (message.attempts == attempts).then_some(message)
        })
        .await
    }

    pub async fn until_status(&self, id: DeviceId, status: DeviceStatus) -> Device {
        self.until(async || {
            let device = self.stored_device(id).await;
            (device.status == status).then_some(device)
        })
        .await
    }

    /// Looks after every write of the store.
    pub async fn until<T>(&self, look: impl AsyncFn() -> Option<T>) -> T {
        let mut writes = self.store.writes();
        let wait = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                writes.changed().await.unwrap();
            }
        };
        let limit = Duration::from_secs(2 * 86_400);
        tokio::time::timeout(limit, wait).await.expect("it happens within two days")
    }

    /// Begins to link a device and lets the phone scan.
    pub async fn link(&self, device: DeviceId, phone: &str) {
        self.engine.pair(device, PairMethod::Qr).await.unwrap();
        self.messenger.phone_links(device, linked(phone));
        self.until_status(device, DeviceStatus::Connected).await;
    }

    /// The texts that were submitted, in order.
    pub fn texts(&self) -> Vec<String> {
        self.messenger
            .sent()
            .into_iter()
            .map(|(_, message)| match message.content {
                Content::Text(text) | Content::Edit(text) => text.to_string(),
                Content::Revoke => String::new(),
                Content::File(file) => file.caption,
                Content::Location(place) => place.name.unwrap_or_default(),
                Content::Poll(poll) => poll.question,
                Content::Reaction(emoji) => emoji,
                Content::Contacts(_) => String::new(),
                Content::Structured(structured) => structured.text().to_owned(),
                Content::Unsupported(unsupported) => unsupported.text,
            })
            .collect()
    }
}

const OPERATOR_KEY: &str = "operator";

async fn new_account(core: &Core, name: &str) -> (AccountId, Principal) {
    let operator = core.authenticate(OPERATOR_KEY).await.unwrap();
    let request = NewAccountRequest {
        name: name.into(),
        email: format!("{name}@example.com"),
        plan: Some("unlimited".into()),
        ..Default::default()
    };
    let (account, key) = core.create_account(&operator, request).await.unwrap();
    (account.id, core.authenticate(key.reveal()).await.unwrap())
}

fn build(
    store: &Arc<FlakyStore>,
    clock: &Arc<TokioClock>,
    messenger: &Arc<ScriptedMessenger>,
    outside: &Arc<Outside>,
    blobs: &Arc<MemoryBlobs>,
    pacing: &Pacing,
) -> (Arc<Engine>, Arc<Core>) {
    let entropy = Arc::new(SeededEntropy::new(clock.now().as_microsecond() as u64));
    let store: Arc<dyn Store> = store.clone();
    let config = EngineConfig { default_pacing: pacing.clone(), ..EngineConfig::default() };
    let parts = engine::EngineParts {
        store: store.clone(),
        messenger: messenger.clone(),
        outbound: outside.clone(),
        codec: outside.clone(),
        blobs: blobs.clone(),
        archive: None,
        sealer: Arc::new(ReversingCipher),
        formats: outside.formats.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let engine = Engine::new(config, parts);
    let core = Core::new(CoreParts {
        store,
        dispatcher: engine.clone(),
        outbound: outside.clone(),
        formats: outside.formats.clone(),
        sealer: Arc::new(ReversingCipher),
        blobs: blobs.clone(),
        links: Arc::new(NoFiles),
        clock: clock.clone(),
        entropy,
        operator: Secret::new(OPERATOR_KEY).hash(),
        console: None,
        sync_wait: SyncWait::default(),
    });
    let core = Arc::new(core);
    let replies: Weak<dyn CallReplies> = Arc::downgrade(&(core.clone() as Arc<dyn CallReplies>));
    engine.set_call_replies(replies);
    (engine, core)
}
