//! The protocol library's state of one device, kept in our own store.
//!
//! The library wants five traits; all of them are implemented here over
//! [`ProtocolStore`]'s spaces of keys and values. Invariants:
//!
//! - one [`DeviceState`] belongs to one device, and nothing here reads another device's entries;
//! - what the library writes in one call becomes one `protocol_write`, so it is stored whole
//!   or not at all, and durable when the call returns;
//! - when decrypted messages cannot be stored, the state *breaks*: it accepts no further write, so that
//!   what is stored stays as it was before them and can decrypt them when they come again;
//! - what decrypted a message is never durable before the message: the library writes both at the same
//!   time, and a database with several commits under way keeps no order between them;
//! - what must be read, changed and written is done under `rmw`, since several of the library's
//!   tasks work on one device at once.

mod app_sync;
pub(crate) mod device;
mod protocol;
pub(crate) mod secrets;
mod signal;
mod tokens;

#[cfg(test)]
mod conformance;

use std::sync::Arc;

use domain::ids::DeviceId;
use domain::ports::{ProtocolStore, ProtocolWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, RwLock, watch};
use wacore::store::error::{Result, StoreError};

use self::app_sync::SyncRounds;
use self::tokens::Tokenless;
use crate::identities::IdentityReporter;
use crate::missed::Missed;
use crate::outage::Outage;
use crate::stanzas::SentStanzas;

/// Between the parts of a key; in no JID and no message id.
const SEPARATOR: char = '|';

/// The state of one device.
pub(crate) struct DeviceState {
    sessions: Arc<dyn ProtocolStore>,
    device: DeviceId,
    /// Held from reading an entry until its changed form is written.
    rmw: Mutex<()>,
    /// Held together while decrypted messages are stored, alone for every other write: that one may hold
    /// what decrypted them, so it waits until they are stored, and for their failure.
    order: RwLock<()>,
    broken: watch::Sender<bool>,
    outage: Outage,
    stanzas: Arc<SentStanzas>,
    rounds: SyncRounds,
    reporter: IdentityReporter,
    tokenless: Tokenless,
    missed: Missed,
}

impl DeviceState {
    /// The state of `device` in `sessions`.
    pub(crate) fn new(
        sessions: Arc<dyn ProtocolStore>,
        device: DeviceId,
        outage: Outage,
        stanzas: Arc<SentStanzas>,
        reporter: IdentityReporter,
        missed: Missed,
    ) -> Self {
        let broken = watch::Sender::new(false);
        let (rmw, order) = (Mutex::new(()), RwLock::new(()));
        let (rounds, tokenless) = (SyncRounds::default(), Tokenless::default());
        Self {
            sessions,
            device,
            rmw,
            order,
            broken,
            outage,
            stanzas,
            rounds,
            reporter,
            tokenless,
            missed,
        }
    }

    /// Becomes true when the state has broken: its client must be replaced by a new one, which starts
    /// from what is stored.
    pub(crate) fn broken(&self) -> watch::Receiver<bool> {
        self.broken.subscribe()
    }

    /// Becomes true when a synchronisation of app state that did not settle was ended.
    pub(crate) fn unsettled(&self) -> watch::Receiver<bool> {
        self.rounds.has_ended()
    }

    /// Refuses every later write.
    pub(crate) fn seal(&self) {
        self.broken.send_replace(true);
    }

    /// An error of the store, in the library's words.
    fn failed(&self, error: domain::error::StoreError) -> StoreError {
        self.outage.note(&error);
        match error {
            domain::error::StoreError::Unavailable(_) => StoreError::Connection(Box::new(error)),
            domain::error::StoreError::Fault(_) | domain::error::StoreError::NotOwner => {
                StoreError::Database(Box::new(error))
            }
        }
    }

    async fn get(&self, space: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
        self.sessions
            .protocol_get(self.device, space, key)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn get_json<T: DeserializeOwned>(
        &self,
        space: &'static str,
        key: &str,
    ) -> Result<Option<T>> {
        self.get(space, key).await?.map(|bytes| from_json(&bytes)).transpose()
    }

    async fn get_many(
        &self,
        space: &'static str,
        keys: &[String],
    ) -> Result<Vec<(String, Vec<u8>)>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.sessions
            .protocol_get_many(self.device, space, keys)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn scan(&self, space: &'static str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        self.sessions
            .protocol_scan(self.device, space, prefix)
            .await
            .map_err(|error| self.failed(error))
    }

    async fn write(&self, writes: Vec<ProtocolWrite>) -> Result<()> {
        let _alone = self.order.write().await;
        self.commit(writes).await
    }

    async fn commit(&self, writes: Vec<ProtocolWrite>) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        if *self.broken.borrow() {
            return Err(StoreError::Validation("this state accepts no more writes".to_owned()));
        }
        self.sessions.protocol_write(self.device, writes).await.map_err(|error| self.failed(error))
    }

    async fn put(&self, space: &'static str, key: &str, value: Vec<u8>) -> Result<()> {
        self.write(vec![put(space, key, value)]).await
    }

    async fn remove(&self, space: &'static str, key: &str) -> Result<()> {
        self.write(vec![remove(space, key)]).await
    }
}

fn put(space: &'static str, key: impl Into<String>, value: Vec<u8>) -> ProtocolWrite {
    ProtocolWrite { space, key: key.into(), value: Some(value) }
}

fn remove(space: &'static str, key: impl Into<String>) -> ProtocolWrite {
    ProtocolWrite { space, key: key.into(), value: None }
}

/// Joins the parts of a key. The last part may hold anything, the others no separator.
fn join(parts: &[&str]) -> String {
    parts.join("|")
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(Box::new(error)))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Serialization(Box::new(error)))
}

/// An entry that is not what this version writes.
fn damaged(what: &str) -> StoreError {
    StoreError::Validation(format!("a stored {what} is damaged"))
}

/// Puts a time (Unix seconds) in front of a value.
fn stamped(at_s: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    bytes.extend_from_slice(&at_s.to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Takes apart what [`stamped`] made.
fn unstamped(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (at_s, value) = bytes.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*at_s), value))
}
