//! Messages through the whole engine.

use std::time::Duration;

use domain::device::{DeviceStatus, DisconnectReason};
use domain::error::Error;
use domain::ids::WhatsappId;
use domain::message::{Failure, Message, MessageState, Receipt};
use domain::policy::pacing::Pacing;
use domain::ports::{
    Cancellation, Clock, Dispatcher, MessageStore, MessengerEvent, MessengerEvents, SendError,
};
use domain::service::SendRequest;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::{Answer, Call};

use crate::house::House;

const TO: &str = "628123456789";

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_then_delivered_then_read() {
    let (house, device) = House::with_device().await;
    let message = house.send(device, TO, "hello").await;
    let sent = house.until_state(message.id, MessageState::Sent).await;
    let states: Vec<_> = sent.history.iter().map(|change| change.state).collect();
    assert_eq!(states, [MessageState::Queued, MessageState::Sending, MessageState::Sent]);
    let now = house.clock.now();
    house.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    house.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    house.until_state(message.id, MessageState::Read).await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_forgotten_after_ninety_days() {
    let (house, device) = House::with_device().await;
    let message = house.send(device, TO, "hello").await;
    house.until_state(message.id, MessageState::Sent).await;
    tokio::time::advance(Duration::from_secs(90 * 86_400 - 10)).await;
    house.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, house.clock.now());
    house.until_state(message.id, MessageState::Read).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let stored = || house.store.message(house.account, message.id);
    house.until(async || stored().await.unwrap().is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn receipts_that_overtake_the_record_of_the_acknowledgement_are_kept() {
    let (house, device) = House::with_device().await;
    house.store.writes_take(Duration::from_millis(50));
    house.messenger.answer_all(Answer::LoseAck);
    let message = house.send(device, TO, "hello").await;
    house.messenger.until_sent(1).await;
    let now = house.clock.now();
    house.messenger.acknowledge(device, &message.whatsapp_id);
    house.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    house.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    let read = house.until_state(message.id, MessageState::Read).await;
    assert!(read.reached(MessageState::Delivered).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_message_shows_as_sending_until_its_outcome_is_durable() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::LoseAck);
    let message = house.send(device, TO, "hello").await;
    assert!(!house.engine.is_sending(device, message.id));
    house.messenger.until_sent(1).await;
    assert!(house.engine.is_sending(device, message.id));
    let shown = house.core.message(&house.session, message.id).await.unwrap();
    assert_eq!(shown.state, MessageState::Sending);
    assert_eq!(house.stored(message.id).await.state, MessageState::Queued, "not a claim");
    house.messenger.acknowledge(device, &message.whatsapp_id);
    house.until_state(message.id, MessageState::Sent).await;
    // The record is durable one moment before the task learns of it.
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!house.engine.is_sending(device, message.id));
}

#[tokio::test(start_paused = true)]
async fn a_restart_resumes_with_the_same_id() {
    let (mut house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::LoseAck);
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    house.restart().await;
    assert_eq!(house.stored(first.id).await.state, MessageState::Queued);
    // Accepted between two runs.
    let third = house.send(device, TO, "third").await;
    house.start().await;
    house.until_state(third.id, MessageState::Sent).await;
    assert_eq!(house.texts(), ["first", "second", "third"]);
    let ids: Vec<_> =
        house.messenger.sent().into_iter().map(|(_, message)| message.whatsapp_id).collect();
    assert_eq!(ids, [first.whatsapp_id, second.whatsapp_id, third.whatsapp_id]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_acknowledgements_and_hands_nothing_over() {
    let (mut house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::AcknowledgeAfter(Duration::from_secs(3)));
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    let before = house.clock.now();
    let messenger = house.messenger.clone();
    house.restart().await;
    assert_eq!(house.clock.now().duration_since(before).as_secs(), 3);
    assert_eq!(house.stored(first.id).await.state, MessageState::Sent);
    assert_eq!(house.stored(second.id).await.state, MessageState::Queued);
    assert_eq!(messenger.sent().len(), 1);
    assert!(messenger.calls().contains(&Call::Disconnect(device)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_bounded() {
    let (mut house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::LoseAck);
    house.send(device, TO, "first").await;
    house.messenger.until_sent(1).await;
    house.store.fail(Outage::All);
    let before = house.clock.now();
    house.restart().await;
    assert!(house.clock.now().duration_since(before).as_secs() <= 20);
}

#[tokio::test(start_paused = true)]
async fn outcomes_survive_an_outage_of_the_store() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::LoseAck);
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    for outage in [Outage::Writes, Outage::All] {
        house.store.fail(outage);
        house.messenger.acknowledge(device, &first.whatsapp_id);
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    house.store.fail(Outage::None);
    house.until_state(first.id, MessageState::Sent).await;
    house.messenger.until_sent(2).await;
    house.messenger.acknowledge(device, &second.whatsapp_id);
    house.until_state(second.id, MessageState::Sent).await;
    let sent = house.texts();
    assert_eq!(sent.iter().filter(|text| *text == "first").count(), 1, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_bodies_cannot_be_read() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    let message = house.send(device, TO, "hello").await;
    house.store.fail(Outage::All);
    house.messenger.go_online(device);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(house.texts().is_empty());
    house.store.fail(Outage::None);
    house.until_state(message.id, MessageState::Sent).await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_repeats_what_is_open_with_the_same_id() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_next([Answer::LoseAck]);
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(house.texts(), ["first"]);
    house.messenger.go_online(device);
    house.until_state(second.id, MessageState::Sent).await;
    assert_eq!(house.texts(), ["first", "first", "second"]);
    let sent = house.messenger.sent();
    assert_eq!(sent[0].1.whatsapp_id, sent[1].1.whatsapp_id);
    assert_eq!(house.stored(first.id).await.attempts, 1, "no attempt failed");
}

#[tokio::test(start_paused = true)]
async fn failures_are_written_down_with_their_reason() {
    let (house, device) = House::with_device().await;
    let gone = Failure::new("not_on_whatsapp", "the number is not on WhatsApp");
    let answers = [
        Answer::Fail(SendError::Temporary("no keys yet".into())),
        Answer::Fail(SendError::Permanent(gone)),
    ];
    house.messenger.answer_next(answers);
    let message = house.send(device, TO, "hello").await;
    let failed = house.until_state(message.id, MessageState::Failed).await;
    assert_eq!(failed.failure.unwrap().code, "not_on_whatsapp");
    let reasons: Vec<_> = failed.history.iter().filter_map(|c| c.reason.as_deref()).collect();
    assert_eq!(reasons, ["no keys yet", "the number is not on WhatsApp"]);
    assert_eq!(house.clock.now().duration_since(message.created_at).as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn typing_is_shown_before_a_paced_message() {
    let house = House::with_pacing(Pacing::between(3, 3).unwrap()).await;
    let device = house.linked_device("62811").await;
    house.start().await;
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, "628999999999", "second").await;
    house.until_state(first.id, MessageState::Sent).await;
    let chat = format!("{TO}@s.whatsapp.net");
    assert!(house.messenger.calls().contains(&Call::Typing(device, chat, true)));
    let one = house.clock.now();
    house.until_state(second.id, MessageState::Sent).await;
    assert_eq!(house.clock.now().duration_since(one).as_millis(), 3_500);
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_unlinked_device_expire() {
    let (house, device) = House::with_device().await;
    house.messenger.phone_unlinks(device);
    let request = SendRequest {
        to: TO.into(),
        text: "hello".into(),
        expires_in_s: Some(60),
        ..Default::default()
    };
    let message = house.request(device, request).await;
    house.until_status(device, DeviceStatus::LoggedOut).await;
    house.until_state(message.id, MessageState::Expired).await;
    assert_eq!(house.clock.now().duration_since(message.created_at).as_secs(), 60);
    assert!(house.texts().is_empty());
}

// ---- receipts -----------------------------------------------------------------------------------

fn read_by(message: &Message, at: jiff::Timestamp) -> MessengerEvent {
    MessengerEvent::Receipt(vec![message.whatsapp_id.clone()], Receipt::Read, at)
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_answered_when_it_is_durable() {
    let (house, device) = House::with_device().await;
    let message = house.send(device, TO, "hello").await;
    house.until_state(message.id, MessageState::Sent).await;
    house.store.writes_take(Duration::from_secs(2));
    let before = house.clock.now();
    house.engine.event(device, read_by(&message, before)).await.unwrap();
    assert_eq!(house.stored(message.id).await.state, MessageState::Read);
    assert_eq!(house.clock.now().duration_since(before).as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_before_the_acknowledgement_is_durable_too() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_all(Answer::LoseAck);
    let message = house.send(device, TO, "hello").await;
    house.messenger.until_sent(1).await;
    house.engine.event(device, read_by(&message, house.clock.now())).await.unwrap();
    assert_eq!(house.stored(message.id).await.state, MessageState::Read);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_cannot_be_written_is_reported_again() {
    let (house, device) = House::with_device().await;
    let message = house.send(device, TO, "hello").await;
    house.until_state(message.id, MessageState::Sent).await;
    house.store.fail(Outage::Writes);
    let report = || house.engine.event(device, read_by(&message, house.clock.now()));
    assert!(report().await.is_err());
    // However many come: the journal is full at some time, and nothing locks up.
    for n in 0..3 {
        let ids = (0..1_000).map(|i| WhatsappId(format!("X{n}-{i}"))).collect();
        let many = MessengerEvent::Receipt(ids, Receipt::Read, house.clock.now());
        assert!(house.engine.event(device, many).await.is_err());
    }
    house.store.fail(Outage::None);
    report().await.unwrap();
    assert_eq!(house.stored(message.id).await.state, MessageState::Read);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_for_a_device_that_does_not_run_is_written_all_the_same() {
    let (house, device) = House::with_device().await;
    let message = house.send(device, TO, "hello").await;
    house.until_state(message.id, MessageState::Sent).await;
    house.engine.shutdown().await;
    house.engine.event(device, read_by(&message, house.clock.now())).await.unwrap();
    assert_eq!(house.stored(message.id).await.state, MessageState::Read);
}

// ---- cancelling ---------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_waiting_message_can_be_cancelled() {
    let (house, device) = House::with_device().await;
    house.messenger.answer_next([Answer::LoseAck]);
    let first = house.send(device, TO, "first").await;
    let second = house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    let late = house.engine.cancel(device, first.id).await.unwrap();
    assert_eq!(late, Cancellation::TooLate);
    let Cancellation::Cancelled(message) = house.engine.cancel(device, second.id).await.unwrap()
    else {
        panic!("it waits");
    };
    assert_eq!(message.state, MessageState::Cancelled);
    assert_eq!(house.stored(second.id).await.state, MessageState::Cancelled);
    house.messenger.acknowledge(device, &first.whatsapp_id);
    house.until_state(first.id, MessageState::Sent).await;
    let third = house.send(device, TO, "third").await;
    house.until_state(third.id, MessageState::Sent).await;
    assert_eq!(house.texts(), ["first", "third"]);
    assert_eq!(house.engine.cancel(device, second.id).await.unwrap(), Cancellation::TooLate);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_cannot_be_written_is_none() {
    let (house, device) = House::with_device().await;
    house.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    house.until_status(device, DeviceStatus::Disconnected).await;
    let message = house.send(device, TO, "hello").await;
    house.store.fail(Outage::Writes);
    let answer = house.engine.cancel(device, message.id).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    house.store.fail(Outage::None);
    house.messenger.go_online(device);
    house.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn the_figures_add_up() {
    use std::sync::atomic::Ordering::Relaxed;
    let (house, device) = House::with_device().await;
    house.messenger.answer_next([Answer::LoseAck]);
    let first = house.send(device, TO, "first").await;
    house.send(device, TO, "second").await;
    house.messenger.until_sent(1).await;
    let stats = house.engine.stats();
    assert_eq!((stats.queued.load(Relaxed), stats.sending.load(Relaxed)), (2, 1));
    let connected = stats.devices().into_iter().find(|(s, _)| *s == DeviceStatus::Connected);
    assert_eq!(connected, Some((DeviceStatus::Connected, 1)));
    house.messenger.acknowledge(device, &first.whatsapp_id);
    house.until_state(first.id, MessageState::Sent).await;
    house.messenger.until_sent(2).await;
    house.engine.shutdown().await;
    assert_eq!(stats.sent.load(Relaxed), 2);
    assert_eq!((stats.queued.load(Relaxed), stats.sending.load(Relaxed)), (0, 0));
    assert!(stats.devices().iter().all(|(_, n)| *n == 0));
}
