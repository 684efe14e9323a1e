//! The APIs of other gateways, spoken so that their clients change the host and the key only.
//!
//! A dialect is one folder. It translates and decides nothing; it imports no other dialect; it has
//! no fallback of its own. One `pub mod` line registers it: `build.rs` makes [`ALL`] of them.

pub mod mpwa;
pub mod wachat;
pub mod wagate;
pub mod wasyik;
// The last one, because it owns every unknown path that nobody else does.
pub mod wagy;

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
mod fixtures;

use axum::http::HeaderMap;

use crate::fallback::{PathSegments, Renderer};
use crate::formats::Format;
use crate::routes::Route;

/// What the rest of the server knows of a dialect.
pub struct Dialect {
    /// Its name in the settings.
    pub name: &'static str,
    /// One line about it, for its OpenAPI document.
    pub about: &'static str,
    /// Where it looks for a key; none when that is a field of the request.
    pub keys: &'static [KeyPlace],
    /// Whether errors at a path that no route has are told in its shape.
    pub owns: fn(PathSegments<'_>) -> bool,
    /// Its shape of a refusal, for a client that sent these headers.
    pub renderer: fn(&HeaderMap) -> Renderer,
    /// Its shape of events, when it has one.
    pub format: Option<&'static Format>,
    /// Its routes.
    pub routes: fn() -> Vec<Route>,
    /// What the tests of all dialects need to know of it.
    #[cfg(test)]
    pub(crate) contract: &'static contract::Contract,
}

/// Where a key stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of this name.
    Header(&'static str),
}

impl KeyPlace {
    /// Its name in OpenAPI documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bearer => "key",
            Self::Header(name) => name,
        }
    }
}

/// Every dialect, as above. The first that owns an unknown path answers it.
pub static ALL: &[&Dialect] = &include!(concat!(env!("OUT_DIR"), "/dialects.rs"));

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|dialect| dialect.name)
}

/// The dialect with this name.
pub fn by_name(name: &str) -> Option<&'static Dialect> {
    ALL.iter().find(|dialect| dialect.name == name).copied()
}
