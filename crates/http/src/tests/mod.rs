//! Tests of the whole router, over the memory store and a dispatcher that sends nothing.

pub(crate) mod app;
pub(crate) mod exchange;

mod access;
mod documents;
mod edge;
mod native;
mod server;
