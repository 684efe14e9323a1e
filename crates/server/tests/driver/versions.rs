//! Versions of the protocol: WhatsApp refuses old ones (405).

use std::ops::RangeInclusive;
use std::time::Duration;

use domain::device::{DisconnectReason, PairMethod};
use domain::ids::DeviceId;
use domain::ports::{Messenger, MessengerEvent, ProtocolWrite};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::world::{OURS, THEIRS, WAIT_MAX, World, chat, new_device};

/// The oldest version that WhatsApp takes in these tests, which it publishes, and the one before it.
const OLDEST: &str = "2.3000.1036000001";
const OUTDATED: &str = "2.3000.1036000000";
/// How soon all devices are back after WhatsApp has begun to refuse their version.
const BACK_MAX: Duration = Duration::from_secs(120);
/// What is left of the pause after a refused version, which is an hour and up to a quarter more, once it is
/// looked at.
const LEFT_MS: RangeInclusive<i64> = 3_540_000..=4_500_000;
/// Where the driver keeps a pause before a login.
const PAUSES: &str = "login_pause";

fn outdated() -> MessengerEvent {
    MessengerEvent::Disconnected(DisconnectReason::ClientOutdated)
}

fn set_outdated() -> MessengerEvent {
    MessengerEvent::Disconnected(DisconnectReason::SetVersionOutdated)
}

/// WhatsApp ends the connections of older versions, and publishes this one; how many it has ended.
async fn refuse_older_than(world: &World, oldest: &str) -> Value {
    let ended = world.sim.call("PUT", "/server", json!({ "min_version": oldest })).await;
    ended["disconnected"].clone()
}

/// Logins so far, and questions for the newest version.
async fn counts(world: &World) -> (u64, u64) {
    (world.sim.counter("logins").await, world.sim.counter("versions_asked").await)
}

fn announced(world: &World, device: DeviceId) -> String {
    world.messenger.connected_as(device).unwrap().version
}

/// The pause that is kept for a device, once there is one.
async fn kept_pause(world: &World, device: DeviceId) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let kept = world.sessions.protocol_get(device, PAUSES, "").await.unwrap();
        if let Some(kept) = kept {
            return serde_json::from_slice(&kept).unwrap();
        }
        assert!(Instant::now() < deadline, "no pause is kept");
        yield_now().await;
    }
}

/// Lets a kept pause end so soon, as if most of it had passed; its end.
async fn shorten(world: &World, device: DeviceId, mut kept: Value, left_ms: i64) -> i64 {
    let until_ms = now_ms() + left_ms;
    kept["until_ms"] = json!(until_ms);
    let value = Some(serde_json::to_vec(&kept).unwrap());
    let write = ProtocolWrite { space: PAUSES, key: String::new(), value };
    world.sessions.protocol_write(device, vec![write]).await.unwrap();
    until_ms
}

#[expect(
    clippy::disallowed_methods,
    reason = "the driver's own clock decides when a pause is over"
)]
fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[tokio::test]
async fn a_newer_version_is_used_at_once() {
    let world = World::new().await;
    let mut devices = Vec::new();
    for n in 0..20 {
        devices.push(world.link(&format!("6281100030{n:02}")).await);
    }
    let (_, asked) = counts(&world).await;
    assert_eq!(refuse_older_than(&world, OLDEST).await, 20);
    let ended_at = Instant::now();
    for device in devices {
        world.connected(device).await;
        assert!(ended_at.elapsed() < BACK_MAX, "{:?}", ended_at.elapsed());
        assert_eq!(announced(&world, device), OLDEST);
        let id = world.send(device, &chat(THEIRS), "masih di sini").await;
        world.heard(device, MessengerEvent::Acknowledged(id)).await;
    }
    assert_eq!(counts(&world).await.1 - asked, 1, "one asks for all");
}

#[tokio::test]
async fn a_newer_version_that_is_refused_too_is_tried_again_an_hour_later() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    let (logins, asked) = counts(&world).await;
    let refused = json!({ "on": "login", "number": OURS, "do": "failure", "code": 405 });
    world.sim.faults(json!({ "rules": [refused] })).await;
    assert_eq!(refuse_older_than(&world, OLDEST).await, 1);
    world.heard(device, outdated()).await;
    assert_eq!(counts(&world).await, (logins + 2, asked + 1), "one with each version");
    let kept = kept_pause(&world, device).await;
    let left_ms = kept["until_ms"].as_i64().unwrap() - now_ms();
    assert!(LEFT_MS.contains(&left_ms), "{left_ms} ms");
    assert_eq!((&kept["code"], &kept["refused"]), (&json!(405), &json!([2, 3_000, 1_036_000_001])));

    // Most of the hour passes; no driver tries before its end.
    let mut until_ms = 0;
    for left_ms in [600_000, 4_000] {
        until_ms = shorten(&world, device, kept.clone(), left_ms).await;
        world.restart().await;
        world.messenger.connect(device).await.unwrap();
        world.heard(device, outdated()).await;
        assert_eq!(counts(&world).await.0, logins + 2, "{left_ms} ms before its end");
    }
    world.sim.faults(json!({})).await;
    world.connected(device).await;
    assert!(now_ms() >= until_ms);
    assert_eq!(counts(&world).await.0, logins + 3, "one when it is over");
    assert_eq!(announced(&world, device), OLDEST);
}

#[tokio::test]
async fn another_version_need_not_wait_for_what_a_refused_one_waits_for() {
    let mut world = World::new().await;
    world.set_version(OUTDATED.parse().unwrap()).await;
    let device = world.link(OURS).await;
    refuse_older_than(&world, OLDEST).await;
    world.heard(device, set_outdated()).await;
    for (version, is_taken) in [(OUTDATED, false), ("2.3000.1036000002", true)] {
        world.set_version(version.parse().unwrap()).await;
        world.messenger.connect(device).await.unwrap();
        match is_taken {
            true => world.connected(device).await,
            false => world.heard(device, set_outdated()).await,
        }
    }
}

#[tokio::test]
async fn a_version_that_is_set_is_used_and_no_other_is_asked_for() {
    let mut world = World::new().await;
    world.set_version(OUTDATED.parse().unwrap()).await;
    let device = world.link(OURS).await;
    assert_eq!(announced(&world, device), OUTDATED);
    let (logins, _) = counts(&world).await;
    refuse_older_than(&world, OLDEST).await;
    world.heard(device, set_outdated()).await;
    kept_pause(&world, device).await;
    let other = new_device();
    world.messenger.pair(other, PairMethod::Qr).await.unwrap();
    let why = DisconnectReason::SetVersionOutdated.describe();
    assert!(why.contains("(405)") && why.contains("GERBANG_WHATSAPP_VERSION"), "{why}");
    world.heard(other, MessengerEvent::PairingFailed(why)).await;
    assert_eq!(counts(&world).await, (logins + 1, 0), "none after the refused one");

    let newer = "2.3000.1036000002";
    world.set_version(newer.parse().unwrap()).await;
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
    assert_eq!(announced(&world, device), newer);
    assert_eq!(counts(&world).await, (logins + 2, 0));
}
