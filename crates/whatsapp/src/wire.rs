//! The web socket below a client, watched: how far an attempt to connect got.
//!
//! The library reports why a connection could not be made only to its own log. What matters for a
//! device's status is visible from outside: whether the socket opened, and whether the client itself
//! closed it after the server's first answer, which it does when the certificate is not valid.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use async_channel::{Receiver, WeakReceiver};
use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::DeviceId;
use domain::leases::Leases;
use domain::proxy::ProxyFault;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use wacore::net::{Transport, TransportEvent, TransportFactory};

use crate::limits::{CUT_MAX, HANDSHAKE_MAX};
use crate::link::Link;
use crate::receipts::SendBarrier;

/// How far an attempt got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// The socket did not open.
    #[default]
    Unreachable,
    /// The device's proxy did not let it through.
    Proxy(ProxyFault),
    /// The socket opened.
    Open,
    /// The client closed it after the server's answer to its first message.
    Distrusted,
}

/// The progress of a device's newest attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempt(Mutex<Progress>);

impl Attempt {
    /// How far it got.
    pub(crate) fn progress(&self) -> Progress {
        *self.0.lock()
    }

    fn set(&self, progress: Progress) {
        *self.0.lock() = progress;
    }
}

/// The socket of a device's newest attempt, while it is in use.
#[derive(Default)]
pub(crate) struct Line(Mutex<Option<Weak<dyn Transport>>>);

impl Line {
    /// Closes it. A client that closes it writes down first what it has, which takes as long as the store.
    pub(crate) async fn cut(&self) {
        let socket = self.0.lock().as_ref().and_then(Weak::upgrade);
        if let Some(socket) = socket
            && timeout(CUT_MAX, socket.disconnect()).await.is_err()
        {
            tracing::warn!("a socket took long to close");
        }
    }
}

/// Opens sockets for one device, records how far they got, and reads no faster than receipts are
/// stored.
pub(crate) struct WatchedFactory {
    sockets: Arc<dyn TransportFactory>,
    line: Arc<Line>,
    attempt: Arc<Attempt>,
    barrier: Arc<SendBarrier>,
    leases: Arc<Leases>,
    device: DeviceId,
    link: Option<Arc<Link>>,
}

impl WatchedFactory {
    /// Watches the sockets that `sockets` opens and keeps the newest in `line`; `barrier` delays what they send, and `leases` end it.
    pub(crate) fn new(
        sockets: Arc<dyn TransportFactory>,
        line: Arc<Line>,
        attempt: Arc<Attempt>,
        barrier: Arc<SendBarrier>,
        leases: Arc<Leases>,
        device: DeviceId,
    ) -> Self {
        Self { sockets, line, attempt, barrier, leases, device, link: None }
    }

    /// The sockets store a new link before they send anything more.
    pub(crate) fn storing(self, link: Link) -> Self {
        Self { link: Some(Arc::new(link)), ..self }
    }
}

#[async_trait]
impl TransportFactory for WatchedFactory {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        self.attempt.set(Progress::Unreachable);
        let opened = self.sockets.create_transport().await;
        let (socket, events) = opened.inspect_err(|error| {
            if let Some(fault) = error.downcast_ref::<ProxyFault>() {
                self.attempt.set(Progress::Proxy(*fault));
            }
        })?;
        self.attempt.set(Progress::Open);
        *self.line.0.lock() = Some(Arc::downgrade(&socket));
        let watched = Watched {
            socket,
            events: events.downgrade(),
            attempt: self.attempt.clone(),
            barrier: self.barrier.clone(),
            leases: self.leases.clone(),
            device: self.device,
            link: self.link.clone(),
            sent: AtomicU32::new(0),
            opened_at: Instant::now(),
        };
        Ok((Arc::new(watched), paced(events, self.barrier.clone())))
    }
}

/// Forwards what a socket receives while the barrier has room.
fn paced(events: Receiver<TransportEvent>, barrier: Arc<SendBarrier>) -> Receiver<TransportEvent> {
    let (sender, receiver) = async_channel::bounded(1);
    tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            barrier.room().await;
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    receiver
}

struct Watched {
    socket: Arc<dyn Transport>,
    /// Only to see whether the server has closed; the client reads the events.
    events: WeakReceiver<TransportEvent>,
    attempt: Arc<Attempt>,
    barrier: Arc<SendBarrier>,
    leases: Arc<Leases>,
    device: DeviceId,
    link: Option<Arc<Link>>,
    sent: AtomicU32,
    opened_at: Instant,
}

impl Watched {
    /// The client sends its first message, reads the answer and sends its second. When it closes
    /// before that, although neither the server nor a deadline has ended the connection, it rejected
    /// the answer.
    fn has_rejected_server(&self) -> bool {
        let is_server_there = self.events.upgrade().is_some_and(|events| !events.is_closed());
        self.sent.load(Ordering::Relaxed) == 1
            && is_server_there
            && self.opened_at.elapsed() < HANDSHAKE_MAX
    }
}

#[async_trait]
impl Transport for Watched {
    async fn send(&self, data: Bytes) -> anyhow::Result<()> {
        self.barrier.pass().await?;
        if let Some(link) = &self.link {
            link.store().await?;
        }
        // Last: what is stored before may take long.
        let may_send = self.leases.may_send(self.device, Instant::now().into_std());
        anyhow::ensure!(may_send, "another node may run this device by now");
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.socket.send(data).await
    }

    async fn disconnect(&self) {
        if self.has_rejected_server() {
            self.attempt.set(Progress::Distrusted);
        }
        self.socket.disconnect().await;
    }

    fn resource_report(&self) -> Option<wacore::stats::TransportResourceReport> {
        self.socket.resource_report()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    struct FakeSocket;

    #[async_trait]
    impl Transport for FakeSocket {
        async fn send(&self, _: Bytes) -> anyhow::Result<()> {
            Ok(())
        }

        async fn disconnect(&self) {}
    }

    /// Opens one socket, or none; the other end of its events is kept by the test.
    struct FakeSockets(std::sync::Mutex<Option<Receiver<TransportEvent>>>);

    #[async_trait]
    impl TransportFactory for FakeSockets {
        async fn create_transport(
            &self,
        ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
            let events = self.0.lock().unwrap().take();
            let events = events.ok_or_else(|| anyhow::anyhow!("connection refused"))?;
            Ok((Arc::new(FakeSocket), events))
        }
    }

    const DEVICE: DeviceId = DeviceId(uuid::Uuid::from_u128(1));

    fn watched(
        sockets: Arc<FakeSockets>,
        attempt: Arc<Attempt>,
        barrier: Arc<SendBarrier>,
    ) -> WatchedFactory {
        WatchedFactory::new(sockets, Arc::default(), attempt, barrier, Arc::default(), DEVICE)
    }

    #[tokio::test]
    async fn nothing_is_sent_for_a_device_of_another_node() {
        let (_server, events) = async_channel::bounded(4);
        let sockets = Arc::new(FakeSockets(std::sync::Mutex::new(Some(events))));
        let leases = Arc::new(Leases::default());
        let barrier = Arc::new(SendBarrier::new());
        let line = Arc::default();
        let factory =
            WatchedFactory::new(sockets, line, Arc::default(), barrier, leases.clone(), DEVICE);
        let (socket, _events) = factory.create_transport().await.unwrap();
        socket.send(Bytes::new()).await.unwrap();
        leases.fence();
        socket.send(Bytes::new()).await.unwrap_err();
    }

    /// Plays one attempt: what the client sends, whether the server closes, and the client's close.
    async fn play(sends: usize, server_closes: bool, takes: std::time::Duration) -> Progress {
        let (server, events) = async_channel::bounded(4);
        let attempt = Arc::new(Attempt::default());
        let sockets = Arc::new(FakeSockets(std::sync::Mutex::new(Some(events))));
        let factory = watched(sockets, attempt.clone(), Arc::new(SendBarrier::new()));
        let (socket, _events) = factory.create_transport().await.unwrap();
        for _ in 0..sends {
            socket.send(Bytes::new()).await.unwrap();
        }
        if server_closes {
            server.close();
        }
        tokio::time::advance(takes).await;
        socket.disconnect().await;
        attempt.progress()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_rejected_server_answer_is_distrust() {
        let at_once = std::time::Duration::from_millis(100);
        assert_eq!(play(1, false, at_once).await, Progress::Distrusted);
        assert_eq!(play(0, false, at_once).await, Progress::Open);
        assert_eq!(play(2, false, at_once).await, Progress::Open);
        assert_eq!(play(1, true, at_once).await, Progress::Open);
        assert_eq!(play(1, false, HANDSHAKE_MAX).await, Progress::Open);
    }

    #[tokio::test]
    async fn a_socket_sends_only_what_the_barrier_lets_pass() {
        let (_server, events) = async_channel::bounded(4);
        let barrier = Arc::new(SendBarrier::new());
        let sockets = Arc::new(FakeSockets(std::sync::Mutex::new(Some(events))));
        let factory = watched(sockets, Arc::default(), barrier.clone());
        let (socket, _events) = factory.create_transport().await.unwrap();
        barrier.receive();
        let mut sending = socket.send(Bytes::new());
        assert!((&mut sending).now_or_never().is_none(), "a receipt is not stored yet");
        barrier.answer(true);
        sending.await.unwrap();
        barrier.fail();
        let refused = socket.send(Bytes::new()).await.unwrap_err();
        assert_eq!(refused.to_string(), "a receipt is not stored");
    }

    #[tokio::test]
    async fn a_socket_that_does_not_open_is_unreachable() {
        let attempt = Arc::new(Attempt::default());
        attempt.set(Progress::Open);
        let sockets = Arc::new(FakeSockets(std::sync::Mutex::new(None)));
        let factory = watched(sockets, attempt.clone(), Arc::new(SendBarrier::new()));
        let refused = factory.create_transport().await.map(|_| ()).unwrap_err();
        assert_eq!(refused.to_string(), "connection refused");
        assert_eq!(attempt.progress(), Progress::Unreachable);
    }
}
