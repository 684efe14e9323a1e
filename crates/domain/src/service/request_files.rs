//! Files that come with requests are in the media store before the messages are accepted that name them.
//!
//! What is there and named by no message, for the process was killed between the two or the store did not
//! say whether it has accepted them, is removed by the engine's sweep.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::Core;
use crate::error::{Error, Result};
use crate::ports::NotKept;

/// Files of one request that are put at a time.
const PUT_AT_ONCE: usize = 4;

/// A file that came with a request and is in memory only.
pub(super) struct UnkeptFile {
    /// Its name in the media store.
    pub(super) key: String,
    pub(super) bytes: Vec<u8>,
}

impl Core {
    /// Puts files into the media store, and returns their names.
    ///
    /// # Errors
    /// [`Error::DiskFull`], and [`Error::Store`] while the media store cannot be reached.
    pub(super) async fn keep_request_files(&self, files: Vec<UnkeptFile>) -> Result<Vec<String>> {
        let keys: Vec<String> = files.iter().map(|file| file.key.clone()).collect();
        let putting = files.into_iter().map(|file| self.keep_request_file(file));
        let kept: Result<()> =
            stream::iter(putting).buffer_unordered(PUT_AT_ONCE).try_collect().await;
        match kept {
            Ok(()) => Ok(keys),
            Err(error) => {
                // A media store that is away would have to be waited for once more.
                if matches!(error, Error::DiskFull) {
                    self.drop_request_files(keys).await;
                }
                Err(error)
            }
        }
    }

    async fn keep_request_file(&self, file: UnkeptFile) -> Result<()> {
        let kept = self.blobs.put_bytes(&file.key, file.bytes).await;
        kept.map_err(|error| match error {
            NotKept::DiskFull => {
                self.outbound.report_full();
                Error::DiskFull
            }
            NotKept::Failed(error) => Error::Store(error.into()),
        })
    }

    /// Removes files whose messages were not accepted.
    pub(super) async fn drop_request_files(&self, keys: Vec<String>) {
        let deleting = keys.into_iter().map(|key| self.drop_request_file(key));
        stream::iter(deleting).buffer_unordered(PUT_AT_ONCE).collect::<()>().await;
    }

    async fn drop_request_file(&self, key: String) {
        // One that stays is the sweep's.
        drop(self.blobs.delete(&key).await);
    }
}
