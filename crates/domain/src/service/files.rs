//! Files that came in, as they are fetched from us.

use std::time::Duration;

use super::{Core, Principal};
use crate::error::{Error, Result, StoreError};
use crate::ids::{AccountId, MessageId};
use crate::incoming_file::FileState;
use crate::message::Message;
use crate::ports::{Blob, FilePart};

/// How long a request waits for a file that is not here yet.
const FETCH_PATIENCE: Duration = Duration::from_secs(30);

/// What became of a request for a file.
pub enum FileFound {
    /// Here it is.
    Open(Box<OpenFile>),
    /// It has not come yet; trying again may help. Why the last attempt failed is safe to show.
    Pending(Option<String>),
    /// It could not be fetched, or is not here any more; the reason is safe to show.
    Ended(FileState, String),
}

/// A file that is read.
pub struct OpenFile {
    /// The message that carries it.
    pub message: Message,
    /// Its bytes.
    pub blob: Blob,
}

impl Core {
    /// The file of a message the caller may see, or a part of it; fetched first when it is not here.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::TooManyWaits`].
    pub async fn open_file(
        &self,
        principal: &Principal,
        id: MessageId,
        part: Option<FilePart>,
    ) -> Result<FileFound> {
        let message = self.message(principal, id).await?;
        self.open(message, part).await
    }

    /// As [`Core::open_file`], for who has the address of the file.
    ///
    /// # Errors
    /// [`Error::NotFound`] also when the address is over, [`Error::TooManyWaits`].
    pub async fn open_linked_file(&self, token: &str, part: Option<FilePart>) -> Result<FileFound> {
        let (account, id) =
            self.links.read(token, self.clock.now()).ok_or(Error::NotFound("file"))?;
        let message = self.store.message(account, id).await?.ok_or(Error::NotFound("file"))?;
        self.open(message, part).await
    }

    async fn open(&self, message: Message, part: Option<FilePart>) -> Result<FileFound> {
        let (account, id) = (message.account_id, message.id);
        let is_file = message.media().is_some_and(|media| media.state.is_some());
        let Some(mut file) = self.store.file(account, id).await? else {
            let reason = "the device that received the file was removed".to_owned();
            let gone = is_file.then_some(FileFound::Ended(FileState::Gone, reason));
            return gone.ok_or(Error::NotFound("file"));
        };
        if matches!(file.state, FileState::Pending | FileState::OnDemand) {
            self.require_here(message.device_id)?;
            self.fetch(account, id).await?;
            file = self.store.file(account, id).await?.ok_or(Error::NotFound("file"))?;
        }
        match file.state {
            FileState::Stored => {}
            FileState::Pending | FileState::OnDemand => return Ok(FileFound::Pending(file.reason)),
            FileState::Gone | FileState::Failed => {
                return Ok(FileFound::Ended(file.state, file.reason.unwrap_or_default()));
            }
        }
        let blob = self.blobs.open(&file.blob_key(), part).await.map_err(StoreError::from)?;
        let blob = blob.ok_or(Error::NotFound("file"))?;
        Ok(FileFound::Open(Box::new(OpenFile { message, blob })))
    }

    async fn fetch(&self, account: AccountId, id: MessageId) -> Result<()> {
        let _wait = self.waits.enter(account, None)?;
        self.dispatcher.fetch_file(account, id, FETCH_PATIENCE).await
    }
}
