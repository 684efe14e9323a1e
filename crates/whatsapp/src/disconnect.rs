//! Why a connection ended and how long to wait before the next; pure.

use std::time::Duration;

use domain::device::{DisconnectReason, Reconnect};
use domain::ids::DeviceId;
use wacore::types::events::ConnectFailureReason;

use crate::limits::{
    BAN_MARGIN, OUTAGE_PAUSE_MAX, OUTAGES_SHORT, RECONNECT_FIRST, RECONNECT_HOURLY,
    RECONNECT_JITTER_PERCENT, RECONNECT_LATER, RECONNECT_MAX, STABLE,
};
use crate::wire::Progress;

/// How the client reported the end of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The number is no longer linked, with the reason in words for people.
    LoggedOut(String),
    /// The connection is gone; the number is still linked.
    Lost(DisconnectReason),
    /// Linking failed, with the reason in words for people.
    PairingFailed(String),
    /// The number was just linked; WhatsApp wants a new connection.
    Paired,
    /// The driver ended it, to connect again at once.
    Wanted,
    /// A new client must take its place at once: all its QRs were shown, its app state does not settle, or it and
    /// its phone cannot read each other.
    NewClient,
}

impl Ending {
    /// Reads the refusal of a login.
    pub(crate) fn from_failure(reason: &ConnectFailureReason) -> Self {
        match reason {
            ConnectFailureReason::LoggedOut | ConnectFailureReason::UnknownLogout => {
                Self::LoggedOut(format!("WhatsApp has unlinked this device ({})", code(reason)))
            }
            other => Self::Lost(DisconnectReason::from_login_code(code(other))),
        }
    }

    /// Reads the code of a `stream:error`; `None` for one that does not end the stream.
    pub(crate) fn from_stream_error(text: &str) -> Option<Self> {
        let code: u16 = text.parse().ok()?;
        Some(match code {
            401 | 516 => Self::LoggedOut(UNLINKED.to_owned()),
            code => Self::Lost(DisconnectReason::from_code(code)),
        })
    }

    /// What must have happened when the client reported nothing.
    pub(crate) fn from_progress(progress: Progress, was_logged_in: bool) -> Self {
        Self::Lost(match progress {
            _ if was_logged_in => DisconnectReason::ConnectionLost,
            Progress::Unreachable => DisconnectReason::Unreachable,
            Progress::Proxy(fault) => DisconnectReason::Proxy(fault),
            Progress::Open => DisconnectReason::ConnectionLost,
            Progress::Distrusted => DisconnectReason::Untrusted,
        })
    }

    /// Whether it replaces `other`, reported earlier: the end of a link outweighs the end of a
    /// connection; of two equal ones the first stays.
    pub(crate) fn outweighs(&self, other: &Self) -> bool {
        self.weight() > other.weight()
    }

    fn weight(&self) -> u8 {
        match self {
            Self::LoggedOut(_) => 3,
            Self::Paired | Self::PairingFailed(_) => 2,
            Self::Lost(_) => 1,
            Self::Wanted | Self::NewClient => 0,
        }
    }
}

/// The reason in words for people when the phone, or WhatsApp, removed the linked device.
pub(crate) const UNLINKED: &str = "the device was unlinked on the phone";

fn code(reason: &ConnectFailureReason) -> u16 {
    u16::try_from(reason.code()).unwrap_or_default()
}

/// How long to wait before the next attempt; `None` when there must be none. `failures` counts the
/// attempts since a connection last stayed up for [`STABLE`], this one included.
pub(crate) fn pause(reason: DisconnectReason, failures: u32, device: DeviceId) -> Option<Duration> {
    let pause = match reason.reconnect() {
        Reconnect::Never => return None,
        Reconnect::Later => RECONNECT_LATER,
        Reconnect::Hourly => RECONNECT_HOURLY,
        Reconnect::After(rest) => return Some(rest + spread(BAN_MARGIN, failures, device)),
        // The first time WhatsApp asks for it, there is nothing to wait for.
        Reconnect::Soon if reason == DisconnectReason::RestartRequired && failures <= 1 => {
            return Some(Duration::ZERO);
        }
        Reconnect::Soon => {
            let doublings = failures.saturating_sub(1).min(16);
            (RECONNECT_FIRST * (1 << doublings)).min(RECONNECT_MAX)
        }
    };
    Some(spread(pause, failures, device))
}

/// How long to wait once the store answers that was away. `outages` counts those since a connection
/// last stayed up for [`STABLE`], this one included.
pub(crate) fn pause_after_outage(outages: u32, device: DeviceId) -> Duration {
    let longest = if outages <= OUTAGES_SHORT { OUTAGE_PAUSE_MAX } else { RECONNECT_MAX };
    let doublings = outages.saturating_sub(1).min(16);
    spread((RECONNECT_FIRST * (1 << doublings)).min(longest), outages, device)
}

/// The count of failures after a connection that was ready for `ready_for`.
pub(crate) fn failures_after(failures: u32, ready_for: Option<Duration>) -> u32 {
    if ready_for.is_some_and(|ready_for| ready_for >= STABLE) {
        1
    } else {
        failures.saturating_add(1)
    }
}

/// Lengthens a pause by a share that differs between devices and attempts.
pub(crate) fn spread(pause: Duration, failures: u32, device: DeviceId) -> Duration {
    let seed = device.0.as_u128() as u64 ^ u64::from(failures).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let percent = (seed.wrapping_mul(0xd1b5_4a32_d192_ed03) >> 32) % (RECONNECT_JITTER_PERCENT + 1);
    pause + pause.mul_f64(percent as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DisconnectReason as R;
    use std::time::Duration;
    use uuid::Uuid;

    #[test]
    fn an_outage_of_our_store_costs_seconds_not_minutes() {
        let device = DeviceId(Uuid::from_u128(7));
        let pauses: Vec<u64> =
            (1..=5).map(|outages| pause_after_outage(outages, device).as_secs()).collect();
        assert!(pauses.iter().all(|pause| *pause <= 5), "{pauses:?}");
        assert!(pause_after_outage(OUTAGES_SHORT + 1, device) >= RECONNECT_MAX);
    }

    #[test]
    fn refusals_and_stream_errors() {
        let unlinked = |ending: Option<Ending>| matches!(ending, Some(Ending::LoggedOut(_)));
        assert!(unlinked(Some(Ending::from_failure(&ConnectFailureReason::LoggedOut))));
        assert!(unlinked(Some(Ending::from_failure(&ConnectFailureReason::UnknownLogout))));
        for (reason, expected) in [
            (ConnectFailureReason::TempBanned, R::TemporarilyBanned(None)),
            (ConnectFailureReason::AccountLocked, R::AccountLocked),
            (ConnectFailureReason::ClientOutdated, R::ClientOutdated),
            (ConnectFailureReason::BadUserAgent, R::ClientRefused),
            (ConnectFailureReason::CatExpired, R::LoginRefused(413)),
            (ConnectFailureReason::ServiceUnavailable, R::ServerFault(503)),
            (ConnectFailureReason::Unknown(429), R::RateLimited),
            (ConnectFailureReason::Unknown(-1), R::Other(0)),
        ] {
            assert_eq!(Ending::from_failure(&reason), Ending::Lost(expected));
        }
        for code in ["401", "516"] {
            assert!(unlinked(Ending::from_stream_error(code)), "{code}");
        }
        for (code, expected) in [
            ("515", R::RestartRequired),
            ("409", R::Replaced),
            ("429", R::RateLimited),
            ("503", R::ServerFault(503)),
        ] {
            assert_eq!(Ending::from_stream_error(code), Some(Ending::Lost(expected)), "{code}");
        }
        assert_eq!(Ending::from_stream_error(""), None);
    }

    /// Whether the table of `docs/operations.md` has a line for a code.
    fn is_documented(code: u16) -> bool {
        let page = include_str!("../../../docs/operations.md");
        let (_, section) = page.split_once("## Why a device is not connected").unwrap();
        let table = section.split("\n## ").next().unwrap_or_default();
        let numbers = |text: &str| -> Vec<u16> {
            let parts = text.split(|c: char| !c.is_ascii_digit());
            parts.filter_map(|part| part.parse().ok()).collect()
        };
        let mut cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
        cells.any(|cell| {
            let range = cell
                .split_once(" to ")
                .and_then(|(first, last)| Some(*numbers(first).last()?..=*numbers(last).first()?));
            numbers(cell).contains(&code) || range.is_some_and(|range| range.contains(&code))
        })
    }

    #[test]
    fn every_code_that_ends_a_connection_has_its_line() {
        for code in 100..=999 {
            let of_stream = Ending::from_stream_error(&code.to_string());
            let ends_link = code == 406 || matches!(of_stream, Some(Ending::LoggedOut(_)));
            let reasons = [R::from_code(code), R::from_login_code(code)];
            let is_known = reasons.iter().any(|reason| !matches!(reason, R::Other(_)));
            // This one refuses a message.
            let is_of_messages = code == 463;
            assert_eq!(is_documented(code), is_known || ends_link || is_of_messages, "{code}");
        }
    }

    #[test]
    fn a_silent_end_is_read_from_the_progress() {
        for (progress, was_logged_in, expected) in [
            (Progress::Unreachable, false, R::Unreachable),
            (Progress::Open, false, R::ConnectionLost),
            (Progress::Distrusted, false, R::Untrusted),
            (Progress::Open, true, R::ConnectionLost),
            (Progress::Distrusted, true, R::ConnectionLost),
        ] {
            assert_eq!(Ending::from_progress(progress, was_logged_in), Ending::Lost(expected));
        }
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let device = DeviceId(Uuid::from_u128(7));
        let mut seconds = Vec::new();
        for failures in 1..=9 {
            let pause = pause(R::ConnectionLost, failures, device).unwrap();
            let base = (1_u64 << (failures - 1)).min(60);
            let longest = Duration::from_secs(base) * 125 / 100;
            assert!((Duration::from_secs(base)..=longest).contains(&pause), "{failures} {pause:?}");
            seconds.push(pause.as_secs());
        }
        assert!(seconds.iter().any(|s| *s >= 60), "{seconds:?}");
        assert!(pause(R::ServerFault(503), u32::MAX, device).unwrap() <= Duration::from_secs(75));
    }

    #[test]
    fn some_reconnect_at_once_some_late_some_never() {
        let device = DeviceId(Uuid::from_u128(7));
        assert_eq!(pause(R::RestartRequired, 1, device), Some(Duration::ZERO));
        assert!(pause(R::RestartRequired, 2, device).unwrap() >= Duration::from_secs(1));
        for reason in [R::RateLimited, R::TemporarilyBanned(None)] {
            assert!(pause(reason, 1, device).unwrap() >= RECONNECT_LATER, "{reason:?}");
        }
        for reason in
            [R::ClientOutdated, R::SetVersionOutdated, R::ClientRefused, R::LoginRefused(400)]
        {
            assert!(pause(reason, 1, device).unwrap() >= RECONNECT_HOURLY, "{reason:?}");
        }
        let after_ban = pause(R::TemporarilyBanned(Some(90)), 3, device).unwrap().as_secs();
        assert!((90..=96).contains(&after_ban), "{after_ban}");
        for reason in [R::Replaced, R::AccountLocked] {
            assert_eq!(pause(reason, 1, device), None, "{reason:?}");
        }
    }

    #[test]
    fn devices_do_not_reconnect_at_the_same_moment() {
        let pauses: std::collections::BTreeSet<Duration> = (0..100)
            .map(|n| spread(RECONNECT_MAX, 5, DeviceId(Uuid::from_u128(n * 7919))))
            .collect();
        assert!(pauses.len() > 10, "{}", pauses.len());
    }

    #[test]
    fn a_stable_connection_resets_the_failures() {
        assert_eq!(failures_after(0, None), 1);
        assert_eq!(failures_after(4, Some(Duration::from_secs(1))), 5);
        assert_eq!(failures_after(4, Some(STABLE)), 1);
    }
}
