//! One message followed through the log, from the request to its receipt, and what the log never
//! holds: `docs/logging.md`.

use serde_json::{Value, json};

use crate::support::figures;
use crate::support::gateway::{Gateway, OPERATOR_KEY};
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628110000555";
const THEIRS: &str = "628120000666";
const REQUEST_ID: &str = "follow-this-request";
const TEXT_OUT: &str = "rahasia keluar";
const TEXT_IN: &str = "rahasia masuk";
const PROXY: &str = "http://agen:kataRahasia@127.0.0.1:9";
const PROXY_PASSWORD: &str = "kataRahasia";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_followed_by_its_id_and_nothing_private_is_logged() {
    let simulator = Simulator::start().await;
    let settings = [
        ("GERBANG_LOG", "json"),
        ("RUST_LOG", "trace"),
        ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8"),
    ];
    let mut gateway = Gateway::start(&simulator, &settings).await;
    let account = gateway.operator().make_account("logs", "unlimited").await;
    let receiver = Receiver::start(0).await;
    let webhook = account.post("/v1/webhooks", json!({ "url": receiver.url("/gerbang") })).await;
    let device = account.make_linked_device(&simulator, OURS).await;
    // Another one cannot reach its proxy.
    let other = account.post("/v1/devices", json!({ "name": "other" })).await;
    let path = format!("/v1/devices/{}", other["id"].as_str().unwrap());
    account.call("PATCH", &path, Some(json!({ "proxy": PROXY }))).await.ok();
    let refused = account.call("POST", &format!("{path}/pair"), Some(json!({}))).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    let mut shown = refused.body.to_string();

    let id = send(&gateway, account.key().unwrap(), &device).await;
    until("the message is read", 30, async || {
        let message = account.get(&format!("/v1/messages/{id}")).await;
        (message["status"] == "read").then_some(())
    })
    .await;
    simulator.send(THEIRS, OURS, TEXT_IN).await;
    let received = until("the answer has come in", 30, async || {
        let list = account.get("/v1/messages?direction=in").await;
        list["data"][0]["id"].as_i64()
    })
    .await;
    shown += &gateway.operator().text("/metrics").await;
    for path in ["/v1/devices", "/v1/me", "/v1/messages?cursor=x", "/nowhere"] {
        let wrong = account.with_key("gba_nobody");
        shown += &wrong.call("GET", path, None).await.body.to_string();
    }
    assert!(gateway.process.stop().await.success());

    let lines = lines(&gateway);
    let mut steps_found = steps(&lines, id);
    steps_found.retain(|step| STEPS.contains(&step.as_str()));
    assert_eq!(steps_found, STEPS, "{lines:#?}");
    assert_of_request(&lines, id);
    assert!(!steps(&lines, received).is_empty(), "the received message is not logged");

    let secret_key = std::fs::read_to_string(gateway.data_dir().join("data/secret.key")).unwrap();
    let secrets = [
        secret_key.trim(),
        PROXY_PASSWORD,
        other["token"].as_str().unwrap(),
        TEXT_OUT,
        TEXT_IN,
        OURS,
        THEIRS,
        OPERATOR_KEY,
        account.key().unwrap(),
        webhook["secret"].as_str().unwrap(),
    ];
    let output = gateway.process.output();
    for secret in secrets {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
        assert!(!shown.contains(secret), "{secret} is in metrics or errors:\n{shown}");
    }
    figures::report(
        "secrets in logs, metrics and errors",
        format_args!("{} secrets, {} lines at level trace, hits 0", secrets.len(), lines.len()),
    );
}

/// What is logged of a message that goes well, in this order; between them come lines that may
/// overtake each other, such as the acknowledgement and the end of writing to the connection.
const STEPS: [&str; 7] = ["accepted", "queued", "picked", "sending", "sent", "delivered", "read"];

async fn send(gateway: &Gateway, key: &str, device: &str) -> i64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .post(format!("http://{}/v1/messages", gateway.address()))
        .bearer_auth(key)
        .header("x-request-id", REQUEST_ID)
        .json(&json!({ "device": device, "to": THEIRS, "text": TEXT_OUT }));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], REQUEST_ID);
    assert_eq!(response.status(), 202);
    response.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
}

/// The lines of the log; every line on standard error is one JSON object.
fn lines(gateway: &Gateway) -> Vec<Value> {
    let output = gateway.process.output();
    // What is for the person at the terminal: the address, and the link of the first operator.
    let shown = ["Gerbang listens on ", "The dashboard has no operator yet", "http://"];
    let is_log = |line: &&str| !shown.iter().any(|start| line.starts_with(start));
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    output.lines().filter(is_log).map(parse).collect()
}

/// What the lines of a message say, in order.
fn steps(lines: &[Value], id: i64) -> Vec<String> {
    let is_of = |line: &&Value| line["message_id"].to_string().trim_matches('"') == id.to_string();
    let what = |line: &Value| line["message"].as_str().unwrap().to_owned();
    lines.iter().filter(is_of).map(what).collect()
}

/// The line that says the message was accepted names its request, and the request's own line too.
fn assert_of_request(lines: &[Value], id: i64) {
    let accepted = lines.iter().find(|line| {
        line["message"] == "accepted" && line["message_id"].to_string().contains(&id.to_string())
    });
    let span = |line: &Value| {
        let spans = line["spans"].as_array().cloned().unwrap_or_default();
        spans.into_iter().find(|span| span["request_id"] == REQUEST_ID)
    };
    let request = span(accepted.expect("it was accepted")).expect("inside its request's span");
    assert_eq!(request["route"], "/v1/messages", "{request}");
    assert_eq!(request["api"], "v1", "{request}");
    assert!(request["account"].is_number() || request["account"].is_string(), "{request}");
    let foreign = lines.iter().filter(|line| span(line).is_some()).filter(|line| {
        line["target"].as_str().is_some_and(|target| target.starts_with("engine::device"))
    });
    assert_eq!(foreign.count(), 0, "a device's task logs in the span of a request");
    let answered = lines.iter().any(|line| line["message"] == "answered" && span(line).is_some());
    assert!(answered, "no access line of the request");
}
