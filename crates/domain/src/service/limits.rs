//! What is counted in memory: requests of keys, devices and accounts, requests that wait for their
//! message, live streams, and wrong keys.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::AbortHandle;
use futures_util::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::account::Caller;
use crate::error::{Error, Result};
use crate::fair_semaphore::{FairSemaphore, Permit};
use crate::ids::{AccountId, DeviceId, KeyId};
use crate::key::KeyHash;
use crate::policy::rate::{RateState, SlidingWindow};
use crate::ports::IdempotencyKey;

/// Most requests that wait for their message to be sent, of all accounts.
pub const WAITS_MAX: usize = 512;
/// Most requests of one account that wait for their message to be sent.
pub const WAITS_PER_ACCOUNT_MAX: usize = 32;
/// Most live streams, of all accounts.
pub const STREAMS_MAX: usize = 512;
/// Most live streams of one account.
pub const STREAMS_PER_ACCOUNT_MAX: usize = 32;
/// From this many keys on, those without a recent request are forgotten now and then.
pub(super) const WINDOWS_KEPT: usize = 10_000;
/// Most wrong keys of one address in 60 seconds; further ones are answered with 429.
pub const WRONG_KEYS_MAX: i64 = 100;
/// How often windows that are over are looked for.
const FORGET_EVERY: SignedDuration = SignedDuration::from_secs(1);

/// How many times as many requests an account may make as one of its keys or devices.
const ACCOUNT_RATE_FACTOR: i64 = 10;

/// Whose requests are counted together. A device token counts for its device and every key for its
/// account, so that a new token or key starts no new window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    Key(KeyId),
    Device(DeviceId),
    Account(AccountId),
}

impl Counted {
    /// Its name in the database.
    pub(super) fn name(self) -> String {
        match self {
            Self::Key(key) => format!("key {}", key.0),
            Self::Device(device) => format!("device {device}"),
            Self::Account(account) => format!("account {}", account.0),
        }
    }
}

/// The caller and its account, whose requests are counted.
///
/// # Errors
/// [`Error::Forbidden`] for the operator, whose are not.
pub(super) fn counted(caller: Caller) -> Result<(Counted, Counted)> {
    let (own, account) = match caller {
        Caller::Operator => return Err(Error::Forbidden),
        Caller::Account(account, key) => (Counted::Key(key), account),
        Caller::Device(account, device, _) => (Counted::Device(device), account),
    };
    Ok((own, Counted::Account(account)))
}

/// How many requests an account may make, of whose keys and devices each may make `limit`.
pub(super) fn in_all(limit: i64) -> i64 {
    limit.saturating_mul(ACCOUNT_RATE_FACTOR)
}

/// The requests of the last minute.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    windows: Mutex<HashMap<Counted, SlidingWindow>>,
}

impl RateLimiter {
    /// Counts a request; what is returned is where the caller has the least left.
    pub(super) fn count(&self, caller: Caller, limit: i64, now: Timestamp) -> Result<RateState> {
        let (own, account) = counted(caller)?;
        let in_all = in_all(limit);
        let mut windows = self.windows.lock();
        if windows.len() >= WINDOWS_KEPT && !windows.contains_key(&own) {
            windows.retain(|_, window| !window.is_over(now));
        }
        let of_account = windows.entry(account).or_default();
        of_account.check(in_all, now).map_err(Error::RateLimited)?;
        let state =
            windows.entry(own).or_default().count(limit, now).map_err(Error::RateLimited)?;
        let of_account = windows.entry(account).or_default().count(in_all, now);
        let of_account = of_account.map_err(Error::RateLimited)?;
        Ok(if of_account.remaining < state.remaining { of_account } else { state })
    }
}

/// Wrong keys of the last minute, by the address that sent them.
#[derive(Debug, Default)]
pub(super) struct WrongKeys {
    windows: Mutex<HashMap<IpAddr, SlidingWindow>>,
    forgotten_at: Mutex<Timestamp>,
}

impl WrongKeys {
    /// Counts a wrong key: what is answered to it.
    pub(super) fn count(&self, address: IpAddr, now: Timestamp) -> Error {
        let mut windows = self.windows.lock();
        if windows.len() >= WINDOWS_KEPT && !windows.contains_key(&address) {
            let mut forgotten_at = self.forgotten_at.lock();
            if now.duration_since(*forgotten_at) >= FORGET_EVERY {
                *forgotten_at = now;
                windows.retain(|_, window| !window.is_over(now));
            }
            if windows.len() >= WINDOWS_KEPT {
                // Too many addresses at a time: it is not one of them that guesses.
                return Error::Unauthorized;
            }
        }
        let counted = windows.entry(address).or_default().count(WRONG_KEYS_MAX, now);
        counted.err().map_or(Error::Unauthorized, Error::RateLimited)
    }
}

/// The live streams of all accounts.
pub(super) struct Streams {
    permits: Arc<FairSemaphore>,
    open: Arc<Mutex<OpenStreams>>,
}

#[derive(Default)]
struct OpenStreams {
    last: u64,
    /// By account and number: the key that opened a stream, and how to end it.
    streams: BTreeMap<(AccountId, u64), (KeyHash, AbortHandle)>,
}

/// What an open stream holds; it is one of the account's until this is dropped.
struct Listed {
    id: (AccountId, u64),
    open: Arc<Mutex<OpenStreams>>,
    _permit: Permit,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.open.lock().streams.remove(&self.id);
    }
}

impl Default for Streams {
    fn default() -> Self {
        let permits = FairSemaphore::new(STREAMS_MAX, STREAMS_PER_ACCOUNT_MAX);
        Self { permits, open: Arc::default() }
    }
}

impl Streams {
    /// Counts a stream as one of the account's until it is dropped, and lets [`Streams::end`] end it.
    pub(super) fn open<T: Send + 'static>(
        &self,
        account: AccountId,
        key: KeyHash,
        stream: BoxStream<'static, T>,
    ) -> Result<BoxStream<'static, T>> {
        let permit = self.permits.try_acquire_share(account).ok_or(Error::TooManyStreams)?;
        let (stream, handle) = stream::abortable(stream);
        let id = {
            let mut open = self.open.lock();
            open.last += 1;
            let id = (account, open.last);
            open.streams.insert(id, (key, handle));
            id
        };
        let listed = Listed { id, open: self.open.clone(), _permit: permit };
        let stream = stream.map(move |item| {
            let _kept = &listed;
            item
        });
        Ok(stream.boxed())
    }

    /// The accounts that have open streams.
    pub(super) fn accounts(&self) -> BTreeSet<AccountId> {
        self.open.lock().streams.keys().map(|(account, _)| *account).collect()
    }

    /// The keys that have opened streams of an account.
    pub(super) fn keys(&self, account: AccountId) -> HashSet<KeyHash> {
        let open = self.open.lock();
        open.streams.range((account, 0)..=(account, u64::MAX)).map(|(_, (key, _))| *key).collect()
    }

    /// Ends the streams of an account that one of these keys has opened.
    pub(super) fn end(&self, account: AccountId, keys: &HashSet<KeyHash>) {
        let open = self.open.lock();
        for (_, (key, handle)) in open.streams.range((account, 0)..=(account, u64::MAX)) {
            if keys.contains(key) {
                handle.abort();
            }
        }
    }
}

/// The requests that wait now.
#[derive(Debug)]
pub(super) struct Waits {
    permits: Arc<FairSemaphore>,
    /// The idempotency keys of requests that wait.
    in_flight: Mutex<HashSet<InFlight>>,
}

/// An idempotency key, and whose it is: a token's are its own, so that it learns nothing of what its
/// account's other devices wait for.
type InFlight = (AccountId, Option<DeviceId>, String, String);

/// The right of a request to wait; free again when dropped.
pub(super) struct WaitPermit<'a> {
    waits: &'a Waits,
    key: Option<InFlight>,
    _permit: Permit,
}

impl Default for Waits {
    fn default() -> Self {
        let permits = FairSemaphore::new(WAITS_MAX, WAITS_PER_ACCOUNT_MAX);
        Self { permits, in_flight: Mutex::default() }
    }
}

impl Waits {
    /// Lets a request wait, if a permit is free and no other waits with the same idempotency key.
    pub(super) fn enter(
        &self,
        account: AccountId,
        key: Option<&IdempotencyKey>,
    ) -> Result<WaitPermit<'_>> {
        let key = key.map(|key| (account, key.token_of, key.route.clone(), key.key.clone()));
        let mut in_flight = self.in_flight.lock();
        if key.as_ref().is_some_and(|key| in_flight.contains(key)) {
            return Err(Error::IdempotencyInFlight);
        }
        let permit = self.permits.try_acquire_share(account).ok_or(Error::TooManyWaits)?;
        in_flight.extend(key.clone());
        Ok(WaitPermit { waits: self, key, _permit: permit })
    }
}

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.waits.in_flight.lock().remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey {
            route: "POST /x".into(),
            key: text.into(),
            request_hash: [0; 32],
            token_of: None,
        }
    }

    #[test]
    fn new_keys_and_tokens_start_no_new_window() {
        let now = Timestamp::UNIX_EPOCH;
        let device = |n| DeviceId(uuid::Uuid::from_u128(n));
        let rates = RateLimiter::default();
        let token = |n, key| Caller::Device(AccountId(1), device(n), KeyId(key));
        for (key, remaining) in [(1, 1), (2, 0)] {
            assert_eq!(rates.count(token(1, key), 2, now).unwrap().remaining, remaining);
        }
        let spent = rates.count(token(1, 3), 2, now);
        assert!(matches!(spent, Err(Error::RateLimited(state)) if state.limit == 2), "{spent:?}");
        let key = |n| Caller::Account(AccountId(1), KeyId(n));
        let taken = (10..99).take_while(|n| rates.count(key(*n), 2, now).is_ok()).count();
        assert_eq!(taken, 18, "the account's window holds ten times as many");
        for late in [key(99), token(2, 99)] {
            let spent = rates.count(late, 2, now);
            assert!(matches!(spent, Err(Error::RateLimited(s)) if s.limit == 20), "{spent:?}");
        }
        rates.count(Caller::Account(AccountId(2), KeyId(99)), 2, now).unwrap();
    }

    #[test]
    fn waits_are_bounded_in_all_and_per_account() {
        let waits = Waits::default();
        let one: Vec<_> = (0..WAITS_PER_ACCOUNT_MAX)
            .map(|_| waits.enter(AccountId(1), None).ok().unwrap())
            .collect();
        assert!(matches!(waits.enter(AccountId(1), None), Err(Error::TooManyWaits)));
        let mut others = Vec::new();
        for account in 2..2 + WAITS_MAX - WAITS_PER_ACCOUNT_MAX {
            let account = AccountId(i64::try_from(account).unwrap());
            others.push(waits.enter(account, None).ok().unwrap());
        }
        assert!(matches!(waits.enter(AccountId(999), None), Err(Error::TooManyWaits)));
        drop(one);
        waits.enter(AccountId(1), None).unwrap();
    }

    #[test]
    fn sixteen_accounts_do_not_take_all_waits() {
        let waits = Waits::default();
        let mut held = Vec::new();
        for _ in 0..WAITS_PER_ACCOUNT_MAX {
            for account in 1..=16 {
                held.extend(waits.enter(AccountId(account), None));
            }
        }
        assert!(held.len() >= 16 * 8, "{} are held", held.len());
        for account in 100..130 {
            held.push(waits.enter(AccountId(account), None).ok().unwrap());
        }
    }

    #[test]
    fn an_idempotency_key_waits_once() {
        let waits = Waits::default();
        let first = waits.enter(AccountId(1), Some(&key("a"))).ok().unwrap();
        let again = waits.enter(AccountId(1), Some(&key("a")));
        assert!(matches!(again, Err(Error::IdempotencyInFlight)));
        waits.enter(AccountId(2), Some(&key("a"))).unwrap();
        drop(again);
        drop(first);
        waits.enter(AccountId(1), Some(&key("a"))).unwrap();
    }

    #[test]
    fn what_is_shown_is_where_the_least_is_left() {
        let (rates, now) = (RateLimiter::default(), Timestamp::UNIX_EPOCH);
        let count = |key| {
            let state = rates.count(Caller::Account(AccountId(1), KeyId(key)), 2, now).unwrap();
            (state.limit, state.remaining)
        };
        assert_eq!(count(0), (2, 1));
        for key in 1..18 {
            count(key);
        }
        assert_eq!(count(18), (2, 1), "as much as is left of the account's");
        assert_eq!(count(19), (20, 0), "less than is left of the key's");
    }

    #[test]
    fn of_many_keys_those_without_a_recent_request_are_forgotten() {
        let (rates, now) = (RateLimiter::default(), Timestamp::UNIX_EPOCH);
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let count = |key, seconds| {
            let caller = Caller::Account(AccountId(1), KeyId(key));
            rates.count(caller, 100_000, at(seconds)).unwrap().remaining
        };
        let kept = || rates.windows.lock().len();
        count(0, 0);
        count(1, 60);
        assert_eq!(kept(), 3, "few are kept: two keys, and the account");
        let most = i64::try_from(WINDOWS_KEPT).unwrap();
        for key in 2..most - 1 {
            count(key, 60);
        }
        assert_eq!(kept(), WINDOWS_KEPT);
        count(most, 119);
        assert_eq!((kept(), count(1, 119)), (WINDOWS_KEPT, 99_998), "the first one is gone");
        count(1, 120);
        assert_eq!(kept(), WINDOWS_KEPT, "it is known, so that there is room");
        count(most + 1, 120);
        assert_eq!(kept(), 4);
    }

    #[test]
    fn wrong_keys_are_counted_by_address() {
        let (wrong, now) = (WrongKeys::default(), Timestamp::UNIX_EPOCH);
        let count = |address: u32, seconds| {
            let address = IpAddr::from(address.to_be_bytes());
            wrong.count(address, now + SignedDuration::from_secs(seconds))
        };
        for _ in 0..WRONG_KEYS_MAX {
            assert!(matches!(count(1, 100), Error::Unauthorized));
        }
        assert!(matches!(count(1, 100), Error::RateLimited(_)));
        assert!(matches!(count(2, 100), Error::Unauthorized));
        let kept = || wrong.windows.lock().len();
        for address in 3..=u32::try_from(WINDOWS_KEPT).unwrap() {
            count(address, 100);
        }
        assert!(matches!(count(100_000, 101), Error::Unauthorized));
        assert_eq!(kept(), WINDOWS_KEPT, "nothing is kept of it");
        assert!(matches!(count(1, 101), Error::RateLimited(_)), "those that are known count");
        count(100_000, 160);
        assert_eq!(kept(), 1, "the others were over");
    }

    #[test]
    fn streams_end_with_the_key_that_has_opened_them() {
        use futures_util::FutureExt as _;
        let streams = Streams::default();
        let hash = |name: &str| crate::key::Secret::new(name.to_owned()).hash();
        let open = |account, name| {
            streams.open(AccountId(account), hash(name), stream::pending::<()>().boxed()).unwrap()
        };
        let (mut revoked, mut kept, other) = (open(1, "a"), open(1, "b"), open(2, "a"));
        assert_eq!(streams.keys(AccountId(1)), HashSet::from([hash("a"), hash("b")]));
        assert_eq!(streams.accounts(), BTreeSet::from([AccountId(1), AccountId(2)]));
        streams.end(AccountId(1), &HashSet::from([hash("a")]));
        assert_eq!(revoked.next().now_or_never(), Some(None));
        assert_eq!(kept.next().now_or_never(), None);
        drop((revoked, other));
        assert_eq!(streams.keys(AccountId(1)), HashSet::from([hash("b")]));
        assert_eq!(streams.accounts(), BTreeSet::from([AccountId(1)]));
    }

    #[test]
    fn what_is_counted_has_one_name_at_all_nodes() {
        let device = DeviceId(uuid::Uuid::nil());
        for (counted, name) in [
            (Counted::Key(KeyId(1)), "key 1".to_owned()),
            (Counted::Account(AccountId(1)), "account 1".to_owned()),
            (Counted::Device(device), format!("device {device}")),
        ] {
            assert_eq!(counted.name(), name);
        }
    }
}
