//! Downloads a file into a temporary one.
//!
//! Nothing is decompressed, so a file is as large as what came over the wire.

use std::path::Path;
use std::sync::Arc;

use domain::media::{FetchedFile, TempMedia};
use domain::message::Failure;
use domain::ports::FileError;
use domain::service::DOWNLOAD_FAILED;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    LOCATION,
};
use reqwest::{Response, StatusCode, Url};
use tempfile::{NamedTempFile, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::client::{HttpOutbound, Limits};
use crate::{disposition, temp};

/// Most redirects that are followed; each is judged like the first URL.
const REDIRECTS_MAX: usize = 3;
/// How much is gathered before it is written.
const WRITE_BYTES: usize = 256 * 1024;
/// How often, in bytes, the free space is looked at.
const SPACE_CHECK_BYTES: u64 = 8 * 1024 * 1024;
/// How much of a file is checked for being a web page.
const PAGE_BYTES: usize = 1024;

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

impl HttpOutbound {
    pub(crate) async fn save_bytes(&self, bytes: Vec<u8>) -> Result<TempMedia, FetchError> {
        let mut saving = Saving::start(self, true)?;
        saving.add(&bytes).await?;
        saving.finish().await
    }

    pub(crate) async fn download(&self, url: &str) -> Result<FetchedFile, FetchError> {
        let url = self.guard.check(url).map_err(|_| FetchError::Failed)?;
        let download = async {
            let (answer, url) = self.follow(url).await?;
            self.save(answer, &url).await
        };
        tokio::time::timeout(self.limits.download_max, download)
            .await
            .unwrap_or(Err(FetchError::TooSlow))
    }

    /// Asks for a file, through redirects. Returns the answer and the URL it came from.
    async fn follow(&self, mut url: Url) -> Result<(Response, Url), FetchError> {
        for _ in 0..=REDIRECTS_MAX {
            let request = self.client_for(&url).get(url.clone());
            let request = request.header(ACCEPT_ENCODING, "identity");
            let answer = request.send().await.map_err(|_| FetchError::Failed)?;
            match answer.status() {
                StatusCode::OK => return Ok((answer, url)),
                status if status.is_redirection() => {
                    let target = header(answer.headers(), &LOCATION).ok_or(FetchError::Failed)?;
                    url = url.join(target).map_err(|_| FetchError::Failed)?;
                    self.guard.check_parsed(&url).map_err(|_| FetchError::Failed)?;
                }
                _ => break,
            }
        }
        Err(FetchError::Failed)
    }

    async fn save(&self, mut answer: Response, url: &Url) -> Result<FetchedFile, FetchError> {
        let headers = answer.headers();
        let encoding = header(headers, &CONTENT_ENCODING).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(FetchError::Failed);
        }
        if answer.content_length().is_some_and(|size| size > self.limits.file_bytes_max) {
            return Err(FetchError::TooLarge);
        }
        let content_type = header(headers, &CONTENT_TYPE).map(str::to_owned);
        let given = headers
            .get(CONTENT_DISPOSITION)
            .and_then(|value| disposition::filename(&String::from_utf8_lossy(value.as_bytes())));
        // A page counts as a file only when the server names it one: URLs of previews end in .html, too.
        let may_be_page = given.as_deref().is_some_and(is_page_name);
        let filename = given.or_else(|| disposition::last_segment(url));
        if !may_be_page && content_type.as_deref().is_some_and(is_page_type) {
            return Err(FetchError::WebPage);
        }
        let mut saving = Saving::start(self, may_be_page)?;
        while let Some(chunk) = answer.chunk().await.map_err(|_| FetchError::Failed)? {
            saving.add(&chunk).await?;
        }
        let file = saving.finish().await?;
        Ok(FetchedFile { file, content_type, filename })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_page_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".html") || name.ends_with(".htm")
}

fn is_page_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    ["text/html", "application/xhtml+xml"].iter().any(|page| essence.eq_ignore_ascii_case(page))
}

/// Whether a file's beginning is that of a web page.
fn looks_like_page(start: &[u8]) -> bool {
    let start = String::from_utf8_lossy(start).to_ascii_lowercase();
    let mut rest = start.trim_start_matches('\u{feff}').trim_start();
    // Comments and an XML declaration may come first.
    while let Some(end) = match rest {
        _ if rest.starts_with("<!--") => rest.find("-->").map(|at| at + 3),
        _ if rest.starts_with("<?xml") => rest.find("?>").map(|at| at + 2),
        _ => None,
    } {
        rest = rest[end..].trim_start();
    }
    let is_whole = |after: &str| !after.starts_with(char::is_alphanumeric);
    let mut tags = ["<!doctype html", "<html", "<head", "<body"].into_iter();
    tags.any(|tag| rest.strip_prefix(tag).is_some_and(is_whole))
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
    may_be_page: bool,
}

impl<'a> Saving<'a> {
    fn start(client: &'a HttpOutbound, may_be_page: bool) -> Result<Self, FetchError> {
        let HttpOutbound { temp_dir: dir, limits, .. } = client;
        let (file, named) =
            temp::create(dir).map(NamedTempFile::into_parts).map_err(cannot_save)?;
        let out = BufWriter::with_capacity(WRITE_BYTES, File::from_std(file));
        let saving = Self { dir, limits, out, named, size: 0, start: Vec::new(), may_be_page };
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
        let is_page = !self.may_be_page && looks_like_page(&self.start);
        if is_page { Err(FetchError::WebPage) } else { Ok(()) }
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
