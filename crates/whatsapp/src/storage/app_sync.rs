//! App state: the keys, versions and MACs of WhatsApp's synchronised settings.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::{Result, StoreError};
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use super::{DeviceState, join, put, remove, to_json};
use crate::limits::{APP_STATE_ROUNDS_MAX, APP_STATE_WINDOW};

const SYNC_KEY: &str = "sync_key";
/// Holds the id of the key that was stored last, under [`LATEST`].
const SYNC_KEY_LATEST: &str = "sync_key_latest";
const LATEST: &str = "latest";
const SYNC_VERSION: &str = "sync_version";
const SYNC_MAC: &str = "sync_mac";

fn mac_key(name: &str, index_mac: &[u8]) -> String {
    join(&[name, &URL_SAFE_NO_PAD.encode(index_mac)])
}

/// Bounds a synchronisation that never settles: the library asks for a collection's version before
/// each of its rounds.
pub(super) struct SyncRounds {
    collections: Mutex<HashMap<String, (Instant, u32)>>,
    has_ended: watch::Sender<bool>,
}

impl Default for SyncRounds {
    fn default() -> Self {
        Self { collections: Mutex::default(), has_ended: watch::Sender::new(false) }
    }
}

impl SyncRounds {
    /// Becomes true when a synchronisation was ended.
    pub(super) fn has_ended(&self) -> watch::Receiver<bool> {
        self.has_ended.subscribe()
    }

    fn begin(&self, name: &str) -> Result<()> {
        let now = Instant::now();
        let mut collections = self.collections.lock();
        let (since, rounds) = collections.entry(name.to_owned()).or_insert((now, 0));
        if since.elapsed() >= APP_STATE_WINDOW {
            (*since, *rounds) = (now, 0);
        }
        *rounds = rounds.saturating_add(1);
        if *rounds > APP_STATE_ROUNDS_MAX {
            self.has_ended.send_replace(true);
            let text = "the app state does not settle; it is not synchronised for now";
            return Err(StoreError::Validation(text.to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl AppSyncStore for DeviceState {
    async fn get_sync_key(&self, key_id: &[u8]) -> Result<Option<AppStateSyncKey>> {
        self.get_json(SYNC_KEY, &URL_SAFE_NO_PAD.encode(key_id)).await
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> Result<()> {
        self.write(vec![
            put(SYNC_KEY, URL_SAFE_NO_PAD.encode(key_id), to_json(&key)?),
            put(SYNC_KEY_LATEST, LATEST, key_id.to_vec()),
        ])
        .await
    }

    async fn get_version(&self, name: &str) -> Result<HashState> {
        self.rounds.begin(name)?;
        Ok(self.get_json(SYNC_VERSION, name).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> Result<()> {
        self.put(SYNC_VERSION, name, to_json(&state)?).await
    }

    async fn put_mutation_macs(
        &self,
        name: &str,
        _version: u64,
        mutations: &[AppStateMutationMAC],
    ) -> Result<()> {
        let writes = mutations
            .iter()
            .map(|m| put(SYNC_MAC, mac_key(name, &m.index_mac), m.value_mac.clone()));
        self.write(writes.collect()).await
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(SYNC_MAC, &mac_key(name, index_mac)).await
    }

    async fn get_mutation_macs(
        &self,
        name: &str,
        index_macs: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Vec<u8>>> {
        let by_key: HashMap<String, [u8; 32]> =
            index_macs.iter().map(|mac| (mac_key(name, mac), *mac)).collect();
        let keys: Vec<String> = by_key.keys().cloned().collect();
        let found = self.get_many(SYNC_MAC, &keys).await?;
        Ok(found
            .into_iter()
            .filter_map(|(key, value)| by_key.get(&key).map(|mac| (*mac, value)))
            .collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> Result<()> {
        let writes = index_macs.iter().map(|mac| remove(SYNC_MAC, mac_key(name, mac)));
        self.write(writes.collect()).await
    }

    async fn clear_mutation_macs(&self, name: &str) -> Result<()> {
        let macs = self.scan(SYNC_MAC, &join(&[name, ""])).await?;
        self.write(macs.into_iter().map(|(key, _)| remove(SYNC_MAC, key)).collect()).await
    }

    async fn get_latest_sync_key_id(&self) -> Result<Option<Vec<u8>>> {
        self.get(SYNC_KEY_LATEST, LATEST).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rounds_without_an_end_are_ended() {
        let rounds = SyncRounds::default();
        for _ in 0..APP_STATE_ROUNDS_MAX {
            rounds.begin("regular").unwrap();
        }
        assert!(rounds.begin("regular").is_err());
        assert!(rounds.begin("critical_block").is_ok(), "another collection");
        tokio::time::advance(APP_STATE_WINDOW).await;
        assert!(rounds.begin("regular").is_ok(), "counted anew");
    }
}
