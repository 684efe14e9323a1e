//! A number that may write to no strangers is linked: those it knows of old are answered at once, a stranger
//! waits, also over a restart.

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000006";
const STRANGER: &str = "628990000006";
const FRIENDS: u64 = 50;
/// The end of a restriction that outlasts the test.
const ENDS: &str = "2999-01-01T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn old_chats_are_answered_and_a_stranger_waits() {
    let simulator = Simulator::start().await;
    let friends: Vec<String> = (0..FRIENDS).map(|n| (628_710_000_001 + n).to_string()).collect();
    let history = json!({ "chats": friends, "bytes": 0 });
    simulator.control().post(&format!("/phones/{OURS}/history"), history).await;
    simulator.control().put("/server", json!({ "timelock_until": ENDS })).await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("strangers", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    // The history may come later than the first answer.
    let mut answers = Vec::new();
    for friend in &friends {
        answers.push(send(&account, &device, friend).await);
    }
    let held = send(&account, &device, STRANGER).await;
    for id in answers {
        becomes_read(&account, id).await;
    }
    is_held(&account, &device, held).await;
    gateway.process.kill().await;
    gateway.restart().await;
    account.wait_for_status(&device, "connected").await;
    let again = send(&account, &device, &friends[0]).await;
    becomes_read(&account, again).await;
    is_held(&account, &device, held).await;
    assert_eq!(simulator.inbox(STRANGER).await.len(), 0);
    assert_eq!(simulator.inbox(&friends[0]).await.len(), 2);
    assert!(gateway.process.stop().await.success());
}

async fn send(account: &Api, device: &str, to: &str) -> i64 {
    let body = json!({ "device": device, "to": to, "text": "Halo lagi" });
    account.post("/v1/messages", body).await["id"].as_i64().unwrap()
}

async fn becomes_read(account: &Api, id: i64) {
    until(format!("message {id} is read"), 60, async || {
        (message(account, id).await["status"] == "read").then_some(())
    })
    .await;
}

/// The message waits for the end of the restriction, and the device says so.
async fn is_held(account: &Api, device: &str, id: i64) {
    let reason = json!({ "reason": "reachout_timelock", "until": ENDS });
    until(format!("message {id} is held"), 60, async || {
        (message(account, id).await["waiting"] == reason).then_some(())
    })
    .await;
    let device = account.get(&format!("/v1/devices/{device}")).await;
    assert_eq!(device["restricted_until"], ENDS);
}

async fn message(account: &Api, id: i64) -> Value {
    account.get(&format!("/v1/messages/{id}")).await
}
