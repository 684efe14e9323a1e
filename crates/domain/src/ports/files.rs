//! Ports for files that come in, and for those that come with requests: their rows, their bytes, and their addresses.

use std::io;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

use super::StoreResult;
use crate::ids::{AccountId, DeviceId, MessageId};
use crate::incoming_file::{FileOutcome, IncomingFile};
use crate::media::TempMedia;

/// Why the media store cannot do something now; for logs.
#[derive(Debug, thiserror::Error)]
#[error("media store: {0}")]
pub struct BlobError(pub String);

/// Why the media store has not kept a file.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// Its disk is full.
    #[error("media store: no space is left")]
    DiskFull,
    /// It cannot be reached or written to.
    #[error(transparent)]
    Failed(#[from] BlobError),
}

/// Which part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePart {
    /// These bytes, as far as there are any.
    Bytes(Range<u64>),
    /// From here to the end.
    From(u64),
    /// As many as this at the end.
    Last(u64),
}

impl FilePart {
    /// The bytes of a file of this size.
    pub fn of(&self, size: u64) -> Range<u64> {
        let range = match self {
            Self::Bytes(range) => range.start..range.end.min(size),
            Self::From(start) => *start..size,
            Self::Last(count) => size.saturating_sub(*count)..size,
        };
        if range.start < range.end { range } else { size..size }
    }
}

/// A file of the media store, opened.
pub struct Blob {
    /// The size of the whole file.
    pub size: u64,
    /// Which of it these bytes are; empty where the part begins beyond its end.
    pub range: Range<u64>,
    /// The bytes that were asked for.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// The file by which processes that share a database recognise that they share the media store, too; of no
/// message.
pub const MARKER_BLOB: &str = "gerbang-media-store";

/// Where the bytes of files are kept.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// An empty file to be written and then given to [`BlobStore::put`].
    async fn draft(&self) -> Result<TempMedia, BlobError>;
    /// Keeps a draft under a name, in place of what has it; durable when this returns.
    async fn put(&self, key: &str, draft: TempMedia) -> Result<(), BlobError>;
    /// Keeps these bytes under a name, likewise. Where the call is dropped meanwhile they need not stay.
    async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), NotKept>;
    /// Opens a file, or a part of it; `None` when there is none.
    async fn open(&self, key: &str, part: Option<FilePart>) -> Result<Option<Blob>, BlobError>;
    /// Removes a file, if it is there.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;
    /// Removes every file whose name begins so; it ends at a `/`.
    async fn delete_all(&self, prefix: &str) -> Result<(), BlobError>;
    /// The names of files that were last written before then.
    fn older_than(&self, at: Timestamp) -> BoxStream<'static, Result<String, BlobError>>;
}

/// Rows of files. Those of files that came in are made with their messages by
/// [`MessageStore::receive`](super::MessageStore::receive).
#[async_trait]
pub trait FileStore: Send + Sync {
    /// One file of an account.
    async fn file(
        &self,
        account: AccountId,
        message: MessageId,
    ) -> StoreResult<Option<IncomingFile>>;
    /// Pending files that are due, at most `per_account` of each account, without `except`.
    async fn due_files(
        &self,
        now: Timestamp,
        per_account: u32,
        except: &[MessageId],
    ) -> StoreResult<Vec<IncomingFile>>;
    /// When the next pending file after `now` is due.
    async fn next_file_due(&self, now: Timestamp) -> StoreResult<Option<Timestamp>>;
    /// Makes a file that is not here due now: one that is fetched on demand, and one that waits.
    async fn request_file(
        &self,
        account: AccountId,
        message: MessageId,
        now: Timestamp,
    ) -> StoreResult<()>;
    /// Makes the pending files of a device due now; whether there are any.
    async fn hasten_files(&self, device: DeviceId, now: Timestamp) -> StoreResult<bool>;
    /// Records what became of an attempt. A file that is stored takes the place of those of its account
    /// that have been stored longest where there are more than `account_max` bytes: they are returned as
    /// gone, and their bytes may be removed now. `None` when there is no such file any more.
    async fn record_file(
        &self,
        message: MessageId,
        outcome: FileOutcome,
        account_max: u64,
        now: Timestamp,
    ) -> StoreResult<Option<Vec<IncomingFile>>>;
    /// Which of these files are stored.
    async fn stored_files(&self, messages: &[MessageId]) -> StoreResult<Vec<MessageId>>;
    /// Which of these names are those of files that came with messages which wait, of whatever account.
    async fn waiting_files(&self, keys: &[String]) -> StoreResult<Vec<String>>;
    /// Ends files that came in before `before`, and those that accounts with more than `account_max` bytes
    /// have had longest, as gone: a bounded number of those, whose bytes may be removed now.
    async fn expire_files(
        &self,
        before: Timestamp,
        account_max: u64,
    ) -> StoreResult<Vec<IncomingFile>>;
}

/// Addresses under which files that came in are fetched without a key.
pub trait MediaLinks: Send + Sync {
    /// The address of the file of a message that was received then.
    fn url(&self, account: AccountId, message: MessageId, created_at: Timestamp) -> String;
    /// Whose file a token of such an address names; `None` when it was not made here, or is over.
    fn read(&self, token: &str, now: Timestamp) -> Option<(AccountId, MessageId)>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_within_the_file() {
        use FilePart::{Bytes, From, Last};
        for (part, range) in [
            (Bytes(2..5), 2..5),
            (Bytes(2..99), 2..10),
            (Bytes(9..10), 9..10),
            (Bytes(3..3), 10..10),
            (Bytes(10..11), 10..10),
            (From(0), 0..10),
            (From(9), 9..10),
            (From(10), 10..10),
            (From(99), 10..10),
            (Last(1), 9..10),
            (Last(99), 0..10),
            (Last(0), 10..10),
        ] {
            assert_eq!(part.of(10), range, "{part:?}");
        }
    }
}
