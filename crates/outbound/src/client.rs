//! The guarded HTTP client, and its limits.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::link::LinkPreview;
use domain::media::{FetchedFile, MEDIA_BYTES_MAX, TempMedia};
use domain::ports::{FileError, MediaCodec, Outbound, UrlRefusal, WebhookAnswer, WebhookRequest};
use domain::proxy::Proxy;
use ipnet::IpNet;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::time::Instant;

use crate::guard::{Guard, GuardedDns, Lookup, SystemLookup};
use crate::preview::Remembered;
use crate::{temp, tls};

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long enough free space is taken to last: every message that is accepted asks.
const ROOM_LASTS: Duration = Duration::from_millis(100);
const USER_AGENT: &str = concat!("Gerbang/", env!("CARGO_PKG_VERSION"));

/// How often it is logged that the disk is full.
const REPORT_FULL_EVERY: Duration = Duration::from_secs(60);

/// The settings of [`HttpOutbound`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Networks that may be reached on any port in spite of the guard.
    pub allowed_private_nets: Vec<IpNet>,
    /// A folder for downloads that no other process uses. It is created when it is missing, and
    /// downloads that an earlier process left are removed.
    pub temp_dir: PathBuf,
    /// Least free space, below which no file is stored.
    pub min_free_bytes: u64,
}

/// Why the client cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The HTTP library refused its settings.
    #[error("the HTTP client cannot be created: {0}")]
    Http(#[from] reqwest::Error),
    /// The TLS library refused its settings.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The folder for downloads cannot be created or read.
    #[error("the folder for downloads cannot be used: {0}")]
    TempDir(#[from] io::Error),
}

/// Limits of one exchange; the defaults are the real ones (but for the free space, which is a setting),
/// tests set smaller ones.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest file.
    pub(crate) file_bytes_max: u64,
    /// Longest download, redirects included.
    pub(crate) download_max: Duration,
    /// Least free space, below which no file is stored.
    pub(crate) min_free_bytes: u64,
    /// Longest exchange with a webhook's receiver.
    pub(crate) webhook_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: MEDIA_BYTES_MAX,
            download_max: Duration::from_secs(30),
            min_free_bytes: 0,
            webhook_max: Duration::from_secs(15),
        }
    }
}

/// The guarded client.
pub struct HttpOutbound {
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
    pub(crate) temp_dir: PathBuf,
    /// For ports 80 and 443, at public addresses and the operator's.
    web: reqwest::Client,
    /// For other ports, at the operator's addresses only.
    other: reqwest::Client,
    /// When it was last logged that the disk is full.
    reported_full: Mutex<Option<Instant>>,
    /// When there was enough free space; the system is asked again after [`ROOM_LASTS`].
    had_room_at: Mutex<Option<Instant>>,
    pub(crate) pages: Remembered,
    /// What makes small pictures of those that pages name.
    pub(crate) codec: Option<Arc<dyn MediaCodec>>,
}

impl HttpOutbound {
    /// Shows pages with the pictures that they name, made small by this codec.
    #[must_use]
    pub fn with_pictures(self, codec: Arc<dyn MediaCodec>) -> Self {
        Self { codec: Some(codec), ..self }
    }

    /// Creates the client and its folder.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let guard = Guard::new(config.allowed_private_nets);
        let limits = Limits { min_free_bytes: config.min_free_bytes, ..Limits::default() };
        Self::with(guard, config.temp_dir, limits, Arc::new(SystemLookup))
    }

    pub(crate) fn with(
        guard: Guard,
        temp_dir: PathBuf,
        limits: Limits,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetupError> {
        temp::prepare(&temp_dir)?;
        let dns = |is_web_port| GuardedDns::new(guard.clone(), is_web_port, lookup.clone());
        let (web, other) = (client(dns(true))?, client(dns(false))?);
        let (had_room_at, reported_full) = Default::default();
        let pages = Remembered::default();
        let codec = None;
        Ok(Self { guard, limits, temp_dir, web, other, had_room_at, reported_full, pages, codec })
    }

    /// The client whose resolver judges by the rules for this URL's port.
    pub(crate) fn client_for(&self, url: &Url) -> &reqwest::Client {
        if self.guard.is_web_port(url) { &self.web } else { &self.other }
    }
}

/// Connections are not reused: the guard judges what the host resolves to at each exchange.
fn client(dns: GuardedDns) -> Result<reqwest::Client, SetupError> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config()?)
        .dns_resolver(Arc::new(dns))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_MAX)
        .pool_max_idle_per_host(0)
        .build()?;
    Ok(client)
}

#[async_trait]
impl Outbound for HttpOutbound {
    fn permits_proxy(&self, proxy: &Proxy) -> bool {
        self.guard.permits_host(&proxy.host, true)
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefusal> {
        self.guard.check(url).map(|_| ())
    }

    async fn look_at(&self, link: &str) -> Option<LinkPreview> {
        HttpOutbound::look_at(self, link).await
    }

    async fn fetch(&self, url: &str) -> Result<FetchedFile, FileError> {
        Ok(self.download(url).await?)
    }

    async fn keep(&self, bytes: Vec<u8>) -> Result<TempMedia, FileError> {
        Ok(self.save_bytes(bytes).await?)
    }

    fn has_room(&self, reusable_bytes: u64) -> bool {
        let mut had_room_at = self.had_room_at.lock();
        if had_room_at.is_some_and(|at| at.elapsed() < ROOM_LASTS) {
            return true;
        }
        let has_room = match temp::free_bytes(&self.temp_dir) {
            Ok(free) => free.saturating_add(reusable_bytes) >= self.limits.min_free_bytes,
            Err(error) => {
                tracing::error!(%error, "the free space cannot be read");
                true
            }
        };
        *had_room_at = has_room.then(Instant::now);
        has_room
    }

    fn report_full(&self) {
        let mut reported = self.reported_full.lock();
        if reported.is_none_or(|at| at.elapsed() >= REPORT_FULL_EVERY) {
            *reported = Some(Instant::now());
            let least = self.limits.min_free_bytes;
            tracing::warn!(
                least,
                "requests to send are refused: the disk has too little free space"
            );
        }
    }

    async fn post(&self, request: WebhookRequest) -> WebhookAnswer {
        self.deliver(request).await
    }

    async fn challenge(&self, url: &str, challenge: &str) -> Result<(), String> {
        self.ask_challenge(url, challenge).await
    }
}
