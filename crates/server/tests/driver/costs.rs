//! What a message costs in reads and writes of protocol state: each is a trip to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::ids::DeviceId;
use domain::message::Receipt;
use domain::ports::{ProtocolStore, ProtocolWrite, StoreResult};
use testkit::memory_store::MemoryStore;

use crate::world::{OURS, THEIRS, World, chat};

const MESSAGES: usize = 10;
/// Its token.
const READS_OF_A_MESSAGE: usize = 1;
/// The message, for phones that ask for it again, and the sessions that it was encrypted with.
const WRITES_OF_A_MESSAGE: usize = 2;
/// What follows from linking and from the first messages, and comes when it comes.
const LATE_MAX: usize = MESSAGES / 2;

/// What a connection reads and writes at any time, whatever is sent.
const BESIDE_MESSAGES: [&str; 7] = [
    "device",
    "prekey",
    "signed_prekey",
    "sync_key",
    "sync_key_latest",
    "sync_mac",
    "sync_version",
];

/// A store that counts.
struct Counted {
    store: MemoryStore,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Counted {
    fn new() -> Self {
        let (reads, writes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { store: MemoryStore::for_protocol(), reads, writes }
    }

    fn count(&self, counter: &AtomicUsize, space: &str) {
        if !BESIDE_MESSAGES.contains(&space) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counts(&self) -> [usize; 2] {
        [&self.reads, &self.writes].map(|counter| counter.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl ProtocolStore for Counted {
    async fn protocol_get(
        &self,
        device: DeviceId,
        space: &'static str,
        key: &str,
    ) -> StoreResult<Option<Vec<u8>>> {
        self.count(&self.reads, space);
        self.store.protocol_get(device, space, key).await
    }

    async fn protocol_get_many(
        &self,
        device: DeviceId,
        space: &'static str,
        keys: &[String],
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.count(&self.reads, space);
        self.store.protocol_get_many(device, space, keys).await
    }

    async fn protocol_scan(
        &self,
        device: DeviceId,
        space: &'static str,
        prefix: &str,
    ) -> StoreResult<Vec<(String, Vec<u8>)>> {
        self.count(&self.reads, space);
        self.store.protocol_scan(device, space, prefix).await
    }

    async fn protocol_write(
        &self,
        device: DeviceId,
        writes: Vec<ProtocolWrite>,
    ) -> StoreResult<()> {
        self.count(&self.writes, writes.first().map_or("", |write| write.space));
        self.store.protocol_write(device, writes).await
    }

    async fn protocol_clear(&self, device: DeviceId) -> StoreResult<()> {
        self.store.protocol_clear(device).await
    }
}

#[tokio::test]
async fn a_message_to_a_known_recipient_reads_and_writes_little() {
    let counted = Arc::new(Counted::new());
    let world = World::over(counted.clone()).await;
    let device = world.link(OURS).await;
    let send = async |n: usize| {
        let id = world.send(device, &chat(THEIRS), &format!("pesan {n}")).await;
        world.recorder.receipt(device, &id, Receipt::Read).await;
    };
    for n in 0..2 {
        send(n).await;
    }
    let before = counted.counts();
    for n in 0..MESSAGES {
        send(n).await;
    }
    let after = counted.counts();
    let [reads, writes] = [0, 1].map(|of| after[of] - before[of]);
    assert!(reads >= MESSAGES * READS_OF_A_MESSAGE, "{reads} reads: the store was not asked");
    assert!(reads <= MESSAGES * READS_OF_A_MESSAGE + LATE_MAX, "{reads} reads");
    assert!(writes <= MESSAGES * WRITES_OF_A_MESSAGE + LATE_MAX, "{writes} writes");
}
