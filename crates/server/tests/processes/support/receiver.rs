//! A receiver of webhooks that can die in the middle of a request and come back at once, on the same
//! port.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Longest request taken.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// A request that was answered with 200.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The path it came to.
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body, as it came.
    pub body: Vec<u8>,
}

impl Hook {
    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    taken: Vec<Hook>,
    /// What has been seen before, taken or not.
    seen: HashSet<Vec<u8>>,
    deaths_left: u32,
    deaths: u32,
}

/// The receiver.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that dies `deaths` times, each time over something it has not seen before, so that
    /// nothing fails twice.
    pub async fn start(deaths: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { deaths_left: deaths, ..State::default() }));
        let task = tokio::spawn(lives(listener, address, state.clone()));
        Self { address, state, task }
    }

    /// The URL of a path of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has taken so far, in order.
    pub fn taken(&self) -> Vec<Hook> {
        self.state.lock().unwrap().taken.clone()
    }

    /// How often it has died so far.
    pub fn deaths(&self) -> u32 {
        self.state.lock().unwrap().deaths
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One life after the other.
async fn lives(mut listener: TcpListener, address: SocketAddr, state: Arc<Mutex<State>>) {
    loop {
        let death = Arc::new(Notify::new());
        let accept = async {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (state, death) = (state.clone(), death.clone());
                tokio::spawn(async move {
                    if !serve(stream, &state).await {
                        death.notify_one();
                    }
                });
            }
        };
        tokio::select! {
            () = accept => return,
            () = death.notified() => {}
        }
        drop(listener);
        listener = TcpListener::bind(address).await.expect("the port is ours");
    }
}

/// Answers one request; false when this was its death.
async fn serve(mut stream: TcpStream, state: &Mutex<State>) -> bool {
    let Some((method, hook)) = read(&mut stream).await else { return true };
    let answer = if method == "GET" {
        let challenge = hook.path.split("challenge=").nth(1).unwrap_or_default();
        challenge.split('&').next().unwrap_or_default().to_owned()
    } else {
        let mut state = state.lock().unwrap();
        let known = [hook.path.as_bytes(), hook.header("webhook-id").as_bytes(), &hook.body];
        let is_new = state.seen.insert(known.concat());
        if is_new && state.deaths_left > 0 {
            state.deaths_left -= 1;
            state.deaths += 1;
            return false;
        }
        state.taken.push(hook);
        "ok".to_owned()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    // The caller may have gone.
    let _ = stream.write_all(head.as_bytes()).await;
    true
}

async fn read(stream: &mut TcpStream) -> Option<(String, Hook)> {
    let mut bytes = Vec::new();
    let end = loop {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..n]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(bytes.len() < REQUEST_BYTES_MAX, "a request without an end");
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut hook = Hook { path, headers, body: bytes.split_off(end) };
    let length: usize = hook.header("content-length").parse().unwrap_or(0);
    assert!(length < REQUEST_BYTES_MAX, "a request that is too long");
    let missing = length.saturating_sub(hook.body.len());
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest).await.ok()?;
    hook.body.extend(rest);
    Some((method, hook))
}
