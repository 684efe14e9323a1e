//! People whom WhatsApp names by LID: one person, one chat, both names.

use domain::message::Receipt;
use domain::ports::MessengerEvent;
use serde_json::json;

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
    let device = world.link(OURS).await;
    let lid = world.sim.lid(THEIRS).await;
    let id = world.send(device, &lid, "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    world.recorder.receipt(device, &id, Receipt::Read).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "Halo");
}
