//! `/v1/webhooks`, its deliveries and `/v1/events`; and how events are response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::Lid;
use domain::content::{Content, ContentKind, File, Location};
use domain::context::Context;
use domain::device::{DeviceStatus, StatusChange};
use domain::ids::{DeviceNumber, MessageId, WebhookId, WhatsappId};
use domain::media::Media;
use domain::message::{Address, Direction, Failure, IncomingMessage, MessageState, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{Clock, Dispatcher as _, EventFormats, PageRequest};
use domain::webhook::{
    DeliveryOutcome, DeliveryState, DeliveryTry, Event, EventDevice, EventKind, EventMessage,
    EventStatus, FormatName, Subject,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use testkit::fake_dispatcher::WEBHOOK_POSTS_MAX;
use testkit::fake_outbound::answer;

use super::app::App;
use super::exchange::{Ask, TestResponse, Transcript};
use crate::formats::Formats;

const HOOK: &str = "https://example.com/hook";

async fn answer_to(app: &App, ask: Ask, key: &str) -> TestResponse {
    ask.key(key).of(&app.router).await
}

async fn make(app: &App, body: Value) -> TestResponse {
    answer_to(app, Ask::post("/v1/webhooks", body), &app.shop.key).await
}

fn patch(path: &str, body: Value) -> Ask {
    Ask::new("PATCH".parse().unwrap(), path).json(body)
}

async fn receive(app: &App, id: &str) {
    let message = IncomingMessage {
        whatsapp_id: WhatsappId(id.to_owned()),
        chat: "628555@s.whatsapp.net".into(),
        sender: Address {
            phone: Some(PhoneNumber::from_digits("628555")),
            lid: Some(Lid::from_user("999")),
        },
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: Content::Text("halo \u{1f44b} \u{0645}\u{0631}\u{062d}\u{0628}\u{0627}".into()),
        at: app.clock.now(),
    };
    app.store.receive(app.front.id(), vec![message], app.clock.now()).await.unwrap();
}

#[tokio::test]
async fn a_webhook_and_its_life() {
    let app = App::new().await;
    let key = &app.shop.key;
    let mut transcript = Transcript::default();
    let secret = "a secret of my own";
    let body = json!({"url": HOOK, "events": ["message.received"], "secret": secret});
    let made = make(&app, body).await;
    let path = made.header("location").to_owned();
    transcript.add("make", &made);
    for ask in [Ask::get(&path), Ask::get("/v1/webhooks"), patch(&path, json!({"enabled": true}))] {
        let text = answer_to(&app, ask, key).await.expect(200).text();
        assert!(!text.contains("secret"), "{text}");
    }
    transcript.add("show", &answer_to(&app, Ask::get(&path), key).await);
    let off = patch(&path, json!({"enabled": false, "events": ["message.sent", "message.read"]}));
    transcript.add("switch off", &answer_to(&app, off, key).await);
    transcript.add("erase", &answer_to(&app, Ask::delete(&path), key).await);
    transcript.add("gone", &answer_to(&app, Ask::get(&path), key).await);
    insta::assert_snapshot!(transcript.text());
    let whole = make(&app, json!({"device": app.front.id(), "url": HOOK})).await.expect(201).json();
    assert_eq!(whole["events"].as_array().unwrap().len(), EventKind::ALL.len());
    assert!(whole["secret"].as_str().unwrap().starts_with("whsec_"));
}

#[tokio::test]
async fn refused_webhooks() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    app.outbound.refuse_challenges();
    let long = "x".repeat(2_050);
    let cases = [
        json!({}),
        json!({"url": "example.com"}),
        json!({"url": "http://10.0.0.1/hook"}),
        json!({"url": format!("{HOOK}/{long}")}),
        json!({"url": HOOK, "events": []}),
        json!({"url": HOOK, "events": ["message.gone"]}),
        json!({"url": HOOK, "secret": "short"}),
        json!({"url": HOOK, "device": app.theirs.id()}),
        json!({"url": HOOK, "active": true}),
    ];
    for body in cases {
        let shown: String = body.to_string().chars().take(60).collect();
        transcript.add(&shown, &make(&app, body).await);
    }
    let refused = make(&app, json!({"url": HOOK, "format": "sms"})).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "format");
    let known = transcript.text().replace(&app.theirs.id().to_string(), "theirs");
    insta::assert_snapshot!(known);
    let none = app.store.webhooks(app.shop.id, None, PageRequest { before: None, limit: 10 }).await;
    assert!(none.unwrap().items.is_empty());
    assert!(app.outbound.posts().is_empty());
}

#[tokio::test]
async fn the_plan_says_which_events_are_posted() {
    let app = App::on_plan("hobby").await;
    let lacking = ["message.sent", "device.connected"];
    for event in lacking {
        let body = json!({"url": HOOK, "events": ["message.received", event]});
        let refused = make(&app, body).await.expect(403).json();
        assert_eq!(refused["code"], "feature_missing");
        assert_eq!(refused["detail"], format!("the plan does not include {event}"));
    }
    let all = make(&app, json!({"url": HOOK})).await.expect(201).json();
    let received = [
        "message.received",
        "contact.identified",
        "message.edited",
        "message.revoked",
        "call.received",
        "group.updated",
        "group.participants",
    ];
    assert_eq!(all["events"], json!(received));

    let app = App::on_plan("free").await;
    let refused = make(&app, json!({"url": HOOK})).await.expect(403).json();
    assert_eq!(refused["detail"], "the plan does not include message.received");
}

#[tokio::test]
async fn a_test_says_what_the_receiver_said() {
    let app = App::new().await;
    let path = make(&app, json!({"url": HOOK})).await.header("location").to_owned();
    let mut refused = answer(500);
    (refused.status, refused.error) = (None, Some("connection refused".to_owned()));
    app.outbound.answer_with([answer(204), answer(404), refused]);
    let mut transcript = Transcript::default();
    for what in ["taken", "not found", "no answer"] {
        let ask = Ask::post(format!("{path}/test"), json!({}));
        transcript.add(what, &answer_to(&app, ask, &app.shop.key).await);
    }
    insta::assert_snapshot!(transcript.text());
    assert_eq!(app.outbound.posts().len(), 3);
}

#[tokio::test]
async fn tests_and_challenges_wait_for_the_posts_of_their_account() {
    let app = App::new().await;
    let path = make(&app, json!({"url": HOOK})).await.header("location").to_owned();
    let mut busy = Vec::new();
    for _ in 0..WEBHOOK_POSTS_MAX {
        busy.push(app.dispatcher.webhook_permit(app.shop.id).await);
    }
    let challenged = json!({"url": HOOK, "format": "wagy"});
    let mut test =
        Box::pin(answer_to(&app, Ask::post(format!("{path}/test"), json!({})), &app.shop.key));
    let mut challenge = Box::pin(make(&app, challenged));
    assert!(futures_util::poll!(&mut test).is_pending());
    assert!(futures_util::poll!(&mut challenge).is_pending());
    assert!(app.outbound.posts().is_empty());
    drop(busy);
    test.await.expect(200);
    challenge.await.expect(201);
}

#[tokio::test]
async fn deliveries_are_shown_and_replayed() {
    let app = App::new().await;
    let key = &app.shop.key;
    let made = make(&app, json!({"url": HOOK, "events": ["message.received"]})).await;
    let path = made.header("location").to_owned();
    let id = WebhookId(made.json()["id"].as_i64().unwrap());
    for n in 0..3 {
        receive(&app, &format!("AA{n}")).await;
    }
    let store = &app.store;
    let page = PageRequest { before: None, limit: 10 };
    let pending = store.deliveries(app.shop.id, id, None, page).await.unwrap().items;
    let outcome = |index: usize, state, status| DeliveryOutcome {
        id: pending[index].id,
        state,
        attempts: 3,
        due_at: app.clock.now(),
        last_status: Some(status),
        last_error: (status != 200).then(|| "the receiver answered 404".to_owned()),
        ended_at: Some(app.clock.now()),
        tried: None,
    };
    let ended =
        vec![outcome(0, DeliveryState::Dead, 404), outcome(1, DeliveryState::Delivered, 200)];
    store.record_deliveries(ended).await.unwrap();

    let list = |query: &str| Ask::get(format!("{path}/deliveries{query}"));
    let mut transcript = Transcript::default();
    transcript.add("dead", &answer_to(&app, list("?state=dead"), key).await);
    let first = answer_to(&app, list("?limit=2"), key).await.expect(200).json();
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = answer_to(&app, list(&format!("?cursor={cursor}")), key).await.expect(200).json();
    assert_eq!(rest["data"][0]["state"], "pending");
    transcript.add("a bad filter", &answer_to(&app, list("?state=lost"), key).await);

    let replay = |id| Ask::post(format!("{path}/deliveries/{id}/replay"), json!({}));
    let again = answer_to(&app, replay(pending[0].id), key).await.expect(200).json();
    assert_eq!((&again["state"], &again["attempts"]), (&json!("pending"), &json!(0)));
    transcript.add("one that waits", &answer_to(&app, replay(pending[2].id), key).await);
    insta::assert_snapshot!(transcript.text().replace(&app.front.id().to_string(), "front"));
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_tries() {
    let app = App::new().await;
    let made = make(&app, json!({"url": HOOK, "events": ["message.received"]})).await;
    let path = made.header("location").to_owned();
    let id = WebhookId(made.json()["id"].as_i64().unwrap());
    receive(&app, "AA1").await;
    let page = PageRequest { before: None, limit: 10 };
    let delivery = app.store.deliveries(app.shop.id, id, None, page).await.unwrap().items.remove(0);
    let outcome = |attempts, status, answer: &str| DeliveryOutcome {
        id: delivery.id,
        state: DeliveryState::Pending,
        attempts,
        due_at: app.clock.now(),
        last_status: status,
        last_error: None,
        ended_at: None,
        tried: Some(DeliveryTry {
            at: "2026-11-29T10:00:00Z".parse().unwrap(),
            status,
            error: status.is_none().then(|| "no answer within 15 seconds".to_owned()),
            ms: 120,
            answer: answer.to_owned(),
        }),
    };
    for outcome in [outcome(1, None, ""), outcome(2, Some(503), "<i>busy</i>")] {
        app.store.record_deliveries(vec![outcome]).await.unwrap();
    }
    let show = |path: String| Ask::get(path);
    let own = format!("{path}/deliveries/{}", delivery.id);
    let shown = answer_to(&app, show(own.clone()), &app.shop.key).await.expect(200).json();
    assert_eq!((&shown["id"], &shown["attempts"]), (&json!(delivery.id.0), &json!(2)));
    assert_eq!(
        shown["tries"],
        json!([
            {"at": "2026-11-29T10:00:00Z", "status": null, "error": "no answer within 15 seconds",
             "took_ms": 120, "answer": ""},
            {"at": "2026-11-29T10:00:00Z", "status": 503, "error": null, "took_ms": 120,
             "answer": "<i>busy</i>"},
        ])
    );
    let listed = answer_to(&app, show(format!("{path}/deliveries")), &app.shop.key).await.json();
    assert_eq!(listed["data"][0].get("tries"), None, "not in lists");
    answer_to(&app, show(own.clone()), &app.rival.key).await.expect(404);
    for wrong in ["999999", "0", "-1", "x"] {
        let other = format!("{path}/deliveries/{wrong}");
        answer_to(&app, show(other), &app.shop.key).await.expect(404);
    }
}

#[tokio::test]
async fn a_device_token_sees_the_webhooks_and_events_of_its_device() {
    let app = App::new().await;
    make(&app, json!({"url": HOOK})).await.expect(201);
    let own = Ask::post("/v1/webhooks", json!({"url": HOOK}));
    let own = answer_to(&app, own, &app.front.token).await.expect(201).json();
    assert_eq!(own["device"], json!(app.front.id()));
    let seen = answer_to(&app, Ask::get("/v1/webhooks"), &app.front.token).await.json();
    assert_eq!(seen["data"].as_array().unwrap().len(), 1);
    let seen = answer_to(&app, Ask::get("/v1/webhooks"), &app.back.token).await.json();
    assert_eq!(seen["data"], json!([]));
}

#[tokio::test]
async fn live_events_go_to_the_keys_they_concern() {
    let app = App::new().await;
    let listen = async |key: &str| {
        let response = Ask::get("/v1/events").key(key).open(&app.router).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response.into_body().into_data_stream()
    };
    let mut shop = listen(&app.shop.key).await;
    let mut back = listen(&app.back.token).await;
    let mut rival = listen(&app.rival.key).await;
    for device in [&app.front, &app.back, &app.theirs] {
        let status = StatusChange::new(DeviceStatus::Disconnected, app.clock.now());
        let moved = app.store.set_device_status(device.id(), &status).await.unwrap();
        moved.unwrap().events.into_iter().for_each(|event| app.dispatcher.emit(event));
    }
    let mut heard = Vec::new();
    for (stream, count) in [(&mut shop, 2), (&mut back, 1), (&mut rival, 1)] {
        let chunks: Vec<_> = stream.take(count).map(Result::unwrap).collect().await;
        heard.push(String::from_utf8(chunks.concat()).unwrap());
    }
    app.shutdown.fire();
    for stream in [&mut shop, &mut back, &mut rival] {
        assert!(stream.next().await.is_none());
    }
    let id = |device: &super::app::Linked| device.id().to_string();
    let (front, back, theirs) = (id(&app.front), id(&app.back), id(&app.theirs));
    let names = [&front, &back, &theirs];
    let expected = [[true, true, false], [false, true, false], [false, false, true]];
    for (text, expected) in heard.iter().zip(expected) {
        assert_eq!(names.map(|name| text.contains(name)), expected, "{text}");
        assert!(
            text.contains("event: device.disconnected") && text.contains("id: evt_d"),
            "{text}"
        );
    }
}

fn device() -> EventDevice {
    EventDevice {
        id: "0190e3a8-0000-7000-8000-000000000001".parse().unwrap(),
        number_id: DeviceNumber(7),
        name: "till".to_owned(),
        phone: Some(PhoneNumber::from_digits("628111111111")),
        lid: Some(Lid::from_user("111")),
    }
}

fn event(kind: EventKind, subject: Subject) -> Event {
    Event {
        id: "evt_1001_message_received".to_owned(),
        kind,
        at: "2026-11-21T08:00:00Z".parse().unwrap(),
        account_id: domain::ids::AccountId(1),
        device: device(),
        subject,
    }
}

fn incoming() -> EventMessage {
    EventMessage {
        id: MessageId(1_001),
        whatsapp_id: WhatsappId("3EB0AA".to_owned()),
        direction: Direction::In,
        chat: "120363041234567890@g.us".into(),
        sender: Some(Address {
            phone: Some(PhoneNumber::from_digits("628555")),
            lid: Some(Lid::from_user("999")),
        }),
        context: Context::default(),
        content: Content::File(File {
            kind: ContentKind::Document,
            caption: "halo \u{1f44b}".into(),
            media: Media { filename: Some("a.pdf".to_owned()), size: Some(3), ..Media::default() },
        }),
        state: MessageState::Delivered,
        failure: None,
        created_at: "2026-11-21T08:00:00Z".parse().unwrap(),
    }
}

fn encode(event: &Event, secret: &str) -> domain::ports::WebhookRequest {
    let at = "2026-11-21T08:00:05Z".parse().unwrap();
    Formats.encode(&FormatName("gerbang".to_owned()), HOOK, event, secret.into(), at).unwrap()
}

#[test]
fn our_own_shape_of_events() {
    let failed = EventMessage {
        direction: Direction::Out,
        chat: "628999@s.whatsapp.net".into(),
        sender: None,
        content: Content::Text("halo \u{1f44b}".into()),
        state: MessageState::Failed,
        failure: Some(Failure::new(Failure::NOT_ON_WHATSAPP, "628999 is not on WhatsApp")),
        ..incoming()
    };
    let down = EventStatus {
        status: DeviceStatus::Disconnected,
        reason: Some("connection lost".to_owned()),
        code: Some(408),
        should_reconnect: true,
        restricted_until: None,
    };
    let place = EventMessage {
        content: Content::Location(Location {
            latitude: -6.1754,
            longitude: 106.8272,
            name: Some("Monas".to_owned()),
            address: None,
        }),
        ..incoming()
    };
    let event_of_place = event(EventKind::MessageReceived, Subject::Message(Box::new(place)));
    let posted: Value =
        serde_json::from_slice(&encode(&event_of_place, "whsec_c2VjcmV0").body).unwrap();
    assert_eq!(
        (&posted["data"]["kind"], &posted["data"]["text"]),
        (&json!("location"), &json!("Monas"))
    );
    let expected =
        json!({"latitude": -6.1754, "longitude": 106.8272, "name": "Monas", "address": null});
    assert_eq!(posted["data"]["location"], expected);
    let events = [
        event(EventKind::MessageReceived, Subject::Message(Box::new(incoming()))),
        event(EventKind::MessageFailed, Subject::Message(Box::new(failed))),
        event(EventKind::DeviceDisconnected, Subject::Device(down)),
    ];
    let bodies: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_slice(&encode(event, "whsec_c2VjcmV0").body).unwrap())
        .collect();
    insta::assert_snapshot!(serde_json::to_string_pretty(&bodies).unwrap());
}

#[test]
fn every_format_has_the_address_of_a_file_that_came_in() {
    let url = "https://wa.example/media/TOKEN";
    let mut with_file = incoming();
    let Content::File(file) = &mut with_file.content else { panic!("a file") };
    file.media.url = Some(url.to_owned());
    file.media.mimetype = Some("application/pdf".to_owned());
    let event = event(EventKind::MessageReceived, Subject::Message(Box::new(with_file)));
    let at = "2026-11-21T08:00:05Z".parse().unwrap();
    let body = |format: &str| {
        let format = FormatName(format.to_owned());
        Formats.encode(&format, HOOK, &event, "a secret of the test".into(), at).unwrap().body
    };
    let json =
        |format: &str| serde_json::from_slice::<Value>(&body(format)).unwrap()["data"].clone();
    assert_eq!(json("gerbang")["media"]["url"], url);
    let content = &json("wagy")["content"];
    assert_eq!((&content["media_url"], &content["media_type"]), (&json!(url), &json!("document")));
    let data = json("wasyik");
    assert_eq!((&data["messageType"], &data["url"]), (&json!("documentMessage"), &json!(url)));
    assert_eq!(
        (&data["fileName"], &data["mimetype"]),
        (&json!("a.pdf"), &json!("application/pdf"))
    );
    let pairs: Vec<_> = form_urlencoded::parse(&body("wachat")).into_owned().collect();
    assert_eq!(pairs.last(), Some(&("media_url".to_owned(), url.to_owned())));
}

/// The vectors were computed with Python's `hmac` and `base64`, as the standard's page says:
/// `v1,` + base64(HMAC-SHA256(key, id + "." + timestamp + "." + body)).
#[test]
fn signatures_agree_with_an_independent_computation() {
    let event = event(EventKind::MessageReceived, Subject::Message(Box::new(incoming())));
    let vectors = [
        (format!("whsec_{}", STANDARD.encode(b"the bytes of a key")), VECTOR_PREFIXED),
        ("a secret of my own".to_owned(), VECTOR_OWN),
    ];
    for (secret, expected) in vectors {
        let request = encode(&event, &secret);
        let header = |wanted: &str| {
            let found = request.headers.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(header("webhook-id"), "evt_1001_message_received");
        assert_eq!(header("webhook-timestamp"), "1795248005");
        assert_eq!(header("webhook-signature"), expected);
    }
}

const VECTOR_PREFIXED: &str = "v1,MJ5mubXP9i6NIfDA9u4LWzhxI72TrGRw5kJ6CHoldIg=";
const VECTOR_OWN: &str = "v1,LR8AVn8mqzxo/6evCjstCEAn8tDaMuueQ1iWMu6+RRc=";

#[tokio::test]
async fn what_has_ended_since_a_time_goes_again() {
    let app = App::new().await;
    let (key, path) = (&app.shop.key, make(&app, json!({"url": HOOK})).await);
    let path = path.header("location").to_owned();
    let id = WebhookId(path.rsplit('/').next().unwrap().parse().unwrap());
    let page = PageRequest { before: None, limit: 10 };
    for name in ["A", "B"] {
        receive(&app, name).await;
    }
    let log = app.store.deliveries(app.shop.id, id, None, page).await.unwrap().items;
    let end = |n: usize, state| DeliveryOutcome {
        id: log[n].id,
        state,
        attempts: 3,
        due_at: app.clock.now(),
        last_status: None,
        last_error: None,
        ended_at: Some(app.clock.now()),
        tried: None,
    };
    let outcomes = vec![end(0, DeliveryState::Dead), end(1, DeliveryState::Delivered)];
    app.store.record_deliveries(outcomes).await.unwrap();
    let replay = async |body, key: &str| {
        answer_to(&app, Ask::post(format!("{path}/replay"), body), key).await
    };
    for wrong in [json!({}), json!({"since": "yesterday"}), json!({"since": 1, "x": 1})] {
        assert!(matches!(replay(wrong, key).await.status.as_u16(), 400 | 422));
    }
    replay(json!({"since": "2020-01-01T00:00:00Z"}), &app.rival.key).await.expect(404);
    let late = replay(json!({"since": "2999-01-01T00:00:00Z", "delivered": true}), key).await;
    assert_eq!(late.expect(200).json(), json!({"replayed": 0, "has_more": false}));
    let body = json!({"since": "1970-01-01T00:00:00Z"});
    let dead = replay(body, key).await.expect(200).json();
    assert_eq!(dead, json!({"replayed": 1, "has_more": false}));
    let body = json!({"since": "1970-01-01T00:00:00Z", "delivered": true});
    assert_eq!(replay(body, key).await.expect(200).json()["replayed"], 1);
    let log = app.store.deliveries(app.shop.id, id, None, page).await.unwrap().items;
    assert!(log.iter().all(|delivery| delivery.state == DeliveryState::Pending));
}
