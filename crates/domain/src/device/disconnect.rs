//! Why a device lost its connection, and what follows.

use std::time::Duration;

use jiff::Timestamp;

use crate::proxy::ProxyFault;

/// Why a device lost its connection, as WhatsApp or the network put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The connection ended without a word: network or server.
    ConnectionLost,
    /// WhatsApp cannot be reached at all.
    Unreachable,
    /// What answered could not prove to be WhatsApp.
    Untrusted,
    /// The device cannot go through its proxy.
    Proxy(ProxyFault),
    /// 515: WhatsApp asks for a new connection; normal after pairing.
    RestartRequired,
    /// 409 or a stream replaced: another process uses this session.
    Replaced,
    /// 429: too many connections.
    RateLimited,
    /// 402: banned, for so many seconds where WhatsApp says so.
    TemporarilyBanned(Option<u32>),
    /// 403: the account is locked.
    AccountLocked,
    /// 405: this protocol version is no longer accepted.
    ClientOutdated,
    /// 405: the version that the operator has set is no longer accepted, and no other is looked for.
    SetVersionOutdated,
    /// 409 at a login: WhatsApp does not take this kind of client.
    ClientRefused,
    /// 400, 413 to 418 at a login: WhatsApp refuses it for a reason of its own.
    LoginRefused(u16),
    /// 500, 501, 503: WhatsApp has a fault.
    ServerFault(u16),
    /// Any other code.
    Other(u16),
}

/// How long a ban is taken to last whose end WhatsApp does not say.
const BAN_ASSUMED: Duration = Duration::from_secs(15 * 60);

/// What is done about a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Again, with the ordinary growing pause.
    Soon,
    /// Again, after a long pause.
    Later,
    /// Again, once an hour.
    Hourly,
    /// Again, when this time is over and not before.
    After(Duration),
    /// Not by itself: somebody has to look.
    Never,
}

impl DisconnectReason {
    /// What the numbers on the wire mean that refuse a login (see `docs/operations.md`).
    pub fn from_login_code(code: u16) -> Self {
        match code {
            409 => Self::ClientRefused,
            400 | 413..=418 => Self::LoginRefused(code),
            code => Self::from_code(code),
        }
    }

    /// What the numbers on the wire mean that end a connection (see `docs/operations.md`).
    pub fn from_code(code: u16) -> Self {
        match code {
            402 => Self::TemporarilyBanned(None),
            403 => Self::AccountLocked,
            405 => Self::ClientOutdated,
            409 => Self::Replaced,
            429 => Self::RateLimited,
            515 => Self::RestartRequired,
            500 | 501 | 503 => Self::ServerFault(code),
            other => Self::Other(other),
        }
    }

    /// The reason as a number, in the numbering of the field's libraries.
    pub fn code(self) -> u16 {
        match self {
            Self::ConnectionLost | Self::Unreachable | Self::Proxy(_) => 408,
            Self::Untrusted => 495,
            Self::RestartRequired => 515,
            Self::Replaced => 440,
            Self::RateLimited => 429,
            Self::TemporarilyBanned(_) => 402,
            Self::ClientRefused => 409,
            Self::AccountLocked => 403,
            Self::ClientOutdated | Self::SetVersionOutdated => 405,
            Self::ServerFault(code) | Self::LoginRefused(code) | Self::Other(code) => code,
        }
    }

    /// What is to be done.
    pub fn reconnect(self) -> Reconnect {
        match self {
            Self::ConnectionLost
            | Self::Unreachable
            | Self::Untrusted
            | Self::Proxy(_)
            | Self::RestartRequired
            | Self::ServerFault(_)
            | Self::Other(_) => Reconnect::Soon,
            Self::TemporarilyBanned(Some(seconds)) => {
                Reconnect::After(Duration::from_secs(u64::from(seconds)))
            }
            Self::RateLimited | Self::TemporarilyBanned(None) => Reconnect::Later,
            Self::ClientOutdated
            | Self::SetVersionOutdated
            | Self::ClientRefused
            | Self::LoginRefused(_) => Reconnect::Hourly,
            Self::Replaced | Self::AccountLocked => Reconnect::Never,
        }
    }

    /// Until when no login may be tried that would prolong a ban.
    pub fn banned_until(self, now: Timestamp) -> Option<Timestamp> {
        let pause = match self {
            Self::TemporarilyBanned(Some(seconds)) => Duration::from_secs(u64::from(seconds)),
            Self::TemporarilyBanned(None) => BAN_ASSUMED,
            _ => return None,
        };
        Some(now.checked_add(pause).unwrap_or(Timestamp::MAX))
    }

    /// The reason in words for people, with its end where that is known.
    pub fn describe_at(self, now: Timestamp) -> String {
        match self.reconnect() {
            Reconnect::After(pause) => match now.checked_add(pause) {
                Ok(end) => format!("{}, until {end:.0}", self.describe()),
                Err(_) => self.describe(),
            },
            _ => self.describe(),
        }
    }

    /// The reason in words for people.
    pub fn describe(self) -> String {
        match self {
            Self::ConnectionLost => "connection lost".into(),
            Self::Unreachable => "WhatsApp cannot be reached".into(),
            Self::Untrusted => {
                "the server's certificate chain is not WhatsApp's; is the address right?".into()
            }
            Self::Proxy(fault) => fault.to_string(),
            Self::RestartRequired => "WhatsApp asked for a new connection (515)".into(),
            Self::Replaced => {
                "another process took over this session (409); pair or reconnect it in one place only"
                    .into()
            }
            Self::RateLimited => "WhatsApp limits connections (429)".into(),
            Self::TemporarilyBanned(_) => {
                "WhatsApp has banned this number for a while (402)".into()
            }
            Self::AccountLocked => "WhatsApp has locked this account (403)".into(),
            Self::ClientOutdated => {
                "WhatsApp no longer accepts this version (405); a newer one is looked for".into()
            }
            Self::SetVersionOutdated => {
                "WhatsApp no longer accepts this version (405), which GERBANG_WHATSAPP_VERSION sets"
                    .into()
            }
            Self::ClientRefused => "WhatsApp does not take this kind of client (409)".into(),
            Self::LoginRefused(code) => format!("WhatsApp refuses the login ({code})"),
            Self::ServerFault(code) => format!("WhatsApp has a fault ({code})"),
            Self::Other(code) => format!("WhatsApp closed the connection ({code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_has_an_end() {
        let now = Timestamp::from_second(1_000).unwrap();
        let end = |reason: DisconnectReason| reason.banned_until(now).map(Timestamp::as_second);
        assert_eq!(end(DisconnectReason::TemporarilyBanned(Some(90))), Some(1_090));
        assert_eq!(end(DisconnectReason::TemporarilyBanned(None)), Some(1_000 + 15 * 60));
        assert_eq!(end(DisconnectReason::RateLimited), None);
    }

    #[test]
    fn the_end_of_a_ban_is_named() {
        let now = Timestamp::from_second(1_763_694_000).unwrap();
        let words = DisconnectReason::TemporarilyBanned(Some(90)).describe_at(now);
        assert!(words.ends_with("(402), until 2025-11-21T03:01:30Z"), "{words}");
        let reason = DisconnectReason::TemporarilyBanned(None);
        assert_eq!(reason.describe_at(now), reason.describe());
    }

    #[test]
    fn a_409_at_a_login_is_no_conflict() {
        use DisconnectReason as R;
        assert_eq!((R::from_code(409), R::from_login_code(409)), (R::Replaced, R::ClientRefused));
        assert_eq!((R::Replaced.code(), R::ClientRefused.code()), (440, 409));
        assert_eq!(R::from_login_code(415), R::LoginRefused(415));
        assert_eq!(R::from_code(415), R::Other(415));
        assert_eq!(R::from_login_code(503), R::ServerFault(503));
    }
}
