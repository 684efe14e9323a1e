//! The APIs of other gateways, spoken so that their clients change the host and the key only.
//!
//! A dialect is one folder. It translates and decides nothing; it imports no other dialect; it has
//! no fallback of its own. One line in [`ALL`] registers it.

pub mod wagy;

#[cfg(test)]
mod contract;

use crate::fallback::{PathSegments, Renderer};
use crate::routes::Route;

/// What the rest of the server knows of a dialect.
pub struct Dialect {
    /// Its name in the settings.
    pub name: &'static str,
    /// One line about it, for its OpenAPI document.
    pub about: &'static str,
    /// Whether errors at a path that no route has are told in its shape.
    pub owns: fn(PathSegments<'_>) -> bool,
    /// Its shape of a refusal.
    pub render: Renderer,
    /// Its routes.
    pub routes: fn() -> Vec<Route>,
}

/// Every dialect. The first that owns an unknown path answers it.
pub static ALL: [&Dialect; 1] = [&wagy::DIALECT];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|dialect| dialect.name)
}

/// The dialect with this name.
pub fn by_name(name: &str) -> Option<&'static Dialect> {
    ALL.iter().find(|dialect| dialect.name == name).copied()
}
