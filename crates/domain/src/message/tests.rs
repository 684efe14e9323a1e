use uuid::Uuid;

use super::*;
use crate::content::{File, Location};
use crate::policy::quota::QuotaKind;

pub(super) const OURS: &str = "628100000000";
pub(super) const BUDI: &str = "628111111111";
const DEVICE: DeviceId = DeviceId(Uuid::nil());
pub(crate) const RECEIPT: QuotaReceipt = QuotaReceipt { kind: QuotaKind::Plan, remaining: 7 };

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// The same, between two milliseconds.
fn after(seconds: i64) -> Timestamp {
    Timestamp::new(seconds, 1_999_999).unwrap()
}

fn millis(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Somebody by number, by LID, or both; an empty one is not known.
pub(super) fn address(phone: &str, lid: &str) -> Address {
    let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Address {
        phone: known(phone).map(PhoneNumber::from_digits),
        lid: known(lid).map(Lid::from_jid),
    }
}

/// One of ours that is to be accepted.
pub(crate) fn new_message() -> NewMessage {
    NewMessage {
        device_id: DEVICE,
        chat: "628111111111@s.whatsapp.net".into(),
        content: Content::Text("hi".into()),
        context: Context { is_forwarded: true, ..Context::default() },
        inline_file: None,
        whatsapp_id: WhatsappId("3EB0".into()),
        typing: true,
        priority: 3,
        due_at: after(20),
        is_scheduled: false,
        expires_at: after(30),
        retry_interval_s: Some(5),
    }
}

/// One of ours that was accepted at 10 seconds.
pub(super) fn accepted(content: Content) -> Message {
    let new = NewMessage { content, ..new_message() };
    new.accepted(MessageId(1), AccountId(2), RECEIPT, after(10))
}

/// One that came in at 10 seconds, from Budi, or that our own number wrote on the phone.
pub(super) fn received(origin: ReceivedOrigin, content: Content) -> Message {
    let sender = match origin {
        ReceivedOrigin::Phone => address(OURS, ""),
        ReceivedOrigin::Incoming => address(BUDI, ""),
    };
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId("3EB1".into()),
        chat: "628111111111@s.whatsapp.net".into(),
        sender,
        origin,
        content,
        context: Context::default(),
        at: after(10),
    };
    incoming.received(MessageId(1), AccountId(2), DEVICE, after(12))
}

#[test]
fn a_message_only_moves_forward() {
    for state in MessageState::ALL {
        for event in MessageEvent::ALL {
            let Some(next) = transition(state, event) else { continue };
            let back_to_the_queue = state == MessageState::Sending && next == MessageState::Queued;
            assert!(next > state || back_to_the_queue, "{state:?} {event:?} {next:?}");
        }
    }
}

#[test]
fn what_has_ended_stays_ended() {
    use MessageState::{Cancelled, Expired, Failed, Played};
    for state in [Played, Failed, Expired, Cancelled] {
        for event in MessageEvent::ALL {
            assert_eq!(transition(state, event), None, "{state:?} {event:?}");
        }
    }
}

#[test]
fn the_table_of_states() {
    use MessageEvent as E;
    use MessageState as S;
    let cases = [
        (S::Scheduled, E::Due, Some(S::Queued)),
        (S::Scheduled, E::Acknowledged, None),
        (S::Scheduled, E::Withdrawn, Some(S::Cancelled)),
        (S::Queued, E::Submitted, Some(S::Sending)),
        (S::Queued, E::Acknowledged, Some(S::Sent)),
        (S::Queued, E::Expired, Some(S::Expired)),
        (S::Sending, E::AttemptFailed, Some(S::Queued)),
        (S::Sending, E::Withdrawn, None),
        (S::Sending, E::Expired, None),
        (S::Sending, E::Read, Some(S::Read)),
        (S::Sent, E::Acknowledged, None),
        (S::Sent, E::Failed, None),
        (S::Read, E::Delivered, None),
        (S::Read, E::Played, Some(S::Played)),
    ];
    for (state, event, expected) in cases {
        assert_eq!(transition(state, event), expected, "{state:?} {event:?}");
    }
}

#[test]
fn names_lead_back() {
    for state in MessageState::ALL {
        assert_eq!(MessageState::from_name(state.as_str()), Some(state));
    }
}

#[test]
fn three_states_wait_in_the_outbox() {
    use MessageState::{Queued, Scheduled, Sending};
    for state in MessageState::ALL {
        assert_eq!(state.is_waiting(), [Scheduled, Queued, Sending].contains(&state), "{state:?}");
    }
}

#[test]
fn every_receipt_is_an_event() {
    for (receipt, event) in [
        (Receipt::Delivered, MessageEvent::Delivered),
        (Receipt::Read, MessageEvent::Read),
        (Receipt::Played, MessageEvent::Played),
    ] {
        assert_eq!(receipt.event(), event);
    }
}

#[test]
fn an_accepted_message_is_what_was_asked_for_in_whole_milliseconds() {
    for (is_scheduled, state) in [(false, MessageState::Queued), (true, MessageState::Scheduled)] {
        let new = NewMessage { is_scheduled, ..new_message() };
        let message = new.accepted(MessageId(1), AccountId(2), RECEIPT, after(10));
        assert_eq!((message.state, message.was_scheduled()), (state, is_scheduled));
        assert_eq!(message.history, [StateChange { state, at: millis(10_001), reason: None }]);
        let times = (message.created_at, message.due_at, message.expires_at);
        assert_eq!(times, (millis(10_001), millis(20_001), Some(millis(30_001))));
        assert_eq!((message.direction(), message.quota()), (Direction::Out, Some(RECEIPT)));
        assert_eq!((message.chat, message.content), (new.chat, new.content));
        assert_eq!((message.context, message.whatsapp_id), (new.context, new.whatsapp_id));
        assert_eq!((message.typing, message.priority), (true, 3));
        assert_eq!((message.retry_interval_s, message.sender), (Some(5), None));
    }
}

#[test]
fn what_others_write_is_made_storable() {
    let incoming = IncomingMessage {
        whatsapp_id: WhatsappId("3EB1".into()),
        chat: "62\x001@s.whatsapp.net".into(),
        sender: address("62\x001", "7\0@lid"),
        origin: ReceivedOrigin::Incoming,
        content: Content::Text("h\0i".into()),
        context: Context { sender_name: Some("Bu\0di".into()), ..Context::default() },
        at: after(10),
    };
    let message = incoming.received(MessageId(1), AccountId(2), DEVICE, after(12));
    assert_eq!(message.chat.to_string(), "621@s.whatsapp.net");
    assert_eq!(message.sender, Some(address("621", "7@lid")));
    assert_eq!(message.text(), "hi");
    assert_eq!(message.context.sender_name.as_deref(), Some("Budi"));
    let ordinary = address("628111111111", "77@lid");
    assert_eq!(ordinary.clone().cleaned(), ordinary);
}

#[test]
fn a_received_message_begins_where_its_origin_says() {
    for (origin, state, direction) in [
        (ReceivedOrigin::Phone, MessageState::Sent, Direction::Out),
        (ReceivedOrigin::Incoming, MessageState::Delivered, Direction::In),
    ] {
        let message = received(origin, Content::Text("hi".into()));
        assert_eq!((message.state, message.direction()), (state, direction));
        assert_eq!(message.history, [StateChange { state, at: millis(10_001), reason: None }]);
        assert_eq!((message.due_at, message.created_at), (millis(10_001), millis(12_001)));
        assert_eq!((message.quota(), message.was_scheduled()), (None, false));
        assert_eq!(Direction::from_name(direction.as_str()), Some(direction));
    }
}

#[test]
fn only_what_others_wrote_and_stands_for_itself_is_unread() {
    let text = || Content::Text("hi".into());
    let mut read = received(ReceivedOrigin::Incoming, text());
    assert!(read.is_unread() && read.apply(MessageEvent::Read, at(20), None));
    let cases = [
        read,
        received(ReceivedOrigin::Phone, text()),
        received(ReceivedOrigin::Incoming, Content::Reaction("👍".into())),
        received(ReceivedOrigin::Incoming, Content::Revoke),
    ];
    for message in cases {
        assert!(!message.is_unread(), "{message:?}");
    }
    // What we sent and what has reached a phone is nobody's to read here.
    let mut ours = accepted(text());
    assert!(ours.apply(MessageEvent::Delivered, at(20), None) && !ours.is_unread());
}

#[test]
fn a_message_is_described_by_what_it_carries() {
    let media = Media { size: Some(3), ..Media::default() };
    let file = File { kind: ContentKind::Image, caption: "look".into(), media: media.clone() };
    let place = Location { latitude: -6.2, longitude: 106.8, name: None, address: None };
    for (content, kind, text, shown_text, media) in [
        (Content::Text("hi".into()), ContentKind::Text, "hi", "hi", None),
        (Content::File(file), ContentKind::Image, "look", "look", Some(&media)),
        (Content::Location(place), ContentKind::Location, "", "-6.2, 106.8", None),
    ] {
        let message = accepted(content);
        assert_eq!((message.kind(), message.text()), (kind, text));
        assert_eq!((&*message.shown_text(), message.media()), (shown_text, media));
        assert!(!message.is_in_group());
        assert!(Message { chat: "1203@g.us".into(), ..message }.is_in_group());
    }
}

#[test]
fn a_history_never_runs_backwards_and_the_last_failure_is_kept_until_it_is_sent() {
    use MessageEvent::{Acknowledged, AttemptFailed, Delivered, Submitted};
    let mut message = accepted(Content::Text("hi".into()));
    let failure = Failure::new(Failure::NOT_CONNECTED, "no connection");
    let steps = [
        (Submitted, 11, None, true, MessageState::Sending, None),
        (AttemptFailed, 12, Some(&failure), true, MessageState::Queued, Some(&failure)),
        (Submitted, 13, None, true, MessageState::Sending, Some(&failure)),
        (Submitted, 14, None, false, MessageState::Sending, Some(&failure)),
        (Acknowledged, 5, None, true, MessageState::Sent, None),
        (Delivered, 20, None, true, MessageState::Delivered, None),
    ];
    for (event, seconds, given, is_change, state, kept) in steps {
        assert_eq!(message.apply(event, at(seconds), given.cloned()), is_change, "{event:?}");
        assert_eq!((message.state, message.failure.as_ref()), (state, kept), "{event:?}");
    }
    let history: Vec<_> = message.history.iter().skip(1).collect();
    let seconds: Vec<i64> = history.iter().map(|change| change.at.as_second()).collect();
    assert_eq!(seconds, [11, 12, 13, 13, 20]);
    let reasons = history.iter().filter_map(|change| change.reason.as_deref());
    assert_eq!(reasons.collect::<Vec<_>>(), ["no connection"]);
}

#[test]
fn a_receipt_stands_for_those_that_were_skipped() {
    use MessageState::{Delivered, Played, Queued, Read, Sent};
    let mut message = accepted(Content::Text("hi".into()));
    for (event, seconds) in [(MessageEvent::Delivered, 20), (MessageEvent::Played, 40)] {
        assert!(message.apply(event, at(seconds), None));
    }
    let cases = [
        (Queued, Some(millis(10_001)), Some(at(20))),
        (Sent, None, Some(at(20))),
        (Delivered, Some(at(20)), Some(at(20))),
        (Read, None, Some(at(40))),
        (Played, Some(at(40)), Some(at(40))),
    ];
    for (state, reached, or_passed) in cases {
        assert_eq!(message.reached(state), reached, "{state:?}");
        assert_eq!(message.reached_or_passed(state), or_passed, "{state:?}");
    }
    assert_eq!(accepted(Content::Text("hi".into())).reached_or_passed(Sent), None);
}

#[test]
fn people_are_the_same_by_a_name_that_both_have() {
    let (budi, lid) = ("628111111111", "77@lid");
    let cases = [
        (address(budi, ""), address(budi, lid), true),
        (address(budi, lid), address("628222222222", lid), true),
        (address(budi, lid), address(budi, "78@lid"), true),
        (address("", lid), address("", lid), true),
        (address(budi, ""), address("", lid), false),
        (address(budi, ""), address("628222222222", ""), false),
        (address("", lid), address("", "78@lid"), false),
        (address("", ""), address("", ""), false),
    ];
    for (one, other, is_same) in cases {
        assert_eq!((one.is_same(&other), other.is_same(&one)), (is_same, is_same), "{one:?}");
    }
    let keys =
        [address(budi, lid), address("", lid), address("", "")].map(|one| one.key().to_owned());
    assert_eq!(keys, [budi, lid, "?"]);
}

#[test]
fn a_request_may_name_the_receivers_of_a_full_batch_twice() {
    assert_eq!((BATCH_MESSAGES_MAX, RECEIVERS_GIVEN_MAX), (1_000, 2_000));
}
