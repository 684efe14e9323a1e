//! The HTTP side of the gateway: our own API under `/v1`, the dialects, their documentation, and
//! the probes and metrics of the process.
//!
//! Invariants:
//!
//! - Nothing here decides: every handler translates into one call of [`domain::service::Core`].
//! - One table ([`routes::Route`]) builds the router, the OpenAPI document and the access test; a
//!   route cannot exist in one of them only.
//! - Every API is one value of [`api::Api`]; what handles paths, documents and formats knows none by
//!   name. Every handler returns [`api_error::ApiResult`].
//! - Every error is an [`api_error::ApiError`], which each API renders in its own shape, exhaustively.
//! - Unknown paths and wrong methods are answered in one place, [`fallback`]; no dialect has its own.
//! - No key, phone number, message text or raw path reaches a log, a metric or an error.

pub mod api;
pub mod api_error;
pub mod dashboard;
pub mod dialects;
pub mod docs;
pub mod edge;
pub mod fallback;
pub mod formats;
pub mod html;
pub mod media;
pub mod media_links;
pub mod metrics;
pub mod native;
pub mod net;
pub mod openapi;
mod openapi_flat;
pub mod portal;
pub mod router;
pub mod routes;
pub mod server;
pub mod state;
pub mod system;

mod assertion;
mod auth;
mod body;
mod client_stream;
mod compressed;
mod connections;
mod drain;
mod fields;
mod forms;
mod idempotency;
mod large_answers;
mod nodes;
mod optional;
mod paths;
mod qr;
mod rate;
mod reply;
mod request_context;
mod request_line;
mod request_span;
mod send_headers;
mod surrogates;
mod write_timeout;

#[cfg(test)]
mod tests;

pub use nodes::NodeKey;
pub use openapi::{at as openapi_at, openapi, openapi_dialect};
pub use request_span::InRequest;
pub use router::router;
pub use server::{Limits, serve};
pub use state::{AppState, HttpConfig, Shutdown, ShutdownTrigger, shutdown};
