//! The file of a message that is to be sent.

use domain::content::ContentKind;
use domain::media::{FileRequest, MediaSource};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::fields::Base64Field;
use crate::optional::optional;

/// A file to send: from a URL or in the request.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = MediaRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct MediaField {
    /// The URL of the file: http or https, at most 100 MB. It is downloaded when the message is
    /// delivered; a failed download is a failed message.
    #[serde(default, deserialize_with = "optional")]
    url: Option<String>,
    /// The file itself as base64, or as a `data:` URL; at most 16 MiB once decoded.
    #[schema(value_type = Option<String>)]
    base64: Option<Base64Field>,
    /// What it is sent as; detected when left out.
    #[serde(default, deserialize_with = "optional")]
    kind: Option<Kind>,
    /// The name the recipient sees; documents only.
    #[serde(default, deserialize_with = "optional")]
    filename: Option<String>,
    /// Its MIME type; detected when left out.
    #[serde(default, deserialize_with = "optional")]
    mimetype: Option<String>,
    /// The text below it.
    #[serde(default, deserialize_with = "optional")]
    caption: Option<String>,
    /// Whether audio is sent as a voice note; the same as the kind `voice`.
    #[serde(default, deserialize_with = "optional")]
    voice: Option<bool>,
    /// Whether it can be looked at once only: for the kinds `image`, `video` and `voice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    view_once: Option<bool>,
    /// Whether a video is played as an animation: without end and without sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    gif: Option<bool>,
}

/// What a file is sent as.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MediaKind)]
enum Kind {
    Image,
    Video,
    Audio,
    Voice,
    Document,
    /// WebP as it is; PNG and JPEG become a square WebP.
    Sticker,
}

impl MediaField {
    /// Whether nothing is said in it.
    pub(super) fn is_empty(&self) -> bool {
        let Self { url, base64, kind, filename, mimetype, caption, voice, view_once, gif } = self;
        url.is_none()
            && base64.as_ref().is_none_or(|file| file.bytes.is_empty() && file.mimetype.is_none())
            && kind.is_none()
            && [filename, mimetype, caption].iter().all(|text| text.is_none())
            && [voice, view_once, gif].iter().all(|flag| flag.is_none())
    }

    /// In the core's words.
    ///
    /// # Errors
    /// [`ApiError::Field`] when it comes from nowhere or from two places, or a picture speaks.
    pub(super) fn into_request(self) -> Result<FileRequest, ApiError> {
        let is_alone = self.url.is_none();
        let base64 = self.base64.filter(|file| is_alone || !file.bytes.is_empty());
        let mut mimetype = self.mimetype;
        let source = match (self.url, base64) {
            (Some(url), None) => MediaSource::Url(url),
            (None, Some(file)) => {
                mimetype = mimetype.or(file.mimetype);
                MediaSource::Inline(file.bytes)
            }
            (None, None) => return Err(ApiError::field("media", "needs url or base64")),
            (Some(_), Some(_)) => {
                return Err(ApiError::field("media", "takes url or base64, not both"));
            }
        };
        let is_voice = self.voice == Some(true);
        let is_gif = self.gif == Some(true);
        let kind = match self.kind {
            None if is_gif && !is_voice => Some(ContentKind::Video),
            None | Some(Kind::Audio) if is_voice => Some(ContentKind::Voice),
            Some(Kind::Voice) if self.voice == Some(false) => Some(ContentKind::Audio),
            Some(Kind::Image | Kind::Video | Kind::Document | Kind::Sticker) if is_voice => {
                return Err(ApiError::field("media.voice", "only audio can be a voice note"));
            }
            kind => kind.map(ContentKind::from),
        };
        Ok(FileRequest {
            source,
            kind,
            filename: self.filename,
            mimetype,
            caption: self.caption.unwrap_or_default().into(),
            is_view_once: self.view_once == Some(true),
            is_gif,
        })
    }
}

impl From<Kind> for ContentKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Image => Self::Image,
            Kind::Video => Self::Video,
            Kind::Audio => Self::Audio,
            Kind::Voice => Self::Voice,
            Kind::Document => Self::Document,
            Kind::Sticker => Self::Sticker,
        }
    }
}
