//! Receipts are acknowledged to WhatsApp once they are stored, and not before.

use domain::device::DisconnectReason;
use domain::ids::WhatsappId;
use domain::message::Receipt;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::json;

use crate::world::{OURS, THEIRS, World, chat};

/// A world where messages are delivered and not read.
async fn world() -> World {
    let world = World::new().await;
    world.sim.put_phone(THEIRS, json!({ "auto_receipts": "delivered" })).await;
    world
}

#[tokio::test]
async fn a_receipt_that_could_not_be_stored_comes_again() {
    let world = world().await;
    let device = world.link(OURS).await;
    world.recorder.refuse_receipts(1);
    let id = world.send(device, &chat(THEIRS), "penting").await;
    world.recorder.receipt(device, &id, Receipt::Delivered).await;
    world.heard(device, MessengerEvent::Disconnected(DisconnectReason::ConnectionLost)).await;
    world.recorder.receipt(device, &id, Receipt::Delivered).await;
}

#[tokio::test]
async fn what_is_not_stored_when_the_connection_ends_comes_again() {
    let mut world = world().await;
    let device = world.link(OURS).await;
    let recorder = world.recorder.clone();
    let held = recorder.hold_receipts().await;
    let id = world.send(device, &chat(THEIRS), "penting").await;
    recorder.receipt(device, &id, Receipt::Delivered).await;
    // By the time this has come, an early acknowledgement would have left.
    let later = world.sim.write(THEIRS, OURS, "sudah baca?").await;
    recorder.message(&later).await;
    world.sim.close().await;
    drop(held);
    world.sim.reopen().await;
    recorder.receipt(device, &id, Receipt::Delivered).await;
}

#[tokio::test]
async fn what_is_stored_does_not_come_again() {
    let mut world = world().await;
    let device = world.link(OURS).await;
    let mut ids: Vec<WhatsappId> = Vec::new();
    for n in 0..20 {
        ids.push(world.send(device, &chat(THEIRS), &format!("pesan {n}")).await);
    }
    for id in &ids {
        world.recorder.receipt(device, id, Receipt::Delivered).await;
    }
    // Being stored, they are acknowledged; what is still on its way at a restart may come again.
    world.sim.all_acknowledged().await;
    world.restart().await;
    world.messenger.connect(device).await.unwrap();
    let last = world.sim.write(THEIRS, OURS, "terakhir").await;
    world.recorder.message(&last).await;
    let is_old = |event: &MessengerEvent| match event {
        MessengerEvent::Receipt(heard, ..) => heard.iter().any(|id| ids.contains(id)),
        _ => false,
    };
    // Mail comes in order: what was sent before would have come before.
    assert!(!world.recorder.heard(device).iter().any(is_old));
}

/// What waits for a gateway that was away can be more than it takes at once.
#[tokio::test]
async fn more_receipts_than_can_wait_come_once() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let members: Vec<String> = (0..60).map(|n| format!("62833{n:07}")).collect();
    let everybody: Vec<&str> = [OURS].into_iter().chain(members.iter().map(|m| &**m)).collect();
    let group = world.sim.group("Tim", &everybody, false).await;
    for member in &members {
        let away = json!({ "online": false, "auto_receipts": "delivered" });
        world.sim.put_phone(member, away).await;
    }
    let mut ids = Vec::new();
    for n in 0..90 {
        ids.push(world.send(device, &group, &format!("pesan {n}")).await);
    }
    world.messenger.disconnect(device).await;
    for member in &members {
        world.sim.put_phone(member, json!({ "online": true })).await;
    }
    let held = world.recorder.hold_receipts().await;
    world.messenger.connect(device).await.unwrap();
    world.recorder.receipt(device, &ids[0], Receipt::Delivered).await;
    // As much as comes while nothing is stored.
    for _ in 0..3_000 {
        world.sim.inbox(THEIRS).await;
    }
    drop(held);
    world.sim.all_acknowledged().await;
    let of = |event: &MessengerEvent| match event {
        MessengerEvent::Receipt(heard, Receipt::Delivered, _) => heard.len(),
        _ => 0,
    };
    let heard: usize = world.recorder.heard(device).iter().map(of).sum();
    // The first one was taken out above; none came twice, as those of a lost connection do.
    assert_eq!(heard, ids.len() * members.len() - 1);
}

#[tokio::test]
async fn members_that_read_together_are_heard() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let members = [OURS, THEIRS, "628330000003"];
    for member in &members[1..] {
        world.sim.put_phone(member, json!({ "auto_receipts": "none" })).await;
    }
    let group = world.sim.group("Tim", &members, false).await;
    let id = world.send(device, &group, "rapat").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    world.sim.call("POST", &format!("/groups/{group}/read"), json!({})).await;
    for _ in &members[1..] {
        world.recorder.receipt(device, &id, Receipt::Read).await;
    }
}
