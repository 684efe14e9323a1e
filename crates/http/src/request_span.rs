//! The span of a request: every line that is logged meanwhile carries its fields.
//!
//! The span has the level `error`, so that a line of any level has it; without a subscriber nothing is
//! formatted.

use domain::ids::DeviceId;
use domain::service::Principal;
use tracing::field::{Empty, display};
use tracing::{Span, error_span};

/// Opens it. `route` is a template, never a path as it came.
pub fn open(request_id: &str, api: &'static str, route: &str) -> Span {
    error_span!("request", request_id, api, route, account = Empty, device = Empty)
}

/// Names the account of the key, and its device when it is a token.
pub fn record_principal(principal: &Principal) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    if let Some(account) = principal.caller.account() {
        span.record("account", account.0);
    }
    if let Some(device) = principal.caller.bound_device() {
        span.record("device", display(device));
    }
}

/// Names the device that the request is about.
pub fn record_device(device: DeviceId) {
    let span = Span::current();
    if !span.is_disabled() {
        span.record("device", display(device));
    }
}
