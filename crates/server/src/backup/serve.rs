//! Backups for those who ask the gateway.

use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use domain::ports::{Backup, BackupError, Backups};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MediaPart, make_stream};
use crate::config::Settings;

/// Backups that are made or downloaded at a time: each takes as much of the disk as the data.
const BACKUPS_MAX: usize = 1;
/// Bytes that are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Makes backups in the data directory, where they are for as long as they are downloaded.
pub struct ServedBackups {
    settings: Arc<Settings>,
    permits: Arc<Semaphore>,
}

impl ServedBackups {
    /// Of the installation with these settings.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, permits: Arc::new(Semaphore::new(BACKUPS_MAX)) }
    }
}

impl fmt::Debug for ServedBackups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServedBackups")
    }
}

#[async_trait]
impl Backups for ServedBackups {
    async fn make(&self, with_media: bool, now: Timestamp) -> Result<Backup, BackupError> {
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let media = MediaPart::of(&self.settings, with_media);
        let made = make_stream(&self.settings, media, now).await;
        let (file, made, draft) = made.map_err(|error| {
            let error = format!("{error:#}");
            tracing::error!(%error, "a backup was not made");
            BackupError::Failed(error)
        })?;
        let name = format!("gerbang-{}.tar.gz", now.strftime("%Y%m%d-%H%M%S"));
        tracing::info!(bytes = made.bytes, files = made.files, "a backup was made");
        // Another one begins when this one has been downloaded.
        let bytes = pieces(File::from_std(file), (draft, permit)).boxed();
        Ok(Backup { name, size: made.bytes, bytes })
    }
}

/// The bytes of a file, and what is held until the last one is read.
fn pieces(
    file: File,
    held: (TempDir, OwnedSemaphorePermit),
) -> impl stream::Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold((file, held), |(mut file, held)| async move {
        let mut piece = vec![0; PIECE_BYTES];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(n) => {
                piece.truncate(n);
                Some((Ok(piece.into()), (file, held)))
            }
            Err(error) => Some((Err(error), (file, held))),
        }
    })
}
