//! The installation as a whole: what its commands need of the store.

use async_trait::async_trait;
use domain::ids::{AccountId, DeviceId};
use domain::ports::{AccountStore as _, Store, StoreResult};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Engine, SqlStore};
use crate::restored::{Restored, mark_restored};
use crate::{accounts, devices};

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
        run!(self.write_long, mark_restored, reason, now)
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> StoreResult<()> {
        let _plans = self.plans().await?;
        run!(self.write, accounts::ping)
    }

    async fn reusable_bytes(&self) -> StoreResult<u64> {
        match &self.engine {
            Engine::Sqlite(_) => run!(self.read, accounts::reusable_bytes),
            Engine::Postgres(_) => Ok(0),
        }
    }

    async fn make_room(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.make_room(),
            Engine::Postgres(_) => false,
        }
    }

    async fn discard_waiting(&self, account: AccountId, device: DeviceId) -> StoreResult<()> {
        run!(self.write_long, devices::discard_waiting, account, device)
    }

    async fn setting(&self, name: &str, make: Vec<u8>) -> StoreResult<Vec<u8>> {
        let name = name.to_owned();
        run!(self.write, accounts::setting, name, make)
    }

    async fn replace_setting(&self, name: &str, value: Vec<u8>) -> StoreResult<()> {
        let name = name.to_owned();
        run!(self.write, accounts::replace_setting, name, value)
    }
}
