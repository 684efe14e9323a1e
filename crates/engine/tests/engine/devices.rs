//! What happens to devices: linking, connecting, unlinking.

use std::time::Duration;

use domain::device::{
    DeviceNotice, DeviceStatus, DisconnectReason, Group, PairMethod, PairOffer, StatusChange,
};
use domain::error::Error;
use domain::message::MessageState;
use domain::phone::PhoneNumber;
use domain::ports::{Clock, DeviceStore, Dispatcher, MessengerEvent};
use domain::service::NewWebhookRequest;
use domain::webhook::{EventKind, Subject};
use futures_util::StreamExt;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::{Answer, Call};

use crate::house::{House, linked};

const TO: &str = "628123456789";

fn qr(code: &str, expires_in_s: u64) -> PairOffer {
    PairOffer::Qr { code: code.into(), expires_in_s }
}

fn offer_text(offer: &PairOffer) -> (&str, u64) {
    match offer {
        PairOffer::Qr { code, expires_in_s } | PairOffer::Code { code, expires_in_s } => {
            (code, *expires_in_s)
        }
        PairOffer::Passkey { request } => (request, 0),
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_is_linked_step_by_step() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    let mut notices = house.engine.watch(device);
    let offer = house.engine.pair(device, PairMethod::Qr).await.unwrap();
    assert_eq!(offer_text(&offer), ("2@scripted", 20));
    assert_eq!(house.stored_device(device).await.status, DeviceStatus::Pairing);
    house.messenger.phone_links(device, linked("62811"));
    let connected = house.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(connected.phone, Some(PhoneNumber::from_digits("62811")));
    let mut told = Vec::new();
    while told.last() != Some(&"connected") {
        told.push(match notices.next().await.unwrap() {
            DeviceNotice::Offer(_) => "offer",
            DeviceNotice::Status(StatusChange { status, .. }) => status.as_str(),
        });
    }
    assert_eq!(told, ["pairing", "offer", "connecting", "connecting", "connected"]);
    let message = house.send(device, TO, "hello").await;
    house.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn asking_again_shows_the_running_offer() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    house.engine.pair(device, PairMethod::Qr).await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = house.engine.pair(device, PairMethod::Qr).await.unwrap();
    assert_eq!(offer_text(&again), ("2@scripted", 12));
    // When it has run out, the next one is waited for.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (engine, messenger) = (house.engine.clone(), house.messenger.clone());
    let next = tokio::spawn(async move { engine.pair(device, PairMethod::Qr).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    messenger.emit(device, MessengerEvent::Offer(qr("2@next", 20)));
    assert_eq!(offer_text(&next.await.unwrap().unwrap()), ("2@next", 20));
    let pairs = house.messenger.calls().into_iter().filter(|call| matches!(call, Call::Pair(..)));
    assert_eq!(pairs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_method_starts_anew() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    house.engine.pair(device, PairMethod::Qr).await.unwrap();
    let method = PairMethod::Code(PhoneNumber::from_digits("62811"));
    let offer = house.engine.pair(device, method).await.unwrap();
    assert_eq!(offer_text(&offer), ("ABCD1234", 160));
    house.messenger.phone_links(device, linked("62811"));
    house.until_status(device, DeviceStatus::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn linking_that_fails_says_why() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    house.engine.pair(device, PairMethod::Qr).await.unwrap();
    house.messenger.emit(device, MessengerEvent::PairingFailed("nobody scanned".into()));
    let failed = house.until_status(device, DeviceStatus::Unpaired).await;
    assert_eq!(failed.reason.as_deref(), Some("nobody scanned"));
    // And can be tried again.
    house.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_not_waited_for_for_ever() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    // An offer of the other kind is none.
    house.messenger.offers(PairOffer::Code { code: "X".into(), expires_in_s: 60 });
    let before = house.clock.now();
    let answer = house.engine.pair(device, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::Whatsapp(_))), "{answer:?}");
    assert_eq!(house.clock.now().duration_since(before).as_secs(), 30);
    house.until_status(device, DeviceStatus::Unpaired).await;
}

#[tokio::test(start_paused = true)]
async fn linking_does_not_begin_without_the_store() {
    let house = House::new().await;
    house.start().await;
    let device = house.device().await;
    house.store.fail(Outage::Writes);
    let answer = house.engine.pair(device, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    assert!(house.messenger.calls().is_empty());
    house.store.fail(Outage::None);
    house.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_exist_cannot_be_linked() {
    let house = House::new().await;
    house.start().await;
    let unknown = domain::ids::DeviceId(uuid::Uuid::nil());
    let answer = house.engine.pair(unknown, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
    let answer = house.engine.remove(house.account, unknown).await;
    assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
    house.engine.reload(unknown).await;
}

#[tokio::test(start_paused = true)]
async fn lost_connections_are_told_with_their_reason() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::RateLimited);
    let lost = house.until_status(device, DeviceStatus::Disconnected).await;
    assert_eq!(lost.reason, Some(DisconnectReason::RateLimited.describe()));
    house.messenger.go_online(device);
    assert_eq!(house.until_status(device, DeviceStatus::Connected).await.reason, None);
    house.messenger.go_offline(device, DisconnectReason::RestartRequired);
    house.until_status(device, DeviceStatus::Connecting).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_logout_messages_wait_for_the_same_number() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let message = house.send(device, TO, "hello").await;
    house.messenger.phone_unlinks(device);
    let out = house.until_status(device, DeviceStatus::LoggedOut).await;
    assert_eq!(out.reason.as_deref(), Some("unlinked by the phone"));
    house.link(device, "62811").await;
    house.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn another_number_takes_waiting_messages_back() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let message = house.send(device, TO, "hello").await;
    house.engine.logout(device).await.unwrap();
    assert_eq!(house.stored_device(device).await.status, DeviceStatus::LoggedOut);
    house.link(device, "62822").await;
    house.until_state(message.id, MessageState::Cancelled).await;
    let next = house.send(device, TO, "from the new number").await;
    house.until_state(next.id, MessageState::Sent).await;
    assert_eq!(house.texts(), ["from the new number"]);
}

#[tokio::test(start_paused = true)]
async fn unlinking_is_bounded() {
    let (house, device) = House::with_device().await;
    house.messenger.logout_takes(Duration::from_secs(3_000));
    let answer = house.engine.logout(device).await;
    assert!(matches!(answer, Err(Error::Whatsapp(_))), "{answer:?}");
    // A device that is removed goes all the same.
    house.engine.remove(house.account, device).await.unwrap();
    assert!(house.store.device(house.account, device).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_removed_device_sends_nothing_more() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    let message = house.send(device, TO, "hello").await;
    house.core.delete_device(&house.session, device).await.unwrap();
    assert!(house.messenger.calls().contains(&Call::Logout(device)));
    assert_eq!(house.stored(message.id).await.state, MessageState::Cancelled);
    house.messenger.go_online(device);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(house.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_removal_cancels_is_told_at_once() {
    const URL: &str = "https://hooks.example.com/one";
    let (house, device) = House::with_device().await;
    let request = NewWebhookRequest { url: URL.into(), ..Default::default() };
    house.core.create_webhook(&house.session, request).await.unwrap();
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    house.outside.until_arrived(URL, 1).await;
    let message = house.send(device, TO, "hello").await;
    let (engine, account, id) = (house.engine.clone(), house.account, message.id);
    let patience = Duration::from_secs(30);
    let waiting = tokio::spawn(async move { engine.wait(account, device, id, patience).await });
    let mut live = house.engine.watch_account(house.account);
    let before = house.clock.now();
    house.core.delete_device(&house.session, device).await.unwrap();
    let told = house.outside.until_arrived(URL, 3).await;
    assert_eq!(told[1..], ["device.logged_out", "message.cancelled hello"]);
    assert_eq!(live.next().await.unwrap().kind, EventKind::DeviceLoggedOut);
    assert_eq!(live.next().await.unwrap().kind, EventKind::MessageCancelled);
    let waited = waiting.await.unwrap().unwrap().expect("it does not wait any more");
    assert_eq!(waited.state, MessageState::Cancelled);
    assert_eq!(house.clock.now(), before);
    assert_eq!(house.engine.stats().cancelled.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_cannot_be_erased_keeps_its_messages() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    let message = house.send(device, TO, "hello").await;
    house.store.fail(Outage::Writes);
    let answer = house.core.delete_device(&house.session, device).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    house.store.fail(Outage::None);
    house.until_status(device, DeviceStatus::LoggedOut).await;
    house.link(device, "62811").await;
    house.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_crashes_begins_anew() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_next([Answer::Panic]);
    let first = house.send(device, TO, "first").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = house.send(device, TO, "second").await;
    house.until_state(second.id, MessageState::Sent).await;
    assert_eq!(house.stored(first.id).await.state, MessageState::Sent);
    assert_eq!(house.texts(), ["first", "second"]);
    let stats = house.engine.stats();
    assert_eq!(stats.queued.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(stats.sending.load(std::sync::atomic::Ordering::Relaxed), 0);
    // A stop does not wait for one that has just crashed.
    house.messenger.answer_next([Answer::Panic]);
    house.send(device, TO, "third").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = house.clock.now();
    house.engine.shutdown().await;
    assert_eq!(house.clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn connecting_is_spread_after_a_start() {
    let house = House::new().await;
    for n in 0..60 {
        house.linked_device(&format!("6281{n:04}")).await;
    }
    house.messenger.connects(false);
    house.start().await;
    let connects = || house.messenger.calls().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connects(), 48);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(connects(), 60);
}

#[tokio::test(start_paused = true)]
async fn linking_that_a_crash_cut_short_is_told() {
    let mut house = House::new().await;
    house.start().await;
    let device = house.device().await;
    house.engine.pair(device, PairMethod::Qr).await.unwrap();
    house.restart().await;
    assert_eq!(house.stored_device(device).await.status, DeviceStatus::Pairing);
    house.start().await;
    house.until_status(device, DeviceStatus::Unpaired).await;
    house.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn changed_pacing_counts_at_once() {
    let (house, device) = House::with_device().await;
    let slow = domain::policy::pacing::Pacing::between(60, 60).unwrap();
    let patch = domain::device::DevicePatch { pacing: Some(Some(slow)), ..Default::default() };
    house.core.update_device(&house.session, device, patch).await.unwrap();
    house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    let before = house.clock.now();
    house.until_state(second.id, MessageState::Sent).await;
    assert!(house.clock.now().duration_since(before).as_secs() >= 60);
}

#[tokio::test(start_paused = true)]
async fn numbers_are_looked_up_once() {
    let (house, device) = House::with_device().await;
    let phone = PhoneNumber::from_digits("62899");
    house.messenger.on_whatsapp(&phone, false);
    for _ in 0..3 {
        assert!(!house.engine.is_on_whatsapp(device, &phone).await.unwrap());
    }
    let lookups =
        || house.messenger.calls().iter().filter(|call| matches!(call, Call::Lookup(..))).count();
    assert_eq!(lookups(), 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    house.engine.is_on_whatsapp(device, &phone).await.unwrap();
    assert_eq!(lookups(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_device_shows_as_connected_right_after_a_start() {
    let (mut house, device) = House::with_device().await;
    house.restart().await;
    assert_eq!(house.stored_device(device).await.status, DeviceStatus::Connected, "stale");
    house.messenger.connects(false);
    let mut live = house.engine.watch_account(house.account);
    house.start().await;
    let shown = house.stored_device(device).await;
    assert_eq!(shown.status, DeviceStatus::Connecting);
    assert_eq!(shown.reason.as_deref(), Some("the gateway was restarted"));
    let told = live.next().await.unwrap();
    assert_eq!(told.kind, EventKind::DeviceDisconnected);
    let Subject::Device(status) = told.subject else { panic!("it is of the device") };
    assert_eq!((status.code, status.should_reconnect), (Some(428), true));
    let asked = Call::Connect(device);
    house.messenger.until(|messenger| messenger.calls().contains(&asked)).await;
    house.messenger.go_online(device);
    house.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(live.next().await.unwrap().kind, EventKind::DeviceConnected);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_somebody_else_took_over_does_not_come_back() {
    let (house, device) = House::with_device().await;
    let mut live = house.engine.watch_account(house.account);
    house.messenger.go_offline(device, DisconnectReason::Replaced);
    let Subject::Device(status) = live.next().await.unwrap().subject else {
        panic!("it is of the device")
    };
    assert_eq!((status.code, status.should_reconnect), (Some(440), false));
    house.engine.logout(device).await.unwrap();
    let Subject::Device(status) = live.next().await.unwrap().subject else {
        panic!("it is of the device")
    };
    assert_eq!((status.code, status.should_reconnect), (Some(401), false));
}

#[tokio::test(start_paused = true)]
async fn groups_are_told_by_name_while_the_device_is_connected() {
    let (house, device) = House::with_device().await;
    let group = |id: &str, name: &str| Group { id: format!("{id}@g.us"), name: name.into() };
    house.messenger.set_groups(vec![group("1", "Zoo"), group("2", "Aunts")]);
    let groups = house.engine.groups(device).await.unwrap();
    assert_eq!(groups, [group("2", "Aunts"), group("1", "Zoo")]);
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let answer = house.engine.groups(device).await;
    assert!(matches!(answer, Err(Error::DeviceNotConnected(_))), "{answer:?}");
}
