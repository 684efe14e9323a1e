//! Where messages are kept that are older than the database keeps them.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::ids::{AccountId, MessageId};

/// The archive cannot be read or written now; for people.
#[derive(Debug, thiserror::Error)]
#[error("archive: {0}")]
pub struct ArchiveError(pub String);

/// A message that is older than messages are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMessage {
    /// Which.
    pub id: MessageId,
    /// Whose.
    pub account: AccountId,
    /// When it was accepted or came in.
    pub created_at: Timestamp,
    /// Its row as a JSON object in one line, with its `id`.
    pub line: String,
}

/// The archive of old messages. Of all processes that share a database one writes it.
#[async_trait]
pub trait MessageArchive: Send + Sync {
    /// Adds messages, but for those that are in it already; they are durable when this returns. False when
    /// another process writes the archive.
    async fn append(&self, messages: Vec<OldMessage>) -> Result<bool, ArchiveError>;
    /// What was added last is deleted from the database, and will not be added again.
    fn settle(&self);
    /// The accounts that have something in it.
    async fn accounts(&self) -> Result<Vec<AccountId>, ArchiveError>;
    /// Removes everything of an account.
    async fn remove(&self, account: AccountId) -> Result<(), ArchiveError>;
}
