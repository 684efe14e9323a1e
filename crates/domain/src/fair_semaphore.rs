//! Permits that accounts share, so that none of them has all.
//!
//! Who counts and who chooses is here; how a caller waits is the caller's: a [`Waiter`].

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::AccountId;

/// A number of permits that accounts share.
///
/// An account has at most `per_account_max` of the `total_max`. A free permit goes to the waiting
/// account that holds the fewest; of those, to the one that has waited longest for its turn.
pub struct FairSemaphore {
    total_max: usize,
    per_account_max: usize,
    state: Mutex<State>,
}

/// One permit; free again when it is dropped.
pub struct Permit {
    semaphore: Arc<FairSemaphore>,
    account: AccountId,
}

/// A caller who waits for a permit.
pub trait Waiter: Send {
    /// Whether the caller has stopped waiting.
    fn is_gone(&self) -> bool;
    /// The permit is the caller's. Dropping it passes it on.
    fn grant(self: Box<Self>, permit: Permit);
}

#[derive(Default)]
struct State {
    held: usize,
    turns: u64,
    /// Those that hold a permit or wait for one.
    accounts: HashMap<AccountId, Account>,
}

struct Account {
    held: usize,
    /// When it came, or last got a permit.
    turn: u64,
    waiting: VecDeque<Box<dyn Waiter>>,
}

impl FairSemaphore {
    /// All permits are free.
    pub fn new(total_max: usize, per_account_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_account_max, state: Mutex::default() })
    }

    /// A permit, if one is free for this account now.
    pub fn try_acquire(self: &Arc<Self>, account: AccountId) -> Option<Permit> {
        // A permit that a waiting account may have is never left free: nobody is overtaken.
        self.state.lock().hold(account, self.total_max, self.per_account_max)?;
        Some(self.permit(account))
    }

    /// Grants a permit to the waiter, at once or when it is its turn.
    pub fn acquire(self: &Arc<Self>, account: AccountId, waiter: Box<dyn Waiter>) {
        self.state.lock().account(account).waiting.push_back(waiter);
        self.grant_free();
    }

    fn permit(self: &Arc<Self>, account: AccountId) -> Permit {
        Permit { semaphore: self.clone(), account }
    }

    fn grant_free(self: &Arc<Self>) {
        let mut granted = Vec::new();
        {
            let mut state = self.state.lock();
            state.forget_gone();
            while let Some(next) = state.next(self.total_max, self.per_account_max) {
                granted.push(next);
            }
        }
        // Not under the lock: the permit of a waiter who has just gone comes back here.
        for (account, waiter) in granted {
            waiter.grant(self.permit(account));
        }
    }
}

impl State {
    fn account(&mut self, id: AccountId) -> &mut Account {
        let turns = &mut self.turns;
        self.accounts.entry(id).or_insert_with(|| {
            *turns += 1;
            Account { held: 0, turn: *turns, waiting: VecDeque::new() }
        })
    }

    fn hold(&mut self, id: AccountId, total_max: usize, per_account_max: usize) -> Option<()> {
        let held = self.accounts.get(&id).map_or(0, |account| account.held);
        if self.held >= total_max || held >= per_account_max {
            return None;
        }
        self.held += 1;
        self.turns += 1;
        let turn = self.turns;
        let account = self.account(id);
        (account.held, account.turn) = (held + 1, turn);
        Some(())
    }

    /// Whose waiter gets the next permit; it is held from now on.
    fn next(
        &mut self,
        total_max: usize,
        per_account_max: usize,
    ) -> Option<(AccountId, Box<dyn Waiter>)> {
        let waiting = self.accounts.iter();
        let waiting =
            waiting.filter(|(_, one)| one.held < per_account_max && !one.waiting.is_empty());
        let id = *waiting.min_by_key(|(_, one)| (one.held, one.turn))?.0;
        self.hold(id, total_max, per_account_max)?;
        Some((id, self.accounts.get_mut(&id)?.waiting.pop_front()?))
    }

    fn forget_gone(&mut self) {
        self.accounts.retain(|_, account| {
            account.waiting.retain(|waiter| !waiter.is_gone());
            account.held > 0 || !account.waiting.is_empty()
        });
    }
}

impl Permit {
    /// Whose it is.
    pub fn account(&self) -> AccountId {
        self.account
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.semaphore.state.lock();
            state.held -= 1;
            if let Some(account) = state.accounts.get_mut(&self.account) {
                account.held -= 1;
            }
        }
        self.semaphore.grant_free();
    }
}

impl fmt::Debug for FairSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.state.lock().held;
        f.debug_struct("FairSemaphore").field("held", &held).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("account", &self.account).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_in_all_and_per_account() {
        let semaphore = FairSemaphore::new(3, 2);
        let try_acquire = |account| semaphore.try_acquire(AccountId(account));
        let (first, second) = (try_acquire(1).unwrap(), try_acquire(1).unwrap());
        assert!(try_acquire(1).is_none(), "it has its share");
        let third = try_acquire(2).unwrap();
        assert!(try_acquire(3).is_none(), "none is left");
        drop(first);
        assert_eq!(try_acquire(3).unwrap().account(), AccountId(3));
        drop((second, third));
        assert!(semaphore.state.lock().accounts.is_empty(), "no account is remembered");
        assert_eq!(semaphore.state.lock().held, 0);
    }
}
