//! Tells webhooks what has happened.
//!
//! The events are rows of the store, written in the transaction of their cause. One sender per
//! webhook reads them and posts them:
//!
//! - [`lanes`] is pure: it knows what waits for one webhook and says what is posted next, and when.
//! - `sender` is the only place that loops and sleeps: the senders, and who starts and ends them.
//! - `registry` is how the rest of the engine reaches them.
//!
//! Invariants:
//! - An event is told at least once: its row stays pending until an outcome is written. A crash in
//!   between repeats it, under the same id.
//! - Events of one chat, and of one device, are told in order: the next one is not posted before
//!   the outcome of the one before is durable, or that one has failed four times.
//! - Nobody waits for a slow receiver: each webhook, and each account, has a share of the posts that
//!   run at a time.
//! - A webhook whose receiver answers 410 is switched off. What still waits for it stays, and is
//!   told when its owner switches it on again.

pub mod lanes;
mod registry;
pub(crate) mod sender;

pub(crate) use registry::Webhooks;
