//! The load generator: keep-alive connections that write requests and read answers, and do as
//! little else as possible, because they share the cores with what they measure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::numbers::processor_time;

/// What is asked for before anything is measured.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// What is sent.
pub struct Plan {
    /// `HOST:PORT`
    pub address: String,
    /// The process that answers there.
    pub process: u32,
    /// How many connections ask at the same time.
    pub connections: usize,
    /// Who sends; connections are dealt out among them.
    pub senders: Vec<Sender>,
    /// Makes texts and idempotency keys of different runs differ.
    pub run: String,
    /// What every request asks for.
    pub kind: Kind,
    /// How often a connection asks; without it, as soon as it has the answer before.
    pub every: Option<Duration>,
}

/// What a request asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// A message is to be sent.
    Send,
    /// The same, with an `Idempotency-Key`.
    SendWithKey,
    /// The sender's device is to be shown.
    Read,
    /// This path is to be shown, to the sender.
    Path(String),
    /// A public page, as a browser asks for it.
    Page(&'static str),
}

/// An account's key and its device.
#[derive(Clone)]
pub struct Sender {
    /// For the `Authorization` header.
    pub key: String,
    /// The device it is sent through.
    pub device: String,
}

/// What came of it.
pub struct Outcome {
    /// Answers per second.
    pub rate: f64,
    /// Processor time of the answering process for each answer; hardly depends on what else runs.
    pub processor_time: Duration,
    /// How long each answer took.
    pub latencies: Vec<Duration>,
}

/// Runs all connections for so many seconds.
pub async fn run(plan: Plan, seconds: u64) -> Outcome {
    let plan = Arc::new(plan);
    let start = Instant::now() + WARM_UP;
    let end = start + Duration::from_secs(seconds);
    let mut connections = JoinSet::new();
    for connection in 0..plan.connections {
        connections.spawn(one_connection(plan.clone(), connection, start, end));
    }
    tokio::time::sleep_until(start.into()).await;
    let before = processor_time(plan.process);
    tokio::time::sleep_until(end.into()).await;
    let spent = processor_time(plan.process) - before;
    let mut latencies = Vec::new();
    while let Some(connection) = connections.join_next().await {
        latencies.extend(connection.unwrap());
    }
    let answers = latencies.len().max(1);
    Outcome {
        rate: answers as f64 / (end - start).as_secs_f64(),
        processor_time: spent.div_f64(answers as f64),
        latencies,
    }
}

async fn one_connection(
    plan: Arc<Plan>,
    connection: usize,
    start: Instant,
    end: Instant,
) -> Vec<Duration> {
    let mut stream = connect(&plan.address, connection).await;
    let mut latencies = Vec::with_capacity(100_000);
    let mut buffer = Vec::with_capacity(4096);
    let began = Instant::now();
    for n in 0.. {
        let before = plan.turn(began, connection, n).await;
        if before >= end {
            break;
        }
        stream.write_all(plan.request(connection, n).as_bytes()).await.unwrap();
        read_answer(&mut stream, &mut buffer).await;
        if before >= start {
            latencies.push(before.elapsed());
        }
    }
    latencies
}

/// From an address of the machine itself that few share: a gateway bounds the connections of each.
async fn connect(address: &str, connection: usize) -> TcpStream {
    const PER_ADDRESS: usize = 64;
    let socket = TcpSocket::new_v4().unwrap();
    let own = 1 + u8::try_from(connection / PER_ADDRESS).unwrap();
    socket.bind(([127, 0, 2, own], 0).into()).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Plan {
    /// Waits until a request is due. One that is late counts from when it was due, so that a server that stands
    /// still is not asked the less for it.
    async fn turn(&self, began: Instant, connection: usize, n: u64) -> Instant {
        let Some(every) = self.every else { return Instant::now() };
        let turns = n as f64 + connection as f64 / self.connections as f64;
        let due = began + every.mul_f64(turns);
        if due <= Instant::now() {
            return due;
        }
        tokio::time::sleep_until(due.into()).await;
        Instant::now()
    }

    fn request(&self, connection: usize, n: u64) -> String {
        let Self { address, run, senders, .. } = self;
        let Sender { key, device } = &senders[connection % senders.len()];
        let get = |path: &str, header: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}\r\n\r\n")
        };
        let authorization = format!("Authorization: Bearer {key}");
        match &self.kind {
            Kind::Read => return get(&format!("/v1/devices/{device}"), &authorization),
            Kind::Path(path) => return get(path, &authorization),
            Kind::Page(path) => return get(path, "Accept-Encoding: gzip, deflate, br"),
            Kind::Send | Kind::SendWithKey => {}
        }
        let body = format!(
            "{{\"device\":\"{device}\",\"to\":\"62813{:08}\",\"text\":\"run {run} number {connection}-{n}\"}}",
            connection % 100,
        );
        let idempotency = match self.kind {
            Kind::SendWithKey => format!("Idempotency-Key: {run}-{connection}-{n}\r\n"),
            _ => String::new(),
        };
        format!(
            "POST /v1/messages HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n\
             {idempotency}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        )
    }
}

/// Reads one answer with a `Content-Length` and insists on success.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        let read = stream.read_buf(buffer).await.unwrap();
        assert!(read > 0, "the server hung up: {}", String::from_utf8_lossy(buffer));
        let Some(head) = find(buffer, b"\r\n\r\n") else { continue };
        let length = content_length(&buffer[..head]);
        if buffer.len() >= head + 4 + length {
            let is_success = buffer.starts_with(b"HTTP/1.1 2");
            assert!(is_success, "refused: {}", String::from_utf8_lossy(buffer));
            return;
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .expect("an answer without Content-Length")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
