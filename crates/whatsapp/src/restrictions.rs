//! Until when WhatsApp lets a number write to no strangers: asked when a message to one was refused, and while
//! that lasts.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use whatsapp_rust::Client;
use whatsapp_rust::features::ReachoutTimelock;

use crate::limits::{LOOK_UP_MAX, RESTRICTION_KEPT, RESTRICTION_UNKNOWN};

/// The last answer of WhatsApp for a device.
#[derive(Default)]
pub(crate) struct Restrictions(Mutex<Option<(Instant, Option<Timestamp>)>>);

impl Restrictions {
    /// Asks; messages that are refused together share an answer. `None` when there is none.
    pub(crate) async fn ask(&self, client: &Client) -> Option<Option<Timestamp>> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < RESTRICTION_KEPT
        {
            return Some(answer);
        }
        let asked = timeout(LOOK_UP_MAX, client.mex().fetch_reachout_timelock()).await;
        let now_s = wacore::time::now_secs();
        let known = last.and_then(|(_, answer)| answer);
        let answer = ends_at(&asked.ok()?.ok()?, known, now_s);
        *last = Some((Instant::now(), answer));
        Some(answer)
    }
}

/// When a restriction ends; `None` when there is none. Where WhatsApp does not say, each answer would move the
/// end: it stays where it is known to be.
fn ends_at(lock: &ReachoutTimelock, known: Option<Timestamp>, now_s: i64) -> Option<Timestamp> {
    if lock.is_active != Some(true) {
        return None;
    }
    let ends_s = lock.time_enforcement_ends.as_ref().and_then(|ends| ends.parse::<i64>().ok());
    let known_s = known.map(Timestamp::as_second).filter(|until| *until > now_s);
    let unknown_s = now_s + Duration::as_secs(&RESTRICTION_UNKNOWN).cast_signed();
    let ends_s = ends_s.filter(|s| *s > 0).or(known_s);
    Timestamp::from_second(ends_s.unwrap_or(unknown_s)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_lock_has_an_end() {
        let lock = |is_active, ends: Option<&str>| ReachoutTimelock {
            is_active,
            time_enforcement_ends: ends.map(str::to_owned),
            enforcement_type: None,
        };
        let at = |s| Timestamp::from_second(s).ok();
        for (is_active, ends, expected) in [
            (Some(true), Some("1770000000"), at(1_770_000_000)),
            (Some(true), None, at(86_401)),
            (Some(true), Some("soon"), at(86_401)),
            (Some(false), Some("1770000000"), None),
            (None, Some("1770000000"), None),
        ] {
            let found = ends_at(&lock(is_active, ends), None, 1);
            assert_eq!(found, expected, "{is_active:?} {ends:?}");
        }
        let asked_again = |known| ends_at(&lock(Some(true), None), at(known), 100);
        assert_eq!(asked_again(500), at(500), "the end does not move");
        assert_eq!(asked_again(100), at(86_500), "that one is over");
    }
}
