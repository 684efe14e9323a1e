//! The outbox of webhooks: which events, for which webhook, in which order, and their outcome.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::account::AccountPatch;
use domain::content::Content;
use domain::device::{DeviceStatus, LinkedNumber, StatusChange};
use domain::ids::{DeliveryId, DeviceId};
use domain::message::{IncomingMessage, MessageEvent, NewMessage, Receipt, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{PAGE_BYTES_MAX, PageRequest, Store};
use domain::webhook::{
    Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, Event, EventKind, ReplayRange, Subject,
    Webhook, WebhookPatch,
};
use uuid::Uuid;

use super::lists::incoming;
use super::{ALL, NOW, World, later, new_device, progress, stored};
use MessageEvent::{Acknowledged, Failed, Submitted, Withdrawn};

async fn events_for(world: &World, webhook: &Webhook) -> Vec<Event> {
    world.pending(webhook).await.into_iter().map(|delivery| delivery.event).collect()
}

async fn kinds(world: &World, webhook: &Webhook) -> Vec<EventKind> {
    events_for(world, webhook).await.into_iter().map(|event| event.kind).collect()
}

pub async fn an_event_goes_to_webhooks_that_want_it(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let second = new_device(&store, &world.account, 50).await.id;
    let all = world.webhook(None, &EventKind::ALL).await;
    let own = world.webhook(Some(world.device.id), &[EventKind::MessageSent]).await;
    let silent = [
        world.webhook(Some(second), &EventKind::ALL).await,
        world.webhook(None, &[EventKind::MessageFailed]).await,
        world.webhook(None, &EventKind::ALL).await,
        stranger.webhook(None, &EventKind::ALL).await,
    ];
    let off = WebhookPatch { disabled: Some(Some("off".into())), ..WebhookPatch::default() };
    store.update_webhook(world.account.id, silent[2].id, off).await.unwrap();
    let id = world.send(1).await.id;
    assert!(world.pending(&all).await.is_empty(), "accepting is no event");
    let sent = vec![progress(id, &[Submitted, Acknowledged])];
    let recorded = store.record(sent).await.unwrap().remove(0);
    let [event] = recorded.events.as_slice() else { panic!("one event") };
    assert_eq!((event.kind, event.account_id), (EventKind::MessageSent, world.account.id));
    assert_eq!(
        (event.device.id, event.device.number_id),
        (world.device.id, world.device.number_id)
    );
    let Subject::Message(subject) = &event.subject else { panic!("a message") };
    assert_eq!((subject.id, &subject.content), (id, &recorded.message.content));
    for webhook in [&all, &own] {
        let [delivery] = world.pending(webhook).await.try_into().unwrap();
        let expected = Delivery {
            id: delivery.id,
            webhook_id: webhook.id,
            event: event.clone(),
            state: DeliveryState::Pending,
            attempts: 0,
            due_at: stored(later(10)),
            last_status: None,
            last_error: None,
            created_at: stored(later(10)),
            ended_at: None,
        };
        assert_eq!(delivery, expected);
    }
    for webhook in &silent {
        assert!(world.pending(webhook).await.is_empty(), "{webhook:?}");
    }
    let failed = store.record(vec![progress(world.send(2).await.id, &[Failed])]).await.unwrap();
    assert_eq!(events_for(&world, &silent[1]).await, failed[0].events);
    let nothing = store.record(vec![progress(id, &[Acknowledged])]).await.unwrap();
    assert!(nothing.is_empty());
    assert_eq!(world.pending(&all).await.len(), 2);
}

pub async fn only_events_of_the_plan_are_delivered(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let cases: [(&str, &[EventKind]); 3] = [
        ("free", &[]),
        ("hobby", &[EventKind::MessageReceived]),
        (
            "business",
            &[EventKind::MessageReceived, EventKind::MessageSent, EventKind::DeviceConnected],
        ),
    ];
    let mut expected = Vec::new();
    for (n, (plan, wanted)) in (0..).zip(cases) {
        let patch = AccountPatch { plan: Some(plan.into()), ..AccountPatch::default() };
        store.update_account(world.account.id, patch).await.unwrap();
        let device = world.device.id;
        let new = vec![incoming(&format!("X{n}"), "6281")];
        let received = store.receive(device, new, NOW).await.unwrap();
        assert_eq!(received[0].events.len(), 1, "built in any case");
        world.sent(n).await;
        let up = StatusChange::new(DeviceStatus::Connected, later(20));
        store.set_device_status(device, &up).await.unwrap();
        let down = StatusChange::new(DeviceStatus::Unpaired, later(21));
        store.set_device_status(device, &down).await.unwrap();
        expected.extend_from_slice(wanted);
        assert_eq!(kinds(&world, &webhook).await, expected, "{plan}");
    }
}

pub async fn device_changes_emit_events(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(Some(world.device.id), &EventKind::ALL).await;
    let linked = LinkedNumber { phone: PhoneNumber::from_digits("62812"), lid: None };
    let changes = [
        StatusChange {
            linked: Some(linked.clone()),
            ..StatusChange::new(DeviceStatus::Connecting, later(1))
        },
        StatusChange::new(DeviceStatus::Connected, later(2)),
        StatusChange::new(DeviceStatus::Connected, later(3)),
        StatusChange {
            reason: Some("connection lost".into()),
            code: Some(408),
            should_reconnect: true,
            ..StatusChange::new(DeviceStatus::Disconnected, later(4))
        },
        StatusChange::new(DeviceStatus::LoggedOut, later(5)),
    ];
    let mut expected = Vec::new();
    for change in &changes {
        let moved = store.set_device_status(world.device.id, change).await.unwrap().unwrap();
        expected.extend(moved.events);
    }
    use EventKind::{DeviceConnected, DeviceDisconnected, DeviceLoggedOut, DevicePaired};
    let order = [DevicePaired, DeviceConnected, DeviceDisconnected, DeviceLoggedOut];
    assert_eq!(kinds(&world, &webhook).await, order);
    let events = events_for(&world, &webhook).await;
    assert_eq!(events, expected);
    assert_eq!(events[0].device.phone, Some(linked.phone));
    let Subject::Device(status) = &events[2].subject else { panic!("a device") };
    assert_eq!((status.code, status.should_reconnect), (Some(408), true));
    assert_eq!(status.reason.as_deref(), Some("connection lost"));
}

pub async fn deliveries_follow_the_order_of_events(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let device = world.device.id;
    let one = world.send(1).await;
    let two = world.accept(NewMessage { chat: one.chat.clone(), ..world.text(2) }).await;
    let both = [&two, &one].map(|message| progress(message.id, &[Submitted, Acknowledged]));
    let mut recorded = store.record(both.to_vec()).await.unwrap();
    assert_eq!(recorded.iter().map(|r| r.message.id).collect::<Vec<_>>(), [two.id, one.id]);
    let reply = IncomingMessage { chat: one.chat.clone(), ..incoming("X1", "6281") };
    recorded.append(&mut store.receive(device, vec![reply.clone()], NOW).await.unwrap());
    recorded.append(&mut store.receive(device, vec![reply], NOW).await.unwrap());
    for (receipt, seconds) in [(Receipt::Read, 20), (Receipt::Delivered, 21), (Receipt::Played, 22)]
    {
        let ids = [one.whatsapp_id.clone()];
        let changed = store.record_receipts(device, &ids, receipt, later(seconds)).await.unwrap();
        recorded.extend(changed);
    }
    let events: Vec<Event> = recorded.into_iter().flat_map(|recorded| recorded.events).collect();
    use EventKind::{MessagePlayed, MessageRead, MessageReceived, MessageSent};
    let order = [MessageSent, MessageSent, MessageReceived, MessageRead, MessagePlayed];
    assert_eq!(kinds(&world, &webhook).await, order);
    assert_eq!(events_for(&world, &webhook).await, events);
    let ids: Vec<DeliveryId> = world.pending(&webhook).await.iter().map(|d| d.id).collect();
    assert!(ids.is_sorted());
}

pub async fn deleting_a_device_emits_events(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let id = world.send(1).await.id;
    let (account, device) = (world.account.id, world.device.id);
    assert!(store.delete_device(account, device, later(5)).await.unwrap().is_some());
    let [event] = events_for(&world, &webhook).await.try_into().unwrap();
    assert_eq!((event.kind, event.at), (EventKind::MessageCancelled, stored(later(5))));
    assert_eq!(event.device.name, world.device.name);
    let Subject::Message(message) = event.subject else { panic!("a message") };
    assert_eq!(message.id, id);
}

pub async fn own_messages_emit_no_events(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let own = IncomingMessage { origin: ReceivedOrigin::Phone, ..incoming("X1", "6281") };
    let stored = store.receive(world.device.id, vec![own], NOW).await.unwrap().remove(0);
    assert!(stored.events.is_empty());
    let ids = [stored.message.whatsapp_id];
    let read = store.record_receipts(world.device.id, &ids, Receipt::Read, NOW).await.unwrap();
    assert_eq!((read.len(), read[0].events.len()), (1, 0));
    let unknown = DeviceId(Uuid::nil());
    assert!(store.receive(unknown, vec![incoming("X2", "6281")], NOW).await.unwrap().is_empty());
    assert!(world.pending(&webhook).await.is_empty());
}

fn outcome(id: DeliveryId, state: DeliveryState, seconds: i64) -> DeliveryOutcome {
    DeliveryOutcome {
        id,
        state,
        attempts: 3,
        due_at: later(seconds),
        last_status: Some(503),
        last_error: Some("no answer 👋".into()),
        ended_at: (state != DeliveryState::Pending).then(|| later(seconds)),
        tried: None,
    }
}

pub async fn the_tries_of_a_delivery_are_kept_and_bounded(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    world.sent(0).await;
    let id = world.pending(&webhook).await[0].id;
    let account = world.account.id;
    let tries = async || store.delivery_tries(account, webhook.id, id).await.unwrap();
    assert_eq!(tries().await, []);
    let tried = |n: i64, answer: &str| DeliveryTry {
        at: stored(later(n)),
        status: (n % 2 == 0).then_some(503),
        error: (n % 2 == 1).then(|| "no \"answer\" 👋".to_owned()),
        ms: 12,
        answer: answer.to_owned(),
    };
    let record = async |tried: DeliveryTry| {
        let outcome = outcome(id, DeliveryState::Pending, 1);
        let outcome = DeliveryOutcome { tried: Some(tried), ..outcome };
        store.record_deliveries(vec![outcome]).await.unwrap();
    };
    record(tried(0, "<b>\nbusy</b>")).await;
    record(tried(1, "")).await;
    assert_eq!(tries().await, [tried(0, "<b>\nbusy</b>"), tried(1, "")]);
    let other = World::with(Arc::clone(&store), 20).await.account.id;
    assert_eq!(store.delivery_tries(other, webhook.id, id).await.unwrap(), []);
    for n in 2..60 {
        record(tried(n, &"x".repeat(2_000))).await;
    }
    let kept = tries().await;
    assert!((5..30).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().at, stored(later(59)));
}

pub async fn a_delivery_ends_and_is_replayed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    for n in 0..3 {
        world.sent(n).await;
    }
    let [one, two, three] = world.pending(&webhook).await.try_into().unwrap();
    use DeliveryState::{Dead, Delivered, Pending};
    let outcomes = [(three.id, Delivered), (one.id, Dead), (two.id, Pending)];
    let outcomes = outcomes.map(|(id, state)| outcome(id, state, 60)).to_vec();
    store.record_deliveries(outcomes).await.unwrap();
    let tried = Delivery {
        attempts: 3,
        due_at: stored(later(60)),
        last_status: Some(503),
        last_error: Some("no answer 👋".into()),
        ..two.clone()
    };
    assert_eq!(world.pending(&webhook).await, std::slice::from_ref(&tried));
    let account = world.account.id;
    let log = async |state| store.deliveries(account, webhook.id, state, ALL).await.unwrap().items;
    let ended = Some(stored(later(60)));
    let dead = Delivery {
        state: Dead,
        ended_at: ended,
        ..Delivery { id: one.id, event: one.event.clone(), ..tried.clone() }
    };
    assert_eq!(log(Some(Dead)).await, std::slice::from_ref(&dead));
    assert_eq!(log(Some(Pending)).await, [tried]);
    let all: Vec<_> = log(None).await.iter().map(|d| (d.id, d.state)).collect();
    assert_eq!(all, [(three.id, Delivered), (two.id, Pending), (one.id, Dead)]);
    let replay =
        async |id| store.replay_delivery(account, webhook.id, id, later(99)).await.unwrap();
    assert_eq!(replay(two.id).await, None, "it waits");
    assert_eq!(replay(DeliveryId(three.id.0 + 1_000)).await, None);
    let again = replay(one.id).await.unwrap();
    let due_at = stored(later(99));
    assert_eq!(again, Delivery { state: Pending, attempts: 0, due_at, ended_at: None, ..dead });
    assert!(replay(three.id).await.is_some());
    let waiting: Vec<_> = world.pending(&webhook).await.iter().map(|d| d.id).collect();
    assert_eq!(waiting, [one.id, two.id, three.id], "under their own ids");
    let rest = store.pending_deliveries(webhook.id, &[one.id, three.id], 10).await.unwrap().items;
    assert_eq!(rest.iter().map(|d| d.id).collect::<Vec<_>>(), [two.id]);
    let first = store.pending_deliveries(webhook.id, &[], 1).await.unwrap().items;
    assert_eq!(first, [again]);
}

pub async fn deliveries_since_a_time_are_replayed(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let account = world.account.id;
    for n in 0..5 {
        world.sent(n).await;
    }
    use DeliveryState::{Dead, Delivered};
    let all = world.pending(&webhook).await;
    let states = [Dead, Delivered, Dead, Delivered];
    let outcomes = all.iter().zip(states).map(|(d, state)| outcome(d.id, state, 60)).collect();
    store.record_deliveries(outcomes).await.unwrap();
    let range = |since, includes_delivered| ReplayRange { since, includes_delivered };
    let count = async |account, range, limit| {
        store.count_replayable(account, webhook.id, range, limit).await.unwrap()
    };
    let (old, at) = (later(-99), all[0].created_at);
    for (range, limit, expected) in [
        (range(old, false), 9, 2),
        (range(old, true), 9, 4),
        (range(old, true), 3, 3),
        (range(at, false), 9, 2),
        (range(later(9_999), true), 9, 0),
    ] {
        assert_eq!(count(account, range, limit).await, expected, "{range:?} {limit}");
    }
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    let replay = async |account, range, limit| {
        store.replay_since(account, webhook.id, range, limit, later(99)).await.unwrap()
    };
    assert_eq!(count(stranger, range(old, true), 9).await, 0);
    assert_eq!(replay(stranger, range(old, true), 9).await, 0);
    assert_eq!(replay(account, range(old, false), 1).await, 1);
    let pending =
        async || -> Vec<_> { world.pending(&webhook).await.iter().map(|d| d.id).collect() };
    assert_eq!(pending().await, [all[0].id, all[4].id], "the oldest first");
    assert_eq!(replay(account, range(old, true), 9).await, 3);
    assert_eq!(pending().await.len(), 5);
    let again = world.pending(&webhook).await.remove(0);
    let due_at = stored(later(99));
    assert_eq!((again.attempts, again.due_at, again.ended_at), (0, due_at, None));
}

pub async fn deliveries_have_pages(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    for n in 0..5 {
        world.sent(n).await;
    }
    let mut expected: Vec<_> = world.pending(&webhook).await;
    expected.reverse();
    let page = async |before, limit| {
        let request = PageRequest { before, limit };
        let page = store.deliveries(world.account.id, webhook.id, None, request).await.unwrap();
        (page.items, page.has_more)
    };
    assert_eq!(page(None, 3).await, (expected[..3].to_vec(), true));
    assert_eq!(page(Some(expected[2].id.0), 3).await, (expected[3..].to_vec(), false));
}

async fn received_text(world: &World, n: usize, text: &str) {
    let new = IncomingMessage {
        content: Content::Text(text.into()),
        ..incoming(&format!("LONG{n}"), "628111")
    };
    assert_eq!(world.store.receive(world.device.id, vec![new], NOW).await.unwrap().len(), 1);
}

pub async fn a_page_of_deliveries_ends_at_its_bytes(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhooks =
        [world.webhook(None, &EventKind::ALL).await, world.webhook(None, &EventKind::ALL).await];
    let text = "x".repeat(PAGE_BYTES_MAX / 3 - 5_000);
    for n in 0..8 {
        received_text(&world, n, &text).await;
    }
    for webhook in webhooks {
        let (mut listed, mut read) = (Vec::new(), Vec::new());
        loop {
            let before = listed.last().map(|id: &DeliveryId| id.0);
            let request = PageRequest { before, limit: 100 };
            let page = store.deliveries(world.account.id, webhook.id, None, request);
            let page = page.await.unwrap();
            assert!((1..=3).contains(&page.items.len()), "{}", page.items.len());
            listed.extend(page.items.iter().map(|delivery| delivery.id));
            if !page.has_more {
                break;
            }
        }
        loop {
            let page = store.pending_deliveries(webhook.id, &read, 100).await.unwrap();
            assert!(page.items.len() <= 3, "{}", page.items.len());
            read.extend(page.items.iter().map(|delivery| delivery.id));
            if !page.has_more {
                break;
            }
        }
        listed.reverse();
        assert_eq!((listed.len(), listed), (8, read));
    }
}

pub async fn an_event_outlives_all_but_its_last_delivery(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(world.webhook(None, &EventKind::ALL).await);
    }
    received_text(&world, 1, "for all three").await;
    received_text(&world, 2, "and another").await;
    let expected = events_for(&world, &webhooks[0]).await;
    assert_eq!(expected.len(), 2);
    store.delete_webhook(world.account.id, webhooks[0].id).await.unwrap();
    assert_eq!(events_for(&world, &webhooks[1]).await, expected);
    let ended = world.pending(&webhooks[1]).await;
    let ended = ended.iter().map(|d| outcome(d.id, DeliveryState::Delivered, 10)).collect();
    store.record_deliveries(ended).await.unwrap();
    assert_eq!(store.clean_up_deliveries(later(11), later(11)).await.unwrap(), 2);
    assert_eq!(events_for(&world, &webhooks[2]).await, expected);
    received_text(&world, 3, "ids are not used again").await;
    assert_eq!(events_for(&world, &webhooks[2]).await[..2], expected);
}

pub async fn old_deliveries_are_cleaned_up(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    for n in 0..5 {
        world.sent(n).await;
    }
    let all = world.pending(&webhook).await;
    use DeliveryState::{Dead, Delivered, Pending};
    let ends = [(Delivered, 10), (Delivered, 20), (Dead, 10), (Dead, 20), (Pending, 0)];
    let outcomes = all.iter().zip(ends).map(|(d, (state, at))| outcome(d.id, state, at)).collect();
    store.record_deliveries(outcomes).await.unwrap();
    let left = async || {
        let page = store.deliveries(world.account.id, webhook.id, None, ALL).await.unwrap();
        page.items.iter().map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    assert_eq!(store.clean_up_deliveries(later(10), later(10)).await.unwrap(), 0);
    assert_eq!(store.clean_up_deliveries(later(11), later(10)).await.unwrap(), 1);
    assert_eq!(left().await, [all[4].id, all[3].id, all[2].id, all[1].id]);
    assert_eq!(store.clean_up_deliveries(later(99), later(11)).await.unwrap(), 2);
    assert_eq!(left().await, [all[4].id, all[3].id]);
}

pub async fn a_webhook_to_which_a_delivery_has_failed_is_found(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let mut webhooks = Vec::new();
    for _ in 0..3 {
        webhooks.push(world.webhook(None, &EventKind::ALL).await);
    }
    world.sent(1).await;
    use DeliveryState::{Dead, Delivered, Pending};
    for (webhook, (state, at)) in webhooks.iter().zip([(Dead, 10), (Delivered, 20), (Pending, 0)]) {
        let delivery = world.pending(webhook).await.remove(0);
        store.record_deliveries(vec![outcome(delivery.id, state, at)]).await.unwrap();
    }
    let failed = async |account, after| store.failed_webhooks(account, later(after)).await.unwrap();
    assert_eq!(failed(world.account.id, 9).await, [webhooks[0].id]);
    assert_eq!(failed(world.account.id, 10).await, []);
    assert_eq!(failed(stranger.account.id, 0).await, []);
}

pub async fn unknown_deliveries_are_skipped(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    let id = world.send(1).await.id;
    world.record(id, &[Withdrawn]).await;
    let delivery = world.pending(&webhook).await.remove(0);
    let unknown = outcome(DeliveryId(delivery.id.0 + 1_000), DeliveryState::Dead, 1);
    let known = outcome(delivery.id, DeliveryState::Delivered, 1);
    store.record_deliveries(vec![unknown, known]).await.unwrap();
    store.record_deliveries(vec![]).await.unwrap();
    assert!(world.pending(&webhook).await.is_empty());
}
