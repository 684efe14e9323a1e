//! A session that was copied to a second process: one side yields, and the other works on.

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000003";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_with_one_session_one_yields() {
    let simulator = Simulator::start().await;
    let mut first = Gateway::start(&simulator, &[]).await;
    let account = first.operator().make_account("copied", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    send(&account, &device, "before").await;
    first.process.stop().await;
    let mut second = first.start_copy().await;
    let copied = second.operator().with_key(account.key().unwrap());
    copied.wait_for_status(&device, "connected").await;
    first.restart().await;
    until("one side yields", 30, async || {
        let states = [state(&account, &device).await, state(&copied, &device).await];
        let has_yielded = |state: &Value| {
            let reason = state["reason"].as_str().unwrap_or_default();
            state["status"] == "disconnected" && reason.contains("409")
        };
        states.iter().any(has_yielded).then_some(())
    })
    .await;
    // The first one logged in last. The other does not come back by itself: no login follows.
    account.wait_for_status(&device, "connected").await;
    let logins = logins(&simulator).await;
    for n in 0..3 {
        send(&account, &device, &format!("after {n}")).await;
    }
    assert_eq!(logins, self::logins(&simulator).await);
    assert_eq!(copied.status(&device).await, "disconnected");
    let inbox = simulator.inbox("628139000001").await;
    let texts: Vec<_> = inbox.iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["before", "after 0", "after 1", "after 2"]);
    assert!(first.process.stop().await.success());
    assert!(second.process.stop().await.success());
}

async fn state(api: &Api, device: &str) -> Value {
    api.get(&format!("/v1/devices/{device}")).await
}

async fn logins(simulator: &Simulator) -> u64 {
    let stats = simulator.control().get("/stats").await;
    stats["counters"]["logins"].as_u64().unwrap()
}

async fn send(api: &Api, device: &str, text: &str) {
    let body = json!({ "device": device, "to": "628139000001", "text": text });
    let message = api.post("/v1/messages", body).await;
    let path = format!("/v1/messages/{}", message["id"]);
    until(format!("{text} is read"), 30, async || {
        (api.get(&path).await["status"] == "read").then_some(())
    })
    .await;
}
