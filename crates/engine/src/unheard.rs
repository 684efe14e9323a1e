//! Messages that were accepted for callers who hung up before they had the answer.

use std::sync::{Arc, Weak};

use crate::context::EngineContext;
use crate::logs::log_accepted;
use crate::registry::Registry;

/// Gives them to their queues, until the gateway stops: what waits then is read at the next start.
pub(crate) async fn queue_unheard(context: Arc<EngineContext>, registry: Weak<Registry>) {
    let mut stop = context.stopping();
    loop {
        let entries = tokio::select! {
            entries = context.store().unheard() => entries,
            _ = stop.wait_for(|is_stopping| *is_stopping) => return,
        };
        let Some(registry) = registry.upgrade() else { return };
        log_accepted(&entries);
        registry.accepted(entries);
    }
}
