//! The protocol version that devices announce to WhatsApp.
//!
//! One answer serves all devices. The real service is asked at most once in [`VERSION_FOR`]; when
//! it does not answer, the last known version stays in use, so that devices can always connect.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use wacore::net::HttpClient;
use wacore::store::Device;

use crate::http_client::GuardedHttpClient;
use crate::limits::{VERSION_FOR, VERSION_MAX, VERSION_RETRY};

/// A protocol version.
pub(crate) type Version = (u32, u32, u32);

/// Knows the version to use.
pub(crate) struct Versions {
    /// Asks the real service; `None` with a simulator, which takes any version.
    client: Option<Arc<dyn HttpClient>>,
    known: Mutex<Known>,
}

struct Known {
    version: Version,
    ask_again_at: Option<Instant>,
}

impl Versions {
    /// Starts from the version that this build's protocol library was made for; `client` is asked
    /// for newer ones.
    pub(crate) fn new(client: Option<GuardedHttpClient>) -> Self {
        let device = Device::new();
        let version =
            (device.app_version_primary, device.app_version_secondary, device.app_version_tertiary);
        let client = client.map(|client| Arc::new(client) as Arc<dyn HttpClient>);
        Self { client, known: Mutex::new(Known { version, ask_again_at: None }) }
    }

    /// The version to connect with now.
    pub(crate) async fn current(&self) -> Version {
        let Some(client) = &self.client else { return self.known.lock().await.version };
        let mut known = self.known.lock().await;
        if known.ask_again_at.is_none_or(|at| at <= Instant::now()) {
            let (newest, again_in) = ask(client).await;
            known.version = newest.unwrap_or(known.version);
            known.ask_again_at = Some(Instant::now() + again_in);
        }
        known.version
    }
}

async fn ask(client: &Arc<dyn HttpClient>) -> (Option<Version>, Duration) {
    let fetched = timeout(VERSION_MAX, whatsapp_rust::version::fetch_latest_app_version(client));
    match fetched.await {
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
