//! Messages through the whole engine.

use std::time::Duration;

use domain::chat::ChatId;
use domain::content::Content;
use domain::device::{DeviceStatus, DisconnectReason};
use domain::error::Error;
use domain::ids::WhatsappId;
use domain::media::{FileRequest, MediaSource};
use domain::message::{Failure, Message, MessageState, Receipt};
use domain::phone::PhoneNumber;
use domain::policy::pacing::Pacing;
use domain::ports::{
    Cancellation, Clock, Dispatcher, MessageStore, MessengerEvent, MessengerEvents, SendError,
};
use domain::service::SendRequest;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::{Answer, Call};

use crate::test_gateway::TestGateway;

const TO: &str = "628123456789";

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_then_delivered_then_read() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = gateway.send(device, TO, "hello").await;
    let sent = gateway.until_state(message.id, MessageState::Sent).await;
    let states: Vec<_> = sent.history.iter().map(|change| change.state).collect();
    assert_eq!(states, [MessageState::Queued, MessageState::Sending, MessageState::Sent]);
    let now = gateway.clock.now();
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    gateway.until_state(message.id, MessageState::Read).await;
    assert_eq!(gateway.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_forgotten_after_ninety_days() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    tokio::time::advance(Duration::from_secs(90 * 86_400 - 10)).await;
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, gateway.clock.now());
    gateway.until_state(message.id, MessageState::Read).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let stored = || gateway.store.message(gateway.account, message.id);
    gateway.until(async || stored().await.unwrap().is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn receipts_that_overtake_the_record_of_the_acknowledgement_are_kept() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, TO, "hello").await;
    gateway.messenger.until_sent(1).await;
    let now = gateway.clock.now();
    gateway.store.hold_writes(true);
    gateway.messenger.acknowledge(device, &message.whatsapp_id);
    gateway.store.until_called("record", 1).await;
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Read, now);
    gateway.store.hold_writes(false);
    let read = gateway.until_state(message.id, MessageState::Read).await;
    assert!(read.reached(MessageState::Delivered).is_some());
}

#[tokio::test(start_paused = true)]
async fn the_file_of_a_message_goes_when_a_receipt_overtakes_the_acknowledgement() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let file = FileRequest::new(MediaSource::Inline(b"hello".to_vec()));
    let request = SendRequest { to: TO.into(), content: Content::File(file), ..Default::default() };
    let message = gateway.request(device, request).await;
    gateway.messenger.until_sent(1).await;
    assert_eq!(gateway.blobs.names().len(), 1);
    let now = gateway.clock.now();
    gateway.messenger.receipt(device, &message.whatsapp_id, Receipt::Delivered, now);
    gateway.until_state(message.id, MessageState::Delivered).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(gateway.blobs.names().is_empty(), "it is needed no more");
}

#[tokio::test(start_paused = true)]
async fn a_message_shows_as_sending_until_its_outcome_is_durable() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, TO, "hello").await;
    assert!(!gateway.engine.is_sending(device, message.id));
    gateway.messenger.until_sent(1).await;
    assert!(gateway.engine.is_sending(device, message.id));
    let shown = gateway.core.message(&gateway.principal, message.id).await.unwrap();
    assert_eq!(shown.state, MessageState::Sending);
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Queued, "not a claim");
    gateway.messenger.acknowledge(device, &message.whatsapp_id);
    // Answered when the task knows that the record is durable.
    let patience = Duration::from_secs(30);
    let sent = gateway.engine.wait(gateway.account, device, message.id, patience).await.unwrap();
    assert_eq!(sent.unwrap().state, MessageState::Sent);
    assert!(!gateway.engine.is_sending(device, message.id));
}

#[tokio::test(start_paused = true)]
async fn a_restart_resumes_with_the_same_id() {
    let (mut gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    gateway.restart().await;
    assert_eq!(gateway.stored(first.id).await.state, MessageState::Queued);
    // Accepted between two runs.
    let third = gateway.send(device, TO, "third").await;
    gateway.start().await;
    gateway.until_state(third.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["first", "second", "third"]);
    let ids: Vec<_> =
        gateway.messenger.sent().into_iter().map(|(_, message)| message.whatsapp_id).collect();
    assert_eq!(ids, [first.whatsapp_id, second.whatsapp_id, third.whatsapp_id]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_acknowledgements_and_hands_nothing_over() {
    let (mut gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::AcknowledgeAfter(Duration::from_secs(3)));
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    let before = gateway.clock.now();
    let messenger = gateway.messenger.clone();
    gateway.restart().await;
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 3);
    assert_eq!(gateway.stored(first.id).await.state, MessageState::Sent);
    assert_eq!(gateway.stored(second.id).await.state, MessageState::Queued);
    assert_eq!(messenger.sent().len(), 1);
    assert!(messenger.calls().contains(&Call::Disconnect(device)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_bounded() {
    let (mut gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    gateway.send(device, TO, "first").await;
    gateway.messenger.until_sent(1).await;
    gateway.store.fail(Outage::All);
    let before = gateway.clock.now();
    gateway.restart().await;
    assert!(gateway.clock.now().duration_since(before).as_secs() <= 20);
}

#[tokio::test(start_paused = true)]
async fn outcomes_survive_an_outage_of_the_store() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    for outage in [Outage::Writes, Outage::All] {
        gateway.store.fail(outage);
        gateway.messenger.acknowledge(device, &first.whatsapp_id);
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    gateway.store.fail(Outage::None);
    gateway.until_state(first.id, MessageState::Sent).await;
    gateway.messenger.until_sent(2).await;
    gateway.messenger.acknowledge(device, &second.whatsapp_id);
    gateway.until_state(second.id, MessageState::Sent).await;
    let sent = gateway.texts();
    assert_eq!(sent.iter().filter(|text| *text == "first").count(), 1, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_bodies_cannot_be_read() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.store.fail(Outage::All);
    gateway.messenger.go_online(device);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(gateway.texts().is_empty());
    gateway.store.fail(Outage::None);
    gateway.until_state(message.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_repeats_what_is_open_with_the_same_id() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_next([Answer::LoseAck]);
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(gateway.texts(), ["first"]);
    gateway.messenger.go_online(device);
    gateway.until_state(second.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["first", "first", "second"]);
    let sent = gateway.messenger.sent();
    assert_eq!(sent[0].1.whatsapp_id, sent[1].1.whatsapp_id);
    assert_eq!(gateway.stored(first.id).await.attempts, 1, "no attempt failed");
}

#[tokio::test(start_paused = true)]
async fn failures_are_written_down_with_their_reason() {
    let (gateway, device) = TestGateway::with_device().await;
    let gone = Failure::new("not_on_whatsapp", "the number is not on WhatsApp");
    let answers = [
        Answer::Fail(SendError::Temporary("no keys yet".into())),
        Answer::Fail(SendError::Permanent(gone)),
    ];
    gateway.messenger.answer_next(answers);
    let message = gateway.send(device, TO, "hello").await;
    let failed = gateway.until_state(message.id, MessageState::Failed).await;
    assert_eq!(failed.failure.unwrap().code, "not_on_whatsapp");
    let reasons: Vec<_> = failed.history.iter().filter_map(|c| c.reason.as_deref()).collect();
    assert_eq!(reasons, ["no keys yet", "the number is not on WhatsApp"]);
    assert_eq!(gateway.clock.now().duration_since(message.created_at).as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn typing_is_shown_before_a_paced_message() {
    let gateway = TestGateway::with_pacing(Pacing::between(3, 3).unwrap()).await;
    let device = gateway.linked_device("62811").await;
    gateway.start().await;
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, "628999999999", "second").await;
    gateway.until_state(first.id, MessageState::Sent).await;
    let chat = ChatId::Person(PhoneNumber::from_digits(TO));
    assert!(gateway.messenger.calls().contains(&Call::Typing(device, chat, true)));
    let one = gateway.clock.now();
    gateway.until_state(second.id, MessageState::Sent).await;
    assert_eq!(gateway.clock.now().duration_since(one).as_millis(), 3_500);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_hangs_delays_a_text_no_longer_than_it_may_wait() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.look_takes(Duration::from_secs(3_600));
    for (expires_in_s, delay_ms) in [(2, 1_000), (60, 5_000)] {
        let before = gateway.clock.now();
        let request = SendRequest {
            to: TO.into(),
            content: Content::Text("see https://toko.example".into()),
            expires_in_s: Some(expires_in_s),
            ..Default::default()
        };
        let message = gateway.request(device, request).await;
        let sent = gateway.until_state(message.id, MessageState::Sent).await;
        let at = sent.reached(MessageState::Sent).unwrap();
        assert_eq!(at.duration_since(before).as_millis(), delay_ms);
    }
    gateway.outside.look_takes(Duration::ZERO);
    gateway.send(device, TO, "see https://toko.example").await;
    let sent = gateway.messenger.until_sent(3).await;
    let titles = sent.into_iter().map(|(_, message)| message.preview.map(|page| page.title));
    assert_eq!(titles.collect::<Vec<_>>(), [None, None, Some("a page".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_unlinked_device_expire() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.phone_unlinks(device);
    let request = SendRequest {
        to: TO.into(),
        content: Content::Text("hello".into()),
        expires_in_s: Some(60),
        ..Default::default()
    };
    let message = gateway.request(device, request).await;
    gateway.until_status(device, DeviceStatus::LoggedOut).await;
    gateway.until_state(message.id, MessageState::Expired).await;
    assert_eq!(gateway.clock.now().duration_since(message.created_at).as_secs(), 60);
    assert!(gateway.texts().is_empty());
}

// ---- receipts -----------------------------------------------------------------------------------

fn read_by(message: &Message, at: jiff::Timestamp) -> MessengerEvent {
    MessengerEvent::Receipt(vec![message.whatsapp_id.clone()], Receipt::Read, at)
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_answered_when_it_is_durable() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    gateway.store.writes_take(Duration::from_secs(2));
    let before = gateway.clock.now();
    gateway.engine.event(device, read_by(&message, before)).await.unwrap();
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Read);
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_before_the_acknowledgement_is_durable_too() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, TO, "hello").await;
    gateway.messenger.until_sent(1).await;
    gateway.engine.event(device, read_by(&message, gateway.clock.now())).await.unwrap();
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Read);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_cannot_be_written_is_reported_again() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    gateway.store.fail(Outage::Writes);
    let report = || gateway.engine.event(device, read_by(&message, gateway.clock.now()));
    assert!(report().await.is_err());
    // However many come: the journal is full at some time, and nothing locks up.
    for n in 0..3 {
        let ids = (0..1_000).map(|i| WhatsappId(format!("X{n}-{i}"))).collect();
        let many = MessengerEvent::Receipt(ids, Receipt::Read, gateway.clock.now());
        assert!(gateway.engine.event(device, many).await.is_err());
    }
    gateway.store.fail(Outage::None);
    report().await.unwrap();
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Read);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_for_a_device_that_does_not_run_is_written_all_the_same() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.until_state(message.id, MessageState::Sent).await;
    gateway.engine.shutdown().await;
    gateway.engine.event(device, read_by(&message, gateway.clock.now())).await.unwrap();
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Read);
}

// ---- cancelling ---------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_waiting_message_can_be_cancelled() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_next([Answer::LoseAck]);
    let first = gateway.send(device, TO, "first").await;
    let second = gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    let late = gateway.engine.cancel(device, first.id).await.unwrap();
    assert_eq!(late, Cancellation::TooLate);
    let Cancellation::Cancelled(message) = gateway.engine.cancel(device, second.id).await.unwrap()
    else {
        panic!("it waits");
    };
    assert_eq!(message.state, MessageState::Cancelled);
    assert_eq!(gateway.stored(second.id).await.state, MessageState::Cancelled);
    gateway.messenger.acknowledge(device, &first.whatsapp_id);
    gateway.until_state(first.id, MessageState::Sent).await;
    let third = gateway.send(device, TO, "third").await;
    gateway.until_state(third.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["first", "third"]);
    assert_eq!(gateway.engine.cancel(device, second.id).await.unwrap(), Cancellation::TooLate);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_that_cannot_be_written_is_none() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    let message = gateway.send(device, TO, "hello").await;
    gateway.store.fail(Outage::Writes);
    let answer = gateway.engine.cancel(device, message.id).await;
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    gateway.store.fail(Outage::None);
    gateway.messenger.go_online(device);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn the_figures_add_up() {
    use std::sync::atomic::Ordering::Relaxed;
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_next([Answer::LoseAck]);
    let first = gateway.send(device, TO, "first").await;
    gateway.send(device, TO, "second").await;
    gateway.messenger.until_sent(1).await;
    let stats = gateway.engine.stats();
    assert_eq!((stats.queued.load(Relaxed), stats.sending.load(Relaxed)), (2, 1));
    let connected = stats.devices().into_iter().find(|(s, _)| *s == DeviceStatus::Connected);
    assert_eq!(connected, Some((DeviceStatus::Connected, 1)));
    gateway.messenger.acknowledge(device, &first.whatsapp_id);
    gateway.until_state(first.id, MessageState::Sent).await;
    gateway.messenger.until_sent(2).await;
    gateway.engine.shutdown().await;
    assert_eq!(stats.sent.load(Relaxed), 2);
    assert_eq!((stats.queued.load(Relaxed), stats.sending.load(Relaxed)), (0, 0));
    assert!(stats.devices().iter().all(|(_, n)| *n == 0));
}
