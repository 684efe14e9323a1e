//! Tests of the whole router, over a store in memory (or a database: [`database`]) and a dispatcher that sends
//! nothing.

pub(crate) mod access;
mod amend;
pub(crate) mod app;
mod chats;
mod database;
pub(crate) mod exchange;
#[path = "../../../store/tests/support/schema.rs"]
mod schema;

mod client_settings;
mod docs;
mod documents;
mod edge;
mod effort;
mod grants;
mod groups;
mod kinds;
mod lids;
mod locations;
mod media;
mod native;
mod passkey;
mod scopes;
mod server;
mod siblings;
// The store counts its statements in debug builds only.
#[cfg(debug_assertions)]
mod two_nodes;
mod webhooks;
