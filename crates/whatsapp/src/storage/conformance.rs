//! Runs the library's own in-memory backend and ours through the same operations.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::DeviceId;
use domain::ports::{self, ProtocolWrite, StoreResult};
use uuid::Uuid;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::InMemoryBackend;
use wacore::store::error::StoreError as LibraryError;
use wacore::store::traits::*;

use super::{DeviceState, to_json};
use crate::client::Sink;
use crate::identities::{Events, IdentityReporter};
use crate::limits::SENT_FOR;
use crate::missed::Missed;
use crate::outage::Outage;
use crate::receipts::SendBarrier;

type Rows = BTreeMap<(DeviceId, &'static str, String), Vec<u8>>;

/// A session store in memory that counts its reads and writes.
#[derive(Default)]
pub(super) struct FakeSessions {
    rows: StdMutex<Rows>,
    pub(super) reads: AtomicUsize,
    writes: AtomicUsize,
    pub(super) is_down: AtomicBool,
}

#[async_trait]
impl ports::ProtocolStore for FakeSessions {
    async fn protocol_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.rows.lock().unwrap().get(&(device, space, key.to_owned())).cloned())
    }

    async fn protocol_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let rows = self.rows.lock().unwrap();
        let get =
            |key: &String| Some((key.clone(), rows.get(&(device, space, key.clone()))?.clone()));
        Ok(keys.iter().filter_map(get).collect())
    }

    async fn protocol_scan(
        &self,
        device: DeviceId,
        space: &'static str,
        prefix: &str,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let rows = self.rows.lock().unwrap();
        let found = rows
            .iter()
            .filter(|((d, s, k), _)| *d == device && *s == space && k.starts_with(prefix));
        Ok(found.map(|((_, _, key), value)| (key.clone(), value.clone())).collect())
    }

    async fn protocol_write(
        &self,
        device: DeviceId,
        writes: Vec<ProtocolWrite>,
    ) -> StoreResult<()> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(domain::error::StoreError::Unavailable("down".to_owned()));
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let mut rows = self.rows.lock().unwrap();
        for write in writes {
            let key = (device, write.space, write.key);
            match write.value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    async fn protocol_clear(&self, device: DeviceId) -> StoreResult<()> {
        self.rows.lock().unwrap().retain(|(d, _, _), _| *d != device);
        Ok(())
    }
}

/// One without a receiver.
fn reporter(device: DeviceId) -> IdentityReporter {
    IdentityReporter { events: Events::default(), device, identities: Arc::default() }
}

/// Without a receiver, too.
fn missed() -> Missed {
    let barrier = Arc::new(SendBarrier::new());
    let (sink, _) = Sink::new(DeviceId(Uuid::nil()), false, barrier, Arc::default());
    Missed { events: Events::default(), awaited: Arc::default(), sink }
}

pub(super) fn fresh() -> (Arc<FakeSessions>, DeviceState) {
    let sessions = Arc::new(FakeSessions::default());
    let state = DeviceState::new(
        sessions.clone(),
        DeviceId(Uuid::from_u128(1)),
        Outage::default(),
        Arc::default(),
        reporter(DeviceId(Uuid::from_u128(1))),
        missed(),
    );
    (sessions, state)
}

/// Both backends; what they answer is compared and then noted.
struct Pair {
    reference: InMemoryBackend,
    ours: DeviceState,
}

/// Evaluates an operation on both backends and asserts that the answers are the same.
macro_rules! same {
    ($pair:expr, $backend:ident => $operation:expr) => {{
        let expected = {
            let $backend = &$pair.reference;
            $operation.await.unwrap()
        };
        let actual = {
            let $backend = &$pair.ours;
            $operation.await.unwrap()
        };
        assert_same(stringify!($operation), &expected, &actual);
    }};
}

fn assert_same<T: Debug>(operation: &str, expected: &T, actual: &T) {
    assert_eq!(format!("{expected:?}"), format!("{actual:?}"), "{operation}");
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

fn pair() -> Pair {
    Pair { reference: InMemoryBackend::new(), ours: fresh().1 }
}

const ALICE: &str = "628111@s.whatsapp.net";
const ALICE_2: &str = "628111:2@s.whatsapp.net";

#[tokio::test]
async fn signal_state() {
    let p = pair();
    same!(p, b => b.load_identity(ALICE));
    same!(p, b => b.put_identity(ALICE, [7; 32]));
    same!(p, b => b.put_identities_batch(&[(ALICE.into(), [8; 32]), (ALICE_2.into(), [9; 32])]));
    same!(p, b => b.load_identity(ALICE));
    same!(p, b => b.delete_identity(ALICE_2));
    same!(p, b => b.load_identity(ALICE_2));

    same!(p, b => b.has_session(ALICE));
    same!(p, b => b.put_session(ALICE, b"one"));
    same!(p, b => b.put_sessions_batch(&[(ALICE.into(), Bytes::from_static(b"two"))]));
    same!(p, b => b.get_session(ALICE));
    same!(p, b => b.has_session(ALICE));
    same!(p, b => b.has_signal_state_for_user("628111"));
    same!(p, b => b.has_signal_state_for_user("62811"));
    same!(p, b => b.delete_session(ALICE));
    same!(p, b => b.get_session(ALICE));

    same!(p, b => b.put_sender_key("g:a", b"k"));
    same!(p, b => b.put_sender_keys_batch(&[("g:b".into(), Bytes::from_static(b"l"))]));
    same!(p, b => b.get_sender_key("g:a"));
    same!(p, b => b.get_sender_key("g:b"));
    same!(p, b => b.delete_sender_key("g:a"));
    same!(p, b => b.get_sender_key("g:a"));
}

#[tokio::test]
async fn pre_keys() {
    let p = pair();
    same!(p, b => b.get_max_prekey_id());
    same!(p, b => b.store_prekey(9, b"nine", false));
    same!(p, b => b.store_prekeys_batch(&[(10, Bytes::from_static(b"ten"))], true));
    same!(p, b => b.load_prekey(9));
    same!(p, b => b.load_prekeys_batch(&[10, 11, 9]));
    same!(p, b => b.get_max_prekey_id());
    same!(p, b => b.remove_prekey(9));
    same!(p, b => b.mark_prekeys_uploaded(&[9, 10]));
    same!(p, b => b.load_prekeys_batch(&[9, 10]));
    same!(p, b => b.store_signed_prekey(1, b"s1"));
    same!(p, b => b.store_signed_prekey(2, b"s2"));
    same!(p, b => async { b.load_all_signed_prekeys().await.map(sorted) });
    same!(p, b => b.remove_signed_prekey(1));
    same!(p, b => b.load_signed_prekey(1));
    same!(p, b => b.load_signed_prekey(2));
}

#[tokio::test]
async fn app_state() {
    let p = pair();
    let key = |n: u8| AppStateSyncKey { key_data: vec![n; 4], fingerprint: vec![n], timestamp: 3 };
    let mac = |n: u8| AppStateMutationMAC { index_mac: vec![n; 32], value_mac: vec![n, n] };
    same!(p, b => b.get_latest_sync_key_id());
    same!(p, b => b.set_sync_key(&[1, 2], key(1)));
    same!(p, b => b.set_sync_key(&[3, 255], key(2)));
    same!(p, b => b.get_sync_key(&[1, 2]));
    same!(p, b => b.get_latest_sync_key_id());
    same!(p, b => b.get_version("regular"));
    same!(p, b => b.set_version("regular", HashState { version: 7, ..HashState::default() }));
    same!(p, b => b.get_version("regular"));
    same!(p, b => b.put_mutation_macs("regular", 7, &[mac(1), mac(2), mac(3)]));
    same!(p, b => b.put_mutation_macs("regular_low", 7, &[mac(1)]));
    same!(p, b => b.get_mutation_mac("regular", &[2; 32]));
    same!(p, b => async {
        let found = b.get_mutation_macs("regular", &[[1; 32], [9; 32]]).await?;
        wacore::store::error::Result::Ok(sorted(found.into_iter().collect()))
    });
    same!(p, b => b.delete_mutation_macs("regular", &[vec![1; 32]]));
    same!(p, b => b.get_mutation_mac("regular", &[1; 32]));
    same!(p, b => b.clear_mutation_macs("regular"));
    same!(p, b => b.get_mutation_mac("regular", &[3; 32]));
    same!(p, b => b.get_mutation_mac("regular_low", &[1; 32]));
}

#[tokio::test]
async fn sender_key_devices() {
    let p = pair();
    same!(p, b => b.set_sender_key_status("1@g.us", &[(ALICE, true), (ALICE_2, false)]));
    same!(p, b => b.set_sender_key_status("12@g.us", &[(ALICE, true)]));
    same!(p, b => async { b.get_sender_key_devices("1@g.us").await.map(sorted) });
    same!(p, b => b.set_sender_key_status("1@g.us", &[(ALICE_2, true)]));
    same!(p, b => async { b.get_sender_key_devices("1@g.us").await.map(sorted) });
    same!(p, b => b.delete_sender_key_device_rows(&[ALICE]));
    same!(p, b => async { b.get_sender_key_devices("1@g.us").await.map(sorted) });
    same!(p, b => b.get_sender_key_devices("12@g.us"));
    same!(p, b => b.clear_sender_key_devices("1@g.us"));
    same!(p, b => b.get_sender_key_devices("1@g.us"));
    same!(p, b => b.set_sender_key_status("1@g.us", &[(ALICE, true)]));
    same!(p, b => b.clear_all_sender_key_devices());
    same!(p, b => b.get_sender_key_devices("1@g.us"));
}

pub(super) fn mapping(lid: &str, phone: &str) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at: 2,
        learning_source: "usync".to_owned(),
    }
}

#[tokio::test]
async fn numbers_and_lids() {
    let p = pair();
    same!(p, b => b.put_lid_mapping(&mapping("100", "628111")));
    same!(p, b => b.put_lid_mappings(&[mapping("101", "628222"), mapping("100", "628333")]));
    for phone in ["628111", "628222", "628333"] {
        same!(p, b => b.get_pn_mapping(phone));
    }
    same!(p, b => b.get_lid_mapping("100"));
    same!(p, b => b.put_lid_mapping(&mapping("102", "628222")));
    same!(p, b => b.get_pn_mapping("628222"));
    same!(p, b => async {
        let all = b.get_all_lid_mappings().await?;
        let all = all.into_iter().map(|entry| (entry.lid, entry.phone_number)).collect();
        wacore::store::error::Result::Ok(sorted(all))
    });
}

#[tokio::test]
async fn devices_groups_and_base_keys() {
    let p = pair();
    let record = |user: &str, id: u32| DeviceListRecord {
        user: user.to_owned(),
        devices: vec![DeviceInfo::new(id, Some(1))],
        timestamp: 5,
        phash: None,
        raw_id: Some(4),
    };
    same!(p, b => b.update_device_list(record("a", 0)));
    same!(p, b => b.update_device_lists(vec![record("a", 1), record("b", 2)]));
    same!(p, b => b.get_devices("a"));
    same!(p, b => b.delete_devices("a"));
    same!(p, b => b.get_devices("a"));
    same!(p, b => b.get_devices("b"));

    same!(p, b => b.get_group_metadata("1@g.us"));
    same!(p, b => b.put_group_metadata("1@g.us", b"blob"));
    same!(p, b => b.get_group_metadata("1@g.us"));
    same!(p, b => b.delete_group_metadata("1@g.us"));
    same!(p, b => b.get_group_metadata("1@g.us"));

    same!(p, b => b.save_base_key(ALICE, "M1", b"k"));
    same!(p, b => b.has_same_base_key(ALICE, "M1", b"k"));
    same!(p, b => b.has_same_base_key(ALICE, "M1", b"other"));
    same!(p, b => b.has_same_base_key(ALICE, "M2", b"k"));
    same!(p, b => b.delete_base_key(ALICE, "M1"));
    same!(p, b => b.has_same_base_key(ALICE, "M1", b"k"));
}

#[tokio::test]
async fn trusted_contact_tokens() {
    let p = pair();
    same!(p, b => b.touch_tc_token_sender_timestamp("a", 50));
    same!(p, b => b.touch_tc_token_sender_timestamp("a", 40));
    same!(p, b => b.get_tc_token("a"));
    same!(p, b => b.store_received_tc_token("a", b"new", 60));
    same!(p, b => b.store_received_tc_token("a", b"old", 59));
    same!(p, b => b.get_tc_token("a"));
    same!(p, b => b.store_received_tc_token("b", b"b", 10));
    same!(p, b => b.put_tc_token("c", &TcTokenEntry {
        token: vec![], token_timestamp: 99, sender_timestamp: None,
    }));
    same!(p, b => async { b.get_all_tc_token_jids().await.map(sorted) });
    same!(p, b => b.delete_expired_tc_tokens(60, 100));
    same!(p, b => async { b.get_all_tc_token_jids().await.map(sorted) });
    same!(p, b => b.delete_tc_token("a"));
    same!(p, b => b.get_tc_token("a"));
}

/// Unlike the library's own store this one keeps what was taken.
#[tokio::test]
async fn a_sent_message_is_there_for_everybody_who_asks() {
    let (_, state) = fresh();
    state.store_sent_message("c", "M1", b"one").await.unwrap();
    state.store_sent_message("c", "M2", b"two").await.unwrap();
    for _ in 0..2 {
        assert_eq!(state.take_sent_message("c", "M1").await.unwrap(), Some(b"one".to_vec()));
    }
    assert_eq!(state.take_sent_message("c", "M3").await.unwrap(), None);
    assert_eq!(state.take_sent_message("d", "M1").await.unwrap(), None);
}

#[tokio::test]
async fn sent_messages_are_kept_for_a_while_and_no_longer() {
    let (sessions, state) = fresh();
    let kept_s = SENT_FOR.as_secs() as i64;
    let start_s = 1_800_000_000;
    let stored = || sessions.rows.lock().unwrap().len() as i64;
    // Three times round, a message every half hour; the regular cleaning follows.
    for n in 0..(6 * kept_s / 3_600) {
        let now_s = start_s + n * 1_800;
        state.keep_sent(now_s, "c", &format!("M{n}"), b"x").await.unwrap();
        state.delete_expired_sent_messages(now_s - kept_s).await.unwrap();
        let oldest = (n - kept_s / 1_800).max(0);
        let id = format!("M{oldest}");
        assert!(state.take_sent_message("c", &id).await.unwrap().is_some(), "{id} after {n}");
        assert!(stored() <= kept_s / 1_800 + 5, "{n}");
    }
    // Asked for and sent again, it is kept for longer.
    let now_s = start_s + 3 * kept_s;
    state.keep_sent(now_s, "c", "M", b"old").await.unwrap();
    state.keep_sent(now_s + 7_200, "c", "M", b"new").await.unwrap();
    assert_eq!(state.take_sent_message("c", "M").await.unwrap(), Some(b"new".to_vec()));
}

#[tokio::test]
async fn pending_messages() {
    let p = pair();
    same!(p, b => b.store_pending_inbound("c", "s", "1", b"x"));
    let row = |id| PendingInboundRow { chat: "c", sender: "s", id, message: b"y" };
    same!(p, b => b.store_pending_inbound_batch(&[row("2"), row("3"), row("4")]));
    same!(p, b => b.get_pending_inbound("c", "s", "2"));
    same!(p, b => b.delete_pending_inbound("c", "s", "2"));
    same!(p, b => b.get_pending_inbound("c", "s", "2"));
    let key = |id| PendingInboundKey { chat: "c", sender: "s", id };
    same!(p, b => b.delete_pending_inbound_batch(&[key("3"), key("9")]));
    same!(p, b => b.get_pending_inbound("c", "s", "3"));
    same!(p, b => b.delete_expired_pending_inbound(1_000));
    same!(p, b => b.delete_expired_pending_inbound(i64::MAX));
    same!(p, b => b.get_pending_inbound("c", "s", "4"));
}

#[tokio::test]
async fn message_secrets() {
    let p = pair();
    let entry = |secret: u8, expires_at: i64, message_ts: i64| MsgSecretEntry {
        chat: "c".into(),
        sender: "s".into(),
        msg_id: "M".into(),
        secret: [secret; 32],
        expires_at,
        message_ts,
    };
    same!(p, b => b.put_msg_secrets(vec![entry(1, 100, 7), entry(2, 50, 0)]));
    same!(p, b => b.get_msg_secret_with_ts("c", "s", "M"));
    same!(p, b => b.delete_expired_msg_secrets(99));
    same!(p, b => b.get_msg_secret("c", "s", "M"));
    same!(p, b => b.delete_expired_msg_secrets(100));
    same!(p, b => b.get_msg_secret("c", "s", "M"));
    same!(p, b => b.put_msg_secret("c", "s", "M", &[3; 32]));
    same!(p, b => b.delete_expired_msg_secrets(i64::MAX));
    same!(p, b => b.get_msg_secret("c", "s", "M"));
}

#[tokio::test]
async fn the_device_record_survives() {
    let (sessions, state) = fresh();
    assert!(!state.exists().await.unwrap());
    state.create().await.unwrap();
    let mut device = state.load().await.unwrap().unwrap();
    device.pn = Some("628111:5@s.whatsapp.net".parse().unwrap());
    device.push_name = "Budi".to_owned();
    state.save(&device).await.unwrap();
    state.create().await.unwrap();
    let loaded = state.load().await.unwrap().unwrap();
    assert_eq!(to_json(&loaded).unwrap(), to_json(&device).unwrap());
    let other = DeviceState::new(
        sessions.clone(),
        DeviceId(Uuid::from_u128(2)),
        Outage::default(),
        Arc::default(),
        reporter(DeviceId(Uuid::from_u128(2))),
        missed(),
    );
    assert!(!other.exists().await.unwrap());
}

#[tokio::test]
async fn a_batch_is_one_write() {
    let (sessions, state) = fresh();
    let keys: Vec<(u32, Bytes)> = (1..=812).map(|id| (id, Bytes::from_static(&[0; 70]))).collect();
    state.store_prekeys_batch(&keys, false).await.unwrap();
    assert_eq!(sessions.writes.load(Ordering::Relaxed), 1);
    state.put_sessions_batch(&[]).await.unwrap();
    assert_eq!(sessions.writes.load(Ordering::Relaxed), 1);
    assert_eq!(state.get_max_prekey_id().await.unwrap(), 812);
}

#[tokio::test]
async fn what_is_not_there_costs_no_write_and_no_keys_no_read() {
    let (sessions, state) = fresh();
    state.delete_devices("628111").await.unwrap();
    assert!(state.load_prekeys_batch(&[]).await.unwrap().is_empty());
    assert_eq!(sessions.writes.load(Ordering::Relaxed), 0);
    assert_eq!(sessions.reads.load(Ordering::Relaxed), 1, "whether there are devices");
}

#[tokio::test]
async fn messages_that_cannot_be_stored_break_the_state() {
    let (sessions, state) = fresh();
    state.put_session(ALICE, b"before").await.unwrap();
    sessions.is_down.store(true, Ordering::Relaxed);
    let unavailable = state.put_session(ALICE, b"lost").await.unwrap_err();
    assert!(matches!(unavailable, LibraryError::Connection(_)), "{unavailable}");
    assert!(!*state.broken().borrow(), "any other write may simply be tried again");
    let unavailable = state.store_pending_inbound("c", "s", "1", b"x").await.unwrap_err();
    assert!(matches!(unavailable, LibraryError::Connection(_)), "{unavailable}");
    assert!(*state.broken().borrow());
    sessions.is_down.store(false, Ordering::Relaxed);
    let sealed = state.put_session(ALICE, b"after").await.unwrap_err();
    assert!(matches!(sealed, LibraryError::Validation(_)), "{sealed}");
    assert_eq!(state.get_session(ALICE).await.unwrap().as_deref(), Some(b"before".as_slice()));
}
