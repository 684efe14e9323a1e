//! Waiting for a permit of a [`FairSemaphore`].

use std::sync::Arc;

use tokio::sync::oneshot;

use domain::fair_semaphore::{FairSemaphore, Permit, Waiter};
use domain::ids::AccountId;

use crate::reply::answer;

struct OneshotWaiter(oneshot::Sender<Permit>);

impl Waiter for OneshotWaiter {
    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }

    fn grant(self: Box<Self>, permit: Permit) {
        answer(self.0, permit);
    }
}

/// Waits for a permit. Dropping the future ends the wait.
pub(crate) async fn acquire(semaphore: &Arc<FairSemaphore>, account: AccountId) -> Permit {
    let (reply, permit) = oneshot::channel();
    semaphore.acquire(account, Box::new(OneshotWaiter(reply)));
    match permit.await {
        Ok(permit) => permit,
        // The semaphore drops no waiter that still waits.
        Err(_) => std::future::pending().await,
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
        let mut asked = async move { acquire(&semaphore, AccountId(account)).await }.boxed();
        assert!((&mut asked).now_or_never().is_none(), "nothing is free");
        asked
    }

    fn take(semaphore: &Arc<FairSemaphore>, account: i64) -> Permit {
        acquire(semaphore, AccountId(account)).now_or_never().expect("a permit is free")
    }

    fn has_come(asked: &mut BoxFuture<'static, Permit>) -> Option<Permit> {
        asked.now_or_never()
    }

    #[test]
    fn an_account_has_its_share_and_no_more() {
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
    fn a_free_permit_goes_to_the_account_with_the_fewest() {
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
    }
}
