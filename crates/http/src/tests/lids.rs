//! People who are known by LID, in every API; who is who; and what messages wait for.

use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::context::Context;
use domain::ids::WhatsappId;
use domain::message::{Address, IncomingMessage, ReceivedOrigin, Waiting, WaitingReason};
use domain::phone::PhoneNumber;
use domain::ports::{Clock, EventFormats as _, MessageFilter, PageRequest};
use domain::webhook::FormatName;
use serde_json::{Value, json};

use super::app::App;
use super::exchange::Ask;
use crate::formats::Formats;

const LID: &str = "100000000000001@lid";

#[tokio::test]
async fn every_api_writes_to_a_lid() {
    let app = App::new().await;
    let (shop, front, token) = (&app.shop.key, app.front.id(), &app.front.token);
    let own = app.front.device.phone.clone().unwrap();
    let sends = [
        ("/v1/messages".to_owned(), json!({"device": front, "to": LID, "text": "halo"}), shop),
        (format!("/{front}/send"), json!({"phone": LID, "message": "halo"}), token),
        (
            "/wachat_api/1.0/message".to_owned(),
            json!({"queue": front, "destination": LID, "message": "halo"}),
            shop,
        ),
        ("/api/v1/send-message".to_owned(), json!({"recipient": LID, "message": "halo"}), token),
        (
            "/api/v2/messaging/whatsapp/message".to_owned(),
            json!({"accountId": front, "to": LID, "messageType": "text", "content": "halo"}),
            shop,
        ),
        (
            "/send-message".to_owned(),
            json!({
                "api_key": shop, "sender": own.as_str(), "number": LID, "message": "halo",
            }),
            shop,
        ),
    ];
    for (count, (path, body, key)) in (1..).zip(sends) {
        let ask = match path.starts_with("/wachat_api") {
            true => Ask::post(&path, body).header("apikey", key),
            false => Ask::post(&path, body).key(key),
        };
        let answer = ask.of(&app.router).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        let chat = Some(ChatId::from(LID));
        let filter = MessageFilter { chat, ..MessageFilter::default() };
        let page = PageRequest { before: None, limit: 100 };
        let found = app.store.messages(app.shop.id, &filter, page).await.unwrap();
        assert_eq!(found.items.len(), count, "{path}");
    }
}

/// Lets the front device receive a text from a person of whom only the LID is known.
async fn receive(app: &App, id: &str) {
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId(id.to_owned()),
        chat: LID.into(),
        sender: Address { phone: None, lid: Some(Lid::from_jid(LID)) },
        origin: ReceivedOrigin::Incoming,
        content: domain::content::Content::Text("halo".into()),
        context: Context::default(),
        at: app.clock.hands.now(),
    };
    app.store.receive(app.front.id(), vec![incoming], app.clock.hands.now()).await.unwrap();
}

async fn listed(app: &App, path: &str, key: &str) -> Value {
    Ask::get(path).key(key).of(&app.router).await.expect(200).json()
}

#[tokio::test]
async fn a_person_is_shown_by_number_once_it_is_known() {
    let app = App::new().await;
    receive(&app, "A1").await;
    let path = "/v1/messages?direction=in";
    let before = listed(&app, path, &app.shop.key).await;
    let shown = &before["data"][0];
    assert_eq!(
        (&shown["chat"], &shown["phone"], &shown["from"]),
        (&json!(LID), &Value::Null, &json!(LID))
    );
    let phone = PhoneNumber::from_digits("628222");
    let identity = Identity { phone, lid: Lid::from_jid(LID) };
    let now = app.clock.hands.now();
    let events = app.store.identify(app.front.id(), vec![identity], now).await.unwrap();
    receive(&app, "A2").await;
    for shown in listed(&app, path, &app.shop.key).await["data"].as_array().unwrap() {
        assert_eq!(shown["chat"], "628222@s.whatsapp.net");
        assert_eq!((&shown["phone"], &shown["lid"]), (&json!("628222"), &json!(LID)));
    }
    let (format, url) = (FormatName("gerbang".to_owned()), "https://example.com/hook");
    let request = Formats.encode(&format, url, &events[0], "whsec_c2VjcmV0".into(), now).unwrap();
    let event: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(event["type"], "contact.identified");
    let data = &event["data"];
    assert_eq!((&data["phone"], &data["lid"]), (&json!("628222"), &json!(LID)));
    assert_eq!(data["chat"], "628222@s.whatsapp.net");
    assert_eq!(data["device"]["id"], app.front.id().to_string());
}

#[tokio::test]
async fn both_spellings_of_a_number_name_one_chat() {
    let app = App::new().await;
    let [spelling, phone] = ["5511987654321", "551187654321"].map(PhoneNumber::from_digits);
    app.store.spell(app.front.id(), Spelling { spelling, phone }).await.unwrap();
    let chat = "551187654321@s.whatsapp.net";
    for to in ["+55 11 98765-4321", "551187654321"] {
        let body = json!({"device": app.front.id(), "to": to, "text": "olá"});
        let sent = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
        assert_eq!(sent.expect(202).json()["chat"], chat, "{to}");
    }
    for asked in ["5511987654321", "551187654321"] {
        let path = format!("/v1/messages?chat={asked}");
        let listed = listed(&app, &path, &app.shop.key).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), 2, "{asked}");
    }
}

#[tokio::test]
async fn a_waiting_message_says_for_what() {
    let app = App::new().await;
    let body = json!({"device": app.front.id(), "to": "628123456789", "text": "halo"});
    let sent = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    let sent = sent.expect(202).json();
    assert_eq!(sent.get("waiting"), None);
    let until = app.clock.hands.now();
    for reason in WaitingReason::ALL {
        app.dispatcher.set_waiting(Waiting { reason, until: Some(until) });
        let expected = json!({"reason": reason.as_str(), "until": until.to_string()});
        let path = format!("/v1/messages/{}", sent["id"]);
        assert_eq!(listed(&app, &path, &app.shop.key).await["waiting"], expected);
        let list = listed(&app, "/v1/messages?direction=out", &app.shop.key).await;
        assert_eq!(list["data"][0]["waiting"], expected);
    }
    // What has come in waits for nothing.
    receive(&app, "A1").await;
    let list = listed(&app, "/v1/messages?direction=in", &app.shop.key).await;
    assert_eq!(list["data"][0].get("waiting"), None);
}

#[tokio::test]
async fn a_restricted_device_says_until_when() {
    let app = App::new().await;
    let path = format!("/v1/devices/{}", app.front.id());
    let free = listed(&app, &path, &app.shop.key).await;
    assert_eq!((&free["restricted_until"], &free["restriction"]), (&Value::Null, &Value::Null));
    let now = app.clock.hands.now();
    let until = now + jiff::SignedDuration::from_hours(6);
    app.store.restrict_device(app.front.id(), Some(until), now).await.unwrap();
    let restricted = listed(&app, &path, &app.shop.key).await;
    let shown: jiff::Timestamp = restricted["restricted_until"].as_str().unwrap().parse().unwrap();
    assert_eq!(shown.as_second(), until.as_second());
    assert!(restricted["restriction"].as_str().unwrap().contains("new contacts"));
}
