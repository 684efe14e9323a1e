//! Deleting old messages, idempotency keys and counts, batch by batch.

use domain::policy::rate::WINDOW;
use domain::ports::StoreResult;
use jiff::Timestamp;

use super::{Engine, SqlStore};
use crate::messages::{amend, clean, counts, record};
use crate::{rates, recent_keys};

/// Most batches of one clean-up; the rest is left to the next one.
pub(super) const CLEAN_UP_BATCHES_MAX: usize = 100;

impl SqlStore {
    /// As [`domain::ports::MessageStore::delete_old_messages`].
    pub(super) async fn delete_messages_before(&self, since: Timestamp) -> StoreResult<u64> {
        let mut rows = 0;
        for _ in 0..CLEAN_UP_BATCHES_MAX {
            let batch = self.write_long(move |tx| Box::pin(clean::messages(tx, since))).await?;
            rows += batch.rows;
            if !batch.has_more {
                break;
            }
        }
        Ok(rows)
    }

    /// As [`domain::ports::MessageStore::clean_up`].
    pub(super) async fn clean_up_beside_messages(
        &self,
        now: Timestamp,
        keep_messages_since: Timestamp,
    ) -> StoreResult<u64> {
        let mut rows =
            self.write_long(move |tx| Box::pin(record::expire_unreadable(tx, now))).await?;
        let mut cursor = Some(clean::KeyCursor::default());
        while let Some(after) = cursor.take() {
            let clean =
                self.write_long(move |tx| Box::pin(clean::idempotency_keys(tx, now, after)));
            let (deleted, next) = clean.await?;
            rows += deleted;
            cursor = next;
        }
        for _ in 0..CLEAN_UP_BATCHES_MAX {
            let batch = self.write_long(move |tx| Box::pin(recent_keys::clean_up(tx, now))).await?;
            rows += batch.rows;
            if !batch.has_more {
                break;
            }
        }
        self.write_long(move |tx| Box::pin(recent_keys::look_for_others(tx))).await?;
        let early =
            self.write_long(move |tx| Box::pin(amend::clean_up(tx, keep_messages_since))).await?;
        rows += early.rows;
        rows += self
            .write_long(move |tx| Box::pin(counts::clean_up_hours(tx, keep_messages_since)))
            .await?;
        let over = now.saturating_sub(WINDOW).unwrap_or(now);
        self.write_long(move |tx| Box::pin(rates::remove_old(tx, over))).await?;
        if let Engine::Sqlite(sqlite) = &self.engine {
            sqlite.keep_reserve();
        }
        Ok(rows)
    }
}
