//! The end of a link: by the phone, by request, and what comes after.

use domain::device::PairMethod;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::{Value, json};

use crate::world::{OURS, THEIRS, World, chat, new_device};

/// Unlinks every device of a number on its phone.
async fn unlink(world: &World, number: &str) {
    let phone = world.sim.call("GET", &format!("/phones/{number}"), json!({})).await;
    for device in devices(&phone) {
        world.sim.call("DELETE", &format!("/phones/{number}/devices/{device}"), json!({})).await;
    }
}

fn devices(phone: &Value) -> Vec<i64> {
    let devices = phone["devices"].as_array().unwrap_or_else(|| panic!("{phone}"));
    devices
        .iter()
        .map(|device| device["device"].as_i64().unwrap_or_else(|| panic!("{phone}")))
        .collect()
}

async fn logged_out(world: &World, device: domain::ids::DeviceId) {
    let read = |event: &MessengerEvent| matches!(event, MessengerEvent::LoggedOut(_)).then_some(());
    world.recorder.event(device, "LoggedOut", read).await;
}

#[tokio::test]
async fn the_phone_unlinks_the_device() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    unlink(&world, OURS).await;
    logged_out(&world, device).await;
    assert!(!world.has_session(device).await);
}

#[tokio::test]
async fn the_phone_unlinks_while_the_driver_is_away() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.messenger.disconnect(device).await;
    unlink(&world, OURS).await;
    world.messenger.connect(device).await.unwrap();
    logged_out(&world, device).await;
    assert!(!world.has_session(device).await);
}

#[tokio::test]
async fn a_logout_reaches_the_phone() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.messenger.logout(device).await.unwrap();
    assert!(!world.has_session(device).await);
    let phone = world.sim.call("GET", &format!("/phones/{OURS}"), json!({})).await;
    assert_eq!(devices(&phone), Vec::<i64>::new());
    assert_eq!(world.recorder.heard(device), [], "who asked for it needs no news of it");
}

#[tokio::test]
async fn a_logout_needs_no_connection() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.close().await;
    world.messenger.logout(device).await.unwrap();
    assert!(!world.has_session(device).await);
}

#[tokio::test]
async fn another_number_takes_the_device_over() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let mine = world.send(device, &chat(THEIRS), "lama").await;
    world.heard(device, MessengerEvent::Acknowledged(mine)).await;
    world.messenger.logout(device).await.unwrap();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    let other = "628330000003";
    world.sim.scan(other, &qr).await;
    assert_eq!(world.paired(device).await.phone.as_str(), other);
    world.connected(device).await;
    let id = world.send(device, &chat(THEIRS), "baru").await;
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    assert_eq!(world.sim.mail(THEIRS, &id).await["text"], "baru");
}

#[tokio::test]
async fn a_device_without_a_session_says_so() {
    let world = World::new().await;
    let device = new_device();
    world.messenger.connect(device).await.unwrap();
    logged_out(&world, device).await;
}

#[tokio::test]
async fn the_owners_name_comes_from_the_app_state() {
    let world = World::new().await;
    world.sim.put_phone(OURS, json!({ "push_name": "Toko" })).await;
    let device = world.link(OURS).await;
    for name in ["Toko", "Toko Baru"] {
        world.sim.put_phone(OURS, json!({ "push_name": name })).await;
        let is_named = |phone: &Value| phone["devices"][0]["push_name"] == name;
        world.sim.until_phone(OURS, "has its name", is_named).await;
        let shown = world.messenger.connected_as(device).unwrap();
        assert_eq!(shown.phone_name.as_deref(), Some(name));
        world.sim.until_phone(OURS, "notifies", |phone| phone["notifies"] == true).await;
    }
}
