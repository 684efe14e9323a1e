//! Requests that wait until their message is sent.

use std::time::Duration;

use domain::content::Content;
use domain::device::{DeviceStatus, DisconnectReason};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::media::{FileRequest, MediaSource};
use domain::message::{Failure, Message, MessageState};
use domain::policy::pacing::{Pacing, QuietHours};
use domain::ports::{Clock, Dispatcher, SendError};
use domain::service::{SendOutcome, SendRequest};
use jiff::SignedDuration;
use jiff::civil::Time;
use testkit::flaky_store::Outage;
use testkit::scripted_messenger::Answer;
use tokio::task::JoinHandle;

use crate::rig::{Rig, at_s, entry};
use crate::test_gateway::TestGateway;

const TO: &str = "628123456789";
const PATIENCE: Duration = Duration::from_secs(30);

type Waiting = JoinHandle<domain::error::Result<Option<Message>>>;

fn wait(gateway: &TestGateway, device: DeviceId, message: &Message) -> Waiting {
    let (engine, account, id) = (gateway.engine.clone(), gateway.account, message.id);
    tokio::spawn(async move { engine.wait(account, device, id, PATIENCE).await })
}

async fn ended(waiting: Waiting) -> Message {
    waiting.await.unwrap().unwrap().expect("the message has left the queue")
}

async fn offline() -> (TestGateway, DeviceId) {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    (gateway, device)
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_whatsapp_has_the_message() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::AcknowledgeAfter(Duration::from_secs(3)));
    let before = gateway.clock.now();
    let message = gateway.send(device, TO, "hello").await;
    let sent = ended(wait(&gateway, device, &message)).await;
    assert_eq!(sent.state, MessageState::Sent);
    assert_eq!(sent.outcome().unwrap(), SendOutcome::Sent);
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 3);
    assert_eq!(
        gateway.stored(message.id).await.state,
        MessageState::Sent,
        "durable before the answer"
    );
    // Asked again, also when the message has ended before.
    let again = ended(wait(&gateway, device, &message)).await;
    assert_eq!(again, sent);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_a_failure() {
    let (gateway, device) = TestGateway::with_device().await;
    let gone = Failure::new(Failure::NOT_ON_WHATSAPP, "the number is not on WhatsApp");
    gateway.messenger.answer_next([Answer::Fail(SendError::Permanent(gone))]);
    let message = gateway.send(device, TO, "hello").await;
    let failed = ended(wait(&gateway, device, &message)).await;
    assert!(matches!(failed.outcome(), Err(Error::NotOnWhatsapp(_))));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_tried_again_is_waited_for_while_that_can_help() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fill_disk(true);
    let send = async |retry_interval_s| {
        let source = MediaSource::Inline(b"hello".to_vec());
        let content = Content::File(FileRequest::new(source));
        let request =
            SendRequest { to: TO.into(), content, retry_interval_s, ..Default::default() };
        gateway.request(device, request).await
    };
    let before = gateway.clock.now();
    let late = send(Some(31)).await;
    let answer = wait(&gateway, device, &late).await.unwrap().unwrap();
    assert!(answer.is_none(), "it still waits: {answer:?}");
    assert_eq!(gateway.clock.now(), before, "the next attempt is beyond the wait");
    gateway.outside.fill_disk(false);
    gateway.until_state(late.id, MessageState::Sent).await;

    gateway.outside.fill_disk(true);
    let soon = send(Some(20)).await;
    let waiting = wait(&gateway, device, &soon);
    gateway.until_attempts(soon.id, 1).await;
    gateway.outside.fill_disk(false);
    let sent = ended(waiting).await;
    assert_eq!((sent.state, sent.attempts), (MessageState::Sent, 2));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_withdrawn_when_its_device_does_not_connect() {
    let (gateway, device) = offline().await;
    let before = gateway.clock.now();
    let message = gateway.send(device, TO, "hello").await;
    let (first, second) = (wait(&gateway, device, &message), wait(&gateway, device, &message));
    let cancelled = ended(first).await;
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 30);
    assert_eq!(cancelled.state, MessageState::Cancelled);
    assert!(matches!(cancelled.outcome(), Err(Error::DeviceNotConnected(_))));
    assert_eq!(gateway.stored(message.id).await, cancelled);
    assert_eq!(ended(second).await, cancelled);
    gateway.messenger.go_online(device);
    let next = gateway.send(device, TO, "next").await;
    gateway.until_state(next.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["next"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_connects_in_time_sends() {
    let (gateway, device) = offline().await;
    let message = gateway.send(device, TO, "hello").await;
    let waiting = wait(&gateway, device, &message);
    tokio::time::sleep(Duration::from_secs(29)).await;
    gateway.messenger.go_online(device);
    assert_eq!(ended(waiting).await.state, MessageState::Sent);
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_the_wait_at_once() {
    let (gateway, device) = offline().await;
    let message = gateway.send(device, TO, "hello").await;
    let waiting = wait(&gateway, device, &message);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = gateway.clock.now();
    gateway.messenger.phone_unlinks(device);
    assert_eq!(ended(waiting).await.state, MessageState::Cancelled);
    assert_eq!(gateway.clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_up_changes_nothing() {
    let (gateway, device) = offline().await;
    let message = gateway.send(device, TO, "hello").await;
    let waiting = wait(&gateway, device, &message);
    tokio::time::sleep(Duration::from_secs(10)).await;
    waiting.abort();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Queued);
    gateway.messenger.go_online(device);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_submitted_is_not_withdrawn() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let before = gateway.clock.now();
    let message = gateway.send(device, TO, "hello").await;
    let waiting = wait(&gateway, device, &message);
    gateway.messenger.until_sent(1).await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    assert!(waiting.await.unwrap().unwrap().is_none());
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 30);
    assert_eq!(gateway.stored(message.id).await.state, MessageState::Queued);
}

#[tokio::test(start_paused = true)]
async fn what_pacing_puts_off_is_answered_at_once() {
    let gateway = TestGateway::with_pacing(Pacing { min_s: 20, max_s: 20, ..Pacing::off() }).await;
    let device = gateway.linked_device("62811").await;
    gateway.start().await;
    gateway.until_status(device, DeviceStatus::Connected).await;
    let before = gateway.clock.now();
    let mut answers = Vec::new();
    for chat in ["62811111111", "62822222222", "62833333333"] {
        let message = gateway.send(device, chat, "hello").await;
        answers.push((wait(&gateway, device, &message), message.id));
    }
    let (third, id) = answers.pop().unwrap();
    assert!(third.await.unwrap().unwrap().is_none(), "it goes after 40 seconds");
    assert_eq!(gateway.clock.now(), before);
    let (second, _) = answers.pop().unwrap();
    assert_eq!(ended(second).await.state, MessageState::Sent);
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 20);
    gateway.until_state(id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_scheduled_for_later_is_answered_at_once() {
    let (gateway, device) = offline().await;
    let before = gateway.clock.now();
    let schedule_at = Some(before + SignedDuration::from_mins(5));
    let content = Content::Text("later".into());
    let request = SendRequest { to: TO.into(), content, schedule_at, ..Default::default() };
    let message = gateway.request(device, request).await;
    assert!(wait(&gateway, device, &message).await.unwrap().unwrap().is_none());
    assert_eq!(gateway.clock.now(), before);
    gateway.messenger.go_online(device);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn no_outcome_is_answered_before_it_is_durable() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, TO, "hello").await;
    gateway.messenger.until_sent(1).await;
    gateway.store.fail(Outage::Writes);
    gateway.messenger.acknowledge(device, &message.whatsapp_id);
    let waiting = wait(&gateway, device, &message);
    assert!(waiting.await.unwrap().unwrap().is_none(), "for all that is durable, it waits");
    gateway.store.fail(Outage::None);
    let sent = ended(wait(&gateway, device, &message)).await;
    assert_eq!(sent.state, MessageState::Sent);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_withdrawn_is_an_error_and_stays() {
    let (gateway, device) = offline().await;
    let message = gateway.send(device, TO, "hello").await;
    let waiting = wait(&gateway, device, &message);
    gateway.store.fail(Outage::Writes);
    let answer = waiting.await.unwrap();
    assert!(matches!(answer, Err(Error::Store(_))), "{answer:?}");
    gateway.store.fail(Outage::None);
    gateway.messenger.go_online(device);
    gateway.until_state(message.id, MessageState::Sent).await;
}

// ---- when a message could go --------------------------------------------------------------------

#[test]
fn the_earliest_time() {
    let paced = || Pacing { min_s: 10, max_s: 10, ..Pacing::off() };
    let at = |rig: &Rig, id| rig.queue.earliest(domain::ids::MessageId(id), rig.now).unwrap();

    let mut rig = Rig::new(paced());
    rig.accept([entry(1, "a"), entry(2, "b"), entry(3, "b"), entry(4, "c")]);
    rig.settle();
    let times = [2, 3, 4].map(|id| at(&rig, id));
    assert_eq!(times, [at_s(10), at_s(20), at_s(20)], "3 and 4 may both be third");

    // A retry holds back its chat and no other.
    let mut rig = Rig::new(Pacing::off());
    rig.accept([entry(1, "a"), entry(2, "a")]);
    rig.settle();
    rig.refuse(1, 503);
    rig.settle();
    rig.accept([entry(3, "b")]);
    assert_eq!([1, 2, 3].map(|id| at(&rig, id)), [at_s(30), at_s(30), at_s(0)]);

    // Of the same chat: what is on its way takes no turn any more, what is tried again does.
    let mut rig = Rig::new(Pacing { min_s: 40, max_s: 40, ..Pacing::off() });
    rig.accept([entry(1, "a"), entry(2, "a")]);
    rig.settle();
    assert_eq!(at(&rig, 2), at_s(40));
    rig.refuse(1, 503);
    rig.settle();
    assert_eq!([1, 2].map(|id| at(&rig, id)), [at_s(40), at_s(80)]);

    // A repeat waits for a pause of the device, and for nothing else.
    rig.now = at_s(40);
    rig.settle();
    rig.queue.connected(rig.now);
    assert_eq!(at(&rig, 1), at_s(40));
    rig.queue.pause(at_s(50));
    assert_eq!(at(&rig, 1), at_s(50));

    // Quiet hours: 15:00 to 16:00 where the account lives, and it is 15:00.
    let quiet =
        QuietHours { from: Time::constant(15, 0, 0, 0), until: Time::constant(16, 0, 0, 0) };
    let mut rig = Rig::new(Pacing { quiet_hours: Some(quiet), ..Pacing::off() });
    rig.accept([entry(1, "a")]);
    assert_eq!(at(&rig, 1), at_s(3_600));

    // The budget of strangers is spent: midnight is in nine hours.
    let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..Pacing::off() });
    rig.accept([entry(1, "a"), entry(2, "a"), entry(3, "b")]);
    rig.settle();
    assert_eq!([2, 3].map(|id| at(&rig, id)), [at_s(0), at_s(9 * 3_600)]);
}
