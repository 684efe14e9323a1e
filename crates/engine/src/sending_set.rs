//! Which messages are with WhatsApp at this moment; asked for every message that is shown.

use std::collections::HashSet;

use parking_lot::{Mutex, MutexGuard};

use domain::ids::MessageId;

const SHARDS: usize = 16;

/// A set of message ids that many devices change at once.
#[derive(Debug, Default)]
pub(crate) struct SendingSet([Mutex<HashSet<MessageId>>; SHARDS]);

impl SendingSet {
    /// Whether it was not there before.
    pub(crate) fn insert(&self, id: MessageId) -> bool {
        self.shard(id).insert(id)
    }

    /// Whether it was there.
    pub(crate) fn remove(&self, id: MessageId) -> bool {
        self.shard(id).remove(&id)
    }

    pub(crate) fn contains(&self, id: MessageId) -> bool {
        self.shard(id).contains(&id)
    }

    fn shard(&self, id: MessageId) -> MutexGuard<'_, HashSet<MessageId>> {
        let at = usize::try_from(id.0.rem_euclid(SHARDS as i64)).unwrap_or_default();
        self.0[at].lock()
    }
}
