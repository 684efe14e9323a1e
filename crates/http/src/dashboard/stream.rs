//! `/app/stream`: that something on a page may have changed. One stream of each page; which parts of it look
//! again, and when, is the page's own business (`dashboard.js`).
//!
//! The id of its events names this process. Nothing is kept for a page that was away: it looks again when
//! it is back, and learns by the id whether the gateway was restarted meanwhile. What other nodes report
//! joins it ([`EveryNode`]); they send nothing else, for the page's node greets it and counts the time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::response::sse::Event;
use axum::routing::get;
use axum::{Extension, Router};
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
use crate::nodes::{EveryNode, SentOn};
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
    sent_on: Option<Extension<SentOn>>,
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
    let ends_at = ends_at.unwrap_or(Timestamp::MAX);
    Ok(respond(&state, &Listener::of(&headers, query, sent_on), changes, ends_at))
}

/// Who listens.
pub(super) struct Listener {
    /// The id of the last event they have seen; empty for none.
    last: String,
    /// Another node, for a page of its own.
    is_node: bool,
}

impl Listener {
    pub(super) fn of(
        headers: &HeaderMap,
        query: StreamQuery,
        sent_on: Option<Extension<SentOn>>,
    ) -> Self {
        let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
        let last = last.map_or(query.last, str::to_owned);
        Self { last, is_node: sent_on.is_some() }
    }

    /// How a page is greeted.
    fn greeting(&self, id: &str) -> &'static str {
        let node_of = |id: &str| id.split('-').next().map(str::to_owned);
        match self.last.as_str() {
            "" => "new",
            last if last == id => "again",
            // It has come to another node; of the one it comes from nothing is known.
            last if node_of(last) != node_of(id) => "again",
            _ => "restarted",
        }
    }
}

/// The stream of a page, until its session or link ends.
pub(super) fn respond(
    state: &AppState,
    listener: &Listener,
    changes: BoxStream<'static, PageChange>,
    ends_at: Timestamp,
) -> Response<Body> {
    let node = state.core().node().map_or(0, |node| node.0);
    let id = format!("{node}-{}", state.process());
    let event = |name: &str, data: &str| Event::default().event(name).data(data);
    let first = event("hello", listener.greeting(&id)).id(id);
    let first = (!listener.is_node).then_some(first);
    // A node counts the time itself.
    let ticks = stream::iter((!listener.is_node).then_some(()));
    let ticks =
        ticks.flat_map(|()| stream::unfold((), |()| async { Some((sleep(TICK).await, ())) }));
    let ticks = ticks.chain(stream::pending());
    let ticks = ticks.map(|()| Some("tick"));
    // It ends with what changes, not only when time does.
    let changes = changes.map(|change| Some(topic(change))).chain(stream::iter([None]));
    let changes =
        stream::select(changes, ticks).take_while(|topic| ready(topic.is_some())).filter_map(ready);
    let changes = changes.map(move |topic| event("changed", topic));
    let lasts = ends_at.duration_since(state.core().now()).max(SignedDuration::ZERO);
    let lasts = Duration::try_from(lasts).unwrap_or_default();
    let changes = changes.take_until(Box::pin(sleep(lasts)));
    let mut response = live(state, stream::iter(first).chain(changes));
    response.extensions_mut().insert(EveryNode);
    response
}

/// What a change is about, as the parts of pages name it.
fn topic(change: PageChange) -> &'static str {
    match change {
        PageChange::Device => "device",
        PageChange::Event(kind) => kind.as_str().split('.').next().unwrap_or_default(),
    }
}
