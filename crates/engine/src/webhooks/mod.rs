//! Posts events to customers' webhooks.
//!
//! The events are rows of the store, written in the transaction of their cause. One sender per
//! webhook reads them and posts them:
//!
//! - [`lanes`] is pure: it knows what waits for one webhook and says what is posted next, and when.
//! - `sender` is the task of one webhook; `manager` starts and ends the senders.
//! - `registry` is how the rest of the engine reaches them.
//!
//! Invariants:
//! - An event is posted at least once: its row stays pending until an outcome is written. A crash in
//!   between repeats it, under the same id.
//! - Events of one chat, and of one device, are posted in order: the next one is not posted before
//!   the outcome of the one before is durable, or that one has failed four times.
//! - A slow receiver delays no other: each webhook, and each account, has a share of the posts that
//!   run at a time.
//! - Where several nodes share the database, one of them posts to a webhook: `ownership::webhooks`.
//! - A webhook whose receiver answers 410 is switched off. What still waits for it stays, and is
//!   posted when its owner switches it on again.

pub mod lanes;
pub(crate) mod manager;
mod registry;
mod sender;

pub(crate) use registry::Webhooks;
