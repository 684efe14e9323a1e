//! The histories that phones give devices when these are linked: few are held at the same time.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::world::{THEIRS, World, chat};

/// Devices that may hold a history at the same time.
const HELD_MAX: usize = 2;
/// Of the messages in a history, in bytes: enough for it to wait for its turn.
const BYTES: usize = 4 * 1024 * 1024;
/// Many times what reading such a history takes.
const LONG: Duration = Duration::from_secs(3);

#[tokio::test]
async fn two_devices_hold_a_history_at_the_same_time_and_no_more() {
    let world = World::new().await;
    let phones: Vec<String> = (1..=HELD_MAX + 1).map(|n| format!("62811000700{n}")).collect();
    for phone in &phones {
        let body = json!({ "chats": [THEIRS], "bytes": BYTES });
        let made = world.sim.call("POST", &format!("/phones/{phone}/history"), body).await;
        assert!(made["bytes"].as_u64() > Some(1024 * 1024), "{made}");
    }
    // Who reports the chats of a history holds it until that is answered.
    let held = world.recorder.hold_reports().await;
    let mut devices = Vec::new();
    for phone in &phones {
        devices.push(world.begin_link(phone).await);
    }
    world.recorder.until_reporting(HELD_MAX).await;
    let third = timeout(LONG, world.recorder.until_reporting(HELD_MAX + 1)).await;
    assert!(third.is_err(), "more than {HELD_MAX} hold one");
    drop(held);
    world.recorder.until_reporting(HELD_MAX + 1).await;
    world.recorder.known(&[chat(THEIRS)]).await;
    for device in devices {
        world.connected(device).await;
    }
}
