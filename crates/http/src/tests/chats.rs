//! Chats, and marking them as read.

use axum::http::Method;
use domain::content::Content;
use domain::context::Context;
use domain::ids::{MessageId, WhatsappId};
use domain::message::{Address, IncomingMessage, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::Clock as _;
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::app::App;
use super::exchange::{Ask, TestResponse};

const BUDI: &str = "628999111222";

async fn ask(app: &App, ask: Ask) -> TestResponse {
    ask.key(&app.shop.key).of(&app.router).await
}

pub(super) async fn receive(app: &App, id: &str, phone: &str, name: &str) -> MessageId {
    let phone = PhoneNumber::from_digits(phone);
    let message = IncomingMessage {
        whatsapp_id: WhatsappId(id.into()),
        chat: domain::chat::ChatId::Person(phone.clone()),
        sender: Address { phone: Some(phone), lid: None },
        origin: ReceivedOrigin::Incoming,
        content: Content::Text(format!("from {name}").into()),
        context: Context { sender_name: Some(name.into()), ..Context::default() },
        at: app.clock.hands.now(),
    };
    let new =
        app.store.receive(app.front.id(), vec![message], app.clock.hands.now()).await.unwrap();
    new[0].message.id
}

#[tokio::test]
async fn chats_are_listed_and_read() {
    let app = App::new().await;
    receive(&app, "A1", "628555", "Ani").await;
    let first = receive(&app, "B1", BUDI, "Budi").await;
    receive(&app, "B2", BUDI, "Budi").await;
    let page = ask(&app, Ask::get("/v1/chats?limit=1")).await.expect(200).json();
    let chat = &page["data"][0];
    assert_eq!((&chat["phone"], &chat["name"]), (&json!(BUDI), &json!("Budi")));
    assert_eq!((&chat["unread"], &chat["kind"]), (&json!(2), &json!("person")));
    let timer = (&chat["ephemeral_s"], &chat["can_send"]);
    assert_eq!(timer, (&json!(0), &json!(true)));
    assert_eq!(chat["last_message"]["text"], "from Budi");
    assert_eq!(chat["last_message"]["name"], "Budi");
    let next = format!("/v1/chats?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = ask(&app, Ask::get(next)).await.expect(200).json();
    assert_eq!((&rest["data"][0]["name"], &rest["next_cursor"]), (&json!("Ani"), &Value::Null));
    let of_chat = format!("/v1/messages?chat={BUDI}");
    let messages = ask(&app, Ask::get(of_chat)).await.expect(200).json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 2);

    let one = Ask::new(Method::POST, format!("/v1/messages/{first}/read"));
    let read = ask(&app, one).await.expect(200).json();
    assert_eq!(read["status"], "read");
    let device = app.front.id();
    let path = format!("/v1/chats/{BUDI}/read?device={device}");
    for count in [1, 0] {
        let read = ask(&app, Ask::new(Method::POST, path.clone())).await.expect(200).json();
        assert_eq!(read, json!({"read": count}));
    }
    let receipts = app.dispatcher.take_calls();
    let receipts = receipts.iter().filter(|call| matches!(call, DispatcherCall::MarkRead(..)));
    assert_eq!(receipts.count(), 2);
    let chats = ask(&app, Ask::get("/v1/chats")).await.expect(200).json();
    assert_eq!((&chats["data"][0]["unread"], &chats["data"][1]["unread"]), (&json!(0), &json!(1)));
    for path in [&path, &format!("/v1/messages/{first}/read"), &path.replace("/read?", "/history?")]
    {
        let unknown = Ask::new(Method::POST, path.clone()).json(json!({"until": 7}));
        let refused = ask(&app, unknown).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "until", "{path}: {refused}");
    }
    for nothing in [json!({}), json!(null)] {
        let empty = Ask::new(Method::POST, path.clone()).json(nothing);
        assert_eq!(ask(&app, empty).await.expect(200).json(), json!({"read": 0}));
    }
    let unnamed = Ask::new(Method::POST, format!("/v1/chats/{BUDI}/read"));
    let wrong = ask(&app, unnamed).await.expect(422).json();
    assert_eq!(wrong["errors"][0]["field"], "device");
    let nobody = Ask::new(Method::POST, format!("/v1/chats/nobody/read?device={device}"));
    assert_eq!(ask(&app, nobody).await.expect(422).json()["errors"][0]["field"], "chat");
}

#[tokio::test]
async fn a_device_rejects_calls_and_reads_at_once_when_set() {
    let app = App::new().await;
    let path = format!("/v1/devices/{}", app.front.id());
    let shown = ask(&app, Ask::get(path.clone())).await.expect(200).json();
    let settings = |shown: &Value| (shown["reject_calls"].clone(), shown["read_receipts"].clone());
    assert_eq!(settings(&shown), (json!(false), json!("manual")));
    let patch = |body: Value| Ask::new(Method::PATCH, path.clone()).json(body);
    let both = json!({"reject_calls": true, "read_receipts": "auto"});
    let changed = ask(&app, patch(both)).await.expect(200).json();
    assert_eq!(settings(&changed), (json!(true), json!("auto")));
    let renamed = ask(&app, patch(json!({"name": "x"}))).await.expect(200).json();
    assert_eq!(settings(&renamed), (json!(true), json!("auto")));
    ask(&app, patch(json!({"read_receipts": "never"}))).await.expect(422);
}

#[tokio::test]
async fn older_messages_are_asked_of_the_phone() {
    let app = App::new().await;
    let device = app.front.id();
    let path = |rest: &str| format!("/v1/chats/{BUDI}/history?device={device}{rest}");
    let ask_phone = async |rest: &str| ask(&app, Ask::new(Method::POST, path(rest))).await;
    let refused = ask_phone("").await.expect(409).json();
    assert_eq!(refused["code"], "conflict", "no message is known: {refused}");
    receive(&app, "B1", BUDI, "Budi").await;
    app.dispatcher.take_calls();
    assert_eq!(ask_phone("").await.expect(202).json(), json!({"stored": null}));
    app.dispatcher.set_history(Some(7));
    assert_eq!(ask_phone("&count=20").await.expect(200).json(), json!({"stored": 7}));
    let asked = |count| DispatcherCall::History(device, WhatsappId("B1".into()), count);
    assert_eq!(app.dispatcher.take_calls(), [asked(50), asked(20)]);
    for (rest, field) in [("&count=0", "count"), ("&count=501", "count"), ("&count=x", "count")] {
        let refused = ask_phone(rest).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let odd = format!("/v1/chats/x/history?device={device}");
    let refused = ask(&app, Ask::new(Method::POST, odd)).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "chat");
    let unlinked = format!("/v1/chats/{BUDI}/history?device={}", app.unlinked.id());
    let refused = ask(&app, Ask::new(Method::POST, unlinked)).await.expect(409).json();
    assert_eq!(refused["code"], "device_not_connected");
    let nowhere = format!("/v1/chats/{BUDI}/history");
    let refused = ask(&app, Ask::new(Method::POST, nowhere)).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "device");
}

#[tokio::test]
async fn people_are_listed() {
    let app = App::new().await;
    receive(&app, "A1", "628555", "Ani").await;
    receive(&app, "B1", BUDI, "Budi").await;
    let page = ask(&app, Ask::get("/v1/contacts?limit=1")).await.expect(200).json();
    let budi = json!({
        "chat": format!("{BUDI}@s.whatsapp.net"), "device": app.front.id(), "name": "Budi",
        "phone": BUDI, "lid": null,
    });
    assert_eq!(page["data"], json!([budi]));
    let next = format!("/v1/contacts?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = ask(&app, Ask::get(next)).await.expect(200).json();
    assert_eq!((&rest["data"][0]["name"], &rest["next_cursor"]), (&json!("Ani"), &Value::Null));
    let of_other = format!("/v1/contacts?device={}", app.unlinked.id());
    let none = ask(&app, Ask::get(of_other)).await.expect(200).json();
    assert_eq!(none["data"], json!([]));
}
