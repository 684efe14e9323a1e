//! Webhooks: in which order events are posted, and what becomes of faulty receivers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use domain::content::Content;
use domain::context::Context;
use domain::device::DisconnectReason;
use domain::ids::{DeliveryId, WebhookId};
use domain::message::{Address, IncomingMessage, MessageState, Receipt, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{
    Clock, Dispatcher, MessengerEvents, PageRequest, SecretCipher, WebhookAnswer, WebhookStore,
};
use domain::service::{NewWebhookRequest, WebhookChange};
use domain::webhook::{
    CreatedWebhook, Delivery, DeliveryState, EventKind, FormatName, NewWebhook, SealNewSecret,
    SecretRow, Subject,
};
use engine::webhooks::lanes::{KNOWN_MAX, Lanes, PASSED_MAX, POSTS_MAX, Step};
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use testkit::fake_outbound::{ReversingCipher, answer};
use testkit::flaky_store::Outage;

use crate::outside::in_short;
use crate::rig::{START, at_s};
use crate::test_gateway::TestGateway;

const TO: &str = "628123456789";
const URL: &str = "https://hooks.example.com/one";

async fn webhook(gateway: &TestGateway, url: &str) -> WebhookId {
    let request = NewWebhookRequest { url: url.into(), ..Default::default() };
    gateway.core.create_webhook(&gateway.principal, request).await.unwrap().0.id
}

/// A webhook in a format that the core would refuse, or that is not `gerbang`.
async fn of_format(gateway: &TestGateway, url: &str, format: &str) -> WebhookId {
    let new = NewWebhook {
        account_id: gateway.account,
        device_id: None,
        url: url.into(),
        format: FormatName(format.into()),
        events: vec![EventKind::MessageSent, EventKind::MessageReceived],
    };
    let account = gateway.account;
    let seal: SealNewSecret = Arc::new(move |webhook, others| {
        assert!(others.is_empty());
        let row = SecretRow::Webhook { account, webhook };
        Some(ReversingCipher.seal(row, "secret"))
    });
    let made = gateway.store.create_webhook(new, seal, gateway.clock.now()).await.unwrap();
    let CreatedWebhook::Created(made) = made else { panic!("{made:?}") };
    made.id
}

async fn deliveries(gateway: &TestGateway, id: WebhookId, state: DeliveryState) -> Vec<Delivery> {
    let page = PageRequest { before: None, limit: 1_000 };
    gateway.store.deliveries(gateway.account, id, Some(state), page).await.unwrap().items
}

async fn until_none_waits(gateway: &TestGateway, id: WebhookId) {
    gateway
        .until(async || {
            deliveries(gateway, id, DeliveryState::Pending).await.is_empty().then_some(())
        })
        .await;
}

fn incoming(gateway: &TestGateway, from: &str, text: &str) -> IncomingMessage {
    IncomingMessage {
        whatsapp_id: domain::ids::WhatsappId(format!("WA-{from}-{text}")),
        chat: format!("{from}@s.whatsapp.net").into(),
        sender: Address { phone: Some(PhoneNumber::from_digits(from)), lid: None },
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: Content::Text(text.into()),
        at: gateway.clock.now(),
    }
}

fn no_answer() -> WebhookAnswer {
    WebhookAnswer { status: None, error: Some("connection refused".into()), ..answer(0) }
}

// ---- the whole engine ---------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn events_wait_while_the_format_of_their_webhook_is_unknown() {
    let (gateway, device) = TestGateway::with_device().await;
    let unknown = of_format(&gateway, "https://hooks.example.com/later", "telex").await;
    gateway.engine.webhooks_changed(gateway.account);
    let known = webhook(&gateway, URL).await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    gateway.outside.until_arrived(URL, 1).await;
    until_none_waits(&gateway, known).await;
    gateway.engine.shutdown().await;
    assert_eq!(deliveries(&gateway, unknown, DeliveryState::Pending).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_gets_everything_in_order() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    let mut live = gateway.engine.watch_account(gateway.account);
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    let now = gateway.clock.now();
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    gateway.until_state(message.id, MessageState::Read).await;
    let events = gateway.outside.until_arrived(URL, 3).await;
    let expected = ["message.sent hello", "message.delivered hello", "message.read hello"];
    assert_eq!(events, expected);
    gateway.engine.received(device, vec![incoming(&gateway, TO, "hi")]).await.unwrap();
    gateway.messenger.go_offline(device, DisconnectReason::ServerFault(503));
    gateway.outside.until_arrived(URL, 5).await;
    until_none_waits(&gateway, id).await;
    let events = gateway.outside.arrived(URL);
    assert_eq!(in_short(&events[3]), "message.received hi");
    let Subject::Device(status) = &events[4].subject else { panic!("it is of the device") };
    assert_eq!((status.code, status.should_reconnect), (Some(503), true));
    for event in events {
        assert_eq!(live.next().await.unwrap(), event, "live listeners hear the same");
    }
    assert_eq!(gateway.engine.stats().webhooks_delivered.load(Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn an_erased_webhook_gets_nothing_that_waited_for_a_permit() {
    let (gateway, device) = TestGateway::with_device().await;
    let url = |n: usize| format!("https://hooks.example.com/{n}");
    let slow = 16 / POSTS_MAX;
    for n in 0..slow {
        webhook(&gateway, &url(n)).await;
        gateway.outside.receive(&url(n), |_, _| (Duration::from_secs(15), answer(200)));
    }
    for n in 0..POSTS_MAX {
        let message = incoming(&gateway, &format!("62812345{n:04}"), "hi");
        gateway.engine.received(device, vec![message]).await.unwrap();
    }
    for n in 0..slow {
        gateway.outside.until_arrived(&url(n), POSTS_MAX).await;
    }
    let late = webhook(&gateway, URL).await;
    gateway.engine.received(device, vec![incoming(&gateway, TO, "late")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.core.delete_webhook(&gateway.principal, late).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(gateway.outside.arrived_in_short(URL).is_empty());
    assert_eq!(gateway.outside.arrived_in_short(&url(0)).len(), POSTS_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_crashes_starts_again() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway.outside.crash_over_next_post();
    gateway.engine.received(device, vec![incoming(&gateway, TO, "hi")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    gateway.engine.received(device, vec![incoming(&gateway, TO, "again")]).await.unwrap();
    let events = gateway.outside.until_arrived(URL, 2).await;
    assert_eq!(events, ["message.received hi", "message.received again"]);
    until_none_waits(&gateway, id).await;
    assert_eq!(gateway.engine.stats().webhooks_waiting.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failing_receiver_is_tried_for_a_day_then_no_more() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway.outside.receive(URL, |_, _| (Duration::ZERO, no_answer()));
    let before = gateway.clock.now();
    gateway.engine.received(device, vec![incoming(&gateway, TO, "hi")]).await.unwrap();
    gateway.outside.until_arrived(URL, 10).await;
    until_none_waits(&gateway, id).await;
    let took = gateway.clock.now().duration_since(before).as_hours();
    assert!((19..=29).contains(&took), "{took} hours");
    let dead = deliveries(&gateway, id, DeliveryState::Dead).await.remove(0);
    assert_eq!((dead.attempts, dead.last_error.as_deref()), (10, Some("connection refused")));
    assert_eq!(gateway.engine.stats().webhooks_dead.load(Relaxed), 1);
    // Replayed under its old id, it goes the same way.
    gateway.outside.receive(URL, |_, _| (Duration::ZERO, answer(200)));
    gateway.core.replay_delivery(&gateway.principal, id, dead.id).await.unwrap();
    until_none_waits(&gateway, id).await;
    let delivered = deliveries(&gateway, id, DeliveryState::Delivered).await.remove(0);
    assert_eq!((delivered.id, delivered.attempts), (dead.id, 1));
    // Both are forgotten when their time has come.
    tokio::time::advance(Duration::from_secs(7 * 86_400 + 3_600)).await;
    gateway
        .until(async || {
            deliveries(&gateway, id, DeliveryState::Delivered).await.is_empty().then_some(())
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn gone_switches_the_webhook_off_and_its_owner_may_switch_it_on_again() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway.outside.receive(URL, |_, _| (Duration::from_secs(1), answer(410)));
    let batch = ["one", "two"].map(|text| incoming(&gateway, TO, text));
    gateway.engine.received(device, batch.to_vec()).await.unwrap();
    let disabled = gateway
        .until(async || {
            let webhook = gateway.store.webhook(gateway.account, id).await.unwrap().unwrap();
            webhook.disabled
        })
        .await;
    assert!(disabled.contains("410"), "{disabled}");
    assert_eq!(deliveries(&gateway, id, DeliveryState::Dead).await.len(), 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(gateway.outside.arrived_in_short(URL), ["message.received one"]);
    gateway.outside.receive(URL, |_, _| (Duration::ZERO, answer(200)));
    let change = WebhookChange { is_enabled: Some(true), ..Default::default() };
    gateway.core.update_webhook(&gateway.principal, id, change).await.unwrap();
    until_none_waits(&gateway, id).await;
    assert_eq!(
        gateway.outside.arrived_in_short(URL),
        ["message.received one", "message.received two"]
    );
}

#[tokio::test(start_paused = true)]
async fn changed_and_erased_webhooks_are_heeded() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    const OTHER: &str = "https://hooks.example.com/other";
    let change = WebhookChange { url: Some(OTHER.into()), ..Default::default() };
    gateway.core.update_webhook(&gateway.principal, id, change).await.unwrap();
    gateway.engine.received(device, vec![incoming(&gateway, TO, "hi")]).await.unwrap();
    gateway.outside.until_arrived(OTHER, 1).await;
    until_none_waits(&gateway, id).await;
    gateway.core.delete_webhook(&gateway.principal, id).await.unwrap();
    gateway.engine.received(device, vec![incoming(&gateway, TO, "again")]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(gateway.outside.arrived_in_short(OTHER), ["message.received hi"]);
    assert!(gateway.outside.arrived_in_short(URL).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_receiver_delays_nobody_else() {
    let (gateway, device) = TestGateway::with_device().await;
    webhook(&gateway, URL).await;
    const QUICK: &str = "https://hooks.example.com/quick";
    webhook(&gateway, QUICK).await;
    gateway.outside.receive(URL, |_, _| (Duration::from_secs(15), no_answer()));
    let before = gateway.clock.now();
    for n in 0..40 {
        let from = format!("62812{n:08}");
        gateway.engine.received(device, vec![incoming(&gateway, &from, "hi")]).await.unwrap();
    }
    gateway.outside.until_arrived(QUICK, 40).await;
    assert_eq!(gateway.clock.now(), before);
    assert_eq!(gateway.outside.arrived(URL).len(), POSTS_MAX, "no more than its share");
}

#[tokio::test(start_paused = true)]
async fn later_events_of_a_chat_pass_one_that_keeps_failing() {
    let (gateway, device) = TestGateway::with_device().await;
    webhook(&gateway, URL).await;
    gateway.outside.receive(URL, |event, _| {
        let fails = in_short(event) == "message.received poison";
        (Duration::ZERO, answer(if fails { 500 } else { 200 }))
    });
    for (from, text) in [(TO, "poison"), (TO, "after"), ("628999999999", "other chat")] {
        gateway.engine.received(device, vec![incoming(&gateway, from, text)]).await.unwrap();
    }
    let events = gateway.outside.until_arrived(URL, 6).await;
    let poison = "message.received poison";
    assert_eq!(events[..2], [poison, "message.received other chat"]);
    assert_eq!(events[2..], [poison, poison, poison, "message.received after"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let (mut gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway
        .outside
        .receive(URL, |_, nth| (Duration::ZERO, if nth == 1 { no_answer() } else { answer(200) }));
    let batch = ["one", "two"].map(|text| incoming(&gateway, TO, text));
    gateway.engine.received(device, batch.to_vec()).await.unwrap();
    gateway.outside.until_arrived(URL, 1).await;
    gateway.restart().await;
    let tries = deliveries(&gateway, id, DeliveryState::Pending).await;
    assert_eq!(tries.iter().map(|d| d.attempts).collect::<Vec<_>>(), [0, 1]);
    gateway.start().await;
    until_none_waits(&gateway, id).await;
    let events = gateway.outside.arrived_in_short(URL);
    let received: Vec<_> = events.iter().filter(|event| event.starts_with("message")).collect();
    let (one, two) = ("message.received one", "message.received two");
    assert_eq!(received, [one, one, two, two]);
    // The lost connection of the restart arrives as one.
    let devices: Vec<_> = events.iter().filter(|event| event.starts_with("device")).collect();
    assert_eq!(devices[0], "device.disconnected");
    assert_eq!(devices.last().unwrap().as_str(), "device.connected");
}

#[tokio::test(start_paused = true)]
async fn outcomes_wait_for_the_store_and_events_repeat_rather_than_get_lost() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway.outside.receive(URL, |_, _| (Duration::from_secs(1), answer(200)));
    let batch = ["one", "two"].map(|text| incoming(&gateway, TO, text));
    gateway.engine.received(device, batch.to_vec()).await.unwrap();
    gateway.outside.until_arrived(URL, 1).await;
    gateway.store.fail(Outage::All);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        gateway.outside.arrived_in_short(URL),
        ["message.received one"],
        "its outcome is not durable"
    );
    gateway.store.fail(Outage::None);
    until_none_waits(&gateway, id).await;
    assert_eq!(
        gateway.outside.arrived_in_short(URL),
        ["message.received one", "message.received two"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_shape_ends_without_a_post() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = of_format(&gateway, URL, "shapeless").await;
    gateway.engine.webhooks_changed(gateway.account);
    gateway.engine.received(device, vec![incoming(&gateway, TO, "hi")]).await.unwrap();
    until_none_waits(&gateway, id).await;
    let delivered = deliveries(&gateway, id, DeliveryState::Delivered).await.remove(0);
    assert_eq!((delivered.attempts, delivered.last_status), (1, None));
    assert!(gateway.outside.arrived_in_short(URL).is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_more_events_than_are_kept_in_memory_arrive_in_order() {
    let (gateway, device) = TestGateway::with_device().await;
    let id = webhook(&gateway, URL).await;
    gateway.store.fail(Outage::None);
    let batch: Vec<_> = (0..600).map(|n| incoming(&gateway, TO, &n.to_string())).collect();
    gateway.engine.received(device, batch).await.unwrap();
    until_none_waits(&gateway, id).await;
    let expected: Vec<_> = (0..600).map(|n| format!("message.received {n}")).collect();
    assert_eq!(gateway.outside.arrived_in_short(URL), expected);
}

// ---- the lanes ----------------------------------------------------------------------------------

struct Row {
    lanes: Lanes,
    now: Timestamp,
}

impl Row {
    /// Deliveries 1, 2, 3… in these lanes, due at the start.
    fn of(lanes: &[&str]) -> Self {
        let mut row = Self { lanes: Lanes::default(), now: START };
        for (id, lane) in (1..).zip(lanes) {
            row.lanes.add(DeliveryId(id), lane, 0, START);
        }
        row
    }

    fn posts(&mut self) -> Vec<i64> {
        self.lanes.step(self.now).posts.into_iter().map(|id| id.0).collect()
    }

    /// The receiver answers, and that is written down: the new state.
    fn answer(&mut self, id: i64, status: u16) -> DeliveryState {
        let id = DeliveryId(id);
        let outcome = self.lanes.answered(id, Some(answer(status)), self.now, 0).unwrap();
        self.lanes.written(id);
        outcome.delivery.state
    }

    fn advance_to_wake(&mut self) {
        let wake = self.lanes.step(self.now).next_wake.expect("something waits");
        self.now = self.now.max(wake);
    }
}

#[test]
fn lanes_go_side_by_side_and_each_in_order() {
    let mut row = Row::of(&["a", "a", "b", "c", "d", "e"]);
    assert_eq!(row.posts(), [1, 3, 4, 5], "four at a time");
    assert!(row.posts().is_empty());
    let outcome = row.lanes.answered(DeliveryId(1), Some(answer(200)), row.now, 0).unwrap();
    assert_eq!(outcome.delivery.state, DeliveryState::Delivered);
    assert_eq!(row.posts(), [6], "2 waits until the outcome of 1 is written down");
    row.lanes.written(DeliveryId(1));
    row.answer(3, 200);
    assert_eq!(row.posts(), [2]);
    assert_eq!(row.lanes.len(), 4);
}

#[test]
fn an_older_one_that_comes_late_goes_first() {
    let mut row = Row { lanes: Lanes::default(), now: START };
    for id in [5, 7, 3] {
        assert!(row.lanes.add(DeliveryId(id), "a", 0, START));
    }
    assert!(!row.lanes.add(DeliveryId(7), "a", 0, START), "it is known");
    assert_eq!(row.posts(), [3]);
    row.lanes.add(DeliveryId(1), "a", 0, START);
    row.answer(3, 200);
    assert_eq!(row.posts(), [1]);
}

#[test]
fn four_tries_hold_the_lane_then_it_is_passed() {
    let mut row = Row::of(&["a", "a", "a"]);
    for tries in 1..=4 {
        assert_eq!(row.posts(), [1], "try {tries}");
        assert_eq!(row.answer(1, 500), DeliveryState::Pending);
        if tries < 4 {
            assert!(row.posts().is_empty());
            row.advance_to_wake();
        }
    }
    assert_eq!(row.posts(), [2]);
    row.answer(2, 200);
    assert_eq!(row.posts(), [3]);
    row.answer(3, 200);
    row.advance_to_wake();
    assert_eq!(row.posts(), [1], "it is tried on its own");
    assert_eq!(row.answer(1, 200), DeliveryState::Delivered);
    assert!(row.lanes.is_empty());
    assert_eq!(row.lanes.step(row.now), Step::default());
}

#[test]
fn what_failed_before_a_restart_keeps_its_place() {
    let mut row = Row { lanes: Lanes::default(), now: START };
    row.lanes.add(DeliveryId(1), "a", 4, at_s(600));
    row.lanes.add(DeliveryId(2), "a", 2, at_s(60));
    row.lanes.add(DeliveryId(3), "a", 0, START);
    assert!(row.posts().is_empty(), "3 waits for 2");
    row.advance_to_wake();
    assert_eq!(row.now, at_s(60));
    assert_eq!(row.posts(), [2]);
    row.answer(2, 204);
    assert_eq!(row.posts(), [3]);
}

#[test]
fn refusals_die_early_and_our_own_faults_do_not_count() {
    let mut row = Row::of(&["a"]);
    for expected in [DeliveryState::Pending, DeliveryState::Pending, DeliveryState::Dead] {
        assert_eq!(row.posts(), [1]);
        // The store could not be read: once more.
        let soon = row.now + SignedDuration::from_secs(1);
        row.lanes.put_off(DeliveryId(1), soon);
        row.now = soon;
        assert_eq!(row.posts(), [1]);
        assert_eq!(row.answer(1, 422), expected);
        if expected == DeliveryState::Pending {
            row.advance_to_wake();
        }
    }
    assert!(row.lanes.is_empty());
}

#[test]
fn gone_is_reported_and_what_has_vanished_is_forgotten() {
    let mut row = Row::of(&["a", "a", "b"]);
    assert_eq!(row.posts(), [1, 3]);
    let outcome = row.lanes.answered(DeliveryId(1), Some(answer(410)), row.now, 0).unwrap();
    assert!(outcome.is_gone);
    assert_eq!(outcome.delivery.state, DeliveryState::Dead);
    assert!(row.lanes.is_busy());
    row.lanes.written(DeliveryId(1));
    row.lanes.vanished(DeliveryId(3));
    assert_eq!(row.posts(), [2]);
}

#[test]
fn every_post_that_is_over_makes_room_for_one() {
    let mut row = Row::of(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!(row.posts(), [1, 2, 3, 4]);
    assert_eq!(row.lanes.step(row.now).next_wake, None, "not before one is over");
    row.lanes.put_off(DeliveryId(1), at_s(60));
    assert_eq!(row.posts(), [5]);
    row.lanes.vanished(DeliveryId(2));
    assert_eq!(row.posts(), [6]);
    assert_eq!(row.answer(3, 200), DeliveryState::Delivered);
    assert_eq!(row.posts(), [7]);
    // What is not posted makes none: that which waits, and that whose outcome is written down.
    row.lanes.vanished(DeliveryId(8));
    row.lanes.put_off(DeliveryId(1), START);
    assert!(row.lanes.answered(DeliveryId(1), Some(answer(200)), row.now, 0).is_none());
    row.lanes.written(DeliveryId(4));
    assert!(row.lanes.answered(DeliveryId(4), Some(answer(200)), row.now, 0).is_some());
    row.lanes.vanished(DeliveryId(4));
    for (id, lane) in [(9, "i"), (10, "j")] {
        row.lanes.add(DeliveryId(id), lane, 0, START);
    }
    assert_eq!(row.posts(), [9]);
}

#[test]
fn one_is_busy_with_it_until_its_outcome_is_written_down() {
    let mut row = Row::of(&["a"]);
    assert!(!row.lanes.is_busy());
    assert_eq!(row.posts(), [1]);
    assert!(row.lanes.is_busy());
    row.lanes.answered(DeliveryId(1), Some(answer(500)), row.now, 0).unwrap();
    assert!(row.lanes.is_busy());
    row.lanes.written(DeliveryId(1));
    assert!(!row.lanes.is_busy());
    assert_eq!((row.lanes.ids(), row.lanes.is_empty()), (vec![DeliveryId(1)], false));
    assert_eq!(row.lanes.room(), KNOWN_MAX - 1);
}

#[test]
fn one_that_has_passed_leaves_its_line_as_it_is() {
    let mut row = Row { lanes: Lanes::default(), now: START };
    for (id, tries) in [(1, 4), (2, 0), (3, 0)] {
        row.lanes.add(DeliveryId(id), "a", tries, START);
    }
    assert_eq!(row.posts(), [1, 2]);
    assert_eq!(row.answer(1, 500), DeliveryState::Pending);
    assert!(row.posts().is_empty(), "2 is still being posted");
    row.answer(2, 200);
    assert_eq!(row.posts(), [3]);
}

#[test]
fn so_many_pass_and_then_the_lanes_wait() {
    let most = i64::try_from(PASSED_MAX).unwrap();
    for (passed, posts) in [(most - 1, vec![90_002]), (most, vec![])] {
        let mut row = Row { lanes: Lanes::default(), now: START };
        for id in 1..=passed {
            row.lanes.add(DeliveryId(id), &id.to_string(), 4, at_s(600));
        }
        let add = |row: &mut Row, lane, first| {
            row.lanes.add(DeliveryId(first), lane, 4, at_s(600));
            row.lanes.add(DeliveryId(first + 1), lane, 0, START);
        };
        add(&mut row, "a", 90_001);
        assert_eq!(row.posts(), posts, "{passed}");
        // One that is over makes room for the next.
        row.lanes.vanished(DeliveryId(1));
        add(&mut row, "b", 90_003);
        assert_eq!(row.posts(), [90_004], "{passed}");
    }
}

#[test]
fn why_a_post_has_failed_is_said_in_words() {
    let silent = WebhookAnswer { error: None, ..no_answer() };
    let cases = [
        (answer(204), None),
        (answer(500), Some("the receiver answered 500")),
        (no_answer(), Some("connection refused")),
        (silent, Some("the receiver did not answer")),
    ];
    for (answer, expected) in cases {
        let mut row = Row::of(&["a"]);
        row.posts();
        let status = answer.status;
        let outcome = row.lanes.answered(DeliveryId(1), Some(answer), row.now, 0).unwrap();
        assert_eq!(outcome.delivery.last_error.as_deref(), expected);
        assert_eq!(outcome.delivery.last_status, status);
    }
}
