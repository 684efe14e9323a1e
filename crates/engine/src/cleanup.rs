//! Deletes rows that are older than they are kept; messages go to the archive first, where there is one.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use domain::ids::{AccountId, MessageId};
use domain::ports::{ArchiveError, MessageArchive, StoreResult};

use crate::context::EngineContext;
use crate::incoming_files;
use crate::timing::pause;

/// How often old rows are deleted, and at most how often the media store is swept.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(3_600);
/// Most messages that are archived by one clean-up, and one batch more. Many more than [`MANY_ROWS`], whatever the
/// size of a batch: then what is left does not wait.
const ARCHIVED_ROWS_MAX: u64 = 100_000;
/// A clean-up that has deleted as many rows may have left some behind: the next one follows at once.
const MANY_ROWS: u64 = 10_000;
/// How long delivered webhook events are kept.
const DELIVERIES_KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How long webhook events that failed for good are kept.
const DEAD_LETTERS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Deletes old messages, deliveries and idempotency keys, until the gateway stops.
pub(crate) async fn clean_up(context: Arc<EngineContext>) {
    let mut stop = context.stopping();
    let mut swept_at = None;
    loop {
        let began = Instant::now();
        let now = context.now();
        let since = now.saturating_sub(context.messages_kept()).unwrap_or(Timestamp::MIN);
        let deleted = async {
            let messages = delete_messages(&context, since).await?
                + context.store().clean_up(now, since).await?;
            let delivered = now.saturating_sub(DELIVERIES_KEPT).unwrap_or(Timestamp::MIN);
            let dead = now.saturating_sub(DEAD_LETTERS_KEPT).unwrap_or(Timestamp::MIN);
            let files = incoming_files::end_old(&context).await?;
            if is_sweep_due(swept_at) {
                incoming_files::sweep(&context).await?;
                swept_at = Some(began);
            }
            Ok(files + messages + context.store().clean_up_deliveries(delivered, dead).await?)
        };
        let deleted: StoreResult<u64> = deleted.await;
        match &deleted {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted old rows"),
            Err(error) => tracing::warn!(%error, "cannot delete old rows yet"),
        }
        let rest = rest_after(deleted.unwrap_or(0));
        tokio::select! {
            biased;
            _ = stop.wait_for(|is_stopping| *is_stopping) => return,
            () = pause(rest) => {}
        }
    }
}

/// How long nothing is deleted after a clean-up that deleted so many rows.
fn rest_after(deleted: u64) -> Duration {
    if deleted < MANY_ROWS { CLEAN_UP_EVERY } else { Duration::ZERO }
}

/// Whether to look through the media store: all of it, so not after every clean-up of many.
fn is_sweep_due(swept_at: Option<Instant>) -> bool {
    swept_at.is_none_or(|at| at.elapsed() >= CLEAN_UP_EVERY)
}

/// Deletes messages from before `since`, not more than a clean-up takes; how many there were.
async fn delete_messages(context: &EngineContext, since: Timestamp) -> StoreResult<u64> {
    let Some(archive) = context.archive() else {
        return context.store().delete_old_messages(since).await;
    };
    if let Err(error) = remove_archives_of_erased(context, archive.as_ref()).await? {
        tracing::warn!(%error, "cannot remove the archives of deleted accounts yet");
    }
    let mut rows = 0;
    while rows < ARCHIVED_ROWS_MAX {
        let old = context.store().old_messages(since).await?;
        if old.is_empty() {
            break;
        }
        let ids: Vec<MessageId> = old.iter().map(|message| message.id).collect();
        match archive.append(old).await {
            Ok(true) => {}
            // Another process of this database archives, and deletes.
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(%error, "cannot archive old messages yet: they stay in the database");
                break;
            }
        }
        let deleted = context.store().delete_messages(&ids).await?;
        archive.settle();
        rows += deleted;
        if deleted == 0 {
            break;
        }
    }
    Ok(rows)
}

/// Removes what is archived of accounts that are gone: also those that were deleted through another node, or
/// while their last messages were being archived.
async fn remove_archives_of_erased(
    context: &EngineContext,
    archive: &dyn MessageArchive,
) -> StoreResult<Result<(), ArchiveError>> {
    let accounts = match archive.accounts().await {
        Ok(accounts) => accounts,
        Err(error) => return Ok(Err(error)),
    };
    for account in accounts {
        if context.store().account(account).await?.is_none()
            && let Err(error) = archive.remove(account).await
        {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

/// Removes what is archived of an account that was erased just now.
pub(crate) fn remove_archive(context: &Arc<EngineContext>, account: AccountId) {
    let Some(archive) = context.archive().cloned() else { return };
    tokio::spawn(async move {
        if let Err(error) = archive.remove(account).await {
            tracing::warn!(%account, %error, "cannot remove the archive of a deleted account yet");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_clean_up_leaves_behind_does_not_wait_an_hour() {
        assert_eq!(rest_after(0), Duration::from_secs(3_600));
        assert_eq!(rest_after(9_999), Duration::from_secs(3_600));
        // The store deletes 100 batches of 1,000 at most.
        assert_eq!(rest_after(100_000), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_media_store_is_swept_once_an_hour_however_often_rows_are_deleted() {
        assert!(is_sweep_due(None));
        let swept_at = Some(Instant::now());
        assert!(!is_sweep_due(swept_at));
        tokio::time::advance(CLEAN_UP_EVERY).await;
        assert!(is_sweep_due(swept_at));
    }
}
