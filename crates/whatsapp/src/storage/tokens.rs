//! Who has no token under the number. Most people have given none at all, and each message to them looks for one.
//!
//! Invariant: once a token or a number is stored, nothing is remembered that was read before.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::limits::TOKENLESS_MAX;

/// People who have no token under their number, as far as this connection has looked.
#[derive(Default)]
pub(super) struct Tokenless(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Counts what was stored that may make it wrong.
    generation: u64,
    /// Their numbers, by the name under which the library looks for their tokens; `None` where the store has no number.
    phones: HashMap<String, Option<String>>,
}

impl Tokenless {
    /// `None` for somebody who has none; else what [`Self::add`] is given once the store has been asked.
    pub(super) fn generation_unless_known(&self, name: &str) -> Option<u64> {
        let known = self.0.lock();
        (!known.phones.contains_key(name)).then_some(known.generation)
    }

    /// The store has no token under the number, unless one was stored since.
    pub(super) fn add(&self, generation: u64, name: &str, phone: Option<String>) {
        let mut known = self.0.lock();
        if known.generation != generation {
            return;
        }
        if known.phones.len() >= TOKENLESS_MAX {
            known.phones.clear();
        }
        known.phones.insert(name.to_owned(), phone);
    }

    /// A token was stored under a name, which may be a number.
    pub(super) fn token_stored(&self, name: &str) {
        let mut known = self.0.lock();
        known.generation += 1;
        known.phones.retain(|_, phone| phone.as_deref() != Some(name));
    }

    /// The number of a LID was stored.
    pub(super) fn number_stored(&self, lid: &str) {
        let mut known = self.0.lock();
        known.generation += 1;
        known.phones.remove(lid);
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{fresh, mapping};
    use super::*;
    use std::sync::atomic::Ordering;
    use wacore::store::traits::ProtocolStore as _;

    const LID: &str = "100";
    const PHONE: &str = "628111";

    #[tokio::test]
    async fn a_token_that_is_not_there_is_looked_for_once() {
        let (sessions, state) = fresh();
        state.put_lid_mapping(&mapping(LID, PHONE)).await.unwrap();
        assert!(state.get_tc_token(LID).await.unwrap().is_none());
        state.touch_tc_token_sender_timestamp(LID, 50).await.unwrap();
        let before = sessions.reads.load(Ordering::Relaxed);
        for _ in 0..3 {
            let entry = state.get_tc_token(LID).await.unwrap().unwrap();
            assert_eq!(
                (entry.token.as_slice(), entry.sender_timestamp),
                (b"".as_slice(), Some(50))
            );
        }
        assert_eq!(sessions.reads.load(Ordering::Relaxed) - before, 3, "its own entry each time");
    }

    #[tokio::test]
    async fn a_token_that_comes_later_under_the_number_is_found() {
        let (_, state) = fresh();
        state.put_lid_mapping(&mapping(LID, PHONE)).await.unwrap();
        state.touch_tc_token_sender_timestamp(LID, 50).await.unwrap();
        assert!(state.get_tc_token(LID).await.unwrap().unwrap().token.is_empty());
        state.store_received_tc_token(PHONE, b"given", 60).await.unwrap();
        let found = state.get_tc_token(LID).await.unwrap().unwrap();
        assert_eq!(
            (found.token.as_slice(), found.sender_timestamp),
            (b"given".as_slice(), Some(50))
        );
    }

    #[tokio::test]
    async fn a_token_is_found_once_its_number_is_known() {
        let (sessions, state) = fresh();
        state.store_received_tc_token(PHONE, b"given", 60).await.unwrap();
        assert!(state.get_tc_token(LID).await.unwrap().is_none());
        sessions.is_down.store(true, Ordering::Relaxed);
        assert!(state.put_lid_mapping(&mapping(LID, PHONE)).await.is_err());
        assert!(state.get_tc_token(LID).await.unwrap().is_none(), "nothing was stored");
        sessions.is_down.store(false, Ordering::Relaxed);
        state.put_lid_mapping(&mapping(LID, PHONE)).await.unwrap();
        assert_eq!(state.get_tc_token(LID).await.unwrap().unwrap().token, b"given");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered() {
        let tokenless = Tokenless::default();
        for stored in [Tokenless::token_stored, Tokenless::number_stored] {
            let generation = tokenless.generation_unless_known(LID).unwrap();
            stored(&tokenless, "another");
            tokenless.add(generation, LID, Some(PHONE.to_owned()));
            assert!(tokenless.generation_unless_known(LID).is_some());
        }
        let generation = tokenless.generation_unless_known(LID).unwrap();
        tokenless.add(generation, LID, Some(PHONE.to_owned()));
        assert!(tokenless.generation_unless_known(LID).is_none());
    }

    #[test]
    fn the_people_are_bounded() {
        let tokenless = Tokenless::default();
        for n in 0..3 * TOKENLESS_MAX {
            tokenless.add(0, &n.to_string(), None);
            assert!(tokenless.0.lock().phones.len() <= TOKENLESS_MAX);
        }
    }
}
