//! Messages out and in, receipts, typing.

use std::sync::Arc;

use domain::content::{
    Contact, Content, ContentKind, Location, OutgoingContent, Poll, Unsupported,
};
use domain::context::{Context, Quote};
use domain::device::DisconnectReason;
use domain::ids::WhatsappId;
use domain::message::{Address, Receipt, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent, SendError, Store};
use serde_json::{Value, json};
use testkit::flaky_store::{FlakyStore, Outage};
use testkit::memory_store::MemoryStore;

use crate::world::{OURS, THEIRS, World, chat, new_id};

#[tokio::test]
async fn a_text_arrives_once_under_our_id_and_is_read() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.messenger.typing(device, &chat(THEIRS), true).await;
    world.messenger.typing(device, &chat(THEIRS), false).await;
    let id = world.send(device, &chat(THEIRS), "Halo dari kami").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    world.recorder.receipt(device, &id, Receipt::Delivered).await;
    world.recorder.receipt(device, &id, Receipt::Read).await;
    let mail = world.sim.mail(THEIRS, &id).await;
    assert_eq!(mail["text"], "Halo dari kami");
    assert_eq!(mail["copies"], 1);
    assert!(mail["typing_ms"].as_u64().unwrap() > 0, "{mail}");
}

#[tokio::test]
async fn the_same_message_again_is_one_message() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(json!({ "drop_acks": true })).await;
    let id = world.send(device, &chat(THEIRS), "sekali").await;
    world.recorder.receipt(device, &id, Receipt::Delivered).await;
    world.sim.faults(json!({})).await;
    world.try_send(device, &chat(THEIRS), &id, "sekali").await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "sekali");
}

#[tokio::test]
async fn a_refusal_has_its_code() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(json!({ "reject": { "number": THEIRS, "code": 463 } })).await;
    let id = world.send(device, &chat(THEIRS), "x").await;
    world.heard(device, MessengerEvent::Refused(id, 463)).await;
}

#[tokio::test]
async fn a_number_without_whatsapp_is_refused_for_good() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(THEIRS, json!({ "registered": false })).await;
    let refused = world.try_send(device, &chat(THEIRS), &new_id(), "x").await.unwrap_err();
    let SendError::Permanent(failure) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.code, "not_on_whatsapp");
    let ours = PhoneNumber::from_digits(OURS);
    let theirs = PhoneNumber::from_digits(THEIRS);
    assert_eq!(world.messenger.find_number(device, &ours).await, Ok(Some(ours)));
    assert_eq!(world.messenger.find_number(device, &theirs).await, Ok(None));
    world.sim.put_phone(THEIRS, json!({ "registered": true })).await;
    // A no is believed for a minute, by lookups and sends alike.
    assert_eq!(world.messenger.find_number(device, &theirs).await, Ok(None));
    assert!(matches!(
        world.try_send(device, &chat(THEIRS), &new_id(), "x").await,
        Err(SendError::Permanent(_))
    ));
}

#[tokio::test]
async fn a_phone_that_was_off_gets_it_when_it_is_on_again() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(THEIRS, json!({ "online": false })).await;
    let id = world.send(device, &chat(THEIRS), "nanti").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.inbox(THEIRS).await, Vec::<Value>::new());
    world.sim.put_phone(THEIRS, json!({ "online": true })).await;
    world.recorder.receipt(device, &id, Receipt::Delivered).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "nanti");
}

#[tokio::test]
async fn an_answer_comes_in() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let sent = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(sent)).await;
    let id = world.sim.write(THEIRS, OURS, "Baik, terima kasih").await;
    let message = world.recorder.message(&id).await;
    assert_eq!(message.chat, chat(THEIRS));
    assert_eq!(message.sender.phone.unwrap().as_str(), THEIRS);
    assert_eq!(message.origin, ReceivedOrigin::Incoming);
    assert_eq!(message.content, Content::Text("Baik, terima kasih".into()));
}

#[tokio::test]
async fn what_the_owner_writes_on_the_phone_comes_in_as_own() {
    let world = World::new().await;
    world.link(OURS).await;
    let id = world.sim.write(OURS, THEIRS, "dari ponsel").await;
    let message = world.recorder.message(&id).await;
    assert_eq!(message.origin, ReceivedOrigin::Phone);
    assert_eq!(message.chat, chat(THEIRS));
    assert_eq!(message.sender.phone.unwrap().as_str(), OURS);
}

#[tokio::test]
async fn a_message_that_could_not_be_stored_comes_again() {
    let world = World::new().await;
    world.link(OURS).await;
    world.recorder.refuse(1);
    let id = world.sim.write(THEIRS, OURS, "penting").await;
    assert_eq!(world.recorder.message(&id).await.content.text(), "penting");
    assert_eq!(world.recorder.refused(), 1);
    assert_eq!(world.recorder.times_received(&id), 1);
}

#[tokio::test]
async fn mail_survives_a_store_that_takes_nothing() {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::for_protocol());
    let flaky = Arc::new(FlakyStore::before(inner));
    let world = World::over(flaky.clone()).await;
    let device = world.link(OURS).await;
    let first = world.sim.write(THEIRS, OURS, "sebelum").await;
    world.recorder.message(&first).await;

    flaky.fail(Outage::Writes);
    let id = world.sim.write(THEIRS, OURS, "saat gangguan").await;
    // The driver gives up its client, and gets no other as long as nothing can be written.
    let lost = MessengerEvent::Disconnected(DisconnectReason::ConnectionLost);
    world.heard(device, lost).await;
    assert_eq!(world.recorder.times_received(&id), 0);
    flaky.fail(Outage::None);
    assert_eq!(world.recorder.message(&id).await.content.text(), "saat gangguan");
    world.connected(device).await;
}

#[tokio::test]
async fn a_place_goes_out_and_comes_in() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let monas = Location {
        latitude: -6.1754,
        longitude: 106.8272,
        name: Some("Monas".into()),
        address: Some("Gambir, Jakarta".into()),
    };
    let id = new_id();
    let content = OutgoingContent::Location(monas.clone());
    world.try_send_content(device, &chat(THEIRS), &id, content).await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    let fields = json!({
        "latitude": -6.1754, "longitude": 106.8272, "name": "Monas", "address": "Gambir, Jakarta",
    });
    let mail = world.sim.mail(THEIRS, &id).await;
    assert_eq!((&mail["kind"], &mail["location"]), (&json!("location"), &fields));

    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for to in [OURS, &group] {
        let id = world.sim.write_content(THEIRS, to, "location", fields.clone()).await;
        let message = world.recorder.message(&id).await;
        assert_eq!(message.content, Content::Location(monas.clone()));
    }
}

fn quote(id: &WhatsappId, is_ours: bool) -> Option<Quote> {
    let theirs = Address { phone: Some(PhoneNumber::from_digits(THEIRS)), lid: None };
    Some(Quote {
        whatsapp_id: id.clone(),
        is_ours: Some(is_ours),
        sender: (!is_ours).then_some(theirs),
        kind: ContentKind::Text,
        text: "pesan lama".into(),
    })
}

#[tokio::test]
async fn contacts_polls_and_reactions_go_out() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let ani = Contact { name: "Ani, S.".into(), phone: Some("62811".into()), organization: None };
    let poll = Poll {
        question: "Makan?".into(),
        options: vec!["Nasi".into(), "Soto".into()],
        selectable: 1,
        ..Poll::default()
    };
    let theirs = world.sim.write(THEIRS, OURS, "pesan lama").await;
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for to in [chat(THEIRS).to_string(), group] {
        let text = Content::Text("Halo @62811".into());
        let contents = [
            (text, Context { reply_to: quote(&theirs, false), ..Context::default() }),
            (Content::Contacts(vec![ani.clone()]), Context::default()),
            (Content::Contacts(vec![ani.clone(), ani.clone()]), Context::default()),
            (Content::Poll(poll.clone()), Context::default()),
            (
                Content::Reaction("👍".into()),
                Context { reply_to: quote(&theirs, false), ..Context::default() },
            ),
        ];
        let mut mails = Vec::new();
        for (content, context) in contents {
            mails.push(world.send_and_read(device, &to, content, context, THEIRS).await);
        }
        let kinds: Vec<&str> = mails.iter().map(|mail| mail["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["text", "contact", "contact", "poll", "reaction"]);
        assert_eq!(mails[0]["reply_to"], json!(theirs.as_str()));
        assert_eq!(mails[1]["contacts"][0]["name"], "Ani, S.");
        assert_eq!(mails[2]["contacts"].as_array().unwrap().len(), 2);
        let shown = json!({"question": "Makan?", "options": ["Nasi", "Soto"], "selectable": 1});
        assert_eq!(mails[3]["poll"], shown);
        let on = json!({"message": theirs.as_str(), "emoji": "👍"});
        assert_eq!(mails[4]["reaction"], on);
    }
}

#[tokio::test]
async fn contacts_polls_answers_and_reactions_come_in() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let ours = new_id();
    world
        .try_send_content(device, &chat(THEIRS), &ours, Content::Text("Halo".into()))
        .await
        .unwrap();
    world.heard(device, MessengerEvent::Acknowledged(ours.clone())).await;
    world.sim.mail(THEIRS, &ours).await;
    let card = json!([{"name": "Ani", "phone": "62811", "organization": "Toko"}]);
    let poll = json!({"question": "Makan?", "options": ["Nasi", "Soto"]});
    let reaction = json!({"message": ours.as_str(), "emoji": "❤️"});
    let write = async |field: &str, content: &Value| {
        let id = world.sim.write_content(THEIRS, OURS, field, content.clone()).await;
        world.recorder.message(&id).await
    };
    let ani = Contact {
        name: "Ani".into(),
        phone: Some("62811".into()),
        organization: Some("Toko".into()),
    };
    assert_eq!(write("contacts", &card).await.content, Content::Contacts(vec![ani]));
    let read = write("poll", &poll).await.content;
    let options = vec!["Nasi".into(), "Soto".into()];
    let poll = Poll { question: "Makan?".into(), options, selectable: 1, ..Poll::default() };
    assert_eq!(read, Content::Poll(poll));
    let read = write("reaction", &reaction).await;
    assert_eq!(read.content, Content::Reaction("❤️".into()));
    assert_eq!(read.context.reply_to.unwrap().whatsapp_id, ours);
    let answer = json!({
        "to": OURS, "text": "Halo juga @628111", "reply_to": ours.as_str(), "mentions": [OURS],
    });
    let id = world.sim.phone_sends(THEIRS, answer).await;
    let read = world.recorder.message(&id).await;
    let quote = read.context.reply_to.unwrap();
    assert_eq!((quote.whatsapp_id, quote.is_ours), (ours, Some(true)));
    assert_eq!((quote.text.as_str(), read.content.text()), ("Halo", "Halo juga @628111"));
    assert_eq!(read.context.mentions.people, [OURS]);
}

#[tokio::test]
async fn edits_and_deletions_go_out() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for to in [chat(THEIRS).to_string(), group] {
        let first = new_id();
        world
            .try_send_message(device, &to, &first, Content::Text("Halo".into()), Context::default())
            .await
            .unwrap();
        world.heard(device, MessengerEvent::Acknowledged(first.clone())).await;
        for (content, kind, text) in [
            (Content::Edit("Hai".into()), "edit", json!("Hai")),
            (Content::Revoke, "revoke", Value::Null),
        ] {
            let context = Context { reply_to: quote(&first, true), ..Context::default() };
            let mail = world.send_and_read(device, &to, content, context, THEIRS).await;
            assert_eq!((&mail["kind"], &mail["text"]), (&json!(kind), &text));
            assert_eq!(mail["changes"], json!(first.as_str()));
        }
    }
}

#[tokio::test]
async fn edits_and_deletions_come_in() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let first = world.sim.write(THEIRS, OURS, "Halo").await;
    for (field, content) in [
        ("edit", json!({"message": first.as_str(), "text": "Hai"})),
        ("revoke", json!({"message": first.as_str()})),
    ] {
        let id = world.sim.write_content(THEIRS, OURS, field, content).await;
        let change = world.recorder.message(&id).await;
        let target = change.context.reply_to.unwrap();
        assert_eq!(
            (target.whatsapp_id, target.is_ours, target.sender),
            (first.clone(), Some(false), None)
        );
        let text = if field == "edit" { "Hai" } else { "" };
        assert_eq!((change.content.kind().as_str(), change.content.text()), (field, text));
    }
    // An admin deletes what others wrote.
    let ours = new_id();
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    let text = Content::Text("Halo".into());
    world.try_send_message(device, &group, &ours, text, Context::default()).await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(ours.clone())).await;
    world.sim.mail(THEIRS, &ours).await;
    let id =
        world.sim.write_content(THEIRS, &group, "revoke", json!({"message": ours.as_str()})).await;
    let target = world.recorder.message(&id).await.context.reply_to.unwrap();
    assert_eq!((target.whatsapp_id, target.is_ours), (ours, Some(true)));
    // The service takes no such thing of an ordinary member.
    let group = world.sim.group("Toko", &[OURS, THEIRS], false).await;
    let ours = new_id();
    let text = Content::Text("Halo".into());
    world.try_send_message(device, &group, &ours, text, Context::default()).await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(ours.clone())).await;
    world.sim.mail(THEIRS, &ours).await;
    let body = json!({ "to": group.to_string(), "revoke": { "message": ours.as_str() } });
    let refused = world.sim.refused("POST", &format!("/phones/{THEIRS}/send"), body).await;
    assert_eq!(refused, 409);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_for_good() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let content = Content::Unsupported(Unsupported { kind: ContentKind::Other, text: "x".into() });
    let refused = world.try_send_content(device, &chat(THEIRS), &new_id(), content).await;
    let Err(SendError::Permanent(failure)) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.code, "unsupported_content");
}
