//! Every HTTP request that Gerbang makes because a customer asked for it.
//!
//! ```text
//! files        downloads a file into a temporary one
//!   disposition  what the server's headers and URL say of it
//!   filename     names as browsers save them
//!   encoding     opens what was compressed for the way
//!   page         whether it is a web page
//! preview      what is shown of a link
//!   head         the title and the `meta` tags of a page
//! webhooks     posts a webhook, asks a receiver for a challenge
//! guard        which URLs and addresses may be reached at all
//!   address      what kind of address an address is
//! proxy        connections through a customer's proxy
//! tls          certificates are checked against roots that are compiled in
//! ```
//!
//! Invariants: a connection goes only to an address that the guard has judged, never to one that
//! was resolved afterwards; every redirect is checked before it is followed; every exchange has a deadline and a
//! largest size; no error names an address or a URL.

pub mod address;
mod client;
mod disposition;
mod encoding;
mod filename;
mod files;
mod guard;
mod head;
mod page;
mod preview;
pub mod proxy;
mod temp;
pub mod tls;
mod webhooks;

#[cfg(test)]
mod tests;

pub use client::{Config, HttpOutbound, SetupError};
pub use guard::GuardedDns;
pub use proxy::ProxyConnector;
