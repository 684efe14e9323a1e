//! How many messages of each hour there are.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::message::{Direction, MessageEvent, MessageState, Receipt};
use domain::ports::{Acceptance, Store};

use super::lists::incoming;
use super::{NOW, World, clean_up, later, new_device, new_messages};

pub async fn messages_are_counted_by_hour(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let second = new_device(&store, &world.account, 50).await.id;
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    const DAY_S: i64 = 24 * 3_600;
    world.send(1).await;
    let read = [world.sent(2).await.whatsapp_id];
    store.record_receipts(device, &read, Receipt::Read, later(20)).await.unwrap();
    let late = Acceptance { now: later(DAY_S), ..world.request(vec![world.text(3)]) };
    let late = new_messages(store.accept(late).await.unwrap()).remove(0).id;
    world.record(late, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
    world.record(world.send(4).await.id, &[MessageEvent::Failed]).await;
    store.receive(device, vec![incoming("X1", "628111")], NOW).await.unwrap();
    let usage = async |account, device, since| {
        let rows = store.usage_by_hour(account, device, later(since)).await.unwrap();
        rows.into_iter()
            .map(|row| {
                assert_eq!(row.hour.as_second().rem_euclid(3_600), 0);
                assert!(row.device_id == world.device.id);
                (row.hour.duration_since(NOW).as_hours() >= 22, row.direction, row.state, row.count)
            })
            .collect::<Vec<_>>()
    };
    use Direction::{In, Out};
    use MessageState::{Delivered, Failed, Read, Sent};
    let tomorrow = (true, Out, Sent, 1);
    let today = [(false, In, Delivered, 1), (false, Out, Failed, 1), (false, Out, Read, 1)];
    let mut all = usage(account, None, -3_600).await;
    assert_eq!(all.pop(), Some(tomorrow), "what waits is not counted");
    all.sort_by_key(|(_, direction, state, _)| (direction.as_str(), *state));
    assert_eq!(all, [today[0], today[2], today[1]]);
    assert_eq!(usage(account, Some(device), DAY_S).await, [tomorrow]);
    assert_eq!(usage(account, Some(second), -3_600).await, []);
    assert_eq!(usage(stranger, None, -3_600).await, []);
    clean_up(&store, later(DAY_S), later(DAY_S / 2)).await;
    assert_eq!(usage(account, None, -3_600).await, [tomorrow]);
}
