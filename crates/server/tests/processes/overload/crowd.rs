//! The crowd: strangers with half-open connections, and one customer who does everything at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

const HALF_OPEN: usize = 1_400;
const READERS: usize = 200;
const UPLOADS: usize = 16;
const BROADCASTS: usize = 16;
const PHONE: &str = "628110000800";
/// As long as a text may be, in characters of three bytes.
const LONGEST_TEXT: usize = 65_000;
/// Receivers of the largest broadcasts, which are more than may wait.
const RECEIVERS: usize = 1_000;
/// Receivers of the broadcasts that are accepted while they fit, and the characters of their text.
const FEWER_RECEIVERS: usize = 20;
const SHORTER_TEXT: usize = 33_000;
/// Messages of broadcasts that are accepted at least.
const ACCEPTED_MIN: usize = 200;
/// How long they may take to arrive when they need not wait any more.
const ARRIVE_S_MAX: u64 = 240;
/// Texts in the lists that are read slowly.
const LONG_TEXTS: usize = 49;
/// What an upload says that it will send.
const UPLOAD_BYTES: usize = 20_000_000;
/// How long one whose connection was closed waits before the next.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a slow one reads or writes a little.
const DRIP: Duration = Duration::from_millis(200);

/// The customer.
pub struct Greedy {
    base: String,
    account: Api,
    control: Api,
    device: String,
    /// What it has used before the crowd came.
    used: i64,
}

impl Greedy {
    /// Makes an account whose lists are as long as they get, and whose messages wait.
    pub async fn start(gateway: &Gateway, simulator: &Simulator) -> Self {
        let account = gateway.operator().make_account("greedy", "unlimited").await;
        let device = account.make_linked_device(simulator, PHONE).await;
        pause_between(&account, &device, 600).await;
        for n in 0..LONG_TEXTS {
            let body = json!({ "device": device, "to": person(n), "text": long_text() });
            account.post("/v1/messages", body).await;
        }
        let used = used(&account).await;
        let base = format!("http://{}", gateway.address());
        let control = simulator.control().clone();
        Self { base, account, control, device, used }
    }

    /// One of its longest lists.
    fn list(&self, n: usize) -> String {
        let device = &self.device;
        let lists = [
            "/v1/messages?limit=100".to_owned(),
            "/api/v2/messaging/whatsapp/scheduled".to_owned(),
            format!("/v1/messages?limit=100&device={device}"),
        ];
        lists[n % lists.len()].clone()
    }

    /// What was accepted of it is kept, and nothing else.
    pub async fn assert_all_kept(&self, tally: &Tally) {
        let accepted = tally.accepted.len() * FEWER_RECEIVERS;
        assert!(accepted >= ACCEPTED_MIN, "only {accepted} messages were accepted");
        assert_eq!(used(&self.account).await - self.used, i64::try_from(accepted).unwrap());
    }

    /// What was accepted of it arrives, once, and nothing else.
    pub async fn assert_all_arrive(&self, tally: &Tally) {
        pause_between(&self.account, &self.device, 0).await;
        until("nothing waits any more", ARRIVE_S_MAX, async || {
            let path = "/v1/messages?status=scheduled,queued,sending&limit=1";
            let waiting = self.account.get(path).await;
            waiting["data"].as_array().unwrap().is_empty().then_some(())
        })
        .await;
        for n in 0..BROADCASTS {
            let of_one = tally.accepted.iter().filter(|(one, _)| *one == n);
            let expected: BTreeSet<String> = of_one.map(|(n, turn)| text_of(*n, *turn)).collect();
            for person in receivers(n) {
                let inbox = self.control.get(&format!("/phones/{person}/inbox")).await;
                let texts = inbox.as_array().unwrap().iter().map(|row| &row["text"]);
                let texts: Vec<&str> = texts.map(|text| text.as_str().unwrap()).collect();
                let texts: Vec<&str> =
                    texts.into_iter().filter(|text| text.starts_with("broadcast")).collect();
                assert_eq!(texts.len(), expected.len(), "{person}");
                assert!(texts.iter().all(|text| expected.contains(*text)), "{person}");
            }
        }
    }
}

async fn pause_between(account: &Api, device: &str, seconds: u32) {
    let pacing = json!({ "min_s": seconds, "max_s": seconds, "typing": false,
        "first_contacts_per_day": null, "quiet_hours": null });
    let path = format!("/v1/devices/{device}");
    account.call("PATCH", &path, Some(json!({ "pacing": pacing }))).await.ok();
}

/// Every message is counted as one that was used.
async fn used(account: &Api) -> i64 {
    account.get("/v1/usage").await["month"]["used"].as_i64().unwrap()
}

fn person(n: usize) -> String {
    format!("62813{n:08}")
}

/// To whom the broadcasts of one go that may be accepted.
fn receivers(n: usize) -> impl Iterator<Item = String> {
    (0..FEWER_RECEIVERS).map(move |to| person(n * RECEIVERS + to))
}

/// The text of one's broadcast in its turn.
fn text_of(n: usize, turn: usize) -> String {
    let text = format!("broadcast {n} {turn} ");
    let filler = "€".repeat(SHORTER_TEXT - text.len());
    text + &filler
}

fn long_text() -> String {
    "€".repeat(LONGEST_TEXT)
}

/// What the crowd has been answered.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections of each kind that were opened.
    opened: BTreeMap<&'static str, usize>,
    /// Answers, by kind and status.
    statuses: BTreeMap<(&'static str, u16), usize>,
    /// Broadcasts that were accepted: whose, and in which turn.
    pub accepted: Vec<(usize, usize)>,
    /// Answers that should not have come.
    pub unexpected: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = self.accepted.len() * FEWER_RECEIVERS;
        let Self { opened, statuses, .. } = self;
        write!(f, "opened {opened:?}, answered {statuses:?}, {accepted} messages accepted")
    }
}

impl Tally {
    /// Whether all took part.
    pub fn is_complete(&self) -> bool {
        let opened = |kind| self.opened.get(kind).copied().unwrap_or_default();
        opened("half-open") >= HALF_OPEN
            && opened("reader") >= READERS
            && opened("upload") >= UPLOADS
            && opened("broadcast") >= BROADCASTS
            && opened("rotation") > 0
    }

    fn answer(&mut self, kind: &'static str, status: u16) {
        *self.statuses.entry((kind, status)).or_default() += 1;
        // Busy, too slow, too much: what a crowd may be answered.
        if !matches!(status, 200..300 | 401 | 408 | 413 | 429 | 503) {
            self.unexpected.push(format!("{kind}: {status}"));
        }
    }
}

/// Everybody, until the end.
pub struct Crowd {
    /// A thread of its own, or its work would be taken for waits of the bystander.
    runtime: Runtime,
    tasks: JoinSet<()>,
    /// Those whose last answer is waited for: it may say that messages were accepted.
    broadcasts: JoinSet<()>,
    is_over: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
}

/// One of the crowd.
#[derive(Clone)]
struct Visitor {
    kind: &'static str,
    gateway: SocketAddr,
    from: Ipv4Addr,
    tally: Arc<Mutex<Tally>>,
}

impl Crowd {
    /// All come at once.
    pub fn start(gateway: &str, greedy: &Greedy) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut crowd = Self {
            runtime,
            tasks: JoinSet::new(),
            broadcasts: JoinSet::new(),
            is_over: Arc::default(),
            tally: Arc::default(),
        };
        let handle = crowd.runtime.handle().clone();
        let _entered = handle.enter();
        let gateway: SocketAddr = gateway.parse().unwrap();
        let tally = crowd.tally.clone();
        let visitor = |kind, last| {
            let from = Ipv4Addr::new(127, 0, 0, last);
            Visitor { kind, gateway, from, tally: tally.clone() }
        };
        let key = greedy.account.key().unwrap().to_owned();
        for _ in 0..HALF_OPEN {
            crowd.tasks.spawn(visitor("half-open", 2).stays_half_open());
        }
        for n in 0..READERS {
            // An address has 128 connections.
            let last = if n % 2 == 0 { 3 } else { 4 };
            crowd.tasks.spawn(visitor("reader", last).reads_slowly(greedy.list(n), key.clone()));
        }
        for _ in 0..UPLOADS {
            crowd.tasks.spawn(visitor("upload", 5).uploads_slowly(key.clone()));
        }
        for n in 0..BROADCASTS {
            let one = visitor("broadcast", 6);
            let api = Api::from_address(&greedy.base, IpAddr::V4(one.from)).with_key(&key);
            let is_over = crowd.is_over.clone();
            crowd.broadcasts.spawn(one.broadcasts(api, greedy.device.clone(), n, is_over));
        }
        let one = visitor("rotation", 7);
        let api = Api::from_address(&greedy.base, IpAddr::V4(one.from)).with_key(&key);
        crowd.tasks.spawn(one.rotates(api, greedy.device.clone()));
        crowd
    }

    /// All go. What was answered by then.
    pub async fn end(mut self) -> Tally {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.broadcasts.join_next().await {
            ended.unwrap();
        }
        self.tasks.shutdown().await;
        self.runtime.shutdown_background();
        std::mem::take(&mut *self.tally.lock().unwrap())
    }
}

impl Visitor {
    /// A connection from its address; `None` when the gateway refuses it.
    async fn connect(&self) -> Option<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        // What is not read stays with the gateway.
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.bind((self.from, 0).into()).unwrap();
        let stream = socket.connect(self.gateway).await.ok()?;
        *self.tally.lock().unwrap().opened.entry(self.kind).or_default() += 1;
        Some(stream)
    }

    /// Writes the beginning of a request; again, when its connection was closed.
    async fn stays_half_open(self) {
        loop {
            if let Some(mut stream) = self.connect().await
                && stream.write_all(b"GET /v1/me HTTP/1.1\r\nhost: x\r\n").await.is_ok()
            {
                let mut byte = [0];
                let _ = stream.read(&mut byte).await;
            }
            moment(PAUSE * 2).await;
        }
    }

    /// Asks for a list and takes it in sips.
    async fn reads_slowly(self, list: String, key: String) {
        let request =
            format!("GET {list} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
        loop {
            if let Some(mut stream) = self.connect().await
                && stream.write_all(request.as_bytes()).await.is_ok()
            {
                let mut sip = [0; 1_024];
                if let Ok(count) = stream.read(&mut sip).await {
                    self.note(&sip[..count]);
                }
                while stream.read(&mut sip).await.is_ok_and(|count| count > 0) {
                    moment(DRIP).await;
                }
            }
            moment(PAUSE).await;
        }
    }

    /// Says that much will come, and sends little.
    async fn uploads_slowly(self, key: String) {
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {UPLOAD_BYTES}\r\n\r\n"
        );
        loop {
            if let Some(mut stream) = self.connect().await
                && stream.write_all(head.as_bytes()).await.is_ok()
            {
                let mut answer = [0; 1_024];
                loop {
                    tokio::select! {
                        read = stream.read(&mut answer) => {
                            self.note(&answer[..read.unwrap_or_default()]);
                            break;
                        }
                        () = moment(DRIP) => {}
                    }
                    if stream.write_all(&[b' '; 1_024]).await.is_err() {
                        break;
                    }
                }
            }
            moment(PAUSE).await;
        }
    }

    /// Sends as much to as many as one request can, and by turns what fits until no more may wait.
    async fn broadcasts(self, api: Api, device: String, n: usize, is_over: Arc<AtomicBool>) {
        let body = |to: Vec<String>, text: String| json!({ "accountId": device, "to": to, "messageType": "text", "content": text });
        let everybody = (0..RECEIVERS).map(|to| person(n * RECEIVERS + to)).collect();
        let largest = body(everybody, long_text());
        for turn in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            *self.tally.lock().unwrap().opened.entry(self.kind).or_default() += 1;
            let is_largest = turn % 2 == 0;
            let body = match is_largest {
                true => largest.clone(),
                false => body(receivers(n).collect(), text_of(n, turn)),
            };
            let path = "/api/v2/messaging/whatsapp/broadcast";
            let reply = api.call("POST", path, Some(body)).await;
            {
                let mut tally = self.tally.lock().unwrap();
                tally.answer(self.kind, reply.status);
                if reply.status == 200 {
                    assert!(!is_largest, "more than may wait was accepted");
                    tally.accepted.push((n, turn));
                }
            }
            moment(if reply.status == 200 { DRIP } else { PAUSE }).await;
        }
    }

    /// Replaces its device's token, as fast as it is answered.
    async fn rotates(self, api: Api, device: String) {
        let path = format!("/v1/devices/{device}/token");
        let mut token = api.clone();
        loop {
            *self.tally.lock().unwrap().opened.entry(self.kind).or_default() += 1;
            let reply = token.call("POST", &path, None).await;
            self.tally.lock().unwrap().answer(self.kind, reply.status);
            match reply.body["token"].as_str() {
                Some(new) => token = api.with_key(new),
                None => moment(DRIP).await,
            }
        }
    }

    /// Notes an answer's status, if it is one.
    fn note(&self, answer: &[u8]) {
        let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
        if let Some(status) = status.and_then(|status| std::str::from_utf8(status).ok()) {
            self.tally.lock().unwrap().answer(self.kind, status.parse().unwrap());
        }
    }
}
