//! Tests of the whole router, over the memory store and a dispatcher that sends nothing.

pub(crate) mod access;
mod amend;
pub(crate) mod app;
mod chats;
pub(crate) mod exchange;

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
mod webhooks;
