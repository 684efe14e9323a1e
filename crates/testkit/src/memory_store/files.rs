//! Files that came in. What has become of one is written into its message, too.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::content::Content;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::incoming_file::{self, EXPIRED, FileOutcome, FileState, IncomingFile, OVER_LIMIT};
use domain::message::Message;
use domain::ports::{FileStore, StoreResult};
use domain::request_file::blob_key_of;
use jiff::Timestamp;

use super::{MemoryStore, State, stored};

#[derive(Debug, Clone)]
pub(super) struct KeptFile {
    file: IncomingFile,
    size: u64,
    due_at: Timestamp,
    created_at: Timestamp,
}

impl KeptFile {
    fn end(&mut self, state: FileState, reason: &str) {
        self.file.state = state;
        self.file.reason = Some(reason.to_owned());
        self.file.reference = None;
    }
}

impl State {
    /// Takes the file out of a message that has come in.
    pub(super) fn keep_file(&mut self, message: &mut Message) {
        let device = self.devices.iter().find(|device| device.id == message.device_id);
        let setting = device.map(|device| device.media_download).unwrap_or_default();
        let Content::File(content) = &mut message.content else { return };
        let Some((state, reference)) = incoming_file::begin(&mut content.media, setting) else {
            return;
        };
        let file = IncomingFile {
            message: message.id,
            account: message.account_id,
            device: message.device_id,
            state,
            reason: content.media.reason.clone(),
            reference,
            attempts: 0,
        };
        let (due_at, created_at) = (message.created_at, message.created_at);
        self.files.insert(message.id, KeptFile { file, size: 0, due_at, created_at });
    }

    /// A file is fetched when it is asked for, and not at once.
    pub(super) fn put_on_demand(&mut self, id: MessageId) {
        let kept = self.files.get_mut(&id);
        if let Some(kept) = kept.filter(|kept| kept.file.state == FileState::Pending) {
            kept.file.state = FileState::OnDemand;
            self.show_file(id);
        }
    }

    /// Forgets files whose messages, devices or accounts are gone.
    pub(super) fn forget_files(&mut self) {
        let State { files, history, devices, .. } = self;
        files.retain(|id, kept| {
            history.contains_key(id) && devices.iter().any(|device| device.id == kept.file.device)
        });
        for message in history.values_mut().filter(|message| !files.contains_key(&message.id)) {
            let Content::File(content) = &mut message.content else { continue };
            if content.media.state.is_some() {
                content.media.state = Some(FileState::Gone);
            }
        }
    }

    /// Shows in its message what has become of a file.
    fn show_file(&mut self, id: MessageId) {
        let (Some(kept), Some(message)) = (self.files.get(&id), self.history.get_mut(&id)) else {
            return;
        };
        let Content::File(content) = &mut message.content else { return };
        content.media.state = Some(kept.file.state);
        content.media.reason.clone_from(&kept.file.reason);
        if kept.size > 0 {
            content.media.size = Some(kept.size);
        }
    }

    /// What an account has had longest, beyond the bytes it may have.
    fn beyond(&self, account: AccountId, account_max: u64) -> Vec<MessageId> {
        let is_stored =
            |kept: &&KeptFile| kept.file.state == FileState::Stored && kept.file.account == account;
        let mut stored: Vec<&KeptFile> = self.files.values().filter(is_stored).collect();
        stored.sort_by_key(|kept| (kept.due_at, kept.file.message));
        let mut held: u64 = stored.iter().map(|kept| kept.size).sum();
        let mut beyond = Vec::new();
        for kept in stored {
            if held > account_max {
                held -= kept.size;
                beyond.push(kept.file.message);
            }
        }
        beyond
    }

    /// Ends files as gone; as they were before.
    fn remove_files(&mut self, ids: Vec<MessageId>, reason: &str) -> Vec<IncomingFile> {
        let mut removed = Vec::new();
        for id in ids {
            let Some(kept) = self.files.get_mut(&id) else { continue };
            removed.push(kept.file.clone());
            kept.end(FileState::Gone, reason);
            self.show_file(id);
        }
        removed
    }
}

#[async_trait]
impl FileStore for MemoryStore {
    async fn file(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> StoreResult<Option<IncomingFile>> {
        let state = self.state();
        let kept = state.files.get(&message).filter(|kept| kept.file.account == account);
        Ok(kept.map(|kept| kept.file.clone()))
    }

    async fn due_files(
        &self,
        now: Timestamp,
        per_account: u32,
        except: &[MessageId],
    ) -> StoreResult<Vec<IncomingFile>> {
        let state = self.state();
        let mut due: Vec<&KeptFile> =
            state.files.values().filter(|kept| is_due(kept, now)).collect();
        due.retain(|kept| !except.contains(&kept.file.message));
        due.sort_by_key(|kept| (kept.due_at, kept.file.message));
        let mut taken: Vec<IncomingFile> = Vec::new();
        for KeptFile { file, .. } in due {
            let of_account = taken.iter().filter(|other| other.account == file.account).count();
            if u32::try_from(of_account).is_ok_and(|count| count < per_account) {
                taken.push(file.clone());
            }
        }
        Ok(taken)
    }

    async fn next_file_due(&self, now: Timestamp) -> StoreResult<Option<Timestamp>> {
        let state = self.state();
        let pending = state.files.values().filter(|kept| kept.file.state == FileState::Pending);
        Ok(pending.map(|kept| kept.due_at).filter(|due| *due > now).min())
    }

    async fn request_file(
        &self,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> StoreResult<()> {
        let mut state = self.state();
        let Some(kept) = state.files.get_mut(&message) else { return Ok(()) };
        let is_waiting = matches!(kept.file.state, FileState::Pending | FileState::OnDemand);
        if kept.file.account == account && is_waiting {
            kept.file.state = FileState::Pending;
            kept.due_at = stored(now);
            state.show_file(message);
        }
        Ok(())
    }

    async fn hasten_files(&self, device: DeviceId, now: Timestamp) -> StoreResult<bool> {
        let mut state = self.state();
        let is_its = |kept: &&mut KeptFile| {
            kept.file.device == device
                && kept.file.state == FileState::Pending
                && kept.due_at > stored(now)
        };
        let mut has_any = false;
        for kept in state.files.values_mut().filter(is_its) {
            kept.due_at = stored(now);
            has_any = true;
        }
        Ok(has_any)
    }

    async fn record_file(
        &self,
        message: MessageId,
        outcome: FileOutcome,
        account_max: u64,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<IncomingFile>>> {
        let mut state = self.state();
        let kept = state.files.get_mut(&message);
        let Some(kept) = kept.filter(|kept| kept.file.state == FileState::Pending) else {
            return Ok(None);
        };
        let account = kept.file.account;
        match outcome {
            FileOutcome::Stored(size) => {
                kept.file.state = FileState::Stored;
                (kept.file.reference, kept.file.reason) = (None, None);
                kept.size = size;
                kept.due_at = stored(now);
            }
            FileOutcome::Again { at, counts, reason } => {
                kept.due_at = stored(at);
                kept.file.reason = Some(reason);
                kept.file.attempts += u32::from(counts);
            }
            FileOutcome::Ended(ended, reason) => kept.end(ended, &reason),
        }
        state.show_file(message);
        let beyond = state.beyond(account, account_max);
        Ok(Some(state.remove_files(beyond, OVER_LIMIT)))
    }

    async fn stored_files(&self, messages: &[MessageId]) -> StoreResult<Vec<MessageId>> {
        let state = self.state();
        let is_stored = |id: &&MessageId| {
            state.files.get(id).is_some_and(|kept| kept.file.state == FileState::Stored)
        };
        Ok(messages.iter().filter(is_stored).copied().collect())
    }

    async fn waiting_files(&self, keys: &[String]) -> StoreResult<Vec<String>> {
        let state = self.state();
        let with_file = state.inline.keys().filter_map(|id| state.waiting.get(id));
        let named = with_file.filter_map(|waiting| blob_key_of(&waiting.message));
        Ok(named.filter(|key| keys.contains(key)).collect())
    }

    async fn expire_files(
        &self,
        before: Timestamp,
        account_max: u64,
    ) -> StoreResult<Vec<IncomingFile>> {
        let mut state = self.state();
        let is_old = |kept: &&KeptFile| {
            let is_kept = !matches!(kept.file.state, FileState::Gone | FileState::Failed);
            is_kept && kept.created_at < stored(before)
        };
        let old = state.files.values().filter(is_old).map(|kept| kept.file.message);
        let old: Vec<MessageId> = old.collect();
        if !old.is_empty() {
            return Ok(state.remove_files(old, EXPIRED));
        }
        let accounts: BTreeSet<AccountId> =
            state.files.values().map(|kept| kept.file.account).collect();
        let beyond = accounts.iter().flat_map(|account| state.beyond(*account, account_max));
        let beyond = beyond.collect();
        Ok(state.remove_files(beyond, OVER_LIMIT))
    }
}

fn is_due(kept: &KeptFile, now: Timestamp) -> bool {
    kept.file.state == FileState::Pending && kept.due_at <= now
}
