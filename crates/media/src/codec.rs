//! The port: one file in, one file ready to send out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::media::{MediaWish, Preview, ReadyMedia, TempMedia};
use domain::message::ContentKind;
use domain::ports::{FileError, MediaCodec};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use crate::format::Format;
use crate::kind::{described, failure, kind_of};
use crate::length::{self, mpeg4};
use crate::voice::{self, Stop};
use crate::{container, pages, picture, thumbnail};

/// The error for files that cannot be read.
const UNREADABLE: &str = "the file cannot be read";
/// The error for what no picture is made of.
const NO_PICTURE: &str = "it is no JPEG, PNG or WebP that can be decoded, or has too many pixels";

/// The error for what phones show nothing of.
const CUT_OFF: &str = "the picture is cut off";
/// Longest picture that is looked at for its end, in bytes.
const LOOKED_AT_MAX: u64 = 16 << 20;

/// Why the codec cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("the folder for converted files cannot be used: {0}")]
pub struct SetupError(#[from] io::Error);

/// Decides what files are, and converts voice notes.
pub struct Codec {
    temp_dir: PathBuf,
    /// A picture is decoded in memory, so that one is at a time.
    pictures: Semaphore,
}

impl Codec {
    /// Creates a codec that puts converted files into `temp_dir`, a folder that no other process
    /// uses. It is created when it is missing, and files that an earlier process left are removed.
    pub fn new(temp_dir: PathBuf) -> Result<Self, SetupError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&temp_dir)?;
        voice::remove_leftovers(&temp_dir)?;
        Ok(Self { temp_dir, pictures: Semaphore::new(1) })
    }

    /// Replaces a file by the voice note made from it.
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

    /// With a small picture of it.
    async fn with_thumbnail(
        &self,
        mut ready: ReadyMedia,
        format: Format,
    ) -> Result<ReadyMedia, FileError> {
        let _turn = self.pictures.acquire().await;
        let file = ready.file.clone();
        // A JPEG is decoded as far as it goes, which says nothing of its end.
        let make = move || match is_cut_off(&file) {
            true => Err(FileError::Permanent(failure(CUT_OFF))),
            false => Ok(thumbnail::of_image(format, &file.path)),
        };
        let made = spawn_blocking(make).await;
        // Without one the image is shown grey until it has been fetched.
        ready.preview.thumbnail = made.unwrap_or(Ok(None))?.map(Into::into);
        Ok(ready)
    }

    /// A sticker that goes as it is, unless it is cut off.
    async fn whole(&self, ready: ReadyMedia) -> Result<ReadyMedia, FileError> {
        let _turn = self.pictures.acquire().await;
        let file = ready.file.clone();
        match spawn_blocking(move || is_cut_off(&file)).await {
            Ok(true) => Err(FileError::Permanent(failure(CUT_OFF))),
            _ => Ok(ready),
        }
    }

    /// Replaces an image by the sticker made from it.
    async fn as_sticker(&self, ready: ReadyMedia, format: Format) -> Result<ReadyMedia, FileError> {
        let _turn = self.pictures.acquire().await;
        let (temp_dir, source) = (self.temp_dir.clone(), ready.file.clone());
        let make = move || {
            if is_cut_off(&source) {
                return Err(FileError::Permanent(failure(CUT_OFF)));
            }
            let disk = |_| FileError::Temporary("the sticker could not be written".to_owned());
            let target = voice::new_file(&temp_dir).map_err(disk)?;
            let words = "the image cannot be decoded, or has too many pixels";
            thumbnail::make_sticker(format, &source.path, target.as_file())
                .ok_or_else(|| FileError::Permanent(failure(words)))?;
            temp_media(target.into_temp_path()).map_err(disk)
        };
        let made = spawn_blocking(make).await;
        let file = made.map_err(|error| broke_down(&error, UNREADABLE))??;
        let dimensions = Some((thumbnail::STICKER_SIDE, thumbnail::STICKER_SIDE));
        Ok(ReadyMedia { file, dimensions, ..ready })
    }
}

#[async_trait]
impl MediaCodec for Codec {
    async fn prepare(&self, file: TempMedia, wish: MediaWish) -> Result<ReadyMedia, FileError> {
        let looked = spawn_blocking(move || look(file, &wish)).await;
        let (ready, format) = looked.map_err(|error| broke_down(&error, UNREADABLE))??;
        match ready.kind {
            ContentKind::Voice => self.as_voice(ready, format).await,
            ContentKind::Image => self.with_thumbnail(ready, format).await,
            ContentKind::Sticker if format != Format::Webp => self.as_sticker(ready, format).await,
            ContentKind::Sticker => self.whole(ready).await,
            _ => Ok(ready),
        }
    }

    async fn make_small(&self, image: Vec<u8>) -> Option<Vec<u8>> {
        let _turn = self.pictures.acquire().await;
        let make = move || {
            let format = Format::of(&image);
            thumbnail::of_bytes(format, &image)
        };
        spawn_blocking(make).await.ok().flatten()
    }

    async fn make_picture(&self, file: TempMedia) -> Result<Vec<u8>, FileError> {
        let _turn = self.pictures.acquire().await;
        let make = move || {
            if is_cut_off(&file) {
                return Err(CUT_OFF);
            }
            let head = head(&file.path).map_err(|_| NO_PICTURE)?;
            thumbnail::make_square(Format::of(&head), &file.path).ok_or(NO_PICTURE)
        };
        let made = spawn_blocking(make).await.map_err(|error| broke_down(&error, NO_PICTURE))?;
        made.map_err(|words| FileError::Permanent(failure(words)))
    }
}

/// A panic is permanent: the same file causes it every time.
fn broke_down(error: &JoinError, words: &str) -> FileError {
    tracing::error!(%error, "a file made its conversion panic");
    if error.is_panic() {
        FileError::Permanent(failure(words))
    } else {
        FileError::Temporary(words.to_owned())
    }
}

/// Inspects a file: its kind, and what its headers say.
fn look(file: TempMedia, wish: &MediaWish) -> Result<(ReadyMedia, Format), FileError> {
    let head = head(&file.path).map_err(|error| {
        tracing::error!(%error, "a file to be sent cannot be read");
        FileError::Temporary(UNREADABLE.to_owned())
    })?;
    if head.is_empty() {
        return Err(FileError::Permanent(failure("the file is empty")));
    }
    let format = Format::of(&head);
    let format = without_pictures(container::look_inside(format, &file.path), &file.path);
    let kind = kind_of(format, wish).map_err(FileError::Permanent)?;
    let (mimetype, filename) = described(format, kind, wish);
    let plays = matches!(kind, ContentKind::Audio | ContentKind::Video);
    let seconds = plays.then(|| length::seconds(format, &file.path)).flatten();
    let dimensions = match kind {
        ContentKind::Image | ContentKind::Sticker => picture::dimensions(format, &head),
        ContentKind::Video => {
            mpeg4::movie(&file.path).ok().flatten().and_then(|movie| movie.dimensions)
        }
        _ => None,
    };
    let is_pdf = kind == ContentKind::Document && format == Format::Pdf;
    let preview = Preview {
        pages: is_pdf.then(|| pages::count(&file.path)).flatten(),
        is_animated: kind == ContentKind::Sticker && picture::is_animated(format, &head),
        ..Preview::default()
    };
    let waveform = None;
    let ready =
        ReadyMedia { file, kind, mimetype, filename, seconds, waveform, dimensions, preview };
    Ok((ready, format))
}

/// A sound recorder writes the same brand as a camera.
fn without_pictures(format: Format, path: &Path) -> Format {
    let audio = match format {
        Format::Mp4 => Format::M4a,
        Format::ThreeGp => Format::ThreeGpAudio,
        _ => return format,
    };
    match mpeg4::movie(path) {
        Ok(Some(movie)) if movie.has_sound && !movie.has_pictures => audio,
        _ => format,
    }
}

/// Whether a picture ends before its end.
fn is_cut_off(file: &TempMedia) -> bool {
    file.size <= LOOKED_AT_MAX
        && std::fs::read(&file.path).is_ok_and(|bytes| domain::picture::is_cut_off(&bytes))
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(picture::HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// A converted file.
pub(crate) fn temp_media(path: tempfile::TempPath) -> io::Result<TempMedia> {
    let size = std::fs::metadata(&path)?.len();
    Ok(TempMedia { path: path.to_path_buf(), size, guard: Arc::new(path) })
}
