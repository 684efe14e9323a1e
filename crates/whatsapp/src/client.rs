//! One client of the protocol library, built over one device's stored state.

use std::sync::Arc;
use std::time::Duration;

use domain::client::ClientSettings;
use domain::ids::DeviceId;
use domain::ports::{ProtocolStore, StoreResult};
use outbound::ProxyConnector;
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use wacore::runtime::Runtime;
use wacore::store::DeviceCommand;
use wacore::types::events::{Event, EventHandler, EventInterest};
use wacore_binary::OwnedNodeRef;
use waproto::whatsapp::history_sync::HistorySyncType;
use whatsapp_rust::futures::channel::oneshot;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::{
    CacheConfig, CacheEntryConfig, Client, MsgSecretPolicy, NodeFilter, TokioRuntime,
};

use crate::awaited::{Awaited, AwaitedStore};
use crate::config::{Config, ConfigError, Endpoint, Version};
use crate::connection::Online;
use crate::disconnect::Ending;
use crate::download::FilesOnTheirWay;
use crate::events::{self, Me, Signal};
use crate::history::{History, TurnedHttpClient};
use crate::http_client::GuardedHttpClient;
use crate::identities::{Events, IdentityReporter};
use crate::inbound::Hook;
use crate::limits::{
    CLOSE_MAX, EVENTS_MAX, HISTORIES_MAX, LOGINS_MAX, RESENDS_MAX, RESENDS_PER_MINUTE, SENT_FOR,
    UPLOADS_MAX,
};
use crate::link::Link;
use crate::missed::Missed;
use crate::network::Network;
use crate::outage::Outage;
use crate::receipts::SendBarrier;
use crate::registrations::Registrations;
use crate::rotation::{Rotation, StoppableRuntime};
use crate::sockets::Sockets;
use crate::stanzas::SentStanzas;
use crate::storage::DeviceState;
use crate::timers::TimerStore;
use crate::version::Versions;
use crate::wire::{Attempt, WatchedFactory};

/// How often a changed device record is written when nothing asks for it sooner.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// What all devices share.
pub(crate) struct ClientContext {
    pub(crate) config: Config,
    pub(crate) sessions: Arc<dyn ProtocolStore>,
    pub(crate) events: Events,
    pub(crate) logins: Arc<Semaphore>,
    pub(crate) uploads: Arc<Semaphore>,
    histories: Arc<Semaphore>,
    pub(crate) files: Arc<FilesOnTheirWay>,
    pub(crate) versions: Versions,
    pub(crate) registrations: Registrations,
    pub(crate) endpoint: Endpoint,
    pub(crate) proxies: ProxyConnector,
    pub(crate) direct: Network,
}

impl ClientContext {
    /// Checks the configuration and makes what the devices will share.
    pub(crate) fn new(
        config: Config,
        sessions: Arc<dyn ProtocolStore>,
    ) -> Result<Self, ConfigError> {
        let endpoint = Endpoint::from_config(&config)?;
        let http = Arc::new(GuardedHttpClient::new(&endpoint)?);
        let sockets = Sockets::new(endpoint.url.as_str());
        let versions = Versions::new(config.version, endpoint.versions.clone());
        Ok(Self {
            proxies: ProxyConnector::new(config.allowed_private_nets.clone()),
            direct: Network { http, sockets },
            endpoint,
            config,
            sessions,
            events: Events::default(),
            logins: Arc::new(Semaphore::new(LOGINS_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            histories: Arc::new(Semaphore::new(HISTORIES_MAX)),
            files: Arc::default(),
            versions,
            registrations: Registrations::default(),
        })
    }

    /// Erases a device's session; what was waited for will not come any more.
    pub(crate) async fn erase(&self, device: DeviceId, awaited: &Awaited) -> StoreResult<()> {
        let store = AwaitedStore { store: &self.sessions, device };
        awaited.load(&store).await?;
        if let Some(events) = self.events.get() {
            awaited.report(&store, &**events, true).await?;
        }
        self.sessions.protocol_clear(device).await
    }
}

/// A client that is built but not yet connected, and the receivers of its events.
pub(crate) struct Session {
    pub(crate) client: Arc<Client>,
    pub(crate) sink: Arc<Sink>,
    pub(crate) signals: mpsc::Receiver<Signal>,
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) barrier: Arc<SendBarrier>,
    pub(crate) version: Version,
    /// How it asks for files and versions.
    pub(crate) http: Arc<GuardedHttpClient>,
    pub(crate) broken: watch::Receiver<bool>,
    pub(crate) unsettled: watch::Receiver<bool>,
    device: DeviceId,
    state: Arc<DeviceState>,
    /// Resolves with the next `stream:error`: the library emits no event for some of them.
    pub(crate) stream_error: oneshot::Receiver<Arc<OwnedNodeRef>>,
}

impl Session {
    /// Builds a client over the stored state of `device`, or over a fresh one.
    pub(crate) async fn open(
        shared: &Arc<ClientContext>,
        device: DeviceId,
        settings: &ClientSettings,
        shows_qr: bool,
        outage: Outage,
        online: &Online,
    ) -> anyhow::Result<Self> {
        let network = shared.network(&settings.route)?;
        let sessions = shared.sessions.clone();
        let (stanzas, timers) = (online.stanzas.clone(), online.timers.clone());
        timers.load(&TimerStore { store: &sessions, device }).await?;
        let reporter = IdentityReporter {
            events: shared.events.clone(),
            device,
            identities: online.identities.clone(),
        };
        let attempt = Arc::new(Attempt::default());
        let barrier = Arc::new(SendBarrier::new());
        let (sink, signals) = Sink::new(device, shows_qr, barrier.clone(), stanzas.clone());
        let awaited = online.awaited.clone();
        awaited.load(&AwaitedStore { store: &shared.sessions, device }).await?;
        let missed =
            Missed { events: shared.events.clone(), awaited: awaited.clone(), sink: sink.clone() };
        let (outages, known) = (outage.clone(), reporter.clone());
        let state = DeviceState::new(sessions, device, outages, stanzas, known, missed);
        let state = Arc::new(state);
        let (broken, unsettled) = (state.broken(), state.unsettled());
        let version = shared.versions.current(&network.http).await;
        let hook = Hook {
            shared: shared.clone(),
            device,
            sink: sink.clone(),
            outage,
            timers,
            awaited,
            addressing: online.addressing.clone(),
            reporter,
        };
        let http = TurnedHttpClient {
            http: network.http.clone(),
            turns: shared.histories.clone(),
            turn: online.history_turn.clone(),
            files: shared.files.clone(),
        };
        let record = Arc::new(PersistenceManager::new(state.clone()).await?);
        let (props, profile) = shared.appearance(&settings.shown_as);
        record.process_command(DeviceCommand::SetDeviceProps(props)).await;
        record.process_command(DeviceCommand::SetClientProfile(profile)).await;

        let sockets = Arc::new(network.sockets);
        let leases = shared.config.leases.clone();
        let line = online.line.clone();
        let sockets =
            WatchedFactory::new(sockets, line, attempt.clone(), barrier.clone(), leases, device);
        let sockets = sockets.storing(Link::new(record.clone(), state.clone()));

        let is_linked = record.get_device_snapshot().pn.is_some();
        let runtime: Arc<dyn Runtime> =
            if is_linked { Arc::new(TokioRuntime) } else { Arc::new(StoppableRuntime) };
        let mut builder = Client::builder()
            .with_runtime_arc(runtime)
            .with_persistence_manager(record)
            .with_transport_factory(sockets)
            .with_http_client(http)
            .with_version_override((version.0, version.1, version.2))
            .with_cache_config(small_caches())
            .with_background_saver_interval(SAVE_EVERY)
            .with_resend_rate_limit(RESENDS_MAX, RESENDS_PER_MINUTE)
            .with_inbound_durability_hook(hook);
        if let Some(count) = shared.config.prekey_count {
            builder = builder.with_wanted_pre_key_count(count);
        }
        let client = builder.build().await?.into_client();
        // `pairing` decides when to connect again.
        client.enable_auto_reconnect.store(false, std::sync::atomic::Ordering::Relaxed);
        // Senders see two ticks although we are not "online", which would keep the owner's phone
        // from showing notifications.
        client.set_force_active_delivery_receipts(true);
        client.subscribe_handler(sink.clone()).detach();
        sink.learn_names(&client);
        let stream_error = client.wait_for_node(NodeFilter::tag("stream:error"));
        Ok(Self {
            client,
            sink,
            signals,
            attempt,
            barrier,
            version,
            http: network.http,
            broken,
            unsettled,
            device,
            state,
            stream_error,
        })
    }

    /// Whether the stored state is that of a linked number.
    pub(crate) fn is_linked(&self) -> bool {
        self.client.pn().is_some()
    }

    /// Gives the number a name, if it has none: without one the library waits for the app state, which
    /// has it, before it is ready.
    pub(crate) async fn ensure_name(&self) {
        let record = self.client.persistence_manager();
        let known = record.get_device_snapshot();
        if let (true, Some(pn)) = (known.push_name.is_empty(), &known.pn) {
            record.process_command(DeviceCommand::SetPushName(pn.user.to_string())).await;
        }
    }

    /// Closes it for good after its last writes; it writes nothing after this returns.
    pub(crate) async fn close(&self) {
        if timeout(CLOSE_MAX, self.client.disconnect()).await.is_err() {
            tracing::warn!(device = %self.device, "a client took long to close");
            self.client.signal_shutdown_sync();
        }
        self.state.seal();
    }

    /// Listens for the next `stream:error`.
    pub(crate) fn rearm(&mut self) {
        self.stream_error = self.client.wait_for_node(NodeFilter::tag("stream:error"));
    }
}

/// Small caches, for a gateway of many devices: what they drop is read from the store again.
fn small_caches() -> CacheConfig {
    let hour = Some(Duration::from_secs(3_600));
    CacheConfig {
        group_cache: CacheEntryConfig::new(hour, 50),
        device_registry_cache: CacheEntryConfig::new(hour, 1_100),
        sender_key_devices_cache: CacheEntryConfig::new(hour, 50),
        // Needed for edits of polls and the like, which we do not offer; spares a write a message.
        msg_secret_policy: MsgSecretPolicy::Disabled,
        seed_msg_secrets_from_history: false,
        sent_message_ttl_secs: SENT_FOR.as_secs(),
        ..CacheConfig::default()
    }
}

/// Receives a client's events and sends what they mean to the pairing's task, in order.
pub(crate) struct Sink {
    device: DeviceId,
    shows_qr: bool,
    me: Mutex<Me>,
    ending: Mutex<Option<Ending>>,
    barrier: Arc<SendBarrier>,
    stanzas: Arc<SentStanzas>,
    signals: mpsc::Sender<Signal>,
    rotation: Rotation,
}

impl Sink {
    pub(crate) fn new(
        device: DeviceId,
        shows_qr: bool,
        barrier: Arc<SendBarrier>,
        stanzas: Arc<SentStanzas>,
    ) -> (Arc<Self>, mpsc::Receiver<Signal>) {
        let (signals, receiver) = mpsc::channel(EVENTS_MAX);
        let (me, ending) = (Mutex::default(), Mutex::default());
        let rotation = Rotation::default();
        let sink = Self { device, shows_qr, me, ending, barrier, stanzas, signals, rotation };
        (Arc::new(sink), receiver)
    }

    /// The addresses of the device's own number.
    pub(crate) fn me(&self) -> Me {
        self.me.lock().clone()
    }

    /// Reads the addresses of the device's own number from its client.
    pub(crate) fn learn_names(&self, client: &Client) {
        let me = Me { pn: client.pn(), lid: client.lid() };
        *self.me.lock() = me;
    }

    /// Records how the connection ends, unless a weightier ending is recorded already.
    pub(crate) fn note(&self, ending: Ending) {
        let mut noted = self.ending.lock();
        if noted.as_ref().is_none_or(|noted| ending.outweighs(noted)) {
            *noted = Some(ending);
        }
    }

    /// How the connection ended; `None` when the client reported nothing.
    pub(crate) fn take_ending(&self) -> Option<Ending> {
        self.ending.lock().take()
    }

    /// Ends an attempt to link, with the reason in words for people.
    pub(crate) fn fail_pairing(&self, text: &str) {
        let ending = Ending::PairingFailed(text.to_owned());
        self.note(ending.clone());
        self.send(Signal::Ending(ending));
    }

    /// Sends a signal to the pairing's task.
    pub(crate) fn send(&self, signal: Signal) {
        let is_stored_first = signal.is_stored_first();
        if is_stored_first {
            self.barrier.receive();
        }
        if let Err(error) = self.signals.try_send(signal) {
            // Closed: nobody waits for events of this client any more, as after a logout.
            if matches!(error, TrySendError::Full(_)) {
                tracing::error!(device = %self.device, "an event was dropped: {EVENTS_MAX} wait");
            }
            // It comes again over the next connection.
            match is_stored_first {
                true => self.barrier.answer(false),
                false => self.barrier.fail(),
            }
        }
    }
}

impl EventHandler for Sink {
    fn handle_event(&self, event: Arc<Event>) {
        if let Event::UndecryptableMessage(message) = &*event {
            let whatsapp_id = &message.info.id;
            tracing::warn!(device = %self.device, whatsapp_id, "a message could not be decrypted");
        }
        match &*event {
            Event::PairingQrCode(_) => self.rotation.note(),
            // From here on the phone scans no QR any more.
            Event::PairPasskeyRequest(_) => self.rotation.stop(),
            _ => {}
        }
        if let Event::HistorySync(history) = &*event {
            let (compressed, size) =
                (history.compressed_bytes().clone(), history.decompressed_size());
            let is_asked = history.sync_type() == HistorySyncType::ON_DEMAND as i32;
            let request = history.peer_data_request_session_id().unwrap_or_default();
            let asked = is_asked.then(|| request.to_owned());
            self.send(Signal::History(History { compressed, size, asked }));
            return;
        }
        if let Event::ServerAck(ack) = &*event
            && ack.class.as_deref() == Some("message")
            && !self.stanzas.acknowledged(&ack.id)
        {
            return;
        }
        let Some(signal) = events::translate(&event, &self.me(), self.shows_qr) else { return };
        match &signal {
            Signal::Ending(ending) => self.note(ending.clone()),
            Signal::Paired(_) => self.note(Ending::Paired),
            _ => {}
        }
        self.send(signal);
    }

    fn interest(&self) -> EventInterest {
        events::interest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::WhatsappId;
    use domain::message::Receipt;
    use domain::ports::MessengerEvent;
    use futures_util::FutureExt as _;
    use jiff::Timestamp;
    use testkit::memory_store::MemoryStore;
    use uuid::Uuid;

    fn receipt() -> Signal {
        let (ids, at) = (vec![WhatsappId("M1".to_owned())], Timestamp::UNIX_EPOCH);
        Signal::Event(MessengerEvent::Receipt(ids, Receipt::Read, at))
    }

    #[test]
    fn nothing_is_sent_between_a_receipt_and_its_storage() {
        let barrier = Arc::new(SendBarrier::new());
        let (sink, mut signals) =
            Sink::new(DeviceId(Uuid::nil()), true, barrier.clone(), Arc::default());
        let sending = || barrier.pass().now_or_never().map(|sent| sent.is_ok());
        sink.send(Signal::Connected);
        assert_eq!(sending(), Some(true), "other events delay nothing");
        sink.send(receipt());
        assert_eq!(sending(), None, "the receipt is not stored yet");
        assert_eq!(signals.try_recv(), Ok(Signal::Connected));
        assert_eq!(signals.try_recv(), Ok(receipt()));
        barrier.answer(true);
        assert_eq!(sending(), Some(true), "it is stored");
    }

    #[test]
    fn a_dropped_event_fails_the_connection() {
        for dropped in [receipt(), Signal::Connected] {
            let barrier = Arc::new(SendBarrier::new());
            let (sink, _signals) =
                Sink::new(DeviceId(Uuid::nil()), true, barrier.clone(), Arc::default());
            for _ in 0..EVENTS_MAX {
                sink.send(Signal::Announced);
            }
            assert!(barrier.lost().now_or_never().is_none(), "all have room");
            sink.send(dropped);
            assert!(barrier.lost().now_or_never().is_some(), "WhatsApp must send it again");
        }
    }

    #[tokio::test]
    async fn a_closed_client_is_freed() {
        let url = Some("ws://127.0.0.1:1/ws/chat".to_owned());
        let config = Config { url, ..Config::default() };
        let shared =
            Arc::new(ClientContext::new(config, Arc::new(MemoryStore::for_protocol())).unwrap());
        let device = DeviceId(Uuid::from_u128(1));
        let (settings, online) = (ClientSettings::default(), Online::default());
        let session =
            Session::open(&shared, device, &settings, true, Outage::default(), &online).await;
        let session = session.unwrap();
        assert!(!session.is_linked());
        let client = Arc::downgrade(&session.client);
        session.close().await;
        drop(session);
        // Its tasks notice when they are polled next.
        for _ in 0..1_000 {
            if client.strong_count() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} still hold the client", client.strong_count());
    }
}
