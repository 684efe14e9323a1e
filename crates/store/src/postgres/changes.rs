//! What other nodes have changed that the cache may hold.
//!
//! A transaction that changes such things writes what they are, too. Every node reads what is new, at once
//! after a hint ([`super::hints`]) and twice a second without one; while it cannot, its cache holds nothing.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::key::KeyHash;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::Pool;
use crate::cache::Cache;
use crate::sql::{Invalidation, SqlResult, Tx, params, to_json};

/// How often changes are read without a hint.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How long a read may take before the cache is not trusted any more, and a removal before it is left.
const READ_MAX: Duration = Duration::from_millis(500);
/// How long after it was written a change may be committed. A node that has read nothing for as long clears its
/// cache.
const COMMIT_MAX: Duration = Duration::from_secs(15);
/// How long changes are kept, and how often old ones are removed.
const KEPT: Duration = Duration::from_secs(120);

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Writes what a transaction has changed, at its end.
pub(super) async fn write(tx: &mut Tx) -> SqlResult<()> {
    const PUT: &str =
        "INSERT INTO cache_changes (what, at) SELECT value, now_ms() FROM json_rows($1)";
    if tx.touched.is_empty() || !tx.leases.is_fenced() {
        return Ok(());
    }
    let what: BTreeSet<String> = tx.touched.iter().map(name).collect();
    tx.execute(PUT, params![&to_json(&what)?]).await.map(drop)
}

fn name(what: &Invalidation) -> String {
    match what {
        Invalidation::Device(id) => format!("device {id}"),
        Invalidation::Devices => "devices".to_owned(),
        Invalidation::Key(KeyHash(hash)) => {
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("key {hash}")
        }
        Invalidation::Keys => "keys".to_owned(),
    }
}

/// Reads a name back; one of a later release clears everything.
fn named(name: &str) -> Vec<Invalidation> {
    let known = match name.split_once(' ') {
        Some(("device", id)) => id.parse().ok().map(Invalidation::Device),
        Some(("key", hash)) => key_hash(hash).map(Invalidation::Key),
        _ if name == "devices" => Some(Invalidation::Devices),
        _ if name == "keys" => Some(Invalidation::Keys),
        _ => None,
    };
    known.map_or_else(|| vec![Invalidation::Devices, Invalidation::Keys], |known| vec![known])
}

fn key_hash(text: &str) -> Option<KeyHash> {
    let digit = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(digit).collect();
    Some(KeyHash(bytes?.try_into().ok()?))
}

/// What follows the changes of other nodes.
pub(super) struct Follower {
    pub(super) pool: Pool,
    pub(super) cache: Arc<Cache>,
    /// Something is to be read before its time.
    pub(super) hint: Arc<Notify>,
    /// Counts what keys and accounts were changed.
    pub(super) keys_changed: watch::Sender<u64>,
}

impl Follower {
    /// Follows for ever.
    pub(super) async fn run(self) {
        let mut seen = HashSet::new();
        let (mut read_at, mut removed_at) = (Instant::now(), Instant::now());
        loop {
            let _ = timeout(READ_EVERY, self.hint.notified()).await;
            if !self.pool.leases.is_fenced() {
                continue;
            }
            match self.pool.run(READ_MAX, |tx| Box::pin(read(tx))).await {
                Ok(changes) => {
                    self.follow(changes, &mut seen);
                    if read_at.elapsed() >= COMMIT_MAX {
                        self.cache.clear();
                    }
                    self.cache.set_trusted(true);
                    read_at = Instant::now();
                }
                Err(_) => self.cache.set_trusted(false),
            }
            if removed_at.elapsed() >= KEPT {
                removed_at = Instant::now();
                // What is left is removed by the next one.
                let _ = self.pool.run(READ_MAX, |tx| Box::pin(remove_old(tx))).await;
            }
        }
    }

    /// Forgets what was changed since the last time.
    fn follow(&self, changes: Vec<(i64, String)>, seen: &mut HashSet<i64>) {
        let new = changes.iter().filter(|(id, _)| !seen.contains(id));
        let touched: Vec<Invalidation> = new.flat_map(|(_, what)| named(what)).collect();
        *seen = changes.into_iter().map(|(id, _)| id).collect();
        self.cache.forget(&touched);
        let is_of_keys = |what: &Invalidation| !matches!(what, Invalidation::Device(_));
        if touched.iter().any(is_of_keys) {
            self.keys_changed.send_modify(|count| *count += 1);
        }
    }
}

async fn read(tx: &mut Tx) -> SqlResult<Vec<(i64, String)>> {
    const READ: &str = "SELECT id, what FROM cache_changes WHERE at > now_ms() - $1";
    let rows = tx.query(READ, params![millis(COMMIT_MAX)]).await?;
    rows.into_iter().map(|mut row| Ok((row.int()?, row.text()?))).collect()
}

async fn remove_old(tx: &mut Tx) -> SqlResult<()> {
    const REMOVE: &str = "DELETE FROM cache_changes WHERE at < now_ms() - $1";
    tx.execute(REMOVE, params![millis(KEPT)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_an_unknown_one_clears_everything() {
        let device = Invalidation::Device("00000000-0000-0000-0000-000000000007".parse().unwrap());
        let key = Invalidation::Key(KeyHash(std::array::from_fn(|n| n as u8)));
        for what in [device, key, Invalidation::Devices, Invalidation::Keys] {
            assert_eq!(named(&name(&what)), [what]);
        }
        for unknown in ["", "webhook 7", "key zz", "device x"] {
            assert_eq!(named(unknown), [Invalidation::Devices, Invalidation::Keys], "{unknown}");
        }
    }
}
