//! Media files: ciphertext on disk, under a name derived from its address.
//!
//! Uploads stream to a temporary file and appear, whole and synced, by a rename; downloads
//! stream back, and files are opened piece by piece. Only a file that the control API brings in
//! as base64 is ever held in memory.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::encrypt_media_streaming;

use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, conflict, not_found};
use crate::limits::MEDIA_BYTES_MAX;
use crate::phone::content::{Content, PlainFile};

const CHUNK_BYTES: usize = 64 * 1024;
const TEMPORARY_PREFIX: &str = "upload-";
const TOKEN_CHARS_MAX: usize = 512;
/// The kind of what the service puts there; none of it is checked.
const QUERY: &str = "ccb=11-4&oh=01_simulator&oe=7FFFFFFF&_nc_sid=0";

/// The directory of media files.
#[derive(Clone)]
pub(crate) struct MediaStore {
    dir: PathBuf,
}

/// The fields of a message that describe an encrypted file.
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
    /// Opens or creates `dir`, and removes uploads that an earlier process left unfinished.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir)?;
        // One of an earlier release is open to all.
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(MediaStore { dir })
    }

    /// The address of a file. `token` is used as the client wrote it. It carries a query, as the
    /// service's do: clients append parameters of their own with `&`.
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
        let token = token.split('&').next().unwrap_or_default();
        format!("/mms/{}/{}?{QUERY}", safe(kind), safe(token))
    }

    fn path(&self, direct_path: &str) -> PathBuf {
        let path = direct_path.split('?').next().unwrap_or_default();
        self.dir.join(hex::encode(Sha256::digest(path.as_bytes())))
    }

    /// Whether a file is stored.
    pub(crate) async fn exists(&self, direct_path: &str) -> bool {
        fs::try_exists(self.path(direct_path)).await.unwrap_or(false)
    }

    fn partial(&self, direct_path: &str) -> PathBuf {
        self.path(direct_path).with_extension("part")
    }

    fn temporary(&self) -> PathBuf {
        self.dir.join(format!("{TEMPORARY_PREFIX}{}", clock::message_id()))
    }

    /// The stored bytes of an interrupted upload.
    pub(crate) async fn partial_bytes(&self, direct_path: &str) -> u64 {
        fs::metadata(self.partial(direct_path)).await.map_or(0, |found| found.len())
    }

    /// Stores a stream of bytes, from `offset` on when an earlier upload was interrupted there. An
    /// interrupted upload keeps its bytes, so that the client can resume.
    pub(crate) async fn store<E: std::fmt::Display>(
        &self,
        direct_path: &str,
        offset: u64,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<()> {
        let temporary = self.temporary();
        if offset > 0 {
            let missing = |_| bad_request("there is no upload to resume");
            fs::rename(self.partial(direct_path), &temporary).await.map_err(missing)?;
        }
        let outcome = receive(&temporary, offset, body).await;
        match &outcome {
            Ok(()) => {
                let _ = fs::remove_file(self.partial(direct_path)).await;
                fs::rename(&temporary, self.path(direct_path)).await?;
            }
            Err(SimulatorError::Disconnected(_)) => {
                fs::rename(&temporary, self.partial(direct_path)).await?;
            }
            Err(_) => {
                let _ = fs::remove_file(&temporary).await;
            }
        }
        outcome
    }

    fn kept(&self, direct_path: &str) -> PathBuf {
        self.path(direct_path).with_extension("kept")
    }

    /// The hosts have a file no longer; the phone keeps it, unless it has deleted it as well.
    pub(crate) fn forget(&self, direct_path: &str, is_kept_by_phone: bool) -> Result<()> {
        let path = self.path(direct_path);
        let outcome = match is_kept_by_phone {
            true => std::fs::rename(&path, self.kept(direct_path)),
            false => std::fs::remove_file(path),
        };
        outcome.map_err(|_| not_found("there is no such file"))
    }

    /// A phone uploads a file of one of its messages once more; the new address, if it has the file.
    pub(crate) fn upload_again(&self, direct_path: &str, kind: &str) -> Option<String> {
        let new = self.direct_path(media_type(kind).mms_type(), &clock::message_id());
        let files = [self.kept(direct_path), self.path(direct_path)];
        files.iter().any(|file| std::fs::hard_link(file, self.path(&new)).is_ok()).then_some(new)
    }

    /// Opens a file; returns it and its size in bytes.
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
        let temporary = self.temporary();
        let target = temporary.clone();
        let sealed = blocking(move || {
            let mut file = std::fs::File::create(target)?;
            let sealed = encrypt_media_streaming(&plain[..], &mut file, kind)
                .map_err(|error| SimulatorError::Internal(error.to_string()))?;
            file.sync_all()?;
            Ok(sealed)
        });
        let sealed = sealed.await?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(sealed.file_enc_sha256);
        let direct_path = self.direct_path(kind.mms_type(), &token);
        fs::rename(&temporary, self.path(&direct_path)).await?;
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

    /// Stores a small file of the simulator's own; its address.
    pub(crate) fn keep(&self, kind: MediaType, token: &str, sealed: &[u8]) -> Result<String> {
        let direct_path = self.direct_path(kind.mms_type(), token);
        let temporary = self.temporary();
        std::fs::write(&temporary, sealed)?;
        std::fs::rename(&temporary, self.path(&direct_path))?;
        Ok(direct_path)
    }

    /// Opens the file of a message as a phone does: all its hashes must hold.
    pub(crate) async fn check(&self, content: &Content) -> Result<PlainFile> {
        self.open_into(content, std::io::sink()).await
    }

    /// The plain file of a message and its size, checked, ready to be read.
    pub(crate) async fn unseal(&self, content: &Content) -> Result<(File, u64)> {
        if let Some(failure) = content.media.as_ref().and_then(|media| media.failure.clone()) {
            return Err(conflict(failure));
        }
        let temporary = self.temporary();
        let target = std::fs::File::create(&temporary)?;
        let opened = self.open_into(content, target).await;
        let file = File::open(&temporary).await;
        // The open file outlives its name.
        fs::remove_file(&temporary).await?;
        Ok((file?, opened?.size))
    }

    async fn open_into(
        &self,
        content: &Content,
        target: impl io::Write + Send + 'static,
    ) -> Result<PlainFile> {
        let media = content.media.as_ref().ok_or_else(|| not_found("that message has no media"))?;
        let file = match self.open_file(&media.direct_path).await {
            Ok((file, _)) => file,
            Err(error) => File::open(self.kept(&media.direct_path)).await.map_err(|_| error)?,
        };
        let file = file.into_std().await;
        let key = BASE64_STANDARD.decode(&media.media_key).unwrap_or_default();
        let (kind, enc_sha256) = (media_type(&content.kind), media.enc_sha256.clone());
        let sha256 = content.sha256.clone();
        let opened = move || {
            let mut source = Digesting::new(file);
            // The library writes block by block.
            let mut plain = io::BufWriter::with_capacity(CHUNK_BYTES, Digesting::new(target));
            let size = DownloadUtils::decrypt_stream_to_writer(&mut source, &key, kind, &mut plain)
                .map_err(|error| bad_request(format!("the file does not open: {error}")))?;
            let plain_digest = plain.into_inner().map_err(io::IntoInnerError::into_error)?;
            let sealed = source.finish();
            let plain = PlainFile { size, sha256: plain_digest.finish() };
            let other = |claimed: Option<String>, real: &str| claimed.is_some_and(|c| c != real);
            if other(enc_sha256, &sealed) || other(sha256, &plain.sha256) {
                return Err(bad_request("the file is not the one the message names"));
            }
            Ok(plain)
        };
        blocking(opened).await
    }
}

/// The keys of a file depend on its kind.
fn media_type(kind: &str) -> MediaType {
    match kind {
        "image" => MediaType::Image,
        "video" => MediaType::Video,
        "audio" => MediaType::Audio,
        "sticker" => MediaType::Sticker,
        _ => MediaType::Document,
    }
}

/// Runs blocking work on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SimulatorError::Internal(error.to_string()))?
}

/// A reader or writer that computes the SHA-256 of its bytes.
struct Digesting<T> {
    inner: T,
    digest: Sha256,
}

impl<T> Digesting<T> {
    fn new(inner: T) -> Self {
        Digesting { inner, digest: Sha256::new() }
    }

    /// In hexadecimal.
    fn finish(self) -> String {
        hex::encode(self.digest.finalize())
    }
}

impl<T: io::Read> io::Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

impl<T: io::Write> io::Write for Digesting<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Writes an upload to `path`, synced.
async fn receive<E: std::fmt::Display>(
    path: &std::path::Path,
    offset: u64,
    mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path).await?;
    if file.metadata().await?.len() < offset {
        return Err(bad_request("file_offset is beyond what is here"));
    }
    file.set_len(offset).await?;
    file.seek(io::SeekFrom::Start(offset)).await?;
    let mut size = offset;
    while let Some(chunk) = body.next().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                file.flush().await?;
                return Err(SimulatorError::Disconnected(format!("the upload: {error}")));
            }
        };
        size += chunk.len() as u64;
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
    Ok(())
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
