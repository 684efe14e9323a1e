//! What this process has accepted itself, so that it is not read back.
//!
//! A process that accepts messages gives them to the queues of its devices at once. What other nodes have
//! accepted it reads ([`crate::messages::outbox::outbox_since`]). Of one account ids grow in the order of commits, under
//! the lock on the account: between the account's newest message before a request and the last one of the request
//! there is nothing but the request's own. Such stretches are kept here; what is between them is of others.
//!
//! Invariant: a stretch is added when its caller has the answer, and not before. What a caller has not heard of,
//! because it hung up or the answer of the commit was lost, is in no stretch, and is read as if it were of others.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::ids::{AccountId, MessageId};
use parking_lot::Mutex;

/// Most stretches that are kept of an account; the messages of the oldest ones beyond are read back.
const STRETCHES_MAX: usize = 256;

/// Messages of an account: those after one, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) after: MessageId,
    pub(crate) last: MessageId,
}

/// The stretches of the accounts that are followed: the last message by the one before the first.
#[derive(Debug, Default)]
pub(crate) struct OwnAccepts(Mutex<HashMap<AccountId, BTreeMap<MessageId, MessageId>>>);

impl OwnAccepts {
    /// Follows these accounts and no others.
    pub(crate) fn follow(&self, accounts: HashSet<AccountId>) {
        let mut followed = self.0.lock();
        followed.retain(|account, _| accounts.contains(account));
        for account in accounts {
            followed.entry(account).or_default();
        }
    }

    /// This process has accepted these messages of an account, and nobody another one between them.
    pub(crate) fn add(&self, account: AccountId, own: Stretch) {
        let mut followed = self.0.lock();
        let Some(stretches) = followed.get_mut(&account) else { return };
        let Stretch { mut after, mut last } = own;
        // Requests that shared a commit come in any order.
        if let Some(further) = stretches.remove(&last) {
            last = further;
        }
        if let Some((before, end)) = stretches.range(..after).next_back()
            && *end == after
        {
            after = *before;
        }
        stretches.insert(after, last);
        if stretches.len() > STRETCHES_MAX {
            stretches.pop_first();
        }
    }

    /// What others have accepted of an account after the message `seen`, up to `last`. What is up to `seen` is not
    /// asked for again.
    pub(crate) fn others(
        &self,
        account: AccountId,
        seen: MessageId,
        last: MessageId,
    ) -> Vec<Stretch> {
        let mut followed = self.0.lock();
        let (mut known, mut others) = (seen, Vec::new());
        if let Some(stretches) = followed.get_mut(&account) {
            stretches.retain(|_, end| *end > seen);
            for (after, end) in stretches.iter().take_while(|(after, _)| **after < last) {
                if *after > known {
                    others.push(Stretch { after: known, last: *after });
                }
                known = *end;
            }
        }
        if known < last {
            others.push(Stretch { after: known, last });
        }
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountId = AccountId(1);

    fn stretch(after: i64, last: i64) -> Stretch {
        Stretch { after: MessageId(after), last: MessageId(last) }
    }

    fn others(own: &OwnAccepts, seen: i64, last: i64) -> Vec<Stretch> {
        own.others(ACCOUNT, MessageId(seen), MessageId(last))
    }

    fn following() -> OwnAccepts {
        let own = OwnAccepts::default();
        own.follow([ACCOUNT].into());
        own
    }

    #[test]
    fn what_is_between_ones_own_is_of_others() {
        let own = following();
        assert_eq!(others(&own, 3, 3), []);
        assert_eq!(others(&own, 3, 9), [stretch(3, 9)], "none of it is known");
        own.add(ACCOUNT, stretch(3, 5));
        own.add(ACCOUNT, stretch(9, 12));
        assert_eq!(others(&own, 3, 5), []);
        assert_eq!(others(&own, 3, 9), [stretch(5, 9)]);
        assert_eq!(others(&own, 3, 12), [stretch(5, 9)]);
        assert_eq!(others(&own, 3, 20), [stretch(5, 9), stretch(12, 20)]);
        // Committed after the newest message was asked for.
        assert_eq!(others(&own, 3, 7), [stretch(5, 7)]);
        assert_eq!(others(&own, 9, 12), []);
        assert_eq!(others(&own, 12, 20), [stretch(12, 20)]);
    }

    #[test]
    fn requests_of_one_commit_are_one_stretch_in_whatever_order_they_come() {
        let all = [stretch(3, 5), stretch(5, 9), stretch(9, 12)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let own = following();
            order.iter().for_each(|n: &usize| own.add(ACCOUNT, all[*n]));
            assert_eq!(others(&own, 3, 12), [], "{order:?}");
            assert_eq!(own.0.lock()[&ACCOUNT].len(), 1, "{order:?}");
        }
    }

    #[test]
    fn what_nobody_was_answered_is_read_as_if_it_were_of_others() {
        let own = following();
        own.add(ACCOUNT, stretch(3, 5));
        own.add(ACCOUNT, stretch(9, 12));
        assert_eq!(others(&own, 3, 12), [stretch(5, 9)]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let own = following();
        let last = 2 * i64::try_from(STRETCHES_MAX).unwrap() + 20;
        (0..last / 2).for_each(|n| own.add(ACCOUNT, stretch(2 * n, 2 * n + 1)));
        assert_eq!(own.0.lock()[&ACCOUNT].len(), STRETCHES_MAX);
        assert_eq!(others(&own, 0, last)[0], stretch(0, 20), "the oldest are read back");
        assert_eq!(others(&own, last, last), []);
        assert!(own.0.lock()[&ACCOUNT].is_empty(), "seen");
        own.add(AccountId(2), stretch(1, 2));
        own.follow([AccountId(2)].into());
        assert_eq!(others(&own, 0, 1), [stretch(0, 1)], "not followed any more");
        assert_eq!(own.0.lock().len(), 1);
    }
}
