//! The APIs of other gateways, spoken so that their clients change the host and the key only.
//!
//! A dialect is one folder. It translates and decides nothing; it imports no other dialect; it has
//! no fallback of its own. One `pub mod` line registers it: `build.rs` makes [`ALL`] of them.

pub mod mpwa;
pub mod wachat;
pub mod wagate;
pub mod wasyik;
// The last one, because it owns every unknown path that no other dialect owns.
pub mod wagy;

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
mod fixtures;

use crate::api::Api;

/// Every dialect, in the order of the lines above.
pub static ALL: &[&Api] = &include!(concat!(env!("OUT_DIR"), "/apis.rs"));

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|dialect| dialect.name)
}

/// The dialect with this name.
pub fn by_name(name: &str) -> Option<&'static Api> {
    ALL.iter().find(|dialect| dialect.name == name).copied()
}
