//! The whole store in memory, for tests under paused time, where no database works.
//!
//! It is plain on purpose: one lock around vectors and maps, and every rule spelt out in the most
//! direct way. It passes the same suite as the databases (`crate::store_conformance`).

mod access;
mod accounts;
mod chats;
mod devices;
mod files;
mod filters;
mod identities;
mod messages;
mod nodes;
mod people;
mod received;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use domain::account::{Account, Key};
use domain::audit::AuditEntry;
use domain::chat::{ChatFacts, ChatId, Lid};
use domain::device::Device;
use domain::grant::{Grant, NewVoucher};
use domain::ids::{AccountId, DeliveryId, DeviceId, GrantId, MessageId, NodeId, UserId};
use domain::key::KeyHash;
use domain::message::{Amendment, Message, whole_millis as stored};
use domain::person::{Session, User};
use domain::phone::PhoneNumber;
use domain::plan::Plan;
use domain::policy::quota::{Period, Usage};
use domain::portal::PortalLink;
use domain::ports::{
    FormHash, NewLink, PAGE_BYTES_MAX, Page, ProtocolStore, ProtocolWrite, SecondFactor, Store,
    StoreResult,
};
use domain::request_file::RequestFile;
use domain::webhook::{Delivery, DeliveryTry, Webhook};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last_ids: BTreeMap<&'static str, i64>,
    last_message_id: i64,
    plans: BTreeMap<String, Plan>,
    accounts: BTreeMap<AccountId, Account>,
    usage: BTreeMap<AccountId, Usage>,
    keys: Vec<(KeyHash, Key)>,
    devices: Vec<Device>,
    waiting: BTreeMap<MessageId, Waiting>,
    inline: BTreeMap<MessageId, RequestFile>,
    grants: Vec<(AccountId, Grant)>,
    /// Those that were not redeemed yet.
    vouchers: Vec<NewVoucher>,
    webhooks: Vec<Webhook>,
    deliveries: Vec<Delivery>,
    users: Vec<(User, String)>,
    /// Whose user is gone may be among them.
    sessions: Vec<Session>,
    second_factors: BTreeMap<UserId, SecondFactor>,
    tries: BTreeMap<DeliveryId, Vec<DeliveryTry>>,
    links: Vec<NewLink>,
    sent_forms: BTreeMap<FormHash, (Option<NodeId>, Timestamp)>,
    portal_links: Vec<(KeyHash, PortalLink)>,
    audit: Vec<AuditEntry>,
    last_audit_id: i64,
    history: BTreeMap<MessageId, Message>,
    files: BTreeMap<MessageId, files::KeptFile>,
    idempotency: HashMap<(AccountId, String, String), Remembered>,
    contacts: BTreeMap<(DeviceId, ChatId), Timestamp>,
    identities: BTreeMap<(DeviceId, Lid), PhoneNumber>,
    spellings: BTreeMap<(DeviceId, PhoneNumber), PhoneNumber>,
    chat_facts: BTreeMap<(DeviceId, ChatId), ChatFacts>,
    session: BTreeMap<(DeviceId, &'static str, String), Vec<u8>>,
    heartbeats: BTreeMap<(DeviceId, Timestamp), u64>,
    keeps_any_session: bool,
    settings: BTreeMap<String, Vec<u8>>,
    known: BTreeSet<(DeviceId, String, String)>,
    /// Changes whose messages have not come yet.
    early: Vec<(DeviceId, Amendment)>,
    nodes: nodes::Nodes,
}

/// A message that waits, and how it was paid for.
#[derive(Debug, Clone)]
struct Waiting {
    message: Message,
    period: Period,
    grant: Option<GrantId>,
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

    /// As [`MemoryStore::new`], and sessions are kept of devices that do not exist, too: for tests
    /// of the driver, which knows of nothing else.
    pub fn for_protocol() -> Self {
        let store = Self::new();
        store.state().keeps_any_session = true;
        store
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Each table counts for itself, as a database's do.
    fn next_id(&mut self, table: &'static str) -> i64 {
        let last = self.last_ids.entry(table).or_default();
        *last += 1;
        *last
    }

    fn next_message_id(&mut self) -> MessageId {
        self.last_message_id += 1;
        MessageId(self.last_message_id)
    }
}

/// Splits one item more than was asked for into a page.
fn page_of<T>(items: Vec<T>, limit: u32) -> Page<T> {
    page_within(items, limit, |_| 0)
}

/// The same, within [`PAGE_BYTES_MAX`].
fn page_within<T>(mut items: Vec<T>, limit: u32, bytes: impl Fn(&T) -> usize) -> Page<T> {
    let limit = usize::try_from(limit).expect("a small limit");
    let mut total = 0;
    let fitting = items.iter().take_while(|item| {
        total += bytes(item);
        total <= PAGE_BYTES_MAX
    });
    let end = fitting.count().max(1).min(limit);
    let has_more = items.len() > end;
    items.truncate(end);
    Page { items, has_more, looked_to: None }
}

#[async_trait]
impl ProtocolStore for MemoryStore {
    async fn protocol_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>> {
        Ok(self.state().session.get(&(device, space, key.to_owned())).cloned())
    }

    async fn protocol_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        let all = self.protocol_scan(device, space, "").await?;
        Ok(all.into_iter().filter(|(key, _)| keys.contains(key)).collect())
    }

    async fn protocol_scan(
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

    async fn protocol_write(
        &self,
        device: DeviceId,
        writes: Vec<ProtocolWrite>,
    ) -> StoreResult<()> {
        let mut state = self.state();
        state.fence(device)?;
        let is_known = state.devices.iter().any(|other| other.id == device);
        if !is_known && !state.keeps_any_session {
            return Ok(());
        }
        for ProtocolWrite { space, key, value } in writes {
            match value {
                Some(value) => state.session.insert((device, space, key), value),
                None => state.session.remove(&(device, space, key)),
            };
        }
        Ok(())
    }

    async fn protocol_clear(&self, device: DeviceId) -> StoreResult<()> {
        let mut state = self.state();
        state.fence(device)?;
        state.session.retain(|(owner, ..), _| *owner != device);
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn ping(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn discard_waiting(&self, account: AccountId, device: DeviceId) -> StoreResult<()> {
        let mut state = self.state();
        let of_device =
            |message: &Message| (message.account_id, message.device_id) == (account, device);
        state.waiting.retain(|_, waiting| !of_device(&waiting.message));
        Ok(())
    }

    async fn replace_setting(&self, name: &str, value: Vec<u8>) -> StoreResult<()> {
        self.state().settings.insert(name.to_owned(), value);
        Ok(())
    }

    async fn setting(&self, name: &str, make: Vec<u8>) -> StoreResult<Vec<u8>> {
        Ok(self.state().settings.entry(name.to_owned()).or_insert(make).clone())
    }
}
