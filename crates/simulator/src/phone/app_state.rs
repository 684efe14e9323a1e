//! An account's app state: what is stored of it, and what its phone changes.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::{
    AppStateError, ExpandedAppStateKeys, encode_record, expand_app_state_keys, process_patch,
};
use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use crate::address::Number;
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::limits::APP_STATE_PATCHES_MAX;
use crate::switchboard::Switchboard;

/// Where the owner's name is kept, and under what.
const NAME_COLLECTION: &str = "critical_block";
const NAME_INDEX: &[u8] = b"[\"setting_pushName\"]";
const NAME_VERSION: i32 = 1;
/// The MAC at the end of a value.
const MAC_BYTES: usize = 32;

/// A collection as it is: its version and the hash over its records.
pub(crate) struct AppState {
    pub(crate) version: u64,
    hash: [u8; 128],
}

impl AppState {
    fn hash_state(&self) -> HashState {
        HashState { version: self.version, hash: self.hash, ..HashState::default() }
    }
}

impl Switchboard {
    /// A collection of an account; empty at first.
    pub(crate) fn app_state(&self, number: Number, name: &str) -> Result<AppState> {
        let sql = "SELECT version, hash FROM app_state WHERE number = ?1 AND name = ?2";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row(params![number.sql(), name], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        });
        let empty = AppState { version: 0, hash: [0; 128] };
        Ok(found.optional()?.map_or(empty, |(version, hash)| AppState {
            version: version.unsigned_abs(),
            hash: hash.try_into().unwrap_or([0; 128]),
        }))
    }

    /// The patches after a version, a few more than are sent at once.
    pub(crate) fn patches_since(
        &self,
        number: Number,
        name: &str,
        version: u64,
    ) -> Result<Vec<Vec<u8>>> {
        let sql = "SELECT patch FROM app_state_patches WHERE number = ?1 AND name = ?2 \
                   AND version > ?3 ORDER BY version LIMIT ?4";
        let mut query = self.db.prepare_cached(sql)?;
        let since = i64::try_from(version).unwrap_or(i64::MAX);
        let limit = i64::try_from(APP_STATE_PATCHES_MAX).unwrap_or(i64::MAX);
        let rows = query.query_map(params![number.sql(), name, since, limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Checks a device's patch and stores it; the new version, or nothing when it is not valid.
    pub(crate) fn take_patch(
        &mut self,
        number: Number,
        name: &str,
        before: AppState,
        patch: &[u8],
    ) -> Result<Option<u64>> {
        let Ok(mut patch) = waproto::codec::syncd_patch_decode(patch) else { return Ok(None) };
        let version = before.version + 1;
        patch.version = MessageField::some(wa::SyncdVersion { version: Some(version) });
        let (_, keys) = self.app_state_keys(number)?;
        let mut state = before.hash_state();
        let previous = |index: &[u8]| self.record_mac(number, name, index);
        let known = |_: &[u8]| Ok(keys.clone());
        let checked = process_patch(&patch, &mut state, known, previous, true, name);
        // A patch whose sender computed another state is of no use to the other devices.
        if checked.is_err() || state.mac_mismatch_fatal || patch.patch_mac.is_none() {
            return Ok(None);
        }
        self.store_patch(number, name, &state, &patch)?;
        Ok(Some(version))
    }

    /// The owner gets another name, which the devices learn from the app state.
    pub(crate) fn set_owner_name(&mut self, number: Number, owner: &str) -> Result<()> {
        let value = wa::SyncActionValue {
            push_name_setting: MessageField::some(wa::sync_action_value::PushNameSetting {
                name: Some(owner.to_owned()),
            }),
            timestamp: Some(clock::unix_ms()),
            ..Default::default()
        };
        let (id, keys) = self.app_state_keys(number)?;
        let iv = clock::random_bytes::<16>();
        let (mutation, _) =
            encode_record(SyncdOperation::SET, NAME_INDEX, &value, &keys, &id, &iv, NAME_VERSION);
        let before = self.app_state(number, NAME_COLLECTION)?;
        let mut state = before.hash_state();
        state.version += 1;
        let (_, updated) = state.update_hash(std::slice::from_ref(&mutation), |index, _| {
            Ok(self.record_mac(number, NAME_COLLECTION, index)?)
        });
        updated.map_err(|error| SimulatorError::Internal(error.to_string()))?;
        let mut patch = wa::SyncdPatch {
            version: MessageField::some(wa::SyncdVersion { version: Some(state.version) }),
            mutations: vec![mutation],
            snapshot_mac: Some(state.generate_snapshot_mac(NAME_COLLECTION, &keys.snapshot_mac)),
            key_id: MessageField::some(wa::KeyId { id: Some(id.to_vec()) }),
            ..Default::default()
        };
        let mac = generate_patch_mac(&patch, NAME_COLLECTION, &keys.patch_mac, state.version);
        patch.patch_mac = Some(mac);
        self.store_patch(number, NAME_COLLECTION, &state, &patch)?;
        self.notify_app_state(number, None, NAME_COLLECTION, state.version)
    }

    /// A snapshot of a collection, put on the media host; what a device needs to fetch it.
    pub(crate) fn snapshot(
        &mut self,
        number: Number,
        name: &str,
        state: &AppState,
    ) -> Result<Vec<u8>> {
        let (id, keys) = self.app_state_keys(number)?;
        let mac = state.hash_state().generate_snapshot_mac(name, &keys.snapshot_mac);
        let snapshot = wa::SyncdSnapshot {
            version: MessageField::some(wa::SyncdVersion { version: Some(state.version) }),
            records: self.app_state_records(number, name)?,
            mac: Some(mac),
            key_id: MessageField::some(wa::KeyId { id: Some(id.to_vec()) }),
        };
        let plain = snapshot.encode_to_vec();
        let sealed = encrypt_media(&plain, MediaType::AppState)
            .map_err(|error| SimulatorError::Internal(error.to_string()))?;
        let token = hex::encode(sealed.file_enc_sha256);
        let direct_path = self.media.keep(MediaType::AppState, &token, &sealed.data_to_upload)?;
        let reference = wa::ExternalBlobReference {
            media_key: Some(sealed.media_key.to_vec()),
            direct_path: Some(direct_path),
            handle: Some(token),
            file_size_bytes: Some(plain.len() as u64),
            file_sha256: Some(sealed.file_sha256.to_vec()),
            file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
        };
        Ok(reference.encode_to_vec())
    }

    fn app_state_keys(&mut self, number: Number) -> Result<([u8; 6], Arc<ExpandedAppStateKeys>)> {
        let (id, key) = self.keys_of(number)?.app_state_key()?;
        Ok((id, Arc::new(expand_app_state_keys(&key))))
    }

    /// The MAC of the value that a record has.
    fn record_mac(
        &self,
        number: Number,
        name: &str,
        index: &[u8],
    ) -> Result<Option<Vec<u8>>, AppStateError> {
        let sql = "SELECT record FROM app_state_records \
                   WHERE number = ?1 AND name = ?2 AND index_mac = ?3";
        let found = self.db.prepare_cached(sql).and_then(|mut query| {
            let key = params![number.sql(), name, index];
            query.query_row(key, |row| row.get::<_, Vec<u8>>(0)).optional()
        });
        let record = found.map_err(|_| AppStateError::MismatchingLTHash)?;
        let record = record.and_then(|bytes| wa::SyncdRecord::decode_from_slice(&bytes).ok());
        Ok(record.and_then(|record| value_mac(&record)))
    }

    fn app_state_records(&self, number: Number, name: &str) -> Result<Vec<wa::SyncdRecord>> {
        let sql = "SELECT record FROM app_state_records WHERE number = ?1 AND name = ?2";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map(params![number.sql(), name], |row| row.get::<_, Vec<u8>>(0))?;
        let rows: Vec<Vec<u8>> = rows.collect::<Result<_, _>>()?;
        let records =
            rows.iter().filter_map(|bytes| wa::SyncdRecord::decode_from_slice(bytes).ok());
        Ok(records.collect())
    }

    fn store_patch(
        &mut self,
        number: Number,
        name: &str,
        state: &HashState,
        patch: &wa::SyncdPatch,
    ) -> Result<()> {
        let version = i64::try_from(state.version).unwrap_or(i64::MAX);
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO app_state (number, name, version, hash) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number.sql(), name, version, &state.hash[..]])?;
        self.db
            .prepare_cached(
                "INSERT INTO app_state_patches (number, name, version, patch) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number.sql(), name, version, patch.encode_to_vec()])?;
        for mutation in &patch.mutations {
            self.store_record(number, name, mutation)?;
        }
        Ok(())
    }

    fn store_record(
        &mut self,
        number: Number,
        name: &str,
        mutation: &wa::SyncdMutation,
    ) -> Result<()> {
        let Some(record) = mutation.record.as_option() else { return Ok(()) };
        let index = record.index.as_option().and_then(|index| index.blob.clone());
        let index = index.unwrap_or_default();
        if mutation.operation.is_some_and(|operation| operation == SyncdOperation::REMOVE) {
            let sql = "DELETE FROM app_state_records \
                       WHERE number = ?1 AND name = ?2 AND index_mac = ?3";
            self.db.prepare_cached(sql)?.execute(params![number.sql(), name, index])?;
            return Ok(());
        }
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO app_state_records (number, name, index_mac, record) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![number.sql(), name, index, record.encode_to_vec()])?;
        Ok(())
    }

    /// A phone that is installed anew has none.
    pub(crate) fn forget_app_state(&mut self, number: Number) -> Result<()> {
        for table in ["app_state", "app_state_patches", "app_state_records"] {
            let sql = format!("DELETE FROM {table} WHERE number = ?1");
            self.db.prepare_cached(&sql)?.execute([number.sql()])?;
        }
        Ok(())
    }
}

fn value_mac(record: &wa::SyncdRecord) -> Option<Vec<u8>> {
    let value = record.value.as_option()?.blob.as_ref()?;
    value.len().checked_sub(MAC_BYTES).map(|at| value[at..].to_vec())
}
