//! Edits, and deletions for everyone.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::chat::ChatId;
use domain::content::{Content, ContentKind, Location, Poll};
use domain::context::{Context, EarlierText, Mentions, Quote};
use domain::ids::WhatsappId;
use domain::message::{
    Address, IncomingMessage, Message, MessageEvent, NewMessage, ReceivedOrigin,
};
use domain::phone::PhoneNumber;
use domain::ports::{Recorded, Store};
use domain::structured::{LiveLocation, PollVote, Structured};
use domain::webhook::EventKind;

use super::lists::incoming;
use super::{NOW, World, later, stored as stored_time};

const BUDI: &str = "628111";
const ANI: &str = "628222";

fn person(phone: &str) -> Address {
    Address { phone: Some(PhoneNumber::from_digits(phone)), lid: None }
}

/// A change that `phone` makes to the message `target`, whose writer is `author` unless the same.
pub fn change(
    content: Content,
    target: &str,
    phone: &str,
    author: Option<&str>,
) -> IncomingMessage {
    let quote = Quote {
        whatsapp_id: WhatsappId(target.into()),
        is_ours: Some(false),
        sender: author.map(person),
        kind: ContentKind::Other,
        text: String::new(),
    };
    IncomingMessage {
        whatsapp_id: WhatsappId(format!("change of {target}")),
        content,
        context: Context { reply_to: Some(quote), ..Context::default() },
        sender: person(phone),
        at: later(-50),
        ..incoming("", phone)
    }
}

fn edit(text: &str, phone: &str) -> IncomingMessage {
    change(Content::Edit(text.into()), "X1", phone, None)
}

async fn receive(world: &World, message: IncomingMessage) -> Vec<Recorded> {
    world.store.receive(world.device.id, vec![message], NOW).await.unwrap()
}

fn kinds(recorded: &[Recorded]) -> Vec<EventKind> {
    recorded.iter().flat_map(|one| &one.events).map(|event| event.kind).collect()
}

async fn stored(world: &World, like: &Message) -> Message {
    world.store.message(world.account.id, like.id).await.unwrap().unwrap()
}

pub async fn an_edit_that_came_in_changes_its_message_once(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let hook = world.webhook(None, &[EventKind::MessageEdited, EventKind::MessageRevoked]).await;
    let first = receive(&world, incoming("X1", BUDI)).await.remove(0).message;
    let edited = receive(&world, edit("baru", BUDI)).await;
    assert_eq!(kinds(&edited), [EventKind::MessageEdited]);
    let found = stored(&world, &first).await;
    assert_eq!(found, edited[0].message);
    assert_eq!((found.text(), found.kind()), ("baru", ContentKind::Image));
    let changes = &found.context.changes;
    assert_eq!((changes.edited_at, changes.revoked_at), (Some(stored_time(later(-50))), None));
    let earlier = EarlierText { text: "foto 📷".into(), until: stored_time(later(-50)) };
    assert_eq!(changes.earlier, [earlier]);
    let older = IncomingMessage { at: later(-60), ..edit("older", BUDI) };
    for again in [edit("baru", BUDI), older] {
        assert_eq!(kinds(&receive(&world, again).await), []);
    }
    let revoke = || change(Content::Revoke, "X1", BUDI, None);
    assert_eq!(kinds(&receive(&world, revoke()).await), [EventKind::MessageRevoked]);
    assert_eq!(kinds(&receive(&world, revoke()).await), []);
    assert_eq!(kinds(&receive(&world, edit("late", BUDI)).await), []);
    let found = stored(&world, &first).await;
    assert_eq!(
        (found.text(), found.context.changes.revoked_at),
        ("baru", Some(stored_time(later(-50))))
    );
    let posted: Vec<_> = world.pending(&hook).await.into_iter().map(|d| d.event).collect();
    let texts: Vec<_> = posted.iter().map(|event| event.kind).collect();
    assert_eq!(texts, [EventKind::MessageEdited, EventKind::MessageRevoked]);
}

fn mentioning(people: &[&str]) -> Mentions {
    Mentions { people: people.iter().map(ToString::to_string).collect(), all: false }
}

fn with_mentions(mut message: IncomingMessage, mentions: Mentions) -> IncomingMessage {
    message.context.mentions = mentions;
    message
}

pub async fn whom_an_edit_mentions_its_message_mentions(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let with = |message, people: &[&str]| with_mentions(message, mentioning(people));
    let first = receive(&world, with(incoming("X1", BUDI), &[ANI])).await.remove(0).message;
    let edited = receive(&world, with(edit("@628333", BUDI), &["628333"])).await;
    assert_eq!(stored(&world, &first).await, edited[0].message);
    assert_eq!(edited[0].message.context.mentions, mentioning(&["628333"]));
    assert_eq!(kinds(&receive(&world, with(edit("@628333", BUDI), &["628333"])).await), []);
    // The text alone stays as it was.
    let later_edit = IncomingMessage { at: later(-40), ..with(edit("@628333", BUDI), &[]) };
    assert_eq!(kinds(&receive(&world, later_edit).await), [EventKind::MessageEdited]);
    let context = stored(&world, &first).await.context;
    assert_eq!((context.mentions, context.changes.earlier.len()), (Mentions::default(), 1));
}

pub async fn an_edit_that_waits_for_its_message_keeps_whom_it_mentions(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let unreadable = IncomingMessage { content: Content::unreadable(), ..incoming("X2", BUDI) };
    receive(&world, unreadable).await;
    for (target, early, message) in [
        (
            "X1",
            Mentions { all: true, ..mentioning(&[ANI, "628333"]) },
            mentioning(&[ANI, "628444"]),
        ),
        ("X2", mentioning(&["628333"]), mentioning(&[ANI])),
        ("X3", Mentions::default(), Mentions { all: true, ..mentioning(&[ANI]) }),
    ] {
        for (at, mentions) in [(-50, mentioning(&["628555"])), (-40, early.clone())] {
            let edit = change(Content::Edit("@628222 @628333".into()), target, BUDI, None);
            let edit = IncomingMessage { at: later(at), ..with_mentions(edit, mentions) };
            assert_eq!(kinds(&receive(&world, edit).await), [], "{target}");
        }
        let came = receive(&world, with_mentions(incoming(target, BUDI), message)).await;
        let found = stored(&world, &came[0].message).await;
        assert_eq!(found.text(), "@628222 @628333", "{target}");
        assert_eq!(found.context.mentions, early, "{target}");
    }
}

pub async fn a_change_by_another_person_is_ignored(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let first = receive(&world, incoming("X1", BUDI)).await.remove(0).message;
    let ours = IncomingMessage { origin: ReceivedOrigin::Phone, ..incoming("X2", BUDI) };
    let ours = receive(&world, ours).await.remove(0).message;
    for content in [Content::Edit("fake".into()), Content::Revoke] {
        for target in ["X1", "X2"] {
            let change = change(content.clone(), target, ANI, None);
            assert_eq!(kinds(&receive(&world, change).await), []);
        }
    }
    assert_eq!(stored(&world, &first).await, first);
    assert_eq!(stored(&world, &ours).await, ours);
}

pub async fn a_change_that_comes_before_its_message_waits_for_it(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    for early in [edit("fake", ANI), edit("one", BUDI), edit("baru", BUDI), edit("baru", BUDI)] {
        assert_eq!(receive(&world, early).await.len(), 0);
    }
    let came = receive(&world, incoming("X1", BUDI)).await;
    assert_eq!(kinds(&came), [EventKind::MessageReceived, EventKind::MessageEdited]);
    assert_eq!(stored(&world, &came[0].message).await.text(), "baru");
    assert_eq!(kinds(&receive(&world, incoming("X1", BUDI)).await), []);
    // Together with its message, in whatever order.
    let both = vec![change(Content::Revoke, "X3", BUDI, None), incoming("X3", BUDI)];
    let came = world.store.receive(world.device.id, both, NOW).await.unwrap();
    assert_eq!(kinds(&came), [EventKind::MessageReceived, EventKind::MessageRevoked]);
}

pub async fn a_change_of_an_unreadable_message_shows_once_that_is_recovered(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let unreadable =
        |id: &str| IncomingMessage { content: Content::unreadable(), ..incoming(id, BUDI) };
    let first = receive(&world, unreadable("X1")).await.remove(0).message;
    for early in [edit("fake", ANI), edit("baru", BUDI)] {
        assert_eq!(receive(&world, early).await.len(), 0);
    }
    let came = receive(&world, incoming("X1", BUDI)).await;
    assert_eq!(kinds(&came), [EventKind::MessageReceived, EventKind::MessageEdited]);
    let found = stored(&world, &first).await;
    assert_eq!(found, came[1].message);
    assert_eq!(
        (found.text(), found.context.changes.edited_at),
        ("baru", Some(stored_time(later(-50))))
    );
    // A deletion shows at once, and does not end with the row that stood for its message.
    let second = receive(&world, unreadable("X2")).await.remove(0).message;
    let revoked = receive(&world, change(Content::Revoke, "X2", BUDI, None)).await;
    assert_eq!(kinds(&revoked), [EventKind::MessageRevoked]);
    assert_eq!(stored(&world, &second).await, revoked[0].message);
    let came = receive(&world, incoming("X2", BUDI)).await;
    assert_eq!(kinds(&came), [EventKind::MessageReceived, EventKind::MessageRevoked]);
    let found = stored(&world, &second).await;
    assert_eq!(
        (found.kind(), found.context.changes.revoked_at),
        (ContentKind::Image, Some(stored_time(later(-50))))
    );
    assert_eq!(world.store.clean_up(NOW, later(-40)).await.unwrap(), 0, "no change waits any more");
}

pub async fn an_admin_deletes_in_the_own_group_only(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let [group, other]: [ChatId; 2] =
        ["120363@g.us".to_owned().into(), "99@g.us".to_owned().into()];
    let first = IncomingMessage { chat: group.clone(), ..incoming("X1", BUDI) };
    receive(&world, first).await;
    let revoke = |chat: &ChatId| IncomingMessage {
        chat: chat.clone(),
        ..change(Content::Revoke, "X1", ANI, Some(BUDI))
    };
    assert_eq!(kinds(&receive(&world, revoke(&other)).await), []);
    assert_eq!(kinds(&receive(&world, revoke(&group)).await), [EventKind::MessageRevoked]);
}

pub async fn an_edit_of_ours_counts_once_whatsapp_has_it(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let first = world.sent(1).await;
    let quote = Some(Quote::of(&first));
    let edit = NewMessage {
        content: Content::Edit("baru".into()),
        context: Context { reply_to: quote, mentions: mentioning(&[ANI]), ..Context::default() },
        ..world.text(2)
    };
    let edit = world.accept(edit).await;
    assert_eq!(edit.kind(), ContentKind::Edit);
    assert_eq!(stored(&world, &first).await, first, "it waits");
    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged];
    let messages = world.record(edit.id, &steps).await;
    let changed: Vec<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!(changed, [edit.id, first.id]);
    let found = stored(&world, &first).await;
    assert_eq!(found, messages[1]);
    assert_eq!(
        (found.text(), found.context.changes.edited_at),
        ("baru", Some(stored_time(later(10))))
    );
    assert_eq!(found.context.mentions, mentioning(&[ANI]));
}

fn poll() -> Content {
    let options = vec!["Nasi".into(), "Soto".into()];
    Content::Poll(Poll { question: "Makan?".into(), options, ..Poll::default() })
}

/// `phone` chooses the first or second answer of the poll `X1` that `BUDI` made.
fn vote(id: &str, phone: &str, choices: &[usize]) -> IncomingMessage {
    let names = ["Nasi", "Soto"];
    let digests = choices.iter().map(|choice| Poll::digest(names[*choice])).collect();
    let vote = PollVote::new(digests, Vec::new());
    let content = Content::Structured(Box::new(Structured::PollVote(vote)));
    IncomingMessage {
        whatsapp_id: WhatsappId(id.into()),
        chat: "120363@g.us".to_owned().into(),
        ..change(content, "X1", phone, Some(BUDI))
    }
}

fn poll_of_budi() -> IncomingMessage {
    let chat = "120363@g.us".to_owned().into();
    IncomingMessage { chat, content: poll(), ..incoming("X1", BUDI) }
}

fn tally(message: &Message) -> Vec<usize> {
    message.content.poll().unwrap().tally()
}

fn options(recorded: &[Recorded]) -> Vec<String> {
    let vote = recorded[0].message.content.structured().and_then(Structured::vote);
    vote.unwrap().options().to_vec()
}

pub async fn votes_are_counted_with_their_poll(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let poll = receive(&world, poll_of_budi()).await.remove(0).message;
    let first = receive(&world, vote("V1", ANI, &[0])).await;
    assert_eq!(
        (kinds(&first), options(&first)),
        (vec![EventKind::MessageReceived], vec!["Nasi".into()])
    );
    assert_eq!(stored(&world, &first[0].message).await, first[0].message);
    assert_eq!(tally(&stored(&world, &poll).await), [1, 0]);
    receive(&world, vote("V2", "628333", &[0, 1])).await;
    let again = receive(&world, vote("V1", ANI, &[0])).await;
    assert_eq!(kinds(&again), [], "it is known");
    assert_eq!(tally(&stored(&world, &poll).await), [2, 1]);
    let later_vote = IncomingMessage { at: later(-40), ..vote("V3", ANI, &[1]) };
    receive(&world, later_vote).await;
    assert_eq!(tally(&stored(&world, &poll).await), [1, 2]);
    let withdrawn = IncomingMessage { at: later(-30), ..vote("V4", ANI, &[]) };
    assert_eq!(options(&receive(&world, withdrawn).await), Vec::<String>::new());
    assert_eq!(tally(&stored(&world, &poll).await), [1, 1]);
}

pub async fn a_vote_that_comes_before_its_poll_waits_for_it(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let mut votes = Vec::new();
    for early in [vote("V1", ANI, &[0]), vote("V2", "628333", &[1]), vote("V3", ANI, &[1])] {
        let came = receive(&world, early).await;
        assert_eq!(kinds(&came), [EventKind::MessageReceived]);
        votes.extend(came.into_iter().map(|recorded| recorded.message));
    }
    let poll = receive(&world, poll_of_budi()).await.remove(0).message;
    let poll = stored(&world, &poll).await;
    assert_eq!(tally(&poll), [0, 2]);
    let options = &poll.content.poll().unwrap().options;
    for (vote, option) in votes.iter().zip([0, 1, 1]) {
        let vote = stored(&world, vote).await;
        let cast = vote.content.structured().and_then(Structured::vote).unwrap();
        assert_eq!(cast.options(), [options[option].clone()], "named once the poll is known");
        assert_eq!(vote.text(), options[option]);
    }
}

pub async fn a_place_that_moves_changes_its_row(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let at = |latitude, sequence| {
        let place = Location { latitude, longitude: 106.5, name: None, address: None };
        let live = LiveLocation { place, accuracy_m: None, heading: None, speed: None, sequence };
        let content = Content::Structured(Box::new(Structured::LiveLocation(live)));
        IncomingMessage { content, ..incoming("X1", BUDI) }
    };
    let first = receive(&world, at(-6.0, 1)).await;
    assert_eq!(kinds(&first), [EventKind::MessageReceived]);
    let moved = receive(&world, at(-7.0, 3)).await;
    assert_eq!(kinds(&moved), [EventKind::MessageEdited]);
    assert_eq!(kinds(&receive(&world, at(-6.5, 2)).await), [], "it is late");
    let found = stored(&world, &first[0].message).await;
    assert_eq!(found.content.location().map(|place| place.latitude), Some(-7.0));
}
