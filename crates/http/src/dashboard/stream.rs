//! `/app/stream`: that something on a page may have changed. One stream of each page; which parts of it look
//! again, and when, is the page's own business (`dashboard.js`).
//!
//! The id of its events names this process. Nothing is kept for a page that was away: it looks again when
//! it is back, and learns by the id whether the gateway was restarted meanwhile.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::response::sse::Event;
use axum::routing::get;
use domain::person::SESSION_MAX;
use domain::service::PageChange;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::sleep;

use super::caller::{Asked, Person, id};
use super::failure::PageResult;
use crate::native::events::live;
use crate::state::AppState;

/// How often parts look again whose content follows from the time, or from what makes no event.
const TICK: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/stream", get(page_stream))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct StreamQuery {
    /// The device that the page is about.
    device: String,
    /// The id of the last event of a page that was hidden; `Last-Event-ID` goes before it.
    last: String,
}

async fn page_stream(
    State(state): State<AppState>,
    headers: HeaderMap,
    person: Person,
    Asked(query): Asked<StreamQuery>,
) -> PageResult {
    let changes = match person.visitor.account() {
        Some(_) => {
            let device = match query.device.as_str() {
                "" => None,
                text => Some(id(text, "device")?),
            };
            state.core().watch_changes(person.principal(), device).await?
        }
        None => stream::pending().boxed(),
    };
    let ends_at = person.visitor.session.created_at.saturating_add(SESSION_MAX);
    Ok(respond(&state, &headers, &query, changes, ends_at.unwrap_or(Timestamp::MAX)))
}

/// The stream of a page, until its session or link ends.
pub(super) fn respond(
    state: &AppState,
    headers: &HeaderMap,
    query: &StreamQuery,
    changes: BoxStream<'static, PageChange>,
    ends_at: Timestamp,
) -> Response<Body> {
    let process = state.process();
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
    let hello = match last.unwrap_or(&query.last) {
        "" => "new",
        last if last == process => "again",
        _ => "restarted",
    };
    let event = |name: &str, data: &str| Event::default().event(name).data(data);
    let first = event("hello", hello).id(process);
    let ticks = stream::unfold((), |()| async { Some((sleep(TICK).await, ())) });
    let ticks = ticks.map(|()| Some("tick"));
    // It ends with what changes, not only when time does.
    let changes = changes.map(|change| Some(topic(change))).chain(stream::iter([None]));
    let changes =
        stream::select(changes, ticks).take_while(|topic| ready(topic.is_some())).filter_map(ready);
    let changes = changes.map(move |topic| event("changed", topic));
    let lasts = ends_at.duration_since(state.core().now()).max(SignedDuration::ZERO);
    let lasts = Duration::try_from(lasts).unwrap_or_default();
    let changes = changes.take_until(Box::pin(sleep(lasts)));
    live(state, stream::iter([first]).chain(changes))
}

/// What a change is about, as the parts of pages name it.
fn topic(change: PageChange) -> &'static str {
    match change {
        PageChange::Device => "device",
        PageChange::Event(kind) => kind.as_str().split('.').next().unwrap_or_default(),
    }
}
