//! The rules of a device's queue, one table or story each.

use domain::ids::{MessageId, WhatsappId};
use domain::message::{Failure, MessageEvent, Receipt};
use domain::policy::pacing::{Pacing, QuietHours};
use domain::ports::{OutboxEntry, SendError};
use engine::queue::{Action, EXPIRIES_PER_STEP_MAX, IN_FLIGHT_MAX};
use jiff::civil::Time;

use crate::rig::{Rig, START, at_s, entry, wa};

fn unpaced(entries: impl IntoIterator<Item = OutboxEntry>) -> Rig {
    let mut rig = Rig::new(Pacing::off());
    rig.accept(entries);
    rig
}

/// What is left on the wire when every message is acknowledged as soon as it is sent.
fn order(mut rig: Rig) -> Vec<i64> {
    let mut order = Vec::new();
    loop {
        let log = rig.settle();
        let sent: Vec<i64> =
            log.iter().filter_map(|e| e.strip_prefix("send ")?.parse().ok()).collect();
        if sent.is_empty() {
            return order;
        }
        for id in sent {
            order.push(id);
            rig.ack(id);
        }
    }
}

// ---- order --------------------------------------------------------------------------------------

#[test]
fn who_goes_first() {
    let urgent = |id, chat| OutboxEntry { priority: 10, ..entry(id, chat) };
    let late = |id, chat| OutboxEntry { due_at: at_s(-5), ..entry(id, chat) };
    let cases: [(&str, Vec<OutboxEntry>, &[i64]); 5] = [
        ("one chat: by id", vec![entry(2, "a"), entry(1, "a"), entry(3, "a")], &[1, 2, 3]),
        ("two chats: who waits longest", vec![entry(1, "a"), entry(2, "b")], &[1, 2]),
        ("two chats: due first", vec![entry(1, "a"), late(2, "b")], &[2, 1]),
        ("priority between chats", vec![entry(1, "a"), urgent(2, "b")], &[2, 1]),
        ("never inside a chat", vec![entry(1, "a"), urgent(2, "a"), entry(3, "b")], &[1, 3, 2]),
    ];
    for (name, entries, expected) in cases {
        assert_eq!(order(unpaced(entries)), expected, "{name}");
    }
}

#[test]
fn an_urgent_message_lifts_its_whole_chat() {
    // With pacing, so that one goes after the other.
    let mut rig = Rig::new(Pacing { min_s: 1, max_s: 1, ..Pacing::off() });
    let urgent = OutboxEntry { priority: 5, ..entry(9, "z") };
    rig.accept([entry(1, "a"), entry(2, "b"), entry(8, "z"), urgent]);
    assert_eq!(rig.settle(), ["send 8"]);
    rig.ack(8);
    assert_eq!(rig.advance_s(1), ["sent 8", "send 9"]);
    assert_eq!(rig.advance_s(2), ["send 1", "send 2"]);
}

#[test]
fn a_chat_is_urgent_for_as_long_as_one_of_its_messages_is() {
    // A message that stands in its line counts once, also when the clock was set back meanwhile.
    for is_set_back in [false, true] {
        let mut rig = Rig::new(paced(1, 1));
        let due = |id, chat, priority| OutboxEntry { priority, due_at: at_s(5), ..entry(id, chat) };
        rig.now = at_s(5);
        rig.accept([due(1, "a", 0), due(5, "z", 10), due(6, "z", 10), due(7, "z", 0)]);
        if is_set_back {
            rig.queue.know(&["friend@s.whatsapp.net".into()], START);
            rig.now = START;
        }
        let mut log = rig.advance_to(at_s(5));
        for next in [5, 6, 1, 7] {
            assert_eq!(log.last().unwrap(), &format!("send {next}"), "{is_set_back}");
            rig.ack(next);
            log = rig.advance_s(1);
        }
    }
}

#[test]
fn what_was_attempted_before_a_restart_goes_before_all_else_of_its_chat() {
    let tried = || OutboxEntry { attempts: 2, ..entry(5, "a") };
    assert_eq!(order(unpaced([tried(), entry(3, "a")])), [5, 3]);
    assert_eq!(order(unpaced([entry(3, "a"), tried()])), [5, 3]);
}

#[test]
fn what_was_put_back_stands_in_its_line_unless_it_was_attempted_before() {
    for (attempts, next) in [(0, "typing 3"), (1, "typing 5")] {
        let mut rig = Rig::new(Pacing { typing: true, ..Pacing::off() });
        rig.accept([OutboxEntry { attempts, ..entry(5, "a") }]);
        assert_eq!(rig.settle(), ["typing 5"]);
        rig.accept([entry(3, "a")]);
        rig.queue.connected(rig.now);
        assert_eq!(rig.settle(), ["no typing 5", next], "after {attempts} attempts");
    }
}

#[test]
fn one_unacknowledged_message_per_chat() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a"), entry(3, "b")]);
    assert_eq!(rig.settle(), ["send 1", "send 3"]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1", "send 2"]);
    assert_eq!([1, 2, 3].map(|id| rig.queue.has(MessageId(id))), [false, true, true]);
}

#[test]
fn two_spellings_of_a_number_are_one_chat() {
    let merge = |rig: &mut Rig| {
        let [from, into] = ["9", "8"].map(|chat| entry(1, chat).chat);
        rig.queue.merge(from, into, rig.now);
    };
    // The first message to it says so: what it is tried with has the chat of the other spelling.
    let later = OutboxEntry { due_at: at_s(20), is_scheduled: true, ..entry(5, "9") };
    let mut rig = unpaced([entry(1, "9"), entry(2, "9"), later]);
    assert_eq!(rig.settle(), ["send 1"]);
    merge(&mut rig);
    rig.accept([entry(3, "8"), entry(4, "9"), entry(6, "8")]);
    assert_eq!(rig.settle(), [""; 0]);
    for (id, next) in [(1, "send 2"), (2, "send 3"), (3, "send 4"), (4, "send 6")] {
        rig.ack(id);
        assert_eq!(rig.settle(), [format!("sent {id}"), next.to_owned()]);
    }
    assert_eq!(rig.timeline_s(20), [""; 0], "that one is the chat's only one on its way");
    rig.ack(6);
    assert_eq!(rig.settle(), ["sent 6", "send 5"]);
    // Both wait: by their ids, whichever spelling they bear.
    let mut rig = unpaced([entry(1, "other")]);
    rig.queue.hold(true, rig.now);
    rig.accept([entry(4, "8"), entry(3, "9"), entry(2, "8")]);
    merge(&mut rig);
    rig.queue.hold(false, rig.now);
    assert_eq!(order(rig), [1, 2, 3, 4]);
    // Both are on their way: each line goes on by itself, and nothing is lost.
    let mut rig = unpaced([entry(1, "9"), entry(2, "8"), entry(3, "9"), entry(4, "8")]);
    assert_eq!(rig.settle(), ["send 1", "send 2"]);
    merge(&mut rig);
    rig.accept([entry(5, "9")]);
    rig.ack(2);
    assert_eq!(rig.settle(), ["sent 2", "send 4"]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1", "send 3"]);
    rig.ack(3);
    rig.ack(4);
    assert_eq!(rig.settle(), ["sent 3", "sent 4", "send 5"]);
}

#[test]
fn a_chat_that_is_renamed_again_keeps_all_its_names() {
    let mut rig = unpaced([]);
    for names in [["9", "8"], ["x", "y"], ["8", "7"]] {
        let [from, into] = names.map(|chat| entry(1, chat).chat);
        rig.queue.merge(from, into, rig.now);
    }
    rig.accept([entry(1, "9"), entry(2, "8"), entry(3, "7"), entry(4, "x"), entry(5, "y")]);
    assert_eq!(rig.settle(), ["send 1", "send 4"]);
    rig.ack(1);
    rig.ack(4);
    assert_eq!(rig.settle(), ["sent 1", "sent 4", "send 2", "send 5"]);
    rig.ack(2);
    assert_eq!(rig.settle(), ["sent 2", "send 3"]);
}

#[test]
fn at_most_so_many_unacknowledged_per_device() {
    let mut rig = unpaced((1..=40).map(|id| entry(id, &format!("c{id}"))));
    assert_eq!(rig.settle().len(), IN_FLIGHT_MAX);
    assert_eq!(rig.queue.unacknowledged(), IN_FLIGHT_MAX);
    rig.ack(3);
    assert_eq!(rig.settle(), ["sent 3", "send 17"]);
}

#[test]
fn a_scheduled_message_holds_back_none_before_it_is_due() {
    let scheduled = OutboxEntry { due_at: at_s(60), is_scheduled: true, ..entry(1, "a") };
    let mut rig = unpaced([scheduled, entry(2, "a"), entry(3, "a")]);
    assert_eq!(rig.settle(), ["send 2"]);
    rig.ack(2);
    assert_eq!(rig.settle(), ["sent 2", "send 3"]);
    // Due while 3 is in the air: it waits for that, and then goes before what came later.
    rig.accept([entry(4, "a")]);
    assert_eq!(rig.advance_s(25), [""; 0]);
    rig.ack(3);
    rig.now = at_s(60);
    let log = rig.settle();
    assert_eq!(log, ["sent 3", "send 1"], "{log:?}");
    assert_eq!(rig.queue.len(), 2);
}

#[test]
fn a_known_message_is_not_taken_twice() {
    let mut rig = unpaced([entry(1, "a"), entry(1, "a")]);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.accept([entry(1, "a")]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1"]);
    assert!(rig.queue.is_empty());
}

// ---- pacing -------------------------------------------------------------------------------------

fn paced(min_s: u32, max_s: u32) -> Pacing {
    Pacing { min_s, max_s, ..Pacing::off() }
}

#[test]
fn pauses_follow_each_hand_over() {
    let mut rig = Rig::new(paced(3, 8));
    rig.accept([entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    assert_eq!(rig.timeline_s(7), ["0: send 1", "3: send 2", "6: send 3"]);
}

#[test]
fn the_pause_begins_when_the_message_is_on_the_wire() {
    let mut rig = Rig::new(paced(3, 3));
    rig.answers = false;
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.settle(), ["send 1"]);
    assert_eq!(rig.advance_s(10), [""; 0], "one at a time");
    rig.queue.submitted(MessageId(1), rig.now);
    assert_eq!(rig.timeline_s(4), ["13: send 2"]);
}

#[test]
fn an_acknowledgement_begins_no_pause() {
    let mut rig = Rig::new(paced(3, 3));
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.advance_s(2), ["send 1"]);
    rig.ack(1);
    assert_eq!(rig.timeline_s(4), ["2: sent 1", "3: send 2"]);
}

/// A device that types for four seconds, and rests for one; messages 1, 2 and 3 wait, each in its
/// chat.
fn typing() -> Rig {
    let mut rig = Rig::new(Pacing { typing: true, ..paced(1, 1) });
    rig.text = "x".repeat(100);
    rig.accept([entry(1, "a"), entry(2, "b"), entry(3, "c")]);
    rig
}

#[test]
fn what_happens_to_others_ends_nobodys_turn() {
    // An earlier message is acknowledged while the next one is typed.
    let mut rig = typing();
    assert_eq!(rig.timeline_s(6), ["0: typing 1", "4: send 1", "5: typing 2"]);
    rig.ack(1);
    assert_eq!(rig.timeline_s(4), ["6: sent 1", "9: send 2", "10: typing 3"]);
    // It was submitted on a connection that broke, and the messenger says so now.
    let mut rig = typing();
    rig.answers = false;
    assert_eq!(rig.timeline_s(4), ["0: typing 1", "4: send 1"]);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["typing 2"]);
    rig.queue.submitted(MessageId(1), rig.now);
    assert_eq!(rig.timeline_s(6), ["4: send 1", "8: send 2"]);
    // Its file could not be read.
    let mut rig = typing();
    rig.files.insert(MessageId(1));
    assert_eq!(rig.settle(), ["fetch 1", "typing 2"]);
    rig.queue.file_put_off(MessageId(1), rig.now);
    assert_eq!(rig.timeline_s(5), ["4: send 2", "5: fetch 1", "5: typing 3"]);
}

#[test]
fn typing_time_comes_before_the_message() {
    let mut rig = Rig::new(Pacing { typing: true, ..paced(3, 3) });
    rig.text = "x".repeat(50);
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(
        rig.timeline_s(8),
        ["0: typing 1", "2: send 1", "5: typing 2", "7: send 2"],
        "two seconds for fifty characters"
    );
}

#[test]
fn no_typing_where_nobody_wants_it() {
    let cases = [(true, false), (false, true), (false, false)];
    for (pacing_types, message_types) in cases {
        let mut rig = Rig::new(Pacing { typing: pacing_types, ..Pacing::off() });
        rig.typing = message_types;
        rig.accept([entry(1, "a")]);
        assert_eq!(rig.settle(), ["send 1"], "{pacing_types} {message_types}");
    }
}

#[test]
fn quiet_hours_hold_back_new_messages() {
    let quiet =
        QuietHours { from: Time::constant(15, 0, 0, 0), until: Time::constant(16, 0, 0, 0) };
    let mut rig = Rig::new(Pacing { quiet_hours: Some(quiet), ..Pacing::off() });
    rig.accept([entry(1, "a")]);
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(rig.next_wake, Some(at_s(3_600)));
    assert_eq!(rig.timeline_s(3_600), ["3600: send 1"]);
}

#[test]
fn quiet_hours_wake_nobody_before_they_end_when_the_clocks_go_back() {
    let quiet =
        QuietHours { from: Time::constant(22, 0, 0, 0), until: Time::constant(2, 30, 0, 0) };
    let pacing = Pacing { quiet_hours: Some(quiet), ..Pacing::off() };
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let mut rig = Rig::new(Pacing::off());
    rig.queue.configure(engine::queue::Settings { pacing, zone, linked_at: None }, START);
    // At 01:00Z three o'clock became two o'clock: it is half past two again at 01:30Z.
    let [now, end] = ["2027-10-31T01:15:00Z", "2027-10-31T01:30:00Z"].map(|at| at.parse().unwrap());
    rig.queue.accepted(OutboxEntry { expires_at: None, ..entry(1, "a") }, now);
    let step = rig.queue.step(now, || 0);
    assert_eq!((step.actions, step.next_wake), (vec![], Some(end)));
}

#[test]
fn the_budget_holds_back_strangers_only() {
    let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(2), ..Pacing::off() });
    rig.queue.learn_contacts(&["friend@s.whatsapp.net".into()], 1, START);
    let group = OutboxEntry { chat: "120363041234567890@g.us".into(), ..entry(5, "") };
    rig.accept([entry(1, "s1"), entry(2, "s2"), entry(3, "friend"), entry(4, "s1"), group]);
    assert_eq!(rig.settle(), ["send 1", "send 3", "send 5"]);
    for id in [1, 3, 5] {
        rig.ack(id);
    }
    assert_eq!(rig.settle(), ["sent 1", "sent 3", "sent 5", "send 4"], "s1 is known by now");
    rig.ack(4);
    rig.settle();
    // Midnight in Jakarta is 17:00 UTC.
    assert_eq!(rig.next_wake, Some(at_s(9 * 3_600)));
    assert_eq!(rig.timeline_s(9 * 3_600), ["32400: send 2"]);
}

#[test]
fn a_spent_budget_delays_nobody_who_is_known() {
    let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..paced(10, 10) });
    rig.queue.learn_contacts(&["friend@s.whatsapp.net".into()], 0, START);
    rig.accept([entry(1, "s1"), entry(2, "s2"), entry(3, "friend")]);
    assert_eq!(rig.timeline_s(11), ["0: send 1", "10: send 3"]);
}

#[test]
fn the_day_of_first_contacts_is_the_accounts() {
    // As after a start: the zone is learnt with the device.
    let mut rig = Rig::new(Pacing::off());
    let pacing = Pacing { first_contacts_per_day: Some(1), ..Pacing::off() };
    for (zone, midnight_s) in [("Pacific/Kiritimati", 2 * 3_600), ("Asia/Jakarta", 9 * 3_600)] {
        let zone = jiff::tz::TimeZone::get(zone).unwrap();
        let settings = engine::queue::Settings { pacing: pacing.clone(), zone, linked_at: None };
        rig.queue.configure(settings, rig.now);
        rig.queue.learn_contacts(&[], 1, rig.now);
        rig.accept([entry(1, "s1")]);
        assert_eq!(rig.settle(), [""; 0]);
        assert_eq!(rig.next_wake, Some(at_s(midnight_s)));
    }
}

#[test]
fn a_first_contact_that_did_not_happen_costs_nothing() {
    let mut rig = Rig::new(Pacing { first_contacts_per_day: Some(1), ..Pacing::off() });
    rig.answers = false;
    rig.accept([entry(1, "s1"), entry(2, "s2")]);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.queue.send_failed(MessageId(1), SendError::NotConnected, rig.now);
    assert_eq!(rig.advance_s(1), ["send 1"]);
}

#[test]
fn changed_settings_count_at_once() {
    let mut rig = Rig::new(paced(3_600, 3_600));
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.advance_s(10), ["send 1"]);
    let zone = jiff::tz::TimeZone::UTC;
    let settings = engine::queue::Settings { pacing: Pacing::off(), zone, linked_at: None };
    rig.queue.configure(settings, rig.now);
    assert_eq!(rig.settle(), ["send 2"]);
    // The same pacing elsewhere: its pause goes on.
    let mut rig = Rig::new(paced(10, 10));
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.advance_s(5), ["send 1"]);
    let zone = jiff::tz::TimeZone::UTC;
    let settings = engine::queue::Settings { pacing: paced(10, 10), zone, linked_at: None };
    rig.queue.configure(settings, rig.now);
    assert_eq!(rig.timeline_s(6), ["10: send 2"]);
}

// ---- expiry -------------------------------------------------------------------------------------

fn expiring(id: i64, chat: &str, s: i64) -> OutboxEntry {
    OutboxEntry { expires_at: Some(at_s(s)), ..entry(id, chat) }
}

#[test]
fn what_is_not_submitted_in_time_expires() {
    let mut rig = unpaced([expiring(1, "a", 10)]);
    rig.queue.disconnected(START);
    assert_eq!(rig.timeline_s(20), ["10: expired 1"]);
    assert_eq!(rig.records[0].steps, [(MessageEvent::Expired, at_s(10))]);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), [""; 0]);
}

#[test]
fn what_is_fetched_too_late_or_for_nothing_is_not_wanted() {
    let id = MessageId(1);
    let mut rig = unpaced([expiring(1, "a", 10)]);
    assert_eq!(rig.queue.step(START, || 0).actions, [Action::Load(id)]);
    assert!(!rig.queue.loaded(id, false, "", at_s(10), || 0));
    assert!(!rig.queue.needs_file(id, at_s(10)));
    // The store could not be read: it is loaded again.
    rig.queue.load_failed(id, at_s(9));
    assert_eq!(rig.queue.step(at_s(9), || 0).actions, [Action::Load(id)]);
    assert!(rig.queue.loaded(id, false, "", at_s(9), || 0));
    // It is being submitted.
    assert!(!rig.queue.loaded(id, false, "", at_s(9), || 0));
    assert!(!rig.queue.needs_file(id, at_s(9)));
    rig.queue.load_failed(id, at_s(9));
    assert_eq!(rig.queue.unacknowledged(), 1);
}

#[test]
fn what_was_not_written_for_its_time_expires_at_once() {
    let mut rig = unpaced([expiring(1, "a", 10), entry(2, "a")]);
    rig.answers = false;
    assert_eq!(rig.settle(), ["send 1"]);
    assert_eq!(rig.advance_s(10), [""; 0], "it may have been written");
    rig.queue.send_failed(MessageId(1), SendError::Expired, rig.now);
    assert_eq!(rig.settle(), ["expired 1", "send 2"]);
    // One that may have arrived on an earlier connection was submitted then.
    let mut rig = unpaced([expiring(1, "a", 10)]);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.queue.disconnected(rig.now);
    rig.queue.connected(rig.now);
    rig.answers = false;
    assert_eq!(rig.advance_s(10), ["send 1"]);
    rig.queue.send_failed(MessageId(1), SendError::Expired, rig.now);
    assert_eq!(rig.settle(), ["expired 1"]);
    let steps: Vec<_> = rig.records[0].steps.iter().map(|(event, _)| *event).collect();
    let expected = [MessageEvent::Submitted, MessageEvent::AttemptFailed, MessageEvent::Expired];
    assert_eq!(steps, expected);
}

#[test]
fn what_is_unacknowledged_does_not_expire_before_its_attempt_has_failed() {
    let mut rig = unpaced([expiring(1, "a", 10)]);
    assert_eq!(rig.timeline_s(29), ["0: send 1"]);
    assert_eq!(rig.timeline_s(2), ["30: again 1 no_acknowledgement", "30: expired 1"]);
    let mut rig = unpaced([expiring(1, "a", 10)]);
    rig.advance_s(20);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1"]);
}

#[test]
fn a_retry_that_would_come_too_late_expires_on_time() {
    let mut rig = unpaced([expiring(1, "a", 40)]);
    let expected = ["0: send 1", "30: again 1 no_acknowledgement", "40: expired 1"];
    assert_eq!(rig.timeline_s(100), expected);
}

#[test]
fn a_message_that_is_being_typed_can_expire() {
    let mut rig = Rig::new(Pacing { typing: true, ..Pacing::off() });
    rig.text = "x".repeat(100);
    rig.accept([expiring(1, "a", 2), entry(2, "a")]);
    let expected = ["0: typing 1", "2: no typing 1", "2: expired 1", "2: typing 2", "6: send 2"];
    assert_eq!(rig.timeline_s(7), expected);
}

#[test]
fn a_cut_off_message_expires_when_the_connection_stays_away() {
    let mut rig = unpaced([expiring(1, "a", 10)]);
    rig.settle();
    rig.queue.disconnected(rig.now);
    assert_eq!(rig.timeline_s(20), ["10: expired 1"]);
    let steps: Vec<_> = rig.records[0].steps.iter().map(|(event, _)| *event).collect();
    use MessageEvent::{AttemptFailed, Expired, Submitted};
    assert_eq!(steps, [Submitted, AttemptFailed, Expired]);
}

#[test]
fn many_expire_in_bounded_steps() {
    let many = EXPIRIES_PER_STEP_MAX as i64 * 2 + 1;
    let mut rig = unpaced((1..=many).map(|id| expiring(id, "a", 10)));
    rig.queue.disconnected(START);
    let first = rig.queue.step(at_s(10), || 0);
    assert_eq!(first.actions.len(), EXPIRIES_PER_STEP_MAX);
    assert_eq!(first.next_wake, Some(at_s(10)));
    rig.now = at_s(10);
    rig.settle();
    assert!(rig.queue.is_empty());
}

// ---- retries ------------------------------------------------------------------------------------

#[test]
fn failed_attempts_are_repeated_by_the_policy() {
    let mut rig = unpaced([entry(1, "a")]);
    rig.answers = false;
    rig.settle();
    let mut at = Vec::new();
    for _ in 0..4 {
        rig.queue.send_failed(MessageId(1), SendError::Temporary("x".into()), rig.now);
        rig.settle();
        at.push(rig.next_wake.unwrap().duration_since(rig.now).as_secs());
        rig.now = rig.next_wake.unwrap();
        assert_eq!(rig.settle(), ["send 1"]);
    }
    assert_eq!(at, [30, 120, 600, 1_800]);
}

#[test]
fn a_message_that_waits_for_its_retry_holds_back_its_own_chat_only() {
    let chosen = OutboxEntry { retry_interval_s: Some(7), ..entry(1, "a") };
    let mut rig = unpaced([chosen, entry(2, "a"), entry(3, "b")]);
    rig.answers = false;
    assert_eq!(rig.settle(), ["send 1", "send 3"]);
    rig.queue.send_failed(MessageId(1), SendError::Temporary("x".into()), rig.now);
    rig.queue.submitted(MessageId(3), rig.now);
    rig.ack(3);
    rig.accept([entry(4, "b")]);
    assert_eq!(rig.settle(), ["again 1 not_handed_over", "sent 3", "send 4"]);
    rig.answers = true;
    assert_eq!(rig.timeline_s(8), ["7: send 1"]);
}

#[test]
fn a_retry_from_before_a_restart_still_holds_back_its_chat() {
    let retry = OutboxEntry { attempts: 2, due_at: at_s(60), ..entry(1, "a") };
    let mut rig = unpaced([retry, entry(2, "a")]);
    assert_eq!(rig.timeline_s(61), ["60: send 1"]);
}

#[test]
fn permanent_failures_end_at_once_and_free_the_chat() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
    rig.answers = false;
    rig.settle();
    let failure = Failure::new("not_on_whatsapp", "no");
    rig.queue.send_failed(MessageId(1), SendError::Permanent(failure), rig.now);
    assert_eq!(rig.settle(), ["failed 1 not_on_whatsapp", "send 2"]);
}

#[test]
fn no_connection_is_no_attempt() {
    let mut rig = unpaced([entry(1, "a")]);
    rig.answers = false;
    assert_eq!(rig.settle(), ["send 1"]);
    rig.queue.send_failed(MessageId(1), SendError::NotConnected, rig.now);
    assert_eq!(rig.timeline_s(1), ["1: send 1"], "after a pause, while no one says disconnected");
    rig.queue.send_failed(MessageId(1), SendError::NotConnected, rig.now);
    rig.queue.disconnected(rig.now);
    assert_eq!(rig.timeline_s(100), [""; 0]);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
    assert!(rig.records.is_empty());
}

#[test]
fn what_refusals_lead_to() {
    let cases: [(u16, &[&str]); 5] = [
        (400, &["failed 1 refused_400"]),
        (479, &["failed 1 refused_479"]),
        (429, &["again 1 refused_429", "again 1 refused_429", "again 1 refused_429"]),
        (463, &["again 1 refused_463", "failed 1 refused_463", "load contacts"]),
        (500, &["again 1 refused_500", "again 1 refused_500", "failed 1 refused_500"]),
    ];
    for (code, expected) in cases {
        let mut rig = unpaced([entry(1, "a")]);
        let mut log = Vec::new();
        for _ in 0..3 {
            rig.settle();
            rig.refuse(1, code);
            log.extend(rig.settle());
            rig.now = rig.next_wake.unwrap_or(rig.now);
        }
        log.sort();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(log, expected, "{code}");
    }
}

#[test]
fn where_only_admins_write_nothing_is_tried_again() {
    let group = OutboxEntry { chat: "120363@g.us".into(), ..entry(1, "a") };
    let mut rig = unpaced([group]);
    rig.settle();
    rig.refuse(1, 403);
    assert_eq!(rig.settle(), ["failed 1 refused_403"]);
    let failure = rig.records[0].failure.as_ref().unwrap();
    assert_eq!(failure.message, "only admins write in this group (403)");
}

#[test]
fn after_463_twice_no_stranger_is_written_to_today() {
    let mut rig = unpaced([entry(1, "s1")]);
    rig.settle();
    rig.refuse(1, 463);
    rig.advance_s(30);
    rig.refuse(1, 463);
    rig.accept([entry(2, "s2"), entry(3, "friend")]);
    assert_eq!(rig.settle(), ["load contacts", "failed 1 refused_463"]);
    rig.queue.learn_contacts(&["friend@s.whatsapp.net".into()], 0, rig.now);
    assert_eq!(rig.settle(), ["send 3"]);
    rig.ack(3);
    rig.settle();
    assert_eq!(rig.next_wake, Some(at_s(9 * 3_600)), "the next day in Jakarta");
    // Two at once: whom the device knows is asked for once.
    let mut rig = unpaced([entry(1, "s1"), entry(2, "s2")]);
    for _ in 0..2 {
        rig.advance_s(30);
        rig.refuse(1, 463);
        rig.refuse(2, 463);
    }
    assert_eq!(rig.settle(), ["load contacts", "failed 1 refused_463", "failed 2 refused_463"]);
}

#[test]
fn what_is_said_of_an_attempt_that_is_over_changes_nothing() {
    let mut rig = unpaced([entry(1, "a")]);
    assert_eq!(rig.timeline_s(20), ["0: send 1"]);
    // The messenger has answered before.
    rig.queue.submitted(MessageId(1), rig.now);
    rig.queue.send_failed(MessageId(1), SendError::Temporary("x".into()), rig.now);
    assert_eq!(rig.timeline_s(15), ["30: again 1 no_acknowledgement"]);
    rig.refuse(1, 503);
    assert_eq!(rig.timeline_s(25), ["60: send 1"]);
}

// ---- acknowledgements ---------------------------------------------------------------------------

#[test]
fn an_acknowledgement_may_come_late() {
    // While it waits for its retry.
    let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
    assert_eq!(rig.timeline_s(40), ["0: send 1", "30: again 1 no_acknowledgement"]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1", "send 2"]);
    // While it is submitted again.
    let mut rig = unpaced([entry(1, "a")]);
    rig.advance_s(30);
    rig.answers = false;
    assert_eq!(rig.advance_s(30), ["send 1"]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1"]);
    rig.queue.submitted(MessageId(1), rig.now);
    assert_eq!(rig.settle(), [""; 0]);
    assert!(rig.queue.is_empty());
}

#[test]
fn an_acknowledgement_may_come_before_the_hand_over_is_answered() {
    let mut rig = Rig::new(paced(3, 3));
    rig.answers = false;
    rig.accept([entry(1, "a"), entry(2, "b")]);
    rig.settle();
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1"]);
    rig.queue.submitted(MessageId(1), rig.now);
    assert_eq!(rig.timeline_s(5), ["3: send 2"]);
}

#[test]
fn ids_that_are_not_ours_are_not_mixed_up() {
    // As numbers they were the same.
    let [theirs, other] = ["3EB001", "3EB01"].map(|id| WhatsappId(id.into()));
    let mut rig = unpaced([OutboxEntry { whatsapp_id: theirs.clone(), ..entry(1, "a") }]);
    rig.settle();
    assert_eq!(rig.queue.acknowledged(&other, rig.now), None);
    assert_eq!(rig.queue.acknowledged(&theirs, rig.now), Some(MessageId(1)));
}

#[test]
fn a_receipt_is_as_good_as_an_acknowledgement() {
    let mut rig = unpaced([entry(1, "a")]);
    rig.settle();
    let receipt = rig.queue.receipt(&wa(1), Receipt::Read, at_s(1), at_s(2));
    assert_eq!(receipt, Some(MessageId(1)));
    rig.settle();
    let steps = &rig.records[0].steps;
    use MessageEvent::{Acknowledged, Read, Submitted};
    assert_eq!(steps[..], [(Submitted, START), (Acknowledged, at_s(2)), (Read, at_s(1))]);
    let late = rig.queue.receipt(&wa(1), Receipt::Read, at_s(1), at_s(2));
    assert_eq!(late, None, "for the history");
}

#[test]
fn after_a_restart_a_receipt_ends_the_waiting() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
    rig.queue.disconnected(START);
    rig.queue.receipt(&wa(1), Receipt::Delivered, at_s(1), at_s(2));
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle().last().unwrap(), "send 2");
}

// ---- lost connections ---------------------------------------------------------------------------

#[test]
fn a_cut_off_message_goes_first_and_does_not_count() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a"), entry(3, "b")]);
    assert_eq!(rig.settle(), ["send 1", "send 3"]);
    rig.ack(3);
    rig.queue.disconnected(rig.now);
    assert_eq!(rig.timeline_s(300), ["0: sent 3"], "no time-out without a connection");
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1", "send 2"]);
    assert!(rig.records.iter().all(|record| record.failure.is_none()));
}

#[test]
fn a_connection_that_takes_another_ones_place_has_cut_it_off() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"], "its acknowledgement will not come");
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1", "send 2"]);
}

#[test]
fn a_repeat_waits_for_no_pause_and_no_quiet_hour() {
    let quiet =
        QuietHours { from: Time::constant(15, 1, 0, 0), until: Time::constant(16, 0, 0, 0) };
    let mut rig = Rig::new(Pacing { typing: true, quiet_hours: Some(quiet), ..paced(3, 3) });
    rig.accept([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.advance_s(1), ["typing 1", "send 1"]);
    rig.queue.disconnected(rig.now);
    rig.advance_s(100);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
    assert_eq!(rig.timeline_s(20), [""; 0]);
}

#[test]
fn a_repeat_waits_while_the_queue_is_held_or_paused() {
    let mut rig = unpaced([entry(1, "a")]);
    assert_eq!(rig.settle(), ["send 1"]);
    rig.queue.connected(rig.now);
    rig.queue.hold(true, rig.now);
    rig.queue.pause(at_s(20));
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(rig.next_wake, Some(at_s(86_400)), "the end of the pause changes nothing");
    rig.queue.hold(false, rig.now);
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(rig.next_wake, Some(at_s(20)));
    rig.queue.hold(true, rig.now);
    assert_eq!(rig.advance_s(30), [""; 0]);
    rig.queue.hold(false, rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
}

#[test]
fn a_pause_wakes_nobody_where_nothing_waits_and_ends_with_the_next_connection() {
    let mut rig = unpaced([]);
    rig.queue.pause(at_s(20));
    rig.settle();
    assert_eq!(rig.next_wake, None);
    rig.accept([entry(1, "a")]);
    assert_eq!(rig.settle(), [""; 0]);
    assert_eq!(rig.next_wake, Some(at_s(20)));
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
}

#[test]
fn a_connection_lost_before_the_hand_over_changes_nothing() {
    let mut rig = Rig::new(Pacing { typing: true, ..Pacing::off() });
    rig.accept([entry(1, "a"), entry(2, "a")]);
    assert_eq!(rig.settle(), ["typing 1"]);
    rig.queue.disconnected(rig.now);
    assert_eq!(rig.settle(), ["no typing 1"]);
    rig.queue.connected(rig.now);
    assert_eq!(rig.advance_s(1), ["typing 1", "send 1"]);
    assert!(rig.records.is_empty());
}

#[test]
fn a_hand_over_that_is_answered_after_the_connection_broke() {
    let ok = |rig: &mut Rig| rig.queue.submitted(MessageId(1), rig.now);
    let fail = |rig: &mut Rig| {
        rig.queue.send_failed(MessageId(1), SendError::NotConnected, rig.now);
    };
    for answer in [ok as fn(&mut Rig), fail] {
        let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
        rig.answers = false;
        assert_eq!(rig.settle(), ["send 1"]);
        rig.queue.disconnected(rig.now);
        rig.queue.connected(rig.now);
        assert_eq!(rig.settle(), [""; 0], "not again before the messenger has answered");
        answer(&mut rig);
        assert_eq!(rig.advance_s(1), ["send 1"]);
    }
}

// ---- cancelling ---------------------------------------------------------------------------------

#[test]
fn what_can_be_withdrawn() {
    // Each story leaves message 1 in some state.
    type Story = fn(&mut Rig);
    let waits: Story = |rig| rig.queue.disconnected(rig.now);
    let types: Story = |_| {};
    let submitting: Story = |rig| {
        rig.answers = false;
        rig.advance_s(1);
    };
    let unacknowledged: Story = |rig| drop(rig.advance_s(1));
    let cut_off: Story = |rig| {
        rig.advance_s(1);
        rig.queue.disconnected(rig.now);
    };
    let waits_for_retry: Story = |rig| drop(rig.advance_s(35));
    let sent: Story = |rig| {
        rig.advance_s(1);
        rig.ack(1);
    };
    let cases = [
        ("waits", waits, true),
        ("is being typed", types, true),
        ("is being submitted", submitting, false),
        ("unacknowledged", unacknowledged, false),
        ("cut off", cut_off, false),
        ("waits for its retry", waits_for_retry, true),
        ("sent", sent, false),
    ];
    for (name, story, expected) in cases {
        let mut rig = Rig::new(Pacing { typing: true, ..Pacing::off() });
        rig.accept([entry(1, "a"), entry(2, "a")]);
        rig.settle();
        story(&mut rig);
        let withdrawn = rig.queue.withdraw(MessageId(1), rig.now);
        assert_eq!(withdrawn.is_some(), expected, "{name}");
        rig.queue.connected(rig.now);
        let log = rig.advance_s(1);
        assert_eq!(
            log.contains(&"send 2".to_owned()),
            expected || name == "sent",
            "{name} {log:?}"
        );
    }
}

#[test]
fn what_could_not_be_cancelled_after_all_waits_again() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "a")]);
    rig.queue.disconnected(START);
    let withdrawn = rig.queue.withdraw(MessageId(1), rig.now).unwrap();
    assert_eq!(withdrawn.progress(START).steps, [(MessageEvent::Withdrawn, START)]);
    rig.queue.restore(withdrawn, rig.now);
    rig.queue.connected(rig.now);
    assert_eq!(rig.settle(), ["send 1"]);
}

#[test]
fn everything_is_withdrawn_when_another_number_is_paired() {
    let scheduled = OutboxEntry { due_at: at_s(60), is_scheduled: true, ..entry(3, "c") };
    let mut rig = unpaced([entry(1, "a"), entry(2, "a"), scheduled]);
    rig.settle();
    rig.queue.disconnected(rig.now);
    rig.queue.withdraw_all(rig.now);
    assert_eq!(rig.settle(), ["withdrawn 1", "withdrawn 2", "withdrawn 3"]);
    assert!(rig.queue.is_empty());
    assert_eq!(rig.next_wake, None);
}

#[test]
fn a_held_queue_begins_nothing_and_ends_what_has_begun() {
    let mut rig = unpaced([entry(1, "a"), entry(2, "b")]);
    assert_eq!(rig.settle(), ["send 1", "send 2"]);
    rig.queue.hold(true, rig.now);
    rig.accept([entry(3, "c")]);
    rig.ack(1);
    assert_eq!(rig.settle(), ["sent 1"]);
    rig.queue.hold(false, rig.now);
    assert_eq!(rig.settle(), ["send 3"]);
    // What is being typed is not submitted yet.
    let mut rig = typing();
    assert_eq!(rig.settle(), ["typing 1"]);
    rig.queue.hold(false, rig.now);
    assert_eq!(rig.settle(), [""; 0], "it was not held");
    rig.queue.hold(true, rig.now);
    assert_eq!(rig.settle(), ["no typing 1"]);
    rig.queue.hold(false, rig.now);
    assert_eq!(rig.settle(), ["typing 1"]);
}

#[test]
fn a_long_queue_is_no_trouble() {
    let mut rig = Rig::new(Pacing::off());
    rig.accept((0..200_000).map(|id| entry(id, &format!("chat {}", id % 50_000))));
    // Sending ten thousand of them looks at ten thousand, not at all.
    for _ in 0..10_000 {
        let log = rig.settle();
        let id = log.iter().rev().find_map(|e| e.strip_prefix("send ")?.parse().ok());
        rig.ack(id.unwrap());
    }
    assert_eq!(rig.queue.len(), 190_000);
}
