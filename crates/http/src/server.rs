//! Serving connections, with limits on all of them.
//!
//! axum's own `serve` sets no timer on headers and no bound on connections, so hyper is driven
//! here; `connections` decides which are kept. HTTP/1.1 only: clients of these APIs speak it,
//! and a proxy in front speaks the rest.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::client_stream::ClientStream;
use crate::connections::{Admission, Connections, OpenConnection};
use crate::paths;
use crate::reply::json;
use crate::state::Shutdown;
use crate::system::PROBES;
use crate::write_timeout::Stallable;

/// Bounds on connections. Those on bodies are in `body`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once.
    pub connections_max: usize,
    /// The same of one address.
    pub connections_per_address_max: usize,
    /// Largest request line and headers together.
    pub header_bytes_max: usize,
    /// Longest time until a request's headers are there; also how long an idle connection is kept.
    pub header_time_max: Duration,
    /// How long a request may take to come before its connection counts as half-open.
    pub half_open_after: Duration,
    /// Longest time in which a client takes nothing of what is written to it.
    pub write_stall_max: Duration,
    /// How long running requests may take after the shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connections_per_address_max: 128,
            header_bytes_max: 16 * 1024,
            header_time_max: Duration::from_secs(10),
            half_open_after: Duration::from_secs(1),
            write_stall_max: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// Pause after a failed accept, such as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection over the limit is sent before it is closed.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";
/// As [`Limits::header_time_max`], of connections that may ask for probes only.
const PROBE_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves until the shutdown, then lets running requests end within [`Limits::grace`]. Connections of
/// `proxies` are those of many clients.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proxies: Vec<IpNet>,
    shutdown: Shutdown,
) {
    let connections = Connections::new(&limits, proxies);
    let (running, mut all_ended) = mpsc::channel::<Infallible>(1);
    let server = Server { router, limits, shutdown: shutdown.clone(), running };
    let mut stop = std::pin::pin!(shutdown.wait());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => server.admit(&connections, stream, peer),
            Err(error) if is_ones_own(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                // Such as when file descriptors run out.
                connections.end_oldest(None);
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop((listener, server.running));
    if timeout(limits.grace, all_ended.recv()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
    }
}

fn connection_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_header_size(limits.header_bytes_max);
    // At most 100 headers: hyper's own bound. Setting any makes it fill two tables per request.
    builder
}

/// Whether only that connection is at fault.
fn is_ones_own(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
    /// Held by each connection; nothing is sent.
    running: mpsc::Sender<Infallible>,
}

impl Server {
    fn admit(&self, connections: &Arc<Connections>, stream: TcpStream, peer: SocketAddr) {
        // Small answers must not wait for the client's next packet. Without it all works, slower.
        let _ = stream.set_nodelay(true);
        let server = self.clone();
        match connections.admit(peer.ip()) {
            Admission::Now(open) => drop(tokio::spawn(server.run(stream, peer, open))),
            Admission::Later(queued) => drop(tokio::spawn(async move {
                let place = tokio::select! {
                    place = queued.place() => place,
                    () = server.shutdown.clone().wait() => None,
                };
                match place {
                    Some(open) => server.run(stream, peer, open).await,
                    None => refuse(&stream),
                }
            })),
            Admission::ForProbes(permit) => drop(tokio::spawn(async move {
                server.run_for_probes(stream, peer).await;
                drop(permit);
            })),
            Admission::Refused => refuse(&stream),
        }
    }

    /// Answers one connection's requests.
    async fn run(self, stream: TcpStream, peer: SocketAddr, open: OpenConnection) {
        let router = self.router;
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let (body, answering) = open.request(body);
            let mut request = hyper::Request::from_parts(parts, body);
            request.extensions_mut().insert(ConnectInfo(peer));
            paths::tidy(request.uri_mut());
            // A `Router` is always ready.
            let answer = router.clone().call(request);
            async move { answer.await.map(|answer| answer.map(|body| answering.with(body))) }
        });
        let stream = ClientStream::new(stream, router.clone());
        let stream = Stallable::new(stream, self.limits.write_stall_max);
        let connection = connection_builder(&self.limits).serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let ended = tokio::select! {
            biased;
            () = open.must_end() => return,
            ended = connection.as_mut() => ended,
            () = self.shutdown.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients that hang up or time out: nothing to do about them.
            tracing::trace!(%error, "a connection ended early");
        }
    }

    /// Answers one request of this machine, if it is for a probe.
    async fn run_for_probes(self, stream: TcpStream, peer: SocketAddr) {
        let router = self.router;
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let is_probe = PROBES.contains(&request.uri().path());
            let answer = is_probe.then(|| router.clone().call(request));
            async move {
                match answer {
                    Some(answer) => answer.await,
                    None => Ok(busy()),
                }
            }
        });
        let limits = Limits { header_time_max: PROBE_TIME_MAX, ..self.limits };
        let stream = ClientStream::new(stream, router.clone());
        let stream = Stallable::new(stream, PROBE_TIME_MAX);
        let connection =
            connection_builder(&limits).keep_alive(false).serve_connection(stream, service);
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a probe ended early");
        }
    }
}

/// The answer to a request that is no probe, over the limit.
fn busy() -> axum::http::Response<Body> {
    json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({"status": "busy"}))
}

/// Closes a connection over the limit. The client may miss the words, and sees the end in any case.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(BUSY);
}
