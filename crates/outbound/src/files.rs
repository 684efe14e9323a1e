//! Downloads a file into a temporary one.
//!
//! What was compressed for the way is opened, and its limit is that of the opened bytes.

use std::path::Path;
use std::sync::Arc;

use domain::media::{FetchedFile, TempMedia};
use domain::message::Failure;
use domain::ports::FileError;
use domain::service::DOWNLOAD_FAILED;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, StatusCode, Url};
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::client::{HttpOutbound, Limits};
use crate::disposition::{Disposition, last_segment};
use crate::encoding::{self, Coding, NotOpened};
use crate::page::{Label, PAGE_BYTES};
use crate::temp;

/// Most redirects that are followed; each is judged like the first URL.
const REDIRECTS_MAX: usize = 3;
/// How much is gathered before it is written.
const WRITE_BYTES: usize = 256 * 1024;
/// How often, in bytes, the free space is looked at.
const SPACE_CHECK_BYTES: u64 = 8 * 1024 * 1024;
/// Opened pieces that wait to be written.
const PIECES_MAX: usize = 4;
/// Every byte beyond ASCII is in the set anyway.
const NON_ASCII: &AsciiSet = CONTROLS;

/// Why there is no file. Customers see these texts; none reveals what is inside a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The request failed, for any reason of the network or the server.
    #[error("{DOWNLOAD_FAILED}")]
    Failed,
    /// The link leads to a page, such as a preview or a sign-in.
    #[error("the link answers with a web page, not a file; a direct link is needed")]
    WebPage,
    /// More than [`Limits::file_bytes_max`].
    #[error("the file is larger than 100 MB")]
    TooLarge,
    /// Longer than [`Limits::download_max`].
    #[error("the download took longer than 30 seconds")]
    TooSlow,
    /// This machine's disk is broken.
    #[error("the file could not be stored")]
    NotStored,
    /// Less than [`Limits::min_free_bytes`].
    #[error("the disk of the gateway is nearly full: the file could not be stored")]
    DiskFull,
}

impl From<FetchError> for FileError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NotStored | FetchError::DiskFull => Self::Temporary(error.to_string()),
            FetchError::Failed
            | FetchError::WebPage
            | FetchError::TooLarge
            | FetchError::TooSlow => {
                Self::Permanent(Failure::new(Failure::MEDIA, error.to_string()))
            }
        }
    }
}

/// Logs why a file was not fetched; customers see [`FetchError`], which reveals less.
fn not_fetched(why: &str) {
    tracing::info!(why, "a file could not be fetched");
}

fn lost(error: &reqwest::Error) -> FetchError {
    not_fetched(&crate::webhooks::reason(error));
    FetchError::Failed
}

impl HttpOutbound {
    pub(crate) async fn save_bytes(&self, bytes: Vec<u8>) -> Result<TempMedia, FetchError> {
        let mut saving = Saving::start(self, Label::File)?;
        saving.add(&bytes).await?;
        saving.finish().await
    }

    pub(crate) async fn download(&self, url: &str) -> Result<FetchedFile, FetchError> {
        let asked = self.guard.check(url).map_err(|_| FetchError::Failed)?;
        let download = async {
            let (answer, answered) = self.follow(asked.clone()).await?;
            let mut url_names: Vec<_> =
                [&answered, &asked].into_iter().filter_map(last_segment).collect();
            url_names.dedup();
            self.save(answer, url_names).await
        };
        tokio::time::timeout(self.limits.download_max, download)
            .await
            .unwrap_or(Err(FetchError::TooSlow))
    }

    /// Asks for a file, through redirects. Returns the answer and the URL it came from.
    pub(crate) async fn follow(&self, mut url: Url) -> Result<(Response, Url), FetchError> {
        for _ in 0..=REDIRECTS_MAX {
            let request = self.client_for(&url).get(url.clone());
            let request = request.header(ACCEPT_ENCODING, "identity");
            let answer = request.send().await.map_err(|error| lost(&error))?;
            match answer.status() {
                // These three have no file, or a part of it.
                StatusCode::NO_CONTENT
                | StatusCode::RESET_CONTENT
                | StatusCode::PARTIAL_CONTENT => break,
                status if status.is_success() => return Ok((answer, url)),
                status if status.is_redirection() => {
                    let target = answer.headers().get(LOCATION).ok_or(FetchError::Failed)?;
                    url = url.join(&target_of(target)).map_err(|_| FetchError::Failed)?;
                    self.guard.check_parsed(&url).map_err(|_| FetchError::Failed)?;
                }
                status => {
                    not_fetched(&format!("the server answered {}", status.as_u16()));
                    break;
                }
            }
        }
        Err(FetchError::Failed)
    }

    async fn save(
        &self,
        mut answer: Response,
        url_names: Vec<String>,
    ) -> Result<FetchedFile, FetchError> {
        let headers = answer.headers();
        if answer.content_length().is_some_and(|size| size > self.limits.file_bytes_max) {
            return Err(FetchError::TooLarge);
        }
        let content_type = essence(headers);
        let Disposition { is_attachment, filename } = Disposition::of(headers);
        // Servers call archives compressed for the way that are to be saved as they are.
        let is_archive = content_type.as_deref().is_some_and(|essence| essence.contains("gzip"))
            || filename.iter().chain(&url_names).any(|name| has_gzip_ending(name));
        let codings = if is_archive { Vec::new() } else { encoding::codings(headers)? };
        let label = Label::of(is_attachment, content_type.as_deref().unwrap_or_default());
        let is_plain = codings.is_empty();
        let mut saving = Saving::start(self, if is_plain { label } else { Label::File })?;
        while let Some(chunk) = answer.chunk().await.map_err(|error| lost(&error))? {
            saving.add(&chunk).await?;
        }
        let saved = saving.finish().await?;
        let file = if is_plain { saved } else { self.opened(saved, codings, label).await? };
        Ok(FetchedFile { file, content_type, filename, url_names })
    }

    /// A file without what it was compressed with for the way; as it came, when it was not.
    async fn opened(
        &self,
        compressed: TempMedia,
        codings: Vec<Coding>,
        label: Label,
    ) -> Result<TempMedia, FetchError> {
        match self.open(&compressed, codings, label).await? {
            Ok(file) => Ok(file),
            Err(NotOpened::NotCompressed) => {
                let copied = self.open(&compressed, Vec::new(), label).await?;
                copied.map_err(|_| FetchError::NotStored)
            }
            Err(NotOpened::Damaged) => {
                not_fetched("the file is not compressed as its server says");
                Err(FetchError::Failed)
            }
        }
    }

    async fn open(
        &self,
        compressed: &TempMedia,
        codings: Vec<Coding>,
        label: Label,
    ) -> Result<Result<TempMedia, NotOpened>, FetchError> {
        let source = File::open(&compressed.path).await.map_err(cannot_save)?.into_std().await;
        let mut saving = Saving::start(self, label)?;
        // Dropping the receiver ends the task.
        let (pieces, mut opened) = mpsc::channel(PIECES_MAX);
        let opening = spawn_blocking(move || encoding::open(source, &codings, &pieces));
        while let Some(piece) = opened.recv().await {
            saving.add(&piece).await?;
        }
        match opening.await.unwrap_or(Err(NotOpened::Damaged)) {
            Ok(()) => saving.finish().await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// The type of an answer, without its parameters and in small letters.
fn essence(headers: &HeaderMap) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).into_owned();
    let essence = value.split([';', ',']).next().unwrap_or_default();
    let essence = essence.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

fn has_gzip_ending(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".gz") || name.ends_with(".tgz")
}

/// Where a redirect leads. Many servers write it as they store it, in UTF-8 or in Latin-1.
fn target_of(location: &HeaderValue) -> String {
    match std::str::from_utf8(location.as_bytes()) {
        Ok(target) => target.to_owned(),
        Err(_) => percent_encode(location.as_bytes(), NON_ASCII).to_string(),
    }
}

/// A file while it is written, from the network or from memory. Dropping it removes the file.
struct Saving<'a> {
    dir: &'a Path,
    limits: &'a Limits,
    out: BufWriter<File>,
    /// After `out`, so that the file is closed before it is removed.
    named: TempPath,
    size: u64,
    /// The first [`PAGE_BYTES`].
    start: Vec<u8>,
    label: Label,
}

impl<'a> Saving<'a> {
    fn start(client: &'a HttpOutbound, label: Label) -> Result<Self, FetchError> {
        let HttpOutbound { temp_dir: dir, limits, .. } = client;
        let (file, named) =
            temp::create(dir).map(NamedTempFile::into_parts).map_err(cannot_save)?;
        let out = BufWriter::with_capacity(WRITE_BYTES, File::from_std(file));
        let saving = Self { dir, limits, out, named, size: 0, start: Vec::new(), label };
        saving.check_space()?;
        Ok(saving)
    }

    async fn add(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let before = self.size;
        self.size += bytes.len() as u64;
        if self.size > self.limits.file_bytes_max {
            return Err(FetchError::TooLarge);
        }
        let missing = PAGE_BYTES.saturating_sub(self.start.len());
        self.start.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        if missing > 0 && self.start.len() == PAGE_BYTES {
            self.check_page()?;
        }
        if before / SPACE_CHECK_BYTES != self.size / SPACE_CHECK_BYTES {
            self.check_space()?;
        }
        self.out.write_all(bytes).await.map_err(cannot_save)
    }

    async fn finish(mut self) -> Result<TempMedia, FetchError> {
        self.check_page()?;
        self.out.flush().await.map_err(cannot_save)?;
        let path = self.named.to_path_buf();
        Ok(TempMedia { path, guard: Arc::new(self.named), size: self.size })
    }

    fn check_page(&self) -> Result<(), FetchError> {
        if self.label.is_page(&self.start) { Err(FetchError::WebPage) } else { Ok(()) }
    }

    fn check_space(&self) -> Result<(), FetchError> {
        let free_bytes = temp::free_bytes(self.dir).map_err(cannot_save)?;
        let min_free_bytes = self.limits.min_free_bytes;
        if free_bytes < min_free_bytes {
            tracing::error!(
                free_bytes,
                min_free_bytes,
                dir = %self.dir.display(),
                "too little free space: no file is stored (min_free_space)"
            );
            return Err(FetchError::DiskFull);
        }
        Ok(())
    }
}

fn cannot_save(error: std::io::Error) -> FetchError {
    tracing::error!(%error, "a file cannot be stored");
    FetchError::NotStored
}
