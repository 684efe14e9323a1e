//! The engine's tests: the pure queue as tables, the queue under seeded disorder, and the whole
//! engine under paused time against the store in memory and the scripted messenger.

#![expect(clippy::unwrap_used, reason = "tests, and what they share")]

mod devices;
mod lives;
mod logs;
mod media;
mod outside;
mod queue;
mod rig;
mod sending;
mod simulation;
mod test_gateway;
mod waits;
mod webhooks;
