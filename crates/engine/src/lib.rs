//! The engine: decides when which message is sent, sends it, and writes down what became of it.
//!
//! - [`queue`] is pure: one [`queue::DeviceQueue`] per device says what goes next, and when.
//! - `device` is the task of one device that is paired, is being paired, or has messages waiting. Any
//!   other device costs nothing.
//! - `ownership` keeps this process registered as a node and says which devices it runs, where several
//!   share a database.
//! - `registry` starts, finds, retires and stops these tasks; `supervisor` runs one of them. A task
//!   knows neither.
//! - [`webhooks`] posts to customers what has happened.
//! - `incoming_files` fetches what devices receive; `request_files` reads and removes what came with requests.
//! - `context` is what all tasks use.
//!
//! Invariants:
//! - Outcomes are written, not claims: a message is `queued` in the store until WhatsApp has
//!   acknowledged it or an attempt has failed. After a crash it is sent again, with the same id.
//! - No outcome is lost while the process lives, however long the store is unavailable.
//! - Everything that waits is bounded by a named limit, and nothing waits for the messenger while
//!   the messenger may be waiting for it.

mod cleanup;
mod context;
mod device;
mod engine;
mod group_facts;
mod group_picture;
mod heartbeats;
mod incoming_files;
mod logs;
mod ownership;
pub mod queue;
mod reading;
mod registry;
mod reply;
mod request_files;
mod sending_set;
mod stats;
mod supervisor;
mod timing;
mod unheard;
mod watchers;
pub mod webhooks;

use domain::node::NewNode;
use domain::policy::pacing::Pacing;
use jiff::SignedDuration;

pub use engine::{Engine, EngineParts};
pub use stats::EngineStats;

/// The engine's settings.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The pacing of every device that has none of its own.
    pub default_pacing: Pacing,
    /// How long messages are kept, from when they were accepted or came in.
    pub messages_kept: SignedDuration,
    /// How long files that came in are kept.
    pub incoming_files: IncomingFileLimits,
    /// This process among those that share the database; `None` where it shares it with none.
    pub node: Option<NewNode>,
}

/// How long, and how many bytes of an account, files that came in are kept.
#[derive(Debug, Clone)]
pub struct IncomingFileLimits {
    /// From when they came in.
    pub kept: SignedDuration,
    /// The oldest beyond these go first.
    pub account_bytes_max: u64,
}

impl Default for IncomingFileLimits {
    /// A week, and 5 GiB.
    fn default() -> Self {
        Self { kept: SignedDuration::from_hours(24 * 7), account_bytes_max: 5 << 30 }
    }
}

impl Default for EngineConfig {
    /// Pauses of 3 to 8 seconds, typing time, and a budget of first contacts; messages are kept for 90 days.
    fn default() -> Self {
        Self {
            default_pacing: Pacing::between(3, 8).unwrap_or_else(|_| Pacing::off()),
            messages_kept: SignedDuration::from_hours(24 * 90),
            incoming_files: IncomingFileLimits::default(),
            node: None,
        }
    }
}
