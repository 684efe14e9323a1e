//! What the commands on an installation need of the store.

use domain::ports::StoreResult;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Engine, SqlStore};
use crate::accounts;
use crate::restored::{Restored, mark_restored};

impl SqlStore {
    /// Counts what keys, accounts and plans other nodes have changed; `None` where there are none.
    pub fn keys_changed(&self) -> Option<watch::Receiver<u64>> {
        match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(postgres) => Some(postgres.keys_changed()),
        }
    }

    /// A setting, when it is there.
    ///
    /// # Errors
    /// The database's.
    pub async fn stored_setting(&self, name: &str) -> StoreResult<Option<Vec<u8>>> {
        let name = name.to_owned();
        run!(self.read, accounts::stored_setting, name)
    }

    /// After a restore: erases the protocol state of every device and marks those that were linked as logged
    /// out for `reason`.
    ///
    /// # Errors
    /// The database's; nothing has changed then.
    pub async fn mark_restored(&self, reason: String, now: Timestamp) -> StoreResult<Restored> {
        run!(self.write, mark_restored, reason, now)
    }
}
