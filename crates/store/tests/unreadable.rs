//! Rows that cannot be read, damaged or of a later release: they are skipped, and affect no others.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::device::{DeviceFilter, DevicePatch};
use domain::error::StoreError;
use domain::grant::NewGrant;
use domain::ids::{MessageId, WebhookId};
use domain::message::{Message, MessageEvent, MessageState, Receipt};
use domain::plan::Plan;
use domain::policy::pacing::Pacing;
use domain::ports::{
    Accepted, AccountStore as _, DeviceStore as _, GrantStore as _, KeyStore as _, MessageFilter,
    MessageStore as _, PageRequest, WebhookStore as _,
};
use domain::webhook::{DeliveryState, EventKind, WebhookPatch};
use jiff::Timestamp;
use store::SqlStore;
use support::Database;
use testkit::store_conformance::lists::incoming;
use testkit::store_conformance::{
    ALL, NOW, World, hash, idempotency, later, new_device, new_messages, plan, progress,
};

on_both_databases!(
    messages,
    an_idempotency_key,
    a_repeat,
    messages_that_end,
    a_clean_up,
    devices,
    plans_and_accounts,
    keys_grants_and_contacts,
    webhooks,
    deliveries,
);

/// Out of the range of times.
const NO_TIME: &str = "9223372036854775807";

/// A store with an account and its device, closed and opened again by [`damage`].
async fn begin(database: &Database) -> (Arc<SqlStore>, World) {
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    (store, world)
}

/// Runs statements between two starts.
async fn damage(
    database: &Database,
    (store, world): (Arc<SqlStore>, World),
    statements: &[String],
) -> (Arc<SqlStore>, World) {
    store.close().await;
    for statement in statements {
        database.execute(statement).await;
    }
    let store = database.open().await;
    let world = World { store: store.clone(), ..world };
    (store, world)
}

fn is_fault<T>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Fault(_)))
}

/// Every message, page by page.
async fn pages(world: &World, limit: u32) -> Vec<MessageId> {
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = PageRequest { before, limit };
        let filter = MessageFilter::default();
        let page = world.store.messages(world.account.id, &filter, page).await.unwrap();
        ids.extend(page.items.iter().map(|message: &Message| message.id));
        if !page.has_more {
            return ids;
        }
        before = ids.last().map(|id| id.0);
    }
}

async fn messages(database: &Database) {
    let (store, world) = begin(database).await;
    let [first, second] = [world.sent(1).await, world.sent(2).await];
    let [third, fourth] = [world.send(3).await, world.send(4).await];
    let damaged = [
        format!("UPDATE messages SET history = '{{' WHERE id = {}", first.id),
        format!("UPDATE outbox SET history = '{{' WHERE id = {}", third.id),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;
    let account = world.account.id;

    assert_eq!(store.outbox().await.unwrap().len(), 2, "what the queue needs can be read");
    assert!(store.waiting_message(third.id).await.unwrap().is_none(), "as good as gone");
    assert_eq!(store.waiting_message(fourth.id).await.unwrap(), Some(fourth.clone()));
    for limit in [1, 2, 1_000] {
        assert_eq!(pages(&world, limit).await, [fourth.id, second.id]);
    }
    let filter = MessageFilter::default();
    let counted = store.counted_messages(account, &filter, 0, 10).await.unwrap();
    assert_eq!((counted.items.len(), counted.total), (2, 4));
    assert!(is_fault(store.message(account, first.id).await));
    assert!(is_fault(store.message(account, third.id).await));
    assert_eq!(store.message(account, second.id).await.unwrap(), Some(second.clone()));

    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged];
    let progress = [third.id, fourth.id].map(|id| progress(id, &steps)).to_vec();
    let [recorded] = store.record(progress).await.unwrap().try_into().unwrap();
    assert_eq!((recorded.message.id, recorded.message.state), (fourth.id, MessageState::Sent));
    let ids = [first.whatsapp_id, second.whatsapp_id];
    let read = store.record_receipts(world.device.id, &ids, Receipt::Read, NOW).await.unwrap();
    assert_eq!(read.len(), 1);
    world.sent(5).await;
    let counts = BTreeMap::from([("messages", 1), ("outbox", 1)]);
    assert_eq!(store.unreadable_rows(), counts);

    store.delete_device(account, world.device.id, NOW).await.unwrap().unwrap();
    assert!(store.outbox().await.unwrap().is_empty());
    let waiting = "SELECT CAST(waiting AS TEXT) FROM usage";
    assert_eq!(database.texts(waiting).await, ["0"]);
    store.close().await;
}

async fn an_idempotency_key(database: &Database) {
    let (store, world) = begin(database).await;
    let request = |n, key: &str| {
        let mut request = world.request(vec![world.text(n)]);
        request.idempotency = Some(idempotency(key, 1));
        request
    };
    let (first, again, other) = (request(1, "k"), request(1, "k"), request(2, "other"));
    new_messages(store.accept(first).await.unwrap());
    let damage_in = |table: &str| format!("UPDATE {table} SET message_ids = '{{'");
    let damaged = ["idempotency", "recent_keys"].map(damage_in);
    let (store, world) = damage(database, (store, world), &damaged).await;
    let key = idempotency("k", 1);
    assert!(is_fault(store.repeated(world.account.id, &key, NOW).await));
    let (again, other) = tokio::join!(store.accept(again), store.accept(other));
    assert!(is_fault(again), "it must not be sent twice");
    assert!(matches!(other, Ok(Accepted::New(_))), "{other:?}");
    store.close().await;
}

async fn a_repeat(database: &Database) {
    let (store, world) = begin(database).await;
    let request = |ns: &[u64], key: &str| {
        let mut request = world.request(ns.iter().map(|n| world.text(*n)).collect());
        request.idempotency = Some(idempotency(key, 1));
        request
    };
    let first = new_messages(store.accept(request(&[1, 2], "k")).await.unwrap()).remove(0);
    let (again, other) = (request(&[1, 2], "k"), request(&[3], "other"));
    let damaged = [format!("UPDATE outbox SET history = '{{' WHERE id = {}", first.id)];
    let (store, world) = damage(database, (store, world), &damaged).await;
    assert!(is_fault(store.repeated(world.account.id, &idempotency("k", 1), NOW).await));
    let (again, other) = tokio::join!(store.accept(again), store.accept(other));
    assert!(is_fault(again), "not with fewer messages than before");
    assert!(matches!(other, Ok(Accepted::New(_))), "{other:?}");
    store.close().await;
}

async fn messages_that_end(database: &Database) {
    let (store, world) = begin(database).await;
    let other = World::with(world.store.clone(), 30).await;
    let [kept, cancelled, expired] =
        [world.send(1).await, world.send(2).await, world.send(3).await];
    let damaged = [format!("UPDATE outbox SET history = '{{' WHERE id > {}", kept.id)];
    let (store, world) = damage(database, (store, world), &damaged).await;
    let (account, others) = (world.account.id, other.account.id);
    assert!(store.message(others, cancelled.id).await.unwrap().is_none(), "it is another's");
    let (device, of_other) = (Some(world.device.id), Some(other.device.id));
    for (account, device) in [(others, None), (account, of_other)] {
        let found = store.cancel_unreadable(account, device, cancelled.id, NOW).await.unwrap();
        assert!(found.is_none());
    }
    let ended = store.cancel_unreadable(account, device, cancelled.id, later(1)).await.unwrap();
    assert_eq!(ended.unwrap().message.state, MessageState::Cancelled);
    let shown = store.message(account, cancelled.id).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.content), (MessageState::Cancelled, cancelled.content));
    let usage = store.usage(account).await.unwrap();
    assert_eq!(usage.day_used, 2, "refunded");

    assert!(store.waiting_message(expired.id).await.unwrap().is_none(), "the queue drops it");
    assert_eq!(store.clean_up(later(86_399), Timestamp::MIN).await.unwrap(), 0);
    assert_eq!(store.clean_up(later(86_400), Timestamp::MIN).await.unwrap(), 1);
    let shown = store.message(account, expired.id).await.unwrap().unwrap();
    assert_eq!(shown.state, MessageState::Expired);
    let waiting = "SELECT CAST(waiting AS TEXT) FROM usage ORDER BY account_id";
    assert_eq!(database.texts(waiting).await, ["1", "0"]);
    store.close().await;
}

async fn a_clean_up(database: &Database) {
    let (store, world) = begin(database).await;
    let [damaged, old] = [world.sent(1).await, world.sent(2).await];
    let damage_time =
        format!("UPDATE messages SET created_at = {NO_TIME} WHERE id = {}", damaged.id);
    let (store, world) = damage(database, (store, world), &[damage_time]).await;
    assert_eq!(store.delete_old_messages(later(1)).await.unwrap(), 1, "the others go");
    assert!(store.message(world.account.id, old.id).await.unwrap().is_none());
    assert_eq!(store.unreadable_rows(), BTreeMap::from([("messages", 1)]));
    store.close().await;
}

async fn devices(database: &Database) {
    let (store, world) = begin(database).await;
    let lost = new_device(&world.store, &world.account, 20).await;
    let kept = new_device(&world.store, &world.account, 21).await;
    let pacing = DevicePatch { pacing: Some(Some(Pacing::off())), ..DevicePatch::default() };
    store.update_device(world.account.id, kept.id, pacing).await.unwrap().unwrap();
    let damaged = [
        format!("UPDATE devices SET status = 'boiled' WHERE id = '{}'", lost.id),
        format!("UPDATE devices SET pacing = '{{' WHERE id = '{}'", kept.id),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;
    let account = world.account.id;

    let ids = |devices: &[domain::device::Device]| -> Vec<_> {
        devices.iter().map(|device| device.id).collect()
    };
    let all = store.all_devices().await.unwrap();
    assert_eq!(ids(&all), [world.device.id, kept.id]);
    assert_eq!(all[1].pacing, None, "the gateway's own holds");
    let page = PageRequest { before: None, limit: 1 };
    let page = store.devices(account, page).await.unwrap();
    assert_eq!((ids(&page.items), page.has_more), (vec![kept.id], true));
    let page = PageRequest { before: Some(kept.number_id.0), limit: 1 };
    let page = store.devices(account, page).await.unwrap();
    assert_eq!((ids(&page.items), page.has_more), (vec![world.device.id], false));
    let found = store.find_devices(account, &DeviceFilter::default(), 10).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(is_fault(store.device(account, lost.id).await));
    let other = World::with(world.store.clone(), 30).await;
    assert!(store.device(other.account.id, lost.id).await.unwrap().is_none(), "it is another's");

    let rename = DevicePatch { name: Some("new".into()), ..DevicePatch::default() };
    assert!(is_fault(store.update_device(account, lost.id, rename.clone()).await));
    store.update_device(account, kept.id, rename).await.unwrap().unwrap();
    let text = format!("SELECT pacing FROM devices WHERE id = '{}'", kept.id);
    assert_eq!(database.texts(&text).await, ["{"], "kept for the release that can read it");
    let pacing = DevicePatch { pacing: Some(Some(Pacing::off())), ..DevicePatch::default() };
    store.update_device(account, kept.id, pacing).await.unwrap().unwrap();
    let kept = store.device(account, kept.id).await.unwrap().unwrap();
    assert_eq!(kept.pacing, Some(Pacing::off()));

    let (lost_mail, kept_mail) = tokio::join!(
        store.receive(lost.id, vec![incoming("X1", "6281")], NOW),
        store.receive(kept.id, vec![incoming("X2", "6281")], NOW),
    );
    assert!(is_fault(lost_mail), "WhatsApp keeps it");
    assert_eq!(kept_mail.unwrap().len(), 1);
    world.sent(1).await;
    assert_eq!(store.unreadable_rows(), BTreeMap::from([("devices", 2)]));
    assert!(store.delete_device(account, lost.id, NOW).await.unwrap().is_some());
    store.close().await;
}

async fn plans_and_accounts(database: &Database) {
    let (store, world) = begin(database).await;
    let other = World::with(world.store.clone(), 30).await;
    let third = World::with(world.store.clone(), 40).await;
    store.put_plan(Plan { name: "odd".into(), ..plan(None, None) }).await.unwrap();
    let damaged = [
        format!("UPDATE accounts SET created_at = {NO_TIME} WHERE id = {}", other.account.id),
        "UPDATE plans SET features = '{' WHERE name = 'odd'".to_owned(),
        format!("UPDATE accounts SET plan = 'odd' WHERE id = {}", third.account.id),
        r#"UPDATE plans SET features = '["groups","telepathy"]' WHERE name = 'hobby'"#.to_owned(),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;

    let names: Vec<String> =
        store.plans().await.unwrap().into_iter().map(|plan| plan.name).collect();
    assert_eq!(names, ["business", "free", "hobby", "pro", "unlimited"]);
    let hobby = store.plans().await.unwrap().remove(2);
    assert_eq!(hobby.features, [domain::plan::Feature::Groups]);
    let page = PageRequest { before: None, limit: 1 };
    let page = store.accounts(page).await.unwrap();
    assert_eq!((page.items[0].id, page.has_more), (third.account.id, true));
    let page = PageRequest { before: Some(third.account.id.0), limit: 1 };
    let page = store.accounts(page).await.unwrap();
    assert_eq!((page.items[0].id, page.has_more), (world.account.id, false));
    assert!(is_fault(store.account(other.account.id).await));
    assert!(is_fault(store.key_holder(&hash(30)).await));
    assert!(is_fault(store.key_holder(&hash(40)).await), "its plan cannot be read");
    assert!(store.key_holder(&hash(10)).await.unwrap().is_some());
    world.sent(1).await;
    // The damaged plan and the one with an unknown feature; never the keys of their accounts.
    let counts = BTreeMap::from([("accounts", 1), ("plans", 2)]);
    assert_eq!(store.unreadable_rows(), counts);
    assert!(store.delete_account(other.account.id).await.unwrap());
    store.close().await;
}

async fn keys_grants_and_contacts(database: &Database) {
    let (store, world) = begin(database).await;
    let (account, device) = (world.account.id, world.device.id);
    for device_id in [None, Some(device)] {
        let grant = NewGrant { account_id: account, device_id, messages: 2, expires_at: None };
        store.add_grant(grant, NOW).await.unwrap().unwrap();
    }
    world.sent(1).await;
    world.sent(2).await;
    let damaged = [
        format!("UPDATE keys SET created_at = {NO_TIME} WHERE device_id IS NULL"),
        format!("UPDATE grants SET expires_at = {NO_TIME} WHERE device_id IS NULL"),
        format!("UPDATE contacts SET first_at = {NO_TIME}"),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;
    assert_eq!(store.keys(account, ALL).await.unwrap().items.len(), 1);
    assert!(store.key_holder(&hash(10)).await.unwrap().is_some(), "what it needs can be read");
    assert_eq!(store.grants(account).await.unwrap().len(), 1);
    assert!(store.contacts(device, NOW).await.unwrap().0.is_empty());
    assert_eq!(store.unreadable_rows()["contacts"], 2, "each is counted");
    world.sent(3).await;
    store.close().await;
}

async fn webhooks(database: &Database) {
    let (store, world) = begin(database).await;
    let account = world.account.id;
    let [first, second, third] = [
        world.webhook(None, &EventKind::ALL).await.id,
        world.webhook(None, &EventKind::ALL).await.id,
        world.webhook(None, &EventKind::ALL).await.id,
    ];
    let damaged = [
        format!("UPDATE webhooks SET events = '{{' WHERE id = {second}"),
        format!(
            r#"UPDATE webhooks SET events = '["message.sent","message.boiled"]' WHERE id = {third}"#
        ),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;
    let ids = |webhooks: &[domain::webhook::Webhook]| -> Vec<WebhookId> {
        webhooks.iter().map(|webhook| webhook.id).collect()
    };
    let active = store.active_webhooks().await.unwrap();
    assert_eq!(ids(&active), [first, third]);
    assert_eq!(active[1].events, [EventKind::MessageSent]);
    let page = PageRequest { before: None, limit: 1 };
    let page = store.webhooks(account, None, page).await.unwrap();
    assert_eq!((ids(&page.items), page.has_more), (vec![third], true));
    let page = PageRequest { before: Some(third.0), limit: 1 };
    let page = store.webhooks(account, None, page).await.unwrap();
    assert_eq!((ids(&page.items), page.has_more), (vec![first], false));
    assert!(is_fault(store.webhook(account, second).await));

    let patch = WebhookPatch { url: Some("https://example.com/new".into()), ..Default::default() };
    assert!(is_fault(store.update_webhook(account, second, patch.clone()).await));
    store.update_webhook(account, third, patch).await.unwrap().unwrap();
    let text = format!("SELECT events FROM webhooks WHERE id = {third}");
    assert_eq!(database.texts(&text).await, [r#"["message.sent","message.boiled"]"#]);
    world.sent(1).await;
    for webhook in &active {
        assert_eq!(world.pending(webhook).await.len(), 1, "the others get it");
    }
    assert!(store.delete_webhook(account, second).await.unwrap());
    store.close().await;
}

async fn deliveries(database: &Database) {
    let (store, world) = begin(database).await;
    let account = world.account.id;
    let webhook = world.webhook(None, &EventKind::ALL).await;
    for n in 1..=4 {
        world.sent(n).await;
    }
    let pending = world.pending(&webhook).await;
    let of_later_release = "replace(event, 'message.sent', 'message.boiled')";
    let damaged = [
        format!("UPDATE deliveries SET event = '{{' WHERE id = {}", pending[0].id),
        format!("UPDATE deliveries SET event = {of_later_release} WHERE id = {}", pending[2].id),
    ];
    let (store, world) = damage(database, (store, world), &damaged).await;
    let readable = [pending[1].id, pending[3].id];
    let read = store.pending_deliveries(webhook.id, &[], 1).await.unwrap().items;
    assert_eq!(read[0].id, readable[0], "those that cannot be read hold nothing up");
    let read = store.pending_deliveries(webhook.id, &readable[..1], 1).await.unwrap().items;
    assert_eq!(read[0].id, readable[1]);
    let mut listed = Vec::new();
    let mut page = PageRequest { before: None, limit: 1 };
    loop {
        let found = store.deliveries(account, webhook.id, None, page).await.unwrap();
        listed.extend(found.items.iter().map(|delivery| delivery.id));
        page.before = listed.last().map(|id| id.0);
        if !found.has_more {
            break;
        }
    }
    assert_eq!(listed, [readable[1], readable[0]]);
    let dead = format!("UPDATE deliveries SET state = 'dead' WHERE id = {}", pending[0].id);
    let (store, world) = damage(database, (store, world), &[dead]).await;
    let replayed = store.replay_delivery(account, webhook.id, pending[0].id, later(5)).await;
    assert!(is_fault(replayed));
    let state = Some(DeliveryState::Dead);
    assert!(store.deliveries(account, webhook.id, state, ALL).await.unwrap().items.is_empty());
    world.sent(9).await;
    store.close().await;
}
