//! The engine's tests: the pure queue as tables, the queue under seeded disorder, and the whole
//! engine under paused time against the store in memory and the scripted messenger.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

mod devices;
mod first_contacts;
mod incoming;
mod links;
mod lives;
mod logs;
mod media;
mod outside;
mod passkeys;
mod queue;
mod rig;
mod sending;
mod simulation;
mod test_gateway;
mod waits;
mod webhooks;

/// `n` seeds of a randomised test, from `GERBANG_TEST_SEED` on, or from 0.
#[expect(clippy::disallowed_methods, reason = "the seed of a test that is repeated")]
fn seeds(n: u64) -> std::ops::Range<u64> {
    let first = std::env::var("GERBANG_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    first..first + n
}
