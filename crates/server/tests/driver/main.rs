//! The driver against the simulator: the whole protocol, the engine's place taken by a recorder.
//!
//! These live here because only the server may turn on the driver's feature `simulator`.

#![allow(clippy::unwrap_used, reason = "tests may")]

mod accounts;
mod authenticator;
mod connections;
mod costs;
mod disappearing;
mod first_contacts;
mod groups;
mod histories;
mod history;
mod kinds;
mod lids;
mod linking;
mod liveness;
mod logs;
mod media;
mod messages;
mod openable;
mod passkeys;
mod presence;
mod proxies;
mod receipts;
mod retries;
mod spellings;
mod test_proxy;
mod unreadable;
mod versions;
mod world;
