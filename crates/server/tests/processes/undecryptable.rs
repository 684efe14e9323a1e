//! What `/metrics` counts of messages that could not be decrypted when they came.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000005";
const WRITER: &str = "628139000005";
/// Longer than such a message is waited for, in seconds.
const REPORT_S_MAX: u64 = 45;

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_decrypted_is_counted_and_what_became_of_it() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("undecryptable", "unlimited").await;
    account.make_linked_device(&simulator, OURS).await;
    let rows = async || account.all("/v1/messages?direction=in").await;
    simulator.send(WRITER, OURS, "whole").await;
    until("it is stored", 30, async || (rows().await.len() == 1).then_some(())).await;
    assert_eq!(counted(&gateway).await, [0, 0, 0]);
    // From its sender, and from the phone.
    for (n, action) in (1..).zip(["corrupt", "unavailable", "corrupt"]) {
        damaged(&simulator, action).await;
        becomes(&gateway, [n, n, 0]).await;
    }
    // From nobody, as long as the phone is off.
    set_online(&simulator, false).await;
    damaged(&simulator, "unavailable").await;
    becomes(&gateway, [4, 3, 1]).await;
    // The row turns into the message.
    set_online(&simulator, true).await;
    becomes(&gateway, [4, 4, 1]).await;
    let rows = rows().await;
    let is_readable = |row: &Value| !row["text"].as_str().unwrap_or_default().is_empty();
    assert_eq!((rows.len(), rows.iter().all(is_readable)), (5, true), "{rows:?}");
    assert_eq!(counter(&gateway, "received").await, 5, "what is recovered was counted already");
    assert!(gateway.process.stop().await.success());
}

/// Somebody writes, and the device cannot decrypt it.
async fn damaged(simulator: &Simulator, action: &str) {
    let rule = json!({ "on": "message", "number": OURS, "times": 1, "do": action });
    simulator.set_faults(json!({ "rules": [rule] })).await;
    simulator.send(WRITER, OURS, action).await;
}

async fn set_online(simulator: &Simulator, is_online: bool) {
    simulator.control().put(&format!("/phones/{OURS}"), json!({ "online": is_online })).await;
}

async fn becomes(gateway: &Gateway, expected: [u64; 3]) {
    until(format!("the counters are {expected:?}"), REPORT_S_MAX, async || {
        (counted(gateway).await == expected).then_some(())
    })
    .await;
}

async fn counted(gateway: &Gateway) -> [u64; 3] {
    [
        counter(gateway, "undecryptable").await,
        counter(gateway, "recovered").await,
        counter(gateway, "unreadable").await,
    ]
}

async fn counter(gateway: &Gateway, name: &str) -> u64 {
    let metrics = gateway.operator().text("/metrics").await;
    let name = format!("gerbang_messages_{name}_total ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse().unwrap()
}
