//! `/v1/messages` with places.

use domain::content::{Content, Location};
use domain::context::Context;
use domain::ids::WhatsappId;
use domain::message::{Address, IncomingMessage, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::Clock;
use serde_json::{Value, json};

use super::app::App;
use super::exchange::{Ask, TestResponse, Transcript};

fn message(app: &App, fields: &Value) -> Value {
    let mut body = json!({"device": app.front.id(), "to": "628123456789"});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

async fn send(app: &App, fields: Value) -> TestResponse {
    Ask::post("/v1/messages", message(app, &fields)).key(&app.shop.key).of(&app.router).await
}

fn monas() -> Value {
    json!({"latitude": -6.1754, "longitude": 106.8272, "name": "Monas", "address": "Jakarta"})
}

#[tokio::test]
async fn places_are_sent_and_shown() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    transcript.add("named", &send(&app, json!({"location": monas()})).await);
    let bare = json!({"location": {"latitude": 0, "longitude": -180}});
    transcript.add("bare", &send(&app, bare).await);
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId("ABCDEF".to_owned()),
        chat: "628999111222@s.whatsapp.net".into(),
        sender: Address { phone: Some(PhoneNumber::from_digits("628999111222")), lid: None },
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: Content::Location(Location {
            latitude: 1.5,
            longitude: 2.25,
            name: None,
            address: None,
        }),
        at: app.clock.hands.now(),
    };
    let now = app.clock.hands.now();
    app.store.receive(app.front.id(), vec![incoming], now).await.unwrap();
    let received = Ask::get("/v1/messages?direction=in").key(&app.shop.key).of(&app.router).await;
    transcript.add("received", &received);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn a_place_that_is_wrong_is_named() {
    let app = App::new().await;
    let with = |field: &str, value: Value| {
        let mut place = monas();
        place[field] = value;
        json!({"location": place})
    };
    let cases = [
        (with("latitude", json!(90.5)), "location.latitude"),
        (with("longitude", json!(-181)), "location.longitude"),
        (with("latitude", json!("north")), "location.latitude"),
        (with("name", json!("x".repeat(201))), "location.name"),
        (with("address", json!("a\u{0}b")), "location.address"),
        (with("zoom", json!(3)), "location.zoom"),
        (json!({"location": monas(), "text": "x"}), "location"),
        (json!({"location": monas(), "media": {"url": "https://example.com/a"}}), "location"),
        (json!({}), "text"),
    ];
    for (fields, field) in cases {
        let refused = send(&app, fields.clone()).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{fields}: {refused}");
    }
    let messages = [json!({"text": "x"}), with("latitude", json!(91))];
    let messages: Vec<Value> = messages.iter().map(|fields| message(&app, fields)).collect();
    let batch = Ask::post("/v1/messages/batch", json!({"messages": messages}));
    let refused = batch.key(&app.shop.key).of(&app.router).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "messages[1].location.latitude");
}

#[tokio::test]
async fn a_key_stands_for_one_place() {
    let app = App::new().await;
    let ask = |place: Value| {
        let body = message(&app, &json!({"location": place}));
        let ask = Ask::post("/v1/messages", body).header("idempotency-key", "k");
        ask.key(&app.shop.key)
    };
    let first = ask(monas()).of(&app.router).await.expect(202).json();
    let again = ask(monas()).of(&app.router).await.expect(202).json();
    assert_eq!(first["id"], again["id"]);
    let mut elsewhere = monas();
    elsewhere["longitude"] = json!(106.8273);
    let refused = ask(elsewhere).of(&app.router).await.expect(422).json();
    assert_eq!(refused["code"], "idempotency_mismatch");
}
