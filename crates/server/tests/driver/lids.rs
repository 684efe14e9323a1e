//! People whom WhatsApp names by LID: one person, one chat, both names.

use domain::chat::ChatId;
use domain::content::{Content, ContentKind};
use domain::context::{Context, Mentions, Quote};
use domain::ids::{AccountId, MessageId};
use domain::message::{Address, Receipt};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{OURS, THEIRS, World, chat};

#[tokio::test]
async fn who_writes_by_lid_is_known_by_number() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(THEIRS, json!({ "by_lid": true })).await;
    let id = world.sim.write(THEIRS, OURS, "Halo").await;
    let message = world.recorder.message(&id).await;
    assert_eq!(message.chat, chat(THEIRS));
    assert_eq!(message.sender.phone.unwrap().as_str(), THEIRS);
    assert_eq!(message.sender.lid, Some(world.sim.lid(THEIRS).await));
    // An answer to the number goes to the same person.
    let answer = world.send(device, &message.chat, "Halo juga").await;
    world.heard(device, MessengerEvent::Acknowledged(answer.clone())).await;
    world.recorder.receipt(device, &answer, Receipt::Read).await;
    assert_eq!(world.sim.mail(THEIRS, &answer).await["text"], "Halo juga");
}

#[tokio::test]
async fn a_chat_by_lid_can_be_written_to() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    let device = world.link(OURS).await;
    let lid = world.sim.lid(THEIRS).await;
    let id = world.send(device, &lid, "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    world.recorder.receipt(device, &id, Receipt::Read).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "Halo");
}

#[tokio::test]
async fn a_chat_by_lid_reads_whom_a_message_mentions_by_lid() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    let device = world.link(OURS).await;
    // When this is acknowledged, the driver knows how the account addresses people.
    let first = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(first)).await;
    let (ours, theirs) = (world.sim.lid(OURS).await, world.sim.lid(THEIRS).await);
    for to in [chat(THEIRS), ChatId::Lid(theirs.clone())] {
        let people = vec![THEIRS.to_owned(), OURS.to_owned()];
        let mentions = Mentions { people, all: false };
        let context = Context { mentions, ..Context::default() };
        let content = Content::Text(format!("Halo @{THEIRS}, ini @{OURS}").into());
        let mail = world.send_and_read(device, &to, content, context, THEIRS).await;
        let text = format!("Halo @{}, ini @{}", theirs.user(), ours.user());
        assert_eq!(mail["text"], json!(text), "to {to}");
        assert_eq!(mail["mentions"], json!([theirs.as_str(), ours.as_str()]), "to {to}");
    }
    let text = format!("Ya @{}", theirs.user());
    let answer = json!({ "to": OURS, "text": text, "mentions": [theirs.as_str()] });
    let id = world.sim.phone_sends(THEIRS, answer).await;
    let read = world.recorder.message(&id).await;
    assert_eq!(read.content.text(), format!("Ya @{THEIRS}"));
    assert_eq!(read.context.mentions.people, [THEIRS]);
}

#[tokio::test]
async fn a_chat_by_lid_names_what_a_message_is_about_by_lid() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    let device = world.link(OURS).await;
    let (ours, theirs) = (world.sim.lid(OURS).await, world.sim.lid(THEIRS).await);
    let sent = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(sent.clone())).await;
    let came = world.sim.write(THEIRS, OURS, "Ya").await;
    world.recorder.message(&came).await;
    let quote = |is_ours: bool| Quote {
        whatsapp_id: if is_ours { sent.clone() } else { came.clone() },
        is_ours: Some(is_ours),
        sender: (!is_ours)
            .then(|| Address { phone: Some(PhoneNumber::from_digits(THEIRS)), lid: None }),
        kind: ContentKind::Text,
        text: "Halo".to_owned(),
    };
    for to in [chat(THEIRS), ChatId::Lid(theirs.clone())] {
        for (content, is_ours, named) in [
            (Content::Text("Baik".into()), false, &theirs),
            (Content::Text("Baik".into()), true, &ours),
            (Content::Reaction("👍".into()), false, &theirs),
            (Content::Reaction("👍".into()), true, &theirs),
            (Content::Edit("Hai".into()), true, &theirs),
            (Content::Revoke, true, &theirs),
        ] {
            let what = format!("{content:?} to {to}");
            let context = Context { reply_to: Some(quote(is_ours)), ..Context::default() };
            let mail = world.send_and_read(device, &to, content, context, THEIRS).await;
            assert_eq!(mail["target_jid"], json!(named.as_str()), "{what}");
        }
    }
}

#[tokio::test]
async fn a_person_without_a_number_can_be_talked_to() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    world.sim.put_phone(THEIRS, json!({ "hidden": true })).await;
    let device = world.link(OURS).await;
    let lid = world.sim.lid(THEIRS).await;
    let id = world.sim.write(THEIRS, OURS, "Halo").await;
    let message = world.recorder.message(&id).await;
    assert_eq!(message.chat, ChatId::Lid(lid.clone()));
    assert_eq!((message.sender.phone, message.sender.lid), (None, Some(lid)));
    world.messenger.typing(device, &message.chat, true).await;
    let answer = world.send(device, &message.chat, "Halo juga").await;
    world.heard(device, MessengerEvent::Acknowledged(answer.clone())).await;
    world.recorder.receipt(device, &answer, Receipt::Read).await;
    let mail = world.sim.mail(THEIRS, &answer).await;
    assert_eq!(mail["text"], "Halo juga");
    assert!(mail["typing_ms"].as_u64() > Some(0), "{mail}");
    let group = world.sim.group("Tim", &[OURS, THEIRS], true).await;
    let id = world.sim.write(THEIRS, &group, "Halo semua").await;
    assert_eq!(world.recorder.message(&id).await.sender.phone, None);
    let answer = world.send(device, &group, "Halo juga").await;
    assert_eq!(world.sim.arrived(THEIRS, &answer).await["text"], "Halo juga");
}

#[tokio::test]
async fn an_account_learns_later_that_it_addresses_people_by_lid() {
    for reconnects in [false, true] {
        let world = World::new().await;
        let device = world.link(OURS).await;
        world.sim.put_phone(OURS, json!({ "migrated": true })).await;
        if reconnects {
            world.sim.faults(json!({ "disconnect": { "number": OURS, "code": 515 } })).await;
            world.connected(device).await;
        }
        // The account's properties arrive later, or not at all: a refusal is a reason to ask for them.
        for number in [THEIRS, "628330000003"] {
            let id = world.send(device, &chat(number), "Halo").await;
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            let mail = world.sim.mail(number, &id).await;
            assert_eq!((&mail["text"], &mail["copies"]), (&json!("Halo"), &json!(1)));
        }
    }
}

#[tokio::test]
async fn an_account_that_only_receives_learns_it_as_well() {
    for is_announced in [true, false] {
        let world = World::new().await;
        // The device alone reads.
        world.sim.put_phone(OURS, json!({ "auto_receipts": "delivered" })).await;
        let device = world.link(OURS).await;
        let early = world.sim.write(THEIRS, OURS, "Halo").await;
        let mut came = world.recorder.message(&early).await;
        world.sim.all_acknowledged().await;
        // The phone, when it is on, sends the LIDs of its chats; or else only the next message shows it.
        world.sim.put_phone(OURS, json!({ "migrated": true, "online": is_announced })).await;
        world.sim.all_acknowledged().await;
        if !is_announced {
            let later = world.sim.write(THEIRS, OURS, "Masih di sana?").await;
            came = world.recorder.message(&later).await;
        }
        assert_eq!(came.chat, chat(THEIRS));
        let id = came.whatsapp_id.clone();
        let message = came.received(MessageId(1), AccountId(1), device, Timestamp::UNIX_EPOCH);
        world.messenger.mark_read(device, &[message]).await.unwrap();
        world.sim.until_sent(THEIRS, &id, "read").await;
        world.messenger.typing(device, &chat(THEIRS), true).await;
        let sees_it = |phone: &Value| phone["sees_typing"] == json!([OURS]);
        world.sim.until_phone(THEIRS, "sees it typing", sees_it).await;
        let stats = world.sim.call("GET", "/stats", json!({})).await;
        assert_eq!(stats["counters"]["receipts_misaddressed"], 0, "{stats}");
    }
}

#[tokio::test]
async fn what_a_group_names_its_members_by_may_change() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "auto_receipts": "delivered" })).await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for by_lid in [false, true, false] {
        world.sim.call("PUT", &format!("/groups/{group}"), json!({ "by_lid": by_lid })).await;
        let id = world.sim.write(THEIRS, &group, "Halo").await;
        let came = world.recorder.message(&id).await;
        let message = came.received(MessageId(1), AccountId(1), device, Timestamp::UNIX_EPOCH);
        world.messenger.mark_read(device, &[message]).await.unwrap();
        world.sim.until_sent(THEIRS, &id, "read").await;
    }
}

#[tokio::test]
async fn a_number_that_is_learnt_later_is_reported_before_its_message() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    world.sim.put_phone(THEIRS, json!({ "hidden": true })).await;
    let _device = world.link(OURS).await;
    let lid = world.sim.lid(THEIRS).await;
    let id = world.sim.write(THEIRS, OURS, "Halo").await;
    assert_eq!(world.recorder.message(&id).await.chat, ChatId::Lid(lid.clone()));
    world.sim.put_phone(THEIRS, json!({ "hidden": false })).await;
    let id = world.sim.write(THEIRS, OURS, "Ini saya").await;
    assert_eq!(world.recorder.message(&id).await.chat, chat(THEIRS));
    world.recorder.identity(THEIRS, &lid).await;
}

#[tokio::test]
async fn who_is_written_to_is_known_by_both_names() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    let device = world.link(OURS).await;
    let lid = world.sim.lid(THEIRS).await;
    let id = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(id)).await;
    world.recorder.identity(THEIRS, &lid).await;
}

#[tokio::test]
async fn a_lid_that_is_gone_is_looked_up_anew_and_the_message_arrives_once() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "migrated": true })).await;
    let device = world.link(OURS).await;
    let first = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(first)).await;
    let former = world.sim.lid(THEIRS).await;
    world.sim.call("POST", &format!("/phones/{THEIRS}/recycle"), json!({})).await;
    let present = world.sim.lid(THEIRS).await;
    assert_ne!(former, present);
    // By number it reaches who has the number now.
    let id = world.send(device, &chat(THEIRS), "Masih di sini?").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["copies"], 1);
    world.recorder.receipt(device, &id, Receipt::Read).await;
    world.recorder.identity(THEIRS, &present).await;
    // By LID it is meant for who is gone.
    let lost = world.send(device, &former, "Halo").await;
    world.heard(device, MessengerEvent::Refused(lost, 404)).await;
    // Who has the number now is another person than before, also when it writes.
    let answer = world.sim.write(THEIRS, OURS, "Siapa ini?").await;
    let message = world.recorder.message(&answer).await;
    assert_eq!((message.chat, message.sender.lid), (chat(THEIRS), Some(present)));
}
