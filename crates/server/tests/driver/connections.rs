//! Losing connections and getting them back.

use domain::device::DisconnectReason;
use domain::ids::DeviceId;
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
        if reason == DisconnectReason::ClientOutdated {
            // Its pause goes on, until somebody asks again.
            world.heard(device, lost(reason)).await;
            world.messenger.connect(device).await.unwrap();
        }
        world.connected(device).await;
    }
}

#[tokio::test]
async fn a_stream_that_the_server_ends_is_a_lost_connection() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let before = logins(&world).await;
    // Connections of a version that is too old are ended without a code; before the next login it is taken again.
    let ended =
        world.sim.call("PUT", "/server", json!({ "min_version": "2.3000.1036000001" })).await;
    assert_eq!(ended["disconnected"], 1);
    world.sim.call("PUT", "/server", json!({ "min_version": "" })).await;
    world.heard(device, lost(DisconnectReason::ConnectionLost)).await;
    world.connected(device).await;
    assert_eq!(logins(&world).await - before, 1);
    let id = world.send(device, &chat(THEIRS), "masih di sini").await;
    world.heard(device, MessengerEvent::Acknowledged(id)).await;
}

#[tokio::test]
async fn a_code_of_no_meaning_is_named_and_got_over() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(json!({ "disconnect": { "number": OURS, "code": 599 } })).await;
    world.heard(device, lost(DisconnectReason::Other(599))).await;
    world.connected(device).await;
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

async fn logins(world: &World) -> u64 {
    world.sim.counter("logins").await
}

/// Ends the connection and lets a rule refuse the next login once.
async fn refuse_login(world: &World, number: &str, code: u16, expire_s: Option<u32>) {
    let rule = json!({
        "on": "login", "number": number, "times": 1, "do": "failure", "code": code,
        "expire_s": expire_s,
    });
    let ended = json!({ "number": number, "code": 515 });
    world.sim.faults(json!({ "rules": [rule], "disconnect": ended })).await;
}

#[tokio::test]
async fn a_ban_is_waited_for_and_followed_by_one_login() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let before = logins(&world).await;
    refuse_login(&world, OURS, 402, Some(3)).await;
    world.heard(device, lost(DisconnectReason::TemporarilyBanned(Some(3)))).await;
    // A ban is not cut short.
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
    assert_eq!(logins(&world).await - before, 2, "the refused one, and one after the ban");
}

#[tokio::test]
async fn a_refused_login_is_tried_again_on_request() {
    let world = World::new().await;
    for (code, reason) in [
        (400, DisconnectReason::LoginRefused(400)),
        (409, DisconnectReason::ClientRefused),
        (413, DisconnectReason::LoginRefused(413)),
        (414, DisconnectReason::LoginRefused(414)),
        (415, DisconnectReason::LoginRefused(415)),
        (416, DisconnectReason::LoginRefused(416)),
        (417, DisconnectReason::LoginRefused(417)),
        (418, DisconnectReason::LoginRefused(418)),
        (429, DisconnectReason::RateLimited),
    ] {
        let number = format!("628110004{code}");
        let device = world.link(&number).await;
        refuse_login(&world, &number, code, None).await;
        world.heard(device, lost(reason)).await;
        assert!(world.has_session(device).await, "{code}: the link may still hold");
        // The pause begins when the loss is reported.
        loop {
            world.messenger.connect(device).await.unwrap();
            if world.recorder.heard(device).contains(&MessengerEvent::Connected) {
                break;
            }
            tokio::task::yield_now().await;
        }
        world.connected(device).await;
    }
}

#[tokio::test]
async fn who_asks_for_a_connection_hears_that_it_was_refused_again() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    for (code, reason) in
        [(415, DisconnectReason::LoginRefused(415)), (503, DisconnectReason::ServerFault(503))]
    {
        let rule = json!({ "on": "login", "number": OURS, "do": "failure", "code": code });
        let ended = json!({ "number": OURS, "code": 515 });
        world.sim.faults(json!({ "rules": [rule], "disconnect": ended })).await;
        world.heard(device, lost(reason)).await;
        world.messenger.connect(device).await.unwrap();
        world.heard(device, lost(reason)).await;
        world.sim.faults(json!({})).await;
        world.messenger.connect(device).await.unwrap();
        world.connected(device).await;
    }
}

#[tokio::test]
async fn faults_at_a_login_are_got_over() {
    let world = World::new().await;
    for code in [500, 501, 503] {
        let number = format!("628110005{code}");
        let device = world.link(&number).await;
        refuse_login(&world, &number, code, None).await;
        world.heard(device, lost(DisconnectReason::ServerFault(code))).await;
        world.connected(device).await;
    }
}

#[tokio::test]
async fn a_login_refused_for_good_ends_the_link() {
    let world = World::new().await;
    for (n, code) in [(1, 401), (2, 406)] {
        let number = format!("62811000200{n}");
        let device = world.link(&number).await;
        refuse_login(&world, &number, code, None).await;
        logged_out(&world, device).await;
        assert!(!world.has_session(device).await, "{code}");
    }
}

#[tokio::test]
async fn a_connection_ended_for_good_ends_the_link() {
    let world = World::new().await;
    for code in [401, 516] {
        let number = format!("628110006{code}");
        let device = world.link(&number).await;
        world.sim.faults(json!({ "disconnect": { "number": number, "code": code } })).await;
        logged_out(&world, device).await;
        assert!(!world.has_session(device).await, "{code}");
    }
}

async fn logged_out(world: &World, device: DeviceId) {
    let read = |event: &MessengerEvent| matches!(event, MessengerEvent::LoggedOut(_)).then_some(());
    world.recorder.event(device, "LoggedOut", read).await;
}

#[tokio::test]
async fn a_locked_account_keeps_its_link_and_waits_for_a_request() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let before = logins(&world).await;
    refuse_login(&world, OURS, 403, None).await;
    world.heard(device, lost(DisconnectReason::AccountLocked)).await;
    assert!(world.has_session(device).await);
    assert_eq!(logins(&world).await - before, 1, "none after the refused one");
    world.messenger.connect(device).await.unwrap();
    world.connected(device).await;
}

#[tokio::test]
async fn a_long_pause_before_a_login_outlives_a_restart() {
    for (code, reason) in [
        (429, DisconnectReason::RateLimited),
        (415, DisconnectReason::LoginRefused(415)),
        (409, DisconnectReason::ClientRefused),
    ] {
        let mut world = World::new().await;
        let device = world.link(OURS).await;
        let before = logins(&world).await;
        refuse_login(&world, OURS, code, None).await;
        world.heard(device, lost(reason)).await;
        world.restart().await;
        world.messenger.connect(device).await.unwrap();
        world.heard(device, lost(reason)).await;
        assert_eq!(logins(&world).await - before, 1, "none after the one refused with {code}");
        // On request it ends, and is not kept any longer.
        world.messenger.connect(device).await.unwrap();
        world.connected(device).await;
        world.restart().await;
        world.messenger.connect(device).await.unwrap();
        world.connected(device).await;
    }
}

#[tokio::test]
async fn who_asks_waits_for_no_pause_from_before_a_restart() {
    let mut world = World::new().await;
    let device = world.link(OURS).await;
    refuse_login(&world, OURS, 415, None).await;
    world.heard(device, lost(DisconnectReason::LoginRefused(415))).await;
    world.restart().await;
    world.messenger.connect_now(device).await.unwrap();
    world.connected(device).await;
}

/// The library would ask up to 500 times, and begin again.
#[tokio::test]
async fn app_state_that_never_settles_costs_a_bounded_number_of_questions() {
    let world = World::new().await;
    world.sim.faults(json!({ "endless_app_state": true })).await;
    let device = world.link(OURS).await;
    let id = world.send(device, &chat(THEIRS), "tetap jalan").await;
    world.heard(device, MessengerEvent::Acknowledged(id)).await;
    let asked = world.sim.counter("app_state_queries").await;
    // Five collections, alone or together.
    assert!((2..=5 * 61).contains(&asked), "{asked}");
}
