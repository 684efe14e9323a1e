//! A store that can fail or be slow, and that signals writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::account::{Account, AccountPatch, Key, KeyRights, NewAccount};
use domain::audit::{AuditEntry, NewAuditEntry};
use domain::call::CallReport;
use domain::chat::{Chat, ChatFacts, ChatId};
use domain::contact::{Identity, KnownPerson, Spelling};
use domain::context::MessageName;
use domain::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, Heartbeats, NewDevice, StatusChange,
};
use domain::error::StoreError;
use domain::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use domain::group::GroupReport;
use domain::ids::{
    AccountId, DeliveryId, DeviceId, KeyId, MessageId, NodeId, PortalLinkId, UserId, WebhookId,
    WhatsappId,
};
use domain::incoming_file::{FileOutcome, IncomingFile};
use domain::key::KeyHash;
use domain::leases::Leases;
use domain::message::{IncomingMessage, Message, MessageState, Receipt};
use domain::node::{Fleet, NewNode, Node, NodeAddress, OwnedDevice, OwnedWebhook, Registration};
use domain::person::{Invitation, Link, Role, Session, User};
use domain::phone::PhoneNumber;
use domain::plan::Plan;
use domain::policy::quota::Usage;
use domain::policy::rate::{RateState, Taken};
use domain::portal::PortalLink;
use domain::ports::{
    Acceptance, Accepted, AccountRefusal, AccountStore, AuditStore, ChatFilter, ChatStore,
    CountedPage, CreatedDevice, CreatedKey, CreatedUser, DeviceStore, FactorProof, FileStore,
    FormClaim, FormHash, GrantStore, HourUsage, IdempotencyKey, KeyHolder, KeyStore, LoadedOutbox,
    MessageBatch, MessageCounts, MessageFilter, MessageStore, MovedDevice, NewKey, NewLink,
    NewPortalLink, NewSession, NewUser, NodeStore, OldMessage, OutboxEntry, Page, PageRequest,
    PeopleStore, PortalStore, Progress, ProtocolStore, ProtocolWrite, Recorded, SecondFactor,
    Store, StoreResult, WebhookStore,
};
use domain::request_file::WaitingFile;
use domain::webhook::{
    CreatedWebhook, Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, Event, NewWebhook,
    ReplayRange, SealNewSecret, Webhook, WebhookPatch,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Everything works.
    None,
    /// Writes fail, as when a disk is full.
    Writes,
    /// Every call fails.
    All,
    /// One call fails, by its name in the port.
    Call(&'static str),
}

/// A store that wraps another one.
pub struct FlakyStore {
    inner: Arc<dyn Store>,
    outage: Mutex<(Outage, Duration)>,
    writes: watch::Sender<u64>,
    are_writes_held: watch::Sender<bool>,
    calls: watch::Sender<HashMap<&'static str, usize>>,
}

impl FlakyStore {
    /// Wraps `inner`; every call works.
    pub fn before(inner: Arc<dyn Store>) -> Self {
        let outage = Mutex::new((Outage::None, Duration::ZERO));
        let (writes, calls) = (watch::Sender::new(0), watch::Sender::default());
        Self { inner, outage, writes, are_writes_held: watch::Sender::new(false), calls }
    }

    /// Sets which calls fail from now on.
    pub fn fail(&self, outage: Outage) {
        self.outage.lock().0 = outage;
    }

    /// Sets the duration of writes from now on.
    pub fn writes_take(&self, duration: Duration) {
        self.outage.lock().1 = duration;
    }

    /// Counts what was written.
    pub fn writes(&self) -> watch::Receiver<u64> {
        self.writes.subscribe()
    }

    /// Holds every write back, before it reaches the store, or lets them go on.
    pub fn hold_writes(&self, are_held: bool) {
        self.are_writes_held.send_replace(are_held);
    }

    /// How often the store was asked for `call`, the name of a port's function.
    pub fn calls(&self, call: &str) -> usize {
        self.calls.borrow().get(call).copied().unwrap_or_default()
    }

    /// Waits until the store was asked `n` times for `call`.
    ///
    /// # Panics
    /// When that does not happen within an hour; with paused time that is no time at all.
    pub async fn until_called(&self, call: &str, n: usize) {
        let mut calls = self.calls.subscribe();
        let is_called = |calls: &HashMap<_, _>| calls.get(call).copied().unwrap_or_default() >= n;
        let hour = Duration::from_secs(3_600);
        let waited = tokio::time::timeout(hour, calls.wait_for(is_called)).await;
        assert!(waited.is_ok_and(|called| called.is_ok()), "{call} is called within an hour");
    }

    async fn check(&self, call: &'static str, is_write: bool) -> StoreResult<()> {
        self.calls.send_modify(|calls| *calls.entry(call).or_default() += 1);
        let (outage, takes) = *self.outage.lock();
        if is_write && !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        if is_write {
            // The sender lives as long as the store.
            let _ = self.are_writes_held.subscribe().wait_for(|are_held| !are_held).await;
        }
        match outage {
            Outage::Call(name) if name == call => Err(StoreError::Unavailable("scripted".into())),
            Outage::All => Err(StoreError::Unavailable("scripted".into())),
            Outage::Writes if is_write => Err(StoreError::Unavailable("scripted: full".into())),
            Outage::None | Outage::Writes | Outage::Call(_) => Ok(()),
        }
    }
}

macro_rules! delegate {
    ($port:ident {
        $(= $at_once:ident($($given:ident: $of:ty),*) -> $value:ty;)*
        $($kind:ident $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*
    }) => {
        #[async_trait]
        impl $port for FlakyStore {
            $(fn $at_once(&self, $($given: $of),*) -> $value {
                self.inner.$at_once($($given),*)
            })*

            $(async fn $name(&self, $($arg: $type),*) -> StoreResult<$answer> {
                let is_write = stringify!($kind) == "write";
                self.check(stringify!($name), is_write).await?;
                let answer = self.inner.$name($($arg),*).await;
                if is_write {
                    self.writes.send_modify(|n| *n += 1);
                }
                answer
            })*
        }
    };
}

delegate!(AccountStore {
    write create_account(
        account: NewAccount, key: NewKey, now: Timestamp
    ) -> Result<Account, AccountRefusal>;
    read account(id: AccountId) -> Option<Account>;
    read accounts(page: PageRequest) -> Page<Account>;
    write update_account(
        id: AccountId, patch: AccountPatch
    ) -> Option<Result<Account, AccountRefusal>>;
    write delete_account(id: AccountId) -> bool;
    read plans() -> Vec<Plan>;
    read accounts_of_plan(name: &str) -> i64;
    write put_plan(plan: Plan) -> ();
    write delete_plan(name: &str) -> bool;
    read usage(id: AccountId) -> Usage;
});

delegate!(KeyStore {
    read key_holder(hash: &KeyHash) -> Option<Arc<KeyHolder>>;
    write create_key(
        account: AccountId, key: NewKey, rights: KeyRights, now: Timestamp
    ) -> CreatedKey;
    write note_key_uses(uses: &[(KeyId, Timestamp)]) -> ();
    read keys(account: AccountId, page: PageRequest) -> Page<Key>;
    write delete_key(account: AccountId, id: KeyId) -> bool;
    write replace_device_token(
        account: AccountId, device: DeviceId, token: NewKey, now: Timestamp
    ) -> bool;
});

delegate!(DeviceStore {
    = known_device(account: AccountId, id: DeviceId) -> Option<Arc<Device>>;
    = known_devices(account: AccountId, filter: &DeviceFilter) -> Option<Vec<Arc<Device>>>;
    write create_device(
        device: NewDevice, token: NewKey, limit: Option<i64>, now: Timestamp
    ) -> CreatedDevice;
    read device(account: AccountId, id: DeviceId) -> Option<Arc<Device>>;
    read device_exists(id: DeviceId) -> bool;
    read devices(account: AccountId, page: PageRequest) -> Page<Device>;
    read device_by_id(id: DeviceId) -> Option<Arc<Device>>;
    read all_devices() -> Vec<Device>;
    write update_device(account: AccountId, id: DeviceId, patch: DevicePatch) -> Option<Device>;
    write restrict_device(
        id: DeviceId, until: Option<Timestamp>, now: Timestamp
    ) -> Option<MovedDevice>;
    write beat(devices: &[DeviceId], at: Timestamp) -> ();
    read heartbeats(account: AccountId, id: DeviceId, since: Timestamp) -> Vec<Heartbeats>;
    write set_device_status(id: DeviceId, change: &StatusChange) -> Option<MovedDevice>;
    read find_devices(account: AccountId, filter: &DeviceFilter, limit: u32) -> Vec<Device>;
    read devices_to_choose(account: AccountId, limit: u32) -> Vec<Device>;
    read count_devices(account: Option<AccountId>) -> Vec<(DeviceStatus, i64)>;
    write delete_device(
        account: AccountId, id: DeviceId, now: Timestamp
    ) -> Option<Vec<Recorded>>;
});

delegate!(ChatStore {
    read chats(account: AccountId, filter: &ChatFilter, page: PageRequest) -> Page<Chat>;
    write mark_read(account: AccountId, ids: &[MessageId], at: Timestamp) -> Vec<Message>;
    write report_call(device: DeviceId, call: &CallReport) -> Vec<Event>;
    write report_group(device: DeviceId, report: &GroupReport) -> Vec<Event>;
    write describe_chat(device: DeviceId, chat: &ChatId, facts: &ChatFacts) -> bool;
    read is_described(device: DeviceId, chat: &ChatId) -> Option<bool>;
    read people_known(
        account: AccountId, device: Option<DeviceId>, page: PageRequest
    ) -> Page<KnownPerson>;
    read oldest_message(account: AccountId, device: DeviceId, chat: &ChatId) -> Option<Message>;
    write receive_history(
        device: DeviceId, messages: Vec<IncomingMessage>, now: Timestamp
    ) -> u64;
});

delegate!(MessageStore {
    write accept(acceptance: Acceptance) -> Accepted;
    read repeated(account: AccountId, key: &IdempotencyKey, now: Timestamp) -> Option<Accepted>;
    read outbox() -> Vec<OutboxEntry>;
    read outbox_of(account: AccountId, device: DeviceId) -> Vec<OutboxEntry>;
    read waiting_message(id: MessageId) -> Option<Message>;
    write record(progress: Vec<Progress>) -> Vec<Recorded>;
    read inline_media(id: MessageId) -> Option<WaitingFile>;
    read counted_messages(
        account: AccountId, filter: &MessageFilter, offset: u32, limit: u32
    ) -> CountedPage<Message>;
    read count_batch(
        account: AccountId, batch: MessageBatch, now: Timestamp
    ) -> Vec<(MessageState, i64)>;
    read message_counts(account: AccountId, device: DeviceId) -> MessageCounts;
    write record_receipts(
        device: DeviceId, ids: &[WhatsappId], receipt: Receipt, at: Timestamp
    ) -> Vec<Recorded>;
    write receive(
        device: DeviceId, messages: Vec<IncomingMessage>, now: Timestamp
    ) -> Vec<Recorded>;
    write identify(
        device: DeviceId, identities: Vec<Identity>, now: Timestamp
    ) -> Vec<Event>;
    write spell(device: DeviceId, spelling: Spelling) -> ();
    read number_of(account: AccountId, chat: &ChatId) -> Option<PhoneNumber>;
    write add_contacts(device: DeviceId, chats: Vec<ChatId>) -> ();
    read message(account: AccountId, id: MessageId) -> Option<Message>;
    read message_named(
        account: AccountId, device: DeviceId, name: &MessageName
    ) -> Option<Message>;
    read has_message(device: DeviceId, id: &WhatsappId) -> bool;
    read messages(
        account: AccountId, filter: &MessageFilter, page: PageRequest
    ) -> Page<Message>;
    read usage_by_hour(
        account: AccountId, device: Option<DeviceId>, since: Timestamp
    ) -> Vec<HourUsage>;
    read contacts(device: DeviceId, since: Timestamp) -> (Vec<ChatId>, u32);
    write clean_up(now: Timestamp, keep_messages_since: Timestamp) -> u64;
    read old_messages(since: Timestamp) -> Vec<OldMessage>;
    write delete_messages(ids: &[MessageId]) -> u64;
    write delete_old_messages(since: Timestamp) -> u64;
});

delegate!(FileStore {
    read file(account: AccountId, message: MessageId) -> Option<IncomingFile>;
    read due_files(
        now: Timestamp, per_account: u32, except: &[MessageId]
    ) -> Vec<IncomingFile>;
    read next_file_due(now: Timestamp) -> Option<Timestamp>;
    write request_file(account: AccountId, message: MessageId, now: Timestamp) -> ();
    write hasten_files(device: DeviceId, now: Timestamp) -> bool;
    write record_file(
        message: MessageId, outcome: FileOutcome, account_max: u64, now: Timestamp
    ) -> Option<Vec<IncomingFile>>;
    read stored_files(messages: &[MessageId]) -> Vec<MessageId>;
    read waiting_files(keys: &[String]) -> Vec<String>;
    write expire_files(before: Timestamp, account_max: u64) -> Vec<IncomingFile>;
});

delegate!(WebhookStore {
    write create_webhook(
        webhook: NewWebhook, seal: SealNewSecret, now: Timestamp
    ) -> CreatedWebhook;
    read webhook(account: AccountId, id: WebhookId) -> Option<Webhook>;
    read webhooks(
        account: AccountId, device: Option<DeviceId>, page: PageRequest
    ) -> Page<Webhook>;
    read active_webhooks() -> Vec<Webhook>;
    write update_webhook(
        account: AccountId, id: WebhookId, patch: WebhookPatch
    ) -> Option<Webhook>;
    write delete_webhook(account: AccountId, id: WebhookId) -> bool;
    read pending_deliveries(
        webhook: WebhookId, except: &[DeliveryId], limit: u32
    ) -> Page<Delivery>;
    write record_deliveries(outcomes: Vec<DeliveryOutcome>) -> ();
    read deliveries(
        account: AccountId, webhook: WebhookId, state: Option<DeliveryState>, page: PageRequest
    ) -> Page<Delivery>;
    read failed_webhooks(account: AccountId, after: Timestamp) -> Vec<WebhookId>;
    read delivery_tries(
        account: AccountId, webhook: WebhookId, delivery: DeliveryId
    ) -> Vec<DeliveryTry>;
    write replay_delivery(
        account: AccountId, webhook: WebhookId, delivery: DeliveryId, now: Timestamp
    ) -> Option<Delivery>;
    read count_replayable(
        account: AccountId, webhook: WebhookId, range: ReplayRange, limit: u32
    ) -> u32;
    write replay_since(
        account: AccountId, webhook: WebhookId, range: ReplayRange, limit: u32, now: Timestamp
    ) -> u32;
    write clean_up_deliveries(delivered_since: Timestamp, dead_since: Timestamp) -> u64;
});

delegate!(GrantStore {
    write add_grant(grant: NewGrant, now: Timestamp) -> Option<Grant>;
    read grants(account: AccountId) -> Vec<Grant>;
    write create_vouchers(vouchers: Vec<NewVoucher>, now: Timestamp) -> ();
    write redeem_voucher(
        account: AccountId, device: DeviceId, code: &KeyHash, now: Timestamp
    ) -> Redeemed;
});

delegate!(PeopleStore {
    write create_user(user: NewUser, now: Timestamp) -> CreatedUser;
    read user_by_email(email: &str) -> Option<(User, String)>;
    read users(account: Option<AccountId>) -> Vec<User>;
    write delete_user(account: Option<AccountId>, id: UserId) -> bool;
    write set_role(account: AccountId, id: UserId, role: Role) -> bool;
    write set_password(id: UserId, password: &str, kept: Option<KeyHash>) -> bool;
    write reset_password(hash: KeyHash, password: &str, now: Timestamp) -> Option<User>;
    write create_link(link: NewLink, now: Timestamp) -> bool;
    read invitations(account: Option<AccountId>, now: Timestamp) -> Vec<Invitation>;
    write delete_invitation(account: Option<AccountId>, hash: KeyHash) -> Option<Link>;
    read link(hash: KeyHash, now: Timestamp) -> Option<Link>;
    write take_link(hash: KeyHash, now: Timestamp) -> Option<Link>;
    write join(hash: KeyHash, email: &str, password: &str, now: Timestamp) -> Option<CreatedUser>;
    write create_session(session: NewSession, now: Timestamp) -> ();
    read session(hash: KeyHash) -> Option<Session>;
    write touch_session(hash: KeyHash, now: Timestamp) -> ();
    write enter_account(hash: KeyHash, account: Option<AccountId>) -> ();
    write delete_session(hash: KeyHash) -> ();
    read second_factor(user: UserId) -> Option<SecondFactor>;
    write set_second_factor(user: UserId, factor: SecondFactor) -> bool;
    write use_second_factor(user: UserId, proof: FactorProof) -> bool;
    write delete_second_factor(user: UserId) -> bool;
    write claim_form(form: FormHash, node: Option<NodeId>, now: Timestamp) -> FormClaim;
    write release_form(form: FormHash) -> ();
});

delegate!(PortalStore {
    write create_portal_link(link: NewPortalLink, now: Timestamp) -> Option<PortalLink>;
    read portal_links(
        account: AccountId, device: DeviceId, now: Timestamp
    ) -> Vec<PortalLink>;
    read portal_link(hash: KeyHash, now: Timestamp) -> Option<PortalLink>;
    write delete_portal_link(account: AccountId, device: DeviceId, id: PortalLinkId) -> bool;
});

delegate!(AuditStore {
    write write_audit(entry: NewAuditEntry, now: Timestamp) -> ();
    read audit(account: Option<AccountId>, page: PageRequest) -> Page<AuditEntry>;
});

delegate!(NodeStore {
    = leases() -> Arc<Leases>;
    write register_node(node: &NewNode, lease: Duration) -> Registration;
    write renew_node(registration: Registration, lease: Duration) -> bool;
    read fleet(registration: Registration) -> Option<Fleet>;
    read nodes() -> Vec<Node>;
    write drain_node(id: NodeId, devices_per_s: Option<u32>) -> bool;
    write remove_node(id: NodeId) -> bool;
    write leave_node(registration: Registration) -> ();
    write claim_devices(registration: Registration, limit: u32) -> u64;
    read owned_devices(registration: Registration) -> Vec<OwnedDevice>;
    write release_devices(registration: Registration, devices: &[OwnedDevice]) -> ();
    write claim_webhooks(registration: Registration, limit: u32) -> u64;
    read owned_webhooks(registration: Registration) -> Vec<OwnedWebhook>;
    write release_webhooks(registration: Registration, webhooks: &[OwnedWebhook]) -> ();
    read owner_of(device: DeviceId) -> Option<NodeAddress>;
    read devices_by_id(devices: &[DeviceId]) -> Vec<Device>;
    read outbox_of_devices(devices: &[OwnedDevice]) -> LoadedOutbox;
    read outbox_since(seen: &[(AccountId, MessageId)]) -> LoadedOutbox;
    read database_time_ms() -> i64;
    write take_requests(
        subject: &str, limit: i64, wanted: i64, now: Timestamp
    ) -> Result<Taken, RateState>;
});

delegate!(ProtocolStore {
    read protocol_get(device: DeviceId, space: &'static str, key: &str) -> Option<Vec<u8>>;
    read protocol_get_many(
        device: DeviceId, space: &'static str, keys: &[String]
    ) -> Vec<(String, Vec<u8>)>;
    read protocol_scan(
        device: DeviceId, space: &'static str, prefix: &str
    ) -> Vec<(String, Vec<u8>)>;
    write protocol_write(device: DeviceId, writes: Vec<ProtocolWrite>) -> ();
    write protocol_clear(device: DeviceId) -> ();
});

delegate!(Store {
    read ping() -> ();
    write setting(name: &str, make: Vec<u8>) -> Vec<u8>;
    write discard_waiting(account: AccountId, device: DeviceId) -> ();
    write replace_setting(name: &str, value: Vec<u8>) -> ();
});
