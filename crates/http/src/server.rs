//! Serving connections, with limits on all of them.
//!
//! axum's own `serve` sets no timer on headers and no bound on connections, so hyper is driven
//! here. HTTP/1.1 only: clients of these APIs speak it, and a proxy in front speaks the rest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::state::Shutdown;
use crate::write_timeout::Stallable;

/// Bounds on connections. Those on bodies are in `body`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once; more wait to be accepted.
    pub connections_max: u32,
    /// Largest request line and headers together.
    pub header_bytes_max: usize,
    /// Longest time until a request's headers are there; also how long an idle connection is kept.
    pub header_time_max: Duration,
    /// Longest time in which a client takes nothing of what is written to it.
    pub write_stall_max: Duration,
    /// How long running requests may take after the shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            header_bytes_max: 16 * 1024,
            header_time_max: Duration::from_secs(10),
            write_stall_max: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// Pause after a failed accept, such as when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the shutdown, then lets running requests end within [`Limits::grace`].
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    let slots = Arc::new(Semaphore::new(usize::try_from(limits.connections_max).unwrap_or(1_024)));
    let builder = connection_builder(&limits);
    let mut stop = std::pin::pin!(shutdown.clone().wait());
    loop {
        let next = async {
            // Never closed, so a permit always comes.
            let slot = slots.clone().acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        match (slot, accepted) {
            (Some(slot), Ok((stream, peer))) => {
                let connection = Connection { builder: builder.clone(), router: router.clone() };
                // Small answers must not wait for the client's next packet. Without it all works, slower.
                let _ = stream.set_nodelay(true);
                let stream = Stallable::new(stream, limits.write_stall_max);
                tokio::spawn(connection.run(stream, peer, shutdown.clone(), slot));
            }
            (_, Err(error)) if is_ones_own(&error) => {}
            (_, Err(error)) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
            (None, Ok(_)) => {}
        }
    }
    drop(listener);
    if timeout(limits.grace, slots.acquire_many(limits.connections_max)).await.is_err() {
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

struct Connection {
    builder: http1::Builder,
    router: Router,
}

impl Connection {
    /// Answers one connection's requests; gives back its slot at the end.
    async fn run(
        self,
        stream: Stallable,
        peer: SocketAddr,
        shutdown: Shutdown,
        _slot: OwnedSemaphorePermit,
    ) {
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            // A `Router` is always ready.
            router.clone().call(request)
        });
        let connection = self.builder.serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients that hang up or time out: nothing to do about them.
            tracing::trace!(%error, "a connection ended early");
        }
    }
}
