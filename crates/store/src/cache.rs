//! A cache of what this process reads from its database.
//!
//! Invariant: once a write of this process has returned, no read returns data from before it, and once
//! another process has written, none does a second later ([`crate::postgres`], "changes"). The connection that
//! commits calls [`Cache::forget`] between the commit and the replies; a reader that began before
//! that must not fill in what it read, which it knows from the generation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use domain::device::{Device, DeviceFilter};
use domain::ids::{AccountId, DeviceId};
use domain::key::KeyHash;
use domain::ports::KeyHolder;
use parking_lot::RwLock;

use crate::sql::Invalidation;

/// Most keys and most devices kept; when there are more, all are dropped.
const ENTRIES_MAX: usize = 20_000;

/// Most devices of a look-up that is kept.
const FOUND_MAX: usize = 4;

/// Key holders, devices, and which devices were looked for.
#[derive(Default)]
pub(crate) struct Cache {
    pub(crate) holders: CacheMap<KeyHash, Arc<KeyHolder>>,
    pub(crate) devices: CacheMap<DeviceId, Arc<Device>>,
    /// All devices of an account that are wanted. Any change of any device may change any of these.
    look_ups: CacheMap<(AccountId, DeviceFilter), Arc<[DeviceId]>>,
}

/// The generations of what a look-up fills in.
pub(crate) struct LookUpGeneration {
    devices: u64,
    look_ups: u64,
}

impl Cache {
    /// Whether what others change is known in time. While it is not, nothing is kept.
    pub(crate) fn set_trusted(&self, is_trusted: bool) {
        self.holders.set_trusted(is_trusted);
        self.devices.set_trusted(is_trusted);
        self.look_ups.set_trusted(is_trusted);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.forget(&[Invalidation::Devices, Invalidation::Keys]);
    }

    /// Forgets what a committed transaction has changed.
    pub(crate) fn forget(&self, touched: &[Invalidation]) {
        for what in touched {
            match what {
                Invalidation::Device(id) => {
                    self.devices.remove(id);
                    self.look_ups.clear();
                }
                Invalidation::Devices => {
                    self.devices.clear();
                    self.look_ups.clear();
                }
                Invalidation::Key(hash) => self.holders.remove(hash),
                Invalidation::Keys => self.holders.clear(),
            }
        }
    }

    /// The devices of an account that are wanted, where that and each of them is known.
    pub(crate) fn found(
        &self,
        account: AccountId,
        filter: &DeviceFilter,
    ) -> Option<Vec<Arc<Device>>> {
        let ids = self.look_ups.get(&(account, filter.clone())).ok()?;
        let is_wanted = |device: &Arc<Device>| filter.matches(device);
        ids.iter().map(|id| self.devices.get(id).ok().filter(is_wanted)).collect()
    }

    /// To be handed to [`Cache::keep_found`] after looking into the database.
    pub(crate) fn look_up_generation(&self) -> LookUpGeneration {
        LookUpGeneration {
            devices: self.devices.generation(),
            look_ups: self.look_ups.generation(),
        }
    }

    /// Keeps what was found, all that is wanted, where it is something and few.
    pub(crate) fn keep_found(
        &self,
        generation: &LookUpGeneration,
        account: AccountId,
        filter: DeviceFilter,
        found: &[Device],
    ) {
        if found.is_empty() || found.len() > FOUND_MAX {
            return;
        }
        for device in found {
            self.devices.fill(generation.devices, device.id, Arc::new(device.clone()));
        }
        let ids = found.iter().map(|device| device.id).collect();
        self.look_ups.fill(generation.look_ups, (account, filter), ids);
    }
}

/// One bounded map with its generation.
pub(crate) struct CacheMap<K, V>(RwLock<Entries<K, V>>);

struct Entries<K, V> {
    generation: u64,
    is_off: bool,
    map: HashMap<K, V>,
}

impl<K, V> Default for CacheMap<K, V> {
    fn default() -> Self {
        Self(RwLock::new(Entries { generation: 0, is_off: false, map: HashMap::new() }))
    }
}

impl<K: Eq + Hash, V: Clone> CacheMap<K, V> {
    /// The entry, or the generation to hand to [`CacheMap::fill`] after reading the database.
    pub(crate) fn get(&self, key: &K) -> Result<V, u64> {
        let entries = self.0.read();
        entries.map.get(key).cloned().ok_or(entries.generation)
    }

    /// The generation to hand to [`CacheMap::fill`] after reading anew what may be there.
    pub(crate) fn generation(&self) -> u64 {
        self.0.read().generation
    }

    /// Keeps what was read, unless something was forgotten meanwhile.
    pub(crate) fn fill(&self, generation: u64, key: K, value: V) {
        let mut entries = self.0.write();
        if entries.generation != generation || entries.is_off {
            return;
        }
        if entries.map.len() >= ENTRIES_MAX && !entries.map.contains_key(&key) {
            entries.map.clear();
        }
        entries.map.insert(key, value);
    }

    fn remove(&self, key: &K) {
        let mut entries = self.0.write();
        entries.generation += 1;
        entries.map.remove(key);
    }

    fn set_trusted(&self, is_trusted: bool) {
        if self.0.read().is_off != is_trusted {
            return;
        }
        self.0.write().is_off = !is_trusted;
        self.clear();
    }

    fn clear(&self) {
        let mut entries = self.0.write();
        entries.generation += 1;
        entries.map.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let map = CacheMap::<u8, &str>::default();
        let generation = map.get(&1).unwrap_err();
        map.remove(&1);
        map.fill(generation, 1, "old");
        assert_eq!(map.get(&1), Err(1));
        map.fill(1, 1, "new");
        assert_eq!(map.get(&1), Ok("new"));
        map.fill(map.generation(), 1, "newer");
        assert_eq!(map.get(&1), Ok("newer"), "read anew");
    }
}
