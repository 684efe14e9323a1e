//! The wagy dialect; see its `README.md`. The model for the others.

mod auth;
mod errors;
mod events;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use crate::api::{Api, KeyPlace};
use crate::api_error::ErrorShape as _;
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static API: Api = Api {
    name: "wagy",
    title: "Gerbang: the wagy API",
    about: "POST /{device_id}/send and what belongs to it, with a bearer token; answers are {status, data, message}.",
    keys: &[KeyPlace::Bearer],
    owns,
    renderer: |_| errors::Wagy::render,
    format: Some(&events::FORMAT),
    routes: routes::routes,
    codes: &[],
    #[cfg(test)]
    contract: Some(&tests::CONTRACT),
};

/// `/x/y` where x is no reserved segment, and `/api/v1/x/y`.
fn owns(path: PathSegments<'_>) -> bool {
    match path.get(0) {
        "api" => path.get(1) == "v1" && path.count() >= 4,
        _ => !path.is_reserved() && path.count() >= 2,
    }
}
