//! Files that came with requests: read from the media store when their messages are sent, and removed when those
//! have left the outbox. What is not removed then is swept away later, with all that no row names.

use std::sync::Arc;

use futures_util::TryStreamExt as _;

use domain::ids::MessageId;
use domain::message::Failure;
use domain::ports::{BlobError, BlobStore, FileError, Recorded, StoreResult};
use domain::request_file::{RequestFile, WaitingFile, blob_key_of};
use domain::webhook::EventKind;

use crate::context::EngineContext;

/// The bytes of the file of a waiting message, which has this name in the media store.
pub(crate) async fn read(
    context: &EngineContext,
    message: MessageId,
    key: &str,
) -> StoreResult<Result<Vec<u8>, FileError>> {
    Ok(match context.store().inline_media(message).await? {
        Some(WaitingFile::Bytes(bytes)) => Ok(bytes),
        Some(WaitingFile::Blob(file)) => read_blob(context.blobs(), key, &file).await,
        None => Err(lost("the file is not there any more")),
    })
}

async fn read_blob(
    blobs: &dyn BlobStore,
    key: &str,
    file: &RequestFile,
) -> Result<Vec<u8>, FileError> {
    let away = |BlobError(error): BlobError| {
        tracing::warn!(error, "the media store gives no file");
        FileError::Temporary("the media store gives no file".to_owned())
    };
    let blob = blobs.open(key, None).await.map_err(away)?;
    let blob = blob.ok_or_else(|| lost("the file is not in the media store any more"))?;
    if blob.size != file.size {
        return Err(lost("the file in the media store is damaged"));
    }
    let pieces = blob.bytes.try_fold(Vec::<u8>::new(), |mut bytes, piece| async move {
        bytes.extend_from_slice(&piece);
        Ok(bytes)
    });
    let bytes = pieces.await.map_err(|error| away(BlobError(error.to_string())))?;
    if RequestFile::of(&bytes) != *file {
        return Err(lost("the file in the media store is damaged"));
    }
    Ok(bytes)
}

fn lost(why: &str) -> FileError {
    FileError::Permanent(Failure::new(Failure::MEDIA, why))
}

/// Removes the files of messages that have just left the outbox. It is not waited for.
pub(crate) fn remove(context: &Arc<EngineContext>, recorded: &[Recorded]) {
    let left = recorded.iter().filter(|recorded| has_left(recorded));
    let keys: Vec<String> = left.filter_map(|recorded| blob_key_of(&recorded.message)).collect();
    if keys.is_empty() {
        return;
    }
    let context = context.clone();
    tokio::spawn(async move {
        for key in keys {
            if let Err(error) = context.blobs().delete(&key).await {
                tracing::debug!(key, %error, "a file that was sent stays for now");
            }
        }
    });
}

/// Whether a message has left the outbox with what was recorded. Its state does not say so: it may be `delivered`
/// by now, for receipts may come before the acknowledgement.
fn has_left(recorded: &Recorded) -> bool {
    use EventKind::{MessageCancelled, MessageExpired, MessageFailed, MessageSent};
    let is_end =
        |kind| matches!(kind, MessageSent | MessageFailed | MessageExpired | MessageCancelled);
    recorded.events.iter().any(|event| is_end(event.kind))
}
