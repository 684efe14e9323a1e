//! Every kind that comes in, in direct chats and in groups.

use domain::content::{Content, ContentKind, Poll};
use domain::context::Context;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{IncomingMessage, ReceivedOrigin};
use domain::ports::{Messenger, MessengerEvent};
use domain::structured::Structured;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{OURS, THEIRS, World, chat, new_id};

const ANI: &str = "6281234500099";

/// A field of a message of the protocol.
pub fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in [u64::from(number << 3 | 2), u64::try_from(content.len()).unwrap()] {
        varint(&mut bytes, value);
    }
    [bytes.as_slice(), content].concat()
}

pub fn number(number: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, u64::from(number << 3));
    varint(&mut bytes, value);
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
}

async fn write(world: &World, from: &str, to: &str, fields: Value) -> IncomingMessage {
    let mut body = fields;
    body["to"] = json!(to);
    let id = world.sim.phone_sends(from, body).await;
    world.recorder.message(&id).await
}

#[tokio::test]
async fn every_kind_comes_in() {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let world = World::new().await;
    world.link(OURS).await;
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    let row = field(3, &field(1, b"row-1"));
    let sticker = json!({"base64": "UklGRg==", "kind": "sticker"});
    let once = json!({"base64": "AAAA", "kind": "image", "view_once": true, "caption": "x"});
    let gif = json!({"base64": "AAAA", "kind": "video", "gif": true});
    let cases = [
        (
            json!({"raw": BASE64_STANDARD.encode(field(39, &[field(1, b"Soto"), row].concat()))}),
            "answer",
            "Soto",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(43, &[field(1, b"b1"), field(2, b"Ya")].concat()))}),
            "answer",
            "Ya",
        ),
        (json!({"raw": BASE64_STANDARD.encode(field(29, &field(2, b"Tidak")))}), "answer", "Tidak"),
        (
            json!({"raw": BASE64_STANDARD.encode(field(48, &field(1, &field(1, b"Mungkin"))))}),
            "answer",
            "Mungkin",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(38, &[field(1, b"7"), number(3, 2), field(6, b"dua")].concat()))}),
            "order",
            "dua",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(28, &[field(1, b"1@g.us"), field(4, b"Tim")].concat()))}),
            "group_invite",
            "Tim",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(75, &[field(3, b"Rapat"), number(7, 1_800_000_000)].concat()))}),
            "event",
            "Rapat",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(83, &[number(2, 2), number(3, 1)].concat()))}),
            "album",
            "",
        ),
        (
            json!({"raw": BASE64_STANDARD.encode(field(30, &field(6, b"x")))}),
            "unsupported",
            "productMessage",
        ),
        (json!({"raw": BASE64_STANDARD.encode(field(30, &field(5, b"x")))}), "unsupported", "x"),
        (
            json!({"live_location": {"latitude": -6.5, "longitude": 106.5, "sequence": 1}}),
            "location",
            "",
        ),
        (json!({"media": sticker}), "sticker", ""),
        (json!({"media": once}), "image", "x"),
        (json!({"media": gif}), "video", ""),
    ];
    for (fields, kind, text) in cases {
        for to in [OURS, &group] {
            let message = write(&world, THEIRS, to, fields.clone()).await;
            let content = &message.content;
            assert_eq!((content.kind().as_str(), content.text()), (kind, text), "{fields}");
            assert!(message.context.sender_name.is_some(), "{fields}");
            if let Some(media) = content.media() {
                let marks = (media.is_view_once, media.is_gif);
                assert_eq!(marks, (kind == "image", kind == "video"), "{fields}");
            }
        }
    }
}

#[tokio::test]
async fn a_place_moves_under_its_id() {
    let world = World::new().await;
    world.link(OURS).await;
    let place = json!({"latitude": -6.5, "longitude": 106.5, "sequence": 1});
    let first = write(&world, THEIRS, OURS, json!({"live_location": place})).await;
    let place = json!({"latitude": -7.5, "longitude": 106.5, "sequence": 2});
    let id = first.whatsapp_id.as_str();
    write(&world, THEIRS, OURS, json!({"live_location": place, "id": id})).await;
    let has_moved = |message: &IncomingMessage| {
        message.content.location().is_some_and(|place| place.latitude < -7.0)
    };
    world.recorder.message_that(&first.whatsapp_id, has_moved).await;
}

fn poll() -> Poll {
    let options = vec!["Nasi".into(), "Soto".into(), "Bakso".into()];
    Poll { question: "Makan?".into(), options, selectable: 0, ..Poll::default() }
}

async fn send_poll(world: &World, device: DeviceId, to: &str) -> WhatsappId {
    let id = new_id();
    let content = Content::Poll(poll());
    world.try_send_message(device, to, &id, content, Context::default()).await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    id
}

fn assert_chose(vote: &IncomingMessage, of: &WhatsappId, is_ours: bool, options: &[&str]) {
    let Some(Structured::PollVote(read)) = vote.content.structured() else { panic!("{vote:?}") };
    assert_eq!(poll().chosen(&read.digests), options);
    let target = vote.context.reply_to.as_ref().unwrap();
    assert_eq!((&target.whatsapp_id, target.is_ours), (of, Some(is_ours)));
    assert_eq!(target.sender.is_none(), is_ours);
}

#[tokio::test]
async fn votes_come_in_for_polls_of_both_sides() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[THEIRS, OURS, ANI], false).await;
    let vote = |id: &WhatsappId, options: &[&str]| json!({"vote": {"message": id.as_str(), "options": options}});
    for to in [chat(THEIRS).to_string(), group.clone()] {
        let ours = send_poll(&world, device, &to).await;
        world.sim.arrived(THEIRS, &ours).await;
        let back = if to == group { &group } else { OURS };
        for options in [&["Nasi", "Bakso"][..], &["Soto"], &[]] {
            let read = write(&world, THEIRS, back, vote(&ours, options)).await;
            assert_chose(&read, &ours, true, options);
        }
        let theirs = json!({"poll": {
            "question": "Makan?", "options": ["Nasi", "Soto", "Bakso"], "selectable": 0,
        }});
        let theirs = write(&world, THEIRS, back, theirs).await;
        assert_eq!(theirs.content.kind(), ContentKind::Poll);
        let theirs = theirs.whatsapp_id;
        // The owner votes on the phone, and another member of the group.
        let target = if to == group { group.as_str() } else { THEIRS };
        let own = write(&world, OURS, target, vote(&theirs, &["Soto"])).await;
        assert_eq!(own.origin, ReceivedOrigin::Phone);
        assert_chose(&own, &theirs, false, &["Soto"]);
        if to == group {
            for poll in [(&ours, true), (&theirs, false)] {
                let read = write(&world, ANI, &group, vote(poll.0, &["Bakso"])).await;
                assert_chose(&read, poll.0, poll.1, &["Bakso"]);
            }
        }
    }
}

#[tokio::test]
async fn a_call_is_reported_and_can_be_rejected() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    // From then on it is known who has the number.
    let id = world.sim.write(THEIRS, OURS, "Halo").await;
    let sender = world.recorder.message(&id).await.sender;
    assert!(sender.lid.is_some());
    for video in [false, true] {
        let call = json!({"to": OURS, "call": {"video": video}});
        let id = world.sim.call("POST", &format!("/phones/{THEIRS}/send"), call).await;
        let id = id["id"].as_str().unwrap().to_owned();
        let read = |event: &MessengerEvent| match event {
            MessengerEvent::Call(call) => Some(call.clone()),
            _ => None,
        };
        let call = world.recorder.event(device, "call", read).await;
        assert_eq!((&call.id, call.is_video, call.is_group), (&id, video, false));
        assert_eq!(call.from, sender);
        world.messenger.reject_call(device, &call).await.unwrap();
        let id = json!(id);
        let has_it = |phone: &Value| phone["rejected_calls"].as_array().unwrap().contains(&id);
        world.sim.until_phone(THEIRS, "hears of the rejection", has_it).await;
    }
}

#[tokio::test]
async fn who_calls_without_showing_a_number_is_rejected_and_can_be_answered() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(THEIRS, json!({ "hidden": true })).await;
    let call = json!({"to": OURS, "call": {"video": false}});
    let id = world.sim.call("POST", &format!("/phones/{THEIRS}/send"), call).await;
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Call(call) => Some(call.clone()),
        _ => None,
    };
    let call = world.recorder.event(device, "call", read).await;
    assert_eq!((call.from.phone.as_ref(), call.from.lid.is_some()), (None, true));
    world.messenger.reject_call(device, &call).await.unwrap();
    let has_it = |phone: &Value| phone["rejected_calls"].as_array().unwrap().contains(&id["id"]);
    world.sim.until_phone(THEIRS, "hears of the rejection", has_it).await;
    let text = world.send(device, call.from.key(), "Tulis saja, ya").await;
    world.heard(device, MessengerEvent::Acknowledged(text)).await;
}

#[tokio::test]
async fn what_came_in_is_marked_as_read() {
    let world = World::new().await;
    // The device alone reads.
    world.sim.put_phone(OURS, json!({ "auto_receipts": "delivered" })).await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for to in [OURS, &group] {
        let id = world.sim.write(THEIRS, to, "Halo").await;
        let came = world.recorder.message(&id).await;
        let message = came.received(MessageId(1), AccountId(1), device, Timestamp::UNIX_EPOCH);
        world.messenger.mark_read(device, &[message]).await.unwrap();
        world.sim.until_sent(THEIRS, &id, "read").await;
    }
    let phone = world.sim.phone(OURS).await;
    assert_eq!(phone["notifies"], json!(true), "reading makes no one present");
}
