use super::*;
use crate::content::{ContentKind, File, Location};
use crate::context::{Context, Quote};
use crate::media::Media;
use crate::message::tests::{BUDI, OURS, accepted, address, at, received};
use crate::message::{MessageEvent, MessageState, ReceivedOrigin};
use crate::structured::{Album, PollVote};

const TARGET: &str = "3EB7";
const ANI: &str = "628222222222";

fn text(text: &str) -> Content {
    Content::Text(text.into())
}

fn incoming(content: Content) -> Message {
    received(ReceivedOrigin::Incoming, content)
}

/// The same, of a message that refers to another one.
fn about(target: &Quote, message: Message) -> Message {
    let context = Context { reply_to: Some(target.clone()), ..message.context };
    Message { context, ..message }
}

fn quote(is_ours: Option<bool>, sender: Option<Address>) -> Quote {
    let whatsapp_id = WhatsappId(TARGET.into());
    Quote { whatsapp_id, is_ours, sender, kind: ContentKind::Text, text: String::new() }
}

fn vote(options: &[&str]) -> Content {
    let digests = options.iter().map(|option| Poll::digest(option)).collect();
    Content::Structured(Box::new(Structured::PollVote(PollVote::new(digests, Vec::new()))))
}

fn live(sequence: i64) -> LiveLocation {
    let place = Location { latitude: -6.2, longitude: 106.8, name: None, address: None };
    LiveLocation { place, accuracy_m: None, heading: None, speed: None, sequence }
}

fn moving(sequence: i64) -> Content {
    Content::Structured(Box::new(Structured::LiveLocation(live(sequence))))
}

fn amendment(change: Change, seconds: i64) -> Amendment {
    Amendment {
        chat: "628111111111@s.whatsapp.net".into(),
        whatsapp_id: WhatsappId(TARGET.into()),
        author: None,
        change,
        at: at(seconds),
    }
}

fn edited(text: &str, mentions: Option<&[&str]>) -> Change {
    let mentions = mentions.map(|people| Mentions {
        people: people.iter().map(ToString::to_string).collect(),
        all: false,
    });
    Change::Edited { text: text.into(), mentions }
}

#[test]
fn an_edit_and_a_deletion_are_of_the_message_that_they_name() {
    let (budi, ani) = (address(BUDI, ""), address(ANI, ""));
    let edit = || Content::Edit("new".into());
    let cases = [
        // Its own writer, an admin of the group, and one that deletes what we wrote.
        (edit(), quote(None, None), Some(budi.clone()), edited("new", Some(&[]))),
        (Content::Revoke, quote(Some(false), Some(ani.clone())), Some(ani), Change::Revoked),
        (Content::Revoke, quote(Some(true), Some(budi)), None, Change::Revoked),
    ];
    for (content, target, author, change) in cases {
        let found = Amendment::of(&about(&target, incoming(content.clone()))).unwrap();
        assert_eq!((found.author, &found.change), (author, &change));
        assert_eq!(found.whatsapp_id.as_str(), TARGET);
        assert_eq!(found.chat.to_string(), "628111111111@s.whatsapp.net");
        assert_eq!(found.at.as_millisecond(), 10_001);
        assert_eq!(Amendment::of(&incoming(content)), None, "it names no message");
    }
    let answer = about(&quote(None, None), incoming(text("hi")));
    assert_eq!(Amendment::of(&answer), None, "it stands for itself");
}

#[test]
fn our_own_change_counts_from_when_whatsapp_has_it() {
    use MessageEvent::{Acknowledged, Delivered, Failed, Played, Read};
    let waiting = about(&quote(Some(true), None), accepted(Content::Revoke));
    assert_eq!(Amendment::of(&waiting), None);
    for (event, is_sent) in
        [(Acknowledged, true), (Delivered, true), (Read, true), (Played, true), (Failed, false)]
    {
        let mut message = waiting.clone();
        assert!(message.apply(event, at(20), None));
        let changed_at = Amendment::of(&message).map(|found| found.at);
        assert_eq!(changed_at, is_sent.then(|| at(20)), "{event:?}");
    }
}

#[test]
fn a_vote_is_about_its_poll() {
    let (budi, ani) = (address(BUDI, ""), address(ANI, ""));
    let of_ani = || Some(ani.clone());
    for (origin, target, author, voter) in [
        (ReceivedOrigin::Incoming, quote(Some(false), of_ani()), of_ani(), BUDI),
        (ReceivedOrigin::Incoming, quote(None, of_ani()), of_ani(), BUDI),
        (ReceivedOrigin::Incoming, quote(Some(true), Some(budi)), None, BUDI),
        (ReceivedOrigin::Phone, quote(Some(false), of_ani()), of_ani(), ""),
    ] {
        let message = about(&target, received(origin, vote(&["Soto"])));
        let found = Amendment::of(&message).unwrap();
        let digests = vec![Poll::digest("Soto")];
        let vote = Vote { voter: voter.to_owned(), digests, at: message.due_at };
        assert_eq!((found.author, found.change), (author, Change::Voted(vote)));
        assert_eq!((found.whatsapp_id.as_str(), found.at), (TARGET, message.due_at));
    }
    assert_eq!(Amendment::of(&incoming(vote(&["Soto"]))), None, "it names no poll");
}

#[test]
fn a_place_that_moves_is_about_its_own_earlier_form() {
    for (origin, author) in
        [(ReceivedOrigin::Incoming, Some(address(BUDI, ""))), (ReceivedOrigin::Phone, None)]
    {
        let message = received(origin, moving(2));
        let found = Amendment::of(&message).unwrap();
        assert_eq!((found.author, found.whatsapp_id), (author, message.whatsapp_id));
        assert_eq!(found.change, Change::Moved(Box::new(live(2))));
    }
    let album = Content::Structured(Box::new(Structured::Album(Album::default())));
    assert_eq!(Amendment::of(&about(&quote(None, None), incoming(album))), None);
}

#[test]
fn nobody_changes_what_another_wrote_or_what_is_in_another_group() {
    let (person, lid, group) = ("628111111111@s.whatsapp.net", "77@lid", "1203@g.us");
    let incoming = |sender: Address| Message { sender: Some(sender), ..incoming(text("hi")) };
    let (budi, ours) = (address(BUDI, lid), accepted(text("hi")));
    let on_the_phone = received(ReceivedOrigin::Phone, text("hi"));
    let cases = [
        (person, Some(&budi), person, incoming(address(BUDI, "")), true),
        (person, Some(&budi), person, incoming(address("", lid)), true),
        (person, Some(&budi), person, incoming(address(ANI, "")), false),
        (person, Some(&budi), person, ours.clone(), false),
        (person, None, person, incoming(budi.clone()), false),
        (person, None, person, ours.clone(), true),
        (person, None, person, on_the_phone.clone(), true),
        (person, Some(&address(OURS, "")), person, on_the_phone, false),
        // A chat may have been known by the LID before.
        (lid, Some(&budi), person, incoming(budi.clone()), true),
        (group, Some(&budi), group, incoming(budi.clone()), true),
        (group, Some(&budi), person, incoming(budi.clone()), false),
        (person, Some(&budi), group, incoming(budi.clone()), false),
        ("1204@g.us", None, group, ours, false),
    ];
    for (chat, author, message_chat, message, is_of) in cases {
        let whatsapp_id = message.whatsapp_id.clone();
        let message = Message { chat: message_chat.into(), ..message };
        let change = Amendment {
            chat: chat.into(),
            author: author.cloned(),
            whatsapp_id,
            ..amendment(Change::Revoked, 20)
        };
        assert_eq!(change.is_of(&message), is_of, "{chat} {author:?} {message:?}");
        let other = Amendment { whatsapp_id: WhatsappId("3EB9".into()), ..change };
        assert!(!other.is_of(&message));
    }
}

#[test]
fn a_vote_is_named_once_by_its_poll() {
    let options = vec!["Nasi".to_owned(), "Soto".to_owned()];
    let poll = Poll { options, ..Poll::default() };
    let mut message = about(&quote(None, None), incoming(vote(&["Soto"])));
    assert!(!message.name_choices_of("3EB8", &poll), "of another poll");
    assert!(message.name_choices_of(TARGET, &poll));
    assert_eq!(message.text(), "Soto");
    assert!(!message.name_choices_of(TARGET, &poll), "it is named");
    let mut unknown = about(&quote(None, None), incoming(vote(&["Rawon"])));
    assert!(!unknown.name_choices_of(TARGET, &poll));
    assert!(!incoming(vote(&["Soto"])).name_choices_of(TARGET, &poll));
    assert!(!about(&quote(None, None), incoming(text("Soto"))).name_choices_of(TARGET, &poll));
}

fn mentioned(message: &Message) -> Vec<&str> {
    message.context.mentions.people.iter().map(String::as_str).collect()
}

#[test]
fn an_edit_keeps_the_earlier_text() {
    let mut message = incoming(text("one @628111"));
    message.context.mentions.people = vec!["628111".to_owned(), "628222".to_owned()];
    let steps = [
        // What is changed, when, whether it changes anything, the text then, and whom it mentions.
        (edited("one @628111", None), 20, false, "one @628111", &["628111", "628222"][..]),
        (edited("two @628111", None), 20, true, "two @628111", &["628111"]),
        (edited("late", None), 19, false, "two @628111", &["628111"]),
        (edited("two @628111", Some(&["628111"])), 21, false, "two @628111", &["628111"]),
        (edited("two @628111", Some(&[])), 22, true, "two @628111", &[]),
        (edited("three", Some(&["628333"])), 22, true, "three", &["628333"]),
    ];
    for (change, seconds, is_change, text, people) in steps {
        assert_eq!(message.amend(&amendment(change, seconds)), is_change, "{text} at {seconds}");
        assert_eq!((message.text(), mentioned(&message)), (text, people.to_vec()));
    }
    let changes = &message.context.changes;
    assert_eq!(changes.edited_at, Some(at(22)));
    let earlier = changes.earlier.iter().map(|one| (&*one.text, one.until));
    assert_eq!(earlier.collect::<Vec<_>>(), [("one @628111", at(20)), ("two @628111", at(22))]);
}

#[test]
fn only_the_newest_of_many_earlier_texts_are_kept() {
    let mut message = incoming(text("0"));
    for n in 1..=22 {
        assert!(message.amend(&amendment(edited(&n.to_string(), None), n)));
    }
    let earlier = &message.context.changes.earlier;
    assert_eq!(earlier.len(), EARLIER_TEXTS_MAX);
    let ends = [earlier.first(), earlier.last()].map(|one| &*one.unwrap().text);
    assert_eq!(ends, ["2", "21"]);
}

#[test]
fn what_is_no_text_that_phones_show_is_not_edited() {
    let file = |kind| Content::File(File { kind, caption: "a".into(), media: Media::default() });
    for (content, is_change) in [
        (file(ContentKind::Image), true),
        (file(ContentKind::Voice), false),
        (Content::Reaction("👍".into()), false),
    ] {
        let mut message = incoming(content);
        assert_eq!(message.amend(&amendment(edited("b", None), 20)), is_change);
        assert_eq!(message.context.changes.edited_at.is_some(), is_change);
    }
}

#[test]
fn nothing_changes_a_message_after_its_deletion() {
    let mut message = incoming(text("one"));
    assert!(message.amend(&amendment(Change::Revoked, 20)));
    assert!(!message.amend(&amendment(Change::Revoked, 21)));
    assert!(!message.amend(&amendment(edited("two", None), 21)));
    assert_eq!(message.context.changes.revoked_at, Some(at(20)));
    assert_eq!((message.text(), message.state), ("one", MessageState::Delivered));
}

#[test]
fn votes_and_places_change_what_they_are_of() {
    let options = vec!["Nasi".to_owned()];
    let vote = Vote { voter: BUDI.into(), digests: vec![Poll::digest("Nasi")], at: at(20) };
    let voted = amendment(Change::Voted(vote), 20);
    let mut poll = incoming(Content::Poll(Poll { options, ..Poll::default() }));
    assert!(poll.amend(&voted) && !poll.amend(&voted), "the same again changes nothing");
    assert_eq!(poll.content.poll().map(Poll::tally), Some(vec![1]));
    let moved = amendment(Change::Moved(Box::new(live(2))), 20);
    let mut place = incoming(moving(1));
    assert!(place.amend(&moved) && !place.amend(&moved));
    assert_eq!(place.content, moving(2));
    assert!(!incoming(text("hi")).amend(&voted) && !incoming(text("hi")).amend(&moved));
}
