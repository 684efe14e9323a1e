//! What the tests of all dialects need to know of this one, and what its fixtures cannot show.

use axum::http::Method;
use domain::error::{Error, StoreError};
use domain::ids::MessageId;
use domain::message::{MessageEvent, TEXT_CHARS_MAX};
use domain::policy::queue::QueueFull;
use domain::ports::Clock as _;
use serde_json::{Value, json};
use testkit::fake_dispatcher::Ending;

use super::errors::Wagate;
use crate::api_error::ApiError;
use crate::api_error::ErrorShape as _;
use crate::dialects::contract::{Contract, SendSample};
use crate::tests::app::App;
use crate::tests::exchange::{Ask, TestResponse};

const MESSAGE: &str = "/api/v1/send-message";
const MEDIA: &str = "/api/v1/send-media";

pub(crate) static CONTRACT: Contract = Contract {
    sends: |app| {
        let message = SendSample {
            ask: Ask::post(MESSAGE, text(app)),
            required: &["recipient", "message"],
            text: "message",
            status: "sent",
        };
        let media = SendSample {
            ask: Ask::post(MEDIA, image(app)),
            required: &["recipient", "media_url"],
            text: "caption",
            status: "sent",
        };
        vec![message, media]
    },
    with_key: |ask, key| ask.key(key),
    body: |app, path| match path {
        MESSAGE => text(app),
        MEDIA => image(app),
        _ => json!({"device_id": app.front.id()}),
    },
    assert_shape,
    naming_others: |app| {
        let theirs = app.theirs.id();
        let mut body = text(app);
        body["device_id"] = json!(theirs);
        vec![
            Ask::post(MESSAGE, body.clone()),
            Ask::post(MEDIA, body),
            Ask::get(format!("/api/v1/device?device_id={theirs}")),
            Ask::get(format!("/api/v1/messages?device_id={theirs}")),
            Ask::get(format!("/api/v1/device?device_id={}", app.theirs.device.number_id)),
        ]
    },
    unknown_paths: &["/api/v1/nothing", "/api/v1/"],
};

fn text(app: &App) -> Value {
    json!({"device_id": app.front.id(), "recipient": "628123456789", "message": "Hello World!"})
}

fn image(app: &App) -> Value {
    json!({"device_id": app.front.id(), "recipient": "628123456789", "media_type": "image",
        "media_url": "https://example.com/image.jpg", "caption": "Ini caption"})
}

fn assert_shape(response: &TestResponse) {
    let body = response.json();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let has_quota = fields == ["message", "remaining_quota", "success"];
    assert!(has_quota || fields == ["message", "success"], "{fields:?}");
    assert_eq!(body["success"], false);
    assert!(!body["message"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn five_thousand_characters_whatever_they_are() {
    let app = App::new().await;
    for letter in ["x", "é", "😀"] {
        for (count, status) in [(5_000, 200), (5_001, 422)] {
            let mut body = text(&app);
            body["message"] = json!(letter.repeat(count));
            let response = Ask::post(MESSAGE, body).key(&app.shop.key).of(&app.router).await;
            let response = response.expect(status);
            let expected = (status == 422).then_some("message: must have at most 5000 characters");
            assert_eq!(response.json()["message"].as_str().filter(|_| status == 422), expected);
        }
    }
    let mut body = image(&app);
    body["caption"] = json!("x".repeat(TEXT_CHARS_MAX + 1));
    let response = Ask::post(MEDIA, body).key(&app.shop.key).of(&app.router).await.expect(422);
    assert!(response.json()["message"].as_str().unwrap().starts_with("caption: must have at most"));
}

#[tokio::test]
async fn the_ids_and_the_time_are_the_messages_own() {
    let app = App::new().await;
    for ending in [Ending::Sent, Ending::Pending] {
        app.dispatcher.set_ending(ending);
        let response = Ask::post(MESSAGE, text(&app)).key(&app.shop.key).of(&app.router).await;
        let response = response.expect(200);
        let message =
            Ask::get(response.header("location")).key(&app.shop.key).of(&app.router).await;
        let data = &response.json()["data"];
        assert_eq!(data["message_id"], message.json()["whatsapp_id"]);
        let id = data["message_id"].as_str().unwrap();
        assert!(id.len() == 20 && id.starts_with("3EB0"), "{id}");
        assert_eq!(data["timestamp"], app.clock.now().as_second());
    }
}

/// The message that `Location` names.
fn id(response: &TestResponse) -> MessageId {
    MessageId(response.header("location").rsplit('/').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn every_state_has_one_of_three_names() {
    let app = App::new().await;
    let front = app.front.id();
    app.dispatcher.set_ending(Ending::Pending);
    let cases = [
        (None, "pending"),
        (Some(MessageEvent::Acknowledged), "sent"),
        (Some(MessageEvent::Delivered), "sent"),
        (Some(MessageEvent::Read), "sent"),
        (Some(MessageEvent::Played), "sent"),
        (Some(MessageEvent::Failed), "failed"),
        (Some(MessageEvent::Expired), "failed"),
        (Some(MessageEvent::Withdrawn), "failed"),
    ];
    for (event, status) in cases {
        let response = Ask::post(MESSAGE, text(&app)).key(&app.front.token).of(&app.router).await;
        let response = response.expect(200);
        if let Some(event) = event {
            app.follow(id(&response), event).await;
        }
        let list = Ask::get("/api/v1/messages?limit=1").key(&app.front.token);
        let newest = list.of(&app.router).await.expect(200).json()["data"][0].clone();
        assert_eq!(newest["status"], status, "{event:?}");
        assert_eq!(newest["sent_at"].is_null(), status != "sent", "{event:?}");
    }
    let later = app.clock.now() + jiff::SignedDuration::from_hours(1);
    let body = json!({"device": front, "to": "628123456789", "text": "x", "schedule_at": later});
    Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await.expect(202);
    for (status, count) in [("sent", 4), ("failed", 3), ("pending", 2)] {
        let path = format!("/api/v1/messages?status={status}");
        let response =
            Ask::get(path).key(&app.front.token).of(&app.router).await.expect(200).json();
        assert_eq!(response["pagination"]["total"], count, "{status}");
        let rows = response["data"].as_array().unwrap();
        assert!(rows.iter().all(|row| row["status"] == status) && rows.len() == count, "{status}");
    }
    let response =
        Ask::get("/api/v1/device").key(&app.front.token).of(&app.router).await.expect(200);
    let expected = json!({"total_sent": 4, "total_failed": 3, "today_sent": 4});
    assert_eq!(response.json()["data"]["statistics"], expected);
}

#[tokio::test]
async fn an_account_key_is_enough_for_one_device() {
    let app = App::new().await;
    let body = json!({"recipient": "628123456789", "message": "Hello"});
    let theirs = app.theirs.device.number_id.to_string();
    let response = Ask::get("/api/v1/device").key(&app.rival.key).of(&app.router).await.expect(200);
    assert_eq!(response.json()["data"]["device"]["id"].to_string(), theirs);
    Ask::post(MESSAGE, body).key(&app.rival.key).of(&app.router).await.expect(200);
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
        (Error::TooManyWaits.into(), 429, "Too many requests wait"),
        (
            Error::IdempotencyInFlight.into(),
            409,
            "A request with this Idempotency-Key is still being handled",
        ),
        (ApiError::BodyLost, 408, "Request timeout"),
        (ApiError::TooLarge(5), 413, "Payload too large"),
    ];
    for (error, status, message) in cases {
        let response = Wagate::render(&error);
        assert_eq!(response.status().as_u16(), status);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"success": false, "message": message}));
    }
}

#[tokio::test]
async fn forms_are_bodies_too() {
    let app = App::new().await;
    let form = "application/x-www-form-urlencoded";
    let parts = "multipart/form-data; boundary=x";
    let part = |name: &str, value: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = [
        part("recipient", "628123456789"),
        part("message", "Hello & bye"),
        part("show_typing", "0"),
        "--x--\r\n".to_owned(),
    ];
    let urlencoded = "recipient=08123456789&message=Hello+%26+bye&show_typing=false";
    for (content_type, body) in [(form, urlencoded.to_owned()), (parts, multipart.concat())] {
        let ask = Ask::new(Method::POST, MESSAGE).header("content-type", content_type).raw(body);
        let response = ask.key(&app.front.token).of(&app.router).await.expect(200);
        let message = app.store.message(app.shop.id, id(&response)).await.unwrap().unwrap();
        assert_eq!(message.chat.to_string(), "628123456789@s.whatsapp.net");
        assert_eq!(message.text(), "Hello & bye");
        assert!(!message.typing);
    }
}
