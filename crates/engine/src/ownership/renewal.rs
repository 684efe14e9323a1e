//! Keeps this node registered.
//!
//! By its own monotonic clock a node sends nothing from [`SEND_WITHIN`] after the beginning of its last
//! successful renewal on, and closes its connections then: the others wait longer before they claim.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use domain::node::{LEASE, RENEW_EVERY, Registration, SEND_WITHIN};

use super::Ownership;
use crate::timing::{STORE_PAUSE, pause, within};

/// Between two tries to renew in time.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long a try to register again may take.
const REGISTER_WAIT: Duration = Duration::from_secs(4);

/// Renews for ever; ends when another process has this one's name.
pub(super) async fn keep(
    ownership: Arc<Ownership>,
    mut registration: Registration,
    mut began: Instant,
) {
    loop {
        sleep_until(began + RENEW_EVERY).await;
        match timeout_at(began + SEND_WITHIN, renew(&ownership, registration)).await {
            Ok(Some(at)) => {
                began = at;
                ownership.leases.renewed(registration, (began + SEND_WITHIN).into_std());
                ownership.context.stats().renewals.fetch_add(1, Relaxed);
            }
            Ok(None) => return end(&ownership).await,
            Err(_) => {
                tracing::error!(
                    "this node could not renew its registration in time: it stops sending"
                );
                ownership.lose_all().await;
                match register_again(&ownership, registration).await {
                    Some(renewed) => (registration, began) = renewed,
                    None => return end(&ownership).await,
                }
            }
        }
    }
}

/// Another process has the name: this one owns nothing any more, and must not take the name back.
async fn end(ownership: &Ownership) {
    let name = &ownership.node.name;
    tracing::error!(name, "another process runs under the name of this node: this one stops");
    ownership.lose_all().await;
    ownership.is_void.send_replace(true);
}

/// Renews until it succeeds: when that try began; `None` when the registration is void.
async fn renew(ownership: &Ownership, registration: Registration) -> Option<Instant> {
    loop {
        let began = Instant::now();
        match ownership.context.store().renew_node(registration, LEASE).await {
            Ok(true) => return Some(began),
            Ok(false) => return None,
            Err(error) => {
                tracing::warn!(%error, "cannot renew the registration of this node yet");
                pause(RETRY_PAUSE).await;
            }
        }
    }
}

/// Registers anew after everything was stopped, unless another process has the name.
async fn register_again(
    ownership: &Ownership,
    former: Registration,
) -> Option<(Registration, Instant)> {
    let store = ownership.context.store();
    loop {
        let registered = async {
            if !store.renew_node(former, LEASE).await? {
                return Ok(None);
            }
            let began = Instant::now();
            let registration = store.register_node(&ownership.node, LEASE).await?;
            Ok(Some((registration, began)))
        };
        let registered: Option<domain::ports::StoreResult<_>> =
            within(REGISTER_WAIT, registered).await;
        match registered {
            Some(Ok(Some((registration, began)))) => {
                tracing::info!("this node is registered again");
                ownership.registered(registration, began);
                return Some((registration, began));
            }
            Some(Ok(None)) => return None,
            Some(Err(_)) | None => pause(STORE_PAUSE).await,
        }
    }
}
