//! `/v1`: what every answer looks like (snapshots) and how bad input is refused.

use domain::chat::Lid;
use domain::client::ConnectedAs;
use domain::content::Content;
use domain::context::Context;
use domain::device::{DeviceNotice, PairOffer};
use domain::ids::{DeviceId, MessageId, WhatsappId};
use domain::message::{
    Address, BATCH_MESSAGES_MAX, Failure, IncomingMessage, MessageEvent, ReceivedOrigin,
    TEXT_CHARS_MAX,
};
use domain::passkey::PasskeyStep;
use domain::phone::PhoneNumber;
use domain::ports::{Clock, Progress};
use domain::service::STREAMS_PER_ACCOUNT_MAX;
use futures_util::StreamExt;
use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::app::{App, OPERATOR};
use super::exchange::{Ask, TestResponse, Transcript};

async fn answer_to(app: &App, ask: Ask, key: &str) -> TestResponse {
    ask.key(key).of(&app.router).await
}

fn message(app: &App, text: &str) -> Value {
    json!({"device": app.front.id(), "to": "0812-3456-789", "text": text})
}

#[tokio::test]
async fn plans() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let plan = json!({"device_limit": 2, "messages_per_day": null, "messages_per_month": 100,
        "requests_per_minute": 60, "features": ["schedule", "groups"]});
    let put = |body: Value| Ask::new("PUT".parse().unwrap(), "/v1/plans/gold").json(body);
    transcript.add("put", &answer_to(&app, put(plan), OPERATOR).await);
    transcript.add("list", &answer_to(&app, Ask::get("/v1/plans"), OPERATOR).await);
    transcript
        .add("bad feature", &answer_to(&app, put(json!({"features": ["x"]})), OPERATOR).await);
    transcript.add("bad limit", &answer_to(&app, put(json!({"device_limit": -1})), OPERATOR).await);
    transcript.add("bad type", &answer_to(&app, put(json!({"device_limit": "1"})), OPERATOR).await);
    transcript.add("unknown field", &answer_to(&app, put(json!({"price": 1})), OPERATOR).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn accounts() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let new = json!({"name": "New", "email": "New@Example.com", "plan": "pro",
        "default_country": "49", "timezone": "Europe/Berlin"});
    let made = answer_to(&app, Ask::post("/v1/accounts", new.clone()), OPERATOR).await;
    let path = made.header("location").to_owned();
    transcript.add("make", &made);
    transcript.add("same again", &answer_to(&app, Ask::post("/v1/accounts", new), OPERATOR).await);
    transcript.add("show", &answer_to(&app, Ask::get(&path), OPERATOR).await);
    let patch = Ask::new("PATCH".parse().unwrap(), &path).json(json!({"plan": "hobby"}));
    transcript.add("change", &answer_to(&app, patch, OPERATOR).await);
    let first = answer_to(&app, Ask::get("/v1/accounts?limit=1"), OPERATOR).await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    transcript.add("first page", &first);
    let next = Ask::get(format!("/v1/accounts?limit=2&cursor={cursor}"));
    transcript.add("second page", &answer_to(&app, next, OPERATOR).await);
    transcript.add("erase", &answer_to(&app, Ask::delete(&path), OPERATOR).await);
    transcript.add("gone", &answer_to(&app, Ask::get(&path), OPERATOR).await);
    let odd = Ask::get("/v1/accounts/x");
    transcript.add("no such id", &answer_to(&app, odd, OPERATOR).await);
    let bad = json!({"name": "x", "email": "nobody"});
    transcript.add("bad email", &answer_to(&app, Ask::post("/v1/accounts", bad), OPERATOR).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn me_and_usage() {
    let app = App::on_plan("free").await;
    answer_to(&app, Ask::post("/v1/messages", message(&app, "one")), &app.shop.key)
        .await
        .expect(202);
    let mut transcript = Transcript::default();
    transcript.add("me", &answer_to(&app, Ask::get("/v1/me"), &app.shop.key).await);
    transcript.add("usage", &answer_to(&app, Ask::get("/v1/usage"), &app.front.token).await);
    transcript.add("the operator", &answer_to(&app, Ask::get("/v1/me"), OPERATOR).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn keys() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let made =
        answer_to(&app, Ask::post("/v1/keys", json!({"name": "shop till"})), &app.shop.key).await;
    transcript.add("make", &made);
    transcript.add("list", &answer_to(&app, Ask::get("/v1/keys"), &app.shop.key).await);
    let made = made.json();
    let path = format!("/v1/keys/{}", made["id"]);
    transcript.add("revoke", &answer_to(&app, Ask::delete(&path), &app.shop.key).await);
    transcript.add("again", &answer_to(&app, Ask::delete(&path), &app.shop.key).await);
    let void = made["key"].as_str().unwrap();
    transcript.add("the revoked key", &answer_to(&app, Ask::get("/v1/me"), void).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn devices() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let made = answer_to(&app, Ask::post("/v1/devices", json!({"name": "till"})), key).await;
    let path = made.header("location").to_owned();
    let number = made.json()["number_id"].clone();
    transcript.add("make", &made);
    transcript
        .add("by number", &answer_to(&app, Ask::get(format!("/v1/devices/{number}")), key).await);
    let front = format!("/v1/devices/{}", app.front.id());
    transcript.add("a linked one", &answer_to(&app, Ask::get(&front), key).await);
    let patch = |path: &str, body: Value| Ask::new("PATCH".parse().unwrap(), path).json(body);
    let pacing = json!({"min_s": 1, "max_s": 2, "typing": true, "first_contacts_per_day": null,
        "quiet_hours": {"from": "21:00", "until": "07:00"}});
    let change = json!({"name": "desk", "pacing": pacing});
    transcript.add("change", &answer_to(&app, patch(&path, change), key).await);
    let reset = answer_to(&app, patch(&path, json!({"pacing": null})), key).await.expect(200);
    assert_eq!(reset.json()["pacing"], Value::Null);
    let wrong = json!({"pacing": {"min_s": 5, "max_s": 2, "typing": true}});
    transcript.add("bad pacing", &answer_to(&app, patch(&path, wrong), key).await);
    let wrong = json!({"pacing": {"min_s": "5"}});
    transcript.add("bad type inside", &answer_to(&app, patch(&path, wrong), key).await);
    transcript.add("list", &answer_to(&app, Ask::get("/v1/devices?limit=2"), key).await);
    transcript.add("erase", &answer_to(&app, Ask::delete(&path), key).await);
    transcript.add("gone", &answer_to(&app, Ask::get(&path), key).await);
    transcript.add("no id", &answer_to(&app, Ask::get("/v1/devices/till"), key).await);
    for odd in ["/v1/devices/%ff", "/v1/devices/%ff/numbers/%ff", "/v1/devices/1%2f2"] {
        let refused = answer_to(&app, Ask::get(odd), key).await.expect(404);
        assert_eq!(refused.json()["code"], "not_found", "{odd}");
    }
    let again = Ask::post(format!("{front}/token"), json!({}));
    transcript.add("new token", &answer_to(&app, again, key).await);
    let void = answer_to(&app, Ask::get(&front), &app.front.token).await;
    transcript.add("the old token", &void);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn the_plan_limits_devices() {
    let app = App::new().await;
    let plan = json!({"device_limit": 3, "features": []});
    let put = Ask::new("PUT".parse().unwrap(), "/v1/plans/unlimited").json(plan);
    answer_to(&app, put, OPERATOR).await.expect(200);
    let ask = Ask::post("/v1/devices", json!({"name": "one more"}));
    let refused = answer_to(&app, ask, &app.shop.key).await.expect(403);
    assert_eq!(refused.json()["code"], "device_limit");
}

#[tokio::test]
async fn pairing() {
    let app = App::new().await;
    let key = &app.shop.key;
    let path = format!("/v1/devices/{}/pair", app.unlinked.id());
    let mut transcript = Transcript::default();
    let qr =
        answer_to(&app, Ask::new("POST".parse().unwrap(), &path), key).await.expect(200).json();
    assert_eq!(qr["qr"], "2@qr-of-a-test");
    assert_eq!(qr["expires_in_s"], 60);
    assert!(qr["qr_png"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"));
    let code = Ask::post(&path, json!({"phone": "0812-3456-789"}));
    transcript.add("by code", &answer_to(&app, code, key).await);
    let (request, step) = ("{\"challenge\":\"x\"}".to_owned(), PasskeyStep::Requested);
    app.dispatcher.set_offer(PairOffer::Passkey { request, step, expires_in_s: 600 });
    transcript.add("passkey", &answer_to(&app, Ask::post(&path, json!({})), key).await);
    transcript
        .add("bad number", &answer_to(&app, Ask::post(&path, json!({"phone": "1"})), key).await);
    let linked = format!("/v1/devices/{}", app.front.id());
    let again = Ask::post(format!("{linked}/pair"), json!({}));
    transcript.add("linked already", &answer_to(&app, again, key).await);
    let logout = || Ask::new("POST".parse().unwrap(), format!("{linked}/logout"));
    transcript.add("logout", &answer_to(&app, logout(), key).await);
    transcript.add("logout again", &answer_to(&app, logout(), key).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn a_connected_device_shows_when_it_was_alive() {
    let app = App::new().await;
    let key = &app.shop.key;
    let path = format!("/v1/devices/{}", app.front.id());
    let at = app.clock.hands.now();
    app.dispatcher.set_alive_at(at);
    let shown = answer_to(&app, Ask::get(&path), key).await.expect(200).json();
    assert_eq!(shown["alive_at"], at.to_string());
    assert_eq!((&shown["phone_name"], &shown["version"]), (&json!(null), &json!(null)));
    let version = "2.3000.1035000000".to_owned();
    app.dispatcher.set_connected_as(ConnectedAs { phone_name: Some("Toko".to_owned()), version });
    let shown = answer_to(&app, Ask::get(&path), key).await.expect(200).json();
    assert_eq!(shown["phone_name"], "Toko");
    assert_eq!(shown["version"], "2.3000.1035000000");
    app.store.beat(&[app.front.id()], at).await.unwrap();
    let beats = answer_to(&app, Ask::get(format!("{path}/heartbeats")), key).await.expect(200);
    let hour = &beats.json()["data"][0];
    assert_eq!(hour["minutes"].as_array().map(Vec::len), Some(1), "{hour}");
    let foreign = answer_to(&app, Ask::get(format!("{path}/heartbeats")), &app.rival.key).await;
    foreign.expect(404);
}

#[tokio::test]
async fn a_paired_device_is_connected_on_request() {
    let app = App::new().await;
    let key = &app.shop.key;
    let connect =
        |id: DeviceId| Ask::new("POST".parse().unwrap(), format!("/v1/devices/{}/connect", id.0));
    let shown = answer_to(&app, connect(app.front.id()), key).await.expect(200).json();
    assert_eq!(shown["id"], app.front.id().to_string());
    assert!(app.dispatcher.take_calls().contains(&DispatcherCall::Connect(app.front.id())));
    let refused = answer_to(&app, connect(app.unlinked.id()), key).await.expect(409).json();
    assert_eq!(refused["code"], "conflict");
}

#[tokio::test]
async fn events_begin_with_the_device_and_end_with_the_process() {
    let app = App::new().await;
    let path = format!("/v1/devices/{}/events", app.unlinked.id());
    let response = Ask::get(path).key(&app.unlinked.token).open(&app.router).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let mut next = async || {
        let bytes = events.next().await?.unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(first.starts_with("event: device\ndata: {\"id\":"), "{first}");
    let offer = PairOffer::Qr { code: "2@live".to_owned(), expires_in_s: 20 };
    app.dispatcher.notify(app.front.id(), DeviceNotice::Offer(offer.clone()));
    app.dispatcher.notify(app.unlinked.id(), DeviceNotice::Offer(offer));
    let second = next().await.unwrap();
    assert!(second.starts_with("event: qr\ndata: {\"qr\":\"2@live\""), "{second}");
    app.shutdown.fire();
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_stream_sends_nothing_once_its_key_is_revoked() {
    let app = App::new().await;
    let device = format!("/v1/devices/{}", app.front.id());
    let events = Ask::get(format!("{device}/events")).key(&app.front.token).open(&app.router);
    let mut events = events.await.into_body().into_data_stream();
    events.next().await.unwrap().unwrap();
    let token = Ask::new("POST".parse().unwrap(), format!("{device}/token"));
    answer_to(&app, token, &app.shop.key).await.expect(200);
    let offer = PairOffer::Qr { code: "2@live".to_owned(), expires_in_s: 20 };
    app.dispatcher.notify(app.front.id(), DeviceNotice::Offer(offer));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn streams_end_with_their_key_device_or_account() {
    let app = App::new().await;
    let listen = async |path: &str, key: &str| {
        let answer = Ask::get(path).key(key).open(&app.router).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.into_body().into_data_stream()
    };
    let made = answer_to(&app, Ask::post("/v1/keys", json!({"name": "x"})), &app.shop.key).await;
    let (id, key) = (&made.json()["id"], &made.json()["key"]);
    let mut revoked = listen("/v1/events", key.as_str().unwrap()).await;
    let mut other = listen("/v1/events", &app.shop.key).await;
    answer_to(&app, Ask::delete(format!("/v1/keys/{id}")), &app.shop.key).await.expect(204);
    assert!(revoked.next().await.is_none());

    let mut erased = listen("/v1/events", &app.front.token).await;
    let device = format!("/v1/devices/{}", app.front.id());
    answer_to(&app, Ask::delete(device), &app.shop.key).await.expect(204);
    assert!(erased.next().await.is_none());

    let mut theirs = listen("/v1/events", &app.rival.key).await;
    assert!(futures_util::poll!(other.next()).is_pending(), "its key holds");
    let account = format!("/v1/accounts/{}", app.shop.id);
    answer_to(&app, Ask::delete(account), OPERATOR).await.expect(204);
    assert!(other.next().await.is_none());
    assert!(futures_util::poll!(theirs.next()).is_pending());
}

#[tokio::test]
async fn an_account_has_so_many_streams_and_no_more() {
    let app = App::new().await;
    let listen = |key: &str| Ask::get("/v1/events").key(key).open(&app.router);
    let mut streams = Vec::new();
    for _ in 0..STREAMS_PER_ACCOUNT_MAX {
        streams.push(listen(&app.shop.key).await);
    }
    for path in ["/v1/events".to_owned(), format!("/v1/devices/{}/events", app.front.id())] {
        let refused = answer_to(&app, Ask::get(path), &app.shop.key).await.expect(429);
        assert_eq!(refused.json()["code"], "too_many_streams");
    }
    assert_eq!(listen(&app.rival.key).await.status(), 200);
    streams.pop();
    assert_eq!(listen(&app.front.token).await.status(), 200);
}

#[tokio::test]
async fn large_answers_are_held_until_their_client_has_taken_them() {
    let app = App::new().await;
    for _ in 0..2 {
        let body = message(&app, &"x".repeat(TEXT_CHARS_MAX));
        answer_to(&app, Ask::post("/v1/messages", body), &app.shop.key).await.expect(202);
    }
    let list = |key: &str| Ask::get("/v1/messages").key(key).open(&app.router);
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(list(&app.shop.key).await);
    }
    let mut ninth = Box::pin(list(&app.shop.key));
    assert!(futures_util::poll!(&mut ninth).is_pending());
    assert_eq!(list(&app.rival.key).await.status(), 200);
    let one = Ask::get(format!("/v1/devices/{}", app.front.id())).key(&app.shop.key);
    assert_eq!(one.open(&app.router).await.status(), 200);
    answers.pop();
    assert_eq!(ninth.await.status(), 200);
}

#[tokio::test]
async fn nothing_is_kept_for_watchers_of_a_device_that_does_not_exist() {
    let app = App::new().await;
    for device in [uuid::Uuid::from_u128(7).to_string(), app.theirs.id().to_string()] {
        let ask = Ask::get(format!("/v1/devices/{device}/events"));
        answer_to(&app, ask, &app.shop.key).await.expect(404);
    }
    assert_eq!(app.dispatcher.watched(), []);
}

#[tokio::test]
async fn numbers() {
    let app = App::new().await;
    app.dispatcher.set_off_whatsapp(PhoneNumber::from_digits("628999111222"));
    let [typed, known] = ["5511987654321", "551187654321"].map(PhoneNumber::from_digits);
    app.dispatcher.set_known_as(typed, known);
    let mut transcript = Transcript::default();
    let path = |device, phone: &str| Ask::get(format!("/v1/devices/{device}/numbers/{phone}"));
    let key = &app.shop.key;
    let front = app.front.id();
    transcript.add("there", &answer_to(&app, path(front, "%2B62%20812-3456-789"), key).await);
    transcript.add("not there", &answer_to(&app, path(front, "628999111222"), key).await);
    let spelled = answer_to(&app, path(front, "5511987654321"), key).await.json();
    assert_eq!(
        (&spelled["phone"], &spelled["known_as"]),
        (&json!("5511987654321"), &json!("551187654321"))
    );
    transcript.add("no number", &answer_to(&app, path(front, "abc"), key).await);
    transcript
        .add("not linked", &answer_to(&app, path(app.unlinked.id(), "628999111222"), key).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn a_message_and_its_life() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let sent = answer_to(&app, Ask::post("/v1/messages", message(&app, "hello")), key).await;
    transcript.add("send", &sent);
    let path = sent.header("location").to_owned();
    let id = MessageId(sent.json()["id"].as_i64().unwrap());
    app.dispatcher.set_sending(id);
    let sending = answer_to(&app, Ask::get(&path), key).await.json();
    assert_eq!(sending["status"], "sending");
    transcript.add("too late to cancel", &answer_to(&app, Ask::delete(&path), key).await);
    app.clock.hands.advance(SignedDuration::from_secs(2));
    let now = app.clock.hands.now();
    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged, MessageEvent::Read];
    let steps = steps.map(|step| (step, now)).into();
    let progress = Progress { id, steps, failure: None, next_attempt_at: None, file: None };
    app.store.record(vec![progress]).await.unwrap();
    transcript.add("read", &answer_to(&app, Ask::get(&path), key).await);
    transcript.add("cancel", &answer_to(&app, Ask::delete(&path), key).await);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn cancelled_failed_and_scheduled_messages() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let mut body = message(&app, "later");
    body["schedule_at"] = json!("2026-11-22T01:00:00Z");
    body["priority"] = json!(5);
    body["retry_interval_s"] = json!(60);
    let sent = answer_to(&app, Ask::post("/v1/messages", body), key).await;
    transcript.add("schedule", &sent);
    transcript.add("cancel", &answer_to(&app, Ask::delete(sent.header("location")), key).await);
    let failing = answer_to(&app, Ask::post("/v1/messages", message(&app, "x")), key).await;
    let id = MessageId(failing.json()["id"].as_i64().unwrap());
    let steps = vec![(MessageEvent::Failed, app.clock.hands.now())];
    let failure = Some(Failure::new("not_on_whatsapp", "the number is not on WhatsApp"));
    let progress = Progress { id, steps, failure, next_attempt_at: None, file: None };
    app.store.record(vec![progress]).await.unwrap();
    transcript.add("failed", &answer_to(&app, Ask::get(failing.header("location")), key).await);
    transcript.add("none such", &answer_to(&app, Ask::get("/v1/messages/999"), key).await);
    transcript.add("no id", &answer_to(&app, Ask::get("/v1/messages/abc"), key).await);
    for misspelt in ["+1", "01"] {
        answer_to(&app, Ask::get(format!("/v1/messages/{misspelt}")), key).await.expect(404);
    }
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn lists_of_messages() {
    let app = App::new().await;
    let key = &app.shop.key;
    for text in ["one", "two", "three"] {
        answer_to(&app, Ask::post("/v1/messages", message(&app, text)), key).await.expect(202);
    }
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId("ABCDEF".to_owned()),
        chat: "628999111222@s.whatsapp.net".into(),
        sender: Address {
            phone: Some(PhoneNumber::from_digits("628999111222")),
            lid: Some(Lid::from_user("777")),
        },
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: Content::Text("an answer".into()),
        at: app.clock.hands.now(),
    };
    let now = app.clock.hands.now();
    app.store.receive(app.front.id(), vec![incoming], now).await.unwrap();
    let mut transcript = Transcript::default();
    let incoming = answer_to(&app, Ask::get("/v1/messages?direction=in"), key).await;
    transcript.add("received", &incoming);
    insta::assert_snapshot!(transcript.text());

    let texts = async |query: &str| {
        let page =
            answer_to(&app, Ask::get(format!("/v1/messages?{query}")), key).await.expect(200);
        let page = page.json();
        let rows = page["data"].as_array().unwrap().iter();
        let texts: Vec<String> = rows.map(|row| row["text"].as_str().unwrap().into()).collect();
        (texts.join(" "), page["next_cursor"].as_str().unwrap_or_default().to_owned())
    };
    let (first, cursor) = texts("direction=out&limit=2").await;
    assert_eq!(first, "three two");
    let (second, end) = texts(&format!("direction=out&limit=2&cursor={cursor}")).await;
    assert_eq!((second.as_str(), end.as_str()), ("one", ""));
    assert_eq!(texts("status=queued,sent&limit=1").await.0, "three");
    assert_eq!(texts("status=failed").await.0, "");
    assert_eq!(texts(&format!("device={}", app.back.id())).await.0, "");
    assert_eq!(texts(&format!("device={}", app.front.device.number_id)).await.0.len(), 23);

    let mut transcript = Transcript::default();
    let queries = [
        "direction=up",
        "status=gone",
        "limit=0",
        "limit=101",
        "cursor=!",
        "page=2",
        "device=x",
        "limit=1&limit=2",
    ];
    for query in queries {
        let refused = answer_to(&app, Ask::get(format!("/v1/messages?{query}")), key).await;
        transcript.add(query, &refused);
    }
    insta::assert_snapshot!("refused_filters", transcript.text());
}

#[tokio::test]
async fn batches_are_all_or_none() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let batch =
        |messages: Vec<Value>| Ask::post("/v1/messages/batch", json!({"messages": messages}));
    let sent = answer_to(&app, batch(vec![message(&app, "a"), message(&app, "b")]), key).await;
    transcript.add("two", &sent);
    assert_eq!(app.message_count().await, 2);
    let mut wrong = message(&app, "c");
    wrong["to"] = json!("123");
    let refused = answer_to(&app, batch(vec![message(&app, "ok"), wrong]), key).await;
    transcript.add("a wrong number", &refused);
    let mut wrong = message(&app, "c");
    wrong["to"] = json!(true);
    transcript.add("a wrong type", &answer_to(&app, batch(vec![wrong]), key).await);
    let mut wrong = message(&app, "c");
    wrong["device"] = json!(app.theirs.id());
    transcript
        .add("another's", &answer_to(&app, batch(vec![message(&app, "ok"), wrong]), key).await);
    transcript.add("none", &answer_to(&app, batch(vec![]), key).await);
    let many = vec![message(&app, "x"); BATCH_MESSAGES_MAX + 1];
    transcript.add("too many", &answer_to(&app, batch(many), key).await);
    insta::assert_snapshot!(transcript.text());
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn a_batch_to_several_receivers_needs_the_feature() {
    let app = App::on_plan("pro").await;
    let mut other = message(&app, "b");
    other["to"] = json!("628999111222");
    let batch = |second: Value| {
        Ask::post("/v1/messages/batch", json!({"messages": [message(&app, "a"), second]}))
    };
    let refused = answer_to(&app, batch(other), &app.shop.key).await.expect(403).json();
    assert_eq!(refused["code"], "feature_missing");
    assert_eq!(refused["detail"], "the plan does not include broadcast");
    assert_eq!(app.message_count().await, 0);
    answer_to(&app, batch(message(&app, "to the same")), &app.shop.key).await.expect(202);
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn refused_messages() {
    let app = App::on_plan("free").await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let with = |name: &str, value: Value| {
        let mut body = message(&app, "hello");
        body[name] = value;
        Ask::post("/v1/messages", body)
    };
    let cases = [
        ("no number", with("to", json!("12"))),
        ("blank text", with("text", json!(" "))),
        ("text of a wrong type", with("text", json!(5))),
        ("to null", with("to", Value::Null)),
        ("device of a wrong shape", with("device", json!("front"))),
        ("unknown field", with("picture", json!({"url": "https://example.com/x.png"}))),
        ("a time that is none", with("expires_at", json!("tomorrow"))),
        ("expired", with("expires_at", json!("2020-01-01T00:00:00Z"))),
        ("expires at once", with("expires_in_s", json!(0))),
        ("an integer as text", with("priority", json!("a text in the wrong place"))),
        ("typing of a wrong type", with("typing", json!(1))),
        ("retry at once", with("retry_interval_s", json!(0))),
        ("retry below zero", with("retry_interval_s", json!(-1))),
        ("priority", with("priority", json!(101))),
        ("a group without the feature", with("to", json!("12345-678@g.us"))),
        ("a time without the feature", with("schedule_at", json!("2026-11-22T00:00:00Z"))),
        ("not linked", with("device", json!(app.unlinked.id()))),
        (
            "no text",
            Ask::post("/v1/messages", json!({"device": app.front.id(), "to": "628999111222"})),
        ),
        ("no device", Ask::post("/v1/messages", json!({"to": "628999111222", "text": "x"}))),
        ("an array", Ask::post("/v1/messages", json!([]))),
        ("a field twice", Ask::post("/v1/messages", json!({})).raw("{\"to\":\"1\",\"to\":\"2\"}")),
        ("no JSON", Ask::post("/v1/messages", json!({})).raw("{\"to\":")),
        ("no body", Ask::post("/v1/messages", json!({})).raw("")),
        ("form", Ask::post("/v1/messages", json!({})).header("content-type", "text/plain")),
        ("a long text", with("text", json!("x".repeat(300_000)))),
        (
            "a faulty caption",
            Ask::post(
                "/v1/messages",
                json!({"device": app.front.id(), "to": "628999111222",
                    "media": {"base64": "AAAA", "caption": "a\u{0}"}}),
            ),
        ),
        (
            "a faulty caption in a batch",
            Ask::post(
                "/v1/messages/batch",
                json!({"messages": [message(&app, "x"), {"device": app.front.id(),
                    "to": "628999111222", "media": {"base64": "AAAA", "caption": "a\u{0}"}}]}),
            ),
        ),
        ("too large", with("text", json!("x".repeat(24_000_000)))),
    ];
    for (name, ask) in cases {
        let refused = answer_to(&app, ask, key).await;
        assert!(refused.status.as_u16() >= 400, "{name}");
        transcript.add(name, &refused);
    }
    assert!(!transcript.text().contains("a text in the wrong place"));
    insta::assert_snapshot!(transcript.text());
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn errors_say_what_a_value_must_be() {
    let app = App::new().await;
    let device = format!("/v1/devices/{}", app.front.id());
    let mut message = message(&app, "x");
    message["priority"] = json!(99_999);
    let place = json!({"latitude": "north", "longitude": 0});
    let place = json!({"device": app.front.id(), "to": "628999111222", "location": place});
    let file = json!({"base64": "AAAA", "kind": 5});
    let file = json!({"device": app.front.id(), "to": "628999111222", "media": file});
    let read = Ask::post("/v1/messages/1/read", json!({"device": app.front.id()}));
    let pacing = json!({"min_s": 0, "max_s": 0, "typing": false, "first_contacts_per_day": null,
        "quiet_hours": {"from": "9", "until": "07:00"}});
    let pacing = Ask::new("PATCH".parse().unwrap(), &device).json(json!({"pacing": pacing}));
    for (ask, field, expected) in [
        (Ask::post("/v1/messages", message), "priority", "must be -100 to 100"),
        (Ask::post("/v1/messages", place), "location.latitude", "must be a number"),
        (Ask::post("/v1/messages", file), "media.kind", "must be a string"),
        (read, "device", "is not a field of this request, which has none"),
        (pacing, "pacing.quiet_hours.from", "must be a time such as 21:00"),
    ] {
        let refused = answer_to(&app, ask, &app.shop.key).await.expect(422).json();
        assert_eq!(refused["errors"], json!([{"field": field, "message": expected}]));
    }
}

#[tokio::test]
async fn templates_whose_fields_were_left_empty() {
    let app = App::new().await;
    let key = &app.shop.key;
    let device = format!("/v1/devices/{}", app.front.id());
    let patch = |body: Value| Ask::new("PATCH".parse().unwrap(), &device).json(body);
    let pacing = json!({"min_s": 1, "max_s": 2, "typing": true, "first_contacts_per_day": "",
        "quiet_hours": " "});
    let changed = answer_to(&app, patch(json!({"pacing": pacing})), key).await.expect(200).json();
    assert_eq!(changed["pacing"]["first_contacts_per_day"], Value::Null);
    assert_eq!(changed["pacing"]["quiet_hours"], Value::Null);
    let same = answer_to(&app, patch(json!({"pacing": ""})), key).await.expect(200).json();
    assert_eq!(same["pacing"]["max_s"], 2, "left out, not reset");
    let put = Ask::new("PUT".parse().unwrap(), "/v1/plans/gold").json(json!({"features": ""}));
    let plan = answer_to(&app, put, OPERATOR).await.expect(200).json();
    assert_eq!(plan["features"], json!([]));
    for list in ["accounts", "keys", "devices", "messages", "webhooks"] {
        let key = if list == "accounts" { OPERATOR } else { key };
        let path = format!("/v1/{list}?limit=&cursor=");
        answer_to(&app, Ask::get(path), key).await.expect(200);
    }
    for media in [json!({}), json!({"url": "", "base64": "", "caption": " ", "kind": null})] {
        let mut body = message(&app, "x");
        body["media"] = media.clone();
        let sent = answer_to(&app, Ask::post("/v1/messages", body.clone()), key).await;
        assert_eq!(sent.expect(202).json()["kind"], "text");
        body["text"] = json!("");
        let refused = answer_to(&app, Ask::post("/v1/messages", body), key).await.expect(422);
        let field = refused.json()["errors"][0]["field"].clone();
        assert!(field.as_str().unwrap().starts_with("media"), "{field}");
    }
    let mut body = message(&app, "x");
    body["media"] = json!({"caption": "y"});
    let refused = answer_to(&app, Ask::post("/v1/messages", body), key).await.expect(422);
    assert_eq!(refused.json()["errors"][0]["field"], "text", "nothing is lost");
}

#[tokio::test]
async fn the_quota_ends() {
    let app = App::on_plan("free").await;
    let key = &app.shop.key;
    for _ in 0..50 {
        answer_to(&app, Ask::post("/v1/messages", message(&app, "x")), key).await.expect(202);
    }
    let refused = answer_to(&app, Ask::post("/v1/messages", message(&app, "x")), key).await;
    insta::assert_snapshot!(refused.written());
    assert_eq!(app.message_count().await, 50);
}

#[tokio::test]
async fn receivers_and_devices_in_every_spelling() {
    let app = App::new().await;
    let number = app.front.device.number_id.0;
    let devices = [json!(app.front.id()), json!(number), json!(number.to_string())];
    for device in devices {
        for to in [json!("+62 812 3456 789"), json!(628_123_456_789_u64), json!(628_123_456_789.0)]
        {
            let body = json!({"device": device, "to": to, "text": "x"});
            let sent = answer_to(&app, Ask::post("/v1/messages", body), &app.shop.key).await;
            let sent = sent.expect(202).json();
            assert_eq!(sent["to"], "628123456789");
            assert_eq!(sent["device"], json!(app.front.id()));
        }
    }
    let body = json!({"to": "628123456789", "text": "a token needs no device"});
    let sent = answer_to(&app, Ask::post("/v1/messages", body), &app.back.token).await.expect(202);
    assert_eq!(sent.json()["device"], json!(app.back.id()));
    let body = json!({"to": "120363041234567890@g.us", "text": "x"});
    let sent = answer_to(&app, Ask::post("/v1/messages", body), &app.back.token).await.expect(202);
    assert_eq!(sent.json()["to"], "120363041234567890@g.us");
    assert_eq!(sent.json()["phone"], Value::Null);
}

#[tokio::test]
async fn a_repeated_request_sends_once() {
    let app = App::new().await;
    let key = &app.shop.key;
    let ask = |path: &str, body: Value| Ask::post(path, body).header("idempotency-key", "order-7");
    let first = answer_to(&app, ask("/v1/messages", message(&app, "x")), key).await.expect(202);
    assert_eq!(first.header("idempotency-replayed"), "");
    // Spaces and the order of fields do not matter.
    let text = format!(
        "{{ \"text\":\"x\",\n\"to\": \"0812-3456-789\", \"device\":\"{}\" }}",
        app.front.id()
    );
    let again = ask("/v1/messages", Value::Null).raw(text);
    let again = answer_to(&app, again, key).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.json(), first.json());
    assert_eq!(app.message_count().await, 1);
    let other = answer_to(&app, ask("/v1/messages", message(&app, "y")), key).await.expect(422);
    assert_eq!(other.json()["code"], "idempotency_mismatch");
    // The same key means something else on another route.
    let batch = || ask("/v1/messages/batch", json!({"messages": [message(&app, "x")]}));
    let first = answer_to(&app, batch(), key).await.expect(202);
    let again = answer_to(&app, batch(), key).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.json(), first.json());
    assert_eq!(app.message_count().await, 2);
    let long = Ask::post("/v1/messages", message(&app, "x"));
    let long = long.header("idempotency-key", &"k".repeat(256));
    answer_to(&app, long, key).await.expect(422);
}

#[tokio::test]
async fn a_repeat_holds_when_it_would_be_refused_by_now() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut body = message(&app, "x");
    body["expires_at"] = json!(app.clock.hands.now() + SignedDuration::from_secs(60));
    let ask =
        |body: &Value| Ask::post("/v1/messages", body.clone()).header("idempotency-key", "order-7");
    let first = answer_to(&app, ask(&body), key).await.expect(202);
    app.clock.hands.advance(SignedDuration::from_secs(3_600));
    let again = answer_to(&app, ask(&body), key).await.expect(202);
    assert_eq!(again.json()["id"], first.json()["id"]);
    body["text"] = json!("y");
    let other = answer_to(&app, ask(&body), key).await.expect(422);
    assert_eq!(other.json()["code"], "idempotency_mismatch");
    assert_eq!(app.message_count().await, 1);
}

#[tokio::test]
async fn an_idempotency_key_does_not_lead_to_another_device() {
    let app = App::new().await;
    let body = || json!({"to": "628123456789", "text": "no device is named"});
    let ask = || Ask::post("/v1/messages", body()).header("idempotency-key", "order-7");
    answer_to(&app, ask(), &app.front.token).await.expect(202);
    let other = answer_to(&app, ask(), &app.back.token).await.expect(202);
    assert_eq!(other.header("idempotency-replayed"), "");
    assert_eq!(other.json()["device"], json!(app.back.id()));
    // By number, by id or by token: the same device, and so the same request.
    for device in [json!(app.front.id()), json!(app.front.device.number_id)] {
        let mut body = body();
        body["device"] = device;
        let ask = ask().json(body);
        let again = answer_to(&app, ask, &app.shop.key).await.expect(202);
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
}
