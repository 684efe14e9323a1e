//! Joins store, driver, engine and HTTP to a gateway, and stops them in order.

use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use blobs::{BucketBlobs, FileArchive, LocalBlobs};
use domain::key::{KeyHash, KeyKind, Secret};
use domain::person::{Link, Place, SETUP_LINK_MAX};
use domain::ports::{
    BlobStore, CallReplies, Clock, Dispatcher, Entropy, EventFormats, MediaCodec, MediaLinks,
    MessageArchive, NewLink, NodeStore as _, PeopleStore, SecretCipher, Store,
};
use domain::service::{Core, CoreParts, SyncWait};
use engine::{Engine, EngineConfig, IncomingFileLimits};
use http_api::media_links::{LinkedFormats, SignedLinks};
use http_api::{AppState, HttpConfig, Limits, NodeKey, Shutdown, ShutdownTrigger};
use jiff::SignedDuration;
use media::Codec;
use outbound::HttpOutbound;
use store::{OpenError, SqlStore};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use whatsapp::WhatsappMessenger;

use crate::backup::ServedBackups;
use crate::config::{MediaStore, Settings, s3_variables};
use crate::console::Console;
use crate::exit::Failure;
use crate::joining;
use crate::metrics::{EngineMetrics, StoreMetrics};
use crate::secret_cipher::ChaChaCipher;
use crate::secret_key::{self, Accepted};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::TerminalOffers;

/// The setting under which the store keeps the operator key's hash.
const OPERATOR_SETTING: &str = "operator_key_hash";

/// A gateway that is ready to run.
pub struct Gateway {
    core: Arc<Core>,
    store: Arc<SqlStore>,
    engine: Arc<Engine>,
    messenger: Arc<WhatsappMessenger>,
    http: HttpConfig,
    new_operator_key: Option<Secret>,
    /// Of this node, where it may share its database.
    capacity: Option<u32>,
    console: Console,
}

impl Gateway {
    /// Opens the store and joins the parts. Nothing is connected yet.
    ///
    /// # Errors
    /// The store cannot be opened, or the settings contradict each other.
    pub async fn open(settings: &Settings, show_qr: bool) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = store::open_with(&settings.database_url, settings.notify).await;
        let store = store.context("cannot open the database")?;
        let secret_key = secret_key::checked(settings, &store, random(entropy.as_ref())).await?;
        let node = settings.node();
        let capacity = node.as_ref().map(|node| node.capacity);
        if let Some(node) = &node {
            // Before anything that removes what an earlier process of this name has left.
            joining::check_process(node, &store, clock.as_ref()).await?;
        }
        let whatsapp = whatsapp::Config {
            url: settings.whatsapp_url.clone(),
            version: settings.whatsapp_version,
            device_name: settings.device_name.clone(),
            platform: settings.device_platform,
            language: settings.device_language.clone(),
            allowed_private_nets: settings.allowed_private_nets.clone(),
            leases: store.leases(),
            ..Default::default()
        };
        let messenger =
            WhatsappMessenger::new(whatsapp, store.clone()).context(Failure::SETTINGS)?;
        let messenger = Arc::new(messenger);
        let downloads = settings.data_dir.join("downloads");
        let outbound = HttpOutbound::new(outbound::Config {
            allowed_private_nets: settings.allowed_private_nets.clone(),
            temp_dir: downloads.clone(),
            min_free_bytes: settings.min_free_space.0,
        })?;
        let codec: Arc<dyn MediaCodec> = Arc::new(Codec::new(downloads)?);
        let outbound = Arc::new(outbound.with_pictures(codec.clone()));
        let sealer: Arc<dyn SecretCipher> =
            Arc::new(ChaChaCipher::new(&secret_key, entropy.clone()));
        let blobs = media_store(settings).context(Failure::MEDIA_STORE)?;
        let archive = settings.archive_dir.as_deref().map(FileArchive::open).transpose();
        let archive = archive.context(Failure::ARCHIVE)?;
        if let Some(node) = &node {
            let (blobs, entropy) = (blobs.as_ref(), entropy.as_ref());
            joining::check_media_store(&node.name, &store, blobs, entropy).await?;
        }
        // The last that can fail: a key that was made and not shown is nobody's.
        let (operator, new_operator_key) =
            operator_key(settings, store.as_ref(), entropy.as_ref()).await?;
        let kept = SignedDuration::from_hours(24 * i64::from(settings.media_days));
        let links: Arc<dyn MediaLinks> =
            Arc::new(SignedLinks::new(&secret_key, settings.own_url(), kept));
        let formats: Arc<dyn EventFormats> = Arc::new(LinkedFormats(links.clone()));
        let config = EngineConfig {
            default_pacing: settings.pacing.clone(),
            messages_kept: SignedDuration::from_hours(24 * i64::from(settings.message_days)),
            incoming_files: IncomingFileLimits {
                kept,
                account_bytes_max: settings.media_per_account.0,
            },
            node,
        };
        let engine = Engine::new(
            config,
            engine::EngineParts {
                store: store.clone(),
                messenger: messenger.clone(),
                outbound: outbound.clone(),
                codec,
                blobs: blobs.clone(),
                archive: archive.map(|archive| Arc::new(archive) as Arc<dyn MessageArchive>),
                sealer: sealer.clone(),
                formats: formats.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
            },
        );
        messenger.set_events(TerminalOffers::around(engine.clone(), show_qr));
        let dispatcher: Arc<dyn Dispatcher> = engine.clone();
        let console = Console::new(&settings.data_dir, &SystemEntropy);
        let core = Arc::new(Core::new(CoreParts {
            store: store.clone(),
            dispatcher,
            outbound,
            formats,
            sealer,
            blobs,
            links,
            clock,
            entropy,
            operator,
            console: Some(console.hash()),
            sync_wait: SyncWait::default(),
        }));
        let replies: Weak<dyn CallReplies> =
            Arc::downgrade(&(core.clone() as Arc<dyn CallReplies>));
        engine.set_call_replies(replies);
        let mut http = http_config(settings);
        http.node_key = capacity.map(|_| NodeKey::derive(&secret_key));
        Ok(Self { core, store, engine, messenger, http, new_operator_key, capacity, console })
    }

    /// A link that makes the first operator, while there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn first_setup_link(&self) -> Result<Option<Secret>> {
        let made = self.core.first_setup_link().await.map_err(|error| match error {
            // Which says the same.
            domain::error::Error::Store(error) => anyhow::Error::from(error),
            other => other.into(),
        });
        made.context("cannot make the setup link")
    }

    /// Shows a simulated phone in the dashboard.
    #[cfg(feature = "simulator")]
    pub fn show_phone(&mut self, path: String) {
        self.http.demo_phone = Some(path);
    }

    /// The use cases.
    #[cfg(feature = "simulator")]
    pub fn shared_core(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// Where things are kept.
    #[cfg(feature = "simulator")]
    pub fn shared_store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The operator key, when this start has created it.
    pub fn new_operator_key(&self) -> Option<&Secret> {
        self.new_operator_key.as_ref()
    }

    /// Serves HTTP, with `extra` routes beside ours, connects the devices and resumes the queues.
    ///
    /// # Errors
    /// The settings contradict each other, or the queues cannot be read.
    pub async fn start(self, listener: TcpListener, extra: axum::Router) -> Result<Running> {
        self.console.open(listener.local_addr().context("cannot read the port")?)?;
        let (stop_http, http_stopped) = http_api::shutdown();
        let registry = prometheus::Registry::new();
        registry.register(Box::new(EngineMetrics::new(self.engine.clone())?))?;
        registry.register(Box::new(StoreMetrics::new(self.store.clone(), self.capacity)?))?;
        let changes = self.store.keys_changed();
        let keys = tokio::spawn(tend_keys(self.core.clone(), changes, http_stopped.clone()));
        let state = AppState::new(self.core, self.http, registry, http_stopped.clone());
        let state = state.context(Failure::SETTINGS)?;
        let proxies = state.config().trusted_proxies.clone();
        let router = http_api::router(state).merge(extra);
        self.engine.prepare().await.context("cannot write the states of the devices")?;
        // Before the engine: a demo's devices connect to this very server.
        let server = http_api::serve(listener, router, Limits::default(), proxies, http_stopped);
        let server = tokio::spawn(server);
        self.engine.start().await.context("cannot resume the queues")?;
        let Self { store, engine, messenger, console, .. } = self;
        Ok(Running { store, engine, messenger, stop_http, server, keys, _console: console })
    }
}

/// A running gateway.
pub struct Running {
    store: Arc<SqlStore>,
    engine: Arc<Engine>,
    messenger: Arc<WhatsappMessenger>,
    stop_http: ShutdownTrigger,
    server: JoinHandle<()>,
    keys: JoinHandle<()>,
    /// Gone when the process has stopped.
    _console: Console,
}

impl Running {
    /// Waits until this process must end because another one runs under its name.
    pub async fn void(&self) {
        self.engine.void().await;
    }

    /// Stops accepting, finishes current work, disconnects the devices, closes the store.
    ///
    /// # Errors
    /// The HTTP server has crashed.
    pub async fn stop(self) -> Result<()> {
        tracing::info!("stopping");
        // Requests are answered meanwhile.
        self.engine.hand_over().await;
        self.stop_http.fire();
        let served = self.server.await;
        let _ = self.keys.await;
        self.engine.shutdown().await;
        self.messenger.shutdown().await;
        self.store.close().await;
        served.context("the HTTP server has crashed")
    }
}

/// How often it is stored when keys were last used.
const TEND_KEYS_EVERY: Duration = Duration::from_secs(60);

/// Tends the keys until the gateway stops, and once more then.
async fn tend_keys(core: Arc<Core>, changes: Option<watch::Receiver<u64>>, stopped: Shutdown) {
    let mut is_stopping = false;
    let ending = tokio::spawn(end_revoked(core.clone(), changes));
    let stopped = stopped.wait();
    tokio::pin!(stopped);
    while !is_stopping {
        is_stopping = tokio::time::timeout(TEND_KEYS_EVERY, &mut stopped).await.is_ok();
        if let Err(error) = core.tend_keys().await {
            tracing::debug!(%error, "the last uses of keys are not stored yet");
        }
    }
    ending.abort();
}

/// Ends the live streams of keys that other nodes revoke, for ever.
async fn end_revoked(core: Arc<Core>, changes: Option<watch::Receiver<u64>>) {
    let Some(mut changes) = changes else { return };
    while changes.changed().await.is_ok() {
        core.end_revoked().await;
    }
}

fn media_store(settings: &Settings) -> Result<Arc<dyn BlobStore>> {
    Ok(match &settings.media_store {
        MediaStore::Directory(dir) => {
            let node = settings.node().map(|node| node.name);
            Arc::new(LocalBlobs::open(dir, node.as_deref())?)
        }
        MediaStore::S3(url) => {
            let drafts = settings.data_dir.join("drafts");
            Arc::new(BucketBlobs::open(url, s3_variables(), &drafts)?)
        }
    })
}

fn http_config(settings: &Settings) -> HttpConfig {
    let mut http = HttpConfig::new(settings.public_url.as_deref());
    if let Some(dialects) = &settings.dialects {
        http.dialects.clone_from(dialects);
    }
    http.trusted_proxies.clone_from(&settings.trusted_proxies);
    http.insecure_cookies = settings.insecure_cookies;
    http.backups = Some(Arc::new(ServedBackups::new(Arc::new(settings.clone()))));
    http
}

/// 32 random bytes.
pub fn random(entropy: &dyn Entropy) -> [u8; 32] {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    bytes
}

fn fresh_operator_key(entropy: &dyn Entropy) -> Secret {
    Secret::from_random(KeyKind::Operator, random(entropy))
}

/// Refuses a database that other processes use: what is changed now they would not see.
///
/// # Errors
/// They do, or the database's.
pub async fn ensure_alone(store: &SqlStore) -> Result<()> {
    let nodes = store.nodes().await?;
    let live: Vec<String> = nodes.into_iter().filter(|node| node.is_live).map(|n| n.name).collect();
    if live.is_empty() {
        return Ok(());
    }
    let error = anyhow!("it runs ({}): stop it first", live.join(", "));
    Err(error.context(Failure::RUNS))
}

/// Opens the database of an installation that does not run.
async fn open_stopped(settings: &Settings) -> Result<Arc<SqlStore>> {
    let store = store::open(&settings.database_url).await.context("cannot open the database")?;
    ensure_alone(&store).await?;
    Ok(store)
}

/// Puts a new operator key in place of the old one, on an installation that does not run.
///
/// # Errors
/// The installation runs, its database cannot be opened, or the settings fix the key.
pub async fn reset_operator_key(settings: &Settings) -> Result<Secret> {
    ensure!(
        settings.admin_key.is_none(),
        "the operator key is fixed by admin_key or GERBANG_ADMIN_KEY: change it there"
    );
    let store = open_stopped(settings).await?;
    let fresh = fresh_operator_key(&SystemEntropy);
    let replaced = store.replace_setting(OPERATOR_SETTING, fresh.hash().0.to_vec()).await;
    store.close().await;
    replaced.context("cannot store the new key")?;
    Ok(fresh)
}

/// Takes the secret key of the settings for the database's, on an installation that does not run.
///
/// # Errors
/// The installation runs, there is none, its database cannot be opened, or the key cannot be read or kept.
pub async fn accept_secret_key(settings: &Settings) -> Result<Accepted> {
    // In the wrong directory a new database, and a key for it, would look like success.
    if let Some(path) = store::sqlite_path(&settings.database_url).filter(|path| !path.is_file()) {
        let error = OpenError::Path(path.to_owned(), "there is no database".to_owned());
        return Err(error).context("cannot open the database");
    }
    settings.create_data_dir()?;
    let store = open_stopped(settings).await?;
    let accepted = secret_key::accept(settings, &store, random(&SystemEntropy)).await;
    store.close().await;
    accepted
}

/// Makes a link that makes an operator, on an installation that does not run.
///
/// # Errors
/// The installation runs, or its database cannot be opened.
pub async fn make_setup_link(settings: &Settings) -> Result<Secret> {
    let store = store::open(&settings.database_url).await.context("cannot open the database")?;
    let secret = Secret::from_random(KeyKind::Link, random(&SystemEntropy));
    let now = SystemClock.now();
    let expires_at = now.saturating_add(SETUP_LINK_MAX)?;
    let (hash, link) = (secret.hash(), Link::Join(Place::Operator));
    let link = NewLink { hash, link, made_by: None, expires_at };
    let made = store.create_link(link, now).await;
    store.close().await;
    made.context("cannot store the link")?;
    Ok(secret)
}

/// The operator key's hash: of the configured key, else of one that is created at the first start.
async fn operator_key(
    settings: &Settings,
    store: &dyn Store,
    entropy: &dyn Entropy,
) -> Result<(KeyHash, Option<Secret>)> {
    if let Some(key) = &settings.admin_key {
        return Ok((Secret::new(key).hash(), None));
    }
    let fresh = fresh_operator_key(entropy);
    let stored = store.setting(OPERATOR_SETTING, fresh.hash().0.to_vec()).await?;
    let stored = KeyHash(stored.try_into().ok().context("the stored operator key is damaged")?);
    Ok((stored, (stored == fresh.hash()).then_some(fresh)))
}
