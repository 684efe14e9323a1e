//! Requests about a device whose node does not answer.

use std::time::Duration;

use axum::http::HeaderMap;
use domain::node::NewNode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::NodeKey;
use crate::HttpConfig;
use crate::api_error::ApiError;
use crate::dialects::ALL;
use crate::tests::app::App;
use crate::tests::exchange::Ask;

/// What the other node does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It dies when it has read it.
    Dies,
    /// It takes connections, or its kernel does, and nothing more.
    IsFrozen,
    /// It does not take it, because its clock is another one.
    Refuses,
    /// It answers after it has been asked twice whether it lives.
    TakesItsTime,
}

/// The other node; what it reads is sent.
async fn other_node(fate: Fate) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (requests, read) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut open, mut looks) = (Vec::new(), 0);
        while let Ok((mut stream, _)) = listener.accept().await {
            if fate != Fate::IsFrozen {
                let request = request(&mut stream).await;
                if fate == Fate::Refuses {
                    answer(&mut stream, "404 Not Found").await;
                    continue;
                }
                if request.starts_with("GET /internal/healthz") {
                    answer(&mut stream, "200 OK").await;
                    looks += 1;
                    if looks == 2 {
                        answer(&mut open[0], "202 Accepted").await;
                    }
                    continue;
                }
                let _ = requests.send(request);
            }
            if fate != Fate::Dies {
                open.push(stream);
            }
        }
    });
    (url, read)
}

async fn answer(stream: &mut TcpStream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// A whole request with a body of the length that it names.
async fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

/// An app beside a node at `url`, which runs all devices.
async fn app_beside(url: &str) -> App {
    let config = HttpConfig {
        node_key: Some(NodeKey::derive(&[1; 32])),
        ..HttpConfig::new(Some("http://gerbang.test"))
    };
    let app = App::with(config, "unlimited").await;
    let node = NewNode {
        name: "other".to_owned(),
        url: url.to_owned(),
        capacity: 100,
        version: "1".to_owned(),
    };
    let other = app.store.register_node(&node, Duration::from_secs(3_600)).await.unwrap();
    app.store.claim_devices(other, 100).await.unwrap();
    app.store.leases().set_shared(true);
    for device in [app.front.id(), app.unlinked.id()] {
        app.dispatcher.set_elsewhere(device, true);
    }
    app
}

fn pair(app: &App) -> Ask {
    Ask::post(format!("/v1/devices/{}/pair", app.unlinked.id()), json!({})).key(&app.shop.key)
}

#[tokio::test]
async fn a_send_that_waited_at_a_node_that_died_is_accepted_once() {
    let mut tried = 0;
    for dialect in ALL {
        let (url, mut requests) = other_node(Fate::Dies).await;
        let app = app_beside(&url).await;
        let contract = dialect.contract();
        let waiting = (contract.sends)(&app).into_iter().filter(|send| send.status == "sent");
        for (count, send) in (1..).zip(waiting) {
            let label = format!("{} {}", dialect.name, send.ask.path);
            let ask = (contract.with_key)(send.ask, &app.shop.key);
            let answer = ask.clone().of(&app.router).await.expect(200);
            assert_eq!(answer.header("gerbang-status"), "queued", "{label}");
            assert!(answer.header("location").starts_with("/v1/messages/"), "{label}");
            assert_eq!(answer.header("idempotency-replayed"), "", "{label}");
            assert_eq!(app.message_count().await, count, "{label}");
            // The node goes on after all, and handles what it had read.
            let request = requests.recv().await.unwrap();
            let key = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
            app.dispatcher.set_elsewhere(app.front.id(), false);
            let late = ask.header("idempotency-key", key.unwrap()).of(&app.router).await;
            assert_eq!(late.header("idempotency-replayed"), "true", "{label}: {}", late.text());
            assert_eq!(app.message_count().await, count, "{label}");
            app.dispatcher.set_elsewhere(app.front.id(), true);
            tried += 1;
        }
    }
    assert!(tried >= 3, "{tried}");
}

#[tokio::test]
async fn a_client_keeps_its_idempotency_key() {
    let (url, mut requests) = other_node(Fate::Dies).await;
    let app = app_beside(&url).await;
    for dialect in ALL.iter().filter(|dialect| dialect.name == "wagate") {
        let contract = dialect.contract();
        let send = (contract.sends)(&app).remove(0);
        let ask = (contract.with_key)(send.ask, &app.shop.key);
        ask.header("idempotency-key", "mine").of(&app.router).await.expect(200);
        assert!(requests.recv().await.unwrap().contains("\r\nidempotency-key: mine\r\n"));
    }
}

#[tokio::test]
async fn what_a_node_may_have_done_is_not_said_to_be_undone() {
    let (url, _requests) = other_node(Fate::Dies).await;
    let app = app_beside(&url).await;
    let answer = pair(&app).of(&app.router).await.expect(504);
    assert_eq!(answer.json()["code"], "outcome_unknown");
    // What only reads may be tried again, whatever became of it.
    let path = format!("/v1/devices/{}/numbers/62888123456", app.front.id());
    let answer = Ask::get(path).key(&app.shop.key).of(&app.router).await.expect(503);
    assert_eq!(answer.json()["code"], "unavailable");
    for dialect in ALL {
        let answer = (dialect.renderer)(&HeaderMap::new());
        let answer = answer(&ApiError::OutcomeUnknown);
        assert_eq!(answer.status(), 504, "{}", dialect.name);
    }
}

#[tokio::test]
async fn a_node_that_is_not_reached_has_done_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = app_beside(&url).await;
    let answer = pair(&app).of(&app.router).await.expect(503);
    assert_eq!(answer.json()["code"], "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn a_node_that_does_not_take_a_request_has_done_nothing() {
    let (url, _requests) = other_node(Fate::Refuses).await;
    let app = app_beside(&url).await;
    let answer = pair(&app).of(&app.router).await.expect(503);
    assert_eq!(answer.json()["code"], "unavailable");
}

/// Its registration lasts for an hour: without a look at the node the caller would wait as long.
#[tokio::test]
async fn nobody_waits_for_a_node_that_is_frozen() {
    let (url, _requests) = other_node(Fate::IsFrozen).await;
    let app = app_beside(&url).await;
    pair(&app).of(&app.router).await.expect(504);
}

#[tokio::test]
async fn a_node_that_says_that_it_lives_is_waited_for() {
    let (url, _requests) = other_node(Fate::TakesItsTime).await;
    let app = app_beside(&url).await;
    pair(&app).of(&app.router).await.expect(202);
}
