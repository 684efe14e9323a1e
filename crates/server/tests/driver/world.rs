//! A simulated WhatsApp, a driver, and a recorder in the engine's place.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::content::{ContentKind, OutgoingContent, OutgoingFile};
use domain::context::Context;
use domain::device::{LinkedNumber, PairMethod, PairOffer};
use domain::error::StoreError;
use domain::ids::{DeviceId, WhatsappId};
use domain::media::ReadyMedia;
use domain::message::{IncomingMessage, Receipt};
use domain::phone::PhoneNumber;
use domain::ports::{
    Messenger, MessengerEvent, MessengerEvents, OutgoingMessage, ProtocolStore, SendError,
    StoreResult,
};
use serde_json::{Value, json};
use simulator::{Simulator, SimulatorConfig};
use tempfile::TempDir;
use testkit::memory_store::MemoryStore;
use tokio::net::TcpListener;
use tokio::sync::{Notify, RwLock, RwLockWriteGuard};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use whatsapp::{Config, Version, WhatsappMessenger};

/// Longest wait for anything; generous, since the machine may be busy.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// Two phones: the gateway's and a customer's.
pub const OURS: &str = "628110000001";
pub const THEIRS: &str = "628220000002";

/// A simulator on a port, which can be closed and opened again.
pub struct Sim {
    data: TempDir,
    simulator: Simulator,
    server: JoinHandle<()>,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Sim {
    pub async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (simulator, server) = serve(&data, listener).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { data, simulator, server, address, http }
    }

    /// Closes everything, so that the address does not answer.
    pub async fn close(&mut self) {
        self.simulator.shutdown().await;
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    /// Opens it again at the same address, over the same data.
    pub async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        (self.simulator, self.server) = serve(&self.data, listener).await;
    }

    pub fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().unwrap();
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The status with which a request is refused.
    pub async fn refused(&self, method: &str, path: &str, body: Value) -> u16 {
        let method = method.parse().unwrap();
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        answer.status().as_u16()
    }

    pub async fn put_phone(&self, number: &str, patch: Value) {
        self.call("PUT", &format!("/phones/{number}"), patch).await;
    }

    pub async fn phone(&self, number: &str) -> Value {
        self.call("GET", &format!("/phones/{number}"), json!({})).await
    }

    /// Waits until a phone is as wanted.
    pub async fn until_phone(
        &self,
        number: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let phone = self.phone(number).await;
            if is_so(&phone) {
                return phone;
            }
            assert!(Instant::now() < deadline, "not so that it {what}: {phone}");
        }
    }

    /// Waits until a message that a phone has sent is in this state.
    pub async fn until_sent(&self, number: &str, id: &WhatsappId, state: &str) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let path = format!("/phones/{number}/timeline");
            let timeline = self.call("GET", &path, json!({})).await;
            let mut messages = timeline.as_array().unwrap().iter();
            if messages.any(|one| one["id"] == id.as_str() && one["state"] == state) {
                return;
            }
            assert!(Instant::now() < deadline, "{id} is not {state}: {timeline}");
        }
    }

    pub async fn scan(&self, number: &str, qr: &str) -> Value {
        self.call("POST", &format!("/phones/{number}/scan"), json!({ "qr": qr })).await
    }

    pub async fn write(&self, from: &str, to: &str, text: &str) -> WhatsappId {
        self.phone_sends(from, json!({ "to": to, "text": text })).await
    }

    /// Lets a phone send what a body says; its id.
    pub async fn phone_sends(&self, from: &str, body: Value) -> WhatsappId {
        let sent = self.call("POST", &format!("/phones/{from}/send"), body).await;
        WhatsappId(sent["id"].as_str().unwrap().to_owned())
    }

    /// Makes a group; its id.
    pub async fn group(&self, subject: &str, participants: &[&str], by_lid: bool) -> String {
        let group = json!({ "subject": subject, "participants": participants, "by_lid": by_lid });
        let group = self.call("POST", "/groups", group).await;
        group["id"].as_str().unwrap().to_owned()
    }

    /// The LID of a number.
    pub async fn lid(&self, number: &str) -> Lid {
        let phone = self.call("GET", &format!("/phones/{number}"), json!({})).await;
        Lid::from_jid(phone["lid"].as_str().unwrap())
    }

    /// Sends a file from a phone.
    pub async fn write_file(&self, from: &str, to: &str, media: Value) -> WhatsappId {
        self.write_content(from, to, "media", media).await
    }

    /// Lets a phone send a content of its own field; its id.
    pub async fn write_content(
        &self,
        from: &str,
        to: &str,
        field: &str,
        content: Value,
    ) -> WhatsappId {
        self.phone_sends(from, json!({ "to": to, field: content })).await
    }

    pub async fn faults(&self, faults: Value) {
        self.call("PUT", "/faults", faults).await;
    }

    pub async fn inbox(&self, number: &str) -> Vec<Value> {
        let inbox = self.call("GET", &format!("/phones/{number}/inbox"), json!({})).await;
        inbox.as_array().unwrap().clone()
    }

    /// Waits until clients have acknowledged all mail that was sent to them.
    pub async fn all_acknowledged(&self) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let stats = self.call("GET", "/stats", json!({})).await;
            if stats["stored"]["mail"] == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "not acknowledged: {stats}");
        }
    }

    /// One of its counters.
    pub async fn counter(&self, name: &str) -> u64 {
        let stats = self.call("GET", "/stats", json!({})).await;
        stats["counters"][name].as_u64().unwrap()
    }

    /// A phone loses its Signal sessions and the sender keys of others.
    pub async fn forget_sessions(&self, number: &str) {
        self.call("DELETE", &format!("/phones/{number}/sessions"), json!({})).await;
    }

    /// A number joins a group.
    pub async fn join(&self, group: &str, number: &str) {
        self.call("PUT", &format!("/groups/{group}/members/{number}"), json!({})).await;
    }

    /// Waits until a message is in a phone's inbox.
    pub async fn arrived(&self, number: &str, id: &WhatsappId) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let inbox = self.inbox(number).await;
            if let Some(mail) = inbox.into_iter().find(|mail| mail["id"] == id.as_str()) {
                return mail;
            }
            assert!(Instant::now() < deadline, "{id} has not arrived at {number}");
        }
    }

    /// The one message with an id in a phone's inbox.
    pub async fn mail(&self, number: &str, id: &WhatsappId) -> Value {
        let mut found: Vec<Value> = self.inbox(number).await;
        found.retain(|mail| mail["id"] == id.as_str());
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

async fn serve(data: &TempDir, listener: TcpListener) -> (Simulator, JoinHandle<()>) {
    let mut config = SimulatorConfig::new(data.path());
    config.read_delay = Duration::from_millis(50);
    let simulator = Simulator::open(config).await.unwrap();
    let router = simulator.router();
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (simulator, server)
}

/// Takes what the engine would take.
#[derive(Default)]
pub struct Recorder {
    heard: Mutex<Vec<(DeviceId, MessengerEvent)>>,
    received: Mutex<Vec<IncomingMessage>>,
    /// What the phone has given of old, and how often.
    old: Mutex<Vec<IncomingMessage>>,
    chat_timers: Mutex<Vec<(ChatId, u32)>>,
    identified: Mutex<Vec<Identity>>,
    /// The second spellings of numbers that devices have learnt.
    pub spelled: Mutex<Vec<(DeviceId, Spelling)>>,
    known: Mutex<HashSet<ChatId>>,
    /// Messages that a crash has kept from being stored.
    lost: Mutex<HashSet<WhatsappId>>,
    /// The devices that have begun to report chats from before.
    reporting: Mutex<HashSet<DeviceId>>,
    /// Taking its write lock delays the answers to these reports.
    reports: RwLock<()>,
    refusals_left: AtomicU32,
    refused: AtomicU32,
    receipt_refusals_left: AtomicU32,
    /// Taking its write lock delays the answers to receipts.
    receipts: RwLock<()>,
    changed: Notify,
}

/// Counts a refusal, while there is one left.
fn refuse(left: &AtomicU32) -> bool {
    let less = |left: u32| left.checked_sub(1);
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
}

#[async_trait]
impl MessengerEvents for Recorder {
    async fn event(&self, device: DeviceId, event: MessengerEvent) -> StoreResult<()> {
        let is_receipt = matches!(event, MessengerEvent::Receipt(..));
        self.heard.lock().unwrap().push((device, event));
        self.changed.notify_waiters();
        if !is_receipt {
            return Ok(());
        }
        let _turn = self.receipts.read().await;
        match refuse(&self.receipt_refusals_left) {
            true => Err(StoreError::Unavailable("scripted".to_owned())),
            false => Ok(()),
        }
    }

    async fn received(&self, _: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<()> {
        if refuse(&self.refusals_left) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("scripted".to_owned()));
        }
        self.received.lock().unwrap().extend(messages);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn is_stored(&self, _: DeviceId, id: &WhatsappId) -> StoreResult<bool> {
        Ok(!self.lost.lock().unwrap().contains(id))
    }

    async fn identified(&self, _: DeviceId, identities: Vec<Identity>) -> StoreResult<()> {
        self.identified.lock().unwrap().extend(identities);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn spelled(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()> {
        self.spelled.lock().unwrap().push((device, spelling));
        Ok(())
    }

    async fn history(&self, _: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<u64> {
        let count = u64::try_from(messages.len()).unwrap();
        self.old.lock().unwrap().extend(messages);
        self.changed.notify_waiters();
        Ok(count)
    }

    async fn chat_timer(&self, _: DeviceId, chat: &ChatId, seconds: u32) -> StoreResult<bool> {
        self.chat_timers.lock().unwrap().push((chat.clone(), seconds));
        self.changed.notify_waiters();
        Ok(true)
    }

    async fn chats_known(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()> {
        self.reporting.lock().unwrap().insert(device);
        self.changed.notify_waiters();
        let _turn = self.reports.read().await;
        self.known.lock().unwrap().extend(chats);
        self.changed.notify_waiters();
        Ok(())
    }
}

impl Recorder {
    /// Waits for `find` to find something; what was heard, else.
    async fn until<T>(&self, what: &str, mut find: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = find(self) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if timeout(left, changed).await.is_err() {
                panic!("no {what}; heard {:?}", self.heard.lock().unwrap());
            }
        }
    }

    /// Waits for an event of a device and takes out everything of that device up to it.
    pub async fn event<T>(
        &self,
        device: DeviceId,
        what: &str,
        read: impl Fn(&MessengerEvent) -> Option<T>,
    ) -> T {
        let find = |recorder: &Self| {
            let mut heard = recorder.heard.lock().unwrap();
            let (at, found) = heard.iter().enumerate().find_map(|(at, (of, event))| {
                let found = (*of == device).then(|| read(event)).flatten()?;
                Some((at, found))
            })?;
            let later = heard.split_off(at + 1);
            heard.retain(|(of, _)| *of != device);
            heard.extend(later);
            Some(found)
        };
        self.until(what, find).await
    }

    /// What the phone has given of old.
    pub fn old(&self) -> Vec<IncomingMessage> {
        self.old.lock().unwrap().clone()
    }

    /// Waits until so many messages of old have come.
    pub async fn until_old(&self, count: usize) -> Vec<IncomingMessage> {
        let find = |recorder: &Self| Some(recorder.old()).filter(|old| old.len() >= count);
        self.until("older messages", find).await
    }

    /// Waits until a chat's timer is reported.
    pub async fn chat_timer_of(&self, chat: &ChatId, seconds: u32) {
        let timer = (chat.clone(), seconds);
        let find =
            |recorder: &Self| recorder.chat_timers.lock().unwrap().contains(&timer).then_some(());
        self.until("timer of the chat", find).await;
    }

    /// From now on it is as if a message had never come.
    pub fn lose(&self, id: &WhatsappId) {
        self.lost.lock().unwrap().insert(id.clone());
        self.received.lock().unwrap().retain(|message| message.whatsapp_id != *id);
    }

    /// Waits until a message has come in.
    pub async fn message(&self, id: &WhatsappId) -> IncomingMessage {
        let find = |recorder: &Self| {
            let received = recorder.received.lock().unwrap();
            received.iter().find(|message| message.whatsapp_id == *id).cloned()
        };
        self.until("message", find).await
    }

    /// Waits until a message has come in as wanted.
    pub async fn message_that(
        &self,
        id: &WhatsappId,
        is_it: impl Fn(&IncomingMessage) -> bool,
    ) -> IncomingMessage {
        let find = |recorder: &Self| {
            let received = recorder.received.lock().unwrap();
            received.iter().find(|message| message.whatsapp_id == *id && is_it(message)).cloned()
        };
        self.until("message as wanted", find).await
    }

    /// As what a message came, in order; what comes as the same again is skipped by the store.
    pub fn kinds_received(&self, id: &WhatsappId) -> Vec<ContentKind> {
        let received = self.received.lock().unwrap();
        let of_it = received.iter().filter(|message| message.whatsapp_id == *id);
        let mut kinds: Vec<_> = of_it.map(|message| message.content.kind()).collect();
        kinds.dedup();
        kinds
    }

    /// Waits until a number and a LID are known to be one person's.
    pub async fn identity(&self, phone: &str, lid: &Lid) {
        let wanted = Identity { phone: PhoneNumber::from_digits(phone), lid: lid.clone() };
        let find =
            |recorder: &Self| recorder.identified.lock().unwrap().contains(&wanted).then_some(());
        self.until("identity", find).await;
    }

    /// Waits until these chats are known from before.
    pub async fn known(&self, chats: &[ChatId]) {
        let find = |recorder: &Self| {
            let known = recorder.known.lock().unwrap();
            chats.iter().all(|chat| known.contains(chat)).then_some(())
        };
        self.until("known chats", find).await;
    }

    /// Leaves reports of chats from before without an answer until what it returns is dropped.
    pub async fn hold_reports(&self) -> RwLockWriteGuard<'_, ()> {
        self.reports.write().await
    }

    /// Waits until so many devices have begun to report chats from before.
    pub async fn until_reporting(&self, count: usize) {
        let find =
            |recorder: &Self| (recorder.reporting.lock().unwrap().len() >= count).then_some(());
        self.until("reports of known chats", find).await;
    }

    /// How often a message was stored.
    pub fn times_received(&self, id: &WhatsappId) -> usize {
        let received = self.received.lock().unwrap();
        received.iter().filter(|message| message.whatsapp_id == *id).count()
    }

    /// Refuses what comes in, so many times.
    pub fn refuse(&self, times: u32) {
        self.refusals_left.store(times, Ordering::SeqCst);
    }

    /// Refuses receipts, so many times.
    pub fn refuse_receipts(&self, times: u32) {
        self.receipt_refusals_left.store(times, Ordering::SeqCst);
    }

    /// Leaves receipts without an answer until what it returns is dropped.
    pub async fn hold_receipts(&self) -> RwLockWriteGuard<'_, ()> {
        self.receipts.write().await
    }

    /// Waits for a receipt for a message.
    pub async fn receipt(&self, device: DeviceId, id: &WhatsappId, expected: Receipt) {
        let read = |event: &MessengerEvent| match event {
            MessengerEvent::Receipt(ids, receipt, _)
                if ids.contains(id) && *receipt == expected =>
            {
                Some(())
            }
            _ => None,
        };
        self.event(device, &format!("{expected:?}"), read).await;
    }

    /// How often it refused.
    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }

    /// What was heard of a device since it was last waited for.
    pub fn heard(&self, device: DeviceId) -> Vec<MessengerEvent> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(of, _)| *of == device).map(|(_, event)| event.clone()).collect()
    }
}

/// Everything together.
pub struct World {
    pub sim: Sim,
    pub sessions: Arc<dyn ProtocolStore>,
    pub recorder: Arc<Recorder>,
    pub messenger: WhatsappMessenger,
}

impl World {
    pub async fn new() -> Self {
        Self::over(Arc::new(MemoryStore::for_protocol())).await
    }

    pub async fn over(sessions: Arc<dyn ProtocolStore>) -> Self {
        let sim = Sim::start().await;
        let recorder = Arc::new(Recorder::default());
        let messenger = messenger(&sim, &sessions, &recorder, None);
        Self { sim, sessions, recorder, messenger }
    }

    /// Puts a new driver over the same sessions in the place of the old one, as after a restart.
    pub async fn restart(&mut self) {
        self.messenger.shutdown().await;
        self.messenger = messenger(&self.sim, &self.sessions, &self.recorder, None);
    }

    /// Puts a new driver in the place of the old one that connects through another address.
    pub async fn go_through(&mut self, address: SocketAddr) {
        self.messenger.shutdown().await;
        let url = format!("ws://{address}/ws/chat");
        self.messenger = messenger_at(url, &self.sessions, &self.recorder, None);
    }

    /// The simulator's address.
    pub fn address(&self) -> SocketAddr {
        self.sim.address
    }

    /// Puts a new driver in the place of the old one that announces this version.
    pub async fn set_version(&mut self, version: Version) {
        self.messenger.shutdown().await;
        self.messenger = messenger(&self.sim, &self.sessions, &self.recorder, Some(version));
    }

    /// Links a number by QR and waits until it is ready to send.
    pub async fn link(&self, number: &str) -> DeviceId {
        let device = self.begin_link(number).await;
        self.connected(device).await;
        device
    }

    /// Links a number by QR, and does not wait for its first connection.
    pub async fn begin_link(&self, number: &str) -> DeviceId {
        if is_migrated() {
            self.sim.put_phone(number, json!({ "migrated": true })).await;
        }
        let device = new_device();
        self.messenger.pair(device, PairMethod::Qr).await.unwrap();
        let qr = self.qr(device).await;
        self.sim.scan(number, &qr).await;
        self.paired(device).await;
        device
    }

    pub async fn qr(&self, device: DeviceId) -> String {
        let read = |event: &MessengerEvent| match event {
            MessengerEvent::Offer(PairOffer::Qr { code, .. }) => Some(code.clone()),
            _ => None,
        };
        self.recorder.event(device, "QR", read).await
    }

    pub async fn paired(&self, device: DeviceId) -> LinkedNumber {
        let read = |event: &MessengerEvent| match event {
            MessengerEvent::Paired(linked) => Some(linked.clone()),
            _ => None,
        };
        self.recorder.event(device, "Paired", read).await
    }

    pub async fn connected(&self, device: DeviceId) {
        self.heard(device, MessengerEvent::Connected).await;
    }

    /// Waits for exactly this event.
    pub async fn heard(&self, device: DeviceId, expected: MessengerEvent) {
        let what = format!("{expected:?}");
        self.recorder.event(device, &what, |event| (*event == expected).then_some(())).await;
    }

    /// Hands a text over.
    pub async fn send(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        text: &str,
    ) -> WhatsappId {
        let id = new_id();
        self.try_send(device, chat, &id, text).await.unwrap();
        id
    }

    pub async fn try_send(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        id: &WhatsappId,
        text: &str,
    ) -> Result<(), SendError> {
        self.try_send_content(device, chat, id, OutgoingContent::Text(text.into())).await
    }

    /// Hands a file over.
    pub async fn send_file(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        file: ReadyMedia,
        caption: &str,
    ) -> WhatsappId {
        let id = new_id();
        let content = OutgoingContent::File(OutgoingFile {
            media: file,
            caption: caption.to_owned(),
            is_view_once: false,
            is_gif: false,
        });
        self.try_send_content(device, chat, &id, content).await.unwrap();
        id
    }

    pub async fn try_send_content(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        id: &WhatsappId,
        content: OutgoingContent,
    ) -> Result<(), SendError> {
        self.try_send_message(device, chat, id, content, Context::default()).await
    }

    pub async fn try_send_message(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        id: &WhatsappId,
        content: OutgoingContent,
        context: Context,
    ) -> Result<(), SendError> {
        let chat = chat.to_string().into();
        let (whatsapp_id, preview) = (id.clone(), None);
        let expires_at = None;
        let message = OutgoingMessage { chat, whatsapp_id, content, context, preview, expires_at };
        self.messenger.send(device, message).await
    }

    /// Sends a message and waits for its acknowledgement; how it is in the inbox of `reader`.
    pub async fn send_and_read(
        &self,
        device: DeviceId,
        chat: &(impl ToString + ?Sized),
        content: OutgoingContent,
        context: Context,
        reader: &str,
    ) -> Value {
        let id = new_id();
        self.try_send_message(device, chat, &id, content, context).await.unwrap();
        self.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        self.sim.mail(reader, &id).await
    }

    /// Whether anything of a device's session is stored.
    pub async fn has_session(&self, device: DeviceId) -> bool {
        !self.sessions.protocol_scan(device, "device", "").await.unwrap().is_empty()
    }
}

fn messenger(
    sim: &Sim,
    sessions: &Arc<dyn ProtocolStore>,
    recorder: &Arc<Recorder>,
    version: Option<Version>,
) -> WhatsappMessenger {
    messenger_at(sim.url(), sessions, recorder, version)
}

fn messenger_at(
    url: String,
    sessions: &Arc<dyn ProtocolStore>,
    recorder: &Arc<Recorder>,
    version: Option<Version>,
) -> WhatsappMessenger {
    let url = Some(url);
    let config = Config {
        url,
        version,
        prekey_count: Some(20),
        allowed_private_nets: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::default()
    };
    let messenger = WhatsappMessenger::new(config, sessions.clone()).unwrap();
    messenger.set_events(recorder.clone());
    messenger
}

/// Whether the accounts of this run address people by LID: every test runs with both.
pub fn is_migrated() -> bool {
    std::env::var_os("GERBANG_TEST_MIGRATED").is_some()
}

pub fn new_device() -> DeviceId {
    DeviceId(Uuid::new_v4())
}

pub fn new_id() -> WhatsappId {
    let bytes = Uuid::new_v4().into_bytes();
    WhatsappId::from_random(*bytes.first_chunk().unwrap())
}

pub fn chat(number: &str) -> ChatId {
    ChatId::Person(PhoneNumber::from_digits(number))
}
