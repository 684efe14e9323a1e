//! Notes once a minute which devices are alive.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use domain::ids::DeviceId;

use crate::context::EngineContext;
use crate::timing::pause;

const MINUTE_S: i64 = 60;
/// Devices that are noted in one transaction, so that no other waits long.
const BEATS_PER_COMMIT_MAX: usize = 128;

/// Notes heartbeats until the gateway stops.
pub(crate) async fn beat(context: Arc<EngineContext>) {
    let mut stop = context.stopping();
    loop {
        let past_s = context.now().as_second().rem_euclid(MINUTE_S);
        let until_next = Duration::from_secs(u64::try_from(MINUTE_S - past_s).unwrap_or(1));
        tokio::select! {
            () = pause(until_next) => {}
            _ = stop.wait_for(|is_stopping| *is_stopping) => return,
        }
        beat_once(&context).await;
    }
}

async fn beat_once(context: &EngineContext) {
    let now = context.now();
    let since = now.saturating_sub(SignedDuration::from_secs(MINUTE_S)).unwrap_or(Timestamp::MIN);
    let alive = context.messenger().alive().into_iter().filter(|(_, at)| *at >= since);
    let alive: Vec<DeviceId> = alive.map(|(device, _)| device).collect();
    for devices in alive.chunks(BEATS_PER_COMMIT_MAX) {
        if let Err(error) = context.store().beat(devices, now).await {
            tracing::debug!(%error, "heartbeats of a minute are not stored");
            return;
        }
    }
}
