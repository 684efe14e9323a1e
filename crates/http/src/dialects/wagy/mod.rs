//! The wagy dialect; see its `README.md`. The model for the others.

mod auth;
mod errors;
mod events;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use super::{Dialect, KeyPlace};
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static DIALECT: Dialect = Dialect {
    name: "wagy",
    about: "POST /{device_id}/send and what belongs to it, with a bearer token; answers are {status, data, message}.",
    keys: &[KeyPlace::Bearer],
    owns,
    renderer: |_| errors::render,
    format: Some(&events::FORMAT),
    routes: routes::routes,
    #[cfg(test)]
    contract: &tests::CONTRACT,
};

/// `/x/y` where x is no reserved segment, and `/api/v1/x/y`.
fn owns(path: PathSegments<'_>) -> bool {
    match path.get(0) {
        "api" => path.get(1) == "v1" && path.count() >= 4,
        _ => !path.is_reserved() && path.count() >= 2,
    }
}
