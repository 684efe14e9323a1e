//! Incoming messages of which some cannot be decrypted, while the gateway is killed: each is one row.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{counters, env, figures};

const OURS: &str = "628119000001";
const MESSAGES: usize = 100;
const CORRUPTED: usize = 10;
const UNAVAILABLE: usize = 5;
const KILLS: usize = 3;
const WRITERS: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_that_comes_in_is_one_row_on_sqlite() {
    every_message_is_one_row("SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_that_comes_in_is_one_row_on_postgresql() {
    let database = Database::create().await;
    every_message_is_one_row("PostgreSQL", &[("GERBANG_DATABASE_URL", &database.url())]).await;
    database.drop().await;
}

async fn every_message_is_one_row(database: &str, settings: &[(&str, &str)]) {
    let mut random = StdRng::seed_from_u64(env::seed());
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, settings).await;
    let account = gateway.operator().make_account("incoming", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let group = group(&simulator).await;
    simulator.set_faults(faults(&mut random)).await;
    let mut kills: Vec<usize> = (1..MESSAGES).collect();
    kills.shuffle(&mut random);
    kills.truncate(KILLS);
    for n in 0..MESSAGES {
        if kills.contains(&n) {
            gateway.process.kill().await;
            gateway.restart().await;
        }
        let to = if n % 3 == 0 { &group } else { OURS };
        simulator.send(&writer(n % WRITERS), to, &text(n)).await;
    }
    account.wait_for_status(&device, "connected").await;
    until("every message is a row", 60, async || {
        let readable = rows(&account).await.into_keys().filter(|text| !text.is_empty());
        (readable.count() == MESSAGES).then_some(())
    })
    .await;
    let found = rows(&account).await;
    let expected = (0..MESSAGES).map(|n| (text(n), 1)).collect::<BTreeMap<_, _>>();
    assert_eq!(found, expected);
    let struck = simulator.counter("faults_struck").await;
    assert_eq!(struck, (CORRUPTED + UNAVAILABLE) as u64, "each fault strikes once");
    assert!(gateway.process.stop().await.success());
    counters::agree(&gateway).await;
    figures::report(
        format_args!("kills while messages come in, {database}"),
        format_args!(
            "{KILLS} kills, {MESSAGES} messages, {struck} of them unreadable at first: one row each"
        ),
    );
}

/// How many rows there are of each text.
async fn rows(account: &Api) -> BTreeMap<String, usize> {
    let mut rows = BTreeMap::new();
    for row in account.all("/v1/messages?direction=in").await {
        *rows.entry(row["text"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    rows
}

/// Faults that strike deliveries of their own.
fn faults(random: &mut StdRng) -> Value {
    let mut places: Vec<usize> = (0..MESSAGES).collect();
    places.shuffle(random);
    let kinds = [("corrupt", CORRUPTED), ("unavailable", UNAVAILABLE)];
    let kinds = kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
    let rule = |(kind, after): (&str, &usize)| json!({ "on": "message", "number": OURS, "after": after, "times": 1, "do": kind });
    json!({ "rules": kinds.zip(&places).map(rule).collect::<Vec<_>>() })
}

async fn group(simulator: &Simulator) -> String {
    let writers: Vec<String> = (0..WRITERS).map(writer).collect();
    let members: Vec<&str> = [OURS].into_iter().chain(writers.iter().map(String::as_str)).collect();
    let group = json!({ "subject": "Tim", "participants": members });
    let group = simulator.control().post("/groups", group).await;
    group["id"].as_str().unwrap().to_owned()
}

fn writer(n: usize) -> String {
    format!("62833{n:08}")
}

fn text(n: usize) -> String {
    format!("incoming {n}")
}
