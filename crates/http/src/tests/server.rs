//! The server on real sockets: its limits and its end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::app::App;
use crate::api_error::ApiError;
use crate::body::{
    BODY_IDLE_MAX, BODY_TIME_MAX, LARGE_BODIES_MAX, parse_json, read_bytes, with_media_body,
};
use crate::server::{Limits, serve};

async fn start(app: &App, limits: Limits) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = app.state.shutdown().clone();
    (address, tokio::spawn(serve(listener, app.router.clone(), limits, shutdown)))
}

async fn connect(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset counts as an end, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn it_answers_and_knows_its_peer() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = rest(connect(address, request).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let app = App::new().await;
    let limits = Limits { header_time_max: Duration::from_millis(50), ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let answer = rest(connect(address, "GET /healthz HTTP/1.1\r\nhost:").await).await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn long_headers_are_refused() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let filler = "x".repeat(17 * 1024);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nfiller: {filler}\r\n\r\n");
    let answer = rest(connect(address, &request).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn more_than_100_headers_are_refused() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    for (count, status) in [(100, "200"), (101, "431")] {
        let filler = "filler: x\r\n".repeat(count - 2);
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{filler}\r\n");
        let answer = rest(connect(address, &request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{count}: {answer}");
    }
}

#[tokio::test]
async fn who_is_refused_before_the_body_is_read_still_gets_the_answer() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let json = "content-type: application/json\r\nconnection: close\r\n";
    let cases = [("nobody's", 5_000_000, "401"), (app.shop.key.as_str(), 30_000_000, "413")];
    for (key, length, status) in cases {
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{json}"
        );
        let body = " ".repeat(length);
        let request = format!("{head}content-length: {length}\r\n\r\n{body}");
        let answer = rest(connect(address, &request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        // In pieces without a length, too.
        let request =
            format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        let answer = rest(connect(address, &request).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn who_does_not_read_its_answers_loses_the_connection() {
    let app = App::new().await;
    let limits = Limits {
        connections_max: 1,
        write_stall_max: Duration::from_millis(50),
        ..Limits::default()
    };
    let (address, _server) = start(&app, limits).await;
    let request = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
    let _deaf = connect(address, &request.repeat(1_000)).await;
    let mut other = connect(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0];
    other.read_exact(&mut byte).await.unwrap();
    assert_eq!(byte, *b"H");
}

#[tokio::test]
async fn further_connections_wait_for_a_slot() {
    let app = App::new().await;
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = connect(address, request).await;
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = connect(address, request).await;
    tokio::select! {
        biased;
        _ = second.read(&mut byte) => panic!("the second connection was answered"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    second.read_exact(&mut byte).await.unwrap();
    assert_eq!(byte, *b"H");
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_idle_connections() {
    let app = App::new().await;
    let (address, server) = start(&app, Limits::default()).await;
    let mut idle = connect(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    let request = format!(
        "GET /v1/devices/{}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        app.front.id(),
        app.front.token
    );
    let mut events = connect(address, &request).await;
    events.read_exact(&mut byte).await.unwrap();
    app.shutdown.fire();
    server.await.unwrap();
    assert!(rest(events).await.ends_with("0\r\n\r\n"));
    rest(idle).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_abandoned() {
    let started = tokio::time::Instant::now();
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
    assert!(matches!(read_bytes(body, 100).await, Err(ApiError::BodyLost)));
    assert_eq!(started.elapsed(), BODY_IDLE_MAX);
}

/// A body that comes in drops and never ends.
fn dripping() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
    }))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_abandoned() {
    let started = tokio::time::Instant::now();
    assert!(matches!(read_bytes(dripping(), 100).await, Err(ApiError::BodyLost)));
    assert_eq!(started.elapsed(), BODY_TIME_MAX);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_place_counts_as_reading() {
    let started = tokio::time::Instant::now();
    let bodies = (0..=LARGE_BODIES_MAX).map(|_| with_media_body(dripping(), parse_json::<Value>));
    for read in futures_util::future::join_all(bodies).await {
        assert!(matches!(read, Err(ApiError::BodyLost)));
    }
    assert_eq!(started.elapsed(), BODY_TIME_MAX);
}

#[tokio::test]
async fn a_body_in_pieces_is_bounded() {
    let pieces = |count: usize| {
        let pieces = (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"12345")));
        Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()))
    };
    assert_eq!(read_bytes(pieces(2), 10).await.unwrap(), "1234512345");
    assert!(matches!(read_bytes(pieces(3), 10).await, Err(ApiError::TooLarge(10))));
}
