//! The port for backups of the whole installation.

use std::fmt::Debug;
use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;

/// A backup, while it is read.
pub struct Backup {
    /// What a file of it is to be called.
    pub name: String,
    /// Its bytes in all.
    pub size: u64,
    /// Its bytes.
    pub bytes: BoxStream<'static, io::Result<Bytes>>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One is being made.
    #[error("a backup is being made; try again when it is done")]
    Busy,
    /// It could not be made.
    #[error("{0}")]
    Failed(String),
}

/// Makes backups.
#[async_trait]
pub trait Backups: Debug + Send + Sync {
    /// Makes one, with the files that came in or without them.
    async fn make(&self, with_media: bool, now: Timestamp) -> Result<Backup, BackupError>;
}
