//! Whether a connection is alive: a socket whose other end has gone without a word looks open for hours.
//!
//! The library looks as well, but at times that can lie more than a minute apart.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval};
use wacore::iq::keepalive::KeepaliveSpec;
use whatsapp_rust::Client;

use crate::limits::{DEAD_AFTER, LIVENESS_EVERY, PING_AFTER, PONG_MAX};

/// What a look at a connection has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Something came in lately.
    Alive,
    /// Nothing did: it is asked for an answer.
    Silent,
    /// Nothing did, although it was asked.
    Dead,
}

/// When to look.
pub(crate) fn looks() -> Interval {
    let mut looks = interval(LIVENESS_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// When something last came in; `None` when nothing did yet.
pub(crate) fn alive_at(client: &Client) -> Option<Timestamp> {
    let at_ms = i64::try_from(client.stats().last_data_received_ms).ok().filter(|at| *at > 0)?;
    Timestamp::from_millisecond(at_ms).ok()
}

/// Looks at a connection, and asks it for an answer when it is silent.
pub(crate) fn look(client: &Arc<Client>) -> Liveness {
    let Some(alive_at) = alive_at(client) else { return Liveness::Alive };
    let silent_ms = wacore::time::now_millis().saturating_sub(alive_at.as_millisecond());
    let liveness = judge(Duration::from_millis(u64::try_from(silent_ms).unwrap_or(0)));
    if liveness == Liveness::Silent {
        let client = client.clone();
        tokio::spawn(async move {
            // Whatever comes in shows that it is alive.
            let _ = client.execute(KeepaliveSpec::with_timeout(PONG_MAX)).await;
        });
    }
    liveness
}

fn judge(silent_for: Duration) -> Liveness {
    match silent_for {
        silent_for if silent_for >= DEAD_AFTER => Liveness::Dead,
        silent_for if silent_for >= PING_AFTER => Liveness::Silent,
        _ => Liveness::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_time_for_its_answer() {
        assert_eq!(judge(Duration::ZERO), Liveness::Alive);
        assert_eq!(judge(PING_AFTER), Liveness::Silent);
        assert_eq!(judge(PING_AFTER + LIVENESS_EVERY + PONG_MAX), Liveness::Dead);
        assert!(PING_AFTER + LIVENESS_EVERY + PONG_MAX <= DEAD_AFTER);
        assert!(DEAD_AFTER + LIVENESS_EVERY < Duration::from_secs(60));
    }
}
