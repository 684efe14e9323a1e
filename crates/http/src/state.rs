//! What every handler shares.

use std::ops::Deref;
use std::sync::Arc;

use domain::service::Core;
use prometheus::Registry;
use tokio::sync::watch;

use crate::dialects::{self, Dialect};
use crate::metrics::HttpMetrics;
use crate::net::Cidr;

/// The settings of the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Where clients reach this server, without a trailing slash, such as `https://wa.example`;
    /// where they ask, when it is not set.
    pub public_url: Option<String>,
    /// The names of the dialects that are served; see [`dialects::names`].
    pub dialects: Vec<String>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Cidr>,
}

impl HttpConfig {
    /// All dialects, no proxies.
    pub fn new(public_url: Option<&str>) -> Self {
        Self {
            public_url: public_url.map(str::to_owned),
            dialects: dialects::names().map(str::to_owned).collect(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The contents of [`AppState`].
pub struct Shared {
    /// The use cases.
    pub core: Arc<Core>,
    /// The settings.
    pub config: HttpConfig,
    /// What `/metrics` shows; others register here too.
    pub registry: Registry,
    /// Tells streams without an end that the process is about to.
    pub shutdown: Shutdown,
    pub(crate) metrics: HttpMetrics,
    pub(crate) dialects: Vec<&'static Dialect>,
}

impl AppState {
    /// Puts the parts together and registers the request metrics.
    ///
    /// # Errors
    /// When `registry` has the request metrics already, or a dialect is unknown.
    pub fn new(
        core: Arc<Core>,
        config: HttpConfig,
        registry: Registry,
        shutdown: Shutdown,
    ) -> Result<Self, SetupError> {
        let metrics = HttpMetrics::register(&registry)?;
        let dialects = config
            .dialects
            .iter()
            .map(|name| {
                dialects::by_name(name)
                    .ok_or_else(|| SetupError::UnknownDialect { name: name.clone() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Shared { core, config, registry, shutdown, metrics, dialects })))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Why the HTTP side cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A metric could not be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The settings name a dialect that does not exist.
    #[error("there is no dialect {name:?}; there are: {known}", known = known_dialects())]
    UnknownDialect {
        /// What they name.
        name: String,
    },
}

fn known_dialects() -> String {
    dialects::names().collect::<Vec<_>>().join(", ")
}

/// Learns that the process is to end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Tells every [`Shutdown`] that the process is to end; dropping it does too.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Makes a shutdown signal.
pub fn shutdown() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Tells everyone.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when the process is to end.
    pub async fn wait(mut self) {
        // An error means that the trigger is gone, which says the same.
        let _ = self.0.wait_for(|is_down| *is_down).await;
    }
}
