//! A gateway over a database that has messages already.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::chat::ChatId;
use domain::content::Content;
use domain::context::Context;
use domain::ids::{AccountId, MessageId, WhatsappId};
use domain::key::{KeyKind, Secret};
use domain::message::{MessageEvent, NewMessage};
use domain::person::Place;
use domain::plan::Plan;
use domain::policy::queue::QueueLimits;
use domain::policy::quota::Period;
use domain::ports::{
    Acceptance, Accepted, CreatedUser, MessageStore as _, NewSession, NewUser, PeopleStore as _,
    Progress,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::SqlStore;

use crate::accept::sender;
use crate::bulk;
use crate::load::Sender;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;

/// Messages in one transaction.
const BATCH: u32 = 1_000;
/// Accounts that share the load of accepting: of one account at most 100,000 messages may wait.
const SENDERS: u32 = 32;

/// A gateway, and who may ask it.
pub struct Filled {
    pub gateway: Gateway,
    /// Whose messages they are, or a part of them.
    pub owner: Sender,
    /// Accounts without messages.
    pub senders: Vec<Sender>,
    /// Of the dashboard: an operator who looks at the owner's account.
    pub session: String,
    pub count: u32,
}

impl Filled {
    /// The file of its database.
    pub fn database(&self) -> PathBuf {
        database_of(&self.gateway)
    }
}

fn database_of(gateway: &Gateway) -> PathBuf {
    gateway.data_dir().join("data/gerbang.sqlite")
}

/// A gateway with so many messages of at most ten accounts, which are sent: one each second, the last one now.
pub async fn fill(simulator: &Simulator, count: u32, accounts: u32) -> Filled {
    let mut gateway = Gateway::start(simulator, &[]).await;
    let mut owners = Vec::new();
    for n in 0..accounts {
        let phone = format!("62812{n}{count:07}");
        owners.push(owner(&gateway, simulator, n, &phone).await);
    }
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        senders.push(sender(&gateway.operator(), simulator, count + n).await);
    }
    gateway.process.stop().await;
    let session = write(&database_of(&gateway), &owners, count).await;
    gateway.restart().await;
    let (_, owner) = owners.swap_remove(0);
    Filled { gateway, owner, senders, session, count }
}

async fn owner(
    gateway: &Gateway,
    simulator: &Simulator,
    n: u32,
    phone: &str,
) -> (AccountId, Sender) {
    let email = format!("owner{n}@example.com");
    let body = json!({ "name": format!("owner {n}"), "email": email, "plan": "unlimited" });
    let account = gateway.operator().post("/v1/accounts", body).await;
    let id = AccountId(account["id"].as_i64().expect("an account's id"));
    let key = account["key"].as_str().expect("a key").to_owned();
    let api = gateway.operator().with_key(&key);
    let device = api.make_linked_device(simulator, phone).await;
    (id, Sender { key, device })
}

/// Accepts and sends messages as the engine does, through the store itself, and begins a session of an
/// operator.
async fn write(database: &Path, owners: &[(AccountId, Sender)], count: u32) -> String {
    let store = store::open(&format!("sqlite:{}", database.display())).await.unwrap();
    // A second apart and up to now: none is old enough to be deleted, unless it is set.
    let start = now() - SignedDuration::from_secs(i64::from(count));
    let written = count.min(bulk::WRITTEN_MAX);
    let each = BATCH / owners.len() as u32;
    let batches = (0..written).step_by(each as usize);
    for (first, (account, owner)) in batches.zip(owners.iter().cycle()) {
        let now = start + SignedDuration::from_secs(i64::from(first));
        let numbers = first..(first + each).min(written);
        let messages = numbers.map(|n| message(&owner.device, n, now)).collect();
        let ids = accept(&store, *account, messages, now).await;
        let progress = ids.into_iter().map(|id| sent(id, now)).collect();
        store.record(progress).await.unwrap();
    }
    let session = begin_session(&store, owners[0].0).await;
    store.close().await;
    if count > 0 {
        bulk::multiply(database, count);
    }
    session
}

/// The time of the machine, and of the gateways on it.
#[expect(clippy::disallowed_methods, reason = "sessions must not have ended, nor messages be old")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

async fn begin_session(store: &SqlStore, account: AccountId) -> String {
    let (email, password) = ("op@example.com".to_owned(), String::new());
    let operator = NewUser { email, password, place: Place::Operator };
    let now = now();
    let CreatedUser::Created(operator) = store.create_user(operator, now).await.unwrap() else {
        panic!("the operator is there already")
    };
    let secret = Secret::from_random(KeyKind::Session, [7; 32]);
    let session = NewSession { hash: secret.hash(), user: operator.id, entered: Some(account) };
    store.create_session(session, now).await.unwrap();
    secret.reveal().to_owned()
}

async fn accept(
    store: &Arc<SqlStore>,
    account_id: AccountId,
    messages: Vec<NewMessage>,
    now: Timestamp,
) -> Vec<MessageId> {
    let plan = Plan::built_in().into_iter().find(|plan| plan.name == "unlimited").unwrap();
    let period = Period { day: 20_260_101, month: 202_601 };
    let limits = QueueLimits::default();
    let acceptance = Acceptance {
        account_id,
        plan: plan.into(),
        period,
        limits,
        messages,
        idempotency: None,
        now,
    };
    match store.accept(acceptance).await.unwrap() {
        Accepted::New(messages) => messages.into_iter().map(|message| message.id).collect(),
        other => panic!("{other:?}"),
    }
}

fn message(device: &str, n: u32, now: Timestamp) -> NewMessage {
    NewMessage {
        device_id: device.parse().unwrap(),
        chat: ChatId::from(format!("62813{:08}@s.whatsapp.net", n % 1_000)),
        context: Context::default(),
        content: Content::Text(format!("number {n}").into()),
        inline_file: None,
        whatsapp_id: WhatsappId::from_random(u64::from(n).to_be_bytes()),
        typing: false,
        priority: 0,
        due_at: now,
        is_scheduled: false,
        expires_at: now + SignedDuration::from_hours(24),
        retry_interval_s: None,
    }
}

fn sent(id: MessageId, at: Timestamp) -> Progress {
    let steps = vec![(MessageEvent::Submitted, at), (MessageEvent::Acknowledged, at)];
    Progress { id, steps, failure: None, next_attempt_at: None, file: None }
}
