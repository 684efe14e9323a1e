//! Streams of what happens on every node: this one's, joined by those of the others.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Response;
use axum::http::request::Parts;
use bytes::Bytes;
use domain::ids::NodeId;
use domain::node::NodeAddress;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{interval, timeout};

use super::hop::ask;
use crate::state::AppState;

/// How often it is looked which nodes there are.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Most events of other nodes that wait for a slow client.
const EVENTS_MAX: usize = 256;
/// Longest event; a node that sends a longer one is asked anew.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// The same answer with what happens on the other nodes; it ends with this node's part.
pub(super) fn with_other_nodes(
    state: &AppState,
    parts: Parts,
    response: Response<Body>,
) -> Response<Body> {
    let (events, others) = mpsc::channel(EVENTS_MAX);
    let following = tokio::spawn(follow(state.clone(), parts, events)).abort_handle();
    response.map(|body| {
        let guard = Aborts(vec![following]);
        let own = body.into_data_stream().map(Some).chain(stream::iter([None]));
        let others = stream::unfold(others, |mut others| async move {
            others.recv().await.map(|event| (Some(Ok(event)), others))
        });
        let joined = stream::select(own, others).take_while(|piece| {
            let goes_on = piece.is_some();
            async move { goes_on }
        });
        Body::from_stream(joined.filter_map(move |piece| {
            let _held = &guard;
            async move { piece }
        }))
    })
}

/// Tasks that end when it is dropped.
struct Aborts(Vec<AbortHandle>);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// Keeps one stream of every other node.
async fn follow(state: AppState, parts: Parts, events: mpsc::Sender<Bytes>) {
    let mut open: HashMap<NodeId, (JoinHandle<()>, Aborts)> = HashMap::new();
    let mut looks = interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if let Ok(Ok(nodes)) = timeout(LOOK_MAX, state.core().other_nodes()).await {
            let live = |id: &NodeId| nodes.iter().any(|node| node.id == *id);
            open.retain(|id, (task, _)| live(id) && !task.is_finished());
            for node in nodes {
                open.entry(node.id).or_insert_with(|| {
                    let (state, parts, events) = (state.clone(), parts.clone(), events.clone());
                    let task = tokio::spawn(copy(state, node, parts, events));
                    let aborts = Aborts(vec![task.abort_handle()]);
                    (task, aborts)
                });
            }
        }
    }
}

/// Copies what one node reports until it ends.
async fn copy(state: AppState, node: NodeAddress, parts: Parts, events: mpsc::Sender<Bytes>) {
    let Some(answer) = ask(&state, &node, &parts, Bytes::new()).await else { return };
    if !answer.status().is_success() {
        return;
    }
    let mut whole = Whole::default();
    let mut pieces: BodyDataStream = answer.into_body().into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        for event in whole.add(&piece) {
            if events.send(event).await.is_err() {
                return;
            }
        }
        if whole.rest.len() > EVENT_BYTES_MAX {
            return;
        }
    }
}

/// Puts pieces together to whole events, so that those of several nodes do not mix.
#[derive(Default)]
struct Whole {
    rest: Vec<u8>,
}

impl Whole {
    /// The events that have become whole, without comments.
    fn add(&mut self, piece: &[u8]) -> Vec<Bytes> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..end + 2).collect();
            if !event.starts_with(b":") {
                events.push(event.into());
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_and_comments_are_left_out() {
        let mut whole = Whole::default();
        assert!(whole.add(b"event: a\nda").is_empty());
        assert_eq!(whole.add(b"ta: 1\n\n:\n\nevent: b\n"), ["event: a\ndata: 1\n\n"]);
        assert_eq!(whole.add(b"data: 2\n\n"), ["event: b\ndata: 2\n\n"]);
        assert!(whole.rest.is_empty());
    }
}
