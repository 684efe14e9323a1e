//! Signal: identities, sessions, pre-keys and sender keys, as the library encodes them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::error::Result;
use wacore::store::traits::SignalStore;

use super::{DeviceState, damaged, put};

const IDENTITY: &str = "identity";
const SESSION: &str = "session";
const PREKEY: &str = "prekey";
const SIGNED_PREKEY: &str = "signed_prekey";
const SENDER_KEY: &str = "sender_key";

/// Ten digits, so that the order of the keys is the order of the numbers.
fn number_key(id: u32) -> String {
    format!("{id:010}")
}

fn key_number(key: &str) -> Result<u32> {
    key.parse().map_err(|_| damaged("pre-key"))
}

#[async_trait]
impl SignalStore for DeviceState {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> Result<()> {
        self.put(IDENTITY, address, key.to_vec()).await
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> Result<()> {
        let writes = identities.iter().map(|(at, key)| put(IDENTITY, &**at, key.to_vec()));
        self.write(writes.collect()).await
    }

    async fn load_identity(&self, address: &str) -> Result<Option<[u8; 32]>> {
        let Some(bytes) = self.get(IDENTITY, address).await? else { return Ok(None) };
        bytes.try_into().map(Some).map_err(|_| damaged("identity"))
    }

    async fn delete_identity(&self, address: &str) -> Result<()> {
        self.remove(IDENTITY, address).await
    }

    async fn get_session(&self, address: &str) -> Result<Option<Bytes>> {
        Ok(self.get(SESSION, address).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> Result<()> {
        self.put(SESSION, address, session.to_vec()).await
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> Result<()> {
        let writes = sessions.iter().map(|(at, session)| put(SESSION, &**at, session.to_vec()));
        self.write(writes.collect()).await
    }

    async fn delete_session(&self, address: &str) -> Result<()> {
        self.remove(SESSION, address).await
    }

    async fn has_signal_state_for_user(&self, user: &str) -> Result<bool> {
        // An address is `user@server` or, for another than the first device, `user:7@server`.
        let is_theirs = |(address, _): &(String, Vec<u8>)| {
            address.strip_prefix(user).is_some_and(|rest| rest.starts_with(['@', ':']))
        };
        for space in [SESSION, IDENTITY] {
            if self.scan(space, user).await?.iter().any(is_theirs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> Result<()> {
        self.put(PREKEY, &number_key(id), record.to_vec()).await
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> Result<()> {
        let writes = keys.iter().map(|(id, record)| put(PREKEY, number_key(*id), record.to_vec()));
        self.write(writes.collect()).await
    }

    async fn load_prekey(&self, id: u32) -> Result<Option<Bytes>> {
        Ok(self.get(PREKEY, &number_key(id)).await?.map(Bytes::from))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>> {
        let keys: Vec<String> = ids.iter().map(|id| number_key(*id)).collect();
        let mut found: HashMap<u32, Bytes> = HashMap::with_capacity(ids.len());
        for (key, record) in self.get_many(PREKEY, &keys).await? {
            found.insert(key_number(&key)?, Bytes::from(record));
        }
        Ok(ids.iter().filter_map(|id| found.remove(id).map(|record| (*id, record))).collect())
    }

    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> Result<()> {
        // The library never reads which ones were uploaded; it counts in its device record.
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> Result<()> {
        self.remove(PREKEY, &number_key(id)).await
    }

    async fn get_max_prekey_id(&self) -> Result<u32> {
        let keys = self.scan(PREKEY, "").await?;
        keys.iter().map(|(key, _)| key_number(key)).try_fold(0, |max, id| Ok(max.max(id?)))
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> Result<()> {
        self.put(SIGNED_PREKEY, &number_key(id), record.to_vec()).await
    }

    async fn load_signed_prekey(&self, id: u32) -> Result<Option<Vec<u8>>> {
        self.get(SIGNED_PREKEY, &number_key(id)).await
    }

    async fn load_all_signed_prekeys(&self) -> Result<Vec<(u32, Vec<u8>)>> {
        let keys = self.scan(SIGNED_PREKEY, "").await?;
        keys.into_iter().map(|(key, record)| Ok((key_number(&key)?, record))).collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> Result<()> {
        self.remove(SIGNED_PREKEY, &number_key(id)).await
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> Result<()> {
        self.put(SENDER_KEY, address, record.to_vec()).await
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> Result<()> {
        let writes = sender_keys.iter().map(|(at, record)| put(SENDER_KEY, &**at, record.to_vec()));
        self.write(writes.collect()).await
    }

    async fn get_sender_key(&self, address: &str) -> Result<Option<Vec<u8>>> {
        self.get(SENDER_KEY, address).await
    }

    async fn delete_sender_key(&self, address: &str) -> Result<()> {
        self.remove(SENDER_KEY, address).await
    }
}
