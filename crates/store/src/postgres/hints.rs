//! Hints between nodes: that something is new, over NOTIFY.
//!
//! A hint saves the others up to a second, and nothing depends on it: what it is about is in the tables. It is
//! sent after its commit, on a connection of its own, because NOTIFY takes a lock of the whole database at
//! the commit of its transaction.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use domain::ids::{AccountId, DeviceId};
use domain::leases::Leases;
use parking_lot::Mutex;
use sqlx::pool::CloseEvent;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// The channel; its payload says what is new, at which node, and for which devices.
const CHANNEL: &str = "gerbang";
/// Most hints that wait; what is beyond them is found without one.
const HINTS_MAX: usize = 64;
/// Most devices that a hint names, for a payload has less than 8,000 bytes. One about more names none, and is about any.
const NAMED_MAX: usize = 200;
/// Between two hints that are sent: a busy gateway has always something new.
const PAUSE: Duration = Duration::from_millis(50);
/// How long sending a hint may take, and beginning to listen.
const SEND_MAX: Duration = Duration::from_secs(5);
/// After so long without a hint it listens anew: a connection that is gone without a word says nothing for ever.
const HEARD_MAX: Duration = Duration::from_secs(60);
/// Between two tries to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(5);

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    /// Messages were accepted.
    Accepted,
    /// What caches hold has changed.
    Changed,
}

/// Those that something is about; `None` when it may be any.
#[derive(Debug)]
struct Named<T>(Option<BTreeSet<T>>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Some(BTreeSet::new()))
    }
}

impl<T: Ord> Named<T> {
    fn add(&mut self, more: impl IntoIterator<Item = T>) {
        let Some(named) = &mut self.0 else { return };
        named.extend(more);
        if named.len() > NAMED_MAX {
            self.0 = None;
        }
    }

    fn is_empty(&self) -> bool {
        self.0.as_ref().is_some_and(BTreeSet::is_empty)
    }

    fn take(&mut self) -> Option<BTreeSet<T>> {
        std::mem::take(self).0
    }
}

/// What a hint says of messages that this node has accepted; nothing when they were named before.
fn accepted_payload(node: i64, devices: Option<BTreeSet<DeviceId>>) -> Option<String> {
    let mut words = vec![format!("accepted {node}")];
    if let Some(devices) = devices {
        if devices.is_empty() {
            return None;
        }
        words.extend(devices.into_iter().map(DeviceId::to_text));
    }
    Some(words.join(" "))
}

/// Of which accounts others have accepted messages for devices of this node, since that was last asked.
#[derive(Debug, Default)]
struct Heard {
    accounts: Mutex<Named<AccountId>>,
    came: Notify,
}

/// Sends hints, and says when one has come.
pub(super) struct Hints {
    queue: Option<Sender<Hint>>,
    /// For which devices messages were accepted since the last hint.
    accepted: Arc<Mutex<Named<DeviceId>>>,
    heard: Arc<Heard>,
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
        let (accepted, heard) = (Arc::default(), Arc::default());
        let changed = Arc::new(Notify::new());
        if !is_on {
            return Self { queue: None, accepted, heard, changed };
        }
        let (queue, hints) = async_channel::bounded(HINTS_MAX);
        let listener = Listener {
            leases: leases.clone(),
            heard: Arc::clone(&heard),
            changed: changed.clone(),
        };
        tokio::spawn(listener.run(options.clone(), pool.close_event()));
        tokio::spawn(send(options, hints, Arc::clone(&accepted), leases.clone()));
        Self { queue: Some(queue), accepted, heard, changed }
    }

    /// Sends a hint, soon, that messages were accepted for these devices of other nodes.
    pub(super) fn send_accepted(&self, devices: impl Iterator<Item = DeviceId>) {
        let is_empty = {
            let mut accepted = self.accepted.lock();
            accepted.add(devices);
            accepted.is_empty()
        };
        if !is_empty {
            self.send(Hint::Accepted);
        }
    }

    /// Sends a hint, soon, that what caches hold has changed.
    pub(super) fn send_changed(&self) {
        self.send(Hint::Changed);
    }

    fn send(&self, hint: Hint) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(hint);
        }
    }

    /// Waits for a hint about devices of this node; of which accounts they are, or `None` when they may be of any.
    pub(super) async fn accepted_elsewhere(&self) -> Option<BTreeSet<AccountId>> {
        self.heard.came.notified().await;
        self.heard.accounts.lock().take()
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
async fn send(
    options: PgConnectOptions,
    hints: Receiver<Hint>,
    accepted: Arc<Mutex<Named<DeviceId>>>,
    leases: Arc<Leases>,
) {
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
            let node = own_node(&leases);
            let payload = match hint {
                Hint::Accepted => accepted_payload(node, accepted.lock().take()),
                Hint::Changed => Some(format!("changed {node}")),
            };
            let Some(payload) = payload else { continue };
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
    heard: Arc<Heard>,
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
            // Not a connection of the pool that reads and writes: a silent one stays in its pool until TCP gives it up.
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
        let mut words = payload.split(' ');
        let (Some(what), Some(node)) = (words.next(), words.next()) else { return };
        if node == own_node(&self.leases).to_string() {
            return;
        }
        match what {
            "accepted" => self.hear_accepted(&words.collect::<Vec<_>>()),
            "changed" => self.changed.notify_one(),
            _ => {}
        }
    }

    /// Others have accepted messages for these devices; for any where none are named.
    fn hear_accepted(&self, devices: &[&str]) {
        if devices.is_empty() {
            self.heard.accounts.lock().0 = None;
        } else {
            let held = devices.iter().filter_map(|id| self.leases.held(id.parse().ok()?));
            let accounts: BTreeSet<AccountId> = held.map(|owned| owned.account).collect();
            if accounts.is_empty() {
                return;
            }
            self.heard.accounts.lock().add(accounts);
        }
        self.heard.came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use domain::ids::NodeId;
    use domain::node::{OwnedDevice, Registration};

    use super::*;

    fn device(n: usize) -> DeviceId {
        format!("00000000-0000-0000-0000-{n:012}").parse().unwrap()
    }

    /// Node 1, which runs the first of two devices.
    fn listener() -> Listener {
        let (leases, registration) =
            (Leases::default(), Registration { node: NodeId(1), epoch: 1 });
        leases.renewed(registration, Instant::now());
        let owned = |n: usize| OwnedDevice {
            device: device(n),
            account: AccountId(n.try_into().unwrap()),
            epoch: 1,
            revision: 0,
        };
        leases.hold(registration, owned(1));
        let leases = Arc::new(leases);
        Listener { leases, heard: Arc::default(), changed: Arc::default() }
    }

    fn named(numbers: impl IntoIterator<Item = usize>) -> Option<BTreeSet<DeviceId>> {
        Some(numbers.into_iter().map(device).collect())
    }

    /// Of which accounts something is to be read; nothing when no hint was about this node's devices.
    async fn heard(listener: &Listener) -> Option<Option<BTreeSet<AccountId>>> {
        let came = timeout(Duration::from_millis(1), listener.heard.came.notified()).await;
        came.ok().map(|()| listener.heard.accounts.lock().take())
    }

    #[tokio::test]
    async fn a_hint_about_devices_of_other_nodes_is_ignored() {
        let listener = listener();
        let hint = |node, devices| accepted_payload(node, devices).unwrap();
        listener.hear(&hint(2, named([2, 3])));
        assert_eq!(heard(&listener).await, None);
        listener.hear(&hint(1, named([1])));
        assert_eq!(heard(&listener).await, None, "its own");
        listener.hear(&hint(2, named([1, 2])));
        listener.hear(&hint(3, named([1])));
        assert_eq!(heard(&listener).await, Some(Some([AccountId(1)].into())));
        assert_eq!(heard(&listener).await, None);
        // Of many, and of a node of an earlier release.
        listener.hear(&hint(2, named([1])));
        listener.hear("accepted 2");
        assert_eq!(heard(&listener).await, Some(None));
        listener.hear(&hint(2, named([1])));
        assert_eq!(heard(&listener).await, Some(Some([AccountId(1)].into())));
    }

    #[test]
    fn a_hint_fits_whatever_it_is_about() {
        let mut accepted = Named::default();
        assert!(accepted.is_empty());
        assert_eq!(accepted_payload(7, accepted.take()), None);
        accepted.add((0..NAMED_MAX).map(device));
        accepted.add((0..NAMED_MAX).map(device));
        let longest = accepted_payload(i64::MAX, accepted.take()).unwrap();
        assert_eq!(longest.split(' ').count(), 2 + NAMED_MAX);
        assert!(longest.len() < 8_000, "{}", longest.len());
        accepted.add((0..=NAMED_MAX).map(device));
        assert!(!accepted.is_empty());
        accepted.add([device(1)]);
        assert_eq!(accepted_payload(7, accepted.take()).unwrap(), "accepted 7");
    }
}
