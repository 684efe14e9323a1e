//! The kind that a file is sent with; pure.
//!
//! The sender's wish comes first. Otherwise the bytes decide, and the types that the sender and the
//! server gave choose where the bytes may be several kinds. Everything else is a document.

use domain::media::MediaWish;
use domain::message::{ContentKind, Failure};

use crate::format::Format;
use crate::{naming, thumbnail};

/// The MIME type of voice notes.
pub(crate) const VOICE_MIMETYPE: &str = "audio/ogg; codecs=opus";
/// The MIME type of stickers.
const STICKER_MIMETYPE: &str = "image/webp";

/// What a file is sent as.
pub(crate) fn kind_of(format: Format, wish: &MediaWish) -> Result<ContentKind, Failure> {
    use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
    let is_a = |kind| format.kinds().contains(&kind);
    let refuse = |major: &str, what: &str| {
        Err(failure(match format {
            Format::Exactly(mimetype) if mimetype.starts_with(major) => {
                format!("{mimetype} cannot be sent as {what}; send it as a document")
            }
            _ => format!("the file is not {what}"),
        }))
    };
    match wish.kind {
        Some(Image) if !is_a(Image) => refuse("image/", "an image"),
        Some(Video) if !is_a(Video) => refuse("video/", "a video"),
        Some(Audio | Voice) if !is_a(Audio) => refuse("audio/", "an audio file"),
        Some(Sticker) if !thumbnail::is_sticker_source(format) => {
            refuse("image/", "a sticker: it must be WebP, PNG or JPEG")
        }
        Some(kind @ (Sticker | Image | Video | Audio | Voice | Document)) => Ok(kind),
        Some(kind) => Err(failure(format!("a file cannot be sent as {}", kind.as_str()))),
        None => Ok(claimed_kinds(wish)
            .find(|kind| is_a(*kind))
            .or(format.kinds().first().copied())
            .unwrap_or(Document)),
    }
}

/// The kinds that the MIME types stand for, the sender's before the server's.
fn claimed_kinds(wish: &MediaWish) -> impl Iterator<Item = ContentKind> {
    let claims = [&wish.mimetype, &wish.content_type].into_iter().flatten();
    claims.filter_map(|claim| naming::claimed(claim)).filter_map(|claim| {
        Some(match claim.split('/').next()? {
            "image" => ContentKind::Image,
            "video" => ContentKind::Video,
            "audio" => ContentKind::Audio,
            _ if claim == "application/ogg" => ContentKind::Audio,
            _ if claim == "application/mp4" => ContentKind::Video,
            _ => return None,
        })
    })
}

/// The MIME type and the name of a file that is sent as `kind`.
pub(crate) fn described(
    format: Format,
    kind: ContentKind,
    wish: &MediaWish,
) -> (String, Option<String>) {
    match kind {
        ContentKind::Document => {
            let (mimetype, name) = naming::document(format, wish);
            (mimetype, Some(name))
        }
        ContentKind::Sticker => (STICKER_MIMETYPE.to_owned(), None),
        ContentKind::Voice => (VOICE_MIMETYPE.to_owned(), wish.filename.clone()),
        _ => {
            let mimetype = format.mimetype(kind).unwrap_or_default();
            (mimetype.to_owned(), wish.filename.clone())
        }
    }
}

/// A failure with a text for the customer who sent the file.
pub(crate) fn failure(message: impl Into<String>) -> Failure {
    Failure::new(Failure::MEDIA, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(kind: Option<ContentKind>, mimetype: &str, content_type: &str) -> MediaWish {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        MediaWish {
            kind,
            mimetype: given(mimetype),
            content_type: given(content_type),
            ..MediaWish::default()
        }
    }

    #[test]
    fn kinds_that_are_found_out() {
        use ContentKind::{Audio, Document, Image, Video};
        let cases = [
            (Format::Jpeg, "", "", Image),
            (Format::Webp, "", "application/octet-stream", Image),
            (Format::Gif, "", "image/gif", Image),
            (Format::Png, "", "IMAGE/JPEG; q=1", Image),
            (Format::Jpeg, "application/zip", "application/pdf", Image),
            (Format::Jpeg, "", "text/plain", Image),
            (Format::Mp4, "", "", Video),
            (Format::Mp4, "", "audio/mp4", Audio),
            (Format::M4a, "", "video/mp4", Audio),
            (Format::OggOpus, "", "application/ogg", Audio),
            (Format::Webm, "", "audio/webm;codecs=opus", Audio),
            (Format::Webm, "", "", Video),
            (Format::WebmAudio, "", "video/webm", Audio),
            (Format::Mp3, "audio/mpeg", "video/mp4", Audio),
            (Format::Pdf, "", "image/jpeg", Document),
            (Format::Pdf, "", "application/pdf", Document),
            (Format::Unknown, "", "image/heic", Document),
            (Format::Text("text/plain"), "", "", Document),
            (Format::Jpeg, "", "nonsense", Image),
        ];
        for (format, mimetype, content_type, expected) in cases {
            let kind = kind_of(format, &wish(None, mimetype, content_type));
            assert_eq!(kind, Ok(expected), "{format:?} {mimetype} {content_type}");
        }
    }

    #[test]
    fn kinds_that_are_wanted() {
        use ContentKind::{Audio, Document, Image, Location, Video, Voice};
        let of = |format, kind| kind_of(format, &wish(Some(kind), "", "application/pdf"));
        for (format, kind) in [
            (Format::Jpeg, Image),
            (Format::Jpeg, Document),
            (Format::Mp4, Video),
            (Format::Mp4, Audio),
            (Format::Ogg, Voice),
            (Format::WebmAudio, Voice),
            (Format::Unknown, Document),
        ] {
            assert_eq!(of(format, kind), Ok(kind), "{format:?}");
        }
        for (format, kind, message) in [
            (Format::Pdf, Image, "the file is not an image"),
            (
                Format::Exactly("image/heic"),
                Image,
                "image/heic cannot be sent as an image; send it as a document",
            ),
            (Format::Exactly("image/heic"), Video, "the file is not a video"),
            (Format::Mp4, Image, "the file is not an image"),
            (Format::Jpeg, Video, "the file is not a video"),
            (Format::Mp3, Video, "the file is not a video"),
            (Format::WebmAudio, Video, "the file is not a video"),
            (Format::Text("text/plain"), Voice, "the file is not an audio file"),
            (Format::Jpeg, Location, "a file cannot be sent as location"),
        ] {
            assert_eq!(of(format, kind), Err(Failure::new("media", message)), "{format:?}");
        }
    }

    #[test]
    fn types_of_what_is_not_a_document() {
        use ContentKind::{Audio, Image, Video, Voice};
        let mut wish = wish(None, "application/x-own; v=1", "application/pdf");
        wish.source_name = Some("x".to_owned());
        for (format, kind, mimetype) in [
            (Format::Png, Image, "image/png"),
            (Format::Mp4, Audio, "audio/mp4"),
            (Format::Mp4, Video, "video/mp4"),
            (Format::WebmAudio, Audio, "audio/webm"),
            (Format::Mp3, Voice, VOICE_MIMETYPE),
        ] {
            assert_eq!(described(format, kind, &wish), (mimetype.to_owned(), None), "{format:?}");
        }
    }
}
