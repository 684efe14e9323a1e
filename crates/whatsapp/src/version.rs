//! The protocol version that devices announce to WhatsApp.
//!
//! One answer serves all devices; the device that needs it asks, through its proxy where it has one. The
//! service is asked at most once in [`VERSION_FOR`], and sooner when it refuses the version in use; when it
//! does not answer, the last known version stays in use, so that devices can always connect. A version that
//! is set is used as it is.

use std::time::Duration;

use domain::device::DisconnectReason;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use wacore::net::{HttpClient, HttpRequest};
use wacore::store::Device;
use wacore::version::parse_sw_js;

use crate::config::Version;
use crate::http_client::GuardedHttpClient;
use crate::limits::{VERSION_FOR, VERSION_MAX, VERSION_REFUSED_RETRY, VERSION_RETRY};

/// What WhatsApp answers browsers only.
const BROWSER: [(&str, &str); 2] = [
    ("sec-fetch-site", "none"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/131.0.0.0 Safari/537.36",
    ),
];

/// Knows the version to use.
pub(crate) struct Versions {
    /// Where versions are published; `None` when the version is set.
    url: Option<String>,
    known: Mutex<Known>,
}

struct Known {
    version: Version,
    /// When a refusal was last a reason to ask.
    refused_at: Option<Instant>,
    ask_again_at: Option<Instant>,
}

impl Versions {
    /// Starts from the version that is set, or from the one that this build's protocol library was
    /// made for; newer ones are published at `url`.
    pub(crate) fn new(set: Option<Version>, url: String) -> Self {
        let device = Device::new();
        let built_for = Version(
            device.app_version_primary,
            device.app_version_secondary,
            device.app_version_tertiary,
        );
        let version = set.unwrap_or(built_for);
        let known = Known { version, refused_at: None, ask_again_at: None };
        Self { url: set.is_none().then_some(url), known: Mutex::new(known) }
    }

    /// The version to connect with now; `client` is that of the device that connects.
    pub(crate) async fn current(&self, client: &GuardedHttpClient) -> Version {
        let mut known = self.known.lock().await;
        if let Some(url) = &self.url
            && known.ask_again_at.is_none_or(|at| at <= Instant::now())
        {
            known.ask(url, client).await;
        }
        known.version
    }

    /// WhatsApp has refused a version: whether there is another one by now.
    pub(crate) async fn has_other_than(
        &self,
        refused: Version,
        client: &GuardedHttpClient,
    ) -> bool {
        let mut known = self.known.lock().await;
        let may_ask =
            |at: Option<Instant>| at.is_none_or(|at| at.elapsed() >= VERSION_REFUSED_RETRY);
        if let Some(url) = &self.url
            && known.version == refused
            && may_ask(known.refused_at)
        {
            known.refused_at = Some(Instant::now());
            known.ask(url, client).await;
        }
        known.version != refused
    }

    /// Why a connection was lost, as it is reported: where a version is set, no other is looked for.
    pub(crate) fn specify(&self, reason: DisconnectReason) -> DisconnectReason {
        match reason {
            DisconnectReason::ClientOutdated if self.url.is_none() => {
                DisconnectReason::SetVersionOutdated
            }
            reason => reason,
        }
    }
}

impl Known {
    async fn ask(&mut self, url: &str, client: &GuardedHttpClient) {
        let (newest, again_in) = ask(url, client).await;
        self.version = newest.unwrap_or(self.version);
        self.ask_again_at = Some(Instant::now() + again_in);
    }
}

async fn ask(url: &str, client: &GuardedHttpClient) -> (Option<Version>, Duration) {
    match timeout(VERSION_MAX, fetch(url, client)).await {
        Ok(Ok(version)) => (Some(version), VERSION_FOR),
        Ok(Err(error)) => {
            tracing::warn!(%error, "WhatsApp's version is not known; using the last known one");
            (None, VERSION_RETRY)
        }
        Err(_) => {
            tracing::warn!("WhatsApp's version did not arrive in time; using the last known one");
            (None, VERSION_RETRY)
        }
    }
}

async fn fetch(url: &str, client: &GuardedHttpClient) -> anyhow::Result<Version> {
    let request = BROWSER
        .into_iter()
        .fold(HttpRequest::get(url), |request, (name, value)| request.with_header(name, value));
    let answer = client.execute(request).await?;
    anyhow::ensure!(answer.status_code == 200, "it was answered with {}", answer.status_code);
    let text = String::from_utf8_lossy(&answer.body);
    let (primary, secondary, tertiary) =
        parse_sw_js(&text).ok_or_else(|| anyhow::anyhow!("the answer names no version"))?;
    Ok(Version(primary, secondary, tertiary))
}
