//! What happens to devices: pairing, connecting, unpairing.

use std::time::Duration;

use domain::chat::GroupId;
use domain::client::{ClientSettings, Route};
use domain::device::{
    DeviceNotice, DeviceStatus, DisconnectReason, Group, PairMethod, PairOffer, StatusChange,
};
use domain::error::Error;
use domain::message::MessageState;
use domain::phone::PhoneNumber;
use domain::ports::{Clock, DeviceStore, Dispatcher, MessengerEvent};
use domain::proxy::Proxy;
use domain::service::{DeviceChange, NewWebhookRequest};
use domain::webhook::{EventKind, Subject};
use futures_util::StreamExt;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::{Answer, Call, ScriptedMessenger};

use crate::test_gateway::{TestGateway, linked};

const TO: &str = "628123456789";

fn qr(code: &str, expires_in_s: u64) -> PairOffer {
    PairOffer::Qr { code: code.into(), expires_in_s }
}

fn offer_text(offer: &PairOffer) -> (&str, u64) {
    match offer {
        PairOffer::Qr { code, expires_in_s } | PairOffer::Code { code, expires_in_s } => {
            (code, *expires_in_s)
        }
        PairOffer::Passkey { request, expires_in_s, .. } => (request, *expires_in_s),
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_is_linked_step_by_step() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    let mut notices = gateway.engine.watch(device);
    let offer = gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    assert_eq!(offer_text(&offer), ("2@scripted", 20));
    assert_eq!(gateway.stored_device(device).await.status, DeviceStatus::Pairing);
    gateway.messenger.phone_links(device, linked("62811"));
    let connected = gateway.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(connected.phone, Some(PhoneNumber::from_digits("62811")));
    let mut events = Vec::new();
    while events.last() != Some(&"connected") {
        events.push(match notices.next().await.unwrap() {
            DeviceNotice::Offer(_) => "offer",
            DeviceNotice::Status(StatusChange { status, .. }) => status.as_str(),
        });
    }
    assert_eq!(events, ["pairing", "offer", "connecting", "connecting", "connected"]);
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn asking_again_shows_the_running_offer() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    assert_eq!(offer_text(&again), ("2@scripted", 12));
    // When it has run out, the next one is waited for.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (engine, messenger) = (gateway.engine.clone(), gateway.messenger.clone());
    let next = tokio::spawn(async move { engine.pair(device, PairMethod::Qr).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    messenger.emit(device, MessengerEvent::Offer(qr("2@next", 20)));
    assert_eq!(offer_text(&next.await.unwrap().unwrap()), ("2@next", 20));
    let pairs = gateway.messenger.calls().into_iter().filter(|call| matches!(call, Call::Pair(..)));
    assert_eq!(pairs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_method_starts_anew() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    let method = PairMethod::Code(PhoneNumber::from_digits("62811"));
    let offer = gateway.engine.pair(device, method).await.unwrap();
    assert_eq!(offer_text(&offer), ("ABCD1234", 160));
    gateway.messenger.phone_links(device, linked("62811"));
    gateway.until_status(device, DeviceStatus::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn linking_that_fails_says_why() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    gateway
        .messenger
        .emit(device, MessengerEvent::PairingFailed("the code was not scanned".into()));
    let failed = gateway.until_status(device, DeviceStatus::Unpaired).await;
    assert_eq!(failed.reason.as_deref(), Some("the code was not scanned"));
    // And can be tried again.
    gateway.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_not_waited_for_for_ever() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    // An offer of the other kind is none.
    gateway.messenger.offers(PairOffer::Code { code: "X".into(), expires_in_s: 60 });
    let before = gateway.clock.now();
    let answer = gateway.engine.pair(device, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::Whatsapp(_))), "{answer:?}");
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 30);
    gateway.until_status(device, DeviceStatus::Unpaired).await;
}

#[tokio::test(start_paused = true)]
async fn linking_does_not_begin_without_the_store() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    gateway.store.fail(Outage::Writes);
    let answer = gateway.engine.pair(device, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    assert!(gateway.messenger.calls().is_empty());
    gateway.store.fail(Outage::None);
    gateway.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_does_not_exist_cannot_be_linked() {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let unknown = domain::ids::DeviceId(uuid::Uuid::nil());
    let answer = gateway.engine.pair(unknown, PairMethod::Qr).await;
    assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
    let answer = gateway.engine.remove(gateway.account, unknown).await;
    assert!(matches!(answer, Err(Error::NotFound(_))), "{answer:?}");
    gateway.engine.reload(unknown).await;
}

#[tokio::test(start_paused = true)]
async fn lost_connections_are_stored_with_their_reason() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::RateLimited);
    let lost = gateway.until_status(device, DeviceStatus::Disconnected).await;
    assert_eq!(lost.reason, Some(DisconnectReason::RateLimited.describe()));
    gateway.messenger.go_online(device);
    assert_eq!(gateway.until_status(device, DeviceStatus::Connected).await.reason, None);
    gateway.messenger.go_offline(device, DisconnectReason::RestartRequired);
    gateway.until_status(device, DeviceStatus::Connecting).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_logout_messages_wait_for_the_same_number() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let message = gateway.send(device, TO, "hello").await;
    gateway.messenger.phone_unlinks(device);
    let out = gateway.until_status(device, DeviceStatus::LoggedOut).await;
    assert_eq!(out.reason.as_deref(), Some("unlinked by the phone"));
    gateway.link(device, "62811").await;
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn another_number_withdraws_waiting_messages() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let message = gateway.send(device, TO, "hello").await;
    gateway.engine.logout(device).await.unwrap();
    assert_eq!(gateway.stored_device(device).await.status, DeviceStatus::LoggedOut);
    gateway.link(device, "62822").await;
    gateway.until_state(message.id, MessageState::Cancelled).await;
    let next = gateway.send(device, TO, "from the new number").await;
    gateway.until_state(next.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["from the new number"]);
}

#[tokio::test(start_paused = true)]
async fn unlinking_is_bounded() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.logout_takes(Duration::from_secs(3_000));
    let answer = gateway.engine.logout(device).await;
    assert!(matches!(answer, Err(Error::Whatsapp(_))), "{answer:?}");
    // A device that is removed goes all the same.
    gateway.engine.remove(gateway.account, device).await.unwrap();
    assert!(gateway.store.device(gateway.account, device).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_removed_device_sends_nothing_more() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.core.delete_device(&gateway.principal, device).await.unwrap();
    assert!(gateway.messenger.calls().contains(&Call::Logout(device)));
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Cancelled);
    gateway.messenger.go_online(device);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(gateway.texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_deletion_cancels_is_emitted_at_once() {
    const URL: &str = "https://hooks.example.com/one";
    let (gateway, device) = TestGateway::with_device().await;
    let request = NewWebhookRequest { url: URL.into(), ..Default::default() };
    gateway.core.create_webhook(&gateway.principal, request).await.unwrap();
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    gateway.outside.until_arrived(URL, 1).await;
    let message = gateway.send(device, TO, "hello").await;
    let (engine, account, id) = (gateway.engine.clone(), gateway.account, message.id);
    let patience = Duration::from_secs(30);
    let waiting = tokio::spawn(async move { engine.wait(account, device, id, patience).await });
    let mut live = gateway.engine.watch_account(gateway.account);
    let before = gateway.clock.now();
    gateway.core.delete_device(&gateway.principal, device).await.unwrap();
    let events = gateway.outside.until_arrived(URL, 3).await;
    assert_eq!(events[1..], ["device.logged_out", "message.cancelled hello"]);
    assert_eq!(live.next().await.unwrap().kind, EventKind::DeviceLoggedOut);
    assert_eq!(live.next().await.unwrap().kind, EventKind::MessageCancelled);
    let waited = waiting.await.unwrap().unwrap().expect("it does not wait any more");
    assert_eq!(waited.state, MessageState::Cancelled);
    assert_eq!(gateway.clock.now(), before);
    assert_eq!(gateway.engine.stats().cancelled.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_cannot_be_erased_keeps_its_messages() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.store.fail(Outage::Writes);
    let answer = gateway.core.delete_device(&gateway.principal, device).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    gateway.store.fail(Outage::None);
    gateway.until_status(device, DeviceStatus::LoggedOut).await;
    gateway.link(device, "62811").await;
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_crashes_starts_again() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_next([Answer::Panic]);
    let first = gateway.send(device, TO, "first").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = gateway.send(device, TO, "second").await;
    let others = ["all_devices", "outbox"];
    let before = others.map(|call| gateway.store.calls(call));
    gateway.until_state(second.id, MessageState::Sent).await;
    assert_eq!(gateway.stored(first.id).await.state, MessageState::Sent);
    assert_eq!(gateway.texts(), ["first", "second"]);
    let read = ["device_by_id", "outbox_of"].map(|call| gateway.store.calls(call));
    assert_eq!(read, [1, 1], "restarting one task reads one device and its outbox");
    assert_eq!(others.map(|call| gateway.store.calls(call)), before, "and no others");
    let stats = gateway.engine.stats();
    assert_eq!(stats.queued.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(stats.sending.load(std::sync::atomic::Ordering::Relaxed), 0);
    // A stop does not wait for one that has just crashed.
    gateway.messenger.answer_next([Answer::Panic]);
    gateway.send(device, TO, "third").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = gateway.clock.now();
    gateway.engine.shutdown().await;
    assert_eq!(gateway.clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn connecting_is_spread_after_a_start() {
    let gateway = TestGateway::new().await;
    for n in 0..60 {
        gateway.linked_device(&format!("6281{n:04}")).await;
    }
    gateway.messenger.connects(false);
    gateway.start().await;
    let connects = || gateway.messenger.calls().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connects(), 48);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(connects(), 60);
}

#[tokio::test(start_paused = true)]
async fn changed_pacing_counts_at_once() {
    let (gateway, device) = TestGateway::with_device().await;
    let slow = domain::policy::pacing::Pacing::between(60, 60).unwrap();
    let change = DeviceChange { pacing: Some(Some(slow)), ..DeviceChange::default() };
    gateway.core.update_device(&gateway.principal, device, change).await.unwrap();
    gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    let before = gateway.clock.now();
    gateway.until_state(second.id, MessageState::Sent).await;
    assert!(gateway.clock.now().duration_since(before).as_secs() >= 60);
}

#[tokio::test(start_paused = true)]
async fn no_device_shows_as_connected_right_after_a_start() {
    let (mut gateway, device) = TestGateway::with_device().await;
    gateway.restart().await;
    assert_eq!(gateway.stored_device(device).await.status, DeviceStatus::Connected, "stale");
    gateway.messenger.connects(false);
    let mut live = gateway.engine.watch_account(gateway.account);
    gateway.start().await;
    let shown = gateway.stored_device(device).await;
    assert_eq!(shown.status, DeviceStatus::Connecting);
    assert_eq!(shown.reason.as_deref(), Some("the gateway was restarted"));
    let event = live.next().await.unwrap();
    assert_eq!(event.kind, EventKind::DeviceDisconnected);
    let Subject::Device(status) = event.subject else { panic!("it is of the device") };
    assert_eq!((status.code, status.should_reconnect), (Some(428), true));
    let asked = Call::Connect(device);
    gateway.messenger.until(|messenger| messenger.calls().contains(&asked)).await;
    gateway.messenger.go_online(device);
    gateway.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(live.next().await.unwrap().kind, EventKind::DeviceConnected);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_somebody_else_took_over_does_not_come_back() {
    let (gateway, device) = TestGateway::with_device().await;
    let mut live = gateway.engine.watch_account(gateway.account);
    gateway.messenger.go_offline(device, DisconnectReason::Replaced);
    let Subject::Device(status) = live.next().await.unwrap().subject else {
        panic!("it is of the device")
    };
    assert_eq!((status.code, status.should_reconnect), (Some(440), false));
    gateway.engine.logout(device).await.unwrap();
    let Subject::Device(status) = live.next().await.unwrap().subject else {
        panic!("it is of the device")
    };
    assert_eq!((status.code, status.should_reconnect), (Some(401), false));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_has_stopped_connects_on_request() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.engine.connect(device).await.unwrap();
    gateway.messenger.go_offline(device, DisconnectReason::Replaced);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let before = gateway.messenger.calls().len();
    gateway.engine.connect(device).await.unwrap();
    gateway.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(gateway.messenger.calls()[before..], [Call::ConnectNow(device)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_connect_that_comes_right_after_a_start_counts() {
    let (mut gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::LoginRefused(415));
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    gateway.restart().await;
    gateway.messenger.connects(false);
    gateway.start().await;
    // The device's task may not have read the device yet.
    gateway.engine.connect(device).await.unwrap();
    let asked = Call::ConnectNow(device);
    gateway.messenger.until(|messenger| messenger.calls().contains(&asked)).await;
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_noted_while_something_comes_in() {
    let (gateway, device) = TestGateway::with_device().await;
    let now = gateway.clock.now();
    gateway.messenger.set_alive_at(now);
    assert_eq!(gateway.engine.alive_at(device), Some(now));
    let beats = gateway
        .until(async || {
            let beats = gateway.store.heartbeats(gateway.account, device, now).await.unwrap();
            (!beats.is_empty()).then_some(beats)
        })
        .await;
    assert_eq!(beats.iter().map(|hour| hour.minutes.count_ones()).sum::<u32>(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_ban_says_until_when() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::TemporarilyBanned(Some(90)));
    let shown = gateway.until_status(device, DeviceStatus::Disconnected).await;
    let reason = shown.reason.unwrap();
    assert!(reason.contains("(402), until "), "{reason}");
    let answer = gateway.engine.connect(device).await;
    assert!(matches!(answer, Err(Error::Conflict(_))), "{answer:?}");
    assert_eq!(gateway.stored_device(device).await.reason, Some(reason), "the ban is still shown");
}

#[tokio::test(start_paused = true)]
async fn no_login_is_tried_before_a_ban_is_over() {
    let (mut gateway, device) = TestGateway::with_device().await;
    let connects = |messenger: &ScriptedMessenger| {
        messenger.calls().into_iter().filter(|call| *call == Call::Connect(device)).count()
    };
    gateway.messenger.go_offline(device, DisconnectReason::TemporarilyBanned(Some(90)));
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let end = gateway.stored_device(device).await.banned_until.unwrap();
    gateway.restart().await;
    gateway.start().await;
    let answer = gateway.engine.connect(device).await;
    assert!(matches!(answer, Err(Error::Conflict(_))), "{answer:?}");
    let shown = gateway.stored_device(device).await;
    assert_eq!((shown.status, shown.banned_until), (DeviceStatus::Disconnected, Some(end)));
    assert!(shown.reason.unwrap().contains("(402), until "));
    // Other settings are no reason to try.
    let proxy = Some(Some("socks5://proxy.example:1080".to_owned()));
    let change = DeviceChange { proxy, ..DeviceChange::default() };
    gateway.core.update_device(&gateway.principal, device, change).await.unwrap();
    assert_eq!(connects(&gateway.messenger), 0);
    gateway.until_status(device, DeviceStatus::Connected).await;
    assert!(gateway.clock.now() > end, "after the ban");
    assert_eq!(connects(&gateway.messenger), 1);
    assert_eq!(gateway.stored_device(device).await.banned_until, None);
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_by_name_while_the_device_is_connected() {
    let (gateway, device) = TestGateway::with_device().await;
    let group = |id: &str, name: &str| Group { id: GroupId::from_user(id), name: name.into() };
    gateway.messenger.set_groups(vec![group("1", "Zoo"), group("2", "Aunts")]);
    let groups = gateway.engine.groups(device).await.unwrap();
    assert_eq!(groups, [group("2", "Aunts"), group("1", "Zoo")]);
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    let answer = gateway.engine.groups(device).await;
    assert!(matches!(answer, Err(Error::DeviceNotConnected(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_changed_proxy_connects_anew() {
    let (gateway, device) = TestGateway::with_device().await;
    assert_eq!(gateway.messenger.settings(device), Some(ClientSettings::default()));
    let calls = gateway.messenger.calls().len();
    let set = async |proxy: Option<&str>| {
        let proxy = Some(proxy.map(str::to_owned));
        let change = DeviceChange { proxy, ..DeviceChange::default() };
        gateway.core.update_device(&gateway.principal, device, change).await
    };
    set(Some("socks5://u:secret@proxy.example:1080")).await.unwrap();
    let connected = [Call::Disconnect(device), Call::ConnectNow(device)];
    gateway.messenger.until(|m| m.calls().get(calls..) == Some(&connected[..])).await;
    gateway.until_status(device, DeviceStatus::Connected).await;
    let proxy = Proxy::parse("socks5://u:secret@proxy.example:1080").unwrap();
    let route = gateway.messenger.settings(device).map(|settings| settings.route);
    assert_eq!(route, Some(Route::Proxy(proxy)));
    let stored = gateway.stored_device(device).await;
    assert!(!format!("{stored:?}").contains("secret"));
    let shown = gateway.core.shown_proxy(&stored);
    assert_eq!(shown.as_deref(), Some("socks5://***@proxy.example:1080"));

    let message = gateway.send(device, TO, "through it").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    let refused = set(Some("http://10.0.0.1:3128")).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "proxy", .. })), "{refused:?}");
    set(None).await.unwrap();
    gateway.messenger.until(|m| m.calls().len() >= calls + 4).await;
    assert_eq!(gateway.messenger.settings(device), Some(ClientSettings::default()));
}
