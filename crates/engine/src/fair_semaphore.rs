//! What accounts share, so that none takes it all.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use domain::ids::AccountId;

/// A number of places that accounts share.
///
/// An account has at most `each` of the `total`. A free place goes to the account that has the
/// fewest; of those, to the one that has waited longest for its turn.
pub(crate) struct Shares {
    total: usize,
    each: usize,
    state: Mutex<State>,
}

/// One place; free again when it is dropped.
pub(crate) struct Place {
    shares: Arc<Shares>,
    account: AccountId,
}

#[derive(Default)]
struct State {
    taken: usize,
    turns: u64,
    /// Those that have a place or wait for one.
    accounts: HashMap<AccountId, Account>,
}

struct Account {
    taken: usize,
    /// When it came, or last got a place.
    turn: u64,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

impl Shares {
    pub(crate) fn new(total: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { total, each, state: Mutex::default() })
    }

    /// Waits for a place. Giving the future up gives up the wait.
    pub(crate) async fn take(self: &Arc<Self>, account: AccountId) -> Place {
        let (reply, place) = oneshot::channel();
        self.state.lock().wait(account, reply);
        self.give_out();
        match place.await {
            Ok(place) => place,
            // Nobody who waits is forgotten.
            Err(_) => std::future::pending().await,
        }
    }

    fn give_out(self: &Arc<Self>) {
        let mut given = Vec::new();
        {
            let mut state = self.state.lock();
            state.forget_those_gone();
            while state.taken < self.total {
                let Some((account, reply)) = state.next(self.each) else { break };
                given.push((reply, Place { shares: self.clone(), account }));
            }
        }
        // Not under the lock: the place of somebody who has just gone comes back here.
        for (reply, place) in given {
            drop(reply.send(place));
        }
    }
}

impl State {
    fn wait(&mut self, account: AccountId, reply: oneshot::Sender<Place>) {
        self.turns += 1;
        let turn = self.turns;
        let new = || Account { taken: 0, turn, waiting: VecDeque::new() };
        self.accounts.entry(account).or_insert_with(new).waiting.push_back(reply);
    }

    fn forget_those_gone(&mut self) {
        self.accounts.retain(|_, account| {
            account.waiting.retain(|reply| !reply.is_closed());
            account.taken > 0 || !account.waiting.is_empty()
        });
    }

    /// Who gets the next place; it is theirs from now on.
    fn next(&mut self, each: usize) -> Option<(AccountId, oneshot::Sender<Place>)> {
        let wanting = self.accounts.iter_mut();
        let wanting = wanting.filter(|(_, one)| one.taken < each && !one.waiting.is_empty());
        let (id, one) = wanting.min_by_key(|(_, one)| (one.taken, one.turn))?;
        self.turns += 1;
        self.taken += 1;
        (one.taken, one.turn) = (one.taken + 1, self.turns);
        Some((*id, one.waiting.pop_front()?))
    }
}

impl Place {
    /// Whose it is.
    pub(crate) fn account(&self) -> AccountId {
        self.account
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.shares.state.lock();
            state.taken -= 1;
            if let Some(account) = state.accounts.get_mut(&self.account) {
                account.taken -= 1;
            }
        }
        self.shares.give_out();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    /// Begins to wait; polled once, so that it stands in line.
    fn ask(shares: &Arc<Shares>, account: i64) -> BoxFuture<'static, Place> {
        let shares = shares.clone();
        let mut asked = async move { shares.take(AccountId(account)).await }.boxed();
        assert!((&mut asked).now_or_never().is_none(), "nothing is free");
        asked
    }

    fn take(shares: &Arc<Shares>, account: i64) -> Place {
        shares.take(AccountId(account)).now_or_never().expect("a place is free")
    }

    fn has_come(asked: &mut BoxFuture<'static, Place>) -> Option<Place> {
        asked.now_or_never()
    }

    #[test]
    fn an_account_has_its_share_and_no_more() {
        let shares = Shares::new(4, 2);
        let (first, second) = (take(&shares, 1), take(&shares, 1));
        let mut third = ask(&shares, 1);
        let other = take(&shares, 2);
        assert!(has_come(&mut third).is_none(), "a place is free, but not for this account");
        drop(other);
        assert!(has_come(&mut third).is_none());
        drop(first);
        assert!(has_come(&mut third).is_some());
        drop(second);
        assert!(shares.state.lock().accounts.is_empty(), "nobody is remembered");
        assert_eq!(shares.state.lock().taken, 0);
    }

    #[test]
    fn a_free_place_goes_to_whoever_has_the_fewest() {
        let shares = Shares::new(4, 3);
        let mut busy = vec![take(&shares, 1), take(&shares, 1), take(&shares, 2), take(&shares, 2)];
        let mut greedy: Vec<_> = (0..100).map(|_| ask(&shares, 1)).collect();
        let mut modest = ask(&shares, 3);
        drop(busy.pop());
        let place = has_come(&mut modest).expect("it came last, and has none");
        // Each has two, one and one by now; with one each it goes by turns.
        let (mut second, mut third) = (ask(&shares, 2), ask(&shares, 3));
        drop(busy.remove(0));
        let first = has_come(&mut greedy[0]).expect("its last turn is longest ago");
        assert!(has_come(&mut second).is_none() && has_come(&mut third).is_none());
        drop(place);
        assert!(has_come(&mut third).is_some(), "it has none any more");
        assert!(has_come(&mut second).is_some());
        drop(first);
    }

    #[test]
    fn whoever_gives_up_takes_nothing() {
        let shares = Shares::new(1, 1);
        let busy = take(&shares, 1);
        let gone = ask(&shares, 2);
        let mut waiting = ask(&shares, 3);
        drop(gone);
        drop(busy);
        // Given, but not taken up any more.
        let unpicked = ask(&shares, 4);
        let place = has_come(&mut waiting).expect("the one before has gone");
        drop(place);
        drop(unpicked);
        drop(take(&shares, 1));
        assert!(shares.state.lock().accounts.is_empty());
    }
}
