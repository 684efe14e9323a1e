//! Devices and their tokens.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::account::Caller;
use domain::chat::Lid;
use domain::client::{Language, Platform, ShownAs};
use domain::device::{
    Device, DeviceFilter, DevicePatch, DeviceStatus, IncomingSettings, LinkedNumber, NewDevice,
    StatusChange,
};
use domain::ids::DeviceId;
use domain::incoming_file::MediaDownload;
use domain::message::MessageState;
use domain::phone::PhoneNumber;
use domain::policy::pacing::Pacing;
use domain::ports::{CreatedDevice, PageRequest, ProtocolWrite, Recorded, Store};
use domain::webhook::{EventKind, SealedSecret};
use jiff::Timestamp;
use uuid::Uuid;

use super::{ALL, NOW, World, hash, key, later, new_device, stored};

fn change(status: DeviceStatus, seconds: i64) -> StatusChange {
    StatusChange::new(status, later(seconds))
}

pub async fn a_device_is_found_as_created(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    assert_eq!((device.status, device.created_at), (DeviceStatus::Unpaired, stored(NOW)));
    assert_eq!((device.name.as_str(), device.account_id), ("device 11", account.id));
    for _ in 0..2 {
        assert_eq!(store.device(account.id, device.id).await.unwrap().as_deref(), Some(&device));
    }
    assert!(store.device_exists(device.id).await.unwrap());
    assert!(!store.device_exists(DeviceId(Uuid::nil())).await.unwrap());
    assert_eq!(store.device_by_id(device.id).await.unwrap().as_deref(), Some(&device));
    assert_eq!(store.device_by_id(DeviceId(Uuid::nil())).await.unwrap(), None);
    assert_eq!(store.all_devices().await.unwrap(), [device]);
}

pub async fn the_device_limit_holds(store: Arc<dyn Store>) {
    let World { account, .. } = World::new(Arc::clone(&store)).await;
    let make = |n: u128, limit| {
        let id = DeviceId(Uuid::from_u128(n));
        let device = NewDevice { id, account_id: account.id, name: "d".into() };
        store.create_device(device, key(100 + u64::try_from(n).unwrap()), Some(limit), NOW)
    };
    assert!(matches!(make(1, 1).await.unwrap(), CreatedDevice::LimitReached));
    assert!(matches!(make(2, 2).await.unwrap(), CreatedDevice::Created(_)));
    assert!(matches!(make(3, 2).await.unwrap(), CreatedDevice::LimitReached));
    assert!(store.key_holder(&hash(103)).await.unwrap().is_none());
    assert_eq!(store.devices(account.id, ALL).await.unwrap().items.len(), 2);
}

pub async fn devices_are_listed_newest_first(store: Arc<dyn Store>) {
    let World { account, device: first, .. } = World::new(Arc::clone(&store)).await;
    let second = new_device(&store, &account, 51).await;
    World::with(Arc::clone(&store), 20).await;
    let third = new_device(&store, &account, 52).await;
    assert!(first.number_id < second.number_id && second.number_id < third.number_id);
    let page = store.devices(account.id, PageRequest { before: None, limit: 2 }).await.unwrap();
    assert_eq!((page.items, page.has_more), (vec![third, second.clone()], true));
    let rest = PageRequest { before: Some(second.number_id.0), limit: 2 };
    let page = store.devices(account.id, rest).await.unwrap();
    assert_eq!((page.items, page.has_more), (vec![first], false));
    assert_eq!(store.all_devices().await.unwrap().len(), 4);
}

pub async fn settings_of_a_device_change(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let pacing = Pacing::between(1, 2).unwrap();
    let (shown_as, proxy) = (shown_as(), Some(SealedSecret(vec![0, 255, 7])));
    let patch = DevicePatch {
        name: Some("Kasir".into()),
        pacing: Some(Some(pacing.clone())),
        shown_as: Some(shown_as.clone()),
        proxy: Some(proxy.clone()),
        media_download: Some(MediaDownload::OnDemand),
        rejects_calls: Some(true),
        reject_text: Some(Some("Tulis saja".into())),
        reads_at_once: Some(true),
    };
    let updated = store.update_device(account.id, device.id, patch).await.unwrap().unwrap();
    let (name, pacing, media_download) = ("Kasir".into(), Some(pacing), MediaDownload::OnDemand);
    let incoming = IncomingSettings {
        rejects_calls: true,
        reject_text: Some("Tulis saja".into()),
        reads_at_once: true,
    };
    let expected = Device {
        name,
        pacing,
        shown_as,
        proxy,
        media_download,
        incoming: incoming.clone(),
        ..device.clone()
    };
    assert_eq!(updated, expected);
    assert_eq!(store.device(account.id, device.id).await.unwrap().as_deref(), Some(&updated));
    let nothing = DevicePatch::default();
    let same = store.update_device(account.id, device.id, nothing).await.unwrap();
    assert_eq!(same, Some(updated));
    let patch = DevicePatch {
        pacing: Some(None),
        shown_as: Some(ShownAs::default()),
        proxy: Some(None),
        media_download: Some(MediaDownload::Auto),
        ..DevicePatch::default()
    };
    let updated = store.update_device(account.id, device.id, patch).await.unwrap().unwrap();
    assert_eq!(updated, Device { name: "Kasir".into(), incoming, ..device });
    let now = store.device(account.id, updated.id).await.unwrap();
    assert_eq!(now.as_deref(), Some(&updated));
}

fn shown_as() -> ShownAs {
    ShownAs {
        name: Some("Toko Ibu".into()),
        platform: Some(Platform::Safari),
        language: Some(Language::parse("id-ID").unwrap()),
    }
}

pub async fn a_device_goes_through_its_states(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let phone = PhoneNumber::from_digits("628123456789");
    let linked = Some(LinkedNumber { phone: phone.clone(), lid: Some(Lid::from_user("77")) });
    let pairing = StatusChange { linked, ..change(DeviceStatus::Connecting, 1) };
    let now = store.set_device_status(device.id, &pairing).await.unwrap().unwrap().device;
    assert_eq!((now.phone.as_ref(), now.lid), (Some(&phone), Some(Lid::from_user("77"))));
    assert_eq!((now.paired_at, now.connected_at), (Some(stored(later(1))), None));
    let connected = change(DeviceStatus::Connected, 2);
    let now = store.set_device_status(device.id, &connected).await.unwrap().unwrap().device;
    assert_eq!((now.connected_at, now.last_seen_at), (Some(stored(later(2))), None));
    let reason = Some("connection lost".to_owned());
    let lost = StatusChange { reason: reason.clone(), ..change(DeviceStatus::Disconnected, 3) };
    let now = store.set_device_status(device.id, &lost).await.unwrap().unwrap().device;
    assert_eq!((&now.reason, now.last_seen_at), (&reason, Some(stored(later(3)))));
    assert_eq!((now.phone.as_ref(), now.paired_at), (Some(&phone), Some(stored(later(1)))));
    let again = change(DeviceStatus::Connecting, 4);
    let now = store.set_device_status(device.id, &again).await.unwrap().unwrap().device;
    assert_eq!((&now.reason, now.last_seen_at), (&None, Some(stored(later(3)))));
    assert_eq!(store.device(account.id, device.id).await.unwrap().as_deref(), Some(&now));
    let unknown = DeviceId(Uuid::nil());
    assert!(store.set_device_status(unknown, &again).await.unwrap().is_none());
}

pub async fn what_waits_for_a_device_is_discarded(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let other = World::with(Arc::clone(&store), 20).await;
    let (_, _, kept) = (world.send(1).await, world.send(2).await, other.send(3).await);
    store.discard_waiting(other.account.id, device).await.unwrap();
    assert_eq!(store.outbox().await.unwrap().len(), 3, "of another account");
    store.discard_waiting(account, device).await.unwrap();
    let waiting = store.outbox().await.unwrap();
    assert_eq!(waiting.iter().map(|entry| entry.id).collect::<Vec<_>>(), [kept.id]);
    let erased = store.delete_device(account, device, later(5)).await.unwrap().unwrap();
    assert!(erased.is_empty());
}

pub async fn a_device_token_is_replaced(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    assert!(store.key_holder(&hash(11)).await.unwrap().is_some());
    let replaced = store.replace_device_token(account.id, device.id, key(60), NOW).await.unwrap();
    assert!(replaced);
    assert!(store.key_holder(&hash(11)).await.unwrap().is_none());
    let holder = store.key_holder(&hash(60)).await.unwrap().unwrap();
    assert!(matches!(holder.caller, Caller::Device(_, id, _) if id == device.id));
    assert_eq!(store.keys(account.id, ALL).await.unwrap().items.len(), 2);
}

pub async fn a_deleted_device_refunds_waiting_messages(store: Arc<dyn Store>) {
    let world = World::new(Arc::clone(&store)).await;
    let (account, device) = (world.account.id, world.device.id);
    let (waiting, sent) = (world.send(1).await, world.sent(2).await);
    let other = World { device: new_device(&store, &world.account, 51).await, ..world };
    let others = other.send(3).await;
    let write = ProtocolWrite { space: "s", key: "k".into(), value: Some(vec![1]) };
    store.protocol_write(device, vec![write]).await.unwrap();
    assert_eq!(store.usage(account).await.unwrap().day_used, 3);
    let cancelled = store.delete_device(account, device, later(5)).await.unwrap().unwrap();
    let [Recorded { message, events, .. }] = cancelled.try_into().unwrap();
    assert_eq!((message.id, message.state), (waiting.id, MessageState::Cancelled));
    assert_eq!(events.iter().map(|e| e.kind).collect::<Vec<_>>(), [EventKind::MessageCancelled]);
    assert!(store.delete_device(account, device, later(5)).await.unwrap().is_none());
    assert_eq!(store.usage(account).await.unwrap().day_used, 2);
    let ended = store.message(account, waiting.id).await.unwrap().unwrap();
    assert_eq!(ended.state, MessageState::Cancelled);
    assert_eq!(ended.reached(MessageState::Cancelled), Some(stored(later(5))));
    assert_eq!(store.message(account, sent.id).await.unwrap(), Some(sent));
    let left: Vec<_> = store.outbox().await.unwrap().iter().map(|entry| entry.id).collect();
    assert_eq!(left, [others.id]);
    assert!(store.device(account, device).await.unwrap().is_none());
    assert!(store.key_holder(&hash(11)).await.unwrap().is_none());
    assert!(store.protocol_get(device, "s", "k").await.unwrap().is_none());
    assert!(store.contacts(device, NOW).await.unwrap().0.is_empty());
}

pub async fn heartbeats_are_kept_for_a_day(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let old = at("2026-11-21T03:10:00Z");
    let devices = [device.id, stranger.device.id, DeviceId(Uuid::nil())];
    store.beat(&devices, old).await.unwrap();
    for text in ["2026-11-21T03:59:30Z", "2026-11-21T04:00:10Z", "2026-11-21T04:00:59Z"] {
        store.beat(&[device.id], at(text)).await.unwrap();
    }
    let found = async |account, id, since| {
        let found = store.heartbeats(account, id, since).await.unwrap();
        found.into_iter().map(|beats| (beats.hour.to_string(), beats.list())).collect::<Vec<_>>()
    };
    let (three, four) = ("2026-11-21T03:00:00Z".to_owned(), "2026-11-21T04:00:00Z".to_owned());
    let both = vec![(three.clone(), vec![10, 59]), (four.clone(), vec![0])];
    assert_eq!(found(account.id, device.id, old).await, both);
    assert_eq!(found(account.id, device.id, at(&four)).await, [(four, vec![0])]);
    assert_eq!(found(stranger.account.id, stranger.device.id, old).await, [(three, vec![10])]);
    assert_eq!(found(stranger.account.id, device.id, old).await, []);
    // A day later the first minute of an hour clears up.
    store.beat(&[device.id], at("2026-11-22T05:00:00Z")).await.unwrap();
    let left = found(account.id, device.id, at("2026-11-22T04:30:00Z")).await;
    assert_eq!(left, [("2026-11-22T05:00:00Z".to_owned(), vec![0])]);
    store.delete_device(account.id, device.id, NOW).await.unwrap();
    assert_eq!(found(account.id, device.id, old).await, []);
}

pub async fn devices_are_tenant_separate(store: Arc<dyn Store>) {
    let World { account, device, .. } = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await.account.id;
    let patch = DevicePatch { name: Some("mine".into()), ..DevicePatch::default() };
    assert!(store.device(stranger, device.id).await.unwrap().is_none());
    assert!(store.update_device(stranger, device.id, patch).await.unwrap().is_none());
    assert!(!store.replace_device_token(stranger, device.id, key(60), NOW).await.unwrap());
    assert!(store.delete_device(stranger, device.id, NOW).await.unwrap().is_none());
    assert_eq!(store.device(account.id, device.id).await.unwrap().as_deref(), Some(&device));
    assert!(store.key_holder(&hash(11)).await.unwrap().is_some());
}

pub async fn devices_are_found_by_phone_and_state(store: Arc<dyn Store>) {
    let World { account, device: first, .. } = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let second = new_device(&store, &account, 51).await;
    let third = new_device(&store, &account, 52).await;
    let phone = PhoneNumber::from_digits("628123456789");
    for device in [&first, &third, &stranger.device] {
        let linked = Some(LinkedNumber { phone: phone.clone(), lid: None });
        let change = StatusChange { linked, ..change(DeviceStatus::Connecting, 1) };
        store.set_device_status(device.id, &change).await.unwrap();
    }
    for device in [&second, &third] {
        let connected = change(DeviceStatus::Connected, 2);
        store.set_device_status(device.id, &connected).await.unwrap();
    }
    let found = async |filter: DeviceFilter, limit| {
        let found = store.find_devices(account.id, &filter, limit).await.unwrap();
        found.iter().map(|device| device.id).collect::<Vec<_>>()
    };
    let find = async |phone: Option<&PhoneNumber>, is_connected, limit| {
        let filter = DeviceFilter { number: None, phone: phone.cloned(), is_connected };
        found(filter, limit).await
    };
    assert_eq!(find(None, false, 10).await, [first.id, second.id, third.id]);
    assert_eq!(find(None, false, 2).await, [first.id, second.id]);
    assert_eq!(find(None, true, 10).await, [second.id, third.id]);
    assert_eq!(find(Some(&phone), false, 10).await, [first.id, third.id]);
    assert_eq!(find(Some(&phone), true, 10).await, [third.id]);
    assert_eq!(find(Some(&phone), false, 1).await, [first.id]);
    assert_eq!(find(Some(&PhoneNumber::from_digits("62")), false, 10).await, []);
    let numbered = |device: &Device| DeviceFilter {
        number: Some(device.number_id),
        ..DeviceFilter::default()
    };
    assert_eq!(found(numbered(&second), 10).await, [second.id]);
    assert_eq!(found(numbered(&stranger.device), 10).await, []);
    let both = DeviceFilter { phone: Some(phone.clone()), ..numbered(&second) };
    assert_eq!(found(both, 10).await, [], "it has no such number");
    let connected = DeviceFilter { is_connected: true, ..numbered(&first) };
    assert_eq!(found(connected, 10).await, []);
    let all = DeviceFilter::default();
    assert_eq!(found(all.clone(), 10).await, [first.id, second.id, third.id]);
    let fourth = new_device(&store, &account, 53).await;
    let known = store.known_devices(account.id, &all);
    assert!(known.is_none_or(|known| known.len() == 4), "what is remembered is as it is now");
    assert_eq!(found(all, 10).await, [first.id, second.id, third.id, fourth.id]);
}

pub async fn linked_devices_are_the_first_to_choose(store: Arc<dyn Store>) {
    let World { account, device: first, .. } = World::new(Arc::clone(&store)).await;
    let stranger = World::with(Arc::clone(&store), 20).await;
    let second = new_device(&store, &account, 51).await;
    let third = new_device(&store, &account, 52).await;
    let fourth = new_device(&store, &account, 53).await;
    for (device, status) in [
        (&first, DeviceStatus::Connected),
        (&second, DeviceStatus::Disconnected),
        (&third, DeviceStatus::LoggedOut),
        (&stranger.device, DeviceStatus::Connected),
    ] {
        store.set_device_status(device.id, &change(status, 1)).await.unwrap();
    }
    let choose = async |limit| {
        let devices = store.devices_to_choose(account.id, limit).await.unwrap();
        devices.iter().map(|device| device.id).collect::<Vec<_>>()
    };
    assert_eq!(choose(10).await, [second.id, first.id, fourth.id, third.id]);
    assert_eq!(choose(2).await, [second.id, first.id]);
    let counts = store.count_devices(Some(account.id)).await.unwrap();
    let one = |status| (status, 1);
    use DeviceStatus::{Connected, Disconnected, LoggedOut, Unpaired};
    assert_eq!(counts, [Connected, Disconnected, LoggedOut, Unpaired].map(one));
    let of_all = store.count_devices(None).await.unwrap();
    assert_eq!(of_all[0], (Connected, 2), "the stranger's as well: {of_all:?}");
}
