//! The mpwa dialect; see its `README.md`.

mod auth;
mod errors;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use super::Dialect;
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static DIALECT: Dialect = Dialect {
    name: "mpwa",
    about: "/send-message and /send-media by GET and POST, the key in the field api_key; answers \
            are {status, msg}.",
    keys: &[],
    owns,
    renderer: |_| errors::render,
    format: None,
    routes: routes::routes,
    #[cfg(test)]
    contract: &tests::CONTRACT,
};

/// The two paths themselves, for other methods; whatever is below them is nobody's.
fn owns(path: PathSegments<'_>) -> bool {
    path.count() == 1 && matches!(path.get(0), "send-message" | "send-media")
}
