//! The owner's phone shows notifications, except while the device types.

use std::time::Duration;

use domain::ports::{Messenger, MessengerEvent};
use serde_json::json;
use tokio::time::Instant;

use crate::world::{OURS, THEIRS, World, chat, new_id};

/// How long a device may stay online for others after what it was online for.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// How long it is online for a message that neither comes nor is withdrawn.
const AVAILABLE_MAX: Duration = Duration::from_secs(11);

async fn types(world: &World, device: domain::ids::DeviceId) {
    world.messenger.typing(device, &chat(THEIRS), true).await;
    world.sim.until_phone(OURS, "is online", |phone| phone["notifies"] == false).await;
}

async fn is_quiet_again(world: &World) {
    is_quiet_within(world, QUIET_MAX).await;
}

async fn is_quiet_within(world: &World, longest: Duration) {
    let since = Instant::now();
    let phone = world.sim.until_phone(OURS, "notifies", |phone| phone["notifies"] == true).await;
    assert!(phone["online_since"].is_null(), "{phone}");
    assert!(since.elapsed() < longest, "after {:?}", since.elapsed());
}

#[tokio::test]
async fn the_phone_notifies_before_and_after_a_message() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    is_quiet_again(&world).await;
    types(&world, device).await;
    let id = world.send(device, &chat(THEIRS), "Halo").await;
    is_quiet_again(&world).await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert!(world.sim.mail(THEIRS, &id).await["typing_ms"].as_u64() > Some(0));
}

#[tokio::test]
async fn it_notifies_after_a_failure_a_withdrawal_and_nothing_at_all() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    // No message to them can be written.
    let path = format!("/phones/{THEIRS}/bundle");
    world.sim.call("PUT", &path, json!({ "kind": "none" })).await;
    types(&world, device).await;
    world.try_send(device, &chat(THEIRS), &new_id(), "x").await.unwrap_err();
    is_quiet_again(&world).await;
    types(&world, device).await;
    world.messenger.typing(device, &chat(THEIRS), false).await;
    is_quiet_again(&world).await;
    types(&world, device).await;
    // As long as typing may take, and then.
    is_quiet_within(&world, AVAILABLE_MAX + QUIET_MAX).await;
}

#[tokio::test]
async fn it_notifies_while_another_chat_is_not_typed_in_any_more() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    types(&world, device).await;
    let other = chat("628330000003");
    world.messenger.typing(device, &other, true).await;
    world.messenger.typing(device, &other, false).await;
    let phone = world.sim.phone(OURS).await;
    assert_eq!(phone["notifies"], false, "it still types to the first: {phone}");
    world.messenger.typing(device, &chat(THEIRS), false).await;
    is_quiet_again(&world).await;
}

#[tokio::test]
async fn it_notifies_after_a_reconnect_and_a_restart() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    types(&world, device).await;
    world.sim.faults(json!({ "disconnect": { "number": OURS, "code": 515 } })).await;
    world.connected(device).await;
    is_quiet_again(&world).await;
    types(&world, device).await;
    world.restart().await;
    is_quiet_again(&world).await;
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
    is_quiet_again(&world).await;
}
