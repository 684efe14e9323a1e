//! Tests of real processes: the binary as it is run, killed, restarted, and looked at in a browser.
//!
//! Run them with `cargo xtask test nextest`, which brings what they need: PostgreSQL, Chromium,
//! Node, and the production binary. What is missing is a failure, never a skipped test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admin;
mod archiving;
mod between_nodes;
mod browser;
mod buckets;
mod clock;
mod copied;
mod crash;
mod demo;
mod deploying;
mod disk;
mod faults;
mod files;
mod hang_ups;
mod histories;
mod hostile_webhooks;
mod keeping;
mod logs;
mod moving;
mod nodes;
mod outage;
mod overload;
mod pages_between_nodes;
mod peers;
mod production;
mod races;
mod spellings;
mod strangers;
#[allow(dead_code, reason = "shared with the benches, which use more of it")]
mod support;
mod typing;
mod undecryptable;
mod versions;
mod waits_between_nodes;
mod webhooks;
mod webhooks_between_nodes;
