//! Accounts, plans, keys and settings.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::account::{AccountPatch, Caller, KEYS_MAX, Key, KeyRights, NewAccount};
use domain::ids::{AccountId, KeyId};
use domain::message::MessageEvent;
use domain::plan::{Feature, Plan};
use domain::ports::{
    AccountRefusal, CreatedKey, MessageFilter, NewKey, PageRequest, ProtocolWrite, Store,
};
use domain::scope::{Scope, Scopes};
use jiff::Timestamp;

use super::{
    ALL, NOW, World, hash, idempotency, key, later, new_account, new_messages, plan, stored,
};

pub async fn an_account_is_found_as_created(store: Arc<dyn Store>) {
    let new = new_account("sri@example.com");
    let made = store.create_account(new, key(1), NOW).await.unwrap().unwrap();
    assert_eq!(made.created_at, stored(NOW));
    assert_eq!(made.name, "Warung Bu Sri ☕");
    assert_eq!(store.account(made.id).await.unwrap(), Some(made.clone()));
    let usage = store.usage(made.id).await.unwrap();
    assert_eq!((usage.day_used, usage.month_used), (0, 0));
}

pub async fn an_email_address_is_unique(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let again = new_account(&world.account.email);
    let again = store.create_account(again, key(1), NOW).await.unwrap();
    assert_eq!(again, Err(AccountRefusal::EmailTaken));
    assert!(store.key_holder(&hash(1)).await.unwrap().is_none());
    assert_eq!(store.accounts(ALL).await.unwrap().items.len(), 1);
}

pub async fn accounts_are_listed_newest_first(store: Arc<dyn Store>) {
    let mut ids = Vec::new();
    for n in [10, 20, 30] {
        ids.push(World::with(Arc::clone(&store), n).await.account.id);
    }
    let page = store.accounts(PageRequest { before: None, limit: 2 }).await.unwrap();
    let listed: Vec<_> = page.items.iter().map(|account| account.id).collect();
    assert_eq!((listed, page.has_more), (vec![ids[2], ids[1]], true));
    let page = PageRequest { before: Some(ids[1].0), limit: 2 };
    let page = store.accounts(page).await.unwrap();
    let listed: Vec<_> = page.items.iter().map(|account| account.id).collect();
    assert_eq!((listed, page.has_more), (vec![ids[0]], false));
}

pub async fn a_patch_changes_only_what_it_names(store: Arc<dyn Store>) {
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    let patch = AccountPatch { timezone: Some("UTC".into()), ..AccountPatch::default() };
    let updated = store.update_account(account.id, patch).await.unwrap();
    let Some(Ok(updated)) = updated else { panic!("{updated:?}") };
    assert_eq!(updated.timezone.name(), "UTC");
    assert_eq!(store.account(account.id).await.unwrap(), Some(updated.clone()));
    let holder = store.key_holder(&hash(10)).await.unwrap().unwrap();
    assert_eq!(holder.account, updated);
    let patch = AccountPatch {
        name: Some("n".into()),
        email: Some("e@example.com".into()),
        plan: Some("free".into()),
        default_country: Some("49".into()),
        timezone: None,
    };
    store.update_account(account.id, patch).await.unwrap();
    let read = store.account(account.id).await.unwrap().unwrap();
    let texts: [&str; 5] =
        [&read.name, &read.email, &read.plan, &read.default_country, read.timezone.name()];
    assert_eq!(texts, ["n", "e@example.com", "free", "49", "UTC"]);
}

pub async fn another_accounts_email_is_refused(store: Arc<dyn Store>) {
    let one = World::with(Arc::clone(&store), 10).await;
    let two = World::with(Arc::clone(&store), 20).await;
    let take = |email: &str| AccountPatch { email: Some(email.into()), ..Default::default() };
    let answer = store.update_account(two.account.id, take(&one.account.email)).await.unwrap();
    assert!(matches!(answer, Some(Err(AccountRefusal::EmailTaken))), "{answer:?}");
    assert_eq!(store.account(two.account.id).await.unwrap(), Some(two.account.clone()));
    let answer = store.update_account(one.account.id, take(&one.account.email)).await.unwrap();
    assert!(matches!(answer, Some(Ok(_))), "its own: {answer:?}");
    store.delete_account(two.account.id).await.unwrap();
    assert!(store.update_account(two.account.id, take("x@example.com")).await.unwrap().is_none());
}

pub async fn plans_exist_and_can_be_replaced(store: Arc<dyn Store>) {
    let mut expected = Plan::built_in();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(store.plans().await.unwrap(), expected);
    let free = Plan {
        name: "free".into(),
        device_limit: None,
        messages_per_day: Some(7),
        messages_per_month: None,
        requests_per_minute: Some(1),
        features: vec![Feature::Groups, Feature::SendImage],
    };
    let own = Plan { name: "a-plan".into(), features: vec![], ..free.clone() };
    store.put_plan(free.clone()).await.unwrap();
    store.put_plan(own.clone()).await.unwrap();
    let plans = store.plans().await.unwrap();
    assert_eq!(plans.len(), expected.len() + 1);
    assert!(plans.contains(&free) && plans[0] == own, "{plans:?}");
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    store.put_plan(Plan { name: account.plan.clone(), ..free }).await.unwrap();
    assert!(!store.delete_plan(&account.plan).await.unwrap(), "an account has it");
    assert!(store.delete_plan("a-plan").await.unwrap());
    assert!(!store.delete_plan("a-plan").await.unwrap());
    let patch = AccountPatch { plan: Some("a-plan".into()), ..AccountPatch::default() };
    let refused = store.update_account(account.id, patch).await.unwrap();
    assert_eq!(refused, Some(Err(AccountRefusal::PlanGone)));
    let new = NewAccount { plan: "a-plan".into(), ..new_account("late@example.com") };
    let refused = store.create_account(new, key(50), NOW).await.unwrap();
    assert_eq!(refused, Err(AccountRefusal::PlanGone));
    let plans = store.plans().await.unwrap();
    let has = |name: &str| plans.iter().any(|plan| plan.name == name);
    assert!(has(&account.plan) && !has("a-plan"), "{plans:?}");
}

async fn created(
    store: &Arc<dyn Store>,
    account: AccountId,
    key: NewKey,
    rights: KeyRights,
    now: Timestamp,
) -> Option<Key> {
    match store.create_key(account, key, rights, now).await.unwrap() {
        CreatedKey::Created(key) => Some(key),
        CreatedKey::LimitReached | CreatedKey::DeviceGone => None,
    }
}

pub async fn a_key_has_its_rights(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let holder = async |n| store.key_holder(&hash(n)).await.unwrap();
    for n in [10, 11] {
        let holder = holder(n).await.unwrap();
        assert_eq!((holder.scopes, holder.expires_at), (Scopes::ALL, None), "first key and token");
    }
    let scopes = [Scope::Read, Scope::Send].into_iter().collect();
    let expires_at = Some(later(60));
    let rights = KeyRights { scopes, device: Some(device.id), expires_at };
    let made = created(&store, account.id, key(40), rights, NOW).await.unwrap();
    let expires_at = expires_at.map(stored);
    let shown = (made.device_id, made.is_token, made.scopes, made.expires_at, made.last_used_at);
    assert_eq!(shown, (Some(device.id), false, scopes, expires_at, None));
    let found = holder(40).await.unwrap();
    assert!(matches!(found.caller, Caller::Device(a, d, k)
        if a == account.id && d == device.id && k == made.id));
    assert_eq!((found.scopes, found.expires_at), (scopes, expires_at));
    let other = KeyRights { device: Some(stranger.device.id), ..KeyRights::ALL };
    let refused = store.create_key(account.id, key(41), other, NOW).await.unwrap();
    assert!(matches!(refused, CreatedKey::DeviceGone), "{refused:?}");

    let uses = [(made.id, later(5)), (KeyId(987_654), later(5))];
    store.note_key_uses(&uses).await.unwrap();
    let listed = async || store.keys(account.id, ALL).await.unwrap().items;
    let used = Key { last_used_at: Some(stored(later(5))), ..made };
    assert_eq!(listed().await[0], used);
    assert!(listed().await[1].is_token && !listed().await[2].is_token);
    // Another token voids the old token, not this key; the end of the device ends both.
    assert!(store.replace_device_token(account.id, device.id, key(42), NOW).await.unwrap());
    assert!(holder(11).await.is_none() && holder(40).await.is_some());
    store.delete_device(account.id, device.id, NOW).await.unwrap().unwrap();
    assert!(holder(40).await.is_none() && holder(42).await.is_none());
}

pub async fn a_key_finds_its_holder_until_deleted(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let made = created(&store, account.id, key(99), KeyRights::ALL, NOW).await.unwrap();
    assert_eq!((made.name.as_str(), made.last_four.as_str()), ("key 99", "0099"));
    for _ in 0..2 {
        let holder = store.key_holder(&hash(99)).await.unwrap().unwrap();
        assert_eq!(holder.caller, Caller::Account(account.id, made.id));
        assert_eq!((&holder.account, holder.plan.name.as_str()), (&account, "unlimited"));
    }
    let token = store.key_holder(&hash(11)).await.unwrap().unwrap().caller;
    assert!(matches!(token, Caller::Device(a, d, _) if a == account.id && d == device.id));
    let stranger = World::with(Arc::clone(&store), 20).await.account;
    assert!(!store.delete_key(stranger.id, made.id).await.unwrap());
    assert!(store.key_holder(&hash(99)).await.unwrap().is_some());
    assert!(store.delete_key(account.id, made.id).await.unwrap());
    assert!(!store.delete_key(account.id, made.id).await.unwrap());
    assert!(store.key_holder(&hash(99)).await.unwrap().is_none());
    assert!(store.key_holder(&hash(12_345)).await.unwrap().is_none());
}

pub async fn a_new_plan_shows_at_once(store: Arc<dyn Store>) {
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    assert!(store.key_holder(&hash(10)).await.unwrap().unwrap().plan.messages_per_day.is_none());
    store.put_plan(plan(Some(3), None)).await.unwrap();
    let holder = store.key_holder(&hash(10)).await.unwrap().unwrap();
    assert_eq!(holder.plan.messages_per_day, Some(3));
    let patch = AccountPatch { plan: Some("pro".into()), ..AccountPatch::default() };
    store.update_account(account.id, patch).await.unwrap();
    assert_eq!(store.key_holder(&hash(10)).await.unwrap().unwrap().plan.name, "pro");
}

pub async fn keys_are_listed_without_their_secrets(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    World::with(Arc::clone(&store), 20).await;
    let made = created(&store, account.id, key(30), KeyRights::ALL, later(1)).await.unwrap();
    let keys = store.keys(account.id, ALL).await.unwrap().items;
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], made);
    assert_eq!(keys[0].created_at, stored(later(1)));
    assert_eq!((keys[1].device_id, keys[2].device_id), (Some(device.id), None));
    let page = PageRequest { before: None, limit: 2 };
    let page = store.keys(account.id, page).await.unwrap();
    assert_eq!((page.items.as_slice(), page.has_more), (&keys[..2], true));
    let rest = PageRequest { before: Some(keys[1].id.0), limit: 2 };
    let page = store.keys(account.id, rest).await.unwrap();
    assert_eq!((page.items.as_slice(), page.has_more), (&keys[2..], false));
}

pub async fn an_account_has_a_limit_of_keys(store: Arc<dyn Store>) {
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 20).await.account;
    let make = async |id, n| created(&store, id, key(n), KeyRights::ALL, NOW).await;
    let mut last = None;
    // The account's first key counts, the token of its device does not.
    for n in 1..u64::try_from(KEYS_MAX).unwrap() {
        last = make(account.id, 1_000 + n).await;
    }
    assert!(make(account.id, 2_000).await.is_none());
    assert!(store.key_holder(&hash(2_000)).await.unwrap().is_none());
    assert!(make(other.id, 3_000).await.is_some());
    assert!(store.delete_key(account.id, last.unwrap().id).await.unwrap());
    assert!(make(account.id, 2_000).await.is_some());
}

pub async fn a_setting_is_created_once(store: Arc<dyn Store>) {
    assert_eq!(store.setting("operator", vec![0, 255]).await.unwrap(), [0, 255]);
    assert_eq!(store.setting("operator", vec![1]).await.unwrap(), [0, 255]);
    assert_eq!(store.setting("other", vec![]).await.unwrap(), Vec::<u8>::new());
    store.replace_setting("operator", vec![2]).await.unwrap();
    assert_eq!(store.setting("operator", vec![1]).await.unwrap(), [2]);
}

pub async fn a_store_answers_a_ping(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}

pub async fn a_deleted_account_leaves_nothing(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let other = World::with(Arc::clone(&store), 20).await;
    other.sent(1).await;
    let (account, device) = (world.account.id, world.device.id);
    let waiting = world.send(1).await;
    let sent = world.sent(2).await;
    let mut request = world.request(vec![world.text(3)]);
    request.idempotency = Some(idempotency("k", 1));
    new_messages(store.accept(request).await.unwrap());
    let write = ProtocolWrite { space: "s", key: "k".into(), value: Some(vec![1]) };
    store.protocol_write(device, vec![write]).await.unwrap();
    assert!(store.delete_account(account).await.unwrap());
    assert!(!store.delete_account(account).await.unwrap());
    assert!(store.account(account).await.unwrap().is_none());
    assert!(store.key_holder(&hash(10)).await.unwrap().is_none());
    assert!(store.key_holder(&hash(11)).await.unwrap().is_none());
    assert!(store.keys(account, ALL).await.unwrap().items.is_empty());
    assert!(store.device(account, device).await.unwrap().is_none());
    assert!(!store.device_exists(device).await.unwrap());
    assert_eq!(store.all_devices().await.unwrap().len(), 1);
    assert!(store.outbox().await.unwrap().is_empty());
    assert!(store.message(account, sent.id).await.unwrap().is_none());
    let filter = MessageFilter::default();
    assert!(store.messages(account, &filter, ALL).await.unwrap().items.is_empty());
    assert_eq!(store.messages(other.account.id, &filter, ALL).await.unwrap().items.len(), 1);
    assert!(store.protocol_get(device, "s", "k").await.unwrap().is_none());
    assert!(store.contacts(device, NOW).await.unwrap().0.is_empty());
    assert!(world.record(waiting.id, &[MessageEvent::Withdrawn]).await.is_empty());
    assert_eq!(store.usage(account).await.unwrap().day_used, 0);
}
