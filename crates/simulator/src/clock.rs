//! The only file that reads the system clock or the system's randomness.

#![expect(
    clippy::disallowed_methods,
    reason = "the simulator stands outside the domain and has no ports"
)]

use rand::Rng as _;
use rand::RngExt as _;

/// Seconds since 1970, as WhatsApp's `t` attributes carry them.
pub(crate) fn unix_s() -> i64 {
    unix_ms() / 1_000
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// RFC 3339 text of a millisecond time; the epoch when out of range.
pub(crate) fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// The random source given to the Signal library.
pub(crate) fn rng() -> rand::rngs::StdRng {
    rand::make_rng()
}

/// `N` random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A random number below `limit` (which must not be zero).
pub(crate) fn random_below(limit: u64) -> u64 {
    rand::rng().random_range(0..limit.max(1))
}

/// A message id of the shape phones use.
pub(crate) fn message_id() -> String {
    format!("3A{}", hex::encode_upper(random_bytes::<9>()))
}
