//! Files on their way out: encrypted onto the disk, then uploaded from there, in constant memory.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use domain::ids::DeviceId;
use domain::media::{ReadyMedia, TempMedia};
use domain::message::ContentKind;
use domain::ports::SendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use wacore::upload::{EncryptedMediaInfo, UploadSource, encrypt_media_streaming};
use whatsapp_rust::Client;
use whatsapp_rust::download::MediaType;
use whatsapp_rust::upload::UploadResponse;

use crate::errors;
use crate::limits::{UPLOAD_MAX, UPLOAD_PIECE_BYTES};

/// Uploads a file and returns what a message must carry so that the recipient can download it.
pub(crate) async fn upload(
    device: DeviceId,
    client: &Client,
    permits: &Arc<Semaphore>,
    media: &ReadyMedia,
) -> Result<UploadResponse, SendError> {
    let kind = media_type(media.kind);
    let work = async {
        let permit = permits.clone().acquire_owned().await.ok();
        let file = media.file.clone();
        let encrypted = tokio::task::spawn_blocking(move || encrypt(&file, kind, permit)).await;
        let Ok(Ok((source, info))) = encrypted else {
            return Err(SendError::Temporary("the file could not be encrypted".to_owned()));
        };
        let uploaded = client.upload_stream(source, info, kind).await;
        uploaded.map_err(|error| {
            // The library's own text may name hosts and paths with tokens.
            let error = errors::upload_error(error.as_ref());
            tracing::debug!(%device, %error, "a file could not be uploaded");
            error
        })
    };
    let late = || SendError::Temporary("the file could not be uploaded in time".to_owned());
    timeout(UPLOAD_MAX, work).await.unwrap_or_else(|_| Err(late()))
}

fn media_type(kind: ContentKind) -> MediaType {
    match kind {
        ContentKind::Image => MediaType::Image,
        ContentKind::Video => MediaType::Video,
        ContentKind::Audio | ContentKind::Voice => MediaType::Audio,
        ContentKind::Sticker => MediaType::Sticker,
        _ => MediaType::Document,
    }
}

/// Encrypts into a nameless file beside the original.
fn encrypt(
    file: &TempMedia,
    kind: MediaType,
    permit: Option<OwnedSemaphorePermit>,
) -> anyhow::Result<(Encrypted, EncryptedMediaInfo)> {
    let plain = File::open(&file.path)?;
    let dir = file.path.parent().unwrap_or_else(|| std::path::Path::new("."));
    // The library writes block by block.
    let mut sealed = BufWriter::with_capacity(UPLOAD_PIECE_BYTES, tempfile::tempfile_in(dir)?);
    let info = encrypt_media_streaming(plain, &mut sealed, kind)?;
    let sealed = sealed.into_inner().map_err(io::IntoInnerError::into_error)?;
    let size = sealed.metadata()?.len();
    Ok((Encrypted { file: Arc::new(sealed), size, _permit: permit }, info))
}

/// An encrypted file; it holds its permit as long as it takes space on the disk.
struct Encrypted {
    file: Arc<File>,
    size: u64,
    _permit: Option<OwnedSemaphorePermit>,
}

impl UploadSource for Encrypted {
    fn len(&self) -> u64 {
        self.size
    }

    fn reader_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(ReaderAt { file: self.file.clone(), offset }))
    }
}

/// Reads from an offset of its own, independent of other readers of the file.
struct ReaderAt {
    file: Arc<File>,
    offset: u64,
}

impl Read for ReaderAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::download::DownloadUtils;

    #[test]
    fn a_file_is_encrypted_beside_the_original_and_readable_from_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plain");
        let plain: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &plain).unwrap();
        let file = TempMedia { path, size: plain.len() as u64, guard: Arc::new(()) };
        let (source, info) = encrypt(&file, MediaType::Document, None).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "the encrypted file has no name");
        let mut whole = Vec::new();
        source.reader_from(0).unwrap().read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len() as u64, source.len());
        let mut rest = Vec::new();
        source.reader_from(100_000).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, whole[100_000..]);
        let key = info.media_key;
        let back = DownloadUtils::decrypt_stream(&whole[..], &key, MediaType::Document).unwrap();
        assert!(back == plain);
    }
}
