//! Chats, and what was read in them.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::call::CallReport;
use domain::chat::{Chat, ChatFacts, ChatId, GroupId, Lid};
use domain::contact::{Identity, KnownPerson};
use domain::content::Content;
use domain::context::Context;
use domain::group::{GroupChange, GroupReport, ParticipantAction};
use domain::message::{Address, IncomingMessage, Message, MessageState};
use domain::phone::PhoneNumber;
use domain::ports::{ChatFilter, MessageFilter, PageRequest, Store};
use domain::webhook::EventKind;

use super::lists::incoming;
use super::{NOW, World, clean_up, later, stored};

const BUDI: &str = "628111";
const ANI: &str = "628222";

async fn receive(world: &World, messages: Vec<IncomingMessage>) -> Vec<Message> {
    let new = world.store.receive(world.device.id, messages, NOW).await.unwrap();
    new.into_iter().map(|recorded| recorded.message).collect()
}

fn named(id: &str, phone: &str, name: &str) -> IncomingMessage {
    let context = Context { sender_name: Some(name.into()), ..Context::default() };
    let sender = Address { phone: Some(PhoneNumber::from_digits(phone)), lid: None };
    IncomingMessage { context, sender, ..incoming(id, phone) }
}

async fn chats(world: &World, limit: u32, before: Option<i64>) -> (Vec<Chat>, bool) {
    let page = PageRequest { before, limit };
    let filter = ChatFilter { device: Some(world.device.id), ..ChatFilter::default() };
    let of_device = world.store.chats(world.account.id, &filter, page).await.unwrap();
    let all = ChatFilter::default();
    let of_account = world.store.chats(world.account.id, &all, page).await.unwrap();
    assert_eq!(of_device.items, of_account.items);
    (of_device.items, of_device.has_more)
}

pub async fn chats_are_found_by_name_number_and_what_is_unread(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let read = receive(&world, vec![named("X1", BUDI, "Budi 100%"), named("X2", ANI, "Ani_B")]);
    let read = read.await[1].id;
    world.store.mark_read(world.account.id, &[read], later(9)).await.unwrap();
    let person = |phone| ChatId::Person(PhoneNumber::from_digits(phone));
    let (budi, ani) = (person(BUDI), person(ANI));
    let found = async |filter: ChatFilter| {
        let page = PageRequest { before: None, limit: 9 };
        let page = world.store.chats(world.account.id, &filter, page).await.unwrap();
        page.items.into_iter().map(|chat| chat.chat).collect::<Vec<_>>()
    };
    let search = |text: &str| ChatFilter { search: text.to_owned(), ..ChatFilter::default() };
    for (text, chats) in [
        ("BUDI", vec![budi.clone()]),
        ("+6281", vec![budi.clone()]),
        (" +62822", vec![ani.clone()]),
        ("628", vec![ani.clone(), budi.clone()]),
        ("0%", vec![budi.clone()]),
        ("%i", vec![]),
        ("i_b", vec![ani.clone()]),
        ("i b", vec![]),
        ("!", vec![]),
    ] {
        assert_eq!(found(search(text)).await, chats, "{text}");
    }
    let unread = ChatFilter { is_unread: true, ..ChatFilter::default() };
    assert_eq!(found(unread).await, [budi]);
    let one = ChatFilter { chat: Some(ani.clone()), ..ChatFilter::default() };
    assert_eq!(found(one).await, [ani]);
    let none = ChatFilter { chat: Some(person("628999")), ..ChatFilter::default() };
    assert_eq!(found(none).await, []);
}

pub async fn chats_are_listed_by_their_newest_message(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    assert_eq!(chats(&world, 9, None).await.0, []);
    let first = receive(&world, vec![named("X1", BUDI, "Budi"), named("X2", ANI, "Ani")]).await;
    let sent = world.sent(1).await;
    let group: ChatId = "120363@g.us".to_owned().into();
    let in_group = IncomingMessage { chat: group.clone(), ..named("X3", ANI, "Ani") };
    receive(&world, vec![named("X4", BUDI, "Budi S."), in_group]).await;
    let (all, has_more) = chats(&world, 9, None).await;
    let shown: Vec<_> =
        all.iter().map(|chat| (chat.chat.clone(), chat.name.as_deref(), chat.unread)).collect();
    let person = |phone| ChatId::Person(PhoneNumber::from_digits(phone));
    let mut wanted =
        vec![(group, None, 1), (person(BUDI), Some("Budi S."), 2), (person(ANI), Some("Ani"), 1)];
    wanted.insert(2, (sent.chat.clone(), None, 0));
    assert_eq!((shown, has_more), (wanted, false));
    assert!(
        all.iter()
            .all(|chat| { chat.last.as_ref().is_some_and(|last| last.id == chat.last_message_id) })
    );
    let (newest, has_more) = chats(&world, 1, None).await;
    assert_eq!((newest, has_more), (all[..1].to_vec(), true));
    let (rest, _) = chats(&world, 9, Some(all[0].last_message_id.0)).await;
    assert_eq!(rest, all[1..]);

    let ids = [first[0].id, first[1].id, sent.id];
    let read = world.store.mark_read(world.account.id, &ids, later(9)).await.unwrap();
    let mut marked: Vec<_> = read.iter().map(|message| (message.id, message.state)).collect();
    marked.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(marked, [(first[0].id, MessageState::Read), (first[1].id, MessageState::Read)]);
    assert_eq!(read[0].reached(MessageState::Read), Some(stored(later(9))));
    let again = world.store.mark_read(world.account.id, &ids, later(10)).await.unwrap();
    assert_eq!(again, []);
    let (all, _) = chats(&world, 9, None).await;
    let unread: Vec<_> = all.iter().map(|chat| chat.unread).collect();
    assert_eq!(unread, [1, 1, 0, 0]);
}

pub async fn a_reaction_is_not_unread(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let reaction =
        IncomingMessage { content: Content::Reaction("👍".into()), ..named("X2", BUDI, "Budi") };
    let came = receive(&world, vec![named("X1", BUDI, "Budi"), reaction]).await;
    let unread = async || chats(&world, 9, None).await.0[0].unread;
    assert_eq!(unread().await, 1);
    for (message, left) in [(&came[1], 1), (&came[0], 0)] {
        world.store.mark_read(world.account.id, &[message.id], later(1)).await.unwrap();
        assert_eq!(unread().await, left);
    }
}

pub async fn a_persons_chat_keeps_its_unread_messages(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let lid = Lid::from_user("77");
    let by_lid = IncomingMessage {
        chat: ChatId::Lid(lid.clone()),
        sender: Address { phone: None, lid: Some(lid.clone()) },
        ..named("X1", BUDI, "Budi")
    };
    receive(&world, vec![by_lid, named("X2", BUDI, "Budi S.")]).await;
    assert_eq!(chats(&world, 9, None).await.0.len(), 2);
    let identity = Identity { phone: PhoneNumber::from_digits(BUDI), lid };
    world.store.identify(world.device.id, vec![identity], NOW).await.unwrap();
    let (all, _) = chats(&world, 9, None).await;
    let [chat] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((chat.chat.short(), chat.name.as_deref(), chat.unread), (BUDI, Some("Budi S."), 2));
}

pub async fn a_call_is_an_event(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let hook = world.webhook(None, &[EventKind::CallReceived]).await;
    let call = CallReport {
        id: "CALL".into(),
        from: Address { phone: Some(PhoneNumber::from_digits(BUDI)), lid: None },
        is_video: true,
        is_group: false,
        is_rejected: true,
        at: stored(NOW),
    };
    let events = world.store.report_call(world.device.id, &call).await.unwrap();
    let posted: Vec<_> = world.pending(&hook).await.into_iter().map(|d| d.event).collect();
    assert_eq!(posted, events);
    assert_eq!(posted[0].kind, EventKind::CallReceived);
}

fn group() -> GroupId {
    GroupId::from_user("120363")
}

fn report(id: &str, change: GroupChange) -> GroupReport {
    let by = Address { phone: Some(PhoneNumber::from_digits(ANI)), lid: None };
    GroupReport { id: id.into(), group: group(), by: Some(by), change, at: stored(NOW) }
}

pub async fn a_change_of_a_group_is_an_event_and_shows_in_its_chat(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let kinds = [EventKind::GroupUpdated, EventKind::GroupParticipants];
    let hook = world.webhook(None, &kinds).await;
    let (device, chat) = (world.device.id, ChatId::Group(group()));
    let budi = Address { phone: Some(PhoneNumber::from_digits(BUDI)), lid: None };
    let facts = ChatFacts { can_send: Some(true), ..ChatFacts::default() };
    assert!(!world.store.describe_chat(device, &chat, &facts).await.unwrap(), "no such chat");
    assert_eq!(world.store.is_described(device, &chat).await.unwrap(), None);
    let in_group = IncomingMessage { chat: chat.clone(), ..named("X1", ANI, "Ani") };
    receive(&world, vec![in_group]).await;
    assert_eq!(world.store.is_described(device, &chat).await.unwrap(), Some(false));
    let changes = [
        GroupChange::Name("Tim\0".into()),
        GroupChange::Description(None),
        GroupChange::Picture(true),
        GroupChange::Announcement(true),
        GroupChange::Locked(false),
        GroupChange::Ephemeral(86_400),
        GroupChange::Participants(ParticipantAction::Promote, vec![budi]),
    ];
    let mut events = Vec::new();
    for (index, change) in changes.into_iter().enumerate() {
        let report = report(&index.to_string(), change);
        events.extend(world.store.report_group(device, &report).await.unwrap());
    }
    let posted: Vec<_> = world.pending(&hook).await.into_iter().map(|d| d.event).collect();
    assert_eq!(posted, events);
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let mut expected = vec![EventKind::GroupUpdated; 6];
    expected.push(EventKind::GroupParticipants);
    assert_eq!(kinds, expected);
    let shown = async || {
        let chat = chats(&world, 9, None).await.0.remove(0);
        (chat.name.clone(), chat.ephemeral_s, chat.can_send())
    };
    assert_eq!(shown().await, (Some("Tim".into()), 86_400, true));
    let facts =
        ChatFacts { name: Some("Regu".into()), ephemeral_s: Some(0), can_send: Some(false) };
    assert!(world.store.describe_chat(device, &chat, &facts).await.unwrap());
    assert_eq!(shown().await, (Some("Regu".into()), 0, false));
    assert_eq!(world.store.is_described(device, &chat).await.unwrap(), Some(true));
    assert!(world.store.describe_chat(device, &chat, &ChatFacts::default()).await.unwrap());
    assert_eq!(shown().await, (Some("Regu".into()), 0, false), "what is not said stays");
}

async fn known(world: &World, limit: u32, before: Option<i64>) -> (Vec<KnownPerson>, bool) {
    let page = PageRequest { before, limit };
    let (account, device) = (world.account.id, Some(world.device.id));
    let of_device = world.store.people_known(account, device, page).await.unwrap();
    let of_account = world.store.people_known(account, None, page).await.unwrap();
    assert_eq!(of_device.items, of_account.items);
    (of_device.items, of_device.has_more)
}

pub async fn people_are_known_by_both_names(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    assert_eq!(known(&world, 9, None).await.0, []);
    let lid = Lid::from_user("77");
    let hidden = Address { phone: None, lid: Some(lid.clone()) };
    let in_group = IncomingMessage {
        chat: ChatId::Group(group()),
        sender: hidden,
        ..named("X1", BUDI, "Budi")
    };
    receive(&world, vec![in_group]).await;
    receive(&world, vec![named("X2", ANI, "Ani")]).await;
    let sent = world.sent(1).await;
    let shown = |people: &[KnownPerson]| -> Vec<(String, Option<String>)> {
        people.iter().map(|one| (one.who.key().to_owned(), one.name.clone())).collect()
    };
    let all = known(&world, 9, None).await.0;
    let name = |name: &str| Some(name.to_owned());
    let person = |key: &str, called: Option<String>| (key.to_owned(), called);
    let theirs = person(sent.chat.short(), None);
    let expected = [theirs.clone(), person(ANI, name("Ani")), person(lid.as_str(), name("Budi"))];
    assert_eq!(shown(&all), expected);
    let (first, has_more) = known(&world, 1, None).await;
    assert_eq!((shown(&first), has_more), (vec![theirs], true));
    let (rest, _) = known(&world, 9, Some(all[0].id)).await;
    assert_eq!(rest, all[1..]);

    receive(&world, vec![named("X3", ANI, "Ani S."), named("X4", ANI, "Ani S.")]).await;
    let identity = Identity { phone: PhoneNumber::from_digits(BUDI), lid: lid.clone() };
    world.store.identify(world.device.id, vec![identity], NOW).await.unwrap();
    let all = known(&world, 9, None).await.0;
    assert_eq!(shown(&all)[1..], [person(ANI, name("Ani S.")), person(BUDI, name("Budi"))]);
    assert_eq!(all[2].who.lid, Some(lid));
    world.store.delete_account(world.account.id).await.unwrap();
    assert_eq!(known(&world, 9, None).await.0, []);
}

pub async fn older_messages_stand_behind_all_others(store: Arc<dyn Store>) {
    let world = World::new(store).await;
    let (account, device) = (world.account.id, world.device.id);
    let hook = world.webhook(None, &[EventKind::MessageReceived]).await;
    let chat = ChatId::Person(PhoneNumber::from_digits(BUDI));
    let oldest = async || world.store.oldest_message(account, device, &chat).await.unwrap();
    assert_eq!(oldest().await, None);
    let first = receive(&world, vec![named("X1", BUDI, "Budi"), named("X2", BUDI, "Budi")]).await;
    assert_eq!(oldest().await.as_ref(), Some(&first[0]));
    let pending = world.pending(&hook).await.len();
    let give = async |ids: &[&str]| {
        let messages = ids.iter().map(|id| named(id, BUDI, "Budi yang dulu")).collect();
        world.store.receive_history(device, messages, later(5)).await.unwrap()
    };
    assert_eq!(give(&["H2", "H1", "X1"]).await, 2, "one is known");
    assert_eq!(oldest().await.unwrap().whatsapp_id.as_str(), "H1");
    assert_eq!(give(&["G1", "H1"]).await, 1);
    let filter = MessageFilter { chat: Some(chat.clone()), ..MessageFilter::default() };
    let page = |limit, before| PageRequest { before, limit };
    let listed = async |limit, before| {
        let page = world.store.messages(account, &filter, page(limit, before)).await.unwrap();
        (page.items, page.has_more)
    };
    let ids = |of: &[Message]| -> Vec<String> {
        of.iter().map(|message| message.whatsapp_id.as_str().to_owned()).collect()
    };
    let (all, _) = listed(9, None).await;
    assert_eq!(ids(&all), ["X2", "X1", "H2", "H1", "G1"]);
    assert!(all[2..].iter().all(|old| old.id.0 < 0 && old.state == MessageState::Read));
    let (rest, has_more) = listed(2, Some(all[2].id.0)).await;
    assert_eq!((ids(&rest), has_more), (vec!["H1".to_owned(), "G1".to_owned()], false));
    assert_eq!(world.pending(&hook).await.len(), pending, "no events");
    let (chats, _) = chats(&world, 9, None).await;
    let [shown] = chats.as_slice() else { panic!("{chats:?}") };
    assert_eq!((shown.unread, shown.name.as_deref()), (2, Some("Budi")));
    assert_eq!(shown.last_message_id, first[1].id);
    // What is old by when it was stored goes, from either end.
    clean_up(&world.store, later(100), later(2)).await;
    assert_eq!(ids(&listed(9, None).await.0), ["H2", "H1", "G1"]);
    clean_up(&world.store, later(100), later(6)).await;
    assert_eq!(listed(9, None).await.0, []);
}
