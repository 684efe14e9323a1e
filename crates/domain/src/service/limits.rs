//! What is counted in memory: requests of a key, and requests that wait for their message.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::ids::{AccountId, KeyId};
use crate::policy::rate::{RateState, SlidingWindow};
use crate::ports::IdempotencyKey;

/// Most requests that wait for their message to be sent, of all accounts.
pub const WAITS_MAX: usize = 512;
/// Most requests of one account that wait for their message to be sent.
pub const WAITS_PER_ACCOUNT_MAX: usize = 32;
/// From this many keys on, those without a recent request are forgotten now and then.
const WINDOWS_KEPT: usize = 10_000;

/// The requests of the last minute, by key.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    windows: Mutex<HashMap<KeyId, SlidingWindow>>,
}

impl RateLimiter {
    /// Counts a request.
    pub(super) fn count(&self, key: KeyId, limit: i64, now: Timestamp) -> Result<RateState> {
        let mut windows = lock(&self.windows);
        if windows.len() >= WINDOWS_KEPT && !windows.contains_key(&key) {
            windows.retain(|_, window| !window.is_over(now));
        }
        windows.entry(key).or_default().count(limit, now).map_err(Error::RateLimited)
    }
}

/// The requests that wait now.
#[derive(Debug, Default)]
pub(super) struct Waits {
    books: Mutex<WaitBooks>,
}

#[derive(Debug, Default)]
struct WaitBooks {
    by_account: HashMap<AccountId, usize>,
    count: usize,
    /// The idempotency keys of requests that wait.
    in_flight: HashSet<(AccountId, String, String)>,
}

/// A place among those who wait; given back when dropped.
pub(super) struct WaitPlace<'a> {
    waits: &'a Waits,
    account: AccountId,
    key: Option<(AccountId, String, String)>,
}

impl Waits {
    /// Takes a place, if there is one and nobody waits with the same idempotency key.
    pub(super) fn enter(
        &self,
        account: AccountId,
        key: Option<&IdempotencyKey>,
    ) -> Result<WaitPlace<'_>> {
        let key = key.map(|key| (account, key.route.clone(), key.key.clone()));
        let mut books = lock(&self.books);
        if key.as_ref().is_some_and(|key| books.in_flight.contains(key)) {
            return Err(Error::IdempotencyInFlight);
        }
        let of_account = books.by_account.get(&account).copied().unwrap_or(0);
        if books.count >= WAITS_MAX || of_account >= WAITS_PER_ACCOUNT_MAX {
            return Err(Error::TooManyWaits);
        }
        books.count += 1;
        books.by_account.insert(account, of_account + 1);
        books.in_flight.extend(key.clone());
        Ok(WaitPlace { waits: self, account, key })
    }
}

impl Drop for WaitPlace<'_> {
    fn drop(&mut self) {
        let mut books = lock(&self.waits.books);
        books.count -= 1;
        if let Some(count) = books.by_account.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                books.by_account.remove(&self.account);
            }
        }
        if let Some(key) = &self.key {
            books.in_flight.remove(key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey { route: "POST /x".into(), key: text.into(), request_hash: [0; 32] }
    }

    #[test]
    fn an_account_has_so_many_places_and_all_have_so_many() {
        let waits = Waits::default();
        let one: Vec<_> = (0..WAITS_PER_ACCOUNT_MAX)
            .map(|_| waits.enter(AccountId(1), None).ok().unwrap())
            .collect();
        assert!(matches!(waits.enter(AccountId(1), None), Err(Error::TooManyWaits)));
        let mut others = Vec::new();
        for n in 0..WAITS_MAX - WAITS_PER_ACCOUNT_MAX {
            let account = AccountId(2 + i64::try_from(n / 30).unwrap());
            others.push(waits.enter(account, None).ok().unwrap());
        }
        assert!(matches!(waits.enter(AccountId(999), None), Err(Error::TooManyWaits)));
        drop(one);
        assert!(waits.enter(AccountId(1), None).is_ok());
    }

    #[test]
    fn an_idempotency_key_waits_once() {
        let waits = Waits::default();
        let first = waits.enter(AccountId(1), Some(&key("a"))).ok().unwrap();
        let again = waits.enter(AccountId(1), Some(&key("a")));
        assert!(matches!(again, Err(Error::IdempotencyInFlight)));
        assert!(waits.enter(AccountId(2), Some(&key("a"))).is_ok());
        drop(again);
        drop(first);
        assert!(waits.enter(AccountId(1), Some(&key("a"))).is_ok());
    }
}
