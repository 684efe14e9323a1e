//! What is known of numbers: whether they are on WhatsApp. Asking too often gets a number banned.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use domain::phone::PhoneNumber;

/// How long an answer is believed.
pub(crate) const ANSWER_AGE_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Most answers that are kept.
pub(crate) const ANSWERS_MAX: usize = 10_000;

/// Answers of the last minutes, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answers: HashMap<PhoneNumber, (bool, Timestamp)>,
    order: VecDeque<(PhoneNumber, Timestamp)>,
}

impl Answers {
    pub(crate) fn get(&self, phone: &PhoneNumber, now: Timestamp) -> Option<bool> {
        let state = self.lock();
        let (found, at) = state.answers.get(phone)?;
        (now.duration_since(*at) < ANSWER_AGE_MAX).then_some(*found)
    }

    pub(crate) fn put(&self, phone: &PhoneNumber, found: bool, now: Timestamp) {
        let mut state = self.lock();
        state.answers.insert(phone.clone(), (found, now));
        state.order.push_back((phone.clone(), now));
        while state.order.len() > ANSWERS_MAX {
            let Some((oldest, at)) = state.order.pop_front() else { break };
            if state.answers.get(&oldest).is_some_and(|(_, newest)| *newest == at) {
                state.answers.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_age_and_are_bounded() {
        let answers = Answers::default();
        let start = Timestamp::UNIX_EPOCH;
        let phone = |n: usize| PhoneNumber::from_digits(format!("62812{n:08}"));
        answers.put(&phone(0), true, start);
        assert_eq!(answers.get(&phone(0), start), Some(true));
        assert_eq!(answers.get(&phone(0), start + ANSWER_AGE_MAX), None);
        for n in 1..=ANSWERS_MAX {
            answers.put(&phone(n), false, start);
        }
        assert_eq!(answers.get(&phone(0), start), None);
        assert_eq!(answers.get(&phone(ANSWERS_MAX), start), Some(false));
        assert_eq!(answers.lock().answers.len(), ANSWERS_MAX);
    }
}
