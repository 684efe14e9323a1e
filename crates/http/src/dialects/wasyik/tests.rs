//! What the tests of all dialects need to know of this one, and what its fixtures cannot show.

mod php;
mod webhooks;

use axum::http::StatusCode;
use domain::error::{Error, StoreError};
use domain::ids::MessageId;
use domain::message::{Failure, MessageEvent};
use domain::policy::queue::QueueFull;
use domain::ports::{Clock, Progress};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::errors::Wasyik;
use crate::api_error::ApiError;
use crate::api_error::ErrorShape as _;
use crate::dialects::contract::{Contract, SendSample};
use crate::tests::app::App;
use crate::tests::exchange::{Ask, TestResponse};

const PLAIN: &str = "/api/v2/messaging/whatsapp";
const DOUBLED: &str = "/api/v2/api/v2/messaging/whatsapp";

pub(crate) static CONTRACT: Contract = Contract {
    sends: |app| {
        // The doubled path leads to the same code; only times differ.
        let is_tried_twice = |sample: &SendSample| {
            let path = sample.ask.path.as_str();
            path.ends_with("/send-text") || path.ends_with("/schedule")
        };
        let doubled = sends(app, DOUBLED).into_iter().filter(is_tried_twice);
        sends(app, PLAIN).into_iter().chain(doubled).collect()
    },
    with_key: |ask, key| ask.key(key),
    body,
    assert_shape,
    naming_others: |app| {
        let theirs = app.theirs.id();
        let mut asks: Vec<Ask> = ["/accounts/scan-qrcode", "/accounts/disconnect"]
            .map(|call| Ask::post(format!("{PLAIN}{call}"), json!({"accountId": theirs})))
            .into();
        for call in ["/accounts/status", "/accounts/groups"] {
            asks.push(Ask::get(format!("{PLAIN}{call}?accountId={theirs}")));
        }
        for sample in sends(app, PLAIN) {
            let mut body: Value =
                serde_json::from_slice(sample.ask.body.as_ref().unwrap()).unwrap();
            body["accountId"] = json!(theirs);
            asks.push(sample.ask.raw(body.to_string()));
        }
        asks
    },
    unknown_paths: &[
        "/api/v2/nothing",
        "/api/v2",
        "/api/v2/messaging/whatsapp",
        "/api/v2/api/v2/x",
    ],
};

fn sends(app: &App, base: &str) -> Vec<SendSample> {
    let sample = |call: &str, required, text, status| SendSample {
        ask: Ask::post(format!("{base}{call}"), body(app, call)),
        required,
        text,
        status,
    };
    vec![
        sample("/send-text", &["accountId", "to", "text"], "text", "sent"),
        sample("/message", &["accountId", "to", "messageType", "content"], "content", "sent"),
        sample("/send-image", &["accountId", "to", "url"], "caption", "sent"),
        sample("/send-document", &["accountId", "to", "url"], "fileName", "sent"),
        sample("/send-group", &["accountId", "groupId", "text"], "text", "sent"),
        sample(
            "/send-group-media",
            &["accountId", "groupId", "messageType", "url"],
            "caption",
            "sent",
        ),
        sample("/broadcast", &["accountId", "to", "messageType", "content"], "content", "queued"),
        sample(
            "/schedule",
            &["accountId", "to", "messageType", "content", "scheduled_at"],
            "content",
            "scheduled",
        ),
    ]
}

fn body(app: &App, path: &str) -> Value {
    let account = app.front.id();
    let url = "https://domain.com/photo.jpg";
    let group = "120363041234567890@g.us";
    let call = path.rsplit('/').next().unwrap();
    match call {
        "scan-qrcode" => json!({"accountId": app.unlinked.id()}),
        "disconnect" | "status" | "groups" => json!({"accountId": account}),
        "send-text" => json!({"accountId": account, "to": "628999111222", "text": "hello"}),
        "send-image" | "send-document" => {
            json!({"accountId": account, "to": "628999111222", "url": url})
        }
        "send-group" => json!({"accountId": account, "groupId": group, "text": "hello"}),
        "send-group-media" => {
            json!({"accountId": account, "groupId": group, "messageType": "IMAGE", "url": url})
        }
        _ => {
            let mut body = json!({
                "accountId": account, "to": "628999111222", "messageType": "text", "content": "hello",
            });
            if call == "broadcast" {
                body["to"] = json!(["628999111222", "628999111333"]);
            }
            if call == "schedule" {
                body["scheduled_at"] = json!(app.clock.now() + SignedDuration::from_hours(1));
            }
            body
        }
    }
}

fn assert_shape(response: &TestResponse) {
    let body = response.json();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&body), ["data"]);
    assert_eq!(fields(&body["data"]), ["message", "responseCode"]);
    let expected: &[&str] = match response.status.as_u16() {
        400 => &["07", "08"],
        401 => &["02"],
        403 => &["03"],
        404 => &["04"],
        405 => &["09"],
        408 | 415 | 422 => &["01"],
        409 => &["05", "10"],
        413 => &["11"],
        429 => &["06"],
        500.. => &["99"],
        other => panic!("{other} is no status of this API"),
    };
    let code = body["data"]["responseCode"].as_str().unwrap();
    assert!(expected.contains(&code), "{}: {code}", response.status);
    assert!(!body["data"]["message"].as_str().unwrap().is_empty());
}

/// What cannot be brought about from outside.
#[tokio::test]
async fn faults_in_shape() {
    let cases: [(ApiError, u16, &str, &str); 9] = [
        (ApiError::Crashed, 500, "99", "Internal server error"),
        (Error::Store(StoreError::Fault("x".into())).into(), 500, "99", "Internal server error"),
        (
            Error::Store(StoreError::Unavailable("x".into())).into(),
            503,
            "99",
            "Service unavailable, try again later",
        ),
        (
            Error::QueueFull(QueueFull::Messages(5)).into(),
            429,
            "06",
            "Too many messages are waiting",
        ),
        (Error::TooManyWaits.into(), 429, "06", "Too many requests wait for their message"),
        (
            Error::IdempotencyInFlight.into(),
            409,
            "10",
            "A request with this Idempotency-Key is still being handled",
        ),
        (ApiError::BodyLost, 408, "01", "The body came too slowly or broke off"),
        (Error::Whatsapp("x".into()).into(), 502, "99", "WhatsApp did not answer"),
        (Error::NotSent(Failure::new("x", "refused")).into(), 502, "99", "refused"),
    ];
    for (error, status, code, message) in cases {
        let response = Wasyik::render(&error);
        assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"data": {"responseCode": code, "message": message}}));
    }
}

/// The seed's own clients are in PHP: they post forms as often as JSON.
#[tokio::test]
async fn forms_do_what_json_does() {
    let app = App::new().await;
    let front = app.front.id();
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let account = front.to_string();
    let parts = [part("accountId", &account), part("to", "0899 911 1222"), part("text", "é 😀")];
    let schedule = "messageType=TEXT&content=x&scheduled_at=2026-11-22+10%3A00%3A00";
    let forms = [
        ("send-text", FORM, format!("accountId={front}&to=0899-9111222&text=%C3%A9+%F0%9F%98%80")),
        ("send-text", "multipart/form-data; boundary=b", parts.concat() + "--b--\r\n"),
        (
            "broadcast",
            FORM,
            format!(
                "accountId={front}&to[]=0899+9111222&to%5B1%5D=628999111333&messageType=text&content=hi"
            ),
        ),
        ("schedule", FORM, format!("accountId={front}&to=628999111222&{schedule}")),
    ];
    for (call, content_type, form) in forms {
        let ask = Ask::post(format!("{PLAIN}/{call}"), json!({}));
        let ask = ask.header("content-type", content_type).raw(form).key(&app.shop.key);
        let response = ask.of(&app.router).await.expect(200);
        let message =
            Ask::get(response.header("location")).key(&app.shop.key).of(&app.router).await;
        assert_eq!(message.json()["to"], "628999111222", "{call}");
        if call == "send-text" {
            assert_eq!(message.json()["text"], "é 😀");
        }
    }
    assert_eq!(app.message_count().await, 5);
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn a_broadcast_goes_to_a_thousand_and_no_further() {
    let app = App::new().await;
    let people = |count: i64| (0..count).map(|n| json!(628_000_000_000 + n)).collect::<Value>();
    let broadcast = |to: Value| {
        let mut body = body(&app, "/broadcast");
        body["to"] = to;
        Ask::post(format!("{PLAIN}/broadcast"), body).key(&app.shop.key)
    };
    let response = broadcast(people(1_001)).of(&app.router).await.expect(422);
    assert_eq!(response.json()["data"]["message"], "to: must hold 1 to 1000 phone numbers");
    assert_eq!(app.store.outbox().await.unwrap().len(), 0);
    let response = broadcast(people(1_000)).of(&app.router).await.expect(200);
    assert_eq!(response.json()["data"]["message"], "Broadcast queued for 1000 recipients");
    assert_eq!(app.store.outbox().await.unwrap().len(), 1_000);
}

/// What becomes of scheduled messages, as both lists show it.
#[tokio::test]
async fn the_lists_follow_scheduled_messages_to_their_end() {
    use MessageEvent::{Acknowledged, AttemptFailed, Delivered, Expired, Failed, Submitted};
    let app = App::new().await;
    let why = || Some(Failure::new("refused", "WhatsApp refused it"));
    let retried_at = app.clock.now() + SignedDuration::from_hours(5);
    let lives: [(&[MessageEvent], Option<Failure>, &str, Value); 6] = [
        (&[Submitted, Acknowledged], None, "sent", json!(null)),
        (&[Submitted, Acknowledged, Delivered], None, "sent", json!(null)),
        (&[Submitted, Failed], why(), "failed", json!("WhatsApp refused it")),
        (&[Expired], None, "failed", json!("the message is expired")),
        (&[Submitted, AttemptFailed], why(), "pending", json!(null)),
        (&[], None, "pending", json!(null)),
    ];
    let mut pending_ids = Vec::new();
    for (steps, failure, status, _) in &lives {
        let ask = Ask::post(format!("{PLAIN}/schedule"), body(&app, "/schedule"));
        let response = ask.key(&app.shop.key).of(&app.router).await.expect(200);
        let id = MessageId(response.json()["data"]["scheduleId"].as_i64().unwrap());
        pending_ids.extend((*status == "pending").then_some(id.0));
        let at = app.clock.now() + SignedDuration::from_hours(2);
        let progress = Progress {
            id,
            steps: steps.iter().map(|step| (*step, at)).collect(),
            failure: failure.clone(),
            next_attempt_at: Some(retried_at),
            file: None,
        };
        if !steps.is_empty() {
            app.store.record(vec![progress]).await.unwrap();
        }
    }
    let response = Ask::get(format!("{PLAIN}/scheduled")).key(&app.shop.key).of(&app.router).await;
    let response = response.expect(200).json();
    let rows = response["data"]["scheduled_messages"].as_array().unwrap();
    assert_eq!(rows.len(), lives.len());
    for (row, (.., status, error)) in rows.iter().zip(&lives) {
        assert_eq!((&row["status"], &row["error_message"]), (&json!(status), error));
        assert_eq!(row["scheduled_at"], "2026-11-21T09:00:00.000000Z", "{row}");
    }
    let response =
        Ask::get(format!("{DOUBLED}/scheduled")).key(&app.shop.key).of(&app.router).await;
    let response = response.expect(200).json();
    let pending: Vec<_> =
        response["data"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(pending, pending_ids);
    assert_eq!(response["data"][0]["scheduled_at"], "2026-11-21T16:00:00+07:00");
}
