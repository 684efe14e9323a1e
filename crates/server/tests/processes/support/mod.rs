//! What the tests of processes share; the benches use it too.

pub mod api;
pub mod counters;
pub mod database;
pub mod env;
pub mod figures;
pub mod gateway;
pub mod memory;
pub mod postgres;
pub mod preload;
pub mod process;
pub mod receiver;
pub mod simulator;
pub mod wait;
