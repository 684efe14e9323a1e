//! `/v1/messages` with contacts, polls, reactions, answers and mentions.

use axum::http::Method;
use domain::content::{Contact, Content, ContentKind, Location, Poll};
use domain::context::{Changes, Context, Mentions, Quote};
use domain::ids::{MessageId, WhatsappId};
use domain::message::{Address, IncomingMessage, MessageEvent, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::Clock;
use domain::structured::{
    Album, Answer, AnswerKind, CalendarEvent, GroupInvite, LiveLocation, Order, PollVote,
    Structured, Unnamed,
};
use serde_json::{Value, json};

use super::app::App;
use super::exchange::{Ask, TestResponse, Transcript};

const THEIRS: &str = "628999111222";

fn message(app: &App, fields: &Value) -> Value {
    let mut body = json!({"device": app.front.id(), "to": THEIRS});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

async fn send(app: &App, fields: Value) -> TestResponse {
    Ask::post("/v1/messages", message(app, &fields)).key(&app.shop.key).of(&app.router).await
}

/// What somebody has written; its id.
async fn receive(app: &App, whatsapp_id: &str, content: Content, context: Context) -> i64 {
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId(whatsapp_id.to_owned()),
        chat: format!("{THEIRS}@s.whatsapp.net").into(),
        sender: Address { phone: Some(PhoneNumber::from_digits(THEIRS)), lid: None },
        origin: ReceivedOrigin::Incoming,
        content,
        context,
        at: app.clock.hands.now(),
    };
    let now = app.clock.hands.now();
    let stored = app.store.receive(app.front.id(), vec![incoming], now).await.unwrap();
    stored[0].message.id.0
}

fn contact() -> Value {
    json!({"name": "Ani", "phone": 62_811_222_333_i64, "organization": "Toko"})
}

fn poll() -> Value {
    json!({"question": "Makan apa?", "options": ["Nasi", "Soto"]})
}

#[tokio::test]
async fn every_kind_is_sent_and_shown() {
    let app = App::new().await;
    let id =
        receive(&app, "3EB0CAFE", Content::Text("apa kabar?".into()), Context::default()).await;
    let mut transcript = Transcript::default();
    for (name, fields) in [
        ("contacts", json!({"contacts": [contact(), {"name": "Budi", "phone": "+62 811"}]})),
        ("poll", json!({"poll": poll()})),
        ("reaction by our id", json!({"reaction": {"message": id, "emoji": "👍"}})),
        ("reaction removed", json!({"reaction": {"message": "3EB0CAFE", "emoji": ""}})),
        (
            "answer",
            json!({"text": "baik @62811222333", "reply_to": "3EB0CAFE",
                          "mentions": ["+62 811-222-333", "77@lid"]}),
        ),
    ] {
        transcript.add(name, &send(&app, fields).await.expect(202));
    }
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn a_contacts_number_is_understood_as_a_recipients() {
    let app = App::new().await;
    for phone in ["0812 3456 7890", "+62 (0)812-3456-7890", "0062 812 34567890"] {
        let contacts = json!({"contacts": [{"name": "Ani", "phone": phone}]});
        let sent = send(&app, contacts).await.expect(202).json();
        assert_eq!(sent["contacts"][0]["phone"], "6281234567890", "{phone}");
    }
    let short = json!({"contacts": [{"name": "Taksi", "phone": "14045"}]});
    assert_eq!(send(&app, short).await.expect(202).json()["contacts"][0]["phone"], "14045");
}

#[tokio::test]
async fn messages_are_found_by_kind_and_text() {
    let app = App::new().await;
    send(&app, json!({"poll": poll()})).await.expect(202);
    send(&app, json!({"text": "Selamat Pagi"})).await.expect(202);
    let find = async |query: &str| {
        let path = format!("/v1/messages?{query}");
        Ask::get(&path).key(&app.shop.key).of(&app.router).await
    };
    for (query, texts) in [
        ("kind=poll", vec!["Makan apa?"]),
        ("kind=text,poll", vec!["Selamat Pagi", "Makan apa?"]),
        ("q=pagi", vec!["Selamat Pagi"]),
        ("q=pagi&kind=poll", vec![]),
    ] {
        let found = find(query).await.expect(200).json();
        let shown: Vec<_> =
            found["data"].as_array().unwrap().iter().map(|row| &row["text"]).collect();
        assert_eq!(shown, texts, "{query}");
    }
    for query in ["kind=picture".to_owned(), format!("q={}", "x".repeat(201))] {
        find(&query).await.expect(422);
    }
}

#[tokio::test]
async fn buttons_and_lists_are_refused_with_the_reason() {
    let app = App::new().await;
    for field in ["buttons", "sections", "list"] {
        let refused = send(&app, json!({"text": "x", field: []})).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field);
        let detail = refused["errors"][0]["message"].as_str().unwrap();
        assert!(detail.contains("to no recipient"), "{detail}");
    }
}

/// Contents with fields of their own.
fn structured() -> [(&'static str, Structured); 7] {
    let place = Location { latitude: -6.5, longitude: 106.5, name: None, address: None };
    let live = LiveLocation {
        place,
        accuracy_m: Some(7),
        heading: Some(90),
        speed: Some(1.5),
        sequence: 3,
    };
    let answer =
        Answer { kind: AnswerKind::Button, id: Some("b1".into()), text: "Ya".into(), params: None };
    let order = Order {
        id: "7".into(),
        items: Some(2),
        total_1000: Some(1_500),
        currency: Some("IDR".into()),
        ..Order::default()
    };
    let invite = GroupInvite { group: "1@g.us".into(), ..GroupInvite::default() };
    let event = CalendarEvent { name: "Rapat".into(), ..CalendarEvent::default() };
    let unnamed = Unnamed { name: "productMessage".into(), text: String::new() };
    [
        ("B1", Structured::LiveLocation(live)),
        ("B2", Structured::Answer(answer)),
        ("B3", Structured::Order(order)),
        ("B4", Structured::GroupInvite(invite)),
        ("B5", Structured::Event(event)),
        ("B6", Structured::Album(Album { images: 2, videos: 1 })),
        ("B7", Structured::Unnamed(unnamed)),
    ]
}

#[tokio::test]
async fn every_kind_that_came_in_is_shown() {
    let app = App::new().await;
    let ani = Contact { name: "Ani".into(), phone: None, organization: None };
    let options = vec!["Nasi".into(), "Soto".into()];
    let quote = Quote {
        whatsapp_id: WhatsappId("3EB0CAFE".into()),
        is_ours: Some(true),
        sender: None,
        kind: ContentKind::Text,
        text: "Halo".into(),
    };
    let on = Context { reply_to: Some(quote), ..Context::default() };
    let mentions = Mentions { people: vec!["62811".into()], all: true };
    let answer = Context { mentions, is_forwarded: true, ..on.clone() };
    receive(&app, "A1", Content::Contacts(vec![ani]), Context::default()).await;
    let poll = Poll { question: "Makan?".into(), options, ..Poll::default() };
    receive(&app, "A2", Content::Poll(poll), Context::default()).await;
    receive(&app, "A3", Content::Reaction("❤️".into()), on).await;
    receive(&app, "A4", Content::Text("ya".into()), answer).await;
    for (id, structured) in structured() {
        let content = Content::Structured(Box::new(structured));
        receive(&app, id, content, Context::default()).await;
    }
    let listed = Ask::get("/v1/messages?direction=in").key(&app.shop.key).of(&app.router).await;
    let mut transcript = Transcript::default();
    transcript.add("received", &listed);
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let app = App::new().await;
    receive(&app, "3EB0CAFE", Content::Text("x".into()), Context::default()).await;
    let waiting = send(&app, json!({"text": "not sent yet"})).await.expect(202).json();
    let contact_with = |field: &str, value: Value| {
        let mut contact = contact();
        contact[field] = value;
        json!({"contacts": [self::contact(), contact]})
    };
    let poll_with = |field: &str, value: Value| {
        let mut poll = poll();
        poll[field] = value;
        json!({"poll": poll})
    };
    let thirteen: Vec<String> = (0..13).map(|n| n.to_string()).collect();
    let reaction =
        |message: Value, emoji: &str| json!({"reaction": {"message": message, "emoji": emoji}});
    let cases = [
        (json!({"contacts": []}), "text"),
        (json!({"contacts": vec![contact(); 11]}), "contacts"),
        (json!({"contacts": [{"name": "Ani"}]}), "contacts[0].phone"),
        (contact_with("name", json!("")), "contacts[1].name"),
        (contact_with("phone", json!("no number")), "contacts[1].phone"),
        (contact_with("organization", json!("x".repeat(101))), "contacts[1].organization"),
        (poll_with("question", json!(" ")), "poll.question"),
        (poll_with("options", json!(["one"])), "poll.options"),
        (poll_with("options", json!(thirteen)), "poll.options"),
        (poll_with("options", json!(["same", " same "])), "poll.options"),
        (poll_with("options", json!(["x".repeat(101), "y"])), "poll.options"),
        (poll_with("selectable", json!(3)), "poll.selectable"),
        (reaction(json!("3EB0CAFE"), "nice"), "reaction.emoji"),
        (reaction(json!("NONE"), "👍"), "reaction.message"),
        (reaction(json!(waiting["id"]), "👍"), "reaction.message"),
        (reaction(json!(true), "👍"), "reaction.message"),
        (json!({"text": "x", "reply_to": "a b"}), "reply_to"),
        (json!({"text": "x", "reply_to": "3EB0CAFE", "to": "628111222333"}), "reply_to"),
        (json!({"reaction": {"message": "3EB0CAFE", "emoji": "👍"}, "reply_to": "A"}), "reply_to"),
        (json!({"text": "x", "mentions": ["all"]}), "mentions"),
        (json!({"text": "x", "mentions": ["nobody"]}), "mentions"),
        (json!({"poll": poll(), "mentions": ["62811222333"]}), "mentions"),
        (json!({"poll": poll(), "text": "x"}), "poll"),
        (json!({"poll": poll(), "contacts": [contact()]}), "poll"),
        (json!({"contacts": [contact()], "media": {"url": "https://example.com/a"}}), "contacts"),
    ];
    for (fields, field) in cases {
        let refused = send(&app, fields.clone()).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{fields}: {refused}");
    }
}

#[tokio::test]
async fn a_message_of_another_device_is_not_answered() {
    let app = App::new().await;
    receive(&app, "3EB0CAFE", Content::Text("x".into()), Context::default()).await;
    let mut body = message(&app, &json!({"text": "x", "reply_to": "3EB0CAFE"}));
    body["device"] = json!(app.back.id());
    let refused = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    assert_eq!(refused.expect(422).json()["errors"][0]["field"], "reply_to");
}

#[tokio::test]
async fn what_no_phone_shows_is_neither_answered_nor_reacted_to() {
    let app = App::new().await;
    let quote = Quote {
        whatsapp_id: WhatsappId("3EB0CAFE".into()),
        is_ours: Some(false),
        sender: None,
        kind: ContentKind::Text,
        text: "x".into(),
    };
    let on = || Context { reply_to: Some(quote.clone()), ..Context::default() };
    let vote = PollVote::new(vec!["aa".into()], Vec::new());
    receive(&app, "3EB0CAFE", Content::Text("x".into()), Context::default()).await;
    let revoked_at = Some(app.clock.hands.now());
    let changes = Changes { revoked_at, ..Changes::default() };
    let revoked = Context { changes, ..Context::default() };
    receive(&app, "REVOKED", Content::Text("x".into()), revoked).await;
    receive(&app, "REACTION", Content::Reaction("👍".into()), on()).await;
    receive(&app, "VOTE", Content::Structured(Box::new(Structured::PollVote(vote))), on()).await;
    let followed = async |answer: TestResponse| {
        let id = MessageId(answer.expect(202).json()["id"].as_i64().unwrap());
        app.follow(id, MessageEvent::Submitted).await;
        app.follow(id, MessageEvent::Acknowledged).await;
        id
    };
    let id = followed(send(&app, json!({"text": "halo"})).await).await;
    let path = format!("/v1/messages/{id}");
    let edit = Ask::new(Method::PATCH, &path).json(json!({"text": "halo!"}));
    let edit = followed(edit.key(&app.shop.key).of(&app.router).await).await;
    send(&app, json!({"text": "x", "reply_to": id.0})).await.expect(202);
    let revoke = Ask::new(Method::POST, format!("{path}/revoke"));
    let revoke = followed(revoke.key(&app.shop.key).of(&app.router).await).await;
    let named = [id, edit, revoke].map(|id| json!(id.0));
    for name in named.into_iter().chain([json!("REVOKED"), json!("REACTION"), json!("VOTE")]) {
        for (fields, field) in [
            (json!({"text": "x", "reply_to": name}), "reply_to"),
            (json!({"reaction": {"message": name, "emoji": "👍"}}), "reaction.message"),
        ] {
            let refused = send(&app, fields).await.expect(422).json();
            assert_eq!(refused["errors"][0]["field"], field, "{name}: {refused}");
        }
    }
}
