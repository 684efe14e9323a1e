//! A media store that keeps nothing, addresses that lead nowhere, and backups of nothing.

use async_trait::async_trait;
use domain::ids::{AccountId, MessageId};
use domain::media::TempMedia;
use domain::ports::{
    Backup, BackupError, Backups, Blob, BlobError, BlobStore, FilePart, MediaLinks,
};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;

/// Neither files nor addresses of them; its backups hold nothing.
#[derive(Debug)]
pub struct NoFiles;

#[async_trait]
impl BlobStore for NoFiles {
    async fn draft(&self) -> Result<TempMedia, BlobError> {
        Err(BlobError("nothing is kept here".into()))
    }

    async fn put(&self, _: &str, _: TempMedia) -> Result<(), BlobError> {
        Err(BlobError("nothing is kept here".into()))
    }

    async fn open(&self, _: &str, _: Option<FilePart>) -> Result<Option<Blob>, BlobError> {
        Ok(None)
    }

    async fn delete(&self, _: &str) -> Result<(), BlobError> {
        Ok(())
    }

    async fn delete_all(&self, _: &str) -> Result<(), BlobError> {
        Ok(())
    }

    fn older_than(&self, _: Timestamp) -> BoxStream<'static, Result<String, BlobError>> {
        stream::empty().boxed()
    }
}

#[async_trait]
impl Backups for NoFiles {
    async fn make(&self, _: bool, _: Timestamp) -> Result<Backup, BackupError> {
        let bytes = stream::iter([Ok("nothing".into())]).boxed();
        Ok(Backup { name: "nothing.tar.gz".to_owned(), size: 7, bytes })
    }
}

impl MediaLinks for NoFiles {
    fn url(&self, account: AccountId, message: MessageId, _: Timestamp) -> String {
        format!("https://files.example/media/{}-{}", account.0, message.0)
    }

    fn read(&self, _: &str, _: Timestamp) -> Option<(AccountId, MessageId)> {
        None
    }
}
