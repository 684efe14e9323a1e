//! Whom a number may write to while WhatsApp restricts it: those who have let it write.

use domain::message::Receipt;
use domain::ports::{Messenger, MessengerEvent};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{OURS, THEIRS, World, chat};

/// The end of a restriction that outlasts every test.
const ENDS: &str = "2999-01-01T00:00:00Z";
const STRANGER: &str = "628990000009";

async fn restrict(world: &World, until: &str) {
    world.sim.call("PUT", "/server", json!({ "timelock_until": until })).await;
}

fn ends() -> Option<Timestamp> {
    Some(ENDS.parse().unwrap())
}

fn friends(count: u64) -> Vec<String> {
    (0..count).map(|n| (628_700_000_001 + n).to_string()).collect()
}

async fn give_history(world: &World, chats: &[String], bytes: usize) -> Value {
    let body = json!({ "chats": chats, "bytes": bytes });
    world.sim.call("POST", &format!("/phones/{OURS}/history"), body).await
}

#[tokio::test]
async fn old_chats_can_be_answered_right_after_linking() {
    let world = World::new().await;
    let friends = friends(50);
    give_history(&world, &friends, 0).await;
    restrict(&world, ENDS).await;
    let device = world.link(OURS).await;
    let chats: Vec<_> = friends.iter().map(|friend| chat(friend)).collect();
    world.recorder.known(&chats).await;
    for friend in &friends {
        let id = world.send(device, &chat(friend), "Halo lagi").await;
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
        assert_eq!(world.sim.mail(friend, &id).await["copies"], 1);
    }
    let id = world.send(device, &chat(STRANGER), "Halo").await;
    world.heard(device, MessengerEvent::Restricted(ends())).await;
    world.heard(device, MessengerEvent::Refused(id, 463)).await;
    assert!(world.sim.inbox(STRANGER).await.is_empty());
    for friend in &friends {
        world.recorder.identity(friend, &world.sim.lid(friend).await).await;
    }
}

#[tokio::test]
async fn a_large_history_is_read_as_well() {
    let world = World::new().await;
    let friends = friends(3);
    let made = give_history(&world, &friends, 4 * 1024 * 1024).await;
    assert!(made["bytes"].as_u64() > Some(1024 * 1024), "{made}");
    let _device = world.link(OURS).await;
    let chats: Vec<_> = friends.iter().map(|friend| chat(friend)).collect();
    world.recorder.known(&chats).await;
}

#[tokio::test]
async fn who_writes_first_may_be_answered_in_spite_of_a_restriction() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    restrict(&world, ENDS).await;
    let id = world.sim.write(THEIRS, OURS, "Halo").await;
    world.recorder.message(&id).await;
    world.recorder.known(&[chat(THEIRS)]).await;
    let answer = world.send(device, &chat(THEIRS), "Halo juga").await;
    world.heard(device, MessengerEvent::Acknowledged(answer.clone())).await;
    world.recorder.receipt(device, &answer, Receipt::Read).await;
}

#[tokio::test]
async fn a_refusal_without_a_restriction_says_so() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    world.sim.faults(json!({ "reject": { "number": STRANGER, "code": 463 } })).await;
    let id = world.send(device, &chat(STRANGER), "Halo").await;
    world.heard(device, MessengerEvent::Restricted(None)).await;
    world.heard(device, MessengerEvent::Refused(id, 463)).await;
}

#[tokio::test]
async fn a_restriction_that_has_ended_holds_no_one_back() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    restrict(&world, ENDS).await;
    let refused = world.send(device, &chat(STRANGER), "Halo").await;
    world.heard(device, MessengerEvent::Refused(refused.clone(), 463)).await;
    assert_eq!(world.messenger.restriction(device).await, Ok(ends()));
    restrict(&world, "").await;
    // Another number, because an answer is kept for a while.
    let other = world.link("628110000009").await;
    assert_eq!(world.messenger.restriction(other).await, Ok(None));
    world.try_send(device, &chat(STRANGER), &refused, "Halo").await.unwrap();
    world.heard(device, MessengerEvent::Acknowledged(refused.clone())).await;
    assert_eq!(world.sim.mail(STRANGER, &refused).await["copies"], 1);
}
