//! Our own API, `/v1`: one file per resource. Errors are [`problem`]s, lists are pages (`page.rs`).

pub mod problem;
pub mod webhook_format;

mod accounts;
mod caller;
mod deliveries;
mod devices;
mod event_view;
mod events;
mod grants;
mod groups;
mod keys;
mod me;
mod media_field;
mod message_view;
mod messages;
mod numbers;
pub(crate) mod page;
mod pairing;
mod plans;
mod usage;
mod webhooks;

use axum::body::Body;
use axum::http::Response;

use crate::routes::Route;
use problem::Problem;

/// What a handler of this API returns.
type Answer = Result<Response<Body>, Problem>;

/// The routes of this API, in the order in which they are documented.
pub fn routes() -> Vec<Route> {
    [
        messages::routes(),
        devices::routes(),
        pairing::routes(),
        numbers::routes(),
        groups::routes(),
        webhooks::routes(),
        deliveries::routes(),
        events::routes(),
        me::routes(),
        usage::routes(),
        keys::routes(),
        accounts::routes(),
        grants::routes(),
        plans::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
