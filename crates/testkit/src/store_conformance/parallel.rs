//! What stays exact under concurrent requests.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::collections::HashMap;
use std::sync::Arc;

use domain::account::{AccountPatch, NewAccount};
use domain::device::NewDevice;
use domain::grant::Redeemed;
use domain::ids::{DeviceId, MessageId};
use domain::message::{MessageEvent, MessageState, NewMessage, Receipt};
use domain::plan::Plan;
use domain::ports::{Acceptance, Accepted, AccountRefusal, CreatedDevice, MessageFilter, Store};
use domain::webhook::{EventKind, Subject};
use futures_util::future::join_all;
use uuid::Uuid;

use super::grants::voucher;
use super::lists::incoming;
use super::{ALL, NOW, World, hash, idempotency, key, later, new_account, plan};

async fn in_parallel(store: &Arc<dyn Store>, requests: Vec<Acceptance>) -> Vec<Accepted> {
    let tasks = requests.into_iter().map(|request| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.accept(request).await.unwrap() })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Rounds of each race.
const ROUNDS: u64 = 100;

/// In each round 200 requests race for the last message of a quota.
pub async fn the_last_message_of_a_quota_is_used_once(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for round in 1..=ROUNDS {
        let limit = i64::try_from(round).unwrap();
        let limited = |n| Acceptance {
            plan: plan(Some(limit), None).into(),
            ..world.request(vec![world.text(n)])
        };
        let answers = in_parallel(&store, (0..200).map(limited).collect()).await;
        let new = answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count();
        let is_refused =
            |answer: &&Accepted| matches!(answer, Accepted::QuotaExhausted { remaining: 0 });
        let refused = answers.iter().filter(is_refused).count();
        assert_eq!((new, refused), (1, 199), "round {round}");
        assert_eq!(store.usage(world.account.id).await.unwrap().day_used, limit);
    }
    assert_eq!(u64::try_from(store.outbox().await.unwrap().len()).unwrap(), ROUNDS);
}

pub async fn one_key_makes_one_message(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for round in 1..=ROUNDS {
        let key = |n| idempotency(&format!("round {round}"), u8::from(n % 10 == 9));
        let keyed =
            |n| Acceptance { idempotency: Some(key(n)), ..world.request(vec![world.text(n)]) };
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
        assert_eq!((new.len(), repeated.len() + mismatches), (1, 99), "round {round}");
        assert!(mismatches == 10 || mismatches == 90, "{mismatches}");
        assert!(repeated.iter().all(|messages| *messages == new[0]));
    }
    assert_eq!(u64::try_from(store.outbox().await.unwrap().len()).unwrap(), ROUNDS);
    let used = store.usage(world.account.id).await.unwrap().day_used;
    assert_eq!(u64::try_from(used).unwrap(), ROUNDS);
}

pub async fn a_voucher_is_redeemed_by_one(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let rounds = 1..=ROUNDS / 10;
    for n in rounds.clone() {
        store.create_vouchers(vec![voucher(1_000 + n, 5, None)], NOW).await.unwrap();
        let tasks = (0..50).map(|task| {
            let world = if task % 2 == 0 { &one } else { &two };
            let (account, device) = (world.account.id, world.device.id);
            let store = Arc::clone(&store);
            let code = hash(1_000 + n);
            tokio::spawn(async move { store.redeem_voucher(account, device, &code, NOW).await })
        });
        let answers = join_all(tasks).await.into_iter().map(|answer| answer.unwrap().unwrap());
        let redeemed = answers.filter(|answer| matches!(answer, Redeemed::Granted { .. }));
        assert_eq!(redeemed.count(), 1, "voucher {n}");
    }
    let mut total = 0;
    for world in [&one, &two] {
        let grants = store.grants(world.account.id).await.unwrap();
        total += grants.iter().map(|grant| grant.total).sum::<i64>();
    }
    assert_eq!(u64::try_from(total).unwrap(), 5 * rounds.count() as u64);
}

/// A plan is deleted while one account is made with it and another one gets it: no account is left without
/// a plan, and its key is never locked out.
pub async fn a_plan_goes_or_stays_with_its_accounts(store: Arc<dyn Store>) {
    let id = World::new(Arc::clone(&store)).await.account.id;
    for round in 1..=ROUNDS {
        let name = format!("plan-{round}");
        store.put_plan(Plan { name: name.clone(), ..plan(None, None) }).await.unwrap();
        let (maker, changer, deleter) =
            (Arc::clone(&store), Arc::clone(&store), Arc::clone(&store));
        let (new, patch, gone) = (name.clone(), name.clone(), name.clone());
        let made = tokio::spawn(async move {
            let email = format!("{new}@example.com");
            let new = NewAccount { plan: new, ..new_account(&email) };
            maker.create_account(new, key(1_000 + round), NOW).await.unwrap()
        });
        let changed = tokio::spawn(async move {
            let patch = AccountPatch { plan: Some(patch), ..AccountPatch::default() };
            changer.update_account(id, patch).await.unwrap().unwrap()
        });
        let deleted = tokio::spawn(async move { deleter.delete_plan(&gone).await.unwrap() });
        let deleted = deleted.await.unwrap();
        for given in [made.await.unwrap(), changed.await.unwrap()] {
            match given {
                Ok(account) => assert!(!deleted && account.plan == name, "round {round}"),
                Err(refusal) => {
                    assert!(deleted && refusal == AccountRefusal::PlanGone, "round {round}");
                }
            }
        }
        let is_there = store.plans().await.unwrap().iter().any(|plan| plan.name == name);
        assert_eq!(is_there, !deleted, "round {round}");
        assert!(store.key_holder(&hash(10)).await.unwrap().is_some(), "round {round}");
    }
}

/// Messages of one chat are sent, and seen, by many tasks at once: whatever their order, the log
/// of a webhook shows each message's steps one after the other, and none twice.
pub async fn concurrent_changes_emit_ordered_events(store: Arc<dyn Store>) {
    const MESSAGES: u64 = 60;
    let world = Arc::new(World::new(Arc::clone(&store)).await);
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let tasks = (0..MESSAGES).map(|n| {
        let (world, store) = (Arc::clone(&world), Arc::clone(&store));
        tokio::spawn(async move {
            let message = world.accept(NewMessage { chat: world.text(0).chat, ..world.text(n) });
            let message = message.await;
            let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged];
            world.record(message.id, &steps).await;
            for receipt in [Receipt::Delivered, Receipt::Read] {
                let ids = [message.whatsapp_id.clone()];
                store.record_receipts(world.device.id, &ids, receipt, later(20)).await.unwrap();
            }
            let new = vec![incoming(&format!("X{n}"), "6281")];
            store.receive(world.device.id, new, NOW).await.unwrap();
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let deliveries = world.pending(&webhook).await;
    assert!(deliveries.windows(2).all(|pair| pair[0].id < pair[1].id));
    let mut steps: HashMap<MessageId, Vec<EventKind>> = HashMap::new();
    for delivery in &deliveries {
        let Subject::Message(message) = &delivery.event.subject else { panic!("a message") };
        steps.entry(message.id).or_default().push(delivery.event.kind);
    }
    use EventKind::{MessageDelivered, MessageRead, MessageReceived, MessageSent};
    let sent = [MessageSent, MessageDelivered, MessageRead];
    assert_eq!(steps.len() as u64, 2 * MESSAGES);
    assert!(steps.values().all(|steps| *steps == sent || *steps == [MessageReceived]));
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
pub async fn parallel_outcomes_keep_counts_exact(store: Arc<dyn Store>) {
    let one = Arc::new(World::with(Arc::clone(&store), 10).await);
    let two = Arc::new(World::with(Arc::clone(&store), 20).await);
    let tasks = (0..120).map(|n| {
        let world = Arc::clone(if n % 2 == 0 { &one } else { &two });
        tokio::spawn(async move {
            let id = world.send(n).await.id;
            let steps: &[MessageEvent] = match n % 5 {
                0 => &[MessageEvent::Withdrawn],
                1 => &[MessageEvent::Submitted, MessageEvent::Failed],
                2 => &[MessageEvent::Submitted, MessageEvent::AttemptFailed],
                _ => &[MessageEvent::Submitted, MessageEvent::Acknowledged],
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
