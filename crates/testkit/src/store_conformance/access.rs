//! Portal links and the audit log.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::audit::{AUDIT_ENTRIES_MAX, AUDIT_KEPT, Action, NewAuditEntry};
use domain::ids::{AccountId, PortalLinkId};
use domain::key::{KeyHash, Secret};
use domain::portal::{PORTAL_LINKS_MAX, Permission};
use domain::ports::{NewPortalLink, PageRequest, Store};
use futures_util::StreamExt as _;

use super::{NOW, World, later, stored};

fn hash(n: i64) -> KeyHash {
    Secret::new(format!("portal link {n}")).hash()
}

fn new(world: &World, n: i64) -> NewPortalLink {
    NewPortalLink {
        hash: hash(n),
        account_id: world.account.id,
        device_id: world.device.id,
        may: vec![Permission::Pair, Permission::Send],
        expires_at: later(60),
    }
}

pub async fn a_portal_link_is_found_until_it_ends(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 30).await;
    let (account, device) = (world.account.id, world.device.id);
    let link = store.create_portal_link(new(&world, 1), NOW).await.unwrap().unwrap();
    assert_eq!(link.may, [Permission::Pair, Permission::Send]);
    assert_eq!((link.account_id, link.device_id), (account, device));
    assert_eq!(link.expires_at, stored(later(60)));
    let second = store.create_portal_link(new(&world, 2), NOW).await.unwrap().unwrap();
    assert_eq!(store.portal_link(hash(1), later(59)).await.unwrap(), Some(link.clone()));
    assert_eq!(store.portal_link(hash(1), later(60)).await.unwrap(), None);
    assert_eq!(store.portal_link(hash(9), NOW).await.unwrap(), None);
    let listed = store.portal_links(account, device, NOW).await.unwrap();
    assert_eq!(listed, [second, link.clone()]);
    assert_eq!(store.portal_links(account, device, later(60)).await.unwrap(), []);
    let theirs = (other.account.id, other.device.id);
    for (account, device) in [theirs, (theirs.0, device), (account, theirs.1)] {
        assert_eq!(store.portal_links(account, device, NOW).await.unwrap(), []);
        assert!(!store.delete_portal_link(account, device, link.id).await.unwrap());
    }
    let foreign = NewPortalLink { account_id: theirs.0, ..new(&world, 3) };
    assert_eq!(store.create_portal_link(foreign, NOW).await.unwrap(), None);
    assert!(!store.delete_portal_link(account, device, PortalLinkId(9_999)).await.unwrap());
    assert!(store.delete_portal_link(account, device, link.id).await.unwrap());
    assert_eq!(store.portal_link(hash(1), NOW).await.unwrap(), None);
    store.delete_device(account, device, NOW).await.unwrap().unwrap();
    assert_eq!(store.portal_link(hash(2), NOW).await.unwrap(), None);
}

pub async fn a_device_has_a_limit_of_portal_links(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    for n in 0..PORTAL_LINKS_MAX {
        store.create_portal_link(new(&world, n), NOW).await.unwrap().unwrap();
    }
    let beyond = || new(&world, PORTAL_LINKS_MAX);
    assert_eq!(store.create_portal_link(beyond(), NOW).await.unwrap(), None);
    let later_one = NewPortalLink { expires_at: later(120), ..beyond() };
    assert!(store.create_portal_link(later_one, later(60)).await.unwrap().is_some());
}

fn entry(account_id: Option<AccountId>, subject: impl ToString) -> NewAuditEntry {
    let subject = subject.to_string();
    NewAuditEntry { account_id, by: "a@b".into(), action: Action::KeyCreated, subject }
}

pub async fn an_audit_log_is_read_by_account_and_as_a_whole(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let other = World::with(Arc::clone(&store), 30).await;
    let (own, theirs) = (Some(world.account.id), Some(other.account.id));
    for (account, subject) in [(own, "1"), (theirs, "2"), (None, "3"), (own, "4")] {
        store.write_audit(entry(account, subject), NOW).await.unwrap();
    }
    let gone = Some(AccountId(world.account.id.0 + 1_000));
    store.write_audit(entry(gone, "5"), NOW).await.unwrap();
    let subjects = async |account, before, limit| {
        let page = store.audit(account, PageRequest { before, limit }).await.unwrap();
        let last = page.items.last().map(|entry| entry.id.0);
        let subjects: Vec<_> = page.items.into_iter().map(|entry| entry.subject).collect();
        (subjects.join(" "), page.has_more, last)
    };
    assert_eq!(subjects(own, None, 9).await.0, "4 1");
    assert_eq!(subjects(None, None, 9).await.0, "4 3 2 1");
    let (first, has_more, last) = subjects(None, None, 2).await;
    assert_eq!((first.as_str(), has_more), ("4 3", true));
    assert_eq!(subjects(None, last, 9).await.0, "2 1");
    let all = store.audit(own, PageRequest { before: None, limit: 1 }).await.unwrap();
    let newest = &all.items[0];
    assert_eq!((newest.by.as_str(), newest.action.as_str()), ("a@b", "key.created"));
    assert_eq!(newest.account_id, own);
    assert!(store.delete_account(other.account.id).await.unwrap());
    assert_eq!(subjects(None, None, 9).await.0, "4 3 1");
}

pub async fn an_audit_log_is_bounded(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let own = Some(world.account.id);
    store.write_audit(entry(None, "gateway"), NOW).await.unwrap();
    let writes = (0..AUDIT_ENTRIES_MAX).map(|n| store.write_audit(entry(own, n), NOW));
    let mut writes = futures_util::stream::iter(writes).buffer_unordered(64);
    while let Some(written) = writes.next().await {
        written.unwrap();
    }
    store.write_audit(entry(own, "newest"), NOW).await.unwrap();
    let page = PageRequest { before: None, limit: 20_000 };
    let kept = store.audit(own, page).await.unwrap().items;
    assert_eq!(i64::try_from(kept.len()).unwrap(), AUDIT_ENTRIES_MAX);
    assert_eq!(kept.first().unwrap().subject, "newest");
    assert_eq!(store.audit(None, page).await.unwrap().items.len(), kept.len() + 1);
    store.write_audit(entry(own, "late"), NOW + AUDIT_KEPT).await.unwrap();
    let kept = store.audit(None, page).await.unwrap().items;
    assert_eq!(kept.iter().map(|entry| entry.subject.as_str()).collect::<Vec<_>>(), ["late"]);
}
