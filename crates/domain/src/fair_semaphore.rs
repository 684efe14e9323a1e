//! Permits for a scarce resource that its holders share, so that none of them has all: accounts
//! ([`AccountId`]), client addresses.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use futures_channel::oneshot;
use parking_lot::Mutex;

use crate::ids::AccountId;

/// Who can hold permits.
pub trait Holder: Copy + Eq + Hash + Send + 'static {}

impl<T: Copy + Eq + Hash + Send + 'static> Holder for T {}

/// The part of the free permits that a holder of [`FairSemaphore::try_acquire_share`] may have: one in
/// this many.
const SHARE_OF_FREE: usize = 8;

/// A number of permits that holders share.
///
/// A holder has at most `per_holder_max` of the `total_max`. A free permit goes to the waiting holder
/// that has the fewest; of those, to the one that has waited longest for its turn.
pub struct FairSemaphore<H: Holder = AccountId> {
    total_max: usize,
    per_holder_max: usize,
    state: Mutex<State<H>>,
}

/// One permit; free again when it is dropped.
pub struct Permit<H: Holder = AccountId> {
    semaphore: Arc<FairSemaphore<H>>,
    holder: H,
}

struct State<H: Holder> {
    held: usize,
    turns: u64,
    /// Those that hold a permit or wait for one.
    shares: HashMap<H, Share<H>>,
    /// How many stand in lines.
    waiting: usize,
}

struct Share<H: Holder> {
    held: usize,
    /// When it came, or last got a permit.
    turn: u64,
    waiting: VecDeque<oneshot::Sender<Permit<H>>>,
}

impl<H: Holder> FairSemaphore<H> {
    /// All permits are free.
    pub fn new(total_max: usize, per_holder_max: usize) -> Arc<Self> {
        let state = State { held: 0, turns: 0, shares: HashMap::new(), waiting: 0 };
        Arc::new(Self { total_max, per_holder_max, state: Mutex::new(state) })
    }

    /// A permit, if one is free for this holder now.
    pub fn try_acquire(self: &Arc<Self>, holder: H) -> Option<Permit<H>> {
        // A permit that a waiting holder may have is never left free: no waiter is overtaken.
        self.state.lock().hold(holder, self.total_max, self.per_holder_max)?;
        Some(self.permit(holder))
    }

    /// A permit, if one is free for this holder now and it has no more than an eighth of what is still
    /// free. So the last ones are not taken by those who have many, and a few holders with all they
    /// may have never take everything.
    pub fn try_acquire_share(self: &Arc<Self>, holder: H) -> Option<Permit<H>> {
        let mut state = self.state.lock();
        let free = self.total_max.saturating_sub(state.held);
        let share_max = self.per_holder_max.min(1 + free / SHARE_OF_FREE);
        state.hold(holder, self.total_max, share_max)?;
        drop(state);
        Some(self.permit(holder))
    }

    /// Waits for a permit. Dropping the future ends the wait.
    pub async fn acquire(self: &Arc<Self>, holder: H) -> Permit<H> {
        let (sender, receiver) = oneshot::channel();
        self.state.lock().line_up(holder, sender);
        self.grant_free();
        match receiver.await {
            Ok(permit) => permit,
            // The semaphore drops no sender that still waits.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many permits this holder has.
    pub fn held_by(&self, holder: H) -> usize {
        self.state.lock().shares.get(&holder).map_or(0, |share| share.held)
    }

    fn permit(self: &Arc<Self>, holder: H) -> Permit<H> {
        Permit { semaphore: self.clone(), holder }
    }

    fn grant_free(self: &Arc<Self>) {
        loop {
            let next = self.state.lock().next(self.total_max, self.per_holder_max);
            let Some((holder, waiter)) = next else { return };
            // Not under the lock: the permit of one who has just gone comes back here.
            drop(waiter.send(self.permit(holder)));
        }
    }
}

impl<H: Holder> State<H> {
    fn share(&mut self, holder: H) -> &mut Share<H> {
        let turns = &mut self.turns;
        self.shares.entry(holder).or_insert_with(|| {
            *turns += 1;
            Share { held: 0, turn: *turns, waiting: VecDeque::new() }
        })
    }

    fn line_up(&mut self, holder: H, waiter: oneshot::Sender<Permit<H>>) {
        let line = &mut self.share(holder).waiting;
        let before = line.len();
        // Those who have gone leave when the line has doubled, which costs each of them a constant.
        if before.is_power_of_two() {
            line.retain(|waiter| !waiter.is_canceled());
        }
        line.push_back(waiter);
        let after = line.len();
        self.waiting = self.waiting + after - before;
    }

    fn hold(&mut self, holder: H, total_max: usize, per_holder_max: usize) -> Option<()> {
        let held = self.shares.get(&holder).map_or(0, |share| share.held);
        if self.held >= total_max || held >= per_holder_max {
            return None;
        }
        self.held += 1;
        self.turns += 1;
        let turn = self.turns;
        let share = self.share(holder);
        (share.held, share.turn) = (held + 1, turn);
        Some(())
    }

    /// Whose waiter gets the next permit; it is held from now on.
    fn next(
        &mut self,
        total_max: usize,
        per_holder_max: usize,
    ) -> Option<(H, oneshot::Sender<Permit<H>>)> {
        while self.waiting > 0 && self.held < total_max {
            let shares = self.shares.iter();
            let shares =
                shares.filter(|(_, one)| one.held < per_holder_max && !one.waiting.is_empty());
            let holder = *shares.min_by_key(|(_, one)| (one.held, one.turn))?.0;
            let line = &mut self.shares.get_mut(&holder)?.waiting;
            let before = line.len();
            let first = std::iter::from_fn(|| line.pop_front()).find(|one| !one.is_canceled());
            self.waiting -= before - line.len();
            match first {
                Some(waiter) => {
                    self.hold(holder, total_max, per_holder_max)?;
                    return Some((holder, waiter));
                }
                None => self.forget_idle(holder),
            }
        }
        None
    }

    fn forget_idle(&mut self, holder: H) {
        let is_idle = |share: &Share<H>| share.held == 0 && share.waiting.is_empty();
        if self.shares.get(&holder).is_some_and(is_idle) {
            self.shares.remove(&holder);
        }
    }
}

impl<H: Holder> Permit<H> {
    /// Whose it is.
    pub fn holder(&self) -> H {
        self.holder
    }
}

impl<H: Holder> Drop for Permit<H> {
    fn drop(&mut self) {
        {
            let mut state = self.semaphore.state.lock();
            state.held -= 1;
            if let Some(share) = state.shares.get_mut(&self.holder) {
                share.held -= 1;
            }
            state.forget_idle(self.holder);
            if state.waiting == 0 {
                return;
            }
        }
        self.semaphore.grant_free();
    }
}

impl<H: Holder> fmt::Debug for FairSemaphore<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.state.lock().held;
        f.debug_struct("FairSemaphore").field("held", &held).finish_non_exhaustive()
    }
}

impl<H: Holder> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    /// Begins to wait; polled once, so that it stands in line.
    fn ask(semaphore: &Arc<FairSemaphore>, account: i64) -> BoxFuture<'static, Permit> {
        let semaphore = semaphore.clone();
        let mut asked = async move { semaphore.acquire(AccountId(account)).await }.boxed();
        assert!((&mut asked).now_or_never().is_none(), "nothing is free");
        asked
    }

    fn take(semaphore: &Arc<FairSemaphore>, account: i64) -> Permit {
        semaphore.acquire(AccountId(account)).now_or_never().expect("a permit is free")
    }

    fn has_come(asked: &mut BoxFuture<'static, Permit>) -> Option<Permit> {
        asked.now_or_never()
    }

    #[test]
    fn permits_are_bounded_in_all_and_per_holder() {
        let semaphore = FairSemaphore::new(3, 2);
        let try_acquire = |account| semaphore.try_acquire(AccountId(account));
        let (first, second) = (try_acquire(1).unwrap(), try_acquire(1).unwrap());
        assert!(try_acquire(1).is_none(), "it has its share");
        assert_eq!(semaphore.held_by(AccountId(1)), 2);
        let third = try_acquire(2).unwrap();
        assert!(try_acquire(3).is_none(), "none is left");
        drop(first);
        assert_eq!(try_acquire(3).unwrap().holder(), AccountId(3));
        drop((second, third));
        assert!(semaphore.state.lock().shares.is_empty(), "no holder is remembered");
        assert_eq!(semaphore.state.lock().held, 0);
    }

    #[test]
    fn a_holder_has_its_share_and_no_more() {
        let semaphore = FairSemaphore::new(4, 2);
        let (first, second) = (take(&semaphore, 1), take(&semaphore, 1));
        let mut third = ask(&semaphore, 1);
        let other = take(&semaphore, 2);
        assert!(has_come(&mut third).is_none(), "a permit is free, but not for this account");
        drop(other);
        assert!(has_come(&mut third).is_none());
        drop(first);
        assert!(has_come(&mut third).is_some());
        drop(second);
    }

    #[test]
    fn a_free_permit_goes_to_the_holder_with_the_fewest() {
        let semaphore = FairSemaphore::new(4, 3);
        let mut busy = vec![
            take(&semaphore, 1),
            take(&semaphore, 1),
            take(&semaphore, 2),
            take(&semaphore, 2),
        ];
        let mut greedy: Vec<_> = (0..100).map(|_| ask(&semaphore, 1)).collect();
        let mut modest = ask(&semaphore, 3);
        drop(busy.pop());
        let permit = has_come(&mut modest).expect("it came last, and has none");
        // Each has two, one and one by now; with one each the turns decide.
        let (mut second, mut third) = (ask(&semaphore, 2), ask(&semaphore, 3));
        drop(busy.remove(0));
        let first = has_come(&mut greedy[0]).expect("its last turn is longest ago");
        assert!(has_come(&mut second).is_none() && has_come(&mut third).is_none());
        drop(permit);
        assert!(has_come(&mut third).is_some(), "it holds none now");
        assert!(has_come(&mut second).is_some());
        drop(first);
    }

    #[test]
    fn a_dropped_wait_takes_nothing() {
        let semaphore = FairSemaphore::new(1, 1);
        let busy = take(&semaphore, 1);
        let gone = ask(&semaphore, 2);
        let mut waiting = ask(&semaphore, 3);
        drop(gone);
        drop(busy);
        // Given, but not taken up any more.
        let unpicked = ask(&semaphore, 4);
        let permit = has_come(&mut waiting).expect("the one before has gone");
        drop(permit);
        drop(unpicked);
        drop(take(&semaphore, 1));
        let state = semaphore.state.lock();
        assert!(state.shares.is_empty() && state.held == 0 && state.waiting == 0);
    }

    #[test]
    fn those_who_have_gone_do_not_pile_up() {
        let semaphore = FairSemaphore::new(1, 1);
        let _busy = take(&semaphore, 1);
        for _ in 0..1_000 {
            drop(ask(&semaphore, 2));
        }
        assert!(semaphore.state.lock().waiting < 4);
    }

    #[test]
    fn holders_with_equally_many_take_turns() {
        let semaphore = FairSemaphore::new(1, 1);
        let busy = take(&semaphore, 1);
        let newcomers: Vec<_> = (2..12).map(|holder| ask(&semaphore, holder)).collect();
        drop(busy);
        for mut asked in newcomers {
            drop(has_come(&mut asked).expect("it has waited longest"));
        }
        let semaphore = FairSemaphore::new(21, 3);
        let firsts: Vec<_> = (1..11).map(|holder| take(&semaphore, holder)).collect();
        let seconds: Vec<_> = (1..11).rev().map(|holder| take(&semaphore, holder)).collect();
        let busy = take(&semaphore, 0);
        let thirds: Vec<_> = (1..11).map(|holder| ask(&semaphore, holder)).collect();
        drop(busy);
        for mut asked in thirds.into_iter().rev() {
            drop(has_come(&mut asked).expect("its second permit is the oldest"));
        }
        drop((firsts, seconds));
    }
}
