//! Our own API, `/v1`: one file per resource. Errors are [`problem`]s, lists are pages (`page.rs`).

pub mod problem;

mod accounts;
mod caller;
mod devices;
mod events;
mod keys;
mod me;
mod message_view;
mod messages;
mod numbers;
mod page;
mod pairing;
mod plans;
mod usage;

use axum::body::Body;
use axum::http::Response;

use crate::routes::Route;
use problem::Problem;

/// What a handler of this API returns.
type Answer = Result<Response<Body>, Problem>;

/// The routes of this API.
pub fn routes() -> Vec<Route> {
    [
        plans::routes(),
        accounts::routes(),
        me::routes(),
        keys::routes(),
        devices::routes(),
        pairing::routes(),
        events::routes(),
        numbers::routes(),
        messages::routes(),
        usage::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
