//! What must stay exact when many ask at once.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::device::NewDevice;
use domain::ids::DeviceId;
use domain::message::{MessageEvent, MessageState};
use domain::ports::{Acceptance, Accepted, CreatedDevice, MessageFilter, Store};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{ALL, NOW, World, idempotency, key, new_messages, plan};

async fn in_parallel(store: &Arc<dyn Store>, requests: Vec<Acceptance>) -> Vec<Accepted> {
    let tasks = requests.into_iter().map(|request| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.accept(request).await.unwrap() })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

pub async fn the_last_message_of_a_quota_is_sold_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let limited =
        |n| Acceptance { plan: plan(Some(11), None), ..world.request(vec![world.text(n)]) };
    for n in 0..10 {
        new_messages(store.accept(limited(n)).await.unwrap());
    }
    let answers = in_parallel(&store, (100..300).map(limited).collect()).await;
    let new = answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count();
    let refused = answers.iter().filter(|a| matches!(a, Accepted::QuotaExhausted)).count();
    assert_eq!((new, refused), (1, 199));
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 11);
    assert_eq!(store.outbox().await.unwrap().len(), 11);
}

pub async fn one_key_makes_one_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let keyed = |n| Acceptance {
        idempotency: Some(idempotency("same", u8::from(n % 10 == 9))),
        ..world.request(vec![world.text(n)])
    };
    let answers = in_parallel(&store, (0..100).map(keyed).collect()).await;
    let mut new = Vec::new();
    let mut repeated = Vec::new();
    let mut mismatches = 0;
    for answer in answers {
        match answer {
            Accepted::New(messages) => new.push(messages),
            Accepted::Repeated(messages) => repeated.push(messages),
            Accepted::Mismatch => mismatches += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new.len(), repeated.len() + mismatches), (1, 99));
    assert!(mismatches == 10 || mismatches == 90, "{mismatches}");
    assert!(repeated.iter().all(|messages| *messages == new[0]));
    assert_eq!(store.outbox().await.unwrap().len(), 1);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 1);
}

pub async fn the_device_limit_holds_in_parallel(store: Arc<dyn Store>) {
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    let tasks = (1..=20_u64).map(|n| {
        let id = DeviceId(Uuid::from_u128(u128::from(n)));
        let device = NewDevice { id, account_id: account.id, name: "d".into() };
        let store = Arc::clone(&store);
        let create = async move { store.create_device(device, key(100 + n), Some(4), NOW).await };
        tokio::spawn(create)
    });
    let made = join_all(tasks).await.into_iter().map(|made| made.unwrap().unwrap());
    let made = made.filter(|made| matches!(made, CreatedDevice::Created(_))).count();
    assert_eq!(made, 3);
    assert_eq!(store.devices(account.id, ALL).await.unwrap().items.len(), 4);
}

/// Sends and ends of two accounts, all at once: afterwards every count equals a count of the rows.
pub async fn parallel_outcomes_keep_the_books(store: Arc<dyn Store>) {
    let one = Arc::new(World::with(Arc::clone(&store), 10).await);
    let two = Arc::new(World::with(Arc::clone(&store), 20).await);
    let tasks = (0..120).map(|n| {
        let world = Arc::clone(if n % 2 == 0 { &one } else { &two });
        tokio::spawn(async move {
            let id = world.send(n).await.id;
            let steps: &[MessageEvent] = match n % 5 {
                0 => &[MessageEvent::TakenBack],
                1 => &[MessageEvent::HandedOver, MessageEvent::GivenUp],
                2 => &[MessageEvent::HandedOver, MessageEvent::AttemptFailed],
                _ => &[MessageEvent::HandedOver, MessageEvent::Acknowledged],
            };
            assert_eq!(world.record(id, steps).await.len(), 1);
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    for world in [&one, &two] {
        let filter = MessageFilter::default();
        let messages = store.messages(world.account.id, &filter, ALL).await.unwrap().items;
        assert_eq!(messages.len(), 60);
        let paid = messages.iter().filter(|message| {
            !matches!(message.state, MessageState::Cancelled | MessageState::Failed)
        });
        let used = store.usage(world.account.id).await.unwrap().day_used;
        assert_eq!(used, i64::try_from(paid.count()).unwrap());
        let waiting = messages.iter().filter(|message| message.state.is_waiting()).count();
        let outbox = store.outbox().await.unwrap();
        let entries = outbox.iter().filter(|entry| entry.account_id == world.account.id).count();
        assert_eq!((waiting, entries), (12, 12));
    }
}
