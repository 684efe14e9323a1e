//! The machine's clock and randomness: the only file that takes them from the system.

use domain::message::whole_millis;
use domain::ports::{Clock, Entropy};
use jiff::Timestamp;

/// The system's clock, in whole milliseconds, as times are stored and rendered.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        whole_millis(Timestamp::now())
    }
}

/// The system's randomness.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness comes from")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}
