//! A number that may write to no strangers is linked: those it knows of old are answered at once, a stranger
//! waits until the restriction ends, also over a restart.

use jiff::{SignedDuration, Timestamp};
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
/// How long a restriction lasts that ends while the test runs.
const RESTRICTED_FOR: SignedDuration = SignedDuration::from_secs(20);

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
    is_held(&account, &device, held, ENDS).await;
    gateway.process.kill().await;
    gateway.restart().await;
    account.wait_for_status(&device, "connected").await;
    let again = send(&account, &device, &friends[0]).await;
    becomes_read(&account, again).await;
    is_held(&account, &device, held, ENDS).await;
    assert_eq!(simulator.inbox(STRANGER).await.len(), 0);
    assert_eq!(simulator.inbox(&friends[0]).await.len(), 2);
    assert!(gateway.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_written_to_when_the_restriction_ends() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("patient", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let (ends_s, ends) = soon();
    simulator.control().put("/server", json!({ "timelock_until": ends })).await;
    let id = send(&account, &device, STRANGER).await;
    is_held(&account, &device, id, &ends).await;
    becomes_read(&account, id).await;
    let history = message(&account, id).await["history"].clone();
    let steps = history.as_array().unwrap().iter();
    let sent = steps.filter(|step| step["status"] == "sent").collect::<Vec<_>>();
    assert_eq!(sent.len(), 1, "{history}");
    let sent_at: Timestamp = sent[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(sent_at.as_second() >= ends_s, "{history}");
    let inbox = simulator.inbox(STRANGER).await;
    assert_eq!((inbox.len(), &inbox[0]["copies"]), (1, &json!(1)));
    until("the restriction is not shown any more", 30, async || {
        let device = account.get(&format!("/v1/devices/{device}")).await;
        device["restricted_until"].is_null().then_some(())
    })
    .await;
    assert!(gateway.process.stop().await.success());
}

/// When a restriction ends that lasts a while, in seconds, as WhatsApp counts, and in words.
#[expect(clippy::disallowed_methods, reason = "the gateway's own clock decides when it is over")]
fn soon() -> (i64, String) {
    let ends_s = (Timestamp::now() + RESTRICTED_FOR).as_second();
    (ends_s, Timestamp::from_second(ends_s).unwrap().to_string())
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
async fn is_held(account: &Api, device: &str, id: i64, ends: &str) {
    let reason = json!({ "reason": "reachout_timelock", "until": ends });
    until(format!("message {id} is held"), 60, async || {
        (message(account, id).await["waiting"] == reason).then_some(())
    })
    .await;
    let device = account.get(&format!("/v1/devices/{device}")).await;
    assert_eq!(device["restricted_until"], ends);
}

async fn message(account: &Api, id: i64) -> Value {
    account.get(&format!("/v1/messages/{id}")).await
}
