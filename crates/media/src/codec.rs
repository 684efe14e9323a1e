//! The port: one file in, one file out that is fit to be sent.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::media::{MediaWish, ReadyMedia, TempMedia};
use domain::message::ContentKind;
use domain::ports::{FileError, MediaCodec};
use tokio::task::{JoinError, spawn_blocking};

use crate::format::{self, Format};
use crate::kind::{failure, filename_of, kind_of, mimetype_of};
use crate::voice::{self, Stop};
use crate::{length, picture};

/// What is said of files that cannot be looked at.
const UNREADABLE: &str = "the file cannot be read";

/// Why the codec cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the folder for converted files cannot be used: {0}")]
pub struct SetupError(#[from] io::Error);

/// Decides what files are, and converts voice notes.
pub struct Codec {
    temp_dir: PathBuf,
}

impl Codec {
    /// Makes a codec that puts converted files into `temp_dir`, a folder of this process alone. It
    /// is made when there is none, and what an earlier process left of its own is removed.
    pub fn new(temp_dir: PathBuf) -> Result<Self, SetupError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&temp_dir)?;
        voice::remove_leftovers(&temp_dir)?;
        Ok(Self { temp_dir })
    }

    /// Puts a voice note into the place of what it was made of.
    async fn as_voice(&self, ready: ReadyMedia, format: Format) -> Result<ReadyMedia, FileError> {
        // Dropped with this future, and the conversion ends soon after.
        let stop = Stop::default();
        let (stopped, temp_dir) = (stop.flag(), self.temp_dir.clone());
        let source = ready.file.clone();
        let made = spawn_blocking(move || voice::make(&source, format, &temp_dir, &stopped));
        let note = made.await.map_err(|error| broke_down(&error, voice::UNREADABLE))??;
        Ok(ReadyMedia {
            file: note.file,
            seconds: Some(note.seconds),
            waveform: Some(note.waveform),
            ..ready
        })
    }
}

#[async_trait]
impl MediaCodec for Codec {
    async fn prepare(&self, file: TempMedia, wish: MediaWish) -> Result<ReadyMedia, FileError> {
        let looked = spawn_blocking(move || look(file, &wish)).await;
        let (ready, format) = looked.map_err(|error| broke_down(&error, UNREADABLE))??;
        match ready.kind {
            ContentKind::Voice => self.as_voice(ready, format).await,
            _ => Ok(ready),
        }
    }
}

/// What is said when work on a file came to no end: a file that makes it panic does so every time.
fn broke_down(error: &JoinError, words: &str) -> FileError {
    tracing::error!(%error, "work on a file broke down");
    if error.is_panic() {
        FileError::Permanent(failure(words))
    } else {
        FileError::Temporary(words.to_owned())
    }
}

/// Looks at a file: what it is, and what its headers say of it.
fn look(file: TempMedia, wish: &MediaWish) -> Result<(ReadyMedia, Format), FileError> {
    let head = head(&file.path).map_err(|error| {
        tracing::error!(%error, "a file to be sent cannot be read");
        FileError::Temporary(UNREADABLE.to_owned())
    })?;
    if head.is_empty() {
        return Err(FileError::Permanent(failure("the file is empty")));
    }
    let format = Format::of(&head[..head.len().min(format::HEAD_BYTES)]);
    let kind = kind_of(format, wish).map_err(FileError::Permanent)?;
    let mimetype = mimetype_of(format, kind, wish);
    let filename = filename_of(kind, &mimetype, wish);
    let plays = matches!(kind, ContentKind::Audio | ContentKind::Video);
    let seconds = plays.then(|| length::seconds(format, &file.path)).flatten();
    let is_image = kind == ContentKind::Image;
    let dimensions = is_image.then(|| picture::dimensions(format, &head)).flatten();
    let ready = ReadyMedia { file, kind, mimetype, filename, seconds, waveform: None, dimensions };
    Ok((ready, format))
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(picture::HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// A file that was made here.
pub(crate) fn temp_media(path: tempfile::TempPath) -> io::Result<TempMedia> {
    let size = std::fs::metadata(&path)?.len();
    Ok(TempMedia { path: path.to_path_buf(), size, guard: Arc::new(path) })
}
