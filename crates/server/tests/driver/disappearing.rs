//! Chats whose messages disappear: what is sent carries the chat's timer.

use domain::chat::ChatId;
use domain::content::{ContentKind, Location, OutgoingContent};
use domain::context::{Context, Quote};
use domain::ids::{DeviceId, WhatsappId};
use domain::ports::Messenger;
use serde_json::{Value, json};

use crate::media::a_document;
use crate::world::{OURS, THEIRS, World, chat, new_id};

const DAY_S: u32 = 86_400;
/// The timer of a message that stays.
const NONE: Value = Value::Null;

async fn set_timer(world: &World, by: &str, chat: &str, seconds: u32) {
    let path = format!("/phones/{by}/chats/{chat}");
    world.sim.call("PUT", &path, json!({ "ephemeral_s": seconds })).await;
}

/// The timers with which a text, a place, an answer and a file arrive at a phone.
async fn arrives_with(world: &World, device: DeviceId, to: &ChatId, at: &str) -> [Value; 4] {
    let text = world.send(device, to, "Halo").await;
    let place = new_id();
    let monas = Location { latitude: -6.1754, longitude: 106.8272, name: None, address: None };
    let content = OutgoingContent::Location(monas);
    world.try_send_content(device, to, &place, content).await.unwrap();
    let answer = new_id();
    let context = Context { reply_to: Some(quote(&text)), ..Context::default() };
    let content = OutgoingContent::Text("Halo lagi".into());
    world.try_send_message(device, to, &answer, content, context).await.unwrap();
    let file = world.send_file(device, to, a_document(), "Faktur").await;
    let mut timers = [NONE; 4];
    for (timer, id) in timers.iter_mut().zip([text, place, answer, file]) {
        *timer = world.sim.arrived(at, &id).await["expiration"].clone();
    }
    timers
}

/// What an answer to a text of ours quotes.
fn quote(text: &WhatsappId) -> Quote {
    Quote {
        whatsapp_id: text.clone(),
        is_ours: Some(true),
        sender: None,
        kind: ContentKind::Text,
        text: "Halo".into(),
    }
}

/// Waits until everything that a phone has written before has come in.
async fn all_heard(world: &World) {
    let id = world.sim.write(THEIRS, OURS, "sudah?").await;
    world.recorder.message(&id).await;
}

#[tokio::test]
async fn messages_to_a_person_carry_the_timer_until_it_is_switched_off() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    let to = chat(THEIRS);
    assert_eq!(arrives_with(&world, device, &to, THEIRS).await, [NONE; 4]);
    set_timer(&world, THEIRS, OURS, DAY_S).await;
    all_heard(&world).await;
    assert_eq!(arrives_with(&world, device, &to, THEIRS).await, [DAY_S; 4]);
    world.restart().await;
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
    assert_eq!(arrives_with(&world, device, &to, THEIRS).await, [DAY_S; 4]);
    // The owner switches it off on the phone.
    set_timer(&world, OURS, THEIRS, 0).await;
    all_heard(&world).await;
    assert_eq!(arrives_with(&world, device, &to, THEIRS).await, [NONE; 4]);
}

#[tokio::test]
async fn a_message_that_carries_a_timer_is_answered_with_it() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.put_phone(THEIRS, json!({ "ephemeral_s": 7 * DAY_S })).await;
    all_heard(&world).await;
    assert_eq!(arrives_with(&world, device, &chat(THEIRS), THEIRS).await, [7 * DAY_S; 4]);
    world.recorder.chat_timer_of(&chat(THEIRS), 7 * DAY_S).await;
}

#[tokio::test]
async fn messages_to_a_group_carry_its_timer() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let group = world.sim.group("Tim", &[OURS, THEIRS], by_lid).await;
        // Set before the device has anything to do with the group.
        set_timer(&world, THEIRS, &group, DAY_S).await;
        let to = ChatId::from(group.clone());
        assert_eq!(arrives_with(&world, device, &to, THEIRS).await, [DAY_S; 4]);
        for (seconds, expected) in [(0, Value::Null), (7 * DAY_S, json!(7 * DAY_S))] {
            set_timer(&world, THEIRS, &group, seconds).await;
            let id = world.sim.write(THEIRS, &group, "sudah?").await;
            world.recorder.message(&id).await;
            let got = arrives_with(&world, device, &to, THEIRS).await;
            assert!(got.iter().all(|timer| *timer == expected), "{got:?}");
        }
    }
}
