//! Losing connections and getting them back.

use domain::device::DisconnectReason;
use domain::ports::{Messenger, MessengerEvent, SendError};
use serde_json::json;

use crate::world::{OURS, THEIRS, World, chat, new_id};

fn lost(reason: DisconnectReason) -> MessengerEvent {
    MessengerEvent::Disconnected(reason)
}

#[tokio::test]
async fn a_wanted_restart_and_a_fault_are_got_over() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (code, reason) in [
        (515, DisconnectReason::RestartRequired),
        (503, DisconnectReason::ServerFault(503)),
        (500, DisconnectReason::ServerFault(500)),
    ] {
        world.sim.faults(json!({ "disconnect": { "number": OURS, "code": code } })).await;
        world.heard(device, lost(reason)).await;
        world.sim.faults(json!({})).await;
        world.connected(device).await;
    }
    let id = world.send(device, &chat(THEIRS), "masih di sini").await;
    world.heard(device, MessengerEvent::Acknowledged(id)).await;
}

#[tokio::test]
async fn some_losses_are_left_to_people() {
    let world = World::new().await;
    for (n, code, reason) in [
        (1, 409, DisconnectReason::Replaced),
        (2, 403, DisconnectReason::AccountLocked),
        (3, 405, DisconnectReason::ClientOutdated),
    ] {
        let number = format!("62811000100{n}");
        let device = world.link(&number).await;
        world.sim.faults(json!({ "disconnect": { "number": number, "code": code } })).await;
        world.heard(device, lost(reason)).await;
        assert!(world.has_session(device).await, "{code}: the link may still hold");
        // An observer reports the connection.
        world.sim.faults(json!({})).await;
        world.messenger.disconnect(device).await;
        world.messenger.connect(device).await.unwrap();
        world.connected(device).await;
    }
}

#[tokio::test]
async fn a_limit_on_connections_is_named() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(json!({ "disconnect": { "number": OURS, "code": 429 } })).await;
    world.heard(device, lost(DisconnectReason::RateLimited)).await;
    let refused = world.try_send(device, &chat(THEIRS), &new_id(), "x").await;
    assert_eq!(refused, Err(SendError::NotConnected));
}

#[tokio::test]
async fn a_server_that_comes_back_is_noticed() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.close().await;
    world.heard(device, lost(DisconnectReason::Unreachable)).await;
    world.sim.reopen().await;
    world.connected(device).await;
    let id = world.send(device, &chat(THEIRS), "kembali").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "kembali");
}

#[tokio::test]
async fn a_restarted_driver_needs_no_linking() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    let first = world.send(device, &chat(THEIRS), "satu").await;
    world.heard(device, MessengerEvent::Acknowledged(first)).await;
    for text in ["dua", "tiga"] {
        world.restart().await;
        world.messenger.connect(device).await.unwrap();
        world.connected(device).await;
        let id = world.send(device, &chat(THEIRS), text).await;
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        assert_eq!(world.sim.mail(THEIRS, &id).await["text"], text);
    }
}

#[tokio::test]
async fn what_came_while_away_is_received_later() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    world.restart().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.sim.write(THEIRS, OURS, &format!("pesan {n}")).await);
    }
    world.messenger.connect(device).await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(world.recorder.message(id).await.content.text(), format!("pesan {n}"));
    }
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.messenger.disconnect(device).await;
    let refused = world.try_send(device, &chat(THEIRS), &new_id(), "x").await;
    assert_eq!(refused, Err(SendError::NotConnected));
    assert!(world.has_session(device).await);
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
}
