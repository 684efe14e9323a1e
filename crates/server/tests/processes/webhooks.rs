//! Webhooks of every format, delivered to a receiver that dies again and again, by a gateway that is
//! killed as well.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::receiver::{Hook, Receiver};
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{env, figures};

const CHATS: u64 = 12;
/// What has to arrive as it was written.
const HARD: &str = "👩‍👩‍👧 \"x\" \\ </b> مرحبا";
const DEVICE_PHONE: &str = "628110000777";
const LOOPBACK: (&str, &str) = ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8");

/// How often the receiver dies.
fn deaths() -> u32 {
    if env::is_long() { 50 } else { 20 }
}

/// Messages of each chat and direction. The gateway is killed once in the middle of them; in the long form
/// after each but the last.
fn messages() -> usize {
    if env::is_long() { 51 } else { 4 }
}

fn person(n: u64) -> String {
    format!("62812{n:08}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_in_order_and_signed_though_the_receiver_dies_again_and_again() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("webhooks", "unlimited").await;
    let device = account.make_linked_device(&simulator, DEVICE_PHONE).await;
    let receiver = Receiver::start(deaths()).await;
    let mut secrets = BTreeMap::new();
    for format in ["gerbang", "wagy", "wachat", "wasyik"] {
        let url = receiver.url(&format!("/{format}"));
        let made = account.post("/v1/webhooks", json!({ "url": url, "format": format })).await;
        secrets.insert(format.to_owned(), made["secret"].as_str().unwrap().to_owned());
    }
    let (mut sent, mut random) = (Vec::new(), StdRng::seed_from_u64(env::seed()));
    for n in 0..messages() {
        let is_killed = if env::is_long() { n + 1 < messages() } else { n == messages() / 2 };
        // In the middle of what is on its way.
        let killed_before = is_killed.then(|| random.random_range(0..CHATS));
        for chat in 0..CHATS {
            if killed_before == Some(chat) {
                gateway.process.kill().await;
                gateway.restart().await;
                account.wait_for_status(&device, "connected").await;
            }
            let text = format!("in {n} {HARD}");
            simulator.send(&person(chat), DEVICE_PHONE, &text).await;
            let body =
                json!({ "device": device, "to": person(chat), "text": format!("out {n} {HARD}") });
            sent.push(account.post("/v1/messages", body).await["id"].as_i64().unwrap());
        }
    }
    let expected = expected(&account, &sent).await;
    let arrival_s_max = if env::is_long() { 900 } else { 120 };
    until("every event has arrived", arrival_s_max, async || {
        let arrived = event_ids(&receiver.taken());
        expected.is_subset(&arrived).then_some(())
    })
    .await;
    until("no delivery is pending", 60, async || all_delivered(&account).await.then_some(())).await;
    assert_eq!(receiver.deaths(), deaths());
    let hooks = receiver.taken();
    for hook in &hooks {
        assert_signed(hook, &secrets);
    }
    for path in ["/gerbang", "/wachat"] {
        assert_in_order(&hooks, path);
    }
    let inbox = simulator.inbox(&person(0)).await;
    assert_eq!(inbox.len(), messages());
    assert!(inbox.iter().all(|row| row["text"].as_str().unwrap().ends_with(HARD)), "{inbox:?}");
    let kills = if env::is_long() { messages() - 1 } else { 1 };
    figures::report(
        "webhooks",
        format_args!(
            "{} deaths of the receiver, {kills} of the gateway: {} events at least once, in the order of their chats",
            deaths(),
            expected.len()
        ),
    );
}

/// The ids of the events that have to come: each incoming message, each step of each sent one.
async fn expected(account: &Api, sent: &[i64]) -> BTreeSet<String> {
    let wanted = usize::try_from(CHATS).unwrap() * messages();
    let received = until("all messages have come in", 60, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        (rows.len() == wanted).then_some(rows)
    })
    .await;
    let mut ids: BTreeSet<String> =
        received.iter().map(|row| format!("evt_{}_message_received", row["id"])).collect();
    for id in sent {
        let path = format!("/v1/messages/{id}");
        until(format!("message {id} is read"), 60, async || {
            (account.get(&path).await["status"] == "read").then_some(())
        })
        .await;
        // One that was read before the acknowledgement came was never reported as sent.
        ids.insert(format!("evt_{id}_message_read"));
    }
    ids
}

fn event_ids(hooks: &[Hook]) -> BTreeSet<String> {
    let ours = hooks.iter().filter(|hook| hook.path == "/gerbang");
    ours.map(|hook| hook.header("webhook-id").to_owned()).collect()
}

/// Each format's own published check.
fn assert_signed(hook: &Hook, secrets: &BTreeMap<String, String>) {
    let secret = &secrets[hook.path.trim_start_matches('/')];
    let hex_of = |key: &[u8], text: &[u8]| hex::encode(mac(key, text));
    match hook.path.as_str() {
        "/gerbang" => {
            let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
            let (id, at) = (hook.header("webhook-id"), hook.header("webhook-timestamp"));
            let text = [id.as_bytes(), b".", at.as_bytes(), b".", &hook.body].concat();
            let signature = format!("v1,{}", STANDARD.encode(mac(&key, &text)));
            assert_eq!(hook.header("webhook-signature"), signature);
        }
        "/wagy" => {
            let signature = hex_of(secret.as_bytes(), &hook.body);
            assert_eq!(hook.header("x-wagy-signature"), signature);
        }
        "/wasyik" => {
            let signature = hex_of(secret.as_bytes(), &hook.body);
            assert_eq!(hook.header("x-zuwinda-signature"), signature);
        }
        "/wachat" => assert!(hook.header("content-type").ends_with("x-www-form-urlencoded")),
        other => panic!("no receiver got {other}"),
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// What each person wrote was first delivered in the order in which it was written.
fn assert_in_order(hooks: &[Hook], path: &str) {
    let mut delivered: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for hook in hooks.iter().filter(|hook| hook.path == path) {
        let Some((from, id)) = incoming(hook) else { continue };
        let ids = delivered.entry(from).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    assert_eq!(delivered.len(), usize::try_from(CHATS).unwrap(), "{path}");
    for (from, ids) in delivered {
        assert!(ids.is_sorted(), "{path}: {from} was delivered as {ids:?}");
        assert_eq!(ids.len(), messages(), "{path}: {from}");
    }
}

/// Who wrote an incoming message, and its id.
fn incoming(hook: &Hook) -> Option<(String, i64)> {
    if hook.path == "/wachat" {
        let field = |name: &str| {
            let body = std::str::from_utf8(&hook.body).unwrap();
            let found = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            found.unwrap().to_owned()
        };
        return Some((field("originator"), field("id").parse().unwrap()));
    }
    let event: Value = serde_json::from_slice(&hook.body).unwrap();
    (event["type"] == "message.received").then(|| {
        let message = &event["data"];
        assert!(message["text"].as_str().unwrap().ends_with(HARD), "{message}");
        (message["from"].as_str().unwrap().to_owned(), message["id"].as_i64().unwrap())
    })
}

pub async fn all_delivered(account: &Api) -> bool {
    for webhook in account.all("/v1/webhooks").await {
        for state in ["pending", "dead"] {
            let path = format!("/v1/webhooks/{}/deliveries?state={state}&limit=1", webhook["id"]);
            if !account.get(&path).await["data"].as_array().unwrap().is_empty() {
                return false;
            }
        }
    }
    true
}
