//! Which numbers are on WhatsApp, and as which they are known there, by recent answers of WhatsApp. Asking too often gets a number
//! banned. One cache for lookups of customers and for the check before a message is sent,
//! so that the two never disagree; shared by all devices, because it is a fact about the number.

use std::collections::HashMap;

use domain::phone::PhoneNumber;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::{REGISTERED_FOR, REGISTRATIONS_MAX, UNREGISTERED_FOR};

/// Remembers answers; forgets old ones, and all of them rather than grow beyond its limit.
#[derive(Default)]
pub(crate) struct Registrations {
    known: Mutex<HashMap<PhoneNumber, (Option<PhoneNumber>, Instant)>>,
}

impl Registrations {
    /// What is known of a number: the one that its account has, if there is one; `None` when it
    /// must be asked.
    pub(crate) fn get(&self, phone: &PhoneNumber) -> Option<Option<PhoneNumber>> {
        let known = self.known.lock();
        let (registered, until) = known.get(phone)?;
        (*until > Instant::now()).then(|| registered.clone())
    }

    /// Remembers an answer.
    pub(crate) fn put(&self, phone: &PhoneNumber, registered: Option<PhoneNumber>) {
        let now = Instant::now();
        let keep_for = if registered.is_some() { REGISTERED_FOR } else { UNREGISTERED_FOR };
        let mut known = self.known.lock();
        if known.len() >= REGISTRATIONS_MAX {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() >= REGISTRATIONS_MAX {
            known.clear();
        }
        known.insert(phone.clone(), (registered, now + keep_for));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_no_is_believed_for_a_shorter_time_than_a_yes() {
        let registrations = Registrations::default();
        let [yes, no, unknown] = ["628111", "628222", "628333"].map(PhoneNumber::from_digits);
        let other = PhoneNumber::from_digits("628444");
        registrations.put(&yes, Some(other.clone()));
        registrations.put(&no, None);
        assert_eq!(registrations.get(&yes), Some(Some(other.clone())));
        assert_eq!(registrations.get(&no), Some(None));
        assert_eq!(registrations.get(&unknown), None);
        tokio::time::advance(UNREGISTERED_FOR + Duration::from_secs(1)).await;
        assert_eq!(registrations.get(&yes), Some(Some(other)));
        assert_eq!(registrations.get(&no), None);
        tokio::time::advance(REGISTERED_FOR).await;
        assert_eq!(registrations.get(&yes), None);
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_grow_without_end() {
        let registrations = Registrations::default();
        for n in 0..=REGISTRATIONS_MAX {
            registrations.put(&PhoneNumber::from_digits(n.to_string()), None);
        }
        assert!(registrations.known.lock().len() <= REGISTRATIONS_MAX);
    }
}
