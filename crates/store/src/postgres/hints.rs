//! Hints between nodes: that something is new, over NOTIFY.
//!
//! A hint saves the others up to a second, and nothing depends on it: what it is about is in the tables. It is
//! sent after its commit, on a connection of its own, because NOTIFY takes a lock of the whole database at
//! the commit of its transaction.

use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use domain::leases::Leases;
use sqlx::pool::CloseEvent;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// The channel; its payload says what is new.
const CHANNEL: &str = "gerbang";
/// Most hints that wait; what is beyond them is found without one.
const HINTS_MAX: usize = 64;
/// Between two hints that are sent, and between two that are acted upon: a busy gateway has always something new.
const PAUSE: Duration = Duration::from_millis(50);
/// How long sending a hint may take, and beginning to listen.
const SEND_MAX: Duration = Duration::from_secs(5);
/// After so long without a hint it listens anew: a connection that is gone without a word says nothing for ever.
const HEARD_MAX: Duration = Duration::from_secs(60);
/// Between two tries to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(5);

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Messages were accepted.
    Accepted,
    /// What caches hold has changed.
    Changed,
}

impl Hint {
    /// What is new, and at which node, so that it skips its own.
    fn payload(self, node: i64) -> String {
        match self {
            Self::Accepted => format!("accepted {node}"),
            Self::Changed => format!("changed {node}"),
        }
    }
}

/// Sends hints, and says when one has come.
pub(super) struct Hints {
    queue: Option<Sender<Hint>>,
    /// Another node has accepted messages.
    pub(super) accepted: Arc<Notify>,
    /// Another node has changed what caches hold.
    pub(super) changed: Arc<Notify>,
}

impl Hints {
    /// Starts its tasks, which end with it; none are sent or heard where NOTIFY is off.
    pub(super) fn start(
        options: PgConnectOptions,
        pool: &PgPool,
        leases: &Arc<Leases>,
        is_on: bool,
    ) -> Self {
        let (accepted, changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        if !is_on {
            return Self { queue: None, accepted, changed };
        }
        let (queue, hints) = async_channel::bounded(HINTS_MAX);
        let listener = Listener {
            leases: leases.clone(),
            accepted: accepted.clone(),
            changed: changed.clone(),
        };
        tokio::spawn(listener.run(options.clone(), pool.close_event()));
        tokio::spawn(send(options, hints, leases.clone()));
        Self { queue: Some(queue), accepted, changed }
    }

    /// Sends a hint, soon.
    pub(super) fn send(&self, hint: Hint) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(hint);
        }
    }

    /// Ends the tasks.
    pub(super) fn close(&self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

/// Ticks that are at least so far from one another.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Sends what waits, each kind once, over one connection.
async fn send(options: PgConnectOptions, hints: Receiver<Hint>, leases: Arc<Leases>) {
    let mut connection: Option<PgConnection> = None;
    let (mut pauses, mut tries) = (every(PAUSE), every(RECONNECT_PAUSE));
    while let Ok(first) = hints.recv().await {
        let mut batch = vec![first];
        while let Ok(hint) = hints.try_recv() {
            if !batch.contains(&hint) {
                batch.push(hint);
            }
        }
        if connection.is_none() {
            let connected = timeout(SEND_MAX, PgConnection::connect_with(&options)).await;
            connection = connected.ok().and_then(Result::ok);
        }
        let Some(open) = &mut connection else {
            tries.tick().await;
            continue;
        };
        for hint in batch {
            let payload = hint.payload(own_node(&leases));
            let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(payload);
            if !matches!(timeout(SEND_MAX, sent.execute(&mut *open)).await, Ok(Ok(_))) {
                connection = None;
                break;
            }
        }
        pauses.tick().await;
    }
}

/// The id of this node; 0 while it is none.
fn own_node(leases: &Leases) -> i64 {
    leases.node().map_or(0, |node| node.0)
}

/// Hears the hints of the other nodes.
struct Listener {
    leases: Arc<Leases>,
    accepted: Arc<Notify>,
    changed: Arc<Notify>,
}

impl Listener {
    /// Listens until the database is closed.
    async fn run(self, options: PgConnectOptions, closed: CloseEvent) {
        tokio::select! {
            () = closed => {}
            () = self.listen(&options) => {}
        }
    }

    async fn listen(&self, options: &PgConnectOptions) {
        let mut tries = every(RECONNECT_PAUSE);
        loop {
            tries.tick().await;
            // Never one of those that read and write: a connection that has fallen silent keeps its place in its
            // pool until TCP gives it up.
            let alone =
                PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
            let pool = alone.connect_lazy_with(options.clone());
            let listening = async {
                let mut listener = PgListener::connect_with(&pool).await?;
                listener.listen(CHANNEL).await.map(|()| listener)
            };
            let Ok(Ok(mut listener)) = timeout(SEND_MAX, listening).await else { continue };
            while let Ok(Ok(Some(heard))) = timeout(HEARD_MAX, listener.try_recv()).await {
                self.hear(heard.payload());
            }
        }
    }

    fn hear(&self, payload: &str) {
        let Some((what, node)) = payload.split_once(' ') else { return };
        if node == own_node(&self.leases).to_string() {
            return;
        }
        match what {
            "accepted" => self.accepted.notify_one(),
            "changed" => self.changed.notify_one(),
            _ => {}
        }
    }
}
