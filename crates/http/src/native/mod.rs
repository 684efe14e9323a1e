//! Our own API, `/v1`: one file per resource. Errors are RFC 9457 problems ([`problem`]), lists are
//! pages (`page.rs`).

pub mod problem;
pub mod webhook_format;

mod accounts;
mod backups;
pub(crate) mod caller;
mod chats;
mod contacts;
mod deliveries;
mod devices;
mod event_view;
pub mod events;
mod grants;
mod group_event;
mod groups;
mod keys;
mod me;
mod media_field;
mod media_view;
mod message_request;
mod message_view;
mod messages;
mod nodes;
mod numbers;
mod offer;
mod pacing;
pub(crate) mod page;
mod pairing;
mod plans;
mod portal_links;
mod setup_links;
mod shown_as;
mod structured_view;
mod usage;
mod webhooks;

use crate::api::{Api, KeyPlace};
use crate::api_error::ErrorShape as _;
use crate::media;
use crate::router::own_routes;
use crate::routes::{Access, Route};

pub use backups::backup_file;
pub use problem::V1;

/// What the server knows of it. Its documents hold the routes that belong to no API, too.
pub static API: Api = Api {
    name: "v1",
    title: "Gerbang API",
    about: "A self-hosted WhatsApp gateway. Give a key as `Authorization: Bearer …`: the operator \
            key, an account key, or a device token for what concerns its device. Errors are \
            RFC 9457 problem documents with a stable `code`. Times are RFC 3339 UTC. Every answer \
            carries `X-Request-Id`; yours is echoed when it has at most 64 letters, digits, dots, \
            dashes and underscores. Where the plan limits requests, answers carry \
            `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, and the same as \
            `RateLimit-Policy` and `RateLimit`; a 429 says `Retry-After`.",
    keys: &[KeyPlace::Bearer],
    owns: |path| path.get(0) == "v1",
    renderer: |_| V1::render,
    format: Some(&webhook_format::FORMAT),
    routes: own_routes,
    codes: &problem::KINDS,
    #[cfg(test)]
    contract: None,
};

/// The routes of this API, in the order in which they are documented.
pub fn routes() -> Vec<Route> {
    [
        messages::routes(),
        chats::routes(),
        contacts::routes(),
        media::native_routes(),
        devices::routes(),
        pairing::routes(),
        numbers::routes(),
        groups::routes(),
        portal_links::routes(),
        webhooks::routes(),
        deliveries::routes(),
        events::routes(),
        me::routes(),
        usage::routes(),
        keys::routes(),
        accounts::routes(),
        grants::routes(),
        plans::routes(),
        nodes::routes(),
        setup_links::routes(),
        backups::routes(),
    ]
    .into_iter()
    .flatten()
    .map(with_common_errors)
    .collect()
}

/// Documents the errors that every route of this API has, behind the route's own.
fn with_common_errors(route: Route) -> Route {
    let docs = &route.docs;
    let has_body = docs.body.is_some();
    let has_input = has_body || !docs.query.is_empty();
    let is_idempotent = docs.headers.iter().any(|(name, _)| *name == "Idempotency-Key");
    let has_scope = matches!(route.access, Access::Account | Access::Device);
    let errors: [(bool, u16, &'static str); 15] = [
        (true, 401, "`unauthorized`"),
        (true, 403, "`forbidden`: a key of another kind"),
        (has_scope, 403, "`scope_missing`"),
        (true, 405, "`wrong_method`"),
        (true, 429, "`rate_limited`"),
        (route.path.contains('{'), 404, "`not_found`"),
        (has_input, 400, "`malformed`"),
        (has_body, 408, "`body_timeout`"),
        (has_body, 413, "`too_large`"),
        (has_body, 415, "`unsupported_media_type`"),
        (has_input, 422, "`invalid`: `errors` names the field"),
        (is_idempotent, 422, "`idempotency_mismatch`"),
        (is_idempotent, 409, "`idempotency_in_flight`"),
        (true, 500, "`internal`"),
        (true, 503, "`unavailable`"),
    ];
    let errors = errors.into_iter().filter(|(is_possible, ..)| *is_possible);
    errors.fold(route, |route, (_, status, meaning)| route.error(status, meaning))
}
