//! The kind, MIME type and name that a file is sent with.
//!
//! The sender's wish comes first, then the server's header, then the bytes; image, video and audio
//! only when the bytes agree. Everything else is a document.

use domain::media::MediaWish;
use domain::message::{ContentKind, Failure};

use crate::format::Format;

/// The MIME type of voice notes.
pub(crate) const VOICE_MIMETYPE: &str = "audio/ogg; codecs=opus";
/// The MIME type of unknown documents.
const ANY_MIMETYPE: &str = "application/octet-stream";
/// Types that servers send when they know nothing.
const GENERIC: [&str; 8] = [
    ANY_MIMETYPE,
    "application/binary",
    "application/download",
    "application/force-download",
    "application/unknown",
    "application/x-download",
    "binary/octet-stream",
    "text/plain",
];
/// Types by the end of a file's name; the first end of a type is the usual one.
const BY_END: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("rtf", "application/rtf"),
    ("epub", "application/epub+zip"),
    ("zip", "application/zip"),
    ("rar", "application/vnd.rar"),
    ("7z", "application/x-7z-compressed"),
    ("tar", "application/x-tar"),
    ("gz", "application/gzip"),
    ("apk", "application/vnd.android.package-archive"),
    ("csv", "text/csv"),
    ("txt", "text/plain"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("vcf", "text/vcard"),
    ("ics", "text/calendar"),
    ("svg", "image/svg+xml"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("tiff", "image/tiff"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("3gp", "video/3gpp"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("avi", "video/x-msvideo"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("amr", "audio/amr"),
];

/// What a file is sent as.
pub(crate) fn kind_of(format: Format, wish: &MediaWish) -> Result<ContentKind, Failure> {
    use ContentKind::{Audio, Document, Image, Video, Voice};
    let is_a = |kind| format.kinds().contains(&kind);
    let refuse = |what: &str| Err(failure(format!("the file is not {what}")));
    match wish.kind {
        Some(Image) if !is_a(Image) => refuse("an image"),
        Some(Video) if !is_a(Video) => refuse("a video"),
        Some(Audio | Voice) if !is_a(Audio) => refuse("an audio file"),
        Some(kind @ (Image | Video | Audio | Voice | Document)) => Ok(kind),
        Some(kind) => Err(failure(format!("a file cannot be sent as {}", kind.as_str()))),
        None => Ok(match claimed_kind(wish) {
            Some(kind) if kind == Document || is_a(kind) => kind,
            _ => format.kinds().first().copied().unwrap_or(Document),
        }),
    }
}

/// The kind that the MIME type stands for, the sender's before the server's.
fn claimed_kind(wish: &MediaWish) -> Option<ContentKind> {
    let claimed = claimed_mimetypes(wish).next()?;
    Some(match claimed.split('/').next()? {
        "image" => ContentKind::Image,
        "video" => ContentKind::Video,
        "audio" => ContentKind::Audio,
        "application" if matches!(essence(&claimed), "application/ogg") => ContentKind::Audio,
        "application" if matches!(essence(&claimed), "application/mp4") => ContentKind::Video,
        _ => ContentKind::Document,
    })
}

/// The MIME types given for the file, without those that say nothing.
fn claimed_mimetypes(wish: &MediaWish) -> impl Iterator<Item = String> {
    let claimed = [&wish.mimetype, &wish.content_type].into_iter().flatten();
    claimed
        .map(|claimed| claimed.trim().to_ascii_lowercase())
        .filter(|claimed| is_mimetype(claimed) && !GENERIC.contains(&essence(claimed)))
}

/// A MIME type without its parameters.
fn essence(mimetype: &str) -> &str {
    mimetype.split(';').next().unwrap_or_default().trim_end()
}

fn is_mimetype(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    essence(text).split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
}

/// The type under which a file is sent.
pub(crate) fn mimetype_of(format: Format, kind: ContentKind, wish: &MediaWish) -> String {
    if kind == ContentKind::Voice {
        return VOICE_MIMETYPE.to_owned();
    }
    if let Some(mimetype) = format.mimetype(kind).filter(|_| kind != ContentKind::Document) {
        return mimetype.to_owned();
    }
    // The type of a document is the sender's to choose.
    if let Some(mimetype) = wish.mimetype.as_deref().filter(|text| is_mimetype(text)) {
        return mimetype.to_owned();
    }
    let by_name = name_of(wish).and_then(by_end);
    let coarse = match format {
        Format::Zip => "application/zip",
        Format::Text => "text/plain",
        _ => ANY_MIMETYPE,
    };
    claimed_mimetypes(wish)
        .next()
        .or_else(|| format.mimetype(kind).or(by_name).map(str::to_owned))
        .unwrap_or_else(|| coarse.to_owned())
}

/// The name that the recipient of a document sees; other kinds need none.
pub(crate) fn filename_of(kind: ContentKind, mimetype: &str, wish: &MediaWish) -> Option<String> {
    if kind != ContentKind::Document || wish.filename.is_some() {
        return wish.filename.clone();
    }
    let essence = essence(mimetype);
    let end = BY_END.iter().find(|(_, known)| *known == essence).map(|(end, _)| *end);
    let name = wish.source_name.as_deref().unwrap_or("file");
    match end {
        Some(end) if !name.contains('.') => Some(format!("{name}.{end}")),
        _ => Some(name.to_owned()),
    }
}

fn name_of(wish: &MediaWish) -> Option<&str> {
    wish.filename.as_deref().or(wish.source_name.as_deref())
}

fn by_end(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    BY_END.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, mimetype)| *mimetype)
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
            (Format::Jpeg, "application/zip", "image/jpeg", Document),
            (Format::Jpeg, "", "text/plain", Image),
            (Format::Mp4, "", "", Video),
            (Format::Mp4, "", "audio/mp4", Audio),
            (Format::M4a, "", "video/mp4", Audio),
            (Format::OggOpus, "", "application/ogg", Audio),
            (Format::Webm, "", "audio/webm", Video),
            (Format::Mp3, "audio/mpeg", "video/mp4", Audio),
            (Format::Pdf, "", "image/jpeg", Document),
            (Format::Pdf, "", "application/pdf", Document),
            (Format::Unknown, "", "image/heic", Document),
            (Format::Text, "", "", Document),
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
            (Format::Unknown, Document),
        ] {
            assert_eq!(of(format, kind), Ok(kind), "{format:?}");
        }
        for (format, kind, message) in [
            (Format::Pdf, Image, "the file is not an image"),
            (Format::Mp4, Image, "the file is not an image"),
            (Format::Jpeg, Video, "the file is not a video"),
            (Format::Mp3, Video, "the file is not a video"),
            (Format::Webm, Audio, "the file is not an audio file"),
            (Format::Text, Voice, "the file is not an audio file"),
            (Format::Jpeg, Location, "a file cannot be sent as location"),
        ] {
            assert_eq!(of(format, kind), Err(Failure::new("media", message)), "{format:?}");
        }
    }

    #[test]
    fn types_and_names() {
        use ContentKind::{Audio, Document, Image, Voice};
        let document =
            |format, content_type: &str, filename: Option<&str>, source: Option<&str>| {
                let mut wish = wish(None, "", content_type);
                wish.filename = filename.map(str::to_owned);
                wish.source_name = source.map(str::to_owned);
                let mimetype = mimetype_of(format, Document, &wish);
                let name = filename_of(Document, &mimetype, &wish).unwrap();
                (mimetype, name)
            };
        let cases = [
            (Format::Pdf, "", None, None, "application/pdf", "file.pdf"),
            (Format::Pdf, "", Some("Invoice"), Some("x.bin"), "application/pdf", "Invoice"),
            (Format::Pdf, "", None, Some("download"), "application/pdf", "download.pdf"),
            (Format::Zip, "", None, None, "application/zip", "file.zip"),
            (Format::Zip, "", None, Some("A.DOCX"), BY_END[1].1, "A.DOCX"),
            (Format::Zip, BY_END[2].1, None, None, BY_END[2].1, "file.xlsx"),
            (Format::Text, "text/plain", None, Some("a.csv"), "text/csv", "a.csv"),
            (Format::Text, "text/plain", None, None, "text/plain", "file.txt"),
            (Format::Jpeg, "", None, None, "image/jpeg", "file.jpg"),
            (Format::Unknown, "", None, None, "application/octet-stream", "file"),
            (Format::Unknown, "image/heic", None, None, "image/heic", "file.heic"),
        ];
        for (format, content_type, filename, source, mimetype, name) in cases {
            let found = document(format, content_type, filename, source);
            assert_eq!((found.0.as_str(), found.1.as_str()), (mimetype, name), "{format:?}");
        }
        let mut own = wish(None, "application/x-own; v=1", "application/pdf");
        assert_eq!(mimetype_of(Format::Pdf, Document, &own), "application/x-own; v=1");
        own.mimetype = Some("nonsense".to_owned());
        assert_eq!(mimetype_of(Format::Pdf, Document, &own), "application/pdf");
        assert_eq!(mimetype_of(Format::Png, Image, &own), "image/png");
        assert_eq!(mimetype_of(Format::Mp4, Audio, &own), "audio/mp4");
        assert_eq!(mimetype_of(Format::Mp3, Voice, &own), VOICE_MIMETYPE);
        assert_eq!(filename_of(Image, "image/png", &own), None);
    }
}
