//! The mpwa dialect; see its `README.md`.

mod auth;
mod errors;
mod routes;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use crate::api::Api;
use crate::api_error::ErrorShape as _;
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static API: Api = Api {
    name: "mpwa",
    title: "Gerbang: the mpwa API",
    about: "/send-message and /send-media by GET and POST, the key in the field api_key; answers \
            are {status, msg}.",
    keys: &[],
    owns,
    renderer: |_| errors::Mpwa::render,
    format: None,
    routes: routes::routes,
    codes: &[],
    #[cfg(test)]
    contract: Some(&tests::CONTRACT),
};

/// The two paths themselves, for other methods; no dialect owns the paths below them.
fn owns(path: PathSegments<'_>) -> bool {
    path.count() == 1 && matches!(path.get(0), "send-message" | "send-media")
}
