//! The file of a message, as `/v1` shows it.

use domain::incoming_file::FileState;
use domain::media::Media;
use serde::Serialize;
use utoipa::ToSchema;

/// A message's file; never the file itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Media)]
pub(super) struct MediaBody<'a> {
    /// Where it is downloaded from: of one that came in, an address of this server that needs no key and
    /// is valid while files are kept. Null when it came with the request, or is not kept any more.
    url: Option<&'a str>,
    /// The name the recipient sees. Of one that is sent, this and all below but the digest and the small
    /// picture are what the file turned out to be, from `sent` on.
    filename: Option<&'a str>,
    /// Its MIME type, where known; before it is sent, the one that was given.
    mimetype: Option<&'a str>,
    /// Its size in bytes, where known.
    size: Option<u64>,
    /// The SHA-256 of one that came in, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    /// How long it plays, in seconds, once it has come in or was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    /// Its width in pixels, once it has come in or was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// Its height, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// How many pages a document has, once it has come in and its sender said so, or was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    /// A small picture of one that came in: a JPEG of at most 20,000 bytes, in base64.
    #[schema(format = Byte)]
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail: Option<&'a str>,
    /// Where one that came in is: `pending`, `on_demand`, `stored`, `gone` or `failed`; all but the last
    /// two can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why it failed or is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// `true` where it is shown once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    view_once: bool,
    /// `true` where it is a video that is played as an animation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gif: bool,
}

impl<'a> From<&'a Media> for MediaBody<'a> {
    fn from(media: &'a Media) -> Self {
        Self {
            url: media.url.as_deref(),
            filename: media.filename.as_deref(),
            mimetype: media.mimetype.as_deref(),
            size: media.size,
            sha256: media.sha256.as_deref(),
            seconds: media.seconds,
            width: media.dimensions.map(|(width, _)| width),
            height: media.dimensions.map(|(_, height)| height),
            pages: media.pages,
            thumbnail: media.thumbnail.as_deref(),
            state: media.state.map(FileState::as_str),
            reason: media.reason.as_deref(),
            view_once: media.is_view_once,
            gif: media.is_gif,
        }
    }
}
