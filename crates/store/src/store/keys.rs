//! The port of account keys and device tokens.

use std::sync::Arc;

use async_trait::async_trait;
use domain::account::{Key, KeyRights};
use domain::ids::{AccountId, DeviceId, KeyId};
use domain::key::KeyHash;
use domain::ports::{CreatedKey, KeyHolder, KeyStore, NewKey, Page, PageRequest, StoreResult};
use jiff::Timestamp;

use super::SqlStore;
use crate::keys;

#[async_trait]
impl KeyStore for SqlStore {
    async fn key_holder(&self, hash: &KeyHash) -> StoreResult<Option<Arc<KeyHolder>>> {
        let hash = *hash;
        let holders = &self.cache().holders;
        let generation = match holders.get(&hash) {
            Ok(holder) => return Ok(Some(holder)),
            Err(generation) => generation,
        };
        let holder = self.read(move |tx| Box::pin(keys::key_holder(tx, hash))).await?.map(Arc::new);
        if let Some(holder) = &holder {
            holders.fill(generation, hash, holder.clone());
        }
        Ok(holder)
    }

    async fn create_key(
        &self,
        account: AccountId,
        key: NewKey,
        rights: KeyRights,
        now: Timestamp,
    ) -> StoreResult<CreatedKey> {
        run!(self.write, keys::create_key, account, key, rights, now)
    }

    async fn note_key_uses(&self, uses: &[(KeyId, Timestamp)]) -> StoreResult<()> {
        let uses = uses.to_vec();
        run!(self.write, keys::note_uses, uses)
    }

    async fn keys(&self, account: AccountId, page: PageRequest) -> StoreResult<Page<Key>> {
        run!(self.read, keys::keys, account, page)
    }

    async fn delete_key(&self, account: AccountId, id: KeyId) -> StoreResult<bool> {
        run!(self.write, keys::delete_key, account, id)
    }

    async fn replace_device_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: NewKey,
        now: Timestamp,
    ) -> StoreResult<bool> {
        run!(self.write, keys::replace_device_token, account, device, token, now)
    }
}
