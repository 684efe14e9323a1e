//! First contacts while WhatsApp restricts a number: held, shown, and sent when it is over.

use domain::chat::{ChatId, Lid};
use domain::contact::Identity;
use domain::device::DisconnectReason;
use domain::ids::MessageId;
use domain::message::{MessageState, Waiting, WaitingReason};
use domain::phone::PhoneNumber;
use domain::policy::pacing::{Pacing, QuietHours};
use domain::ports::{
    Clock as _, DeviceStore as _, Dispatcher as _, MessengerEvent, MessengerEvents as _,
    OutboxEntry,
};
use domain::webhook::EventKind;
use engine::queue::{DeviceQueue, Settings};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use testkit::scripted_messenger::{Answer, Call};

use crate::rig::{Rig, START, at_s, entry};
use crate::test_gateway::TestGateway;

const FRIEND: &str = "friend@s.whatsapp.net";

fn unpaced() -> Rig {
    let mut rig = Rig::new(Pacing::off());
    rig.queue.learn_contacts(&[FRIEND.into()], 0, START);
    rig
}

fn waiting(rig: &Rig, id: i64) -> Option<(WaitingReason, Option<i64>)> {
    let Waiting { reason, until } = rig.queue.waiting_for(MessageId(id), rig.now)?;
    Some((reason, until.map(|until| until.duration_since(START).as_secs())))
}

#[test]
fn strangers_are_held_until_the_restriction_ends() {
    let mut rig = unpaced();
    rig.accept([entry(1, "s1"), entry(2, "s2")]);
    assert_eq!(rig.settle(), ["send 1", "send 2"]);
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    for id in [1, 2] {
        rig.refuse(id, 463);
    }
    rig.accept([entry(3, "friend"), entry(4, "s3"), entry(5, "s1")]);
    let expected = ["load contacts", "again 1 refused_463", "again 2 refused_463", "send 3"];
    assert_eq!(rig.settle(), expected, "nothing fails, and friends are written to");
    for id in [1, 2, 4, 5] {
        let lock = Some((WaitingReason::ReachoutTimelock, Some(3_600)));
        assert_eq!(waiting(&rig, id), lock, "{id}");
    }
    rig.ack(3);
    let expected = ["0: sent 3", "3600: send 1", "3600: send 2", "3600: send 4"];
    assert_eq!(rig.timeline_s(3_600), expected);
}

#[test]
fn a_restriction_that_is_lifted_or_prolonged_counts_at_once() {
    let mut rig = unpaced();
    rig.queue.restrict(Some(at_s(100)), rig.now);
    rig.accept([entry(1, "s1")]);
    assert_eq!(rig.settle(), ["load contacts"]);
    rig.queue.restrict(Some(at_s(500)), rig.now);
    assert_eq!(rig.timeline_s(200), ["0: load contacts"]);
    rig.queue.restrict(None, rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
    // A time that has passed is none.
    rig.queue.restrict(Some(at_s(10)), rig.now);
    rig.queue.restrict(Some(at_s(200)), rig.now);
    rig.accept([entry(2, "s2")]);
    assert_eq!(rig.settle(), ["send 2"]);
}

#[test]
fn a_friend_who_is_taken_for_a_stranger_is_tried_again_and_then_held() {
    let mut rig = unpaced();
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    rig.accept([entry(1, "friend")]);
    assert_eq!(rig.settle(), ["load contacts", "send 1"]);
    rig.refuse(1, 463);
    assert_eq!(rig.timeline_s(30), ["0: again 1 refused_463", "30: send 1"]);
    rig.refuse(1, 463);
    assert_eq!(rig.settle(), ["again 1 refused_463"]);
    assert_eq!(waiting(&rig, 1), Some((WaitingReason::ReachoutTimelock, Some(3_600))));
    // A token has come.
    rig.queue.know(&[FRIEND.into()], rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
}

#[test]
fn a_group_that_is_taken_for_a_stranger_is_held_too() {
    let mut rig = unpaced();
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    rig.accept([OutboxEntry { chat: "120363@g.us".into(), ..entry(1, "") }]);
    assert_eq!(rig.settle(), ["load contacts", "send 1"]);
    rig.refuse(1, 463);
    assert_eq!(rig.timeline_s(30), ["0: again 1 refused_463", "30: send 1"]);
    rig.refuse(1, 463);
    assert_eq!(rig.timeline_s(3_570), ["30: again 1 refused_463", "3600: send 1"]);
}

#[test]
fn only_the_refusal_of_strangers_holds_and_only_of_an_attempt_that_runs() {
    let mut rig = unpaced();
    rig.accept([entry(1, "s1")]);
    rig.settle();
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    rig.refuse(1, 503);
    let expected = ["0: load contacts", "0: again 1 refused_503", "30: send 1"];
    assert_eq!(rig.timeline_s(59), expected);
    assert_eq!(rig.timeline_s(1), ["60: again 1 no_acknowledgement"]);
    rig.refuse(1, 463);
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(waiting(&rig, 1), Some((WaitingReason::Retry, Some(180))));
}

#[test]
fn one_who_is_held_is_the_days_first_contact_again_later() {
    let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..Pacing::off() });
    rig.accept([entry(1, "s1")]);
    rig.settle();
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    rig.refuse(1, 463);
    let expected = ["0: load contacts", "0: again 1 refused_463", "3600: send 1"];
    assert_eq!(rig.timeline_s(3_600), expected);
}

#[test]
fn a_restriction_outlasts_the_day_and_the_later_end_counts() {
    let midnight = 9 * 3_600;
    let mut rig = unpaced();
    rig.queue.restrict(Some(at_s(midnight + 60)), rig.now);
    rig.queue.restrict(Some(at_s(midnight + 60)), rig.now);
    rig.accept([entry(1, "s1")]);
    assert_eq!(rig.settle(), ["load contacts"], "once");
    assert_eq!(rig.advance_to(at_s(midnight)), [""; 0]);
    assert_eq!(rig.timeline_s(60), ["32460: send 1"]);

    use WaitingReason::{FirstContacts, ReachoutTimelock};
    let cases = [
        (1, midnight - 1, FirstContacts, midnight),
        (1, midnight, ReachoutTimelock, midnight),
        (1, midnight + 1, ReachoutTimelock, midnight + 1),
        (0, midnight - 1, ReachoutTimelock, midnight - 1),
    ];
    for (spent, locked_until, reason, until) in cases {
        let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..Pacing::off() });
        rig.queue.learn_contacts(&[], spent, START);
        rig.queue.restrict(Some(at_s(locked_until)), START);
        rig.accept([entry(1, "s1")]);
        assert_eq!(waiting(&rig, 1), Some((reason, Some(until))), "{spent} {locked_until}");
    }
}

#[test]
fn a_person_who_was_written_to_by_lid_is_no_stranger_by_number() {
    let mut rig = unpaced();
    let lid = ChatId::Lid(Lid::from_user("9"));
    let identity = Identity { phone: PhoneNumber::from_digits("628222"), lid: Lid::from_user("9") };
    rig.queue.learn_contacts(std::slice::from_ref(&lid), 0, rig.now);
    rig.queue.restrict(Some(at_s(3_600)), rig.now);
    rig.accept([entry(1, "628222")]);
    assert_eq!(rig.settle(), ["load contacts"]);
    rig.queue.identify(&lid, &identity.chat(), rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
}

#[test]
fn the_limit_of_a_new_device_grows_with_its_age() {
    let pacing = Pacing { min_s: 0, max_s: 0, typing: false, ..Pacing::between(0, 0).unwrap() };
    let zone = TimeZone::get("Asia/Jakarta").unwrap();
    let settings = Settings { pacing, zone, linked_at: Some(START) };
    let mut queue = DeviceQueue::new(settings, START);
    queue.connected(START);
    for id in 1..=100 {
        let far = Some(at_s(30 * 86_400));
        let entry = OutboxEntry { expires_at: far, ..entry(id, &format!("s{id}")) };
        queue.accepted(entry, START);
    }
    let mut picked = Vec::new();
    for day in 0..3 {
        let actions = (0..20).flat_map(|_| {
            let now = at_s(day * 86_400);
            let actions = queue.step(now, || 0).actions;
            for action in &actions {
                if let engine::queue::Action::Load(id) = action {
                    queue.vanished(*id, now);
                }
            }
            actions
        });
        picked.push(actions.count());
    }
    assert_eq!(picked, [10, 12, 15]);
}

#[test]
fn what_messages_wait_for() {
    let quiet =
        QuietHours { from: Time::constant(16, 0, 0, 0), until: Time::constant(17, 0, 0, 0) };
    let pacing = Pacing {
        min_s: 10,
        max_s: 10,
        first_contacts_per_day: Some(2),
        quiet_hours: Some(quiet),
        ..Pacing::off()
    };
    let mut rig = Rig::new(pacing);
    rig.queue.learn_contacts(&["b", "c"].map(|b| format!("{b}@s.whatsapp.net").into()), 0, START);
    let later = OutboxEntry { due_at: at_s(50), is_scheduled: true, ..entry(5, "b") };
    rig.accept([entry(1, "s1"), entry(2, "b"), entry(3, "b"), entry(4, "s2"), later]);
    rig.queue.disconnected(rig.now);
    rig.settle();
    assert_eq!(waiting(&rig, 2), Some((WaitingReason::NotConnected, None)));
    assert_eq!(waiting(&rig, 5), Some((WaitingReason::Scheduled, Some(50))));
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
    assert_eq!(waiting(&rig, 1), None, "it is on its way");
    assert_eq!(waiting(&rig, 2), Some((WaitingReason::Pacing, Some(10))));
    assert!(matches!(waiting(&rig, 3), Some((WaitingReason::ChatOrder, Some(10..)))));
    rig.refuse(1, 429);
    rig.settle();
    assert_eq!(waiting(&rig, 1), Some((WaitingReason::Retry, Some(30))));
    rig.accept([entry(6, "s3")]);
    rig.advance_s(60);
    assert_eq!(waiting(&rig, 6), Some((WaitingReason::FirstContacts, Some(9 * 3_600))));
    rig.now = at_s(3_700);
    rig.accept([entry(7, "c")]);
    rig.settle();
    assert_eq!(waiting(&rig, 7), Some((WaitingReason::QuietHours, Some(7_200))));
    assert_eq!(waiting(&rig, 99), None);
}

#[test]
fn what_messages_on_their_way_wait_for() {
    use WaitingReason::{File, NotConnected, Pacing as Pause};
    let mut rig = Rig::new(Pacing { typing: true, min_s: 10, max_s: 10, ..Pacing::off() });
    rig.text = "x".repeat(100);
    rig.files.insert(MessageId(1));
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.settle(), ["fetch 1", "typing 2"]);
    let both = |rig: &Rig| [1, 2].map(|id| waiting(rig, id));
    assert_eq!(both(&rig), [Some((File, None)), Some((Pause, Some(4)))]);
    assert_eq!(rig.advance_s(4), ["send 2"]);
    assert!(rig.file_ready(1));
    assert_eq!(both(&rig), [Some((Pause, Some(14))), None]);
    rig.queue.disconnected(rig.now);
    assert_eq!(both(&rig), [Some((NotConnected, None)); 2]);
    rig.queue.connected(rig.now);
    rig.queue.pause(at_s(20));
    assert_eq!(both(&rig), [Some((NotConnected, Some(20))), None]);
    rig.now = at_s(20);
    assert_eq!(waiting(&rig, 1), Some((Pause, None)), "it may go at once");
}

#[test]
fn what_waits_behind_others() {
    use WaitingReason::{ChatOrder, File, NotConnected};
    let mut rig = Rig::new(Pacing::off());
    rig.accept([entry(1, "a"), entry(2, "a")]);
    assert_eq!(waiting(&rig, 2), Some((ChatOrder, None)), "as soon as it is accepted");
    rig.settle();
    assert_eq!(waiting(&rig, 2), Some((ChatOrder, None)));
    // Behind files of other chats.
    let mut rig = Rig::new(Pacing::off());
    rig.files = (1..=5).map(MessageId).collect();
    rig.accept((1..=5).map(|id| entry(id, &format!("c{id}"))));
    rig.settle();
    rig.queue.disconnected(rig.now);
    assert_eq!(waiting(&rig, 5), Some((File, None)));
    rig.queue.file_put_off(MessageId(1), rig.now);
    assert_eq!(waiting(&rig, 5), Some((NotConnected, None)));
}

#[tokio::test(start_paused = true)]
async fn a_restriction_is_shown_emitted_and_outlives_a_restart() {
    let (mut gateway, device) = TestGateway::with_device().await;
    let mut live = gateway.engine.watch_account(gateway.account);
    gateway.messenger.answer_all(Answer::LoseAck);
    let message = gateway.send(device, "628222000001", "Halo").await;
    gateway.messenger.until(|messenger| !messenger.sent().is_empty()).await;
    let until = Timestamp::from_second(gateway.clock.now().as_second() + 6 * 3_600).unwrap();
    gateway.messenger.emit(device, MessengerEvent::Restricted(Some(until)));
    gateway.messenger.emit(device, MessengerEvent::Refused(message.whatsapp_id.clone(), 463));
    let held = gateway.until_attempts(message.id, 1).await;
    assert_eq!(held.state, MessageState::Queued);
    assert_eq!(live.next().await.unwrap().kind, EventKind::DeviceRestricted);
    let waits = gateway.engine.waiting(device, vec![message.id]).await;
    let expected = Waiting { reason: WaitingReason::ReachoutTimelock, until: Some(until) };
    assert_eq!(waits, [(message.id, expected)]);
    assert_eq!(gateway.stored_device(device).await.restricted_until, Some(until));
    gateway.engine.chats_known(device, vec!["628333000001@s.whatsapp.net".into()]).await.unwrap();

    gateway.restart().await;
    gateway.start().await;
    gateway.until_status(device, domain::device::DeviceStatus::Connected).await;
    let friend = gateway.send(device, "628333000001", "Halo lagi").await;
    gateway.until_state(friend.id, MessageState::Sent).await;
    assert_eq!(gateway.texts(), ["Halo lagi"], "the stranger waits");
    let sent = gateway.until_state(message.id, MessageState::Sent).await;
    assert!(sent.reached(MessageState::Sent).unwrap() >= until);
    gateway.store.restrict_device(device, None, until).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restriction_that_is_lifted_early_is_noticed() {
    let (gateway, device) = TestGateway::with_device().await;
    let hours = jiff::SignedDuration::from_hours;
    let restricted_until = async || gateway.stored_device(device).await.restricted_until;
    gateway.messenger.answer_next([Answer::LoseAck]);
    let message = gateway.send(device, "628222000001", "Halo").await;
    gateway.messenger.until(|messenger| !messenger.sent().is_empty()).await;
    let since = gateway.clock.now();
    let until = Some(since + hours(6));
    gateway.messenger.emit(device, MessengerEvent::Restricted(until));
    gateway.messenger.emit(device, MessengerEvent::Refused(message.whatsapp_id.clone(), 463));
    gateway.until_attempts(message.id, 1).await;
    gateway.messenger.set_restriction(Ok(None));
    let sent = gateway.until_state(message.id, MessageState::Sent).await;
    let sent_at = sent.reached(MessageState::Sent).unwrap();
    let waited_s = sent_at.duration_since(since).as_secs();
    assert!((3_599..7_200).contains(&waited_s), "asked once an hour: {waited_s}");
    gateway.until(async || restricted_until().await.is_none().then_some(())).await;

    gateway.messenger.emit(device, MessengerEvent::Restricted(Some(sent_at + hours(6))));
    gateway.until(async || restricted_until().await.is_some().then_some(())).await;
    let other = gateway.send(device, "628222000002", "Halo").await;
    gateway.messenger.go_offline(device, DisconnectReason::ConnectionLost);
    gateway.messenger.go_online(device);
    let sent = gateway.until_state(other.id, MessageState::Sent).await;
    let sent_at = sent.reached(MessageState::Sent).unwrap();
    assert!(sent_at < other.due_at + hours(1), "asked when it connects");
    let asked = |call: &Call| matches!(call, Call::Restriction(of) if *of == device);
    assert_eq!(gateway.messenger.calls().iter().filter(|call| asked(call)).count(), 2);
}
