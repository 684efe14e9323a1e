//! Who is who, and restrictions.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::ids::DeviceId;
use domain::message::{Address, IncomingMessage, Message, MessageEvent, NewMessage};
use domain::phone::PhoneNumber;
use domain::ports::{ChatFilter, MessageFilter, Store};
use domain::webhook::{EventKind, Subject};
use uuid::Uuid;

use super::lists::incoming;
use super::{ALL, NOW, World, later, messages_of, stored};

const BUDI: &str = "628222";

fn identity(phone: &str, lid: &str) -> Identity {
    Identity { phone: PhoneNumber::from_digits(phone), lid: Lid::from_user(lid) }
}

fn address(phone: Option<&str>, lid: &str) -> Address {
    Address { phone: phone.map(PhoneNumber::from_digits), lid: Some(Lid::from_user(lid)) }
}

/// A message from a person who is known by LID only, to the device or into a group.
fn hidden(whatsapp_id: &str, lid: &str, group: Option<&str>) -> IncomingMessage {
    IncomingMessage {
        chat: group.map_or_else(|| ChatId::Lid(Lid::from_user(lid)), ChatId::from),
        sender: address(None, lid),
        ..incoming(whatsapp_id, BUDI)
    }
}

async fn receive(world: &World, new: IncomingMessage) -> Vec<Message> {
    messages_of(world.store.receive(world.device.id, vec![new], NOW).await.unwrap())
}

/// Accepts a message to a chat and has WhatsApp acknowledge it.
async fn send_to(world: &World, n: u64, chat: ChatId) -> Message {
    let id = world.accept(NewMessage { chat, ..world.text(n) }).await.id;
    world.record(id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await.remove(0)
}

async fn chat_of(world: &World, message: &Message) -> String {
    let found = world.store.message(world.account.id, message.id).await.unwrap().unwrap();
    found.chat.to_string()
}

pub async fn a_person_has_one_chat_once_both_names_are_known(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &[EventKind::ContactIdentified]).await;
    let lid = ChatId::Lid(Lid::from_user("9"));
    let by_lid = receive(&world, hidden("X1", "9", None)).await.remove(0);
    let in_group = receive(&world, hidden("X2", "9", Some("120@g.us"))).await.remove(0);
    let answer = send_to(&world, 1, lid.clone()).await;
    let waiting = world.accept(NewMessage { chat: lid.clone(), ..world.text(2) }).await;
    let other = receive(&world, hidden("X3", "10", None)).await.remove(0);

    let known = vec![identity(BUDI, "9"), identity("628333", "11")];
    let events = store.identify(world.device.id, known.clone(), later(5)).await.unwrap();
    assert_eq!(events.len(), 1, "of the other nothing is stored");
    assert_eq!(events[0].subject, Subject::Contact(identity(BUDI, "9")));
    assert_eq!((events[0].kind, events[0].at), (EventKind::ContactIdentified, stored(later(5))));
    assert_eq!(world.pending(&webhook).await.len(), 1);

    let by_number = format!("{BUDI}@s.whatsapp.net");
    for message in [&by_lid, &answer] {
        assert_eq!(chat_of(&world, message).await, by_number);
    }
    assert_eq!(chat_of(&world, &in_group).await, "120@g.us");
    assert_eq!(chat_of(&world, &other).await, "10@lid");
    for message in [&by_lid, &in_group] {
        let message = store.message(world.account.id, message.id).await.unwrap().unwrap();
        assert_eq!(message.sender, Some(address(Some(BUDI), "9")));
    }
    // What waited, and what comes or is accepted later, is in that chat as well.
    let left = world.record(waiting.id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]);
    assert_eq!(left.await[0].chat.to_string(), by_number);
    let later_one = receive(&world, hidden("X4", "9", None)).await.remove(0);
    assert_eq!(later_one.chat.to_string(), by_number);
    assert_eq!(later_one.sender, Some(address(Some(BUDI), "9")));
    let accepted = world.accept(NewMessage { chat: lid.clone(), ..world.text(3) }).await;
    assert_eq!(accepted.chat.to_string(), by_number);
    let chat = Some(ChatId::from(by_number));
    let filter = MessageFilter { chat, ..MessageFilter::default() };
    let page = store.messages(world.account.id, &filter, ALL).await.unwrap();
    assert_eq!(page.items.len(), 5);
    let (contacts, _) = store.contacts(world.device.id, NOW).await.unwrap();
    assert_eq!(contacts, [ChatId::Person(PhoneNumber::from_digits(BUDI))]);
    // Known ones change nothing.
    assert!(store.identify(world.device.id, known, later(6)).await.unwrap().is_empty());
}

pub async fn a_message_that_came_under_both_names_is_stored_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    receive(&world, hidden("X1", "9", None)).await;
    store.identify(world.device.id, vec![identity(BUDI, "9")], NOW).await.unwrap();
    assert!(receive(&world, hidden("X1", "9", None)).await.is_empty());
    assert!(receive(&world, incoming("X1", BUDI)).await.is_empty());
    // Both are there before it is known that they are one person's.
    receive(&world, hidden("X2", "12", None)).await;
    receive(&world, incoming("X2", "628444")).await;
    store.identify(world.device.id, vec![identity("628444", "12")], NOW).await.unwrap();
    assert!(receive(&world, hidden("X2", "12", None)).await.is_empty());
}

pub async fn a_recycled_number_leaves_its_messages_with_its_former_owner(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = world.device.id;
    let person = ChatId::Person(PhoneNumber::from_digits(BUDI));
    store.identify(device, vec![identity(BUDI, "9")], NOW).await.unwrap();
    let received = receive(&world, incoming("X1", BUDI)).await.remove(0);
    let sent = send_to(&world, 1, person.clone()).await;
    let events = store.identify(device, vec![identity(BUDI, "77")], NOW).await.unwrap();
    assert!(events.is_empty(), "nothing was stored of the new owner");
    let new = IncomingMessage { sender: address(Some(BUDI), "77"), ..incoming("X2", BUDI) };
    let of_new_owner = receive(&world, new).await.remove(0);
    assert_eq!(chat_of(&world, &of_new_owner).await, person.to_string());
    for message in [&received, &sent] {
        assert_eq!(chat_of(&world, message).await, "9@lid");
    }
    let received = store.message(world.account.id, received.id).await.unwrap().unwrap();
    assert_eq!(received.sender, Some(address(None, "9")));
    let former = receive(&world, hidden("X3", "9", None)).await.remove(0);
    assert_eq!(former.chat.to_string(), "9@lid");
    assert!(store.contacts(device, NOW).await.unwrap().0.contains(&former.chat));
    // The former owner has another number by now.
    let events = store.identify(device, vec![identity("628555", "9")], NOW).await.unwrap();
    assert_eq!(events.len(), 1);
    for message in [&received, &sent, &former] {
        assert_eq!(chat_of(&world, message).await, "628555@s.whatsapp.net");
    }
    assert_eq!(chat_of(&world, &of_new_owner).await, person.to_string());
}

pub async fn a_person_with_a_new_number_keeps_the_chat(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    store.identify(world.device.id, vec![identity(BUDI, "9")], NOW).await.unwrap();
    let received = receive(&world, incoming("X1", BUDI)).await.remove(0);
    let events = store.identify(world.device.id, vec![identity("628666", "9")], NOW).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(chat_of(&world, &received).await, "628666@s.whatsapp.net");
}

/// Brazil's ninth digit: what is written to, and what WhatsApp answers.
const WRITTEN: &str = "5511987654321";
const KNOWN: &str = "551187654321";

fn person(digits: &str) -> ChatId {
    ChatId::Person(PhoneNumber::from_digits(digits))
}

fn spelling(spelling: &str, phone: &str) -> Spelling {
    let [spelling, phone] = [spelling, phone].map(PhoneNumber::from_digits);
    Spelling { spelling, phone }
}

pub async fn a_number_with_two_spellings_has_one_chat(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let (account, device) = (world.account.id, world.device.id);
    let came = receive(&world, incoming("X1", KNOWN)).await.remove(0);
    let sent = send_to(&world, 1, person(WRITTEN)).await;
    let waiting = world.accept(NewMessage { chat: person(WRITTEN), ..world.text(2) }).await;
    let elsewhere = send_to(&stranger, 3, person(WRITTEN)).await;
    assert_eq!(store.number_of(account, &person(WRITTEN)).await.unwrap(), None);
    for _ in 0..2 {
        store.spell(device, spelling(WRITTEN, KNOWN)).await.unwrap();
    }
    let by_number = person(KNOWN).to_string();
    for message in [&came, &sent] {
        assert_eq!(chat_of(&world, message).await, by_number);
    }
    // What waited, and what comes or is accepted later under either spelling, is in that chat as well.
    let left = world.record(waiting.id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]);
    assert_eq!(left.await[0].chat.to_string(), by_number);
    for (n, written) in [(4, WRITTEN), (5, KNOWN)] {
        let accepted = world.accept(NewMessage { chat: person(written), ..world.text(n) }).await;
        assert_eq!(accepted.chat.to_string(), by_number);
    }
    let later_one = receive(&world, incoming("X2", WRITTEN)).await.remove(0);
    assert_eq!(later_one.chat.to_string(), by_number);
    let chats = store.chats(account, &ChatFilter::default(), ALL).await.unwrap().items;
    assert_eq!(chats.iter().map(|chat| chat.chat.to_string()).collect::<Vec<_>>(), [&*by_number]);
    assert_eq!(chats[0].unread, 2);
    let (contacts, _) = store.contacts(device, NOW).await.unwrap();
    assert_eq!(contacts, [person(KNOWN)]);
    assert_eq!(
        store.number_of(account, &person(WRITTEN)).await.unwrap(),
        Some(PhoneNumber::from_digits(KNOWN))
    );
    assert_eq!(store.number_of(account, &person(KNOWN)).await.unwrap(), None);
    // It is each device's own knowledge.
    assert_eq!(chat_of(&stranger, &elsewhere).await, person(WRITTEN).to_string());
    assert_eq!(store.number_of(stranger.account.id, &person(WRITTEN)).await.unwrap(), None);
    store.spell(DeviceId(Uuid::from_u128(99)), spelling(WRITTEN, KNOWN)).await.unwrap();
}

pub async fn a_spelling_may_become_the_accounts_number(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = world.device.id;
    let first = send_to(&world, 1, person(WRITTEN)).await;
    store.spell(device, spelling(WRITTEN, KNOWN)).await.unwrap();
    store.spell(device, spelling("5511000", WRITTEN)).await.unwrap();
    store.spell(device, spelling(KNOWN, WRITTEN)).await.unwrap();
    // Nothing but a spelling of itself is no news.
    store.spell(device, spelling(WRITTEN, WRITTEN)).await.unwrap();
    assert_eq!(chat_of(&world, &first).await, person(WRITTEN).to_string());
    for (n, written) in [(2, KNOWN), (3, WRITTEN), (4, "5511000")] {
        let accepted = world.accept(NewMessage { chat: person(written), ..world.text(n) }).await;
        assert_eq!(accepted.chat, person(WRITTEN), "{written}");
    }
}

pub async fn who_is_who_is_each_devices_own_knowledge(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    receive(&world, hidden("X1", "9", None)).await;
    let known = vec![identity(BUDI, "9")];
    let events = store.identify(stranger.device.id, known.clone(), NOW).await.unwrap();
    assert!(events.is_empty());
    let page = store.messages(world.account.id, &MessageFilter::default(), ALL).await.unwrap();
    assert_eq!(page.items[0].chat.to_string(), "9@lid");
    let nobodys = DeviceId(Uuid::from_u128(99));
    assert!(store.identify(nobodys, known, NOW).await.unwrap().is_empty());
    store.add_contacts(nobodys, vec![ChatId::from("1@lid")]).await.unwrap();
    assert!(store.contacts(nobodys, NOW).await.unwrap().0.is_empty());
}

pub async fn known_chats_are_contacts_but_no_first_ones(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let chats = ["1@lid", "628222@s.whatsapp.net", "1@lid"].map(ChatId::from);
    store.add_contacts(world.device.id, chats.to_vec()).await.unwrap();
    let (contacts, first) = store.contacts(world.device.id, later(-86_400)).await.unwrap();
    assert_eq!((contacts.len(), first), (2, 0));
    let sent = world.sent(1).await;
    let (contacts, first) = store.contacts(world.device.id, later(-86_400)).await.unwrap();
    assert_eq!((contacts.contains(&sent.chat), first), (true, 1));
    // Nothing else is stored of this one.
    store.identify(world.device.id, vec![identity("628777", "1")], NOW).await.unwrap();
    let (contacts, _) = store.contacts(world.device.id, NOW).await.unwrap();
    assert_eq!(contacts.len(), 3, "{contacts:?}");
    assert!(contacts.contains(&ChatId::Person(PhoneNumber::from_digits("628777"))), "{contacts:?}");
}

pub async fn a_restriction_is_kept_and_emitted_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &[EventKind::DeviceRestricted]).await;
    let (id, until) = (world.device.id, later(3_600));
    for _ in 0..2 {
        store.restrict_device(id, Some(until), NOW).await.unwrap().unwrap();
    }
    let device = store.device(world.account.id, id).await.unwrap().unwrap();
    assert_eq!(device.restricted_until, Some(stored(until)));
    assert_eq!(device.restricted_at(later(3_599)), Some(stored(until)));
    assert_eq!(device.restricted_at(later(3_600)), None);
    let pending = world.pending(&webhook).await;
    assert_eq!(pending.len(), 1);
    let Subject::Device(status) = &pending[0].event.subject else { panic!("of a device") };
    assert_eq!(status.restricted_until, Some(stored(until)));
    let lifted = store.restrict_device(id, None, NOW).await.unwrap().unwrap();
    assert_eq!((lifted.device.restricted_until, lifted.events.len()), (None, 0));
    let gone = store.restrict_device(DeviceId(Uuid::from_u128(99)), None, NOW).await.unwrap();
    assert!(gone.is_none());
}
