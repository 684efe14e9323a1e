//! What nodes that share a PostgreSQL read of what the others have accepted and changed.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::device::{DeviceFilter, DeviceStatus, StatusChange};
use domain::ids::{AccountId, MessageId};
use domain::node::{LEASE, Registration};
use domain::ports::{DeviceStore as _, MessageStore as _, NodeStore as _, Store};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use store::SqlStore;
use support::Schema;
use testkit::store_conformance::nodes::node;
use testkit::store_conformance::{NOW, World, new_device, new_messages};
use tokio::time::{sleep, timeout};

/// Longest wait for what is known within a second.
const KNOWN_MAX: Duration = Duration::from_secs(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Two nodes; the first one runs the device of the account.
struct Nodes {
    schema: Schema,
    first: Arc<SqlStore>,
    second: Arc<SqlStore>,
    world: World,
    /// Up to which message the first one knows what was accepted.
    seen: HashMap<AccountId, MessageId>,
}

async fn join(store: &SqlStore, name: &str) -> Registration {
    let registration = store.register_node(&node(name), LEASE).await.unwrap();
    store.leases().renewed(registration, Instant::now() + Duration::from_secs(3_600));
    store.leases().set_shared(true);
    registration
}

impl Nodes {
    async fn start() -> Self {
        let schema = Schema::new().await;
        let first = store::open(&schema.url()).await.unwrap();
        let second = store::open(&schema.url()).await.unwrap();
        let world = World::new(first.clone()).await;
        let registration = join(&first, "first").await;
        join(&second, "second").await;
        assert_eq!(first.claim_devices(registration, 9).await.unwrap(), 1);
        let owned = first.owned_devices(registration).await.unwrap();
        first.leases().hold(registration, owned[0]);
        let loaded = first.outbox_of_devices(&owned).await.unwrap();
        first.follow_accounts(HashSet::from([world.account.id]));
        let seen = loaded.last_ids.into_iter().collect();
        Self { schema, first, second, world, seen }
    }

    /// A text for the device is accepted by one of the nodes.
    async fn accept(&self, at: &SqlStore, n: u64) -> MessageId {
        let request = self.world.request(vec![self.world.text(n)]);
        new_messages(at.accept(request).await.unwrap())[0].id
    }

    /// The same with many at once, which share commits.
    async fn accept_all(&self, at: &SqlStore, numbers: Range<u64>) -> Vec<MessageId> {
        join_all(numbers.map(|n| self.accept(at, n))).await
    }

    /// What the first node reads of what is new.
    async fn read(&mut self) -> Vec<MessageId> {
        let (read, last_ids) = self.read_after(&self.seen).await;
        self.seen.extend(last_ids);
        read
    }

    async fn read_after(
        &self,
        seen: &HashMap<AccountId, MessageId>,
    ) -> (Vec<MessageId>, Vec<(AccountId, MessageId)>) {
        let seen: Vec<_> = seen.iter().map(|(account, last)| (*account, *last)).collect();
        let loaded = self.first.outbox_since(&seen).await.unwrap();
        (loaded.entries.iter().map(|entry| entry.id).collect(), loaded.last_ids)
    }

    /// Waits until PostgreSQL shows a lock like this.
    async fn until_locked(&self, which: &str) {
        let sql = format!("SELECT CAST(count(*) AS TEXT) FROM pg_locks WHERE {which}");
        let is_locked = async {
            while self.schema.texts(&sql).await == ["0"] {
                sleep(PAUSE).await;
            }
        };
        timeout(KNOWN_MAX, is_locked).await.expect("a lock");
    }

    async fn end(self) {
        self.first.close().await;
        self.second.close().await;
        self.schema.drop().await;
    }
}

#[tokio::test]
async fn a_node_reads_what_others_have_accepted_and_nothing_of_its_own() {
    let mut nodes = Nodes::start().await;
    let (mut of_second, mut read) = (Vec::new(), Vec::new());
    for n in 0..40 {
        if n % 3 == 0 {
            of_second.push(nodes.accept(&nodes.second, n).await);
        } else {
            nodes.accept(&nodes.first, n).await;
        }
        if n % 7 == 0 {
            read.extend(nodes.read().await);
        }
    }
    read.extend(nodes.read().await);
    assert_eq!(read, of_second);
    assert_eq!(nodes.read().await, []);
    for n in 100..110 {
        nodes.accept(&nodes.first, n).await;
    }
    let before = nodes.seen.clone();
    assert_eq!(nodes.read().await, [], "its own");
    assert_ne!(nodes.seen, before, "which it knows");
    nodes.end().await;
}

/// Both accept at once, in commits that many requests share, while the first one reads.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_in_whatever_order_commits_come() {
    let mut nodes = Nodes::start().await;
    for round in 0..10 {
        let (from, mut seen, mut read) = (1_000 * round, nodes.seen.clone(), Vec::new());
        let reading = async {
            for _ in 0..10 {
                let (new, last_ids) = nodes.read_after(&seen).await;
                read.extend(new);
                seen.extend(last_ids);
                tokio::task::yield_now().await;
            }
        };
        let (own, others, ()) = tokio::join!(
            nodes.accept_all(&nodes.first, from..from + 60),
            nodes.accept_all(&nodes.second, from + 100..from + 160),
            reading,
        );
        nodes.seen = seen;
        read.extend(nodes.read().await);
        // Of its own only those whose callers did not have the answers yet.
        read.retain(|id| !own.contains(id));
        let known: BTreeSet<MessageId> = read.iter().copied().collect();
        assert_eq!(known.len(), read.len(), "each once, round {round}");
        assert_eq!(known, BTreeSet::from_iter(others), "round {round}");
        assert_eq!(nodes.read().await, [], "round {round}");
    }
    nodes.end().await;
}

#[tokio::test]
async fn what_a_caller_never_heard_of_is_read_back() {
    let mut nodes = Nodes::start().await;
    nodes.accept(&nodes.first, 1).await;
    // The request is queued and its caller hangs up.
    let gone = nodes.accept(&nodes.first, 2).now_or_never();
    assert_eq!(gone, None, "it takes a commit");
    let last = nodes.accept(&nodes.first, 3).await;
    let waiting = nodes.first.outbox().await.unwrap();
    assert_eq!(waiting.len(), 3, "it was accepted");
    assert_eq!(nodes.read().await, [waiting[1].id]);
    assert_eq!(nodes.seen[&nodes.world.account.id], last);
    nodes.end().await;
}

#[tokio::test]
async fn what_a_commit_has_accepted_whose_answer_was_lost_is_to_be_read() {
    // Longer than a commit is waited for; and the server does not look whether its client is still there.
    const DAWDLE: &str = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF current_setting('server_version_num')::int >= 140000 THEN
                PERFORM set_config('client_connection_check_interval', '0', true);
            END IF;
            PERFORM pg_sleep(12);
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION dawdle()";
    let mut nodes = Nodes::start().await;
    nodes.accept(&nodes.first, 1).await;
    assert!(!nodes.first.has_lost_answers(), "its caller knows");
    nodes.schema.execute(DAWDLE).await;
    let refused = nodes.first.accept(nodes.world.request(vec![nodes.world.text(2)])).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(nodes.first.has_lost_answers(), "also a node that is alone has to read it");
    let reading = async {
        loop {
            let read = nodes.read().await;
            if !read.is_empty() {
                return read;
            }
            sleep(PAUSE).await;
        }
    };
    let read = timeout(KNOWN_MAX, reading).await.expect("it was accepted");
    assert_eq!(read.len(), 1);
    nodes.end().await;
}

#[tokio::test]
async fn what_is_for_devices_of_other_nodes_is_not_read() {
    let mut nodes = Nodes::start().await;
    let second: Arc<dyn Store> = nodes.second.clone();
    let other = new_device(&second, &nodes.world.account, 50).await;
    assert!(nodes.second.leases().owns(other.id) && !nodes.first.leases().owns(other.id));
    let mut message = nodes.world.text(1);
    message.device_id = other.id;
    nodes.second.accept(nodes.world.request(vec![message])).await.unwrap();
    let own = nodes.accept(&nodes.second, 2).await;
    assert_eq!(nodes.read().await, [own]);
    nodes.end().await;
}

#[tokio::test]
async fn a_hint_names_the_accounts_whose_devices_are_meant() {
    let nodes = Nodes::start().await;
    let hinted = async {
        // Until the other one listens, a hint is heard by nobody.
        for n in 0.. {
            nodes.accept(&nodes.second, n).await;
            if let Ok(accounts) = timeout(PAUSE, nodes.first.accepted_elsewhere()).await {
                return accounts;
            }
        }
        None
    };
    let accounts = timeout(KNOWN_MAX, hinted).await.unwrap();
    assert_eq!(accounts, Some(BTreeSet::from([nodes.world.account.id])));
    nodes.end().await;
}

#[tokio::test]
async fn a_device_of_another_node_is_remembered_until_it_changes() {
    let nodes = Nodes::start().await;
    let (account, device) = (nodes.world.account.id, nodes.world.device.id);
    assert_eq!(nodes.second.known_device(account, device), None, "never read");
    let read = nodes.second.device(account, device).await.unwrap().unwrap();
    let known = nodes.second.known_device(account, device).unwrap();
    assert!(Arc::ptr_eq(&read, &known), "nothing is read");
    assert_eq!(nodes.second.known_device(AccountId(account.0 + 1), device), None);
    let change = StatusChange::new(DeviceStatus::Connecting, NOW);
    nodes.first.set_device_status(device, &change).await.unwrap().unwrap();
    let is_known = async {
        while nodes.second.known_device(account, device).is_some() {
            sleep(PAUSE).await;
        }
    };
    timeout(KNOWN_MAX, is_known).await.expect("it is forgotten");
    let now = nodes.second.device(account, device).await.unwrap().unwrap();
    assert_eq!(now.status, DeviceStatus::Connecting);
    assert!(nodes.second.known_device(account, device).is_some());
    nodes.end().await;
}

#[tokio::test]
async fn what_was_looked_for_is_remembered_until_a_device_of_another_node_changes() {
    let nodes = Nodes::start().await;
    let (account, device) = (nodes.world.account.id, &nodes.world.device);
    let all = DeviceFilter::default();
    let numbered = DeviceFilter { number: Some(device.number_id), ..DeviceFilter::default() };
    nodes.second.find_devices(account, &all, 1).await.unwrap();
    assert_eq!(nodes.second.known_devices(account, &all), None, "there may be more");
    for filter in [&all, &numbered] {
        assert_eq!(nodes.second.known_devices(account, filter), None, "never looked for");
        let found = nodes.second.find_devices(account, filter, 9).await.unwrap();
        assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [device.id]);
        let known = nodes.second.known_devices(account, filter).unwrap();
        assert_eq!(known, [Arc::new(found[0].clone())]);
        assert_eq!(nodes.second.known_devices(AccountId(account.0 + 1), filter), None);
    }
    let first: Arc<dyn Store> = nodes.first.clone();
    let made = new_device(&first, &nodes.world.account, 50).await;
    let is_known = async {
        while nodes.second.known_devices(account, &all).is_some() {
            sleep(PAUSE).await;
        }
    };
    timeout(KNOWN_MAX, is_known).await.expect("it is forgotten");
    let found = nodes.second.find_devices(account, &all, 9).await.unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [device.id, made.id]);
    nodes.end().await;
}

#[tokio::test]
async fn what_comes_while_a_commit_waits_for_another_node_shares_that_commit() {
    // The first message's commit takes long.
    const DAWDLE: &str = "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.id = (SELECT min(id) FROM outbox) THEN PERFORM pg_sleep(3); END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION dawdle()";
    const COMMITS: &str = "SELECT CAST(count(DISTINCT CAST(xmin AS TEXT)) AS TEXT) FROM outbox";
    let nodes = Nodes::start().await;
    nodes.schema.execute(DAWDLE).await;
    let (first, second, further) = tokio::join!(
        nodes.accept(&nodes.first, 1),
        async {
            nodes.until_locked("relation = 'usage'::regclass AND mode = 'RowExclusiveLock'").await;
            nodes.accept(&nodes.second, 2).await
        },
        async {
            // A transaction that waits for a locked row has a lock of this kind.
            nodes.until_locked("relation = 'usage'::regclass AND locktype = 'tuple'").await;
            nodes.accept_all(&nodes.second, 10..30).await
        },
    );
    assert_eq!(nodes.schema.texts(COMMITS).await, ["2"]);
    let ids: Vec<MessageId> = [first, second].into_iter().chain(further).collect();
    assert!(ids.is_sorted(), "in the order in which they came: {ids:?}");
    nodes.end().await;
}
