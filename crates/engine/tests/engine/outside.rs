//! Customers' servers, as slow and as faulty as a test wants them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use domain::link::LinkPreview;
use domain::media::{FetchedFile, MediaWish, ReadyMedia, TempMedia};
use domain::ports::{FileError, MediaCodec, Outbound, UrlRefusal, WebhookAnswer, WebhookRequest};
use domain::proxy::Proxy;
use domain::webhook::Event;
use testkit::fake_outbound::{FakeCodec, FakeOutbound, answer};
use testkit::plain_format::PlainFormat;
use tokio::sync::watch;

/// What a receiver does with an event: how long it takes, and what it answers.
type Receiver = Box<dyn Fn(&Event, usize) -> (Duration, WebhookAnswer) + Send>;

/// What the disk says that is full.
fn full() -> FileError {
    FileError::Temporary("the file could not be stored".into())
}

/// A download that runs.
struct Running<'a>(&'a Outside);

impl<'a> Running<'a> {
    fn begin(outside: &'a Outside) -> Self {
        let mut state = outside.state();
        state.downloads.0 += 1;
        state.downloads.1 = state.downloads.1.max(state.downloads.0);
        drop(state);
        outside.changes.send_modify(|n| *n += 1);
        Self(outside)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().downloads.0 -= 1;
    }
}

#[derive(Default)]
struct State {
    is_disk_full: bool,
    crashes: bool,
    /// How long the codec takes for a file; longer than any wait, when it is stuck.
    codec_takes: Duration,
    /// How many downloads run, and how many ran at the most.
    downloads: (usize, usize),
    fetch_takes: HashMap<String, Duration>,
    /// How long every page takes that is looked at.
    look_takes: Duration,
    receivers: HashMap<String, Receiver>,
    /// What arrived, in order: where, and what.
    arrived: Vec<(String, Event)>,
}

/// Receivers and file servers; the rest is [`FakeOutbound`]'s.
pub struct Outside {
    pub fake: FakeOutbound,
    pub formats: Arc<PlainFormat>,
    state: Mutex<State>,
    changes: watch::Sender<usize>,
}

impl Default for Outside {
    fn default() -> Self {
        let (fake, state) = (FakeOutbound::default(), Mutex::default());
        Self { fake, formats: Arc::default(), state, changes: watch::Sender::new(0) }
    }
}

impl Outside {
    pub fn fetch_takes(&self, url: &str, takes: Duration) {
        self.state().fetch_takes.insert(url.to_owned(), takes);
    }

    /// How long every page takes that is looked at.
    pub fn look_takes(&self, takes: Duration) {
        self.state().look_takes = takes;
    }

    /// The next post does not come back.
    pub fn crash_over_next_post(&self) {
        self.state().crashes = true;
    }

    pub fn fill_disk(&self, is_full: bool) {
        self.state().is_disk_full = is_full;
    }

    /// How long the codec takes for a file.
    pub fn codec_takes(&self, takes: Duration) {
        self.state().codec_takes = takes;
    }

    /// How many downloads run now, and how many ran at the most.
    pub fn downloads(&self) -> (usize, usize) {
        self.state().downloads
    }

    /// Waits until `n` downloads run.
    pub async fn until_downloading(&self, n: usize) {
        let mut changes = self.changes.subscribe();
        while self.downloads().0 < n {
            changes.changed().await.unwrap();
        }
    }

    /// Says what the receiver at `url` does with an event that arrives for the n-th time, from 1.
    pub fn receive(
        &self,
        url: &str,
        receiver: impl Fn(&Event, usize) -> (Duration, WebhookAnswer) + Send + 'static,
    ) {
        self.state().receivers.insert(url.to_owned(), Box::new(receiver));
    }

    /// What arrived at `url`, in order.
    pub fn arrived(&self, url: &str) -> Vec<Event> {
        let state = self.state();
        let here = state.arrived.iter().filter(|(at, _)| at == url);
        here.map(|(_, event)| event.clone()).collect()
    }

    /// The same in short: kind, and text where there is one.
    pub fn arrived_in_short(&self, url: &str) -> Vec<String> {
        self.arrived(url).iter().map(in_short).collect()
    }

    /// Waits until `n` events arrived at `url`.
    pub async fn until_arrived(&self, url: &str, n: usize) -> Vec<String> {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while self.arrived(url).len() < n {
                changes.changed().await.unwrap();
            }
        };
        let limit = Duration::from_secs(3 * 86_400);
        tokio::time::timeout(limit, wait).await.expect("they arrive within three days");
        self.arrived_in_short(url)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Kind, and text where there is one.
pub fn in_short(event: &Event) -> String {
    match &event.subject {
        domain::webhook::Subject::Message(message) => {
            format!("{} {}", event.kind.as_str(), message.content.text())
        }
        domain::webhook::Subject::Device(_)
        | domain::webhook::Subject::Contact(_)
        | domain::webhook::Subject::Call(_)
        | domain::webhook::Subject::Group(_) => event.kind.as_str().to_owned(),
    }
}

#[async_trait]
impl Outbound for Outside {
    fn check_url(&self, url: &str) -> Result<(), UrlRefusal> {
        self.fake.check_url(url)
    }

    fn permits_proxy(&self, proxy: &Proxy) -> bool {
        self.fake.permits_proxy(proxy)
    }

    async fn fetch(&self, url: &str) -> Result<FetchedFile, FileError> {
        let takes = self.state().fetch_takes.get(url).copied().unwrap_or_default();
        let fetched = self.fake.fetch(url).await;
        let _running = Running::begin(self);
        tokio::time::sleep(takes).await;
        if self.state().is_disk_full { Err(full()) } else { fetched }
    }

    async fn look_at(&self, link: &str) -> Option<LinkPreview> {
        let takes = self.state().look_takes;
        tokio::time::sleep(takes).await;
        let (link, title) = (link.to_owned(), "a page".to_owned());
        Some(LinkPreview { link, title, description: None, picture: None })
    }

    async fn keep(&self, bytes: Vec<u8>) -> Result<TempMedia, FileError> {
        if self.state().is_disk_full { Err(full()) } else { self.fake.keep(bytes).await }
    }

    async fn post(&self, request: WebhookRequest) -> WebhookAnswer {
        let crashes = std::mem::take(&mut self.state().crashes);
        assert!(!crashes, "scripted");
        let event = self.formats.event(&request.body);
        let (takes, answer) = {
            let mut state = self.state();
            let before =
                state.arrived.iter().filter(|(at, e)| *at == request.url && e.id == event.id);
            let nth = before.count() + 1;
            let receiver = state.receivers.get(&request.url);
            let answered =
                receiver.map_or((Duration::ZERO, answer(200)), |answer| answer(&event, nth));
            state.arrived.push((request.url, event));
            answered
        };
        self.changes.send_modify(|n| *n += 1);
        tokio::time::sleep(takes).await;
        answer
    }

    async fn challenge(&self, url: &str, challenge: &str) -> Result<(), String> {
        self.fake.challenge(url, challenge).await
    }
}

#[async_trait]
impl MediaCodec for Outside {
    async fn prepare(&self, file: TempMedia, wish: MediaWish) -> Result<ReadyMedia, FileError> {
        let takes = self.state().codec_takes;
        tokio::time::sleep(takes).await;
        FakeCodec.prepare(file, wish).await
    }
}
