//! The wachat dialect; see its `README.md`.

mod auth;
mod errors;
mod events;
mod faults;
mod form;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use super::{Dialect, KeyPlace};
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static DIALECT: Dialect = Dialect {
    name: "wachat",
    about: "/wachat_api/1.0/… with the header APIKey; answers are {error, message, data}, as XML \
            for those who accept that.",
    keys: &[KeyPlace::Header("APIKey")],
    owns,
    renderer: errors::renderer,
    format: Some(&events::FORMAT),
    routes: routes::routes,
    #[cfg(test)]
    contract: &tests::CONTRACT,
};

/// `/wachat_api/…`.
fn owns(path: PathSegments<'_>) -> bool {
    path.get(0) == "wachat_api"
}
