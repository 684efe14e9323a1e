//! Many requests at once for what only one of them can get: the last message of a quota, a first use of an
//! idempotency key.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::api::{Api, Reply};
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{counters, env, figures};

const CUSTOMER: &str = "6281200000005";
const FOR_QUOTA: usize = 200;
const FOR_KEY: usize = 100;
/// Rounds of each race on one node; each has requests enough to fail by itself.
const ROUNDS: usize = 3;
const LONG_QUOTA_ROUNDS: usize = 500;

/// Sends the same request many times at once, to nodes at random.
async fn race(
    nodes: &[Api; 2],
    random: &mut StdRng,
    count: usize,
    body: &Value,
    key: Option<&str>,
) -> Vec<Reply> {
    let send = async |n: usize| match key {
        Some(key) => nodes[n].post_once("/v1/messages", body.clone(), key).await,
        None => nodes[n].call("POST", "/v1/messages", Some(body.clone())).await,
    };
    let asked: Vec<usize> = (0..count).map(|_| random.random_range(0..nodes.len())).collect();
    join_all(asked.into_iter().map(send)).await
}

/// So many races of each kind, over two nodes, which may be the same; `what` names their figures.
pub async fn check(what: &str, nodes: [&Gateway; 2], simulator: &Simulator, rounds: usize) {
    let (operator, mut random) = (nodes[0].operator(), StdRng::seed_from_u64(env::seed()));
    // A month's quota that grows by one before each race.
    let one = operator.make_account("quota", "unlimited").await;
    let both = nodes.map(|node| one.at(node.address()));
    let device = one.make_linked_device(simulator, "6281100000100").await;
    let id = one.get("/v1/me").await["account"]["id"].to_string();
    for round in 0..rounds {
        let name = format!("race-{round}");
        let plan = json!({ "messages_per_month": round + 1, "device_limit": 5 });
        operator.put(&format!("/v1/plans/{name}"), plan).await;
        let patch = json!({ "plan": name });
        operator.call("PATCH", &format!("/v1/accounts/{id}"), Some(patch)).await.ok();
        wait_for_plan(&both, &name).await;
        let body = json!({ "device": device, "to": CUSTOMER, "text": format!("quota {round}") });
        let replies = race(&both, &mut random, FOR_QUOTA, &body, None).await;
        let accepted = replies.iter().filter(|reply| reply.status == 202).count();
        let refused = replies.iter().filter(|reply| reply.status == 402).count();
        assert_eq!((accepted, refused), (1, FOR_QUOTA - 1), "round {round}");
    }
    let one = operator.make_account("idempotency", "unlimited").await;
    let both = nodes.map(|node| one.at(node.address()));
    let device = one.make_linked_device(simulator, "6281100000101").await;
    for round in 0..rounds {
        let body = json!({ "device": device, "to": CUSTOMER, "text": format!("once {round}") });
        let key = format!("key-{round}");
        let replies = race(&both, &mut random, FOR_KEY, &body, Some(&key)).await;
        let other = |reply: &&Reply| ![200, 202, 409].contains(&reply.status);
        assert!(replies.iter().find(other).is_none(), "{:?}", replies.iter().find(other));
        let successes = replies.iter().filter(|reply| reply.status < 300);
        let ids: BTreeSet<String> = successes.map(|reply| reply.body["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "round {round}");
    }
    let rows = one.all(&format!("/v1/messages?device={device}")).await;
    let texts: BTreeSet<&str> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
    assert_eq!((rows.len(), texts.len()), (rounds, rounds), "one row for each key");
    figures::report(
        what,
        format_args!(
            "{rounds} of {FOR_QUOTA} for the last message of a quota and of {FOR_KEY} with one key: one winner each"
        ),
    );
}

async fn wait_for_plan(nodes: &[Api; 2], name: &str) {
    for node in nodes {
        until("the plan is known", 5, async || {
            (node.get("/v1/me").await["plan"]["name"] == name).then_some(())
        })
        .await;
    }
}

async fn on_one_node(what: &str, settings: &[(&str, &str)]) {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, settings).await;
    let rounds = if env::is_long() { LONG_QUOTA_ROUNDS } else { ROUNDS };
    check(what, [&gateway, &gateway], &simulator, rounds).await;
    counters::agree(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races_have_one_winner_on_sqlite() {
    on_one_node("races, SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn races_have_one_winner_on_postgresql() {
    let database = Database::create().await;
    on_one_node("races, PostgreSQL", &[("GERBANG_DATABASE_URL", &database.url())]).await;
    database.drop().await;
}
