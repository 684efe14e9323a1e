//! The fixtures: each file is a conversation with a gateway that is set up anew.

use std::path::PathBuf;

use axum::http::Method;
use domain::device::{DeviceStatus, StatusChange};
use domain::error::{Error, StoreError};
use domain::plan::Feature;
use domain::ports::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::render;
use crate::dialects::contract::Contract;
use crate::refusal::Refusal;
use crate::tests::app::{App, OPERATOR};
use crate::tests::exchange::{Ask, Told};

pub(crate) static CONTRACT: Contract = Contract {
    name: "wagy",
    send: |app| {
        let body = json!({"phone": "628123456789", "message": "hello"});
        Ask::post(format!("/{}/send", app.front.id()), body)
    },
    with_key: |ask, key| ask.key(key),
    assert_shape,
    fields: ["phone", "message"],
    unknown_paths: &["/some-device/nothing", "/api/v1/some-device/nothing", "/a/b/c"],
};

fn assert_shape(told: &Told) {
    let body = told.json();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(fields == ["message", "status"] || fields == ["errors", "message", "status"]);
    assert_eq!(body["status"], "error");
    assert!(!body["message"].as_str().unwrap().is_empty());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// What it shows.
    #[expect(dead_code, reason = "for people")]
    about: String,
    /// The shop's plan.
    #[serde(default = "unlimited")]
    plan: String,
    /// Messages the shop has sent before.
    #[serde(default)]
    sent: usize,
    /// The state the front device is brought into.
    front: Option<DeviceStatus>,
    steps: Vec<Step>,
}

fn unlimited() -> String {
    "unlimited".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "post")]
    method: String,
    /// With `{front}` and the like in it.
    path: String,
    /// The name of a key.
    key: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<Value>,
    /// A body that is no JSON.
    raw: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Value,
}

#[tokio::test]
async fn every_fixture_holds() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/dialects/wagy/fixtures");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let fixture = serde_json::from_slice(&std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        play(&name, fixture).await;
    }
}

async fn play(name: &str, fixture: Fixture) {
    let app = App::on_plan(&fixture.plan).await;
    for _ in 0..fixture.sent {
        let told = (CONTRACT.send)(&app).key(&app.shop.key).of(&app.router).await;
        assert_eq!(told.status, 200, "{name}: {}", told.text());
    }
    if let Some(status) = fixture.front {
        let change = StatusChange { status, reason: None, linked: None, at: app.clock.now() };
        app.core.store.set_device_status(app.front.id(), &change).await.unwrap();
    }
    for (index, step) in fixture.steps.into_iter().enumerate() {
        let count = app.message_count().await;
        let told = ask(&app, step.request).of(&app.router).await;
        let label = format!("{name}, step {index}: {}", told.text());
        assert_eq!(told.status.as_u16(), step.response.status, "{label}");
        assert_eq!(told.json(), step.response.body, "{label}");
        for (header, value) in &step.response.headers {
            assert_eq!(told.header(header), value, "{label}");
        }
        if !told.status.is_success() {
            assert_eq!(app.message_count().await, count, "{label}");
        }
    }
}

fn ask(app: &App, request: Request) -> Ask {
    let method: Method = request.method.parse().unwrap();
    let path = request
        .path
        .replace("{front}", &app.front.id().to_string())
        .replace("{front_number}", &app.front.device.number_id.to_string())
        .replace("{unlinked}", &app.unlinked.id().to_string())
        .replace("{theirs}", &app.theirs.id().to_string());
    let mut ask = Ask::new(method, path);
    if let Some(body) = request.body {
        ask = ask.json(body);
    }
    if let Some(raw) = request.raw {
        ask = ask.header("content-type", "application/json").raw(raw);
    }
    for (name, value) in &request.headers {
        ask = ask.header(name, value);
    }
    match request.key.as_deref() {
        None => ask,
        Some("shop") => ask.key(&app.shop.key),
        Some("front") => ask.key(&app.front.token),
        Some("back") => ask.key(&app.back.token),
        Some("rival") => ask.key(&app.rival.key),
        Some("revoked") => ask.key(&app.revoked),
        Some("operator") => ask.key(OPERATOR),
        Some("unknown") => ask.key("gba_nobody"),
        Some(other) => panic!("no key is called {other}"),
    }
}

/// What cannot be brought about from outside.
#[tokio::test]
async fn faults_in_shape() {
    let cases = [
        (Refusal::Crashed, 500, "Internal server error"),
        (Error::Store(StoreError::Fault("x".into())).into(), 500, "Internal server error"),
        (
            Error::Store(StoreError::Unavailable("x".into())).into(),
            503,
            "Service unavailable, try again later",
        ),
        (Error::QueueFull(5).into(), 429, "Too many messages are waiting"),
        (
            Error::IdempotencyInFlight.into(),
            409,
            "A request with this Idempotency-Key is still being handled",
        ),
        (
            Error::FeatureMissing(Feature::Broadcast).into(),
            402,
            "Your plan does not include broadcast",
        ),
        (Refusal::BodyLost, 408, "Request timeout"),
    ];
    for (refusal, status, message) in cases {
        let response = render(&refusal);
        assert_eq!(response.status().as_u16(), status);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"status": "error", "message": message}));
    }
}
