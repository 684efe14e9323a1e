//! Addresses that lead nowhere, and backups of nothing.

use async_trait::async_trait;
use domain::ids::{AccountId, MessageId};
use domain::ports::{Backup, BackupError, Backups, MediaLinks};
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

/// No addresses of files; its backups hold nothing.
#[derive(Debug)]
pub struct NoFiles;

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
