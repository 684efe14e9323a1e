//! The times of this API. Pure.
//!
//! The plain path prints UTC with microseconds, the doubled path the offset of western Indonesia,
//! where the service is at home. A time without an offset is one of western Indonesia on both.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use std::convert::Infallible;

use crate::reply::laravel_time;

/// How a path's answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `/api/v2/messaging/…`.
    Plain,
    /// `/api/v2/api/v2/messaging/…`.
    Doubled,
}

impl<S: Sync> FromRequestParts<S> for Style {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let is_doubled = parts.uri.path().starts_with("/api/v2/api/");
        Ok(if is_doubled { Self::Doubled } else { Self::Plain })
    }
}

impl Style {
    /// Prints a time.
    pub(super) fn print(self, at: Timestamp) -> String {
        match self {
            Self::Plain => laravel_time(at),
            Self::Doubled => at.to_zoned(wib()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        }
    }
}

/// Western Indonesian time: UTC+7, all year.
fn wib() -> TimeZone {
    TimeZone::fixed(Offset::constant(7))
}

/// Reads `YYYY-MM-DD HH:mm:ss`, or RFC 3339 with an offset.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let has_no_offset = text.len() == "YYYY-MM-DD HH:mm:ss".len();
    let civil: DateTime = has_no_offset.then(|| text.parse().ok()).flatten()?;
    civil.to_zoned(wib()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_meant() {
        let cases = [
            ("2026-03-30 15:00:00", Some("2026-03-30T08:00:00Z")),
            ("2026-03-30T15:00:00", Some("2026-03-30T08:00:00Z")),
            (" 2026-01-01 03:00:00 ", Some("2025-12-31T20:00:00Z")),
            ("2026-04-01T08:00:00+07:00", Some("2026-04-01T01:00:00Z")),
            ("2026-04-01T08:00:00Z", Some("2026-04-01T08:00:00Z")),
            ("2026-04-01T08:00:00.123456-03:30", Some("2026-04-01T11:30:00.123456Z")),
            ("2026-02-30 15:00:00", None),
            ("2026-03-30 25:00:00", None),
            ("2026-03-30", None),
            ("2026-03-30 15:00", None),
            ("30-03-2026 15:00:00", None),
            ("tomorrow", None),
            ("1774857600", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected.map(|time| time.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn both_paths_print_their_own_way() {
        let at = "2026-03-30T08:00:00Z".parse().unwrap();
        assert_eq!(Style::Plain.print(at), "2026-03-30T08:00:00.000000Z");
        assert_eq!(Style::Doubled.print(at), "2026-03-30T15:00:00+07:00");
    }
}
