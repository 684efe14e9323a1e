//! What the tests of all dialects need to know of this one, and what its fixtures cannot show.

use axum::http::Method;
use domain::message::TEXT_CHARS_MAX;
use serde_json::{Value, json};

use crate::dialects::contract::{Contract, SendSample};
use crate::tests::app::App;
use crate::tests::exchange::{Ask, Told};

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

fn assert_shape(told: &Told) {
    let body = told.json();
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
    let told = ask.of(&app.router).await.expect(400).json();
    assert!(told["errors"][0].as_str().unwrap().starts_with("caption: must have at most"));
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
        ask().header("sec-purpose", "prefetch;prerender"),
    ] {
        early.of(&app.router).await.expect(405);
        assert_eq!(app.message_count().await, 0);
    }
    let told = ask().of(&app.router).await.expect(200);
    assert_eq!(told.header("cache-control"), "no-store");
    assert_eq!(app.message_count().await, 1);
}
