//! Wrong passwords: counted, so that guessing is slow.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Most wrong passwords of an address of e-mail, and of a client, within 15 minutes.
pub const LOGIN_TRIES_MAX: u32 = 10;
const LOGIN_TRIES_WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// Most of either that are remembered.
const LOGIN_TRIES_KEPT: usize = 20_000;
/// How many of them are forgotten at a time.
const LOGIN_TRIES_FORGOTTEN: usize = 1_000;

/// Whose tries are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Trier {
    Email(String),
    Client(IpAddr),
}

/// Wrong passwords, counted by address of e-mail and by client.
#[derive(Default)]
pub(super) struct LoginTries(Mutex<HashMap<Trier, (Timestamp, u32)>>);

impl LoginTries {
    fn triers(email: &str, client: Option<IpAddr>) -> impl Iterator<Item = Trier> {
        let email: String = email.trim().to_lowercase().chars().take(254).collect();
        client.map(Trier::Client).into_iter().chain([Trier::Email(email)])
    }

    /// Counts a try, until [`LoginTries::forget`].
    pub(super) fn count(&self, email: &str, client: Option<IpAddr>, now: Timestamp) -> Result<()> {
        let mut tries = self.0.lock();
        let is_over = |began: Timestamp| now.duration_since(began) >= LOGIN_TRIES_WINDOW;
        if tries.len() >= LOGIN_TRIES_KEPT {
            tries.retain(|_, (began, _)| !is_over(*began));
            forget_fewest(&mut tries);
        }
        for trier in Self::triers(email, client) {
            let (began, count) = tries.entry(trier).or_insert((now, 0));
            if is_over(*began) {
                (*began, *count) = (now, 0);
            }
            // A client that is blocked makes no entries for the addresses it goes on to try.
            if *count >= LOGIN_TRIES_MAX {
                let left = LOGIN_TRIES_WINDOW - now.duration_since(*began);
                return Err(Error::TooManyTries(left));
            }
            *count += 1;
        }
        Ok(())
    }

    /// Forgets the tries of somebody who knew the password.
    pub(super) fn forget(&self, email: &str, client: Option<IpAddr>) {
        let mut tries = self.0.lock();
        for trier in Self::triers(email, client) {
            match (&trier, tries.get_mut(&trier)) {
                // One right password excuses no wrong ones for other people.
                (Trier::Client(_), Some((_, count))) => *count = count.saturating_sub(1),
                _ => drop(tries.remove(&trier)),
            }
        }
    }
}

/// Makes room where too many are remembered: those go that count the fewest wrong passwords, the oldest first.
/// So many clients that try lock nobody else out, and free none that is blocked.
fn forget_fewest(tries: &mut HashMap<Trier, (Timestamp, u32)>) {
    if tries.len() < LOGIN_TRIES_KEPT {
        return;
    }
    let rank = |(began, count): (Timestamp, u32)| (count, began);
    let mut ranks: Vec<_> = tries.values().copied().map(rank).collect();
    let (_, last, _) = ranks.select_nth_unstable(LOGIN_TRIES_FORGOTTEN - 1);
    let (last, mut left) = (*last, LOGIN_TRIES_FORGOTTEN);
    tries.retain(|_, entry| {
        let goes = left > 0 && rank(*entry) <= last;
        left -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_lock_nobody_out() {
        let tries = LoginTries::default();
        let now = Timestamp::UNIX_EPOCH;
        let client = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        for _ in 0..LOGIN_TRIES_MAX {
            tries.count("blocked@b.example", None, now).unwrap();
        }
        let most = u32::try_from(LOGIN_TRIES_KEPT).unwrap();
        for n in 0..most {
            tries.count(&format!("{n}@b.example"), client(n), now).unwrap();
        }
        assert!(tries.0.lock().len() <= LOGIN_TRIES_KEPT + 2, "there is a limit");
        tries.count("somebody@b.example", client(most), now).unwrap();
        assert!(tries.count("blocked@b.example", None, now).is_err(), "and nobody is freed");
    }

    #[test]
    fn ten_wrong_tries_block_an_address_and_a_client_for_a_while() {
        let tries = LoginTries::default();
        let now = Timestamp::UNIX_EPOCH;
        let client = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        for n in 0..10 {
            tries.count("A@b.example", client(n), now).unwrap();
        }
        let blocked = |email, n, at| tries.count(email, client(n), at).is_err();
        assert!(blocked("a@b.example ", 99, now), "any spelling, any client");
        assert!(!blocked("c@b.example", 98, now), "others are not concerned");
        for n in 0..10 {
            tries.count(&format!("{n}@b.example"), client(50), now).unwrap();
        }
        assert!(blocked("x@b.example", 50, now), "one client, many addresses");
        let kept = tries.0.lock().len();
        assert!(blocked("y@b.example", 50, now));
        assert_eq!(tries.0.lock().len(), kept, "nothing is kept of what a blocked client tries");
        for _ in 0..9 {
            tries.count("d@b.example", client(51), now).unwrap();
        }
        tries.count("mine@b.example", client(51), now).unwrap();
        tries.forget("mine@b.example", client(51));
        tries.count("e@b.example", client(51), now).unwrap();
        assert!(blocked("f@b.example", 51, now), "one's own password clears no other tries");
        let wait = |minutes| {
            let at = now + SignedDuration::from_mins(minutes);
            match tries.count("a@b.example", None, at) {
                Err(Error::TooManyTries(left)) => left.as_mins(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((wait(0), wait(14)), (15, 1), "what is left of the window");
        let later = now + LOGIN_TRIES_WINDOW;
        assert!(!blocked("a@b.example", 99, later));
        tries.forget("a@b.example", client(99));
        for _ in 0..10 {
            tries.count("a@b.example", None, later).unwrap();
        }
        assert!(tries.count("a@b.example", None, later).is_err());
    }
}
