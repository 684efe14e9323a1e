//! Protocol state.
#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "a case is a test, and its name says of what"
)]

use std::sync::Arc;

use domain::ids::DeviceId;
use domain::ports::{SessionWrite, Store};
use uuid::Uuid;

const DEVICE: DeviceId = DeviceId(Uuid::from_u128(1));
const OTHER: DeviceId = DeviceId(Uuid::from_u128(2));

fn put(space: &'static str, key: &str, value: &[u8]) -> SessionWrite {
    SessionWrite { space, key: key.into(), value: Some(value.to_vec()) }
}

fn remove(space: &'static str, key: &str) -> SessionWrite {
    SessionWrite { space, key: key.into(), value: None }
}

pub async fn an_entry_is_written_read_and_removed(store: Arc<dyn Store>) {
    assert_eq!(store.session_get(DEVICE, "a", "k").await.unwrap(), None);
    let writes = vec![put("a", "k", &[0, 1, 255]), put("b", "k", b"")];
    store.session_write(DEVICE, writes).await.unwrap();
    assert_eq!(store.session_get(DEVICE, "a", "k").await.unwrap(), Some(vec![0, 1, 255]));
    assert_eq!(store.session_get(DEVICE, "b", "k").await.unwrap(), Some(vec![]));
    let writes = vec![put("a", "k", b"new"), remove("b", "k"), remove("b", "none")];
    store.session_write(DEVICE, writes).await.unwrap();
    assert_eq!(store.session_get(DEVICE, "a", "k").await.unwrap(), Some(b"new".to_vec()));
    assert_eq!(store.session_get(DEVICE, "b", "k").await.unwrap(), None);
    store.session_write(DEVICE, vec![]).await.unwrap();
}

pub async fn many_entries_are_read_at_once(store: Arc<dyn Store>) {
    let writes = (0..200).map(|n| put("a", &format!("k{n:03}"), &[n])).collect();
    store.session_write(DEVICE, writes).await.unwrap();
    let keys = ["k007", "absent", "k199", "k000"].map(String::from);
    let found = store.session_get_many(DEVICE, "a", &keys).await.unwrap();
    let mut found: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v[0])).collect();
    found.sort_unstable();
    assert_eq!(found, [("k000", 0), ("k007", 7), ("k199", 199)]);
    assert!(store.session_get_many(DEVICE, "a", &[]).await.unwrap().is_empty());
    assert!(store.session_get_many(DEVICE, "z", &keys).await.unwrap().is_empty());
}

pub async fn a_scan_finds_a_prefix(store: Arc<dyn Store>) {
    let keys = ["a", "a:", "a:1", "a:B", "a:b", "a:é", "a:👋", "b", "A:1", "a_1", "a%"];
    let writes = keys.iter().map(|key| put("s", key, key.as_bytes())).collect();
    store.session_write(DEVICE, writes).await.unwrap();
    let found = store.session_scan(DEVICE, "s", "a:").await.unwrap();
    let found: Vec<_> = found.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(found, ["a:", "a:1", "a:B", "a:b", "a:é", "a:👋"]);
    assert_eq!(store.session_scan(DEVICE, "s", "").await.unwrap().len(), keys.len());
    assert_eq!(store.session_scan(DEVICE, "s", "a_").await.unwrap().len(), 1);
}

pub async fn a_cleared_session_is_gone(store: Arc<dyn Store>) {
    for device in [DEVICE, OTHER] {
        let writes = vec![put("a", "k", b"1"), put("b", "k", b"2")];
        store.session_write(device, writes).await.unwrap();
    }
    store.session_clear(DEVICE).await.unwrap();
    assert!(store.session_scan(DEVICE, "a", "").await.unwrap().is_empty());
    assert!(store.session_scan(DEVICE, "b", "").await.unwrap().is_empty());
    assert_eq!(store.session_scan(OTHER, "b", "").await.unwrap().len(), 1);
}

pub async fn sessions_of_devices_are_separate(store: Arc<dyn Store>) {
    store.session_write(DEVICE, vec![put("a", "k", b"1")]).await.unwrap();
    assert_eq!(store.session_get(OTHER, "a", "k").await.unwrap(), None);
    store.session_write(OTHER, vec![remove("a", "k")]).await.unwrap();
    assert_eq!(store.session_get(DEVICE, "a", "k").await.unwrap(), Some(b"1".to_vec()));
}

pub async fn the_last_write_counts(store: Arc<dyn Store>) {
    let writes = vec![
        put("a", "twice", b"1"),
        put("a", "twice", b"2"),
        put("a", "gone", b"1"),
        remove("a", "gone"),
        remove("a", "back"),
        put("a", "back", b"3"),
    ];
    store.session_write(DEVICE, writes).await.unwrap();
    assert_eq!(store.session_get(DEVICE, "a", "twice").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.session_get(DEVICE, "a", "gone").await.unwrap(), None);
    assert_eq!(store.session_get(DEVICE, "a", "back").await.unwrap(), Some(b"3".to_vec()));
}
