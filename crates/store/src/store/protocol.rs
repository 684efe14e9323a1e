//! The port of the driver's protocol state.

use async_trait::async_trait;
use domain::ids::DeviceId;
use domain::ports::{ProtocolStore, ProtocolWrite, StoreResult};

use super::{Engine, SqlStore};
use crate::job::GroupItem;
use crate::protocol::{self, Changes};

/// Most keys whose entries are found in a short read.
const SHORT_KEYS_MAX: usize = 32;

#[async_trait]
impl ProtocolStore for SqlStore {
    async fn protocol_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>> {
        let key = key.to_owned();
        run!(self.look_up, protocol::get, device, space, key)
    }

    async fn protocol_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        let keys = keys.to_vec();
        if keys.len() > SHORT_KEYS_MAX {
            return run!(self.read, protocol::get_many, device, space, keys);
        }
        run!(self.look_up, protocol::get_many, device, space, keys)
    }

    async fn protocol_scan(
        &self,
        device: DeviceId,
        space: &'static str,
        prefix: &str,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        let prefix = prefix.to_owned();
        run!(self.read, protocol::scan, device, space, prefix)
    }

    async fn protocol_write(
        &self,
        device: DeviceId,
        writes: Vec<ProtocolWrite>,
    ) -> StoreResult<()> {
        match &self.engine {
            Engine::Sqlite(_) => {
                let changes = Changes { device, writes };
                self.ask(|reply| GroupItem::Protocol(changes, reply)).await
            }
            // One that waits for the lock on its device must not keep those of other devices waiting.
            Engine::Postgres(_) => run!(self.write, protocol::write, device, writes),
        }
    }

    async fn protocol_clear(&self, device: DeviceId) -> StoreResult<()> {
        run!(self.write_long, protocol::clear, device)
    }
}
