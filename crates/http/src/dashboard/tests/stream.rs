//! The stream of a page.

use std::time::Duration;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tower::ServiceExt as _;

use domain::call::CallReport;
use domain::message::Address;
use domain::service::STREAMS_PER_ACCOUNT_MAX;
use domain::webhook::Event;

use super::*;
use crate::tests::app::Linked;

/// A stream of a page, as text comes.
pub(super) struct Listening(axum::body::BodyDataStream);

impl Listening {
    async fn open(browser: &Browser<'_>, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("cookie", &browser.cookie);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Self::of(browser.app, request).await
    }

    pub(super) async fn of(app: &App, request: Builder) -> Self {
        let request = request.body(Body::empty()).unwrap();
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body().into_data_stream())
    }

    /// The next event; `None` when the stream has ended.
    pub(super) async fn next(&mut self) -> Option<String> {
        let next = timeout(Duration::from_secs(10), self.0.next()).await.expect("an event");
        next.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_page_learns_that_something_changed_and_whether_it_was_away() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let mut stream = Listening::open(&viewer, "/app/stream", None).await;
    let hello = stream.next().await.unwrap();
    assert!(hello.contains("event: hello") && hello.contains("data: new"), "{hello}");
    let id = hello.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    app.dispatcher.emit(call(&app.theirs));
    app.dispatcher.emit(call(&app.front));
    assert_eq!(stream.next().await.unwrap().trim(), "event: changed\ndata: call");
    assert!(
        futures_util::poll!(stream.0.next()).is_pending(),
        "others' calls are none of its business"
    );
    // Of a page that comes from another node it is not known whether that one was restarted.
    for (last, says) in [(id.as_str(), "again"), ("0-another", "restarted"), ("7-another", "again")]
    {
        let mut again = Listening::open(&viewer, "/app/stream", Some(last)).await;
        assert!(again.next().await.unwrap().contains(&format!("data: {says}")));
        let path = format!("/app/stream?last={last}");
        let mut seen = Listening::open(&viewer, &path, None).await;
        assert!(seen.next().await.unwrap().contains(&format!("data: {says}")));
    }
}

fn call(linked: &Linked) -> Event {
    let report = CallReport {
        id: "C1".into(),
        from: Address::default(),
        is_video: false,
        is_group: false,
        is_rejected: false,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    Event::of_call(report, &linked.device)
}

#[tokio::test]
async fn a_stream_is_ones_own_and_ends_with_the_session() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let path = format!("/app/stream?device={}", app.theirs.id());
    viewer.get(&path).await.expect(404);
    Ask::get("/app/stream").of(&app.router).await.expect(303);
    Ask::get("/app/stream").key(&app.shop.key).of(&app.router).await.expect(303);
    let own = format!("/app/stream?device={}", app.front.id());
    let mut stream = Listening::open(&viewer, &own, None).await;
    stream.next().await.unwrap();
    viewer.post("/logout", &[]).await.expect(303);
    while let Some(more) = stream.next().await {
        assert!(more.contains("changed"), "{more}");
    }
}

#[tokio::test]
async fn a_page_learns_why_it_has_no_stream() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let status = async |path: &str| {
        let ask = Ask::new(Method::HEAD, path).header("cookie", &viewer.cookie);
        ask.of(&app.router).await.status.as_u16()
    };
    let path = format!("/app/stream?device={}", app.front.id());
    let mut all = Vec::new();
    for n in 0..STREAMS_PER_ACCOUNT_MAX {
        assert_eq!(status(&path).await, 200, "asking opens none: {n}");
        all.push(Listening::open(&viewer, &path, None).await);
    }
    assert_eq!(status(&path).await, 429);
    all.pop();
    assert_eq!(status(&path).await, 200);
    // It ends with its device, and is found no more.
    let mut stream = all.pop().unwrap();
    let device = format!("/v1/devices/{}", app.front.id());
    Ask::delete(device).key(&app.shop.key).of(&app.router).await.expect(204);
    while let Some(more) = stream.next().await {
        assert!(more.contains("event:"), "{more}");
    }
    assert_eq!(status(&path).await, 404);
}
