//! The dashboard: pages for people, under `/app`.
//!
//! Rendered on the server and usable without JavaScript; `dashboard.js` only keeps what is on the screen
//! up to date. A page is one file: its routes, what it shows, its template. It calls the same
//! [`domain::service::Core`] as every API. Who a session stands for is found by `caller::Person`, an
//! extractor of these routes alone: requests of an API do none of this.

mod account_settings;
mod accounts;
mod api;
mod api_words;
mod assets;
mod attention;
mod audit;
mod batch;
mod bubbles;
mod caller;
mod chat;
mod chat_facts;
mod chats;
mod compose;
mod contents;
mod copy_as;
mod credits;
mod deliveries;
mod device;
mod device_acts;
mod device_choice;
mod device_hooks;
mod device_more;
mod devices;
mod failure;
mod find;
mod gateway;
mod group;
pub(crate) mod group_names;
mod groups;
mod heartbeat_bar;
pub(crate) mod held_files;
mod join;
mod keys;
mod layout;
mod linking;
mod list_columns;
mod login;
mod message;
mod message_acts;
mod message_edits;
mod messages;
mod named_people;
mod nodes;
pub(crate) mod once;
mod origin;
pub(crate) mod passwords;
mod people;
mod people_acts;
mod plans;
mod portal_links;
mod portal_page;
mod preview;
mod quota;
mod reasons;
mod recipients;
mod reset_page;
mod samples;
mod scheduled;
mod security;
mod send;
mod show;
mod start;
mod stream;
mod table;
mod upload;
mod usage;
mod webhook;
mod webhooks;
pub(crate) mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use axum::middleware::{from_fn, from_fn_with_state};

use crate::api_error::ApiError;
use crate::state::AppState;

pub use join::{setup_path, sign_in_path};
pub use portal_page::portal_path;

/// The page of an error that no page answers with.
pub fn error_page(error: Arc<ApiError>, headers: &HeaderMap) -> Response<Body> {
    failure::page_of(error, headers)
}

/// What went wrong, in the reader's language, for a page of another part.
pub(crate) fn in_words(error: &ApiError, lang: words::Lang) -> String {
    failure::describe(error, lang.words())
}

/// The pages, with the frame that makes pages of their errors and sets their headers.
pub fn router(state: &AppState) -> Router<AppState> {
    Router::new()
        .merge(login::routes())
        .merge(join::routes())
        .merge(start::routes())
        .merge(stream::routes())
        .merge(devices::routes())
        .merge(device::routes())
        .merge(device_acts::routes())
        .merge(device_more::routes())
        .merge(portal_links::routes())
        .merge(portal_page::routes())
        .merge(send::routes())
        .merge(batch::routes())
        .merge(chats::routes())
        .merge(chat::routes())
        .merge(messages::routes())
        .merge(message::routes())
        .merge(message_acts::routes())
        .merge(message_edits::routes())
        .merge(scheduled::routes())
        .merge(usage::routes())
        .merge(keys::routes())
        .merge(webhooks::routes())
        .merge(webhook::routes())
        .merge(deliveries::routes())
        .merge(accounts::routes())
        .merge(account_settings::routes())
        .merge(credits::routes())
        .merge(plans::routes())
        .merge(gateway::routes())
        .merge(nodes::routes())
        .merge(audit::routes())
        .merge(groups::routes())
        .merge(group::routes())
        .merge(api::routes())
        .merge(people::routes())
        .merge(people_acts::routes())
        .merge(reset_page::routes())
        .merge(security::routes())
        .route_layer(from_fn_with_state(state.clone(), once::layer))
        .route_layer(from_fn(failure::frame))
        .merge(assets::routes())
}
