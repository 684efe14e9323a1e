//! The client against a server and a resolver that misbehave.

mod fetch;
mod hostile;
mod limits;
mod tls;
mod webhooks;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::HttpOutbound;
use crate::client::Limits;
use crate::guard::{Guard, Lookup};

/// A server on loopback that records its requests, and answers as the test says.
struct Server {
    address: SocketAddr,
    /// The heads and bodies of the requests, in order.
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers each request with the bytes that `answer` makes of its path, and closes.
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted("127.0.0.1:0", move |request, mut stream| {
            let bytes = answer(request.split(' ').nth(1).unwrap_or_default());
            Box::pin(async move {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            })
        })
        .await
    }

    /// Leaves the connection to `script` once the request was read.
    async fn scripted(
        address: &str,
        script: impl Fn(String, TcpStream) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, script, count) = (requests.clone(), Arc::new(script), connections.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (seen, script) = (seen.clone(), script.clone());
                tokio::spawn(async move {
                    let request = read_request(&mut stream).await;
                    seen.lock().unwrap().push(request.clone());
                    script(request, stream).await;
                });
            }
        });
        Self { address, requests, connections, task }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Proves that there was no connection: they are accepted in order, and ours is the first.
    async fn assert_untouched(&self) {
        let _ours = TcpStream::connect(self.address).await.unwrap();
        until(|| self.connections.load(Ordering::SeqCst) > 0).await;
        assert_eq!(self.connections.load(Ordering::SeqCst), 1);
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A request's head, and as much body as it announces.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while stream.read_buf(&mut request).await.is_ok_and(|count| count > 0) {
        // The beginning of TLS, which this server does not speak.
        if request.first() == Some(&0x16) {
            break;
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            break;
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// An answer with its length.
fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "", body)
}

fn redirect(to: &str) -> Vec<u8> {
    answer("302 Found", &format!("location: {to}\r\n"), b"")
}

/// A resolver that knows a few names, and counts its lookups.
#[derive(Default)]
struct FakeLookup {
    hosts: HashMap<String, Vec<IpAddr>>,
    lookups: AtomicUsize,
}

impl FakeLookup {
    fn new(hosts: &[(&str, &[&str])]) -> Arc<Self> {
        let parsed = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let hosts = hosts.iter().map(|(host, ips)| ((*host).to_owned(), parsed(ips))).collect();
        Arc::new(Self { hosts, lookups: AtomicUsize::new(0) })
    }

    fn lookups(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

impl Lookup for FakeLookup {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let found = self.hosts.get(host).cloned();
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// A client under test, and its folder.
struct Rig {
    client: HttpOutbound,
    dir: TempDir,
    lookup: Arc<FakeLookup>,
}

/// A network, or one address.
fn network(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| text.parse::<IpAddr>().unwrap().into())
}

impl Rig {
    /// A client that may reach `nets` and whose resolver knows `hosts`.
    fn new(nets: &[&str], hosts: &[(&str, &[&str])], limits: Limits) -> Self {
        let guard = Guard::new(nets.iter().map(|net| network(net)).collect());
        Self::with(guard, hosts, limits)
    }

    fn with(guard: Guard, hosts: &[(&str, &[&str])], limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lookup = FakeLookup::new(hosts);
        let path = dir.path().to_owned();
        let client = HttpOutbound::with(guard, path, limits, lookup.clone()).unwrap();
        Self { client, dir, lookup }
    }

    /// A client that may reach `127.0.0.1`.
    fn local() -> Self {
        Self::new(&["127.0.0.1"], &[], Limits::default())
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.dir.path()).unwrap().count()
    }
}

/// Waits until a condition holds.
async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it never came to that");
}
