//! What every handler shares.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use domain::fair_semaphore::FairSemaphore;
use domain::ports::Backups;
use domain::service::Core;
use ipnet::IpNet;
use prometheus::Registry;
use tokio::sync::watch;

use crate::api::{self, Api};
use crate::body::LargeBodies;
use crate::dashboard::group_names::KnownGroups;
use crate::dashboard::held_files::HeldFiles;
use crate::dashboard::once::AnsweredForms;
use crate::dashboard::passwords::Passwords;
use crate::dialects;
use crate::docs::Documents;
use crate::large_answers::LargeAnswers;
use crate::metrics::HttpMetrics;
use crate::nodes::NodeKey;

/// Most requests that are answered at a time behind trusted proxies.
const PROXIED_REQUESTS_MAX: usize = 1_024;
/// The same of one client address.
const PROXIED_PER_ADDRESS_MAX: usize = 128;

/// The settings of the HTTP side.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Where clients reach this server, without a trailing slash, such as `https://wa.example`;
    /// where they ask, when it is not set.
    pub public_url: Option<String>,
    /// The names of the dialects that are served; see [`dialects::names`].
    pub dialects: Vec<String>,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether sessions of the dashboard may go over plain http from other machines.
    pub insecure_cookies: bool,
    /// The path of a simulated phone's page, for the dashboard of a demo.
    pub demo_phone: Option<String>,
    /// What requests between nodes are signed with; `None` where there are no nodes.
    pub node_key: Option<NodeKey>,
    /// What makes backups.
    pub backups: Option<Arc<dyn Backups>>,
}

impl HttpConfig {
    /// All dialects, no proxies.
    pub fn new(public_url: Option<&str>) -> Self {
        Self {
            public_url: public_url.map(str::to_owned),
            dialects: dialects::names().map(str::to_owned).collect(),
            trusted_proxies: Vec::new(),
            insecure_cookies: false,
            demo_phone: None,
            node_key: None,
            backups: None,
        }
    }
}

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    config: HttpConfig,
    registry: Registry,
    shutdown: Shutdown,
    metrics: HttpMetrics,
    apis: Vec<&'static Api>,
    documents: Documents,
    large_bodies: LargeBodies,
    large_answers: LargeAnswers,
    passwords: Passwords,
    answered_forms: AnsweredForms,
    known_groups: KnownGroups,
    held_files: HeldFiles,
    process: OnceLock<String>,
    proxied: Arc<FairSemaphore<IpAddr>>,
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
        let unknown = |name: &&String| dialects::by_name(name).is_none();
        if let Some(name) = config.dialects.iter().find(unknown) {
            return Err(SetupError::UnknownDialect { name: name.clone() });
        }
        let is_served = |api: &&Api| {
            dialects::by_name(api.name).is_none() || config.dialects.iter().any(|d| d == api.name)
        };
        let apis: Vec<_> = api::all().filter(is_served).collect();
        let documents = Documents::new(&apis, config.public_url.as_deref());
        Ok(Self(Arc::new(Inner {
            core,
            config,
            registry,
            shutdown,
            metrics,
            apis,
            documents,
            large_bodies: LargeBodies::default(),
            large_answers: LargeAnswers::default(),
            passwords: Passwords::default(),
            answered_forms: AnsweredForms::default(),
            known_groups: KnownGroups::default(),
            held_files: HeldFiles::default(),
            process: OnceLock::new(),
            proxied: FairSemaphore::new(PROXIED_REQUESTS_MAX, PROXIED_PER_ADDRESS_MAX),
        })))
    }

    /// The use cases.
    pub fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// The settings.
    pub fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    /// What `/metrics` shows; other crates register here too.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// Ends streams when the process ends.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// The request metrics.
    pub(crate) fn metrics(&self) -> &HttpMetrics {
        &self.0.metrics
    }

    /// The pages and documents of these APIs.
    pub(crate) fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// The large bodies that are being read.
    pub(crate) fn large_bodies(&self) -> &LargeBodies {
        &self.0.large_bodies
    }

    /// The large answers that are held.
    pub(crate) fn large_answers(&self) -> &LargeAnswers {
        &self.0.large_answers
    }

    /// Hashes the passwords of people.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The answers of the dashboard's forms.
    pub(crate) fn answered_forms(&self) -> &AnsweredForms {
        &self.0.answered_forms
    }

    /// Files of forms of the dashboard that are shown again.
    pub(crate) fn held_files(&self) -> &HeldFiles {
        &self.0.held_files
    }

    /// What WhatsApp has said of groups, for pages that name them.
    pub(crate) fn known_groups(&self) -> &KnownGroups {
        &self.0.known_groups
    }

    /// What distinguishes this process from those before it.
    pub(crate) fn process(&self) -> &str {
        self.0.process.get_or_init(|| {
            let mut random = [0; 8];
            self.core().fill_random(&mut random);
            hex::encode(random)
        })
    }

    /// Permits for requests that come through trusted proxies, by the client's address.
    pub(crate) fn proxied(&self) -> &Arc<FairSemaphore<IpAddr>> {
        &self.0.proxied
    }

    /// The APIs that are served, in the order of [`api::all`]: our own is the first.
    pub(crate) fn apis(&self) -> &[&'static Api] {
        &self.0.apis
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

/// Waits for the end of the process.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Notifies every [`Shutdown`] that the process is about to end, when it is fired or dropped.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Makes a shutdown signal.
pub fn shutdown() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Notifies all waiters.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when the process is about to end.
    pub async fn wait(mut self) {
        // An error means that the trigger is gone, which says the same.
        let _ = self.0.wait_for(|is_down| *is_down).await;
    }
}
