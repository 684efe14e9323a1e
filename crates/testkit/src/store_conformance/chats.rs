//! Chats, and what was read in them.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::call::CallReport;
use domain::chat::{Chat, ChatId, Lid};
use domain::contact::Identity;
use domain::context::Context;
use domain::message::{Address, IncomingMessage, Message, MessageState};
use domain::phone::PhoneNumber;
use domain::ports::{PageRequest, Store};
use domain::webhook::EventKind;

use super::lists::incoming;
use super::{NOW, World, later, stored};

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
    let device = Some(world.device.id);
    let of_device = world.store.chats(world.account.id, device, page).await.unwrap();
    let of_account = world.store.chats(world.account.id, None, page).await.unwrap();
    assert_eq!(of_device.items, of_account.items);
    (of_device.items, of_device.has_more)
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
