//! Listing messages, receiving them, and cleaning them up.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::chat::{ChatId, Lid};
use domain::content::{Contact, Content, ContentKind, File, Location, Poll, Unsupported};
use domain::context::Context;
use domain::ids::{DeviceId, MessageId, WhatsappId};
use domain::media::Media;
use domain::message::{
    Address, Direction, IncomingMessage, Message, MessageEvent, MessageState, NewMessage, Origin,
    Receipt, ReceivedOrigin,
};
use domain::phone::PhoneNumber;
use domain::ports::{
    Acceptance, Accepted, MessageCounts, MessageFilter, OutboxEntry, PageRequest, Recorded, Store,
};
use domain::webhook::EventKind;
use uuid::Uuid;

use super::{ALL, NOW, World, idempotency, later, messages_of, new_device, new_messages, stored};

/// A text from `phone`, with its id on WhatsApp.
pub fn incoming(whatsapp_id: &str, phone: &str) -> IncomingMessage {
    IncomingMessage {
        whatsapp_id: WhatsappId(whatsapp_id.into()),
        chat: ChatId::Person(PhoneNumber::from_digits(phone)),
        sender: Address {
            phone: Some(PhoneNumber::from_digits(phone)),
            lid: Some(Lid::from_user("9")),
        },
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: photo(),
        at: later(-100),
    }
}

fn photo() -> Content {
    let media = Media { size: Some(9), ..Media::default() };
    Content::File(File { kind: ContentKind::Image, caption: "foto 📷".into(), media })
}

async fn ids(world: &World, filter: &MessageFilter, page: PageRequest) -> Vec<MessageId> {
    let page = world.store.messages(world.account.id, filter, page).await.unwrap();
    page.items.iter().map(|message| message.id).collect()
}

pub(super) async fn receive(world: &World, whatsapp_id: &str) -> Message {
    let new = vec![incoming(whatsapp_id, "628111")];
    messages_of(world.store.receive(world.device.id, new, NOW).await.unwrap()).remove(0)
}

pub async fn both_directions_are_listed_newest_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let sent = world.sent(1).await;
    let received = receive(&world, "X1").await;
    let waiting = world.send(2).await;
    let cancelled = world.send(3).await.id;
    let cancelled = world.record(cancelled, &[MessageEvent::Withdrawn]).await.remove(0);
    let all = MessageFilter::default();
    let page = store.messages(world.account.id, &all, ALL).await.unwrap();
    assert_eq!((page.items, page.has_more), (vec![cancelled, waiting, received, sent], false));
}

pub async fn a_list_has_pages(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut expected = Vec::new();
    for n in 0..9 {
        let id = if n % 3 == 0 { world.send(n).await.id } else { world.sent(n).await.id };
        expected.insert(0, id);
    }
    let filter = MessageFilter::default();
    let mut before = None;
    let mut found = Vec::new();
    loop {
        let request = PageRequest { before, limit: 4 };
        let page = store.messages(world.account.id, &filter, request).await.unwrap();
        found.extend(page.items.iter().map(|message| message.id));
        before = found.last().map(|id| id.0);
        assert!(page.items.len() <= 4);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(ids(&world, &filter, PageRequest { before: Some(0), limit: 4 }).await, []);
    let exact = PageRequest { before: None, limit: 9 };
    assert!(!store.messages(world.account.id, &filter, exact).await.unwrap().has_more);
}

pub async fn a_list_can_be_filtered(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let sent = world.sent(1).await.id;
    let read = world.sent(2).await;
    let read_ids = [read.whatsapp_id.clone()];
    messages_of(
        store.record_receipts(world.device.id, &read_ids, Receipt::Read, later(9)).await.unwrap(),
    );
    let received = receive(&world, "X1").await.id;
    let waiting = world.send(3).await.id;
    let second = new_device(&store, &world.account, 50).await.id;
    let other = NewMessage { device_id: second, ..world.text(4) };
    let other = store.accept(world.request(vec![other])).await.unwrap();
    let other = new_messages(other).remove(0).id;
    let filter = |direction, device, states: &[MessageState]| MessageFilter {
        direction,
        device,
        states: states.to_vec(),
        ..MessageFilter::default()
    };
    use MessageState::{Delivered, Queued, Read, Sent};
    let device = Some(world.device.id);
    let cases = [
        (filter(Some(Direction::In), None, &[]), vec![received]),
        (filter(Some(Direction::Out), None, &[]), vec![other, waiting, read.id, sent]),
        (filter(None, device, &[]), vec![waiting, received, read.id, sent]),
        (filter(None, Some(second), &[]), vec![other]),
        (filter(None, Some(DeviceId(Uuid::nil())), &[]), vec![]),
        (filter(None, None, &[Queued]), vec![other, waiting]),
        (filter(None, None, &[Read, Queued]), vec![other, waiting, read.id]),
        (filter(Some(Direction::Out), device, &[Sent, Delivered]), vec![sent]),
        (filter(Some(Direction::In), device, &[Delivered]), vec![received]),
        (filter(Some(Direction::In), None, &[Queued]), vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&world, &filter, ALL).await, expected, "{filter:?}");
    }
}

pub async fn chats_times_and_schedules_are_filters(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let second = new_device(&store, &world.account, 50).await.id;
    let at = async |seconds, message: NewMessage| {
        let request = Acceptance { now: later(seconds), ..world.request(vec![message]) };
        new_messages(store.accept(request).await.unwrap()).remove(0).id
    };
    let soon = |n| NewMessage { due_at: later(50), is_scheduled: true, ..world.text(n) };
    let early = at(0, soon(1)).await;
    world.record(early, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
    let middle = at(10, world.text(1)).await;
    let late = at(20, soon(2)).await;
    world.record(late, &[MessageEvent::Submitted, MessageEvent::AttemptFailed]).await;
    let other = at(30, NewMessage { device_id: second, ..soon(2) }).await;
    let received = incoming("X1", "628111");
    let chat = received.chat.clone();
    let new = store.receive(world.device.id, vec![received], later(15)).await.unwrap();
    let received = messages_of(new)[0].id;
    let all = MessageFilter::default();
    let chat_of = |n| Some(world.text(n).chat);
    let scheduled = || MessageFilter { is_scheduled: true, ..all.clone() };
    let direction = Some(Direction::In);
    use MessageState::{Queued, Scheduled, Sent};
    let cases = [
        (MessageFilter { chat: chat_of(1), ..all.clone() }, vec![middle, early]),
        (MessageFilter { chat: chat_of(2), device: Some(second), ..all.clone() }, vec![other]),
        (MessageFilter { chat: Some(chat), ..all.clone() }, vec![received]),
        (MessageFilter { chat: chat_of(9), ..all.clone() }, vec![]),
        (MessageFilter { kinds: vec![ContentKind::Image], ..all.clone() }, vec![received]),
        (MessageFilter { kinds: vec![ContentKind::Text], ..scheduled() }, vec![other, late, early]),
        (MessageFilter { text: Some("FOTO".into()), ..all.clone() }, vec![received]),
        (MessageFilter { text: Some("f_%".into()), ..all.clone() }, vec![]),
        (MessageFilter { since: Some(later(15)), ..all.clone() }, vec![received, other, late]),
        (MessageFilter { until: Some(later(15)), ..all.clone() }, vec![middle, early]),
        (
            MessageFilter { since: Some(later(10)), until: Some(later(30)), ..all.clone() },
            vec![received, late, middle],
        ),
        (scheduled(), vec![other, late, early]),
        (MessageFilter { device: Some(world.device.id), ..scheduled() }, vec![late, early]),
        (MessageFilter { states: vec![Sent], ..scheduled() }, vec![early]),
        (MessageFilter { states: vec![Queued, Scheduled], ..scheduled() }, vec![other, late]),
        (
            MessageFilter { states: vec![Queued], now: Some(later(60)), ..scheduled() },
            vec![other, late],
        ),
        (MessageFilter { chat: chat_of(1), ..scheduled() }, vec![early]),
        (MessageFilter { direction, ..scheduled() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&world, &filter, ALL).await, expected, "{filter:?}");
        let counted = store.counted_messages(world.account.id, &filter, 0, 10).await.unwrap();
        let found: Vec<_> = counted.items.iter().map(|message| message.id).collect();
        let total = i64::try_from(expected.len()).unwrap();
        assert_eq!((found, counted.total), (expected, total), "{filter:?}");
    }
}

pub async fn a_counted_list_has_a_total(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    stranger.send(1).await;
    let mut expected = Vec::new();
    for n in 0..9 {
        let message = if n % 3 == 0 { world.send(n).await } else { world.sent(n).await };
        expected.insert(0, message);
    }
    let page = async |account, offset, limit| {
        let filter = MessageFilter::default();
        let page = store.counted_messages(account, &filter, offset, limit).await.unwrap();
        (page.items, page.total)
    };
    let account = world.account.id;
    assert_eq!(page(account, 0, 4).await, (expected[..4].to_vec(), 9));
    assert_eq!(page(account, 4, 4).await, (expected[4..8].to_vec(), 9));
    assert_eq!(page(account, 8, 4).await, (expected[8..].to_vec(), 9));
    assert_eq!(page(account, 9, 4).await, (vec![], 9));
    assert_eq!(page(account, u32::MAX, 4).await, (vec![], 9));
    assert_eq!(page(account, 0, 0).await, (vec![], 9));
    assert_eq!(page(stranger.account.id, 0, 4).await.1, 1);
}

pub async fn sent_and_failed_are_counted(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let second = new_device(&store, &world.account, 50).await.id;
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    world.send(1).await;
    let read = [world.sent(2).await.whatsapp_id];
    store.record_receipts(device, &read, Receipt::Read, later(20)).await.unwrap();
    world.sent(3).await;
    for (n, end) in [(4, MessageEvent::Withdrawn), (5, MessageEvent::Failed)] {
        let id = world.send(n).await.id;
        world.record(id, &[end]).await;
    }
    receive(&world, "X1").await;
    let counts = async |account, device| store.message_counts(account, device).await.unwrap();
    assert_eq!(counts(account, device).await, MessageCounts { sent: 2, failed: 2 });
    assert_eq!(counts(account, second).await, MessageCounts::default());
    assert_eq!(counts(stranger, device).await, MessageCounts::default());
}

pub async fn a_due_message_is_listed_as_queued(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let soon = NewMessage { due_at: later(5), is_scheduled: true, ..world.text(1) };
    let soon = store.accept(world.request(vec![soon])).await.unwrap();
    let soon = new_messages(soon).remove(0).id;
    let waiting = world.send(2).await.id;
    let list = async |state, now| {
        let filter = MessageFilter { states: vec![state], now, ..MessageFilter::default() };
        ids(&world, &filter, ALL).await
    };
    use MessageState::{Queued, Scheduled};
    assert_eq!(list(Scheduled, None).await, [soon]);
    assert_eq!(list(Scheduled, Some(later(4))).await, [soon]);
    assert_eq!(list(Scheduled, Some(later(5))).await, []);
    assert_eq!(list(Queued, Some(later(4))).await, [waiting]);
    assert_eq!(list(Queued, Some(later(5))).await, [waiting, soon]);
}

pub async fn lists_are_tenant_separate(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let (waiting, sent) = (one.send(1).await.id, one.sent(2).await.id);
    let received = receive(&one, "X1").await.id;
    assert_eq!(ids(&two, &MessageFilter::default(), ALL).await, []);
    let of_ones = MessageFilter { device: Some(one.device.id), ..MessageFilter::default() };
    assert_eq!(ids(&two, &of_ones, ALL).await, []);
    for id in [waiting, sent, received] {
        assert!(store.message(two.account.id, id).await.unwrap().is_none());
        assert!(store.message(one.account.id, id).await.unwrap().is_some());
    }
}

pub async fn incoming_messages_are_stored_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let both = vec![incoming("X1", "6281"), incoming("X2", "6281"), incoming("X1", "6281")];
    let stored_now = messages_of(store.receive(device, both.clone(), NOW).await.unwrap());
    assert_eq!(stored_now.len(), 2);
    let first = &stored_now[0];
    assert_eq!((first.direction(), first.state), (Direction::In, MessageState::Delivered));
    assert_eq!((first.sender.as_ref(), &first.chat), (Some(&both[0].sender), &both[0].chat));
    assert_eq!(&first.content, &photo());
    assert_eq!((first.created_at, first.origin), (stored(NOW), Origin::Incoming));
    assert_eq!(first.reached(MessageState::Delivered), Some(stored(later(-100))));
    assert_eq!(store.message(account, first.id).await.unwrap().as_ref(), Some(first));
    let again = vec![incoming("X2", "6281"), incoming("X3", "6281")];
    let stored_now = messages_of(store.receive(device, again, later(9)).await.unwrap());
    assert_eq!(stored_now.len(), 1);
    assert_eq!(stored_now[0].whatsapp_id.as_str(), "X3");
    let nowhere = DeviceId(Uuid::nil());
    assert!(messages_of(store.receive(nowhere, both, NOW).await.unwrap()).is_empty());
    assert!(messages_of(store.receive(device, vec![], NOW).await.unwrap()).is_empty());
}

pub async fn senders_may_share_an_id(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = new_device(&store, &world.account, 50).await.id;
    let by_lid = IncomingMessage {
        sender: Address { phone: None, lid: Some(Lid::from_user("5")) },
        chat: ChatId::Lid(Lid::from_user("5")),
        ..incoming("X1", "6281")
    };
    let all = vec![incoming("X1", "6281"), incoming("X1", "6282"), by_lid];
    assert_eq!(
        messages_of(store.receive(world.device.id, all.clone(), NOW).await.unwrap()).len(),
        3
    );
    assert_eq!(
        messages_of(store.receive(world.device.id, all.clone(), NOW).await.unwrap()).len(),
        0
    );
    assert_eq!(messages_of(store.receive(other, all, NOW).await.unwrap()).len(), 3);
}

pub async fn an_unreadable_message_is_recovered_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let unreadable =
        |sender| IncomingMessage { content: Content::unreadable(), ..incoming("X1", sender) };
    let recorded = async |message| store.receive(device, vec![message], later(7)).await.unwrap();
    let receive = async |message| messages_of(recorded(message).await);
    let kinds = |recorded: &Recorded| -> Vec<EventKind> {
        recorded.events.iter().map(|event| event.kind).collect()
    };
    let came = recorded(unreadable("6281")).await.remove(0);
    assert_eq!(kinds(&came), [EventKind::MessageReceived], "it is reported as it is");
    let first = came.message.clone();
    assert_eq!((first.kind().as_str(), first.text()), ("unreadable", ""));
    assert!(receive(unreadable("6281")).await.is_empty(), "it is known");
    let other = receive(incoming("X1", "6282")).await.remove(0);
    assert_ne!(other.id, first.id, "another sender's");
    let recovered = recorded(incoming("X1", "6281")).await.remove(0);
    let expected = Message { content: photo(), ..first.clone() };
    assert_eq!((recovered.is_new, &recovered.message), (false, &expected));
    assert_eq!(kinds(&recovered), [EventKind::MessageReceived], "and once it can be read");
    let ids_of = |recorded: &Recorded| recorded.events.iter().map(|event| event.id.clone()).next();
    assert_eq!(ids_of(&came), Some(format!("evt_{}_message_received_unreadable", first.id)));
    assert_eq!(ids_of(&recovered), Some(format!("evt_{}_message_received", first.id)));
    assert_eq!(store.message(account, first.id).await.unwrap(), Some(expected));
    assert!(receive(incoming("X1", "6281")).await.is_empty(), "it is known");
    assert!(receive(unreadable("6281")).await.is_empty(), "it stays as it is");
    assert_eq!(ids(&world, &MessageFilter::default(), ALL).await, [other.id, first.id]);
}

pub async fn what_others_write_can_be_stored(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let media = Media {
        filename: Some("a\0.pdf".into()),
        mimetype: Some("text\0/x".into()),
        ..Media::default()
    };
    let file = File { kind: ContentKind::Document, caption: "\0see".into(), media };
    let place = Location {
        latitude: 1.0,
        longitude: 2.0,
        name: Some("Mo\0nas".into()),
        address: Some("\0".into()),
    };
    let far = "1".repeat(9_000);
    let odd = IncomingMessage {
        whatsapp_id: WhatsappId::from_outside(&far),
        chat: ChatId::from(format!("{far}\0@broadcast")),
        sender: Address {
            phone: Some(PhoneNumber::from_digits(far.clone())),
            lid: Some(Lid::from_user(&far)),
        },
        content: Content::Text("a\0b".into()),
        ..incoming("X1", "6281")
    };
    let with = |id, content| IncomingMessage { content, ..incoming(id, "6281") };
    let unknown = Unsupported { kind: ContentKind::Other, text: "\0".into() };
    let card = Contact { name: "\0".into(), phone: Some("\0".into()), organization: None };
    let poll = Poll { question: "\0".into(), options: vec!["a\0".into()], ..Poll::default() };
    let all = vec![
        odd.clone(),
        with("X2", Content::File(file)),
        with("X3", Content::Location(place)),
        with("X4", Content::Unsupported(unknown)),
        with("X5", Content::Contacts(vec![card])),
        with("X6", Content::Poll(poll)),
        with("X7", Content::Reaction("\0".into())),
    ];
    let stored_now = messages_of(store.receive(world.device.id, all, NOW).await.unwrap());
    for message in &stored_now {
        let kept = store.message(world.account.id, message.id).await.unwrap();
        assert_eq!(kept.as_ref(), Some(message));
    }
    let texts: Vec<&str> = stored_now.iter().map(Message::text).collect();
    assert_eq!(texts, ["ab", "see", "Monas", "", "", "", ""]);
    let media = stored_now[1].media().unwrap();
    assert_eq!(media.filename.as_deref(), Some("a.pdf"));
    assert_eq!(media.mimetype.as_deref(), Some("text/x"));
    let again = store.receive(world.device.id, vec![odd], NOW).await.unwrap();
    assert!(again.is_empty(), "an id that was shortened is recognised");
    let ids = [WhatsappId::from_outside("X\09"), WhatsappId::from_outside(&far)];
    let receipt = store.record_receipts(world.device.id, &ids, Receipt::Read, NOW).await;
    assert!(receipt.unwrap().is_empty());
}

pub async fn an_own_message_from_elsewhere_counts_as_sent(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let own = IncomingMessage { origin: ReceivedOrigin::Phone, ..incoming("X1", "6281") };
    let message =
        messages_of(store.receive(world.device.id, vec![own], NOW).await.unwrap()).remove(0);
    assert_eq!((message.direction(), message.state), (Direction::Out, MessageState::Sent));
    let kept = store.message(world.account.id, message.id).await.unwrap().unwrap();
    assert_eq!((message.origin, kept.origin), (Origin::Phone, Origin::Phone));
    let ids = [message.whatsapp_id.clone()];
    let receipt = messages_of(
        store.record_receipts(world.device.id, &ids, Receipt::Read, NOW).await.unwrap(),
    );
    assert_eq!(receipt[0].state, MessageState::Read);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 0);
}

pub async fn the_outbox_is_loaded_whole(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let mut expected = Vec::new();
    for world in [&one, &two] {
        let messages = (0..6_000)
            .map(|n| NewMessage {
                priority: i16::try_from(n % 7).unwrap(),
                retry_interval_s: (n % 2 == 0).then_some(60),
                ..world.text(n)
            })
            .collect();
        let made = new_messages(store.accept(world.request(messages)).await.unwrap());
        expected.extend(made.iter().map(OutboxEntry::from));
    }
    assert!(store.outbox().await.unwrap() == expected);
}

pub async fn the_outbox_of_a_device_is_loaded_alone(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let device = new_device(&store, &one.account, 51).await;
    let (store, account) = (Arc::clone(&store), one.account.clone());
    let neighbour = World { store: Arc::clone(&store), account, device };
    let mut expected = Vec::new();
    for n in 0..3 {
        expected.push(OutboxEntry::from(&one.send(n).await));
        neighbour.send(100 + n).await;
        two.send(200 + n).await;
    }
    one.sent(9).await;
    let (account, device) = (one.account.id, one.device.id);
    assert_eq!(store.outbox_of(account, device).await.unwrap(), expected);
    let strangers = store.outbox_of(two.account.id, device).await.unwrap();
    assert!(strangers.is_empty(), "{strangers:?}");
}

pub async fn old_rows_are_cleaned_up(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let keyed = |n: u64, seconds| Acceptance {
        idempotency: Some(idempotency(&format!("k{n}"), 1)),
        now: later(seconds),
        ..world.request(vec![world.text(n)])
    };
    for n in 0..3 {
        new_messages(store.accept(keyed(n, 0)).await.unwrap());
    }
    new_messages(store.accept(keyed(9, 50_000)).await.unwrap());
    let received = (0..2_500).map(|n| incoming(&format!("X{n}"), "6281")).collect();
    assert_eq!(
        messages_of(store.receive(world.device.id, received, NOW).await.unwrap()).len(),
        2_500
    );
    let kept = incoming("kept", "6281");
    messages_of(store.receive(world.device.id, vec![kept], later(100)).await.unwrap());
    assert_eq!(super::clean_up(&store, later(10), later(-10)).await, 0);
    assert_eq!(super::clean_up(&store, later(86_400), later(100)).await, 2_503);
    assert_eq!(super::clean_up(&store, later(86_400), later(100)).await, 0);
    assert_eq!(ids(&world, &MessageFilter::default(), ALL).await.len(), 5);
    let again = store.accept(keyed(9, 86_400)).await.unwrap();
    assert!(matches!(again, Accepted::Repeated(_)));
    let waiting = store.outbox().await.unwrap();
    assert_eq!(waiting.len(), 4, "what waits is never cleaned up");
}
