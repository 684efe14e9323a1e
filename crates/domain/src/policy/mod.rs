//! Decisions as pure functions: the time, the randomness and the facts are arguments.

pub mod ownership;
pub mod pacing;
pub mod queue;
pub mod quota;
pub mod rate;
pub mod retry;
pub mod webhook;
