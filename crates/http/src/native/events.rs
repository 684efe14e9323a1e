//! `/v1/devices/{id}/events`: what happens to a device, live, as server-sent events.
//!
//! The first event is the device as it is; then `status`, `qr`, `pair_code` and `passkey` as they
//! come. The stream ends when the process does, so that a shutdown waits for nobody.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use domain::device::{DeviceNotice, StatusChange};
use futures_util::{StreamExt, future, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::Answer;
use super::caller::{Caller, Segment};
use super::devices::{DeviceBody, device_id};
use super::pairing::PairBody;
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
            .answers_type(200, "text/event-stream"),
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
            lid: linked.and_then(|linked| linked.lid.as_deref()),
            at: change.at,
        }
    }
}

async fn watch(State(state): State<AppState>, Caller(session): Caller, id: Segment) -> Answer {
    let id = device_id(&state, &session, &id).await?;
    let (device, notices) = state.core.watch_device(&session, id).await?;
    let first = event("device", &DeviceBody::from(&device));
    let later = notices.filter_map(|notice| future::ready(notice_event(notice)));
    let events = stream::iter(first).chain(later).map(Ok::<_, Infallible>);
    let events = events.take_until(Box::pin(state.shutdown.clone().wait()));
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold the QR back until it is void.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn notice_event(notice: DeviceNotice) -> Option<Event> {
    match notice {
        DeviceNotice::Status(change) => event("status", &StatusBody::from(&change)),
        DeviceNotice::Offer(offer) => {
            let body = PairBody::try_from(offer).ok()?;
            event(body.event_name(), &body)
        }
    }
}

fn event(name: &'static str, body: &impl Serialize) -> Option<Event> {
    Event::default().event(name).json_data(body).ok()
}
