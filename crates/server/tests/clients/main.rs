//! Other people's programs against a real gateway: the sample clients of `examples/clients`, the
//! samples that the five services publish, clients that generators make of our document, webhook receivers, and schemathesis. Each runs with its
//! own language's tool; what counts is what arrives on the simulated phone.
//!
//! Run them with `cargo xtask test nextest`, which brings the tools. A missing tool is a failure;
//! only the tests of the published texts are skipped without them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod generated;
mod languages;
mod own;
mod published;
mod receivers;
mod schemathesis;
mod world;

#[path = "../processes/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of processes, which use more of it")]
mod support;
