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
/// How long a read may take before the cache is not trusted any more.
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
            match timeout(READ_MAX, self.read(&mut seen)).await {
                Ok(Ok(())) => {
                    if read_at.elapsed() >= COMMIT_MAX {
                        self.cache.clear();
                    }
                    self.cache.set_trusted(true);
                    read_at = Instant::now();
                }
                Ok(Err(_)) | Err(_) => self.cache.set_trusted(false),
            }
            if removed_at.elapsed() >= KEPT {
                removed_at = Instant::now();
                // What is left is removed by the next one.
                let _ = self.remove_old().await;
            }
        }
    }

    async fn read(&self, seen: &mut HashSet<i64>) -> SqlResult<()> {
        const READ: &str = "SELECT id, what FROM cache_changes WHERE at > now_ms() - $1";
        let mut tx = self.pool.acquire().await?;
        let mut now = HashSet::new();
        let mut touched = Vec::new();
        for mut row in tx.query(READ, params![millis(COMMIT_MAX)]).await? {
            let (id, what) = (row.int()?, row.text()?);
            if !seen.contains(&id) {
                touched.extend(named(&what));
            }
            now.insert(id);
        }
        *seen = now;
        self.cache.forget(&touched);
        let is_of_keys = |what: &Invalidation| !matches!(what, Invalidation::Device(_));
        if touched.iter().any(is_of_keys) {
            self.keys_changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn remove_old(&self) -> SqlResult<()> {
        const REMOVE: &str = "DELETE FROM cache_changes WHERE at < now_ms() - $1";
        let mut tx = self.pool.acquire().await?;
        tx.execute(REMOVE, params![millis(KEPT)]).await.map(drop)
    }
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
