//! Messages that cannot be decrypted when they come: from their senders or the phone they come all the
//! same, or they are reported as unreadable.

use domain::content::ContentKind;
use domain::ids::WhatsappId;
use domain::message::{IncomingMessage, Receipt};
use domain::ports::MessengerEvent;
use serde_json::{Value, json};

use crate::world::{OURS, THEIRS, World, chat};

fn rule(action: &str, times: u32) -> Value {
    json!({ "rules": [
        { "on": "message", "number": OURS, "times": times, "do": action },
    ] })
}

async fn group(world: &World) -> String {
    world.sim.group("Tim", &[OURS, THEIRS, "628330000003"], false).await
}

/// What a message has come to in the end, waiting for it.
async fn read(world: &World, id: &WhatsappId) -> IncomingMessage {
    world
        .recorder
        .message_that(id, |message| message.content.kind() != ContentKind::Unreadable)
        .await
}

#[tokio::test]
async fn a_damaged_message_comes_all_the_same() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = group(&world).await;
    for to in [OURS, &group] {
        // One that begins the session, and one in its midst.
        for text in ["pertama", "kedua"] {
            for action in ["corrupt", "unavailable"] {
                world.sim.faults(rule(action, 1)).await;
                let id = world.sim.write(THEIRS, to, text).await;
                let message = read(&world, &id).await;
                assert_eq!(message.content.text(), text, "{action} {to}");
                assert_eq!(
                    world.recorder.kinds_received(&id),
                    [ContentKind::Text],
                    "{action} {to}"
                );
                world.heard(device, MessengerEvent::Undecryptable).await;
            }
        }
    }
    world.sim.all_acknowledged().await;
}

#[tokio::test]
async fn what_no_device_can_resend_is_reported_and_comes_later() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(rule("unavailable", 1)).await;
    // The phone has not seen it either, as long as it is off.
    world.sim.put_phone(OURS, json!({ "online": false })).await;
    let id = world.sim.write(THEIRS, OURS, "nanti").await;
    world.heard(device, MessengerEvent::Undecryptable).await;
    world.restart().await;
    domain::ports::Messenger::connect(&world.messenger, device).await.unwrap();
    let unreadable = world.recorder.message(&id).await;
    assert_eq!(unreadable.content.kind(), ContentKind::Unreadable);
    world.sim.put_phone(OURS, json!({ "online": true })).await;
    let message = read(&world, &id).await;
    assert_eq!(message.content.text(), "nanti");
    world.heard(device, MessengerEvent::Recovered(1)).await;
    assert_eq!((message.chat, message.sender), (unreadable.chat, unreadable.sender));
    let kinds = world.recorder.kinds_received(&id);
    assert_eq!(kinds, [ContentKind::Unreadable, ContentKind::Text]);
}

#[tokio::test]
async fn what_is_waited_for_is_reported_when_the_device_is_unlinked() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(rule("unavailable", 1)).await;
    world.sim.put_phone(OURS, json!({ "online": false })).await;
    let id = world.sim.write(THEIRS, OURS, "hilang").await;
    world.heard(device, MessengerEvent::Undecryptable).await;
    domain::ports::Messenger::logout(&world.messenger, device).await.unwrap();
    assert_eq!(world.recorder.kinds_received(&id), [ContentKind::Unreadable]);
}

/// Somebody writes what only the phone can resend, once it is on.
async fn write_unavailable(world: &World, text: &str, is_online: bool) {
    world.sim.put_phone(OURS, json!({ "online": is_online })).await;
    world.sim.faults(rule("unavailable", 1)).await;
    let id = world.sim.write(THEIRS, OURS, text).await;
    if !is_online {
        // Reported as unreadable by the time the phone can be asked.
        world.recorder.message(&id).await;
        world.sim.put_phone(OURS, json!({ "online": true })).await;
    }
    assert_eq!(read(world, &id).await.content.text(), text);
}

#[tokio::test]
async fn a_phone_that_has_lost_the_session_is_asked_over_a_new_one() {
    for is_online in [true, false] {
        let world = World::new().await;
        world.link(OURS).await;
        write_unavailable(&world, "pertama", true).await;
        world.sim.forget_sessions(OURS).await;
        write_unavailable(&world, "kedua", is_online).await;
        write_unavailable(&world, "ketiga", true).await;
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing_that_was_reported() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    write_unavailable(&world, "pertama", true).await;
    world.sim.put_phone(OURS, json!({ "online": false })).await;
    world.sim.faults(rule("unavailable", 1)).await;
    let id = world.sim.write(THEIRS, OURS, "kedua").await;
    world.recorder.message(&id).await;
    world.restart().await;
    domain::ports::Messenger::connect(&world.messenger, device).await.unwrap();
    world.sim.forget_sessions(OURS).await;
    world.sim.put_phone(OURS, json!({ "online": true })).await;
    assert_eq!(read(&world, &id).await.content.text(), "kedua");
}

#[tokio::test]
async fn what_was_decrypted_and_never_stored_comes_from_the_phone() {
    let mut world = World::new().await;
    world.sim.put_phone(THEIRS, json!({ "auto_receipts": "delivered" })).await;
    let device = world.link(OURS).await;
    let group = group(&world).await;
    let recorder = world.recorder.clone();
    // Nothing is acknowledged while a receipt is not stored.
    let held = recorder.hold_receipts().await;
    let sent = world.send(device, &chat(THEIRS), "penting").await;
    recorder.receipt(device, &sent, Receipt::Delivered).await;
    let mut lost = Vec::new();
    for (to, text) in [(OURS, "hilang"), (&group, "hilang di grup"), (OURS, "tersimpan")] {
        let id = world.sim.write(THEIRS, to, text).await;
        lost.push(recorder.message(&id).await);
    }
    let kept = lost.pop().unwrap();
    world.sim.close().await;
    lost.iter().for_each(|message| recorder.lose(&message.whatsapp_id));
    drop(held);
    world.sim.reopen().await;
    for message in &lost {
        let again = recorder.message(&message.whatsapp_id).await;
        assert_eq!(again, *message);
    }
    assert_eq!(recorder.times_received(&kept.whatsapp_id), 1, "it is stored");
    assert_eq!(recorder.kinds_received(&lost[0].whatsapp_id), [ContentKind::Text]);
}
