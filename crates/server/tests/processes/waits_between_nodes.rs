//! Requests that wait at a node for another one, which dies or is frozen meanwhile.

use serde_json::{Value, json};

use crate::between_nodes::Pair;
use crate::support::api::{Api, Reply};
use crate::support::wait::until;

const SHOP: &str = "6281100000006";
/// One for each dialect, so that none waits for another one's acknowledgement.
const CUSTOMERS: [&str; 3] = ["6281200000061", "6281200000062", "6281200000063"];
/// How late WhatsApp acknowledges: later than the node is gone.
const DELAY_MS: u64 = 8_000;

/// A send in each dialect that waits for the outcome.
fn sends(key: &str, device: &str) -> [(&'static str, Value); 3] {
    let [mpwa, wagate, wasyik] = CUSTOMERS;
    [
        (
            "/send-message",
            json!({ "api_key": key, "sender": SHOP, "number": mpwa, "message": mpwa }),
        ),
        (
            "/api/v1/send-message",
            json!({ "device_id": device, "recipient": wagate, "message": wagate }),
        ),
        (
            "/api/v2/messaging/whatsapp/send-text",
            json!({ "accountId": device, "to": wasyik, "text": wasyik }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_waits_at_a_node_that_dies_or_freezes_arrives_once() {
    for signal in ["KILL", "STOP"] {
        let pair = Pair::start(&[]).await;
        let one = pair.one.operator().make_account("waits", "unlimited").await;
        let (two, key) = (pair.at_two(&one), one.key().unwrap().to_owned());
        // Made at one, which runs it.
        let device = one.make_linked_device(&pair.simulator, SHOP).await;
        pair.simulator.set_faults(json!({ "delay_ms": DELAY_MS })).await;
        let asked = sends(&key, &device).map(|(path, body)| {
            let two = two.clone();
            tokio::spawn(async move { (path, two.call("POST", path, Some(body)).await) })
        });
        until("the node that runs the device has all of them", 30, async || {
            (rows(&two).await.len() == CUSTOMERS.len()).then_some(())
        })
        .await;
        pair.one.process.signal(signal).await;
        for asked in asked {
            let (path, reply): (_, Reply) = asked.await.unwrap();
            assert_eq!(reply.status, 200, "{signal}, {path}: {reply:?}");
        }
        pair.simulator.set_faults(json!({})).await;
        if signal == "STOP" {
            two.wait_for_status(&device, "connected").await;
            pair.one.process.signal("CONT").await;
        }
        until("all are read", 90, async || {
            let rows = rows(&two).await;
            rows.iter().all(|row| row["status"] == "read").then_some(())
        })
        .await;
        assert_eq!(rows(&two).await.len(), CUSTOMERS.len(), "{signal}");
        for customer in CUSTOMERS {
            let inbox = pair.simulator.inbox(customer).await;
            assert_eq!(inbox.len(), 1, "{signal}, {customer}: {inbox:?}");
        }
        pair.end().await;
    }
}

async fn rows(account: &Api) -> Vec<Value> {
    account.all("/v1/messages?direction=out").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_node_was_asked_is_answered_as_unknown() {
    let pair = Pair::start(&[]).await;
    let one = pair.one.operator().make_account("waits", "unlimited").await;
    let two = pair.at_two(&one);
    let device = one.make_device("shop").await;
    pair.one.process.signal("STOP").await;
    let reply = two.call("POST", &format!("/v1/devices/{device}/pair"), Some(json!({}))).await;
    assert_eq!((reply.status, &reply.body["code"]), (504, &json!("outcome_unknown")), "{reply:?}");
    // Longer than that, and another node would run the device: this was answered before.
    let nodes = pair.two.operator().get("/v1/nodes").await;
    let frozen = nodes["data"].as_array().unwrap().iter().find(|node| node["name"] == "one");
    assert_eq!(frozen.unwrap()["status"], "live", "{nodes}");
    pair.end().await;
}
