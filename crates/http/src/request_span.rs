//! The span of a request: what is known of it, on every line that is logged meanwhile.
//!
//! Most requests log nothing, so the fields are only kept at hand; the span is opened around each line
//! when it is written ([`InRequest`]).

use std::cell::Cell;
use std::fmt;

use axum::extract::MatchedPath;
use axum::http::HeaderValue;
use domain::ids::{AccountId, DeviceId};
use domain::service::Principal;
use tokio::task::futures::TaskLocalFuture;
use tracing::{Event, Span, Subscriber, error_span};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::NO_ROUTE;

tokio::task_local! {
    static REQUEST: RequestFields;
}

/// What is known of a request.
pub struct RequestFields {
    id: HeaderValue,
    api: &'static str,
    route: Option<MatchedPath>,
    account: Cell<Option<AccountId>>,
    device: Cell<Option<DeviceId>>,
}

impl RequestFields {
    /// Those known from its beginning. `route` is a template, never a path as it came.
    pub fn new(id: HeaderValue, api: &'static str, route: Option<MatchedPath>) -> Self {
        Self { id, api, route, account: Cell::default(), device: Cell::default() }
    }

    /// The level `error` keeps the fields on lines of every level.
    fn span(&self) -> Span {
        error_span!(
            "request",
            request_id = self.id.to_str().unwrap_or_default(),
            api = self.api,
            route = self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str),
            account = self.account.get().map(|account| account.0),
            device = self.device.get().map(display),
        )
    }
}

/// Runs a request, of which this is known.
pub fn with_fields<F: Future>(
    fields: RequestFields,
    request: F,
) -> TaskLocalFuture<RequestFields, F> {
    REQUEST.scope(fields, request)
}

/// Formats a line in the span of the request that runs, which is open only meanwhile. For the one
/// subscriber of a process: under another that is set for a thread, no span can be opened here.
pub struct InRequest<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for InRequest<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let span = REQUEST.try_with(RequestFields::span).unwrap_or_else(|_| Span::none());
        let _open = span.entered();
        self.0.format_event(context, writer, event)
    }
}

/// Names the account of the key, and its device when it is a token.
pub fn record_principal(principal: &Principal) {
    // Outside of a request, as in a test, there is nothing to name.
    let _ = REQUEST.try_with(|fields| fields.account.set(principal.caller.account()));
    if let Some(device) = principal.caller.bound_device() {
        record_device(device);
    }
}

/// Names the device that the request is about.
pub fn record_device(device: DeviceId) {
    let _ = REQUEST.try_with(|fields| fields.device.set(Some(device)));
}
