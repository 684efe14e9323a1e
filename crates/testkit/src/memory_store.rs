//! The whole store in memory, for tests under paused time, where no database works.
//!
//! It is plain on purpose: one lock around vectors and maps, and every rule spelt out in the most
//! direct way. It passes the same suite as the databases (`crate::store_conformance`).

mod accounts;
mod devices;
mod messages;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use domain::account::{Account, Key};
use domain::device::Device;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::key::KeyHash;
use domain::message::{Message, whole_millis as stored};
use domain::plan::Plan;
use domain::policy::quota::{Period, Usage};
use domain::ports::{Page, SessionStore, SessionWrite, Store, StoreResult};
use jiff::Timestamp;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_id: i64,
    last_message_id: i64,
    plans: BTreeMap<String, Plan>,
    accounts: BTreeMap<AccountId, Account>,
    usage: BTreeMap<AccountId, Usage>,
    keys: Vec<(KeyHash, Key)>,
    devices: Vec<Device>,
    waiting: BTreeMap<MessageId, (Message, Period)>,
    history: BTreeMap<MessageId, Message>,
    idempotency: HashMap<(AccountId, String, String), Remembered>,
    contacts: BTreeMap<(DeviceId, String), Timestamp>,
    session: BTreeMap<(DeviceId, &'static str, String), Vec<u8>>,
    settings: BTreeMap<String, Vec<u8>>,
    known: BTreeSet<(DeviceId, String, String)>,
}

#[derive(Debug, Clone)]
struct Remembered {
    request_hash: [u8; 32],
    ids: Vec<MessageId>,
    at: Timestamp,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store with the built-in plans.
    pub fn new() -> Self {
        let plans = Plan::built_in().into_iter().map(|plan| (plan.name.clone(), plan)).collect();
        Self(Mutex::new(State { plans, ..State::default() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics inside the store")
    }
}

impl State {
    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    fn next_message_id(&mut self) -> MessageId {
        self.last_message_id += 1;
        MessageId(self.last_message_id)
    }
}

/// A time as a database keeps it: whole milliseconds.
fn page_of<T>(mut items: Vec<T>, limit: u32) -> Page<T> {
    let limit = usize::try_from(limit).expect("a small limit");
    let has_more = items.len() > limit;
    items.truncate(limit);
    Page { items, has_more }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn session_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>> {
        Ok(self.state().session.get(&(device, space, key.to_owned())).cloned())
    }

    async fn session_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        let all = self.session_scan(device, space, "").await?;
        Ok(all.into_iter().filter(|(key, _)| keys.contains(key)).collect())
    }

    async fn session_scan(
        &self,
        device: DeviceId,
        space: &'static str,
        prefix: &str,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        let state = self.state();
        let entries = state.session.iter().filter(|((owner, its_space, key), _)| {
            *owner == device && *its_space == space && key.starts_with(prefix)
        });
        Ok(entries.map(|((_, _, key), value)| (key.clone(), value.clone())).collect())
    }

    async fn session_write(&self, device: DeviceId, writes: Vec<SessionWrite>) -> StoreResult<()> {
        let mut state = self.state();
        for SessionWrite { space, key, value } in writes {
            match value {
                Some(value) => state.session.insert((device, space, key), value),
                None => state.session.remove(&(device, space, key)),
            };
        }
        Ok(())
    }

    async fn session_clear(&self, device: DeviceId) -> StoreResult<()> {
        self.state().session.retain(|(owner, ..), _| *owner != device);
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn setting(&self, name: &str, make: Vec<u8>) -> StoreResult<Vec<u8>> {
        Ok(self.state().settings.entry(name.to_owned()).or_insert(make).clone())
    }
}
