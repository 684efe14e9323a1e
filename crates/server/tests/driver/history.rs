//! Older messages, asked of the phone.

use domain::content::ContentKind;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{IncomingMessage, Message, ReceivedOrigin};
use domain::ports::{Messenger, SendError};
use jiff::Timestamp;
use serde_json::json;

use crate::world::{OURS, THEIRS, World};

const OTHERS: &str = "628330000003";

fn stored(message: IncomingMessage, device: DeviceId) -> Message {
    message.received(MessageId(1), AccountId(1), device, Timestamp::UNIX_EPOCH)
}

async fn write(world: &World, from: &str, to: &str, text: &str) {
    world.sim.call("POST", &format!("/phones/{from}/send"), json!({"to": to, "text": text})).await;
}

#[tokio::test]
async fn the_phone_gives_what_came_before() {
    let world = World::new().await;
    let group = world.sim.group("Tim", &[OURS, THEIRS, OTHERS], false).await;
    let picture = json!({"base64": "AAAA", "kind": "image", "caption": "foto"});
    for (chat, answer_to) in [(OURS, THEIRS), (&*group, &*group)] {
        write(&world, THEIRS, chat, "satu").await;
        write(&world, OURS, answer_to, "dua").await;
        world.sim.write_file(THEIRS, chat, picture.clone()).await;
    }
    write(&world, OTHERS, OURS, "bukan ini").await;
    let device = world.link(OURS).await;
    let mut seen = 0;
    for chat in [OURS, &*group] {
        let first = world.sim.write(THEIRS, chat, "sekarang").await;
        let first = world.recorder.message(&first).await;
        let first = stored(first, device);
        let given = world.messenger.ask_history(device, &first, 50).await;
        assert_eq!(given, Ok(Some(3)), "{chat}");
        let old = world.recorder.old().split_off(seen);
        seen += old.len();
        let shown: Vec<_> =
            old.iter().map(|one| (one.content.text(), one.content.kind(), one.origin)).collect();
        let (incoming, phone) = (ReceivedOrigin::Incoming, ReceivedOrigin::Phone);
        let expected = [
            ("foto", ContentKind::Image, incoming),
            ("dua", ContentKind::Text, phone),
            ("satu", ContentKind::Text, incoming),
        ];
        for one in &expected {
            assert!(shown.contains(one), "{one:?} in {shown:?}");
        }
        assert_eq!(shown.len(), 3);
        assert!(old.iter().all(|one| one.chat == first.chat), "{old:?}");
        let from = old.iter().find(|one| one.origin == incoming).unwrap();
        assert_eq!(from.sender.phone.as_ref().unwrap().as_str(), THEIRS);
        assert!(from.context.sender_name.is_some());
        assert!(old[0].content.media().is_none_or(|media| media.reference.is_some()));
        let given = world.messenger.ask_history(device, &first, 1).await;
        assert_eq!(given, Ok(Some(1)), "as many as asked for");
        seen += 1;
    }
}

#[tokio::test]
async fn a_phone_that_is_off_answers_later() {
    let world = World::new().await;
    write(&world, THEIRS, OURS, "satu").await;
    let device = world.link(OURS).await;
    let first = world.sim.write(THEIRS, OURS, "sekarang").await;
    let first = stored(world.recorder.message(&first).await, device);
    world.sim.put_phone(OURS, json!({"online": false})).await;
    assert_eq!(world.messenger.ask_history(device, &first, 50).await, Ok(None));
    world.sim.put_phone(OURS, json!({"online": true})).await;
    let old = world.recorder.until_old(1).await;
    assert_eq!(old[0].content.text(), "satu");
    world.messenger.disconnect(device).await;
    let refused = world.messenger.ask_history(device, &first, 50).await;
    assert_eq!(refused, Err(SendError::NotConnected));
}
