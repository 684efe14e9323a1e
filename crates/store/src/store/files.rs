//! The port of files that come in.

use async_trait::async_trait;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::incoming_file::{FileOutcome, IncomingFile};
use domain::ports::{FileStore, StoreResult};
use jiff::Timestamp;

use super::SqlStore;
use crate::files;

#[async_trait]
impl FileStore for SqlStore {
    async fn file(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> StoreResult<Option<IncomingFile>> {
        run!(self.read, files::file, account, message)
    }

    async fn due_files(
        &self,
        now: Timestamp,
        per_account: u32,
        except: &[MessageId],
    ) -> StoreResult<Vec<IncomingFile>> {
        let except = except.to_vec();
        run!(self.read, files::due, now, per_account, except)
    }

    async fn next_file_due(&self, now: Timestamp) -> StoreResult<Option<Timestamp>> {
        run!(self.read, files::next_due, now)
    }

    async fn request_file(
        &self,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> StoreResult<()> {
        run!(self.write, files::request, account, message, now)
    }

    async fn hasten_files(&self, device: DeviceId, now: Timestamp) -> StoreResult<bool> {
        run!(self.write, files::hasten, device, now)
    }

    async fn record_file(
        &self,
        message: MessageId,
        outcome: FileOutcome,
        account_max: u64,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<IncomingFile>>> {
        run!(self.write, files::record, message, outcome, account_max, now)
    }

    async fn stored_files(&self, messages: &[MessageId]) -> StoreResult<Vec<MessageId>> {
        let messages = messages.to_vec();
        run!(self.read, files::stored, messages)
    }

    async fn waiting_files(&self, keys: &[String]) -> StoreResult<Vec<String>> {
        let keys = keys.to_vec();
        run!(self.read, files::waiting, keys)
    }

    async fn expire_files(
        &self,
        before: Timestamp,
        account_max: u64,
    ) -> StoreResult<Vec<IncomingFile>> {
        run!(self.write_long, files::expire, before, account_max)
    }
}
