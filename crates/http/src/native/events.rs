//! What happens, live, as server-sent events: `/v1/devices/{id}/events` to a device, `/v1/events` in
//! an account.
//!
//! The first event of a device is itself as it is; then `status`, `qr`, `pair_code` and `passkey` as
//! they come. Comments in between show proxies that the stream lives. It ends when the process does,
//! so that a shutdown does not wait for its clients, and when its key is revoked or its device or
//! account is erased.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use domain::chat::Lid;
use domain::device::{DeviceNotice, StatusChange};
use domain::ids::DeviceId;
use futures_util::{Stream, StreamExt, future, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::V1;
use super::caller::{Caller, Segment};
use super::devices::{DeviceBody, device_id};
use super::event_view::EventBody;
use super::offer::PairBody;
use crate::api_error::ApiResult;
use crate::net::server_address;
use crate::nodes::EveryNode;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{id}/events", Access::Device, watch)
            .summary("What happens to a device, live")
            .description(
                "Server-sent events. The first one is `device`, the device as it is; then \
                 `status`, `qr`, `pair_code` and `passkey` as they come.",
            )
            .answers_type(200, "text/event-stream")
            .error(429, "`too_many_streams`"),
        Route::get("/v1/events", Access::Device, watch_all)
            .summary("What happens in the account, live")
            .description(
                "Server-sent events, as webhooks of the format `gerbang` receive them: the event's \
                 name is its type, its id that of the webhook's message. What happens while no \
                 client is connected is not repeated; webhooks are.",
            )
            .answers_type(200, "text/event-stream")
            .error(429, "`too_many_streams`"),
    ]
}

#[derive(Serialize)]
struct StatusBody<'a> {
    status: &'a str,
    reason: Option<&'a str>,
    phone: Option<&'a str>,
    lid: Option<&'a str>,
    at: Timestamp,
}

impl<'a> From<&'a StatusChange> for StatusBody<'a> {
    fn from(change: &'a StatusChange) -> Self {
        let linked = change.linked.as_ref();
        Self {
            status: change.status.as_str(),
            reason: change.reason.as_deref(),
            phone: linked.map(|linked| linked.phone.as_str()),
            lid: linked.and_then(|linked| linked.lid.as_ref()).map(Lid::as_str),
            at: change.at,
        }
    }
}

async fn watch(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    headers: HeaderMap,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let address = server_address(state.config(), &headers);
    let (device, notices) = state.core().watch_device(&principal, id).await?;
    let first = event("device", &DeviceBody::new(&state, &device));
    let later = notices.filter_map(move |notice| future::ready(notice_event(id, notice, &address)));
    Ok(live(&state, stream::iter(first).chain(later)))
}

async fn watch_all(State(state): State<AppState>, Caller(principal): Caller) -> ApiResult<V1> {
    let events = state.core().watch_account(&principal).await?;
    let events = events.filter_map(|happened| {
        let event = event(happened.kind.as_str(), &EventBody::from(&happened));
        future::ready(event.map(|event| event.id(happened.id)))
    });
    let mut response = live(&state, events);
    response.extensions_mut().insert(EveryNode);
    Ok(response)
}

/// A stream of events that ends with the process, too.
pub fn live(
    state: &AppState,
    events: impl Stream<Item = Event> + Send + 'static,
) -> Response<Body> {
    let events = events.map(Ok::<_, Infallible>);
    let events = events.take_until(Box::pin(state.shutdown().clone().wait()));
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold the QR back until it is void.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn notice_event(device: DeviceId, notice: DeviceNotice, address: &str) -> Option<Event> {
    match notice {
        DeviceNotice::Status(change) => event("status", &StatusBody::from(&change)),
        DeviceNotice::Offer(offer) => {
            let body = PairBody::new(device, offer, address).ok()?;
            event(body.event_name(), &body)
        }
    }
}

fn event(name: &'static str, body: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(body).ok()
}
