//! The fixtures of every dialect, played: each file in `dialects/NAME/fixtures/` is a conversation
//! with a gateway that is set up anew. `docs/add-a-dialect.md` says what may stand in one.

use std::path::{Path, PathBuf};

use axum::http::Method;
use domain::chat::GroupId;
use domain::device::{DeviceStatus, Group, PairOffer, StatusChange};
use domain::grant::{NewGrant, NewVoucher};
use domain::key::Secret;
use domain::message::Failure;
use domain::passkey::PasskeyStep;
use domain::phone::PhoneNumber;
use domain::plan::Feature;
use domain::ports::Clock;
use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use testkit::fake_dispatcher::Ending;

use super::ALL;
use crate::api::Api;
use crate::routes::Route;
use crate::tests::app::{App, OPERATOR};
use crate::tests::exchange::{Ask, TestResponse};

fn status<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<DeviceStatus>, D::Error> {
    let name = String::deserialize(reader)?;
    let status = DeviceStatus::from_name(&name);
    status.map(Some).ok_or_else(|| D::Error::custom("no state of a device"))
}

/// A conversation and the gateway it is held with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// What it shows.
    #[expect(dead_code, reason = "for people")]
    about: String,
    /// The shop's plan.
    #[serde(default = "unlimited")]
    plan: String,
    /// Features the plan has in place of its own.
    features: Option<Vec<Feature>>,
    /// Messages the shop has sent before.
    #[serde(default)]
    sent: usize,
    /// The state the front device is brought into.
    #[serde(default, deserialize_with = "status")]
    front: Option<DeviceStatus>,
    /// Messages granted to the front device, and until when they hold.
    grant: Option<Granted>,
    /// Vouchers that can be redeemed: code and messages.
    #[serde(default)]
    vouchers: Vec<(String, i64)>,
    /// The groups every device is in: id and name.
    #[serde(default)]
    groups: Vec<(String, String)>,
    /// Numbers that are not on WhatsApp.
    #[serde(default)]
    off_whatsapp: Vec<String>,
    /// What becomes of the messages that are waited for.
    #[serde(default)]
    ending: WaitEnding,
    /// What a device that is to be linked shows.
    passkey: Option<String>,
    /// Whether webhooks fail their challenge.
    #[serde(default)]
    refuses_challenges: bool,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted {
    messages: i64,
    expires_at: Option<jiff::Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WaitEnding {
    #[default]
    Sent,
    Pending,
    Unconnected,
    /// Code and words.
    Failed(String, String),
}

fn unlimited() -> String {
    "unlimited".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Seconds that pass before it.
    #[serde(default)]
    after_s: i64,
    request: Request,
    response: Response,
    /// Some of what `/v1` shows then of the message that `Location` names.
    message: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "post")]
    method: String,
    /// With `{front}` and the like in it, as everywhere.
    path: String,
    /// The name of a key, put where the dialect has it.
    key: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// A JSON body.
    body: Option<Value>,
    /// Any other body; JSON by name, unless `headers` say otherwise.
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
    /// The whole body. `"{any}"` stands for any value but null, `"{#front_number}"` for a number.
    body: Option<Value>,
}

#[tokio::test]
async fn every_fixture_of_every_dialect_holds() {
    for dialect in ALL {
        let files = files(dialect.name);
        assert!(!files.is_empty(), "{} has no fixtures", dialect.name);
        for file in files {
            let name = format!("{}/{}", dialect.name, file.file_name().unwrap().display());
            let fixture = serde_json::from_slice(&std::fs::read(&file).unwrap())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            play(dialect, &name, fixture).await;
        }
    }
}

fn files(dialect: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialects").join(dialect);
    let Ok(entries) = std::fs::read_dir(folder.join("fixtures")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn play(dialect: &Api, name: &str, fixture: Fixture) {
    let app = set_up(dialect, &fixture).await;
    for (index, step) in fixture.steps.into_iter().enumerate() {
        app.clock.hands.advance(SignedDuration::from_secs(step.after_s));
        let before = app.everything().await;
        let ask = ask(&app, dialect, step.request);
        let asked = (ask.method.clone(), ask.path.clone());
        let response = ask.of(&app.router).await;
        let label = format!("{name}, step {index}: {} {}", response.status, response.text());
        assert_eq!(response.status.as_u16(), step.response.status, "{label}");
        assert_documented(dialect, &asked, response.status.as_u16(), &label);
        if let Some(expected) = &step.response.body {
            assert_matches(&response.json(), &filled(&app, expected), &label);
        }
        for (header, value) in &step.response.headers {
            assert_eq!(response.header(header), place(&app, value), "{label}");
        }
        if response.status.is_client_error() && response.header("gerbang-status").is_empty() {
            assert_eq!(app.everything().await, before, "{label} changed something");
        }
        if let Some(expected) = &step.message {
            assert_part(&message(&app, &response).await, &filled(&app, expected), &label);
        }
    }
}

/// Asserts that a route says that it may answer with this status.
fn assert_documented(dialect: &Api, (method, path): &(Method, String), status: u16, label: &str) {
    let path = path.split('?').next().unwrap_or_default();
    let is_asked = |route: &&Route| {
        let (template, path) = (route.path.split('/'), path.split('/'));
        route.method == *method
            && template.clone().count() == path.clone().count()
            && template.zip(path).all(|(name, given)| name.starts_with('{') || name == given)
    };
    let routes = (dialect.routes)();
    let Some(route) = routes.iter().find(is_asked) else { return };
    let answers = route.docs.answers.iter().map(|answer| answer.status);
    let mut known = answers.chain(route.docs.errors.iter().map(|(status, _)| *status));
    assert!(known.any(|known| known == status), "{label} is not documented at {}", route.path);
}

async fn set_up(dialect: &Api, setup: &Fixture) -> App {
    let app = App::on_plan(&setup.plan).await;
    let store = &app.store;
    if let Some(features) = setup.features.clone() {
        let plans = store.plans().await.unwrap();
        let plan = plans.into_iter().find(|plan| plan.name == setup.plan).unwrap();
        store.put_plan(domain::plan::Plan { features, ..plan }).await.unwrap();
    }
    for _ in 0..setup.sent {
        let send = (dialect.contract().sends)(&app).remove(0).ask;
        let response = (dialect.contract().with_key)(send, &app.shop.key).of(&app.router).await;
        assert!(response.status.is_success(), "{}", response.text());
    }
    let now = app.clock.now();
    if let Some(&Granted { messages, expires_at }) = setup.grant.as_ref() {
        let (account_id, device_id) = (app.shop.id, Some(app.front.id()));
        let grant = NewGrant { account_id, device_id, messages, expires_at };
        store.add_grant(grant, now).await.unwrap();
    }
    let voucher = |(code, messages): &(String, i64)| NewVoucher {
        code: Secret::new(code.as_str()).hash(),
        messages: *messages,
        valid_days: None,
    };
    store.create_vouchers(setup.vouchers.iter().map(voucher).collect(), now).await.unwrap();
    if let Some(status) = setup.front {
        let change = StatusChange::new(status, now);
        store.set_device_status(app.front.id(), &change).await.unwrap();
    }
    let groups =
        setup.groups.iter().cloned().map(|(id, name)| Group { id: GroupId::from_jid(id), name });
    app.dispatcher.set_groups(groups.collect());
    for number in &setup.off_whatsapp {
        app.dispatcher.set_off_whatsapp(PhoneNumber::from_digits(number));
    }
    app.dispatcher.set_ending(match &setup.ending {
        WaitEnding::Sent => Ending::Sent,
        WaitEnding::Pending => Ending::Pending,
        WaitEnding::Unconnected => Ending::Unconnected,
        WaitEnding::Failed(code, words) => Ending::Failed(Failure::new(code, words)),
    });
    if let Some(request) = setup.passkey.clone() {
        let step = PasskeyStep::Requested;
        app.dispatcher.set_offer(PairOffer::Passkey { request, step, expires_in_s: 600 });
    }
    if setup.refuses_challenges {
        app.outbound.refuse_challenges();
    }
    app
}

fn ask(app: &App, dialect: &Api, request: Request) -> Ask {
    let method: Method = request.method.parse().unwrap();
    let mut ask = Ask::new(method, place(app, &request.path));
    if let Some(body) = &request.body {
        ask = ask.json(filled(app, body));
    }
    if let Some(raw) = &request.raw {
        ask = ask.header("content-type", "application/json").raw(place(app, raw));
    }
    for (name, value) in &request.headers {
        ask = ask.header(name, &place(app, value));
    }
    let key = match request.key.as_deref() {
        None => return ask,
        Some("shop") => &app.shop.key,
        Some("front") => &app.front.token,
        Some("back") => &app.back.token,
        Some("unlinked") => &app.unlinked.token,
        Some("rival") => &app.rival.key,
        Some("theirs") => &app.theirs.token,
        Some("revoked") => &app.revoked,
        Some("operator") => OPERATOR,
        Some("unknown") => "gba_nobody",
        Some(other) => panic!("no key is called {other}"),
    };
    (dialect.contract().with_key)(ask, key)
}

/// What stands for the things of this gateway, in their place.
fn place(app: &App, text: &str) -> String {
    let devices = [
        ("front", &app.front),
        ("back", &app.back),
        ("unlinked", &app.unlinked),
        ("theirs", &app.theirs),
    ];
    let mut text = text
        .replace("{shop_key}", &app.shop.key)
        .replace("{front_token}", &app.front.token)
        .replace("{back_token}", &app.back.token)
        .replace("{rival_key}", &app.rival.key);
    for (name, linked) in devices {
        let phone = linked.device.phone.as_ref().map_or("", |phone| phone.as_str());
        text = text
            .replace(&format!("{{{name}}}"), &linked.id().to_string())
            .replace(&format!("{{{name}_number}}"), &linked.device.number_id.to_string())
            .replace(&format!("{{{name}_phone}}"), phone);
    }
    text
}

fn filled(app: &App, value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("{#").and_then(|t| t.strip_suffix('}')) {
            Some(name) => serde_json::from_str(&place(app, &format!("{{{name}}}"))).unwrap(),
            None => Value::String(place(app, text)),
        },
        Value::Array(items) => items.iter().map(|item| filled(app, item)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (place(app, name), filled(app, value))).collect()
        }
        same => same.clone(),
    }
}

/// Asserts that both are the same, but for what may be anything.
fn assert_matches(response: &Value, expected: &Value, label: &str) {
    assert!(matches(response, expected, false), "{label}\nexpected {expected:#}");
}

/// Asserts that all that is expected is there; objects may hold more.
fn assert_part(response: &Value, expected: &Value, label: &str) {
    assert!(
        matches(response, expected, true),
        "{label}\nexpected {expected:#}\nfound {response:#}"
    );
}

fn matches(response: &Value, expected: &Value, may_hold_more: bool) -> bool {
    match (response, expected) {
        (response, Value::String(text)) if text == "{any}" => !response.is_null(),
        (Value::Array(response), Value::Array(expected)) => {
            response.len() == expected.len()
                && response
                    .iter()
                    .zip(expected)
                    .all(|(response, e)| matches(response, e, may_hold_more))
        }
        (Value::Object(response), Value::Object(expected)) => {
            (may_hold_more || response.len() == expected.len())
                && expected.iter().all(|(name, value)| {
                    response
                        .get(name)
                        .is_some_and(|response| matches(response, value, may_hold_more))
                })
        }
        (response, expected) => response == expected,
    }
}

async fn message(app: &App, response: &TestResponse) -> Value {
    Ask::get(response.header("location"))
        .key(&app.shop.key)
        .of(&app.router)
        .await
        .expect(200)
        .json()
}
