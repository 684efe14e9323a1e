//! Media files: ciphertext on disk, under a name made of the address it was given.
//!
//! Uploads stream to a temporary file and appear, whole and synced, by a rename; downloads
//! stream back. Only the control API holds a file in memory, to open it.

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::encrypt_media;

use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, not_found};
use crate::limits::MEDIA_BYTES_MAX;
use crate::phone::content::Content;

const CHUNK_BYTES: usize = 64 * 1024;
const TOKEN_CHARS_MAX: usize = 512;

/// The directory of media files.
#[derive(Clone)]
pub(crate) struct MediaStore {
    dir: PathBuf,
}

/// What a message says about an encrypted file.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(crate) media_key: Vec<u8>,
    pub(crate) file_sha256: Vec<u8>,
    pub(crate) file_enc_sha256: Vec<u8>,
    pub(crate) file_length: u64,
}

/// An encrypted file and where it is.
pub(crate) struct StoredMedia {
    pub(crate) direct_path: String,
    pub(crate) sealed: Sealed,
}

impl MediaStore {
    /// Uses, or makes, `dir`.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(MediaStore { dir })
    }

    /// The address of a file. `token` is taken as the client wrote it.
    pub(crate) fn direct_path(&self, kind: &str, token: &str) -> String {
        let safe = |text: &str| -> String {
            let url_safe = text.chars().map(|c| match c {
                '+' => '-',
                '/' => '_',
                c => c,
            });
            let kept = url_safe.filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c));
            kept.take(TOKEN_CHARS_MAX).collect()
        };
        format!("/mms/{}/{}", safe(kind), safe(token))
    }

    fn path(&self, direct_path: &str) -> PathBuf {
        let path = direct_path.split('?').next().unwrap_or_default();
        self.dir.join(hex::encode(Sha256::digest(path.as_bytes())))
    }

    /// Whether a file is here.
    pub(crate) async fn exists(&self, direct_path: &str) -> bool {
        fs::try_exists(self.path(direct_path)).await.unwrap_or(false)
    }

    /// Stores a stream of bytes.
    pub(crate) async fn store<E: std::fmt::Display>(
        &self,
        direct_path: &str,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<()> {
        let temporary = self.dir.join(format!("upload-{}", clock::message_id()));
        let mut file = File::create(&temporary).await?;
        let outcome = async {
            let mut size = 0;
            while let Some(chunk) = body.next().await {
                let chunk = chunk.map_err(|error| bad_request(format!("the upload: {error}")))?;
                size += chunk.len();
                if size > MEDIA_BYTES_MAX {
                    return Err(bad_request(format!("a file has at most {MEDIA_BYTES_MAX} bytes")));
                }
                file.write_all(&chunk).await?;
            }
            if size == 0 {
                return Err(bad_request("an empty upload"));
            }
            file.flush().await?;
            file.sync_all().await?;
            fs::rename(&temporary, self.path(direct_path)).await?;
            Ok(())
        };
        let outcome = outcome.await;
        if outcome.is_err() {
            let _ = fs::remove_file(&temporary).await;
        }
        outcome
    }

    /// Opens a file: it, and its size.
    pub(crate) async fn open_file(&self, direct_path: &str) -> Result<(File, u64)> {
        let file = match File::open(self.path(direct_path)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(not_found("there is no such file"));
            }
            other => other?,
        };
        let size = file.metadata().await?.len();
        Ok((file, size))
    }

    /// Encrypts and stores a phone's own file.
    pub(crate) async fn seal(&self, plain: Vec<u8>, kind: MediaType) -> Result<StoredMedia> {
        let file_length = plain.len() as u64;
        let sealed = tokio::task::spawn_blocking(move || encrypt_media(&plain, kind));
        let sealed = sealed
            .await
            .map_err(|error| SimulatorError::Internal(error.to_string()))?
            .map_err(|error| SimulatorError::Internal(error.to_string()))?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(sealed.file_enc_sha256);
        let direct_path = self.direct_path(kind.mms_type(), &token);
        let once = futures_util::stream::iter([Ok::<_, io::Error>(sealed.data_to_upload.into())]);
        self.store(&direct_path, once).await?;
        Ok(StoredMedia {
            direct_path,
            sealed: Sealed {
                media_key: sealed.media_key.to_vec(),
                file_sha256: sealed.file_sha256.to_vec(),
                file_enc_sha256: sealed.file_enc_sha256.to_vec(),
                file_length,
            },
        })
    }

    /// The plain file of a message, checked against its hashes.
    pub(crate) async fn unseal(&self, content: &Content) -> Result<Vec<u8>> {
        let media = content.media.as_ref().ok_or_else(|| not_found("that message has no media"))?;
        let kind = match &*content.kind {
            "image" => MediaType::Image,
            "video" => MediaType::Video,
            "audio" => MediaType::Audio,
            "sticker" => MediaType::Sticker,
            _ => MediaType::Document,
        };
        let key = BASE64_STANDARD.decode(&media.media_key).unwrap_or_default();
        let (mut file, _) = self.open_file(&media.direct_path).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await?;
        let expected = content.sha256.clone();
        let opened = tokio::task::spawn_blocking(move || {
            DownloadUtils::verify_and_decrypt_in_place(&mut bytes, &key, kind)
                .map_err(|error| bad_request(format!("the file does not open: {error}")))?;
            let digest = hex::encode(Sha256::digest(&bytes));
            match expected {
                Some(expected) if expected != digest => {
                    Err(bad_request("the file is not the one the message names"))
                }
                _ => Ok(bytes),
            }
        });
        opened.await.map_err(|error| SimulatorError::Internal(error.to_string()))?
    }
}

/// A file's content, piece by piece.
pub(crate) fn file_stream(file: File) -> impl Stream<Item = io::Result<Bytes>> {
    unfold(Some(file), |file| async {
        let mut file = file?;
        let mut chunk = vec![0; CHUNK_BYTES];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(chunk.into()), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}
