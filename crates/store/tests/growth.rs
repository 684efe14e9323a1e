//! What a call costs does not grow with what its device and its account have stored: SQLite's work for each
//! is compared between a few messages and many.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::atomic::Ordering;

use domain::chat::{ChatId, Lid};
use domain::contact::{Identity, Spelling};
use domain::content::Content;
use domain::context::MessageName;
use domain::ids::MessageId;
use domain::message::{IncomingMessage, Receipt};
use domain::phone::PhoneNumber;
use domain::ports::{ChatFilter, MessageFilter, PageRequest};
use support::{Database, SqliteFile};
use testkit::store_conformance::amend::change;
use testkit::store_conformance::lists::incoming;
use testkit::store_conformance::{NOW, World, later};

const FEW: usize = 50;
const MANY: usize = 3_000;
/// A tree of so many rows is a level deeper, and a page of it is read more.
const GROWTH_MAX: u64 = 2;
const STEPS_MIN: u64 = 300;
const FRIEND: &str = "628777";

#[tokio::test]
async fn no_call_costs_more_after_many_messages() {
    let database = Database::Sqlite(SqliteFile::new());
    let world = World::new(database.open().await).await;
    world.webhook(None, &domain::webhook::EventKind::ALL).await;
    fill(&world, 0..FEW).await;
    let few = costs(&world, 1).await;
    fill(&world, FEW..MANY).await;
    let many = costs(&world, 2).await;
    for ((call, few), (_, many)) in few.iter().zip(&many) {
        assert!(*many <= (few * GROWTH_MAX).max(STEPS_MIN), "{call}: {few} steps, then {many}");
    }
}

/// Messages of many chats that came in.
async fn fill(world: &World, numbers: std::ops::Range<usize>) {
    let message = |n: usize| IncomingMessage {
        content: Content::Text(format!("message {n}").into()),
        ..incoming(&format!("IN{n}"), &format!("62811{:04}", n % 500))
    };
    world.store.receive(world.device.id, numbers.map(message).collect(), NOW).await.unwrap();
}

/// The steps of each call, by its name; the messages of each `turn` are others.
async fn costs(world: &World, turn: u64) -> Vec<(&'static str, u64)> {
    let (store, account, device) = (&world.store, world.account.id, world.device.id);
    let mut costs = Vec::new();
    let mut since = steps();
    let mut note = |call| {
        costs.push((call, steps() - since));
        since = steps();
    };
    let page = PageRequest { before: None, limit: 10 };
    let friend = ChatId::Person(PhoneNumber::from_digits(FRIEND));

    let sent = world.sent(turn).await;
    note("accept and send");
    let ids = [sent.whatsapp_id.clone()];
    let read = store.record_receipts(device, &ids, Receipt::Read, later(9)).await.unwrap();
    assert_eq!(read.len(), 1);
    note("a receipt");
    let name = MessageName::Whatsapp(sent.whatsapp_id.clone());
    assert!(store.message_named(account, device, &name).await.unwrap().is_some());
    note("a message by WhatsApp's id");
    let text = IncomingMessage {
        content: Content::Text("halo".into()),
        ..incoming(&format!("NEW{turn}"), FRIEND)
    };
    let received = store.receive(device, vec![text], NOW).await.unwrap();
    note("a message that comes in");
    let edit = change(Content::Edit("hai".into()), &format!("NEW{turn}"), FRIEND, None);
    assert_eq!(store.receive(device, vec![edit], NOW).await.unwrap().len(), 1);
    note("an edit that comes in");
    let received: Vec<MessageId> = received.iter().map(|recorded| recorded.message.id).collect();
    assert_eq!(store.mark_read(account, &received, NOW).await.unwrap().len(), 1);
    note("mark as read");
    let lid = Lid::from_user(&format!("77{turn}"));
    let mut hidden = incoming(&format!("HIDDEN{turn}"), FRIEND);
    hidden.chat = ChatId::Lid(lid.clone());
    hidden.sender.phone = None;
    hidden.sender.lid = Some(lid.clone());
    store.receive(device, vec![hidden], NOW).await.unwrap();
    note("a message from someone without a number");
    let person = Identity { phone: PhoneNumber::from_digits(format!("62877{turn}")), lid };
    assert_eq!(store.identify(device, vec![person], NOW).await.unwrap().len(), 1);
    note("the number of someone who had none");
    let [spelling, phone] =
        ["9", ""].map(|ninth| PhoneNumber::from_digits(format!("5511{ninth}877{turn}")));
    let written = IncomingMessage {
        content: Content::Text("oi".into()),
        ..incoming(&format!("SPELLED{turn}"), spelling.as_str())
    };
    store.receive(device, vec![written], NOW).await.unwrap();
    note("a message under a spelling of a number");
    store.spell(device, Spelling { spelling, phone }).await.unwrap();
    note("a second spelling of a number");
    for is_of_device in [false, true] {
        let filter = MessageFilter {
            chat: Some(friend.clone()),
            device: is_of_device.then_some(device),
            ..MessageFilter::default()
        };
        assert!(!store.messages(account, &filter, page).await.unwrap().items.is_empty());
        note(if is_of_device { "a page of a device's chat" } else { "a page of a chat" });
        let counted = store.counted_messages(account, &filter, 0, 10).await.unwrap();
        assert!(counted.total > 0);
        note("a numbered page of it");
    }
    assert!(store.oldest_message(account, device, &friend).await.unwrap().is_some());
    note("the oldest message of a chat");
    store.messages(account, &MessageFilter::default(), page).await.unwrap();
    note("a page of messages");
    let chats = store.chats(account, &ChatFilter::default(), page).await.unwrap();
    assert!(!chats.items.is_empty());
    note("a page of chats");
    store.outbox_of(account, device).await.unwrap();
    note("what waits");
    store.due_files(NOW, 10, &[]).await.unwrap();
    note("files that are due");
    costs
}

fn steps() -> u64 {
    store::STEPS.load(Ordering::Relaxed)
}
