//! A database with many messages against one with few: pages of lists, and accepting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
use store::SqlStore;

use crate::Options;
use crate::accept::sender;
use crate::bulk;
use crate::load::{self, Kind, Plan as LoadPlan, Sender};
use crate::numbers::{median, ms};
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;

/// Messages of the small database.
pub const FEW: u32 = 10_000;
/// Messages in one transaction.
const BATCH: u32 = 1_000;
const PAGE_CONNECTIONS: usize = 4;
const ACCEPT_CONNECTIONS: usize = 64;
/// Accounts that share the load of accepting: of one account at most 100,000 messages may wait.
const SENDERS: u32 = 32;

/// A gateway over a database with messages of one account.
pub struct Filled {
    pub gateway: Gateway,
    owner: Sender,
    senders: Vec<Sender>,
    /// Of the dashboard: an operator who looks at the account.
    pub session: String,
    count: u32,
}

impl Filled {
    /// The id of its device.
    pub fn device(&self) -> &str {
        &self.owner.device
    }
}

/// Pages and accepting, small and large in turns.
pub async fn measure(options: Options) -> Vec<Table> {
    let simulator = Simulator::start().await;
    let few = fill(&simulator, options.few()).await;
    let many = fill(&simulator, options.messages()).await;
    drop(simulator);
    let title = format!("A database of {} messages against one of {}", many.count, few.count);
    let columns = ["", "few", "many", "ratio", "target"];
    let mut table = Table::new(title, &columns);
    for (name, path) in [
        ("first page of 100", "/v1/messages?limit=100".to_owned()),
        ("a deep page of 100", format!("/v1/messages?limit=100&cursor={}", cursor(few.count / 2))),
        ("numbered page 1", "/api/v1/messages?limit=50&page=1".to_owned()),
        ("numbered page 200", "/api/v1/messages?limit=50&page=200".to_owned()),
    ] {
        let [few, many] = alternate(&few, &many, &Kind::Path(path), PAGE_CONNECTIONS, 3, 1).await;
        let time = |s: f64| ms(Duration::from_secs_f64(s));
        let ratio = format!("{:.2}", many.0 / few.0);
        table.row([name.into(), time(few.0), time(many.0), ratio, "at most 2".into()]);
    }
    let rounds = options.rounds();
    let (kind, seconds) = (Kind::Send, options.seconds);
    let [few, many] = alternate(&few, &many, &kind, ACCEPT_CONNECTIONS, rounds, seconds).await;
    let rate = |rate: f64| format!("{rate:.0} per s");
    let ratio = format!("{:.2}", many.1 / few.1);
    table.row(["accepting".into(), rate(few.1), rate(many.1), ratio, "at least 0.8".into()]);
    table.note("Pages: the time of one answer, four clients at a time.");
    vec![table]
}

/// The opaque cursor of `/v1` behind a message.
fn cursor(id: u32) -> String {
    URL_SAFE_NO_PAD.encode(i64::from(id).to_be_bytes())
}

/// For both: the median time of an answer in seconds, and answers per second.
async fn alternate(
    few: &Filled,
    many: &Filled,
    kind: &Kind,
    connections: usize,
    rounds: u32,
    seconds: u64,
) -> [(f64, f64); 2] {
    let mut measured = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for round in 0..rounds {
        for (filled, (times, rates)) in [few, many].into_iter().zip(&mut measured) {
            let plan = LoadPlan {
                address: filled.gateway.address().to_owned(),
                process: filled.gateway.process.id(),
                connections,
                senders: match kind {
                    Kind::Send => filled.senders.clone(),
                    _ => vec![filled.owner.clone()],
                },
                run: format!("{round}"),
                kind: kind.clone(),
            };
            let outcome = load::run(plan, seconds).await;
            let seconds = outcome.latencies.iter().map(Duration::as_secs_f64).collect();
            times.push(median(seconds));
            rates.push(outcome.rate);
        }
    }
    measured.map(|(times, rates)| (median(times), median(rates)))
}

/// A gateway with so many messages of one account, which are sent.
pub async fn fill(simulator: &Simulator, count: u32) -> Filled {
    let mut gateway = Gateway::start(simulator, &[]).await;
    let body = serde_json::json!({ "name": "b", "email": "b@example.com", "plan": "unlimited" });
    let account = gateway.operator().post("/v1/accounts", body).await;
    let id = AccountId(account["id"].as_i64().expect("an account's id"));
    let key = account["key"].as_str().expect("a key").to_owned();
    let api = gateway.operator().with_key(&key);
    let device = api.make_linked_device(simulator, &format!("6281{count:09}")).await;
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        senders.push(sender(&gateway.operator(), simulator, count + n).await);
    }
    gateway.process.stop().await;
    let database = gateway.data_dir().join("data/gerbang.sqlite");
    let session = write(&database, id, &device, count).await;
    gateway.restart().await;
    Filled { gateway, owner: Sender { key, device }, senders, session, count }
}

/// Accepts and sends messages as the engine does, through the store itself, and begins a session of an
/// operator.
async fn write(database: &Path, account: AccountId, device: &str, count: u32) -> String {
    let store = store::open(&format!("sqlite:{}", database.display())).await.unwrap();
    // A second apart and up to now, so that none is old enough to be deleted.
    let start = now() - SignedDuration::from_secs(i64::from(count));
    let written = count.min(bulk::WRITTEN_MAX);
    for first in (0..written).step_by(BATCH as usize) {
        let now = start + SignedDuration::from_secs(i64::from(first));
        let numbers = first..(first + BATCH).min(written);
        let messages = numbers.map(|n| message(device, n, now)).collect();
        let ids = accept(&store, account, messages, now).await;
        let progress = ids.into_iter().map(|id| sent(id, now)).collect();
        store.record(progress).await.unwrap();
    }
    let session = begin_session(&store, account).await;
    store.close().await;
    bulk::multiply(database, count);
    session
}

#[expect(clippy::disallowed_methods, reason = "sessions must not have ended, nor messages be old")]
fn now() -> Timestamp {
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
