//! The webhook receivers of `examples/clients/webhooks`: each accepts authentic events, by its format's
//! own published check, and refuses forged ones.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::languages;
use crate::support::api::Api;
use crate::support::process::Process;
use crate::support::wait::until;
use crate::world::World;

/// Letters of several scripts, and what JSON and forms have to escape.
const WORDS: &str = "Halo 👋 שלום \"a/b\" & c=d é";
const THEIRS: &str = "628292000001";
const SECRET: &str = "d2ViaG9vay1zZWNyZXQtb2YtdGhlLXRlc3Rz";

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_in_node() {
    try_receiver("gerbang", "gerbang.mjs", &format!("whsec_{SECRET}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_webhooks_in_go() {
    try_receiver("gerbang", "gerbang.go", &format!("whsec_{SECRET}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wagys_webhooks_in_python() {
    try_receiver("wagy", "wagy.py", SECRET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wasyiks_webhooks_in_php() {
    try_receiver("wasyik", "wasyik.php", SECRET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wachats_push_in_php() {
    try_receiver("wachat", "wachat.php", SECRET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_received_and_answered_in_node() {
    try_photo("gerbang.photo.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_received_and_answered_in_go() {
    try_photo("gerbang.photo.go").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_received_and_answered_in_php() {
    try_photo("gerbang.photo.php").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_received_and_answered_in_python() {
    try_photo("gerbang.photo.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_received_and_answered_in_ruby() {
    try_photo("gerbang.photo.rb").await;
}

async fn try_photo(file: &str) {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (gateway, path) = (world.url(), folder.path().to_str().unwrap());
    let settings =
        [("GERBANG_URL", gateway.as_str()), ("GERBANG_KEY", world.key()), ("FOLDER", path)];
    let secret = format!("whsec_{SECRET}");
    let (mut receiver, url) = start(file, &secret, &settings).await;
    let webhook = json!({ "url": url, "secret": secret, "events": ["message.received"] });
    world.account.post("/v1/webhooks", webhook).await;

    let photo = vec![7; 54_321];
    let media =
        json!({ "kind": "image", "mimetype": "image/jpeg", "base64": STANDARD.encode(&photo) });
    let send = async |content: Value| {
        let path = format!("/phones/{THEIRS}/send");
        world.simulator.control().post(&path, content).await;
    };
    // A picture without a word of how to fetch it: an `imageMessage` without fields.
    send(json!({ "to": crate::world::OURS, "raw": "GgA=" })).await;
    let has_none = |line: &str| line.contains(" has no file: ").then_some(());
    receiver.line("that there is no photo", has_none).await;
    send(json!({ "to": crate::world::OURS, "media": media })).await;
    let saved = |line: &str| line.strip_prefix("saved ").map(str::to_owned);
    let name = receiver.line("the name of the photo", saved).await;
    assert!(std::fs::read(folder.path().join(name)).unwrap() == photo);
    let answer = world.mail(THEIRS, "Thank you for the photo of 54321 bytes").await;
    assert!(answer["reply_to"].is_string(), "{answer}");
}

async fn try_receiver(format: &str, file: &str, secret: &str) {
    let world = World::start().await;
    let (mut receiver, url) = start(file, secret, &[]).await;
    let webhook = json!({
        "url": url, "format": format, "secret": secret, "events": ["message.received"],
    });
    world.account.post("/v1/webhooks", webhook).await;

    world.simulator.send(THEIRS, crate::world::OURS, WORDS).await;
    let event = receiver.line("an event", read).await;
    assert!(holds(&event, WORDS), "{event}");

    let forged = json!({ "data": { "event": "forged" } });
    let reply = Api::new(&url).call("POST", "", Some(forged)).await;
    assert!((400..500).contains(&reply.status), "{reply:?}");
    let is_refused = |line: &str| line.starts_with("refused: ").then_some(());
    receiver.line("its refusal", is_refused).await;

    drop(receiver);
    let address = url.strip_prefix("http://").unwrap();
    until("its port is free", 10, async || TcpListener::bind(address).await.ok()).await;
}

/// Starts a receiver on a free port; returns it and its URL.
async fn start(file: &str, secret: &str, settings: &[(&str, &str)]) -> (Process, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/clients/webhooks");
    let port = free_port().await;
    let mut command = if file.ends_with(".php") {
        let mut php = Command::new("php");
        php.args(["-S", &format!("127.0.0.1:{port}"), file]);
        php
    } else {
        languages::command(Path::new(file))
    };
    command.current_dir(folder).env("PORT", port.to_string()).env("GERBANG_WEBHOOK_SECRET", secret);
    command.envs(settings.iter().copied());
    let receiver = Process::start("a webhook receiver", command);
    let url = format!("http://127.0.0.1:{port}");
    let client = Api::new(&url);
    until(format!("{file} answers"), 60, async || client.try_call("GET", "/", None).await.ok())
        .await;
    (receiver, url)
}

/// A port that is free now.
pub async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

fn read(line: &str) -> Option<Value> {
    serde_json::from_str(line.strip_prefix("accepted ")?).ok()
}

/// Whether some text in it is exactly this.
fn holds(value: &Value, words: &str) -> bool {
    match value {
        Value::String(text) => text == words,
        Value::Array(values) => values.iter().any(|value| holds(value, words)),
        Value::Object(fields) => fields.values().any(|value| holds(value, words)),
        _ => false,
    }
}
