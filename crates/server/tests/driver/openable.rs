//! `sent` means that a device of the recipient can open the message; all its devices get it, and show it once. It
//! may come again, under its id, to who asks for it.

use domain::ids::{DeviceId, WhatsappId};
use domain::ports::{MessengerEvent, SendError};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{OURS, THEIRS, WAIT_MAX, World, chat, new_id};

async fn bundle(world: &World, number: &str, kind: &str) {
    let path = format!("/phones/{number}/bundle");
    world.sim.call("PUT", &path, json!({ "kind": kind })).await;
}

async fn companions(world: &World, number: &str, count: usize, announced: bool) {
    let path = format!("/phones/{number}/companions");
    world.sim.call("PUT", &path, json!({ "count": count, "announced": announced })).await;
}

/// Waits until a companion has a message; how often it came.
async fn at_companion(world: &World, number: &str, index: usize, id: &WhatsappId) -> Value {
    let path = format!("/phones/{number}/companions/{index}/inbox");
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let inbox = world.sim.call("GET", &path, json!({})).await;
        let mut inbox = inbox.as_array().unwrap().iter();
        if let Some(mail) = inbox.find(|mail| mail["id"] == id.as_str()) {
            return mail["copies"].clone();
        }
        assert!(Instant::now() < deadline, "{id} has not arrived at companion {index} of {number}");
        tokio::task::yield_now().await;
    }
}

/// How often phones have asked for a message that they could not open.
async fn requests(world: &World) -> i64 {
    let stats = world.sim.call("GET", "/stats", json!({})).await;
    stats["counters"]["decrypt_failures"].as_i64().unwrap()
}

/// Holds how often a message came, where it is shown once: once, and once more at most for each request since
/// `before`. The requests are counted after the copies, so that this holds at any moment.
async fn comes_as_promised(world: &World, copies: &Value, before: i64) {
    let copies = copies.as_i64().unwrap();
    let requests = requests(world).await - before;
    assert!((1..=1 + requests).contains(&copies), "{copies} copies, {requests} requests");
}

fn is_acknowledged(world: &World, device: DeviceId, id: &WhatsappId) -> bool {
    world.recorder.heard(device).contains(&MessengerEvent::Acknowledged(id.clone()))
}

#[tokio::test]
async fn what_no_device_of_theirs_can_open_is_not_sent() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for kind in ["none", "refused"] {
        let number = format!("62822000{}", kind.len());
        bundle(&world, &number, kind).await;
        let id = new_id();
        let refused = world.try_send(device, &chat(&number), &id, "Halo").await.unwrap_err();
        let SendError::Temporary(why) = refused else { panic!("{kind}: {refused:?}") };
        assert!(why.contains("no device of the recipient") || why.contains("encrypted"), "{why}");
        // Acknowledgements come in order: those of what could not be opened came before this one.
        let later = world.send(device, &chat(THEIRS), "Halo").await;
        world
            .recorder
            .event(device, "ack", |event| {
                (*event == MessengerEvent::Acknowledged(later.clone())).then_some(())
            })
            .await;
        assert!(!is_acknowledged(&world, device, &id), "{kind}");
        bundle(&world, &number, "normal").await;
        world.try_send(device, &chat(&number), &id, "Halo").await.unwrap();
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        assert_eq!(world.sim.arrived(&number, &id).await["copies"], 1, "{kind}");
    }
}

#[tokio::test]
async fn keys_without_a_one_time_key_will_do() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    bundle(&world, THEIRS, "no_one_time").await;
    let id = world.send(device, &chat(THEIRS), "Halo").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.arrived(THEIRS, &id).await["text"], "Halo");
}

#[tokio::test]
async fn a_new_companion_gets_the_very_first_message_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let first = world.send(device, &chat(THEIRS), "sebelum").await;
    world.sim.arrived(THEIRS, &first).await;
    for (index, announced) in [(1, false), (2, true), (3, false)] {
        companions(&world, THEIRS, index, announced).await;
        let id = world.send(device, &chat(THEIRS), "untuk semua").await;
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        for companion in 1..=index {
            assert_eq!(at_companion(&world, THEIRS, companion, &id).await, 1, "{companion}");
        }
        assert_eq!(world.sim.arrived(THEIRS, &id).await["copies"], 1);
    }
}

#[tokio::test]
async fn who_reinstalls_gets_the_very_first_message_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let first = world.send(device, &chat(THEIRS), "sebelum").await;
    world.sim.arrived(THEIRS, &first).await;
    world.sim.call("POST", &format!("/phones/{THEIRS}/reinstall"), json!({})).await;
    let id = world.send(device, &chat(THEIRS), "sesudah").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    let mail = world.sim.arrived(THEIRS, &id).await;
    assert_eq!((&mail["text"], &mail["copies"]), (&json!("sesudah"), &json!(1)));
}

#[tokio::test]
async fn a_member_without_keys_is_no_holder_of_the_groups_key() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let other = if by_lid { "628330000003" } else { "628330000004" };
        let group = world.sim.group("Tim", &[OURS, THEIRS, other], by_lid).await;
        bundle(&world, other, "none").await;
        let first = world.send(device, &group, "satu").await;
        world.sim.arrived(THEIRS, &first).await;
        bundle(&world, other, "normal").await;
        let stats = world.sim.call("GET", "/stats", json!({})).await;
        let second = world.send(device, &group, "dua").await;
        assert_eq!(world.sim.arrived(other, &second).await["text"], "dua");
        let later = world.sim.call("GET", "/stats", json!({})).await;
        let failures = |stats: &Value| stats["counters"]["decrypt_failures"].as_u64();
        assert_eq!(failures(&later), failures(&stats), "it had to ask for the message");
    }
}

#[tokio::test]
async fn a_new_companion_of_a_member_gets_the_very_first_message_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (by_lid, number) in [(false, "628330000005"), (true, "628330000006")] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, number], by_lid).await;
        let first = world.send(device, &group, "sebelum").await;
        world.sim.arrived(number, &first).await;
        companions(&world, number, 1, false).await;
        let id = world.send(device, &group, "untuk semua").await;
        assert_eq!(at_companion(&world, number, 1, &id).await, 1);
        assert_eq!(world.sim.arrived(number, &id).await["copies"], 1);
        let before = requests(&world).await;
        let next = world.send(device, &group, "sesudah").await;
        let copies = at_companion(&world, number, 1, &next).await;
        comes_as_promised(&world, &copies, before).await;
    }
}

#[tokio::test]
async fn a_device_without_keys_does_not_keep_others_from_a_message() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let (without, with) = ("628330000013", "628330000014");
    let group = world.sim.group("Tim", &[OURS, without, with], false).await;
    let first = world.send(device, &group, "sebelum").await;
    world.sim.arrived(with, &first).await;
    for number in [without, with] {
        companions(&world, number, 1, false).await;
    }
    bundle(&world, without, "none").await;
    let id = world.send(device, &group, "untuk semua").await;
    assert_eq!(at_companion(&world, with, 1, &id).await, 1);
}

/// The news of a companion may come while the message is on its way: it then asks for the message as well,
/// which may come again, under its id.
#[tokio::test]
async fn an_announced_companion_of_a_member_gets_the_very_first_message_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (by_lid, number) in [(false, "628330000009"), (true, "628330000010")] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, number], by_lid).await;
        let first = world.send(device, &group, "sebelum").await;
        world.sim.arrived(number, &first).await;
        companions(&world, number, 1, true).await;
        let mut sent = Vec::new();
        for text in ["untuk semua", "sesudah", "terakhir"] {
            let before = requests(&world).await;
            let id = world.send(device, &group, text).await;
            at_companion(&world, number, 1, &id).await;
            sent.push((id, before));
        }
        // Further copies of the first ones had time to come.
        for (id, before) in sent {
            let copies = at_companion(&world, number, 1, &id).await;
            comes_as_promised(&world, &copies, before).await;
            assert_eq!(world.sim.arrived(number, &id).await["copies"], 1);
        }
    }
}

/// WhatsApp holds the message back until there are two companions. The first is known by then: it asks for the
/// message, and is answered while it is looked up who misses it. The second is not known and not answered; it
/// is sent a copy, after the first one's turn.
#[tokio::test]
async fn a_companion_that_was_answered_is_sent_no_further_copy() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (by_lid, number) in [(false, "628330000011"), (true, "628330000012")] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, number], by_lid).await;
        let first = world.send(device, &group, "sebelum").await;
        world.sim.arrived(number, &first).await;
        let held = json!({ "on": "message", "times": 1, "do": "delay_ms", "ms": 2_000 });
        // A copy takes one query, and who misses the message takes two.
        let slow = json!({ "on": "iq", "do": "delay_ms", "ms": 500 });
        world.sim.faults(json!({ "rules": [held, slow] })).await;
        let id = world.send(device, &group, "untuk semua").await;
        companions(&world, number, 1, true).await;
        world.sim.all_acknowledged().await;
        companions(&world, number, 2, false).await;
        assert_eq!(at_companion(&world, number, 2, &id).await, 1);
        assert_eq!(at_companion(&world, number, 1, &id).await, 1);
        world.sim.faults(json!({ "rules": [] })).await;
    }
}

#[tokio::test]
async fn a_member_who_reinstalls_gets_the_very_first_message_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (by_lid, number) in [(false, "628330000007"), (true, "628330000008")] {
        let group = world.sim.group("Tim", &[OURS, THEIRS, number], by_lid).await;
        let first = world.send(device, &group, "sebelum").await;
        world.sim.arrived(number, &first).await;
        world.sim.call("POST", &format!("/phones/{number}/reinstall"), json!({})).await;
        let before = requests(&world).await;
        let id = world.send(device, &group, "sesudah").await;
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        world.sim.arrived(number, &id).await;
        let later = world.send(device, &group, "terakhir").await;
        world.sim.arrived(number, &later).await;
        // One row, also where the phone had to ask for the message. Further copies of it had time to come.
        let mail = world.sim.mail(number, &id).await;
        assert_eq!(mail["text"], "sesudah");
        comes_as_promised(&world, &mail["copies"], before).await;
    }
}
