//! Secrets of single messages, with which reactions and edits to them are read.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore::store::error::Result;
use wacore::store::traits::{
    MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::{DeviceState, damaged, join, put, remove};

const MESSAGE_SECRET: &str = "message_secret";
/// Where secrets are stored; the library removes those whose time is over.
pub(crate) const SPACE: &str = MESSAGE_SECRET;

/// Under what the secret of a poll is stored.
pub(crate) fn poll_key(creator: &str, id: &str) -> String {
    join(&["poll", creator, id])
}

/// A secret as it is stored.
pub(crate) fn encoded(secret: [u8; 32], expires_at_s: i64, message_at_s: i64) -> Vec<u8> {
    Secret { secret, expires_at_s, message_at_s }.encode()
}

/// A stored secret.
pub(crate) fn secret(bytes: &[u8]) -> Option<[u8; 32]> {
    Secret::decode(bytes).ok().map(|stored| stored.secret)
}

/// A stored secret: 32 bytes, its deadline and its message's time, both big-endian Unix seconds.
struct Secret {
    secret: [u8; 32],
    expires_at_s: i64,
    message_at_s: i64,
}

impl Secret {
    fn encode(&self) -> Vec<u8> {
        let times = [self.expires_at_s.to_be_bytes(), self.message_at_s.to_be_bytes()];
        [self.secret.as_slice(), &times[0], &times[1]].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let parts = || {
            let (secret, rest) = bytes.split_first_chunk::<32>()?;
            let (expires_at_s, rest) = rest.split_first_chunk::<8>()?;
            Some((*secret, *expires_at_s, rest.try_into().ok()?))
        };
        let (secret, expires_at_s, message_at_s) =
            parts().ok_or_else(|| damaged("message secret"))?;
        Ok(Self {
            secret,
            expires_at_s: i64::from_be_bytes(expires_at_s),
            message_at_s: i64::from_be_bytes(message_at_s),
        })
    }

    /// A deadline never gets earlier and a known time is never lost.
    fn merge(&mut self, newer: &Self) {
        self.secret = newer.secret;
        self.expires_at_s = merge_msg_secret_expiry(self.expires_at_s, newer.expires_at_s);
        self.message_at_s = merge_msg_secret_message_ts(self.message_at_s, newer.message_at_s);
    }
}

#[async_trait]
impl MsgSecretStore for DeviceState {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let _guard = self.rmw.lock().await;
        let keys: Vec<String> =
            entries.iter().map(|e| join(&[&e.chat, &e.sender, &e.msg_id])).collect();
        let mut merged: HashMap<String, Secret> = HashMap::with_capacity(keys.len());
        for (key, bytes) in self.get_many(MESSAGE_SECRET, &keys).await? {
            merged.insert(key, Secret::decode(&bytes)?);
        }
        for (key, entry) in keys.into_iter().zip(&entries) {
            let newer = Secret {
                secret: entry.secret,
                expires_at_s: entry.expires_at,
                message_at_s: entry.message_ts,
            };
            merged.entry(key).and_modify(|secret| secret.merge(&newer)).or_insert(newer);
        }
        let writes = merged.into_iter().map(|(key, s)| put(MESSAGE_SECRET, key, s.encode()));
        self.write(writes.collect()).await?;
        Ok(entries.len())
    }

    async fn get_msg_secret(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<Vec<u8>>> {
        let found = self.get_msg_secret_with_ts(chat, sender, msg_id).await?;
        Ok(found.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let Some(bytes) = self.get(MESSAGE_SECRET, &join(&[chat, sender, msg_id])).await? else {
            return Ok(None);
        };
        let secret = Secret::decode(&bytes)?;
        Ok(Some((secret.secret.to_vec(), secret.message_at_s)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        let _guard = self.rmw.lock().await;
        let mut writes = Vec::new();
        for (key, bytes) in self.scan(MESSAGE_SECRET, "").await? {
            let expires_at_s = Secret::decode(&bytes)?.expires_at_s;
            if expires_at_s != 0 && expires_at_s <= cutoff_timestamp {
                writes.push(remove(MESSAGE_SECRET, key));
            }
        }
        let count = writes.len() as u32;
        self.write(writes).await?;
        Ok(count)
    }
}
