//! Which connections are kept: at most so many in all and of each address.
//!
//! When there is no room, the oldest connection goes that has not sent a whole request: first those
//! that did not send one in a second, then idle ones, then new ones. A client that sends its
//! request at once is not cut off, and one that opens many connections and leaves them half-open or
//! idle takes its own places only.
//!
//! A trusted proxy, and this machine itself, hold the connections of many clients: each of theirs
//! counts as an address of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::fair_semaphore::{FairSemaphore, Permit};
use hyper::body::{Body, Frame, SizeHint};
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::net::{is_in, share_of};
use crate::server::Limits;

/// Most accepted connections that wait for a place; further ones are closed.
const WAITING_MAX: usize = 256;
/// The same of one address.
const WAITING_PER_ADDRESS_MAX: usize = 16;
/// Most connections from this machine beside the others, for probes only.
const PROBES_MAX: usize = 32;
/// Longest time a connection waits for a place.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// An address; with the number of the connection where each is an address of its own.
type Place = (IpAddr, u64);

/// All connections.
pub(crate) struct Connections {
    per_address_max: usize,
    half_open_after: Duration,
    proxies: Vec<IpNet>,
    places: Arc<FairSemaphore<Place>>,
    waiting: Arc<FairSemaphore<IpAddr>>,
    probes: Arc<FairSemaphore<()>>,
    open: Mutex<BTreeMap<u64, Arc<Progress>>>,
    /// Numbers connections.
    turns: AtomicU64,
    started: Instant,
}

/// What becomes of a new connection.
pub(crate) enum Admission {
    /// It is served.
    Now(OpenConnection),
    /// It is served if a place becomes free.
    Later(Queued),
    /// It is served as long as it asks for probes only.
    ForProbes(Permit<()>),
    /// It is closed.
    Refused,
}

/// A connection that waits for a place.
pub(crate) struct Queued {
    connections: Arc<Connections>,
    place: Place,
    _waiting: Permit<IpAddr>,
}

/// A connection that has a place.
pub(crate) struct OpenConnection {
    connections: Arc<Connections>,
    progress: Arc<Progress>,
    _permit: Permit<Place>,
}

/// How far the request of a connection is.
pub(crate) struct Progress {
    number: u64,
    address: IpAddr,
    step: AtomicU8,
    /// When the step began, in microseconds since the start.
    since: AtomicU64,
    must_end: Notify,
}

/// Nothing, or no whole request, has come yet.
const FRESH: u8 = 0;
/// A request's headers have come, its body has not.
const RECEIVING: u8 = 1;
/// All requests so far are answered.
const IDLE: u8 = 2;
/// A whole request has come and is not answered.
const WHOLE: u8 = 3;

impl Connections {
    pub(crate) fn new(limits: &Limits, proxies: Vec<IpNet>) -> Arc<Self> {
        let per_address_max = limits.connections_per_address_max;
        Arc::new(Self {
            per_address_max,
            half_open_after: limits.half_open_after,
            proxies,
            places: FairSemaphore::new(limits.connections_max, per_address_max),
            waiting: FairSemaphore::new(WAITING_MAX, WAITING_PER_ADDRESS_MAX),
            probes: FairSemaphore::new(PROBES_MAX, PROBES_MAX),
            open: Mutex::default(),
            turns: AtomicU64::new(0),
            started: Instant::now(),
        })
    }

    /// Decides what becomes of a connection from `peer`.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Admission {
        let place = self.place(peer);
        if let Some(permit) = self.places.try_acquire(place) {
            return Admission::Now(self.open(place, permit));
        }
        let is_own_share = self.places.held_by(place) >= self.per_address_max;
        let has_room_soon = self.end_oldest(is_own_share.then_some(place.0));
        if !has_room_soon
            && !is_own_share
            && peer.to_canonical().is_loopback()
            && let Some(permit) = self.probes.try_acquire(())
        {
            return Admission::ForProbes(permit);
        }
        match self.waiting.try_acquire(place.0) {
            Some(waiting) => {
                let connections = self.clone();
                Admission::Later(Queued { connections, place, _waiting: waiting })
            }
            None => Admission::Refused,
        }
    }

    /// Ends the oldest connection without a whole request, of one address or of all.
    pub(crate) fn end_oldest(&self, of: Option<IpAddr>) -> bool {
        let old = self.now().saturating_sub(micros(self.half_open_after));
        let open = self.open.lock();
        let candidates =
            open.values().filter(|one| of.is_none_or(|address| address == one.address));
        let candidates = candidates.filter_map(|one| Some((one.rank(old)?, one)));
        let Some((_, oldest)) = candidates.min_by_key(|(rank, _)| *rank) else { return false };
        // It counts as one with a request from here on, so that the next call finds another.
        oldest.step.store(WHOLE, Ordering::Relaxed);
        oldest.must_end.notify_one();
        true
    }

    fn place(&self, peer: IpAddr) -> Place {
        let address = share_of(peer);
        let is_many = is_in(&self.proxies, peer.to_canonical()) || is_this_machine(peer);
        (address, if is_many { self.next_turn() } else { 0 })
    }

    fn next_turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn now(&self) -> u64 {
        micros(self.started.elapsed())
    }

    fn open(self: &Arc<Self>, place: Place, permit: Permit<Place>) -> OpenConnection {
        let number = self.next_turn();
        let progress = Arc::new(Progress {
            number,
            address: place.0,
            step: AtomicU8::new(FRESH),
            since: AtomicU64::new(self.now()),
            must_end: Notify::new(),
        });
        self.open.lock().insert(number, progress.clone());
        OpenConnection { connections: self.clone(), progress, _permit: permit }
    }
}

impl Progress {
    /// The lowest goes first; `None` is never cut off. `old` is when a new connection began at the
    /// latest to count as half-open by now.
    fn rank(&self, old: u64) -> Option<(u8, u64, u64)> {
        let since = self.since.load(Ordering::Relaxed);
        let class = match self.step.load(Ordering::Relaxed) {
            WHOLE => return None,
            IDLE => 1,
            _ if since <= old => 0,
            _ => 2,
        };
        Some((class, since, self.number))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The address from which a proxy on the same machine connects. The others of 127.0.0.0/8 are clients
/// that chose one of their own.
fn is_this_machine(peer: IpAddr) -> bool {
    let peer = peer.to_canonical();
    peer == IpAddr::from([127, 0, 0, 1]) || (peer.is_ipv6() && peer.is_loopback())
}

impl Queued {
    /// Waits for a place; `None` when none became free in time.
    pub(crate) async fn place(self) -> Option<OpenConnection> {
        let permit = timeout(WAIT_MAX, self.connections.places.acquire(self.place)).await.ok()?;
        Some(self.connections.open(self.place, permit))
    }
}

impl OpenConnection {
    /// Returns when the connection has to make room.
    pub(crate) async fn must_end(&self) {
        self.progress.must_end.notified().await;
    }

    /// A request's headers have come: its body, and what is to be kept until it is answered.
    pub(crate) fn request<B: Body>(&self, body: B) -> (RequestBody<B>, Answering) {
        let step = if body.is_end_stream() { WHOLE } else { RECEIVING };
        self.progress.step.store(step, Ordering::Relaxed);
        self.progress.since.store(self.connections.now(), Ordering::Relaxed);
        let progress = self.progress.clone();
        let connections = self.connections.clone();
        (RequestBody { body, progress: progress.clone() }, Answering { connections, progress })
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.progress.number);
    }
}

/// The body of a request.
pub(crate) struct RequestBody<B> {
    body: B,
    progress: Arc<Progress>,
}

impl<B: Body + Unpin> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            // Not when the request is answered already and its rest is thrown away.
            let step = &self.progress.step;
            let _ = step.compare_exchange(RECEIVING, WHOLE, Ordering::Relaxed, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Kept until a request is answered.
pub(crate) struct Answering {
    connections: Arc<Connections>,
    progress: Arc<Progress>,
}

impl Answering {
    /// The answer's body, which keeps this.
    pub(crate) fn with<B>(self, body: B) -> ResponseBody<B> {
        self.progress.step.store(WHOLE, Ordering::Relaxed);
        ResponseBody { body, _answering: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.progress.since.store(self.connections.now(), Ordering::Relaxed);
        self.progress.step.store(IDLE, Ordering::Relaxed);
    }
}

/// The body of an answer.
pub(crate) struct ResponseBody<B> {
    body: B,
    _answering: Answering,
}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
