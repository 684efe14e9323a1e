//! The wagate dialect; see its `README.md`.

mod auth;
mod errors;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use super::{Dialect, KeyPlace};
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static DIALECT: Dialect = Dialect {
    name: "wagate",
    about: "/api/v1/send-message, /send-media, /device and /messages with a bearer token; answers \
            are {success, message, data}.",
    keys: &[KeyPlace::Bearer],
    owns,
    renderer: |_| errors::render,
    format: None,
    routes: routes::routes,
    #[cfg(test)]
    contract: &tests::CONTRACT,
};

/// `/api/v1/x`; what is below it is another's.
fn owns(path: PathSegments<'_>) -> bool {
    path.get(0) == "api" && path.get(1) == "v1" && path.count() == 3
}
