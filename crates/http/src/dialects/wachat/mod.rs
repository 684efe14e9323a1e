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

use crate::api::{Api, KeyPlace};
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static API: Api = Api {
    name: "wachat",
    title: "Gerbang: the wachat API",
    about: "/wachat_api/1.0/… with the header APIKey; answers are {error, message, data}, as XML \
            for those who accept that.",
    keys: &[KeyPlace::Header("APIKey")],
    owns,
    renderer: errors::renderer,
    format: Some(&events::FORMAT),
    routes: routes::routes,
    codes: &[],
    #[cfg(test)]
    contract: Some(&tests::CONTRACT),
};

/// `/wachat_api/…`.
fn owns(path: PathSegments<'_>) -> bool {
    path.get(0) == "wachat_api"
}
