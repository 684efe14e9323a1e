//! Where pages end, and what their totals are.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::content::Content;
use domain::ids::{DeviceId, MessageId};
use domain::message::{Direction, MessageEvent, MessageState, NewMessage, Receipt};
use domain::ports::{MessageBatch, MessageFilter, PAGE_BYTES_MAX, PageRequest, Store};

use super::lists::incoming;
use super::{ALL, World, clean_up, later, new_device, new_messages};

fn long(world: &World, n: u64, bytes: usize) -> NewMessage {
    NewMessage { content: Content::Text("x".repeat(bytes).into()), ..world.text(n) }
}

/// Long messages, every other one in the history; newest first.
async fn long_messages(world: &World, count: u64, bytes: usize) -> Vec<MessageId> {
    let mut expected = Vec::new();
    for n in 0..count {
        let id = world.accept(long(world, n, bytes)).await.id;
        if n % 2 == 0 {
            world.record(id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
        }
        expected.insert(0, id);
    }
    expected
}

pub async fn a_batch_is_counted_by_state(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    let before = world.send(9).await;
    let soon = NewMessage { due_at: later(5), is_scheduled: true, ..world.text(4) };
    let batch = vec![world.text(1), world.text(2), world.text(3), soon];
    let batch = new_messages(store.accept(world.request(batch)).await.unwrap());
    world.send(8).await;
    for (message, events) in [
        (&batch[0], &[MessageEvent::Submitted, MessageEvent::Acknowledged][..]),
        (&batch[1], &[MessageEvent::Failed]),
    ] {
        world.record(message.id, events).await;
    }
    let (first, last) = (batch[0].id, batch[3].id);
    let (device, created_at) = (world.device.id, batch[0].created_at);
    let range = MessageBatch { device, first, last, created_at };
    let count = async |account, batch, now| {
        let mut counts = store.count_batch(account, batch, now).await.unwrap();
        counts.sort_by_key(|(state, _)| state.as_str());
        counts
    };
    use MessageState::{Failed, Queued, Scheduled, Sent};
    let (account, at) = (world.account.id, later(0));
    assert_eq!(
        count(account, range, at).await,
        [(Failed, 1), (Queued, 1), (Scheduled, 1), (Sent, 1)]
    );
    assert_eq!(count(account, range, later(5)).await, [(Failed, 1), (Queued, 2), (Sent, 1)]);
    assert_eq!(count(stranger, range, at).await, []);
    let other = MessageBatch { created_at: later(1), ..range };
    assert_eq!(count(account, other, at).await, []);
    let one =
        MessageBatch { first: before.id, last: before.id, created_at: before.created_at, device };
    assert_eq!(count(account, one, at).await, [(Queued, 1)]);
}

pub async fn a_page_ends_at_its_bytes(store: Arc<dyn Store>) {
    const BYTES: usize = PAGE_BYTES_MAX / 4 - 1_000;
    let world = World::new(Arc::clone(&store)).await;
    let huge = world.accept(long(&world, 99, PAGE_BYTES_MAX + 1)).await.id;
    let mut expected = long_messages(&world, 11, BYTES).await;
    expected.push(huge);
    let account = world.account.id;
    let filter = MessageFilter { device: Some(world.device.id), ..MessageFilter::default() };
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let request = PageRequest { before, limit: 100 };
        let page = store.messages(account, &filter, request).await.unwrap();
        let bytes: usize = page.items.iter().map(|message| message.text().len()).sum();
        assert!(bytes <= PAGE_BYTES_MAX || page.items.len() == 1, "{bytes}");
        found.push(page.items.len());
        let ids = page.items.iter().map(|message| message.id);
        assert_eq!(ids.collect::<Vec<_>>(), expected[..page.items.len()]);
        before = page.items.last().map(|message| message.id.0);
        expected.drain(..page.items.len());
        if !page.has_more {
            break;
        }
    }
    assert!(expected.is_empty(), "{found:?}");
    // Whole rows, and the total of all.
    let page = store.counted_messages(account, &filter, 0, 100).await.unwrap();
    let bytes: usize = page.items.iter().map(|message| message.text().len()).sum();
    assert!(bytes <= PAGE_BYTES_MAX && !page.items.is_empty(), "{bytes}");
    assert!(page.items.iter().all(|message| message.text().len() == BYTES));
    assert_eq!(page.total, 12);
}

/// Asserts that the totals of numbered pages equal the rows that a list has.
async fn assert_totals(world: &World, devices: &[DeviceId]) {
    use MessageState::{Cancelled, Delivered, Failed, Queued, Read, Scheduled, Sent};
    let states: [&[MessageState]; 5] =
        [&[], &[Sent, Read], &[Scheduled, Queued], &[Delivered], &[Failed, Cancelled, Queued]];
    let (store, account) = (&world.store, world.account.id);
    for device in devices.iter().copied().map(Some).chain([None]) {
        for direction in [None, Some(Direction::In), Some(Direction::Out)] {
            for states in states {
                let states = states.to_vec();
                let filter = MessageFilter { device, direction, states, ..Default::default() };
                let rows = store.messages(account, &filter, ALL).await.unwrap().items;
                let page = store.counted_messages(account, &filter, 0, 5).await.unwrap();
                assert_eq!(page.total, i64::try_from(rows.len()).unwrap(), "{filter:?}");
                assert_eq!(page.items, rows[..rows.len().min(5)], "{filter:?}");
            }
        }
    }
}

pub async fn totals_equal_a_count_of_the_rows(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    World::with(Arc::clone(&store), 20).await.sent(1).await;
    let second = new_device(&store, &world.account, 50).await.id;
    let devices = [world.device.id, second];
    let (mut waiting, mut sent) = (Vec::new(), Vec::new());
    // Knuth's generator: the same steps each time.
    let mut random = 42_u64;
    for n in 0..120_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let choice = usize::try_from(random >> 33).unwrap();
        let device_id = devices[choice % 2];
        let is_scheduled = choice % 3 == 0;
        match choice / 2 % 6 {
            0..=2 => {
                let new = NewMessage { device_id, is_scheduled, ..world.text(n) };
                waiting.push(world.accept(new).await);
            }
            3 if !waiting.is_empty() => {
                use MessageEvent::{Acknowledged, AttemptFailed, Failed, Submitted, Withdrawn};
                let message = waiting.swap_remove(choice % waiting.len());
                let ends = [Acknowledged, Failed, AttemptFailed];
                let steps = [Submitted, ends[choice % 3]];
                let steps = if choice % 4 == 0 { &[Withdrawn][..] } else { &steps };
                sent.extend(world.record(message.id, steps).await);
            }
            4 if !sent.is_empty() => {
                let message = &sent[choice % sent.len()];
                let receipt = [Receipt::Delivered, Receipt::Read][choice % 2];
                let ids = [message.whatsapp_id.clone()];
                store.record_receipts(message.device_id, &ids, receipt, later(20)).await.unwrap();
            }
            _ => {
                // Some come twice, and are stored once.
                let new = vec![incoming(&format!("X{}", choice % 20), "628111")];
                let now = later(i64::try_from(n).unwrap());
                store.receive(device_id, new, now).await.unwrap();
            }
        }
        if n % 20 == 19 {
            assert_totals(&world, &devices).await;
        }
    }
    clean_up(&store, later(200), later(60)).await;
    assert_totals(&world, &devices).await;
    store.delete_device(world.account.id, second, later(300)).await.unwrap().unwrap();
    assert_totals(&world, &devices).await;
}
