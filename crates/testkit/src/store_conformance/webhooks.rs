//! Webhooks: created, found, changed, deleted.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::ids::WebhookId;
use domain::ports::{PageRequest, Store};
use domain::webhook::{
    CreatedWebhook, EventKind, FormatName, NewWebhook, SealNewSecret, SealedSecret, WEBHOOKS_MAX,
    Webhook, WebhookPatch,
};

use super::{ALL, NOW, World, created, later, new_device, own_secret, stored};

pub async fn a_webhook_is_found_as_created(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = Some(world.device.id);
    let made = world.webhook(device, &[EventKind::MessageSent, EventKind::DevicePaired]).await;
    let expected = Webhook {
        id: made.id,
        account_id: world.account.id,
        device_id: device,
        url: "https://example.com/hook?a=b#c".into(),
        format: FormatName("gerbang".into()),
        events: vec![EventKind::MessageSent, EventKind::DevicePaired],
        secret: SealedSecret(vec![0, 1, 255]),
        disabled: None,
        created_at: stored(NOW),
    };
    assert_eq!(made, expected);
    assert_eq!(store.webhook(world.account.id, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.active_webhooks().await.unwrap(), [made]);
}

pub async fn webhooks_are_listed_newest_first(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let first = world.webhook(None, &EventKind::ALL).await;
    let theirs = other.webhook(None, &EventKind::ALL).await;
    let second = world.webhook(None, &EventKind::ALL).await;
    let format = FormatName("rest".into());
    let new = NewWebhook {
        account_id: world.account.id,
        device_id: None,
        url: "http://example.com".into(),
        format,
        events: vec![EventKind::MessageRead],
    };
    let third = store.create_webhook(new, own_secret(vec![7]), later(1)).await.unwrap();
    let third = created(third).unwrap();
    let account = world.account.id;
    let page = store.webhooks(account, None, PageRequest { before: None, limit: 2 }).await.unwrap();
    assert_eq!((page.items, page.has_more), (vec![third.clone(), second.clone()], true));
    let rest = PageRequest { before: Some(second.id.0), limit: 2 };
    let page = store.webhooks(account, None, rest).await.unwrap();
    assert_eq!((page.items, page.has_more), (vec![first.clone()], false));
    let mut active = store.active_webhooks().await.unwrap();
    active.sort_by_key(|webhook| webhook.id);
    assert_eq!(active, [first, theirs, second, third]);
}

pub async fn a_secret_is_sealed_with_the_others_of_its_format_at_hand(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let make = async |world: &World, format: &str, secret: u8| {
        let new = NewWebhook {
            account_id: world.account.id,
            device_id: None,
            url: "http://example.com".into(),
            format: FormatName(format.into()),
            events: vec![EventKind::MessageRead],
        };
        let seal: SealNewSecret = Arc::new(move |id, others| {
            assert!(others.iter().all(|other| other.id < id), "oldest first, without itself");
            let oldest = others.first().map(|other| other.secret.clone());
            Some(oldest.unwrap_or(SealedSecret(vec![secret])))
        });
        let made = created(store.create_webhook(new, seal, NOW).await.unwrap()).unwrap();
        let found = store.webhook(world.account.id, made.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&made));
        made.secret.0
    };
    assert_eq!(make(&other, "wasyik", 1).await, [1], "there is none of the account");
    assert_eq!(make(&world, "wagy", 2).await, [2], "there is none of the format");
    // Whichever is created first: all see it.
    let (a, b, c) = tokio::join!(
        make(&world, "wasyik", 3),
        make(&world, "wasyik", 4),
        make(&world, "wasyik", 5)
    );
    assert!(a == b && b == c, "{a:?} {b:?} {c:?}");
    let new = NewWebhook {
        account_id: world.account.id,
        device_id: None,
        url: "http://example.com".into(),
        format: FormatName("wasyik".into()),
        events: vec![EventKind::MessageRead],
    };
    let refused = store.create_webhook(new, Arc::new(|_, _| None), NOW).await.unwrap();
    assert!(matches!(refused, CreatedWebhook::SecretUnreadable), "{refused:?}");
    let all = store.webhooks(world.account.id, None, ALL).await.unwrap().items;
    assert_eq!(all.len(), 4, "one without a secret is not made");
}

pub async fn webhooks_of_one_device_are_listed_alone(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let first = world.webhook(Some(device), &EventKind::ALL).await;
    for _ in 0..3 {
        world.webhook(None, &EventKind::ALL).await;
    }
    let last = world.webhook(Some(device), &EventKind::ALL).await;
    let page = PageRequest { before: None, limit: 1 };
    let found = store.webhooks(account, Some(device), page).await.unwrap();
    assert_eq!((found.items, found.has_more), (vec![last.clone()], true));
    let page = PageRequest { before: Some(last.id.0), limit: 1 };
    let found = store.webhooks(account, Some(device), page).await.unwrap();
    assert_eq!((found.items, found.has_more), (vec![first], false));
}

pub async fn a_webhook_changes(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, made) = (world.account.id, world.webhook(None, &EventKind::ALL).await);
    let update = async |patch| store.update_webhook(account, made.id, patch).await.unwrap();
    assert_eq!(update(WebhookPatch::default()).await, Some(made.clone()));
    let patch = WebhookPatch {
        url: Some("https://example.org".into()),
        events: Some(vec![EventKind::MessageFailed]),
        disabled: Some(Some("it answered 410".into())),
        secret: Some(SealedSecret(vec![8])),
    };
    let changed = Webhook {
        url: "https://example.org".into(),
        events: vec![EventKind::MessageFailed],
        disabled: Some("it answered 410".into()),
        secret: SealedSecret(vec![8]),
        ..made.clone()
    };
    assert_eq!(update(patch).await, Some(changed.clone()));
    assert_eq!(store.webhook(account, made.id).await.unwrap(), Some(changed.clone()));
    assert!(store.active_webhooks().await.unwrap().is_empty());
    let on = WebhookPatch { disabled: Some(None), ..WebhookPatch::default() };
    assert_eq!(update(on).await, Some(Webhook { disabled: None, ..changed }));
    assert_eq!(store.active_webhooks().await.unwrap().len(), 1);
    assert!(store.delete_webhook(account, made.id).await.unwrap());
    assert!(!store.delete_webhook(account, made.id).await.unwrap());
    assert_eq!(update(WebhookPatch::default()).await, None);
    let next = world.webhook(None, &EventKind::ALL).await;
    assert!(next.id > made.id, "an id is not used again");
}

pub async fn an_account_has_a_limit_of_webhooks(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await;
    let mut last = None;
    for _ in 0..WEBHOOKS_MAX {
        last = Some(world.webhook(None, &EventKind::ALL).await);
    }
    let last = last.unwrap();
    let Webhook { account_id, device_id, url, format, events, .. } = last.clone();
    let new = NewWebhook { account_id, device_id, url, format, events };
    let make =
        async |new| created(store.create_webhook(new, own_secret(vec![1]), NOW).await.unwrap());
    assert!(make(new.clone()).await.is_none());
    other.webhook(None, &EventKind::ALL).await;
    assert!(store.delete_webhook(account_id, last.id).await.unwrap());
    assert!(make(new).await.is_some());
    assert_eq!(store.webhooks(account_id, None, ALL).await.unwrap().items.len(), WEBHOOKS_MAX);
}

pub async fn webhooks_are_tenant_separate(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    let made = world.webhook(None, &EventKind::ALL).await;
    world.sent(1).await;
    let delivery = world.pending(&made).await.remove(0);
    let off = WebhookPatch { disabled: Some(Some("mine".into())), ..WebhookPatch::default() };
    for (account, id) in [(stranger, made.id), (world.account.id, WebhookId(made.id.0 + 1_000))] {
        assert_eq!(store.webhook(account, id).await.unwrap(), None);
        assert_eq!(store.update_webhook(account, id, off.clone()).await.unwrap(), None);
        assert!(!store.delete_webhook(account, id).await.unwrap());
        assert!(store.deliveries(account, id, None, ALL).await.unwrap().items.is_empty());
        let replayed = store.replay_delivery(account, id, delivery.id, NOW).await.unwrap();
        assert_eq!(replayed, None);
    }
    assert!(store.webhooks(stranger, None, ALL).await.unwrap().items.is_empty());
    assert_eq!(store.webhook(world.account.id, made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(world.pending(&made).await, [delivery]);
}

pub async fn webhooks_are_deleted_with_their_owner(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let second = new_device(&store, &world.account, 50).await.id;
    let of_device = world.webhook(Some(world.device.id), &EventKind::ALL).await;
    let of_second = world.webhook(Some(second), &EventKind::ALL).await;
    let of_all = world.webhook(None, &EventKind::ALL).await;
    let theirs = stranger.webhook(None, &EventKind::ALL).await;
    world.sent(1).await;
    stranger.sent(1).await;
    assert_eq!(world.pending(&of_device).await.len(), 1);
    let account = world.account.id;
    store.delete_device(account, world.device.id, NOW).await.unwrap();
    assert!(store.webhook(account, of_device.id).await.unwrap().is_none());
    assert!(world.pending(&of_device).await.is_empty());
    assert!(store.webhook(account, of_second.id).await.unwrap().is_some());
    assert_eq!(world.pending(&of_all).await.len(), 1);
    store.delete_account(account).await.unwrap();
    assert!(world.pending(&of_all).await.is_empty());
    assert_eq!(store.active_webhooks().await.unwrap(), std::slice::from_ref(&theirs));
    assert_eq!(stranger.pending(&theirs).await.len(), 1);
}
