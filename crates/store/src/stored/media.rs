//! The file of a message, in `media` of both tables of messages and in queued events.

use std::borrow::Cow;

use domain::media::Media;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text};
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredMedia<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    #[serde(default)]
    is_kind_given: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mimetype: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl<'a> From<&'a Media> for StoredMedia<'a> {
    fn from(media: &'a Media) -> Self {
        Self {
            url: media.url.as_deref().map(Cow::Borrowed),
            is_kind_given: media.is_kind_given,
            filename: media.filename.as_deref().map(Cow::Borrowed),
            mimetype: media.mimetype.as_deref().map(Cow::Borrowed),
            size: media.size,
        }
    }
}

impl From<StoredMedia<'_>> for Media {
    fn from(stored: StoredMedia<'_>) -> Self {
        Self {
            url: stored.url.map(Cow::into_owned),
            is_kind_given: stored.is_kind_given,
            filename: stored.filename.map(Cow::into_owned),
            mimetype: stored.mimetype.map(Cow::into_owned),
            size: stored.size,
        }
    }
}

pub(crate) fn write(media: &Media) -> SqlResult<String> {
    to_text(&StoredMedia::from(media))
}

pub(crate) fn read(text: &str) -> SqlResult<Media> {
    from_text::<StoredMedia<'_>>(text, "its file").map(Media::from)
}
