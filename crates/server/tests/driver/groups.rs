//! Groups: their list, and messages out and in.

use domain::chat::GroupId;
use domain::device::Group;
use domain::message::Receipt;
use domain::ports::{Messenger, MessengerEvent, SendError};
use serde_json::json;

use crate::world::{OURS, THEIRS, World, new_id};

const OTHERS: &str = "628330000003";

#[tokio::test]
async fn the_groups_of_the_number_are_listed_by_name() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    assert_eq!(world.messenger.groups(device).await, Ok(Vec::new()));
    let team = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    let family = world.sim.group("Keluarga", &[OURS, THEIRS], true).await;
    world.sim.group("Tanpa kami", &[THEIRS, OTHERS], false).await;
    let group = |id: String, name: &str| Group { id: GroupId::from_jid(id), name: name.to_owned() };
    let expected = vec![group(family, "Keluarga"), group(team, "Tim")];
    assert_eq!(world.messenger.groups(device).await, Ok(expected));
    world.messenger.disconnect(device).await;
    assert_eq!(world.messenger.groups(device).await, Err(SendError::NotConnected));
}

#[tokio::test]
async fn a_group_gets_messages_and_answers() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, OTHERS], by_lid).await;
        // The second one goes out with the keys that the first one has brought.
        for text in ["Halo tim", "Halo lagi"] {
            let id = world.send(device, &group, text).await;
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            world.recorder.receipt(device, &id, Receipt::Read).await;
            for phone in [THEIRS, OTHERS] {
                let mail = world.sim.mail(phone, &id).await;
                assert_eq!((&mail["text"], &mail["chat"]), (&json!(text), &json!(group)));
            }
        }
        let answer = world.sim.write(THEIRS, &group, "Halo juga").await;
        let message = world.recorder.message(&answer).await;
        assert_eq!(
            (message.chat.to_string(), message.content.text()),
            (group.clone(), "Halo juga")
        );
        assert_eq!(message.sender.phone.unwrap().as_str(), THEIRS, "by LID: {by_lid}");
        if by_lid {
            assert_eq!(message.sender.lid, Some(world.sim.lid(THEIRS).await));
        }
    }
}

#[tokio::test]
async fn a_group_without_us_is_refused_for_good() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tanpa kami", &[THEIRS, OTHERS], false).await;
    for group in [&*group, "120363000000000000@g.us"] {
        let refused = world.try_send(device, group, &new_id(), "x").await.unwrap_err();
        let SendError::Permanent(failure) = refused else { panic!("{refused:?}") };
        assert_eq!(failure.code, "group_not_available");
    }
}
