//! A gateway that is killed while a device types: nobody sees it typing, and its owner's phone shows
//! notifications, before and after the next start.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628119000004";
const THEIRS: &str = "628139000004";
/// How long after a kill somebody may still seem to type, in seconds.
const GONE_S_MAX: u64 = 5;
/// How long after a start the phone may be silent, in seconds: the device says several times that it is unavailable.
const SILENT_S_MAX: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_types_after_a_kill() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[("GERBANG_PACING", "0-0")]).await;
    let account = gateway.operator().make_account("typing", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    // As long as typing may take.
    let body = json!({ "device": device, "to": THEIRS, "text": "Halo. ".repeat(100) });
    let message = account.post("/v1/messages", body).await;
    until("it is typed", 30, async || (shown(&simulator).await == typing()).then_some(())).await;
    gateway.process.kill().await;
    until("nobody types", GONE_S_MAX, async || (shown(&simulator).await == quiet()).then_some(()))
        .await;
    assert_eq!(simulator.inbox(THEIRS).await.len(), 0);
    // Nothing is typed from here on.
    gateway.restart_with(&[("GERBANG_PACING", "off")]).await;
    let path = format!("/v1/messages/{}", message["id"]);
    until("the message is read", 60, async || {
        assert_eq!(shown(&simulator).await.1, quiet().1);
        (account.get(&path).await["status"] == "read").then_some(())
    })
    .await;
    until("the phone notifies", SILENT_S_MAX, async || {
        (shown(&simulator).await == quiet()).then_some(())
    })
    .await;
    let inbox = simulator.inbox(THEIRS).await;
    assert_eq!((inbox.len(), &inbox[0]["copies"]), (1, &json!(1)));
    assert!(gateway.process.stop().await.success());
}

/// Whether the owner's phone shows notifications, and whom the other one sees typing.
async fn shown(simulator: &Simulator) -> (Value, Value) {
    let phone = async |number: &str| simulator.control().get(&format!("/phones/{number}")).await;
    (phone(OURS).await["notifies"].clone(), phone(THEIRS).await["sees_typing"].clone())
}

fn typing() -> (Value, Value) {
    (json!(false), json!([OURS]))
}

fn quiet() -> (Value, Value) {
    (json!(true), json!([]))
}
