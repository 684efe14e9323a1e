//! Phones that cannot open a message ask for it again, and get it.

use std::sync::Arc;
use std::time::Duration;

use domain::chat::ChatId;
use domain::ids::{DeviceId, WhatsappId};
use domain::media::{Preview, ReadyMedia, TempMedia};
use domain::message::{ContentKind, Receipt, ReceivedOrigin};
use domain::ports::{Messenger, MessengerEvent};
use futures_util::future::join_all;
use serde_json::json;
use testkit::flaky_store::FlakyStore;
use testkit::memory_store::MemoryStore;

use crate::world::{OURS, THEIRS, World, chat};

/// Members of a group, without ourselves.
fn members(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("62833{n:07}")).collect()
}

async fn group(world: &World, members: &[String], by_lid: bool) -> String {
    let mut all = vec![OURS];
    all.extend(members.iter().map(String::as_str));
    world.sim.group("Tim", &all, by_lid).await
}

async fn forget(world: &World, members: &[String]) {
    join_all(members.iter().map(|member| world.sim.forget_sessions(member))).await;
}

async fn everybody_has(world: &World, members: &[String], ids: &[WhatsappId]) {
    for id in ids {
        for member in members {
            let mail = world.sim.arrived(member, id).await;
            assert_ne!(mail["kind"], "failed", "{mail}");
        }
    }
}

fn picture() -> ReadyMedia {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture");
    std::fs::write(&path, vec![7; 5_000]).unwrap();
    ReadyMedia {
        file: TempMedia { path, size: 5_000, guard: Arc::new(dir) },
        kind: ContentKind::Image,
        mimetype: "image/jpeg".to_owned(),
        filename: None,
        seconds: None,
        waveform: None,
        dimensions: None,
        preview: Preview::default(),
    }
}

#[tokio::test]
async fn a_person_who_lost_the_session_gets_it_all_the_same() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        world.sim.put_phone(THEIRS, json!({ "by_lid": by_lid })).await;
        let lid = world.sim.lid(THEIRS).await;
        for to in [chat(THEIRS), ChatId::Lid(lid)] {
            let first = world.send(device, &to, "pertama").await;
            world.sim.arrived(THEIRS, &first).await;
            world.sim.forget_sessions(THEIRS).await;
            let texts = ["satu", "dua", "tiga"].map(|text| world.send(device, &to, text));
            let texts = join_all(texts).await;
            world.sim.forget_sessions(THEIRS).await;
            let file = world.send_file(device, &to, picture(), "foto").await;
            for id in texts.iter().chain([&file]) {
                let mail = world.sim.arrived(THEIRS, id).await;
                assert_ne!(mail["kind"], "failed", "{mail}");
                world.recorder.receipt(device, id, Receipt::Delivered).await;
            }
        }
    }
}

/// A world whose store takes its time, as one on a disk does.
async fn slow_world() -> World {
    let store = Arc::new(FlakyStore::before(Arc::new(MemoryStore::for_protocol())));
    store.writes_take(Duration::from_millis(3));
    World::over(store).await
}

#[tokio::test]
async fn every_member_who_lost_the_session_gets_what_the_group_is_sent() {
    let world = slow_world().await;
    let device = world.link(OURS).await;
    for count in [1, 2, 3, 9] {
        for by_lid in [false, true] {
            let members = members(count);
            let group = group(&world, &members, by_lid).await;
            // What we know of their sessions is of no use to them.
            forget(&world, &members).await;
            let first = world.send(device, &group, "pertama").await;
            everybody_has(&world, &members, &[first]).await;
            forget(&world, &members).await;
            let mut ids =
                join_all(["dua", "tiga"].map(|text| world.send(device, &group, text))).await;
            ids.push(world.send_file(device, &group, picture(), "foto").await);
            everybody_has(&world, &members, &ids).await;
        }
    }
}

/// Sends into the dark, restarts, and lets the phones look at their mail only then.
#[tokio::test]
async fn a_retry_after_a_restart_is_answered() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let members = members(3);
        let group = group(&world, &members, by_lid).await;
        let mut ids = vec![world.send(device, &group, "pertama").await];
        everybody_has(&world, &members, &ids).await;
        for member in &members {
            world.sim.put_phone(member, json!({ "online": false })).await;
            world.sim.forget_sessions(member).await;
        }
        ids = vec![
            world.send(device, &group, "dua").await,
            world.send_file(device, &group, picture(), "foto").await,
        ];
        let direct = world.send(device, &chat(&members[0]), "untukmu").await;
        for id in ids.iter().chain([&direct]) {
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        }
        world.messenger.disconnect(device).await;
        world.restart().await;
        for member in &members {
            world.sim.put_phone(member, json!({ "online": true })).await;
        }
        world.messenger.connect(device).await.unwrap();
        everybody_has(&world, &members, &ids).await;
        world.sim.arrived(&members[0], &direct).await;
    }
}

#[tokio::test]
async fn who_joins_later_reads_what_comes_later() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let members = members(4);
        let group = group(&world, &members[..2], by_lid).await;
        let first = world.send(device, &group, "pertama").await;
        everybody_has(&world, &members[..2], &[first]).await;
        world.sim.join(&group, &members[2]).await;
        let second = world.send(device, &group, "kedua").await;
        everybody_has(&world, &members[..3], &[second]).await;
        world.sim.join(&group, &members[3]).await;
        forget(&world, &members).await;
        let third = world.send(device, &group, "ketiga").await;
        everybody_has(&world, &members, &[third]).await;
    }
}

/// A second device of the same number, which is ours as well.
async fn sister(world: &World) -> DeviceId {
    world.link(OURS).await
}

#[tokio::test]
async fn a_second_device_of_the_number_sees_what_the_first_one_sends() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let early = sister(&world).await;
    let members = members(2);
    for by_lid in [false, true] {
        let group = group(&world, &members, by_lid).await;
        for from in [device, early] {
            let sent = world.send(from, &group, "untuk grup").await;
            let direct = world.send(from, &chat(THEIRS), "untuk dia").await;
            everybody_has(&world, &members, std::slice::from_ref(&sent)).await;
            for (id, chat) in [(sent, group.as_str().into()), (direct, chat(THEIRS))] {
                let seen = world.recorder.message(&id).await;
                assert_eq!(seen.origin, ReceivedOrigin::Phone, "{seen:?}");
                assert_eq!(seen.chat, chat);
            }
        }
    }
    // One that is linked later is known of by the next message.
    sister(&world).await;
    let group = group(&world, &members, false).await;
    let id = world.send(device, &group, "untuk semua").await;
    world.recorder.message(&id).await;
    everybody_has(&world, &members, &[id]).await;
}

/// The engine sends again what was not acknowledged; by then the keys count as handed out.
#[tokio::test]
async fn what_was_lost_with_its_keys_arrives_when_it_is_sent_again() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for by_lid in [false, true] {
        let members = members(30);
        let group = group(&world, &members, by_lid).await;
        world.sim.faults(json!({ "drop_messages": true })).await;
        let id = world.send(device, &group, "hilang").await;
        world.sim.faults(json!({ "disconnect": { "number": OURS, "code": 515 } })).await;
        world.connected(device).await;
        world.sim.faults(json!({})).await;
        world.try_send(device, &group, &id, "hilang").await.unwrap();
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        everybody_has(&world, &members, &[id]).await;
    }
    let stats = world.sim.call("GET", "/stats", json!({})).await;
    assert_eq!(stats["counters"]["decrypt_failures"], 0, "a phone had to request a resend");
}
