//! Shared by the tests of several crates: fakes for the ports, and the suites for adapters.
//!
//! It depends on `domain` alone, so that any crate may use it.

pub mod clock;
pub mod entropy;
pub mod fake_dispatcher;
pub mod fake_outbound;
pub mod flaky_store;
pub mod memory_blobs;
pub mod memory_store;
pub mod no_files;
pub mod plain_format;
pub mod scripted_messenger;
pub mod store_conformance;
