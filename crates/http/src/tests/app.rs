//! A gateway with two customers, for the tests of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use domain::account::Caller;
use domain::chat::Lid;
use domain::device::{Device, DeviceStatus, LinkedNumber, StatusChange};
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::key::Secret;
use domain::message::MessageEvent;
use domain::phone::PhoneNumber;
use domain::plan::Plan;
use domain::ports::{Clock, Dispatcher, MessageFilter, PageRequest, Progress, Store};
use domain::request_file::blob_key_of;
use domain::service::{Core, CoreParts, NewAccountRequest, NewKeyRequest, Principal, SyncWait};
use jiff::Timestamp;
use prometheus::Registry;
use testkit::clock::ManualClock;
use testkit::entropy::SeededEntropy;
use testkit::fake_dispatcher::FakeDispatcher;
use testkit::fake_outbound::{FakeOutbound, ReversingCipher};
use testkit::flaky_store::FlakyStore;
use testkit::memory_blobs::MemoryBlobs;
use testkit::no_files::NoFiles;

use super::database::Database;
use crate::formats::Formats;
use crate::router::router;
use crate::state::{AppState, HttpConfig, ShutdownTrigger, shutdown};

pub(crate) const OPERATOR: &str = "gbo_the-operator-key-of-the-tests";
pub(crate) const ALL: PageRequest = PageRequest { before: None, limit: 100 };

/// A clock that can be made to panic, to see what becomes of a handler that does.
pub(crate) struct FragileClock {
    pub hands: ManualClock,
    pub is_broken: AtomicBool,
}

impl Clock for FragileClock {
    fn now(&self) -> Timestamp {
        assert!(!self.is_broken.load(Ordering::Relaxed), "the clock is broken");
        self.hands.now()
    }
}

/// A device with its token.
pub(crate) struct Linked {
    pub device: Device,
    pub token: String,
}

impl Linked {
    pub(crate) fn id(&self) -> DeviceId {
        self.device.id
    }
}

/// A customer with a key.
pub(crate) struct Customer {
    pub id: AccountId,
    pub key: String,
}

/// The gateway: `shop` has two linked devices and one that is not, `rival` has one.
pub(crate) struct App {
    pub router: Router,
    pub state: AppState,
    pub core: Arc<Core>,
    pub store: Arc<dyn Store>,
    /// The same store, which counts its calls.
    pub counting: Arc<FlakyStore>,
    pub dispatcher: Arc<FakeDispatcher>,
    pub outbound: Arc<FakeOutbound>,
    pub blobs: Arc<MemoryBlobs>,
    pub clock: Arc<FragileClock>,
    pub shop: Customer,
    pub front: Linked,
    pub back: Linked,
    pub unlinked: Linked,
    pub revoked: String,
    pub rival: Customer,
    pub theirs: Linked,
    pub shutdown: ShutdownTrigger,
    _database: Database,
}

impl App {
    /// With every dialect and the shop on `unlimited`.
    pub(crate) async fn new() -> Self {
        Self::with(HttpConfig::new(Some("http://gerbang.test")), "unlimited").await
    }

    pub(crate) async fn on_plan(plan: &str) -> Self {
        Self::with(HttpConfig::new(Some("http://gerbang.test")), plan).await
    }

    pub(crate) async fn with(config: HttpConfig, plan: &str) -> Self {
        Self::over(Database::new().await, config, plan).await
    }

    pub(crate) async fn over(database: Database, config: HttpConfig, plan: &str) -> Self {
        let config = HttpConfig { backups: Some(Arc::new(NoFiles)), ..config };
        let hands = ManualClock::default();
        let clock = Arc::new(FragileClock { hands, is_broken: AtomicBool::new(false) });
        let counting = Arc::new(FlakyStore::before(database.store.clone()));
        let store: Arc<dyn Store> = counting.clone();
        let dispatcher = Arc::new(FakeDispatcher::new(store.clone(), clock.clone()));
        let outbound = Arc::new(FakeOutbound::default());
        let blobs = Arc::new(MemoryBlobs::default());
        let core = Arc::new(Core::new(CoreParts {
            store: store.clone(),
            dispatcher: dispatcher.clone() as Arc<dyn Dispatcher>,
            outbound: outbound.clone(),
            formats: Arc::new(Formats),
            sealer: Arc::new(ReversingCipher),
            blobs: blobs.clone(),
            links: Arc::new(NoFiles),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            operator: Secret::new(OPERATOR).hash(),
            console: None,
            sync_wait: SyncWait::default(),
        }));
        for built_in in Plan::built_in() {
            store.put_plan(built_in).await.unwrap();
        }
        let roomy = Plan { device_limit: None, ..named_plan(plan) };
        store.put_plan(roomy).await.unwrap();
        let shop = customer(&core, "Shop", plan).await;
        let front = linked(&core, &*store, &shop, "front", "628111111111").await;
        let back = linked(&core, &*store, &shop, "back", "628222222222").await;
        let unlinked = device(&core, &*store, &shop, "unlinked").await;
        let principal = principal(&*store, &shop.key).await;
        let (key, revoked) = core.create_key(&principal, named("old")).await.unwrap();
        core.delete_key(&principal, key.id).await.unwrap();
        let rival = customer(&core, "Rival", "unlimited").await;
        let theirs = linked(&core, &*store, &rival, "theirs", "628333333333").await;
        let (trigger, down) = shutdown();
        let state = AppState::new(core.clone(), config, Registry::new(), down).unwrap();
        Self {
            router: router(state.clone()),
            state,
            core,
            store,
            counting,
            dispatcher,
            outbound,
            blobs,
            clock,
            shop,
            front,
            back,
            unlinked,
            revoked: revoked.reveal().to_owned(),
            rival,
            theirs,
            shutdown: trigger,
            _database: database,
        }
    }

    /// Everything of both customers and of the operator, to see that nothing changed.
    pub(crate) async fn everything(&self) -> String {
        let store = &self.store;
        let operators = (store.accounts(ALL).await.unwrap(), store.plans().await.unwrap());
        let shop = self.of_account(self.shop.id).await;
        format!("{shop}{}{operators:?}", self.of_account(self.rival.id).await)
    }

    /// Everything of one account.
    pub(crate) async fn of_account(&self, id: AccountId) -> String {
        let store = &self.store;
        let things = (
            store.account(id).await.unwrap(),
            store.keys(id, ALL).await.unwrap(),
            store.devices(id, ALL).await.unwrap(),
            store.messages(id, &MessageFilter::default(), ALL).await.unwrap(),
            store.usage(id).await.unwrap(),
            store.grants(id).await.unwrap(),
            store.webhooks(id, None, ALL).await.unwrap(),
        );
        format!("{things:?}")
    }

    /// Brings a message into the state that `event` leads to.
    pub(crate) async fn follow(&self, id: MessageId, event: MessageEvent) {
        let steps = vec![(event, self.clock.now())];
        let progress = Progress { id, steps, failure: None, next_attempt_at: None, file: None };
        self.store.record(vec![progress]).await.unwrap();
    }

    /// How many times devices were read from the store.
    pub(crate) fn device_reads(&self) -> usize {
        let reads = ["device", "devices", "find_devices", "device_by_id", "device_exists"];
        reads.iter().map(|call| self.counting.calls(call)).sum()
    }

    /// The file that came with a waiting message.
    pub(crate) async fn file_of(&self, id: MessageId) -> Option<Vec<u8>> {
        let message = self.store.waiting_message(id).await.unwrap()?;
        self.blobs.file(&blob_key_of(&message)?)
    }

    /// How many messages the shop and its rival have.
    pub(crate) async fn message_count(&self) -> usize {
        let filter = MessageFilter::default();
        let mut count = 0;
        for account in [self.shop.id, self.rival.id] {
            count += self.store.messages(account, &filter, ALL).await.unwrap().items.len();
        }
        count
    }
}

fn named(name: &str) -> NewKeyRequest {
    NewKeyRequest { name: name.to_owned(), ..NewKeyRequest::default() }
}

fn named_plan(name: &str) -> Plan {
    Plan::built_in().into_iter().find(|plan| plan.name == name).unwrap()
}

async fn customer(core: &Core, name: &str, plan: &str) -> Customer {
    let operator = Principal {
        caller: Caller::Operator,
        holder: None,
        key: Secret::new(OPERATOR).hash(),
        rate: None,
        person: None,
    };
    let request = NewAccountRequest {
        name: name.to_owned(),
        email: format!("{}@example.com", name.to_lowercase()),
        plan: Some(plan.to_owned()),
        ..NewAccountRequest::default()
    };
    let (account, key) = core.create_account(&operator, request).await.unwrap();
    Customer { id: account.id, key: key.reveal().to_owned() }
}

/// The principal of a key, without counting as one of its requests.
async fn principal(store: &dyn Store, key: &str) -> Principal {
    let key = Secret::new(key).hash();
    let holder = store.key_holder(&key).await.unwrap().unwrap();
    Principal { caller: holder.caller, holder: Some(holder), key, rate: None, person: None }
}

async fn device(core: &Core, store: &dyn Store, owner: &Customer, name: &str) -> Linked {
    let principal = principal(store, &owner.key).await;
    let (device, token) = core.create_device(&principal, name).await.unwrap();
    Linked { device, token: token.reveal().to_owned() }
}

async fn linked(
    core: &Core,
    store: &dyn Store,
    owner: &Customer,
    name: &str,
    phone: &str,
) -> Linked {
    let made = device(core, store, owner, name).await;
    let phone = PhoneNumber::from_digits(phone);
    let change = StatusChange {
        linked: Some(LinkedNumber { phone, lid: Some(Lid::from_user("123456")) }),
        ..StatusChange::new(DeviceStatus::Connected, core.now())
    };
    let device = store.set_device_status(made.device.id, &change).await.unwrap().unwrap();
    Linked { device: device.device, ..made }
}
