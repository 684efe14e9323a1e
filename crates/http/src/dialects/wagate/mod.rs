//! The wagate dialect; see its `README.md`.

mod auth;
mod errors;
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
    name: "wagate",
    title: "Gerbang: the wagate API",
    about: "/api/v1/send-message, /send-media, /device and /messages with a bearer token; answers \
            are {success, message, data}.",
    keys: &[KeyPlace::Bearer],
    owns,
    renderer: |_| errors::Wagate::render,
    format: None,
    routes: routes::routes,
    codes: &[],
    #[cfg(test)]
    contract: Some(&tests::CONTRACT),
};

/// `/api/v1/x`; what is below it is another's.
fn owns(path: PathSegments<'_>) -> bool {
    path.get(0) == "api" && path.get(1) == "v1" && path.count() == 3
}
