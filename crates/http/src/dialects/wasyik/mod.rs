//! The wasyik dialect; see its `README.md`.

mod auth;
mod errors;
mod events;
mod message_type;
mod php_json;
mod routes;
mod times;
mod translate;
mod types;

#[cfg(test)]
pub(crate) mod tests;

use crate::api::{Api, KeyPlace};
use crate::api_error::ErrorShape as _;
use crate::fallback::PathSegments;

/// What the server knows of it.
pub static API: Api = Api {
    name: "wasyik",
    title: "Gerbang: the wasyik API",
    about: "Everything below /api/v2/messaging/whatsapp, with a key as `Authorization: Bearer` or \
            `X-Access-Key`; answers are {\"data\": {\"responseCode\": \"00\", …}}. Every path is \
            served with the doubled prefix /api/v2/api/v2 too.",
    keys: &[KeyPlace::Bearer, KeyPlace::Header("X-Access-Key")],
    owns,
    renderer: |_| errors::Wasyik::render,
    format: Some(&events::FORMAT),
    routes: routes::routes,
    codes: &[],
    #[cfg(test)]
    contract: Some(&tests::CONTRACT),
};

/// `/api/v2/…`.
fn owns(path: PathSegments<'_>) -> bool {
    path.get(0) == "api" && path.get(1) == "v2"
}
