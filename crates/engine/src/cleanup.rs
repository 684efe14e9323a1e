//! Deletes rows that are older than they are kept.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use domain::ports::StoreResult;

use crate::context::EngineContext;
use crate::incoming_files;
use crate::timing::pause;

/// How often old rows are deleted.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(3_600);
/// How long messages are kept.
const MESSAGES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How long delivered webhook events are kept.
const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How long webhook events that failed for good are kept.
const DEAD_LETTERS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Deletes old messages, deliveries and idempotency keys, until the gateway stops.
pub(crate) async fn clean_up(context: Arc<EngineContext>) {
    let mut stop = context.stopping();
    loop {
        let now = context.now();
        let since = now.saturating_sub(MESSAGES_KEPT).unwrap_or(Timestamp::MIN);
        let deleted = async {
            let messages = context.store().clean_up(now, since).await?;
            let delivered = now.saturating_sub(DELIVERIES_KEPT).unwrap_or(Timestamp::MIN);
            let dead = now.saturating_sub(DEAD_LETTERS_KEPT).unwrap_or(Timestamp::MIN);
            let files = incoming_files::clean_up(&context).await?;
            Ok(files + messages + context.store().clean_up_deliveries(delivered, dead).await?)
        };
        let deleted: StoreResult<u64> = deleted.await;
        match deleted {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted old rows"),
            Err(error) => tracing::warn!(%error, "cannot delete old rows yet"),
        }
        tokio::select! {
            () = pause(CLEAN_UP_EVERY) => {}
            _ = stop.wait_for(|is_stopping| *is_stopping) => return,
        }
    }
}
