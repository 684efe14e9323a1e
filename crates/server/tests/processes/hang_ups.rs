//! Callers that hang up before they have the answer: what was accepted for them is sent all the same.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

const OURS: &str = "628119000005";
const THEIRS: &str = "628139000005";
/// How many hang up, each a little later than the one before, in steps that begin anew.
const CALLERS: u64 = 60;
const STEPS: u64 = 12;
const STEP: Duration = Duration::from_micros(500);

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_for_a_caller_that_hangs_up_is_sent() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("gone", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    for n in 0..CALLERS {
        let body = json!({ "device": device, "to": THEIRS, "text": format!("{n}") }).to_string();
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: gerbang\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            account.key().unwrap(),
            body.len(),
        );
        let mut stream = TcpStream::connect(gateway.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        moment(STEP * u32::try_from(n % STEPS).unwrap()).await;
    }
    // After all of them, so that nothing is accepted any more once it is there.
    account.post("/v1/messages", json!({ "device": device, "to": THEIRS, "text": "last" })).await;
    let messages = until("nothing waits", 30, async || {
        let messages = account.all("/v1/messages").await;
        messages.iter().all(|message| message["status"] != "queued").then_some(messages)
    })
    .await;
    assert!(messages.len() > 1, "some were accepted");
    until("all are there, once", 30, async || {
        (simulator.inbox(THEIRS).await.len() == messages.len()).then_some(())
    })
    .await;
    assert!(gateway.process.stop().await.success());
}
