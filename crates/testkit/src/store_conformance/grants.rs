//! Grants and vouchers: the order of charges, and where refunds go.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use domain::ids::{AccountId, DeviceId};
use domain::message::{Message, MessageEvent, NewMessage};
use domain::policy::quota::QuotaKind;
use domain::ports::{Acceptance, Accepted, Store};
use uuid::Uuid;

use super::{NOW, World, hash, later, new_device, new_messages, plan, stored};

async fn grant(
    world: &World,
    device: Option<DeviceId>,
    messages: i64,
    until: Option<i64>,
) -> Option<Grant> {
    let (account_id, device_id) = (world.account.id, device);
    let new = NewGrant { account_id, device_id, messages, expires_at: until.map(later) };
    world.store.add_grant(new, NOW).await.unwrap()
}

/// What grants have used up, oldest first.
async fn used(world: &World) -> Vec<i64> {
    let mut grants = world.store.grants(world.account.id).await.unwrap();
    grants.sort_by_key(|grant| grant.id);
    grants.iter().map(|grant| grant.used).collect()
}

/// A request on a plan with a daily limit, some seconds after [`NOW`].
fn on_plan(world: &World, day: i64, seconds: i64, messages: Vec<NewMessage>) -> Acceptance {
    let (plan, now) = (plan(Some(day), None).into(), later(seconds));
    Acceptance { plan, now, ..world.request(messages) }
}

fn receipts(messages: &[Message]) -> Vec<(QuotaKind, i64)> {
    let receipts = messages.iter().map(|message| message.quota().unwrap());
    receipts.map(|receipt| (receipt.kind, receipt.remaining)).collect()
}

pub async fn grants_are_charged_before_the_plan(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let second = new_device(&store, &world.account, 50).await.id;
    grant(&world, None, 1, None).await.unwrap();
    grant(&world, Some(world.device.id), 1, Some(100)).await.unwrap();
    grant(&world, Some(second), 5, None).await.unwrap();
    let mut paid = Vec::new();
    for n in 0..4 {
        let request = on_plan(&world, 2, 0, vec![world.text(n)]);
        paid.extend(receipts(&new_messages(store.accept(request).await.unwrap())));
    }
    use QuotaKind as Q;
    assert_eq!(paid, [(Q::Grant, 1), (Q::Grant, 0), (Q::Plan, 1), (Q::Plan, 0)]);
    assert_eq!(used(&world).await, [1, 1, 0], "the device's own first; another's never");
    let answer = store.accept(on_plan(&world, 2, 0, vec![world.text(9)])).await.unwrap();
    assert!(matches!(answer, Accepted::QuotaExhausted { remaining: 0 }), "{answer:?}");
    let others = NewMessage { device_id: second, ..world.text(10) };
    let made = new_messages(store.accept(on_plan(&world, 2, 0, vec![others])).await.unwrap());
    assert_eq!(receipts(&made), [(Q::Grant, 4)]);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 2);
}

pub async fn a_batch_is_charged_completely_or_not_at_all(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    grant(&world, None, 2, None).await.unwrap();
    let batch = |count| (0..count).map(|n| world.text(n)).collect();
    let answer = store.accept(on_plan(&world, 2, 0, batch(5))).await.unwrap();
    assert!(matches!(answer, Accepted::QuotaExhausted { remaining: 4 }), "{answer:?}");
    assert_eq!(used(&world).await, [0]);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 0);
    assert!(store.outbox().await.unwrap().is_empty());
    let made = new_messages(store.accept(on_plan(&world, 2, 0, batch(4))).await.unwrap());
    use QuotaKind as Q;
    assert_eq!(receipts(&made), [(Q::Grant, 1), (Q::Grant, 0), (Q::Plan, 1), (Q::Plan, 0)]);
    assert_eq!(used(&world).await, [2]);
    assert_eq!(store.usage(world.account.id).await.unwrap().day_used, 2);
}

pub async fn grants_stack_and_expire(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let first = grant(&world, None, 3, Some(100)).await.unwrap();
    assert_eq!((first.total, first.used, first.device_id), (3, 0, None));
    assert_eq!(first.expires_at, Some(stored(later(100))));
    new_messages(store.accept(on_plan(&world, 0, 0, vec![world.text(1)])).await.unwrap());
    let more = grant(&world, None, 2, Some(50)).await.unwrap();
    assert_eq!(more, Grant { total: 5, used: 1, ..first.clone() }, "the later expiry counts");
    assert_eq!(store.grants(world.account.id).await.unwrap(), [more]);
    new_messages(store.accept(on_plan(&world, 0, 99, vec![world.text(2)])).await.unwrap());
    let answer = store.accept(on_plan(&world, 0, 100, vec![world.text(3)])).await.unwrap();
    assert!(matches!(answer, Accepted::QuotaExhausted { remaining: 0 }), "{answer:?}");
    let (account_id, device_id) = (world.account.id, None);
    let new = NewGrant { account_id, device_id, messages: 7, expires_at: None };
    let next = store.add_grant(new, later(100)).await.unwrap().unwrap();
    assert!(next.id > first.id, "another grant takes the place of one that has expired");
    assert_eq!((next.total, next.used, next.expires_at), (7, 0, None));
    assert_eq!(store.grants(account_id).await.unwrap(), [next]);
}

pub async fn a_refund_goes_to_the_charged_grant(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let device = Some(world.device.id);
    grant(&world, None, 2, None).await.unwrap();
    grant(&world, device, 2, Some(100)).await.unwrap();
    let messages = (0..5).map(|n| world.text(n)).collect();
    let made = new_messages(store.accept(on_plan(&world, 9, 0, messages)).await.unwrap());
    assert_eq!(used(&world).await, [2, 2]);
    let end = async |index: usize, event| world.record(made[index].id, &[event]).await;
    end(2, MessageEvent::Withdrawn).await;
    assert_eq!(used(&world).await, [1, 2], "the account's");
    end(0, MessageEvent::Expired).await;
    assert_eq!(used(&world).await, [1, 1], "the device's");
    world.record(made[3].id, &[MessageEvent::Submitted, MessageEvent::Acknowledged]).await;
    assert_eq!(used(&world).await, [1, 1], "it was sent");
    end(4, MessageEvent::Failed).await;
    let usage = store.usage(world.account.id).await.unwrap();
    assert_eq!((usage.day_used, used(&world).await), (0, vec![1, 1]), "the plan's");
    let (account_id, expires_at) = (world.account.id, None);
    let new = NewGrant { account_id, device_id: device, messages: 9, expires_at };
    store.add_grant(new, later(200)).await.unwrap().unwrap();
    new_messages(store.accept(on_plan(&world, 9, 200, vec![world.text(9)])).await.unwrap());
    assert_eq!(used(&world).await, [1, 1]);
    end(1, MessageEvent::Withdrawn).await;
    assert_eq!(used(&world).await, [1, 1], "the grant that paid is gone");
    assert_eq!(store.usage(account_id).await.unwrap().day_used, 0);
}

/// A voucher whose code is `hash(n)`.
pub fn voucher(n: u64, messages: i64, valid_days: Option<u32>) -> NewVoucher {
    NewVoucher { code: hash(n), messages, valid_days }
}

pub async fn a_voucher_is_redeemed_once(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let vouchers = vec![voucher(1, 5, Some(2)), voucher(2, 7, None), voucher(3, 1, None)];
    store.create_vouchers(vouchers, NOW).await.unwrap();
    let redeem = async |device, n| {
        store.redeem_voucher(world.account.id, device, &hash(n), NOW).await.unwrap()
    };
    let device = world.device.id;
    for device in [stranger.device.id, DeviceId(Uuid::nil())] {
        assert_eq!(redeem(device, 1).await, Redeemed::Invalid, "not a device of the account");
    }
    let Redeemed::Granted { messages, grant } = redeem(device, 1).await else { panic!("invalid") };
    assert_eq!((messages, grant.total, grant.device_id), (5, 5, Some(device)));
    assert_eq!(grant.expires_at, Some(stored(later(2 * 86_400))));
    assert_eq!(redeem(device, 1).await, Redeemed::Invalid, "a second time");
    assert_eq!(redeem(device, 4).await, Redeemed::Invalid, "unknown");
    let Redeemed::Granted { messages, grant } = redeem(device, 2).await else { panic!("invalid") };
    assert_eq!((messages, grant.total, grant.expires_at), (7, 12, None), "on top, and for ever");
    assert_eq!(store.grants(world.account.id).await.unwrap(), [grant]);
    assert!(store.grants(stranger.account.id).await.unwrap().is_empty());
}

pub async fn grants_are_deleted_with_their_owner(store: Arc<dyn Store>) {
    let world = World::with(Arc::clone(&store), 10).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let theirs = grant(&stranger, None, 1, None).await.unwrap();
    let device = world.device.id;
    assert!(grant(&world, Some(stranger.device.id), 1, None).await.is_none());
    assert!(grant(&world, Some(DeviceId(Uuid::nil())), 1, None).await.is_none());
    let unknown = NewGrant {
        account_id: AccountId(i64::MAX),
        device_id: None,
        messages: 1,
        expires_at: None,
    };
    assert!(store.add_grant(unknown, NOW).await.unwrap().is_none());
    let account = grant(&world, None, 1, None).await.unwrap();
    grant(&world, Some(device), 1, None).await.unwrap();
    let waiting = world.accept(world.text(1)).await;
    assert_eq!(waiting.quota().unwrap().kind, QuotaKind::Grant);
    store.delete_device(world.account.id, device, NOW).await.unwrap();
    assert_eq!(store.grants(world.account.id).await.unwrap(), [account]);
    store.delete_account(world.account.id).await.unwrap();
    assert!(store.grants(world.account.id).await.unwrap().is_empty());
    assert_eq!(store.grants(stranger.account.id).await.unwrap(), [theirs]);
}
