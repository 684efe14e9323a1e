//! A webhook of two nodes: one of them posts, and the other one goes on when that is killed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::between_nodes::Pair;
use crate::support::api::Api;
use crate::support::figures;
use crate::support::gateway::Gateway;
use crate::support::receiver::Receiver;
use crate::support::wait::until;
use crate::webhooks::all_delivered;

const SHOP: &str = "6281100000007";
const CUSTOMER: &str = "6281200000007";
const LOOPBACK: (&str, &str) = ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8");
const MESSAGES: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_is_posted_once_and_none_is_lost_with_the_node_that_posts() {
    let mut pair = Pair::start(&[LOOPBACK]).await;
    let account = pair.one.operator().make_account("webhooks", "unlimited").await;
    let device = account.make_linked_device(&pair.simulator, SHOP).await;
    let receiver = Receiver::start(0).await;
    let body = json!({ "url": receiver.url("/"), "format": "gerbang" });
    account.post("/v1/webhooks", body).await;
    let poster = poster(&pair).await;
    let nodes = [account.clone(), pair.at_two(&account)];
    let mut expected = BTreeSet::new();
    for n in 0..MESSAGES {
        expected.insert(send(&nodes[n % 2], &device, n).await);
    }
    wait_for(&nodes[1 - poster], &receiver, &expected).await;
    let doubled = doubled(&receiver);
    assert!(doubled.is_empty(), "posted more than once: {doubled:?}");
    // What is on its way when the node dies may be posted again, and all of it comes.
    let other = &nodes[1 - poster];
    for n in MESSAGES..2 * MESSAGES {
        expected.insert(send(other, &device, n).await);
        if n == MESSAGES + MESSAGES / 2 {
            let node = if poster == 0 { &mut pair.one } else { &mut pair.two };
            node.process.kill().await;
        }
    }
    wait_for(other, &receiver, &expected).await;
    let doubled = self::doubled(&receiver);
    pair.end().await;
    figures::report(
        "webhooks, the node that posts is killed",
        format_args!("{} events, lost 0, {} twice after the kill", 2 * MESSAGES, doubled.len()),
    );
}

/// Which of the nodes posts to the only webhook.
async fn poster(pair: &Pair) -> usize {
    let posts = async |node: &Gateway, name: &str| {
        let nodes = node.operator().get("/v1/nodes").await;
        let mut nodes = nodes["data"].as_array().unwrap().iter();
        nodes.any(|node| node["name"] == name && node["webhooks"] == 1)
    };
    until("a node posts to the webhook", 30, async || {
        match (posts(&pair.two, "one").await, posts(&pair.two, "two").await) {
            (true, false) => Some(0),
            (false, true) => Some(1),
            _ => None,
        }
    })
    .await
}

/// Sends a message; the event that has to come of it.
async fn send(account: &Api, device: &str, n: usize) -> String {
    let body = json!({ "device": device, "to": CUSTOMER, "text": format!("message {n}") });
    let message = account.post("/v1/messages", body).await;
    format!("evt_{}_message_read", message["id"])
}

async fn wait_for(account: &Api, receiver: &Receiver, expected: &BTreeSet<String>) {
    until("every event has arrived", 120, async || {
        let taken = receiver.taken();
        let arrived = taken.iter().map(|hook| hook.header("webhook-id").to_owned()).collect();
        expected.is_subset(&arrived).then_some(())
    })
    .await;
    until("no delivery is pending", 60, async || all_delivered(account).await.then_some(())).await;
}

/// The events that were posted more than once.
fn doubled(receiver: &Receiver) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for hook in receiver.taken() {
        *counts.entry(hook.header("webhook-id").to_owned()).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id).collect()
}
