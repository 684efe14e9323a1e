//! The pictures of groups, made of what was asked for.

use domain::error::{Error, Result};
use domain::ids::AccountId;
use domain::media::MediaSource;
use domain::ports::FileError;

use crate::context::EngineContext;

/// Makes the picture of a group: a square JPEG.
pub(crate) async fn make(
    context: &EngineContext,
    account: AccountId,
    source: &MediaSource,
) -> Result<Vec<u8>> {
    let (_download, _conversion) =
        (context.files().look(account).await, context.files().convert(account).await);
    let file = match source {
        MediaSource::Url(url) => context.outbound().fetch(url).await.map_err(refused)?.file,
        MediaSource::Inline(bytes) => {
            context.outbound().keep(bytes.clone()).await.map_err(refused)?
        }
    };
    context.codec().make_picture(file).await.map_err(refused)
}

fn refused(error: FileError) -> Error {
    match error {
        FileError::Permanent(failure) => Error::Media(failure.message),
        FileError::Temporary(why) => Error::Media(why),
    }
}
