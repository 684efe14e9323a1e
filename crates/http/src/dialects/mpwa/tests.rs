//! What the tests of all dialects need to know of this one, and what its fixtures cannot show.

use axum::http::Method;
use domain::ids::MessageId;
use domain::message::{MessageEvent, TEXT_CHARS_MAX};
use serde_json::{Value, json};
use testkit::fake_dispatcher::Ending;

use crate::dialects::contract::{Contract, SendSample};
use crate::tests::app::App;
use crate::tests::exchange::{Ask, TestResponse};

pub(crate) static CONTRACT: Contract = Contract {
    sends: |app| {
        let message = SendSample {
            ask: Ask::post("/send-message", text(app)),
            required: &["sender", "number", "message"],
            text: "message",
            status: "sent",
        };
        let media = SendSample {
            ask: Ask::post("/send-media", image(app)),
            required: &["sender", "number", "media_type", "url"],
            text: "caption",
            status: "sent",
        };
        vec![message, media]
    },
    with_key,
    body: |app, path| if path == "/send-media" { image(app) } else { text(app) },
    assert_shape,
    naming_others: |app| {
        let mut body = text(app);
        body["sender"] = json!(app.theirs.device.phone.clone().unwrap().as_str());
        vec![Ask::post("/send-message", body)]
    },
    unknown_paths: &[],
};

fn text(app: &App) -> Value {
    let sender = app.front.device.phone.clone().unwrap();
    json!({"sender": sender.as_str(), "number": "62888123456", "message": "Hello World"})
}

fn image(app: &App) -> Value {
    let sender = app.front.device.phone.clone().unwrap();
    json!({"sender": sender.as_str(), "number": "62888123456", "media_type": "image",
        "caption": "Hello World", "url": "https://example.com/image.jpg"})
}

/// Into the body; into the query of a request without one.
fn with_key(mut ask: Ask, key: &str) -> Ask {
    let Some(bytes) = &ask.body else {
        let separator = if ask.path.contains('?') { '&' } else { '?' };
        ask.path = format!("{}{separator}api_key={key}", ask.path);
        return ask;
    };
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else { return ask };
    fields.insert("api_key".to_owned(), key.into());
    ask.body = Some(Value::Object(fields).to_string().into_bytes());
    ask
}

fn assert_shape(response: &TestResponse) {
    let body = response.json();
    let fields: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(fields == ["msg", "status"] || fields == ["errors", "msg", "status"], "{fields:?}");
    assert_eq!(body["status"], false);
    assert!(!body["msg"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_faulty_caption_is_called_one() {
    let app = App::new().await;
    let mut body = image(&app);
    body["caption"] = json!("x".repeat(TEXT_CHARS_MAX + 1));
    let ask = with_key(Ask::post("/send-media", body), &app.shop.key);
    let response = ask.of(&app.router).await.expect(400).json();
    assert!(response["errors"][0].as_str().unwrap().starts_with("caption: must have at most"));
}

#[tokio::test]
async fn nothing_is_sent_ahead_of_time() {
    let app = App::new().await;
    let sender = app.front.device.phone.clone().unwrap();
    let path = format!("/send-message?sender={sender}&number=62888123456&message=Hello");
    let ask = || with_key(Ask::get(path.as_str()), &app.shop.key);
    for early in [
        ask().method(Method::HEAD),
        ask().header("purpose", "prefetch"),
        ask().header("purpose", "Prefetch"),
        ask().header("sec-purpose", "prefetch;prerender"),
    ] {
        let response = early.of(&app.router).await.expect(405);
        assert_eq!(response.header("allow"), "GET, POST");
        assert_eq!(app.message_count().await, 0);
    }
    let response = ask().of(&app.router).await.expect(200);
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(app.message_count().await, 1);
}

#[tokio::test]
async fn the_longer_answer_describes_the_first_that_was_sent() {
    let app = App::new().await;
    app.dispatcher.set_ending(Ending::Pending);
    let mut body = text(&app);
    body["number"] = json!("62888123456|62888123457");
    body["full"] = json!(1);
    let ask = || {
        let ask = Ask::post("/send-message", body.clone()).header("idempotency-key", "two");
        with_key(ask, &app.shop.key)
    };
    let chat = |response: &TestResponse| response.json()["data"]["key"]["remoteJid"].clone();
    let response = ask().of(&app.router).await.expect(200);
    assert_eq!(chat(&response), "62888123456@s.whatsapp.net");
    let first: i64 = response.header("location").rsplit('/').next().unwrap().parse().unwrap();
    app.follow(MessageId(first + 1), MessageEvent::Acknowledged).await;
    let again = ask().of(&app.router).await.expect(200);
    assert_eq!(chat(&again), "62888123457@s.whatsapp.net");
    // The headers are the first receiver's, all the same.
    assert_eq!(again.header("location"), response.header("location"));
    assert_eq!(again.header("gerbang-status"), "queued");
}

#[tokio::test]
async fn a_thousand_receivers_and_no_more() {
    let app = App::new().await;
    let numbers: Vec<String> = (0..=1_000).map(|n| (62_888_000_000_u64 + n).to_string()).collect();
    for (count, status) in [(1_001, 400), (1_000, 200)] {
        let mut body = text(&app);
        body["number"] = json!(numbers[..count].join("|"));
        let ask = with_key(Ask::post("/send-message", body), &app.shop.key);
        let response = ask.of(&app.router).await.expect(status);
        let expected = json!(["number: must hold 1 to 1000 messages"]);
        assert_eq!(response.json()["errors"] == expected, status == 400, "{}", response.text());
    }
}
