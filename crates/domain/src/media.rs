//! Files that messages carry: what is asked for, what is kept, and what is handed to WhatsApp.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use crate::content::ContentKind;
use crate::incoming_file::{FileReference, FileState};
use crate::phone::is_invisible;

/// Largest file, in bytes: 100 MB.
pub const MEDIA_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Largest file that may come inside a request, in bytes once decoded: 16 MB.
pub const INLINE_MEDIA_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest small picture of a file that came in, in bytes; a larger one is not kept.
pub const THUMBNAIL_BYTES_MAX: usize = 20_000;
/// Longest file name, in characters.
pub const FILENAME_CHARS_MAX: usize = 255;
/// Longest URL of a file or of a webhook, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;

/// A URL as it was meant: white space and marks around it, and line breaks inside it, come from
/// copying; a blank inside stands for `%20`.
pub fn cleaned_url(url: String) -> String {
    let is_dirt = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    if !url.contains(is_dirt) {
        return url;
    }
    let inside = url.trim_matches(is_dirt).replace(['\t', '\n', '\r'], "");
    inside.replace(' ', "%20")
}

/// Where a file comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// It is downloaded when the message is delivered.
    Url(String),
    /// It came with the request.
    Inline(Vec<u8>),
}

impl std::fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(…)"),
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
        }
    }
}

/// A file that is asked to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// Where it is.
    pub source: MediaSource,
    /// As what it is sent: image, video, audio, voice, document or sticker; found out when not given.
    pub kind: Option<ContentKind>,
    /// The name the recipient sees; documents only.
    pub filename: Option<String>,
    /// Its MIME type; found out when not given.
    pub mimetype: Option<String>,
    /// The text below it.
    pub caption: Arc<str>,
    /// Whether it can be looked at once only: images, videos and voice notes.
    pub is_view_once: bool,
    /// Whether it is a video that is played as an animation: without end and without sound.
    pub is_gif: bool,
}

impl FileRequest {
    /// A file of which nothing else is said.
    pub fn new(source: MediaSource) -> Self {
        Self {
            source,
            kind: None,
            filename: None,
            mimetype: None,
            caption: Arc::default(),
            is_view_once: false,
            is_gif: false,
        }
    }
}

/// What is known of the file of a message, as it is kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Media {
    /// Where it is downloaded from; `None` when it came with the request or from WhatsApp.
    pub url: Option<String>,
    /// Whether the sender said what kind it is; else the message's kind is a guess until it is sent.
    pub is_kind_given: bool,
    /// The name the recipient sees.
    pub filename: Option<String>,
    /// Its MIME type.
    pub mimetype: Option<String>,
    /// Its size in bytes, when known.
    pub size: Option<u64>,
    /// The SHA-256 of one that came in, in hexadecimal digits.
    pub sha256: Option<String>,
    /// How long it plays, once it has come in or was sent.
    pub seconds: Option<u32>,
    /// Width and height in pixels, likewise.
    pub dimensions: Option<(u32, u32)>,
    /// How many pages a document has, likewise.
    pub pages: Option<u32>,
    /// A small picture of one that came in: a JPEG in base64.
    pub thumbnail: Option<Arc<str>>,
    /// Where one that came in is.
    pub state: Option<FileState>,
    /// Why it failed, is gone or could not be fetched yet.
    pub reason: Option<String>,
    /// What it is fetched by, until it is stored.
    pub reference: Option<FileReference>,
    /// Whether it is shown once.
    pub is_view_once: bool,
    /// Whether it is a video that is played as an animation: without end and without sound.
    pub is_gif: bool,
}

/// A file on this machine's disk; gone when the last copy of this value is dropped.
#[derive(Clone)]
pub struct TempMedia {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Removes it when dropped.
    pub guard: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for TempMedia {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TempMedia({} bytes)", self.size)
    }
}

impl PartialEq for TempMedia {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for TempMedia {}

/// A file that was downloaded.
#[derive(Debug, Clone)]
pub struct FetchedFile {
    /// The file.
    pub file: TempMedia,
    /// What its server said it is.
    pub content_type: Option<String>,
    /// The name that its server gave it.
    pub filename: Option<String>,
    /// The names in its URLs, where they have any: of the one that answered, then of the one asked.
    pub url_names: Vec<String>,
}

/// As what a file is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaWish {
    /// The kind, when the sender said.
    pub kind: Option<ContentKind>,
    /// The name, when the sender said.
    pub filename: Option<String>,
    /// The MIME type, when the sender said.
    pub mimetype: Option<String>,
    /// What the server it was downloaded from said it is.
    pub content_type: Option<String>,
    /// The name that this server gave it.
    pub source_name: Option<String>,
    /// The names in its URLs, as in [`FetchedFile::url_names`].
    pub url_names: Vec<String>,
}

/// A file that is fit to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyMedia {
    /// The file; not the original where it had to be converted.
    pub file: TempMedia,
    /// Image, video, audio, voice, document or sticker.
    pub kind: ContentKind,
    /// Its MIME type.
    pub mimetype: String,
    /// The name the recipient sees; always there for documents.
    pub filename: Option<String>,
    /// How long it plays, where that is known.
    pub seconds: Option<u32>,
    /// The shape of a voice note: 64 loudness values from 0 to 100.
    pub waveform: Option<Vec<u8>>,
    /// Width and height of an image, a video or a sticker, in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// What phones show of it before they fetch it.
    pub preview: Preview,
}

/// What a file that was sent has turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Image, video, audio, voice, document or sticker.
    pub kind: ContentKind,
    /// The name the recipient sees.
    pub filename: Option<String>,
    /// Its MIME type.
    pub mimetype: String,
    /// Its size in bytes.
    pub size: u64,
    /// How long it plays.
    pub seconds: Option<u32>,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// How many pages a PDF has.
    pub pages: Option<u32>,
}

impl From<&ReadyMedia> for FileFacts {
    fn from(ready: &ReadyMedia) -> Self {
        Self {
            kind: ready.kind,
            filename: ready.filename.clone(),
            mimetype: ready.mimetype.clone(),
            size: ready.file.size,
            seconds: ready.seconds,
            dimensions: ready.dimensions,
            pages: ready.preview.pages,
        }
    }
}

/// What phones show of a file before they fetch it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// A small picture of an image, as JPEG.
    pub thumbnail: Option<Arc<[u8]>>,
    /// How many pages a PDF has.
    pub pages: Option<u32>,
    /// Whether a sticker moves.
    pub is_animated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_they_are_meant() {
        let cases = [
            ("https://a.example/b?c=d", "https://a.example/b?c=d"),
            (" https://a.example/b\r\n", "https://a.example/b"),
            ("\u{feff}https://a.example/b\u{a0}\u{200b}", "https://a.example/b"),
            ("\thttps://a.example/my file (1).pdf\t", "https://a.example/my%20file%20(1).pdf"),
            ("https://a.example/\nb", "https://a.example/b"),
            ("https://a.example/é", "https://a.example/é"),
            (" \n", ""),
        ];
        for (given, meant) in cases {
            assert_eq!(cleaned_url(given.to_owned()), meant, "{given:?}");
        }
    }

    #[test]
    fn files_have_the_documented_sizes() {
        assert_eq!((MEDIA_BYTES_MAX, INLINE_MEDIA_BYTES_MAX), (104_857_600, 16_777_216));
    }

    #[test]
    fn a_file_on_the_disk_is_the_same_where_its_path_is() {
        let file = |path: &str, size| TempMedia { path: path.into(), size, guard: Arc::new(()) };
        assert_eq!(file("/tmp/a", 3), file("/tmp/a", 3));
        assert_ne!(file("/tmp/a", 3), file("/tmp/b", 3));
    }
}
