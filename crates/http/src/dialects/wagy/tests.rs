//! What the tests of all dialects need to know of this one, and what its fixtures cannot show.

use axum::http::Method;
use domain::chat::Lid;
use domain::content::Content;
use domain::context::{Changes, Context, Quote};
use domain::device::DeviceStatus;
use domain::error::{Error, StoreError};
use domain::ids::{DeviceNumber, MessageId, WhatsappId};
use domain::message::{Address, Direction, Failure, MessageEvent, MessageState};
use domain::phone::PhoneNumber;
use domain::plan::Feature;
use domain::policy::queue::QueueFull;
use domain::ports::{Clock, EventFormats, Progress};
use domain::webhook::{
    Event, EventDevice, EventKind, EventMessage, EventStatus, FormatName, Subject,
};
use serde_json::{Value, json};

use super::errors::Wagy;
use crate::api_error::ApiError;
use crate::api_error::ErrorShape as _;
use crate::dialects::contract::{Contract, SendSample};
use crate::formats::Formats;
use crate::tests::access::VOUCHER;
use crate::tests::app::{App, OPERATOR};
use crate::tests::exchange::{Ask, TestResponse};

pub(crate) static CONTRACT: Contract = Contract {
    sends: |app| {
        let text = json!({"phone": "628123456789", "message": "hello"});
        let mut media = text.clone();
        media["media_url"] = json!("https://wagy.web.id/img/logo.jpg");
        let front = app.front.id();
        let sample = |path: String, body: Value| SendSample {
            ask: Ask::post(path, body),
            required: &["phone", "message"],
            text: "message",
            status: "queued",
        };
        vec![
            sample(format!("/{front}/send"), text.clone()),
            sample(format!("/api/v1/{front}/send"), text),
            sample(format!("/{front}/send"), media),
        ]
    },
    with_key: |ask, key| ask.key(key),
    body: |_, path| match path.ends_with("/redeem") {
        true => json!({"code": VOUCHER}),
        false => json!({"phone": "628999111222", "message": "hello"}),
    },
    assert_shape,
    naming_others: |app| {
        let body = json!({"phone": "628123456789", "message": "hello"});
        vec![Ask::post(format!("/{}/send", app.theirs.id()), body)]
    },
    unknown_paths: &["/some-device/nothing", "/api/v1/some-device/nothing", "/a/b/c"],
};

fn assert_shape(response: &TestResponse) {
    let body = response.json();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(fields == ["message", "status"] || fields == ["errors", "message", "status"]);
    assert_eq!(body["status"], "error");
    assert!(!body["message"].as_str().unwrap().is_empty());
}

/// What cannot be brought about from outside.
#[tokio::test]
async fn faults_in_shape() {
    let cases = [
        (ApiError::Crashed, 500, "Internal server error"),
        (Error::Store(StoreError::Fault("x".into())).into(), 500, "Internal server error"),
        (
            Error::Store(StoreError::Unavailable("x".into())).into(),
            503,
            "Service unavailable, try again later",
        ),
        (Error::QueueFull(QueueFull::Messages(5)).into(), 429, "Too many messages are waiting"),
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
        (ApiError::BodyLost, 408, "Request timeout"),
    ];
    for (error, status, message) in cases {
        let response = Wagy::render(&error);
        assert_eq!(response.status().as_u16(), status);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"status": "error", "message": message}));
    }
}

fn event(kind: EventKind) -> Event {
    let is_incoming = kind == EventKind::MessageReceived;
    let phone = || PhoneNumber::from_digits("628555");
    let message = EventMessage {
        id: MessageId(1_001),
        whatsapp_id: WhatsappId("3EB0AA".to_owned()),
        direction: if is_incoming { Direction::In } else { Direction::Out },
        chat: "628555@s.whatsapp.net".into(),
        sender: is_incoming
            .then(|| Address { phone: Some(phone()), lid: Some(Lid::from_user("999")) }),
        context: Context::default(),
        content: Content::Text("halo \u{1f44b}".into()),
        state: MessageState::Delivered,
        failure: None,
        created_at: "2026-11-21T07:59:58Z".parse().unwrap(),
    };
    let status = EventStatus {
        status: DeviceStatus::Disconnected,
        reason: Some("connection lost".to_owned()),
        code: Some(408),
        should_reconnect: true,
        restricted_until: None,
    };
    let is_of_device = kind.is_of_device();
    Event {
        id: "evt_1".to_owned(),
        kind,
        at: "2026-11-21T08:00:00Z".parse().unwrap(),
        account_id: domain::ids::AccountId(1),
        device: EventDevice {
            id: "0190e3a8-0000-7000-8000-000000000001".parse().unwrap(),
            number_id: DeviceNumber(7),
            name: "till".to_owned(),
            phone: Some(PhoneNumber::from_digits("628111111111")),
            lid: None,
        },
        subject: match is_of_device {
            true => Subject::Device(status),
            false => Subject::Message(Box::new(message)),
        },
    }
}

fn encode(kind: EventKind) -> Option<domain::ports::WebhookRequest> {
    let at = "2026-11-21T08:00:05Z".parse().unwrap();
    let (name, url) = (FormatName("wagy".to_owned()), "https://example.com/hook");
    Formats.encode(&name, url, &event(kind), "a secret of the test".into(), at)
}

#[test]
fn events_in_this_shape() {
    let response: Vec<Value> = EventKind::ALL
        .into_iter()
        .filter_map(encode)
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let message = |event: &str, lid: Value| {
        json!({"event": event, "source": "whatsapp", "data": {
            "id": 1001,
            "device_id": "0190e3a8-0000-7000-8000-000000000001",
            "owner_jid": "628111111111@s.whatsapp.net",
            "content": {
                "pn_jid": "628555@s.whatsapp.net",
                "lid_jid": lid,
                "content": "halo \u{1f44b}",
                "message_id": "3EB0AA",
                "timestamp": "2026-11-21T08:00:00Z",
                "is_edit": false,
            },
            "created_at": "2026-11-21T07:59:58Z",
        }})
    };
    let device = json!({"event": "device.status_update", "source": "whatsapp", "data": {
        "id": 7,
        "device_id": "0190e3a8-0000-7000-8000-000000000001",
        "owner_jid": "628111111111@s.whatsapp.net",
        "content": {
            "status": "disconnected",
            "reason": "connection lost",
            "timestamp": "2026-11-21T08:00:00Z",
        },
        "created_at": "2026-11-21T08:00:00Z",
    }});
    let mut expected = vec![message("message.received", json!("999@lid"))];
    expected.extend(
        ["message.sent", "message.delivered", "message.read"].map(|e| message(e, Value::Null)),
    );
    expected.extend(std::iter::repeat_n(device, 4));
    assert_eq!(response, expected);
}

#[test]
fn an_edit_is_marked_and_a_deletion_is_no_message() {
    let encoded = |kind: EventKind, direction: Direction, content: Content, context: Context| {
        let mut event = event(kind);
        let Subject::Message(message) = &mut event.subject else { panic!("a message") };
        (message.direction, message.content, message.context) = (direction, content, context);
        let (name, url) = (FormatName("wagy".to_owned()), "https://example.com/hook");
        let request =
            Formats.encode(&name, url, &event, "a secret of the test".into(), event.at)?;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let shown = &body["data"]["content"];
        let (id, is_edit) = (shown["message_id"].clone(), shown["is_edit"].clone());
        Some((body["event"].clone(), shown["content"].clone(), id, is_edit))
    };
    let text = || Content::Text("baru".into());
    let changes =
        Changes { edited_at: Some("2026-11-21T08:00:00Z".parse().unwrap()), ..Changes::default() };
    let edited = Context { changes, ..Context::default() };
    let of = Quote {
        whatsapp_id: WhatsappId("3EB0FIRST".to_owned()),
        is_ours: Some(true),
        sender: None,
        kind: domain::message::ContentKind::Text,
        text: "lama".into(),
    };
    let change = || Context { reply_to: Some(of.clone()), ..Context::default() };
    let shown = |event: &str, id: &str| Some((json!(event), json!("baru"), json!(id), json!(true)));
    for (kind, direction, content, context, expected) in [
        (
            EventKind::MessageEdited,
            Direction::In,
            text(),
            edited.clone(),
            shown("message.received", "3EB0AA"),
        ),
        (EventKind::MessageEdited, Direction::Out, text(), edited, None),
        // A place that moves.
        (EventKind::MessageEdited, Direction::In, text(), Context::default(), None),
        (
            EventKind::MessageSent,
            Direction::Out,
            Content::Edit("baru".into()),
            change(),
            shown("message.sent", "3EB0FIRST"),
        ),
        (EventKind::MessageSent, Direction::Out, Content::Revoke, change(), None),
    ] {
        assert_eq!(encoded(kind, direction, content, context), expected, "{kind:?} {direction:?}");
    }
}

/// The signature was computed with Python: `hmac.new(secret, body, sha256).hexdigest()`.
#[test]
fn the_signature_agrees_with_an_independent_computation() {
    let request = encode(EventKind::MessageReceived).unwrap();
    assert_eq!(request.headers, [("x-wagy-signature", SIGNATURE.to_owned())]);
}

const SIGNATURE: &str = "82868c8ae6cb371682eb8fe11b06c168d261071906a834960894d81bcc6af00e";

#[tokio::test]
async fn a_webhook_in_this_format_needs_its_challenge_answered() {
    let app = App::new().await;
    let ask = || {
        let body = json!({"url": "https://example.com/hook", "format": "wagy"});
        Ask::post("/v1/webhooks", body).key(&app.shop.key)
    };
    app.outbound.refuse_challenges();
    let before = app.everything().await;
    let refused = ask().of(&app.router).await.expect(422);
    assert_eq!(refused.json()["code"], "challenge_failed");
    assert!(!refused.text().contains("secret"));
    assert_eq!(app.everything().await, before);
}

/// Sends a message, lets this happen to it and gives the first row of this list.
async fn row_after(event: MessageEvent, failure: Option<Failure>, query: &str) -> (Value, Value) {
    let app = App::new().await;
    let response = (CONTRACT.sends)(&app).remove(0).ask.key(&app.front.token).of(&app.router).await;
    let id = response.expect(200).json()["data"]["message_id"].clone();
    let steps = vec![(event, app.clock.now())];
    let message = MessageId(id.as_i64().unwrap());
    let progress = Progress { id: message, steps, failure, next_attempt_at: None, file: None };
    app.store.record(vec![progress]).await.unwrap();
    let path = format!("/{}/messages?{query}", app.front.id());
    let list = Ask::get(path).key(&app.front.token).of(&app.router).await.expect(200).json();
    (id, list["data"][0].clone())
}

#[tokio::test]
async fn a_failed_message_says_why() {
    let failure = Failure::new(Failure::NOT_ON_WHATSAPP, "not on WhatsApp");
    let (id, row) = row_after(MessageEvent::Failed, Some(failure), "status=FAILED").await;
    assert_eq!((&row["id"], &row["error"]), (&id, &json!("not on WhatsApp")));
}

/// Receipts may come early, and WhatsApp need not send those that a later one implies.
#[tokio::test]
async fn a_message_that_was_played_was_sent_delivered_and_read() {
    let (_, row) = row_after(MessageEvent::Played, None, "status=READ").await;
    for time in ["sent_at", "delivered_at", "read_at"] {
        assert!(row[time].is_string(), "{time}: {row}");
    }
}

#[tokio::test]
async fn no_message_is_of_the_last_days_of_the_calendar() {
    let app = App::new().await;
    let zone = Ask::new(Method::PATCH, format!("/v1/accounts/{}", app.shop.id));
    let zone = zone.json(json!({"timezone": "America/New_York"})).key(OPERATOR);
    zone.of(&app.router).await.expect(200);
    (CONTRACT.sends)(&app).remove(0).ask.key(&app.shop.key).of(&app.router).await.expect(200);
    for (query, total) in [("start_date=9999-12-31", 0), ("end_date=9999-12-31", 1)] {
        let ask = Ask::get(format!("/{}/messages?{query}", app.front.id())).key(&app.shop.key);
        let list = ask.of(&app.router).await.expect(200).json();
        assert_eq!(list["pagination"]["total"], total, "{query}");
    }
}
