//! Fakes of customers' servers: the test sets the files and answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::media::{FetchedFile, MediaWish, Preview, ReadyMedia, TempMedia};
use domain::message::{ContentKind, Failure};
use domain::ports::{
    FileError, MediaCodec, Outbound, SecretCipher, UrlRefusal, WebhookAnswer, WebhookRequest,
};
use domain::proxy::Proxy;
use domain::service::DOWNLOAD_FAILED;
use domain::webhook::{SealedSecret, SecretRow};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// Makes no connection. It serves the test's files, and answers webhooks as the test set.
pub struct FakeOutbound {
    state: Mutex<State>,
    posts: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, (Vec<u8>, String)>,
    answers: Vec<WebhookAnswer>,
    posts: Vec<WebhookRequest>,
    fetches: Vec<String>,
    refuses_challenges: bool,
}

impl Default for FakeOutbound {
    fn default() -> Self {
        Self { state: Mutex::default(), posts: watch::Sender::new(0) }
    }
}

/// An answer with this status and nothing else.
pub fn answer(status: u16) -> WebhookAnswer {
    let took = Duration::from_millis(1);
    WebhookAnswer { status: Some(status), retry_after: None, error: None, took, body: Vec::new() }
}

impl FakeOutbound {
    /// Serves a file at a URL.
    pub fn put_file(&self, url: &str, bytes: &[u8], content_type: &str) {
        self.state().files.insert(url.to_owned(), (bytes.to_vec(), content_type.to_owned()));
    }

    /// The answers of the next posts, in order; 200 after them.
    pub fn answer_with(&self, answers: impl IntoIterator<Item = WebhookAnswer>) {
        self.state().answers.extend(answers);
    }

    /// From now on receivers do not answer challenges.
    pub fn refuse_challenges(&self) {
        self.state().refuses_challenges = true;
    }

    /// What was posted so far.
    pub fn posts(&self) -> Vec<WebhookRequest> {
        self.state().posts.clone()
    }

    /// What was fetched so far.
    pub fn fetches(&self) -> Vec<String> {
        self.state().fetches.clone()
    }

    /// Counts the posts.
    pub fn watch_posts(&self) -> watch::Receiver<usize> {
        self.posts.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[async_trait]
impl Outbound for FakeOutbound {
    fn permits_proxy(&self, proxy: &Proxy) -> bool {
        !proxy.host.starts_with("10.")
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefusal> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.and_then(|rest| rest.split(['/', ':', '?']).next()).unwrap_or_default();
        if host.is_empty() || url.contains(char::is_whitespace) {
            return Err(UrlRefusal::Malformed);
        }
        if rest.is_some_and(|rest| rest.split('/').next().is_some_and(|host| host.contains('@'))) {
            return Err(UrlRefusal::Credentials);
        }
        let is_private = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            Ok(IpAddr::V6(ip)) => ip.is_loopback(),
            Err(_) => host == "localhost",
        };
        if is_private { Err(UrlRefusal::Forbidden) } else { Ok(()) }
    }

    async fn fetch(&self, url: &str) -> Result<FetchedFile, FileError> {
        self.state().fetches.push(url.to_owned());
        let found = self.state().files.get(url).cloned();
        let dead = || FileError::Permanent(Failure::new(Failure::MEDIA, DOWNLOAD_FAILED));
        let (bytes, content_type) = found.ok_or_else(dead)?;
        Ok(FetchedFile {
            file: in_memory(&bytes),
            content_type: Some(content_type),
            filename: None,
            url_names: url.rsplit('/').next().map(str::to_owned).into_iter().collect(),
        })
    }

    async fn keep(&self, bytes: Vec<u8>) -> Result<TempMedia, FileError> {
        Ok(in_memory(&bytes))
    }

    async fn post(&self, request: WebhookRequest) -> WebhookAnswer {
        let mut state = self.state();
        state.posts.push(request);
        let answer = if state.answers.is_empty() { answer(200) } else { state.answers.remove(0) };
        drop(state);
        self.posts.send_modify(|count| *count += 1);
        answer
    }

    async fn challenge(&self, _: &str, _: &str) -> Result<(), String> {
        let refuses = self.state().refuses_challenges;
        if refuses { Err("the answer was not the challenge".to_owned()) } else { Ok(()) }
    }
}

/// A file with a size that is not on the disk.
fn in_memory(bytes: &[u8]) -> TempMedia {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    TempMedia { path: "/nowhere".into(), size, guard: Arc::new(()) }
}

/// Accepts every file as the kind that was asked for.
pub struct FakeCodec;

#[async_trait]
impl MediaCodec for FakeCodec {
    async fn prepare(&self, file: TempMedia, wish: MediaWish) -> Result<ReadyMedia, FileError> {
        let mimetype = wish.mimetype.or(wish.content_type).unwrap_or_default();
        let guessed = match mimetype.split('/').next() {
            Some("image") => ContentKind::Image,
            Some("video") => ContentKind::Video,
            Some("audio") => ContentKind::Audio,
            _ => ContentKind::Document,
        };
        Ok(ReadyMedia {
            file,
            kind: wish.kind.unwrap_or(guessed),
            mimetype,
            filename: wish.filename.or(wish.source_name).or(wish.url_names.into_iter().next()),
            seconds: None,
            waveform: None,
            dimensions: None,
            preview: Preview::default(),
        })
    }
}

/// Does not encrypt: it reverses secrets and puts their row in front, so that a forgotten `open` and
/// a wrong row are noticed.
pub struct ReversingCipher;

fn name_of(row: SecretRow) -> String {
    match row {
        SecretRow::Webhook { account, webhook } => format!("{account}/{webhook}"),
        SecretRow::Proxy { account, device } => format!("{account}/{device}"),
        SecretRow::File { device } => format!("file/{device}"),
        SecretRow::Person { user } => format!("person/{user}"),
    }
}

impl SecretCipher for ReversingCipher {
    fn seal(&self, row: SecretRow, secret: &str) -> SealedSecret {
        let reversed: String = secret.chars().rev().collect();
        SealedSecret(format!("{}:{reversed}", name_of(row)).into_bytes())
    }

    fn open(&self, row: SecretRow, sealed: &SealedSecret) -> Option<String> {
        let text = std::str::from_utf8(&sealed.0).ok()?;
        let reversed = text.strip_prefix(&format!("{}:", name_of(row)))?;
        Some(reversed.chars().rev().collect())
    }

    fn is_current(&self, _: &SealedSecret) -> bool {
        true
    }
}
