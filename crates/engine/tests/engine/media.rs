//! Messages that carry a file.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use domain::chat::ChatId;
use domain::content::Content;
use domain::device::{DeviceStatus, DisconnectReason};
use domain::ids::{DeviceId, MessageId, WhatsappId};
use domain::media::{FileRequest, MediaSource};
use domain::message::{ContentKind, Failure, Message, MessageState};
use domain::phone::PhoneNumber;
use domain::policy::pacing::Pacing;
use domain::policy::quota::{Period, Usage};
use domain::ports::{AccountStore, BlobStore, Cancellation, Clock, Dispatcher};
use domain::request_file::{blob_key, blob_key_of};
use domain::service::SendRequest;
use engine::queue::{FILE_KEPT, FILE_SLOTS_MAX};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use testkit::flaky_store::Outage;
use testkit::memory_blobs::Trouble;
use testkit::scripted_messenger::{Answer, Call};

use crate::rig::{Rig, at_s, entry};
use crate::test_gateway::TestGateway;

const TO: &str = "628123456789";
const OTHER: &str = "628999999999";
const URL: &str = "https://files.example.com/cat.png";

fn from_url(url: &str) -> MediaSource {
    MediaSource::Url(url.into())
}

async fn send_file(
    gateway: &TestGateway,
    device: DeviceId,
    to: &str,
    source: MediaSource,
) -> Message {
    let file = FileRequest { caption: "look".into(), ..FileRequest::new(source) };
    let request = SendRequest { to: to.into(), content: Content::File(file), ..Default::default() };
    gateway.request(device, request).await
}

async fn used(gateway: &TestGateway) -> Usage {
    let period = Period::of(gateway.clock.now(), &TimeZone::get("Asia/Jakarta").unwrap());
    gateway.store.usage(gateway.account).await.unwrap().at(period)
}

// ---- the whole engine ---------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_file_is_fetched_prepared_and_sent() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    assert_eq!(message.kind(), ContentKind::Document, "a guess");
    let sent = gateway.until_state(message.id, MessageState::Sent).await;
    assert_eq!(sent.kind(), ContentKind::Image, "what it turned out to be");
    let media = sent.content.media().unwrap();
    assert_eq!((media.mimetype.as_deref(), media.size), (Some("image/png"), Some(3)));
    assert_eq!(media.filename.as_deref(), Some("cat.png"));
    let (_, message) = gateway.messenger.sent().remove(0);
    let Content::File(file) = message.content else { panic!("it has a file") };
    let (ready, caption) = (file.media, file.caption);
    assert_eq!((ready.file.size, ready.kind, caption.as_str()), (3, ContentKind::Image, "look"));
    assert_eq!(ready.mimetype, "image/png");
    assert_eq!(gateway.engine.stats().media_prepared.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_file_was_is_known_when_the_acknowledgement_comes_late() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    gateway.until_attempts(message.id, 1).await;
    gateway.messenger.acknowledge(device, &message.whatsapp_id);
    let sent = gateway.until_state(message.id, MessageState::Sent).await;
    assert_eq!((sent.attempts, sent.kind()), (1, ContentKind::Image));
    let media = sent.content.media().unwrap();
    assert_eq!((media.mimetype.as_deref(), media.size), (Some("image/png"), Some(3)));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_came_along_is_sent() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = send_file(&gateway, device, TO, MediaSource::Inline(b"hello".to_vec())).await;
    gateway.until_state(message.id, MessageState::Sent).await;
    let Content::File(file) = gateway.messenger.sent().remove(0).1.content else {
        panic!("it has a file")
    };
    assert_eq!(file.media.file.size, 5);
    assert!(gateway.outside.fake.fetches().is_empty());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(gateway.blobs.names().is_empty(), "it is needed no more");
}

/// A message with a file that came along, to be sent in so many seconds.
async fn later_with_file(gateway: &TestGateway, device: DeviceId, seconds: i64) -> Message {
    let file = FileRequest::new(MediaSource::Inline(b"hello".to_vec()));
    let request = SendRequest {
        to: TO.into(),
        content: Content::File(file),
        schedule_at: Some(gateway.clock.now() + SignedDuration::from_secs(seconds)),
        ..Default::default()
    };
    gateway.request(device, request).await
}

#[tokio::test(start_paused = true)]
async fn a_file_waits_for_the_media_store() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = later_with_file(&gateway, device, 10).await;
    gateway.blobs.set_trouble(Trouble::Away);
    gateway.until_attempts(message.id, 1).await;
    let next = gateway.send(device, OTHER, "goes on").await;
    gateway.until_state(next.id, MessageState::Sent).await;
    gateway.blobs.set_trouble(Trouble::None);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_the_one_that_was_kept_is_not_sent() {
    let (gateway, device) = TestGateway::with_device().await;
    for other in [Some(b"hallo".to_vec()), Some(b"longer than it was".to_vec()), None] {
        let message = later_with_file(&gateway, device, 10).await;
        let key = blob_key_of(&message).unwrap();
        match other {
            Some(bytes) => gateway.blobs.put_bytes(&key, bytes).await.unwrap(),
            None => gateway.blobs.delete(&key).await.unwrap(),
        }
        let failed = gateway.until_state(message.id, MessageState::Failed).await;
        assert_eq!(failed.failure.unwrap().code, Failure::MEDIA);
    }
    assert!(gateway.messenger.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_no_message_names_is_swept_away_and_what_waits_stays() {
    let (gateway, device) = TestGateway::with_device().await;
    let message = later_with_file(&gateway, device, 3 * 3_600).await;
    // A process was killed before its message was accepted.
    let orphan = blob_key(gateway.account, device, &WhatsappId("3EB0".into()));
    gateway.blobs.put_bytes(&orphan, b"lost".to_vec()).await.unwrap();
    assert_eq!(gateway.blobs.names().len(), 2);
    tokio::time::sleep(Duration::from_secs(2 * 3_600)).await;
    assert_eq!(gateway.blobs.names(), [blob_key_of(&message).unwrap()]);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_message_and_a_removed_device_leave_no_file() {
    let (gateway, device) = TestGateway::with_device().await;
    let cancelled = later_with_file(&gateway, device, 3_600).await;
    gateway.engine.cancel(device, cancelled.id).await.unwrap();
    later_with_file(&gateway, device, 3_600).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.blobs.names().len(), 1);
    gateway.engine.remove(gateway.account, device).await.unwrap();
    assert!(gateway.blobs.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_fetched_fails_its_message_and_nothing_else() {
    let (gateway, device) = TestGateway::with_device().await;
    let before = used(&gateway).await;
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    let failed = gateway.until_state(message.id, MessageState::Failed).await;
    assert_eq!(failed.failure.unwrap().code, Failure::MEDIA);
    assert_eq!(failed.attempts, 0);
    assert_eq!(used(&gateway).await, before, "the quota is given back");
    assert_eq!(gateway.engine.stats().media_failed.load(Relaxed), 1);
    let next = gateway.send(device, TO, "next").await;
    gateway.until_state(next.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["next"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_download_holds_back_its_own_chat_only() {
    let gateway = TestGateway::with_pacing(Pacing { min_s: 1, max_s: 1, ..Pacing::off() }).await;
    let device = gateway.linked_device("62811").await;
    let other_device = gateway.linked_device("62822").await;
    gateway.start().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fetch_takes(URL, Duration::from_secs(25));
    let file = send_file(&gateway, device, TO, from_url(URL)).await;
    let same_chat = gateway.send(device, TO, "after").await;
    let other_chat = gateway.send(device, "628999999999", "other chat").await;
    let other = gateway.send(other_device, "628999999999", "other device").await;
    gateway.until_state(other_chat.id, MessageState::Sent).await;
    gateway.until_state(other.id, MessageState::Sent).await;
    assert_eq!(gateway.stored(file.id).await.state, MessageState::Queued);
    gateway.until_state(same_chat.id, MessageState::Sent).await;
    let texts = gateway.texts();
    assert_eq!(texts.last().unwrap(), "after");
    assert_eq!(texts[2], "look");
    assert_eq!(gateway.outside.fake.fetches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn typing_is_shown_when_the_file_is_ready() {
    let gateway = TestGateway::with_pacing(Pacing { typing: true, ..Pacing::off() }).await;
    let device = gateway.linked_device("62811").await;
    gateway.start().await;
    gateway.until_status(device, DeviceStatus::Connected).await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fetch_takes(URL, Duration::from_secs(20));
    let before = gateway.clock.now();
    send_file(&gateway, device, TO, from_url(URL)).await;
    let chat = ChatId::Person(PhoneNumber::from_digits(TO));
    let typing = Call::Typing(device, chat, true);
    gateway.messenger.until(|messenger| messenger.calls().contains(&typing)).await;
    assert_eq!(gateway.clock.now().duration_since(before).as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_download_survives_a_lost_connection() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fetch_takes(URL, Duration::from_secs(10));
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.until_status(device, DeviceStatus::Disconnected).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    gateway.messenger.go_online(device);
    gateway.until_state(message.id, MessageState::Sent).await;
    assert_eq!(gateway.outside.fake.fetches().len(), 1);
    // One that takes longer than a file is kept is fetched anew.
    let late = send_file(&gateway, device, TO, from_url(URL)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    tokio::time::sleep(Duration::from_secs(600)).await;
    gateway.messenger.go_online(device);
    gateway.until_state(late.id, MessageState::Sent).await;
    assert_eq!(gateway.outside.fake.fetches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_message_can_be_cancelled_while_its_file_is_fetched() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fetch_takes(URL, Duration::from_secs(10));
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answer = gateway.engine.cancel(device, message.id).await.unwrap();
    assert!(matches!(answer, Cancellation::Cancelled(_)), "{answer:?}");
    let next = gateway.send(device, TO, "next").await;
    gateway.until_state(next.id, MessageState::Sent).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(gateway.texts(), ["next"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_waits_for_the_store() {
    let (gateway, device) = TestGateway::with_device().await;
    // Bodies can be read, files cannot.
    gateway.store.fail(Outage::Call("inline_media"));
    let message = send_file(&gateway, device, TO, MediaSource::Inline(b"hello".to_vec())).await;
    gateway.store.until_called("inline_media", 3).await;
    assert!(gateway.messenger.sent().is_empty());
    let waiting = gateway.stored(message.id).await;
    assert_eq!((waiting.state, waiting.attempts), (MessageState::Queued, 0), "no attempt");
    assert_eq!(gateway.engine.stats().media_failed.load(Relaxed), 0);
    gateway.store.fail(Outage::None);
    gateway.until_state(message.id, MessageState::Sent).await;
    let Content::File(file) = gateway.messenger.sent().remove(0).1.content else {
        panic!("it has a file")
    };
    assert_eq!(file.media.file.size, 5);
}

/// `n` connected devices.
async fn devices(gateway: &TestGateway, n: usize) -> Vec<DeviceId> {
    let mut devices = Vec::new();
    for n in 0..n {
        devices.push(gateway.linked_device(&format!("628{}{n:03}", gateway.account)).await);
    }
    devices
}

fn hanging(n: usize) -> String {
    format!("https://slow.example.com/{n}.png")
}

/// A hundred URLs that hang, on devices enough to fetch them all at the same time.
async fn a_hundred_that_hang(gateway: &TestGateway, devices: &[DeviceId]) {
    for n in 0..100 {
        gateway.outside.fetch_takes(&hanging(n), Duration::from_secs(30));
        let to = format!("6281{n:08}");
        send_file(gateway, devices[n % devices.len()], &to, from_url(&hanging(n))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_slow_files_of_an_account_delay_no_other_accounts() {
    let gateway = TestGateway::new().await;
    let other = gateway.neighbour("budi").await;
    let (slow, quick) = (devices(&gateway, 30).await, devices(&other, 1).await[0]);
    gateway.start().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    a_hundred_that_hang(&gateway, &slow).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.outside.downloads().0, 4, "the account's share");
    let before = gateway.clock.now();
    for _ in 0..3 {
        let message = send_file(&other, quick, TO, from_url(URL)).await;
        other.until_state(message.id, MessageState::Sent).await;
    }
    assert_eq!(gateway.clock.now(), before);
    // The others fail for what is wrong with them, not for having waited.
    tokio::time::sleep(Duration::from_secs(100 / 4 * 30)).await;
    let failed = gateway.engine.stats().media_failed.load(Relaxed);
    assert_eq!(failed, 100);
    assert_eq!(gateway.engine.stats().attempts_failed.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn many_accounts_with_slow_files_leave_room_for_one_more() {
    let gateway = TestGateway::new().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    let mut slow = Vec::new();
    for n in 0..6 {
        let account = gateway.neighbour(&format!("slow{n}")).await;
        let devices = devices(&account, 5).await;
        slow.push((account, devices));
    }
    let quick = devices(&gateway, 1).await[0];
    gateway.start().await;
    for (account, devices) in &slow {
        a_hundred_that_hang(account, devices).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let message = send_file(&gateway, quick, TO, from_url(URL)).await;
    let before = gateway.clock.now();
    gateway.until_state(message.id, MessageState::Sent).await;
    let waited = gateway.clock.now().duration_since(before).as_secs();
    assert!(waited < 30, "the next download that ends makes room for it: {waited} s");
    assert_eq!(gateway.outside.downloads().1, 16, "never more");
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_waits_for_no_turn() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    for n in 0..100 {
        gateway.outside.fetch_takes(&hanging(n), Duration::from_secs(30));
        let message = send_file(&gateway, device, TO, from_url(&hanging(n))).await;
        gateway.outside.until_downloading(1).await;
        gateway.engine.cancel(device, message.id).await.unwrap();
        assert_eq!(gateway.outside.downloads().0, 0, "it is not wanted any more");
    }
    let before = gateway.clock.now();
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    gateway.until_state(message.id, MessageState::Sent).await;
    assert_eq!(gateway.clock.now(), before);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_no_fault_of_the_message() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fill_disk(true);
    let before = used(&gateway).await;
    let fetched = send_file(&gateway, device, TO, from_url(URL)).await;
    let inline = send_file(&gateway, device, OTHER, MediaSource::Inline(b"hello".to_vec())).await;
    let text = gateway.send(device, TO, "after").await;
    for id in [fetched.id, inline.id] {
        let waiting = gateway.until_attempts(id, 2).await;
        assert_eq!(waiting.state, MessageState::Queued);
        let failure = waiting.failure.unwrap();
        assert_eq!(failure.message, "the file could not be stored");
        assert_eq!(waiting.due_at.duration_since(gateway.clock.now()).as_secs(), 120, "by policy");
    }
    assert_eq!(
        gateway.stored(text.id).await.state,
        MessageState::Queued,
        "its chat keeps its order"
    );
    assert_ne!(used(&gateway).await, before, "nothing is given back while they wait");
    gateway.outside.fill_disk(false);
    gateway.until_state(text.id, MessageState::Sent).await;
    assert_eq!(gateway.stored(fetched.id).await.state, MessageState::Sent);
    gateway.until_state(inline.id, MessageState::Sent).await;
    let texts = gateway.texts();
    assert_eq!((texts.len(), texts.last().unwrap().as_str()), (3, "after"));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stays_full_lets_the_message_expire() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.fill_disk(true);
    let before = used(&gateway).await;
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    let expired = gateway.until_state(message.id, MessageState::Expired).await;
    assert_eq!(expired.reached(MessageState::Expired), expired.expires_at);
    assert!(expired.attempts > 20, "{} attempts", expired.attempts);
    assert_eq!(used(&gateway).await.month_used, before.month_used, "the quota is given back");
}

#[tokio::test(start_paused = true)]
async fn a_codec_without_an_end_is_tried_again() {
    let (gateway, device) = TestGateway::with_device().await;
    gateway.outside.fake.put_file(URL, b"png", "image/png");
    gateway.outside.codec_takes(Duration::from_secs(100_000));
    let message = send_file(&gateway, device, TO, from_url(URL)).await;
    let waiting = gateway.until_attempts(message.id, 1).await;
    assert_eq!(waiting.state, MessageState::Queued);
    gateway.outside.codec_takes(Duration::ZERO);
    gateway.until_state(message.id, MessageState::Sent).await;
}

#[tokio::test(start_paused = true)]
async fn voice_notes_wait_for_the_codec_and_pictures_do_not() {
    let gateway = TestGateway::new().await;
    let other = gateway.neighbour("budi").await;
    let (device, others) = (devices(&gateway, 1).await[0], devices(&other, 1).await[0]);
    gateway.start().await;
    gateway.outside.codec_takes(Duration::from_secs(20));
    let send = async |gateway: &TestGateway, device, to: &str, kind| {
        let source = MediaSource::Inline(b"sound".to_vec());
        let file = FileRequest { kind: Some(kind), ..FileRequest::new(source) };
        let request =
            SendRequest { to: to.into(), content: Content::File(file), ..Default::default() };
        gateway.request(device, request).await.id
    };
    let took = |message: Message| {
        message.reached(MessageState::Sent).unwrap().duration_since(message.created_at).as_secs()
    };
    let first = send(&gateway, device, TO, ContentKind::Voice).await;
    let second = send(&gateway, device, OTHER, ContentKind::Voice).await;
    let picture = send(&gateway, device, "628777777777", ContentKind::Image).await;
    let theirs = send(&other, others, TO, ContentKind::Voice).await;
    assert_eq!(took(gateway.until_state(first, MessageState::Sent).await), 20);
    assert_eq!(took(gateway.until_state(picture, MessageState::Sent).await), 20);
    assert_eq!(took(other.until_state(theirs, MessageState::Sent).await), 20);
    assert_eq!(
        took(gateway.until_state(second, MessageState::Sent).await),
        40,
        "one of an account"
    );
}

// ---- the queue ----------------------------------------------------------------------------------

/// Messages 1 to `n`, each in its own chat, all with a file; message 100 without one.
fn with_files(n: i64) -> Rig {
    let mut rig = Rig::new(Pacing::off());
    rig.files = (1..=n).map(MessageId).collect();
    rig.accept((1..=n).map(|id| entry(id, &format!("chat{id}"))));
    rig.accept([entry(100, "text")]);
    rig
}

#[test]
fn few_files_are_prepared_at_a_time() {
    let slots = i64::try_from(FILE_SLOTS_MAX).unwrap();
    let mut rig = with_files(slots + 2);
    assert_eq!(rig.settle(), ["fetch 1", "fetch 2", "fetch 3", "fetch 4", "send 100"]);
    let is_on_its_way = |id| rig.queue.is_on_its_way(MessageId(id));
    assert_eq!([1, 4, 5, 100].map(is_on_its_way), [true, true, false, true]);
    assert!(rig.file_ready(2));
    assert_eq!(rig.settle(), ["send 2", "fetch 5"], "submitted, its slot is free");
    rig.queue.file_failed(MessageId(1), Failure::new(Failure::MEDIA, "gone"), rig.now);
    assert_eq!(rig.settle(), ["failed 1 media", "fetch 6"]);
}

#[test]
fn a_file_is_not_kept_for_ever() {
    let mut rig = with_files(1);
    assert_eq!(rig.settle(), ["fetch 1", "send 100"]);
    rig.queue.disconnected(rig.now);
    assert!(rig.file_ready(1));
    assert!(rig.advance_to(at_s(FILE_KEPT.as_secs() - 1)).is_empty());
    assert!(rig.queue.wants_file(MessageId(1)));
    assert_eq!(rig.next_wake, Some(at_s(FILE_KEPT.as_secs())));
    rig.advance_to(at_s(FILE_KEPT.as_secs()));
    assert!(!rig.queue.wants_file(MessageId(1)));
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["fetch 1", "send 100"]);
}

#[test]
fn a_repeat_after_a_lost_connection_waits_for_a_slot() {
    let mut rig = with_files(6);
    rig.settle();
    rig.file_ready(1);
    assert_eq!(rig.settle(), ["send 1", "fetch 5"]);
    rig.queue.disconnected(rig.now);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 100"], "four files are being fetched");
    rig.queue.file_failed(MessageId(3), Failure::new(Failure::MEDIA, "gone"), rig.now);
    let log = rig.settle();
    assert_eq!(log, ["failed 3 media", "fetch 1"], "what may have arrived goes first");
}

#[test]
fn repeats_take_the_slots_that_there_are() {
    let mut rig = with_files(5);
    rig.settle();
    for id in 1..=5 {
        rig.file_ready(id);
        rig.settle();
    }
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["fetch 1", "fetch 2", "fetch 3", "fetch 4", "send 100"]);
    rig.file_ready(4);
    assert_eq!(rig.settle(), ["send 4", "fetch 5"]);
}

#[test]
fn a_first_contact_whose_file_did_not_come_costs_nothing() {
    type Outcome = fn(&mut Rig);
    let fails: Outcome = |rig| {
        let failure = Failure::new(Failure::MEDIA, "gone");
        rig.queue.file_failed(MessageId(1), failure, rig.now);
    };
    let is_delayed: Outcome =
        |rig| rig.queue.file_delayed(MessageId(1), "the disk is full".into(), rig.now);
    for (outcome, expected) in [(fails, "failed 1 "), (is_delayed, "again 1 ")] {
        let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..Pacing::off() });
        rig.files = [MessageId(1)].into();
        rig.accept([entry(1, "s1"), entry(2, "s2")]);
        assert_eq!(rig.settle(), ["fetch 1"]);
        outcome(&mut rig);
        let actions = rig.settle();
        assert!(actions.len() == 2 && actions[0].starts_with(expected), "{actions:?}");
        assert_eq!(actions[1], "send 2");
        rig.accept([entry(3, "s1")]);
        assert_eq!(
            rig.advance_s(60).first().map(String::as_str),
            Some("again 2 no_acknowledgement")
        );
        assert!(rig.queue.contains(MessageId(3)), "a stranger as before");
    }
}
