//! Protocol state.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::ids::DeviceId;
use domain::ports::{ProtocolWrite, Store};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{NOW, World};

async fn two_devices(store: &Arc<dyn Store>) -> [DeviceId; 2] {
    let [one, two] = [10, 20].map(|n| World::with(Arc::clone(store), n));
    [one.await.device.id, two.await.device.id]
}

fn put(space: &'static str, key: &str, value: &[u8]) -> ProtocolWrite {
    ProtocolWrite { space, key: key.into(), value: Some(value.to_vec()) }
}

fn remove(space: &'static str, key: &str) -> ProtocolWrite {
    ProtocolWrite { space, key: key.into(), value: None }
}

pub async fn an_entry_is_written_read_and_removed(store: Arc<dyn Store>) {
    let [device, _] = two_devices(&store).await;
    assert_eq!(store.protocol_get(device, "a", "k").await.unwrap(), None);
    let writes = vec![put("a", "k", &[0, 1, 255]), put("b", "k", b"")];
    store.protocol_write(device, writes).await.unwrap();
    assert_eq!(store.protocol_get(device, "a", "k").await.unwrap(), Some(vec![0, 1, 255]));
    assert_eq!(store.protocol_get(device, "b", "k").await.unwrap(), Some(vec![]));
    let writes = vec![put("a", "k", b"new"), remove("b", "k"), remove("b", "none")];
    store.protocol_write(device, writes).await.unwrap();
    assert_eq!(store.protocol_get(device, "a", "k").await.unwrap(), Some(b"new".to_vec()));
    assert_eq!(store.protocol_get(device, "b", "k").await.unwrap(), None);
    store.protocol_write(device, vec![]).await.unwrap();
}

pub async fn many_entries_are_read_at_once(store: Arc<dyn Store>) {
    let [device, _] = two_devices(&store).await;
    let writes = (0..200).map(|n| put("a", &format!("k{n:03}"), &[n])).collect();
    store.protocol_write(device, writes).await.unwrap();
    let keys = ["k007", "absent", "k199", "k000"].map(String::from);
    let found = store.protocol_get_many(device, "a", &keys).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v[0])).collect();
    found.sort_unstable();
    assert_eq!(found, [("k000", 0), ("k007", 7), ("k199", 199)]);
    assert!(store.protocol_get_many(device, "a", &[]).await.unwrap().is_empty());
    assert!(store.protocol_get_many(device, "z", &keys).await.unwrap().is_empty());
}

pub async fn a_scan_finds_a_prefix(store: Arc<dyn Store>) {
    let [device, _] = two_devices(&store).await;
    let keys = ["a", "a:", "a:1", "a:B", "a:b", "a:é", "a:👋", "b", "A:1", "a_1", "a%"];
    let writes = keys.iter().map(|key| put("s", key, key.as_bytes())).collect();
    store.protocol_write(device, writes).await.unwrap();
    let found = store.protocol_scan(device, "s", "a:").await.unwrap();
    let found: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(found, ["a:", "a:1", "a:B", "a:b", "a:é", "a:👋"]);
    assert_eq!(store.protocol_scan(device, "s", "").await.unwrap().len(), keys.len());
    assert_eq!(store.protocol_scan(device, "s", "a_").await.unwrap().len(), 1);
}

pub async fn a_cleared_session_is_gone(store: Arc<dyn Store>) {
    let [device, other] = two_devices(&store).await;
    for device in [device, other] {
        let writes = vec![put("a", "k", b"1"), put("b", "k", b"2")];
        store.protocol_write(device, writes).await.unwrap();
    }
    store.protocol_clear(device).await.unwrap();
    assert!(store.protocol_scan(device, "a", "").await.unwrap().is_empty());
    assert!(store.protocol_scan(device, "b", "").await.unwrap().is_empty());
    assert_eq!(store.protocol_scan(other, "b", "").await.unwrap().len(), 1);
}

pub async fn sessions_of_devices_are_separate(store: Arc<dyn Store>) {
    let [device, other] = two_devices(&store).await;
    store.protocol_write(device, vec![put("a", "k", b"1")]).await.unwrap();
    assert_eq!(store.protocol_get(other, "a", "k").await.unwrap(), None);
    store.protocol_write(other, vec![remove("a", "k")]).await.unwrap();
    assert_eq!(store.protocol_get(device, "a", "k").await.unwrap(), Some(b"1".to_vec()));
}

pub async fn the_last_write_counts(store: Arc<dyn Store>) {
    let [device, _] = two_devices(&store).await;
    let writes = vec![
        put("a", "twice", b"1"),
        put("a", "twice", b"2"),
        put("a", "gone", b"1"),
        remove("a", "gone"),
        remove("a", "back"),
        put("a", "back", b"3"),
    ];
    store.protocol_write(device, writes).await.unwrap();
    assert_eq!(store.protocol_get(device, "a", "twice").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.protocol_get(device, "a", "gone").await.unwrap(), None);
    assert_eq!(store.protocol_get(device, "a", "back").await.unwrap(), Some(b"3".to_vec()));
}

pub async fn an_erased_device_keeps_nothing(store: Arc<dyn Store>) {
    let [device, other] = two_devices(&store).await;
    let unknown = DeviceId(Uuid::nil());
    let owner = store.all_devices().await.unwrap()[0].account_id;
    store.delete_device(owner, device, NOW).await.unwrap();
    for device in [device, unknown, other] {
        store.protocol_write(device, vec![put("a", "k", b"1")]).await.unwrap();
    }
    assert_eq!(store.protocol_get(device, "a", "k").await.unwrap(), None);
    assert_eq!(store.protocol_get(unknown, "a", "k").await.unwrap(), None);
    assert_eq!(store.protocol_get(other, "a", "k").await.unwrap(), Some(b"1".to_vec()));
}

pub async fn changes_at_once_are_all_kept(store: Arc<dyn Store>) {
    let [device, other] = two_devices(&store).await;
    let erased = DeviceId(Uuid::nil());
    let old = (0..40).map(|n| put("a", &format!("old{n}"), &[n])).collect();
    store.protocol_write(device, old).await.unwrap();
    let changes = (0..120).map(|n: u8| {
        let of = [device, other, erased][usize::from(n % 3)];
        let writes =
            vec![put("a", &format!("new{n}"), &[n]), remove("a", &format!("old{}", n / 3))];
        store.protocol_write(of, writes)
    });
    assert!(join_all(changes).await.iter().all(Result::is_ok));
    for (of, count) in [(device, 40), (other, 40), (erased, 0)] {
        let kept = store.protocol_scan(of, "a", "").await.unwrap();
        assert_eq!(kept.len(), count, "{kept:?}");
        assert!(kept.iter().all(|(key, value)| *key == format!("new{}", value[0])), "{kept:?}");
    }
}
