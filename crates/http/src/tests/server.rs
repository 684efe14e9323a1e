//! The server on real sockets: its limits and its end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use domain::account::Caller;
use domain::ids::{AccountId, KeyId};
use domain::key::Secret;
use domain::ports::{MessageFilter, PageRequest};
use domain::service::Principal;
use futures_util::stream;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::app::App;
use crate::api_error::ApiError;
use crate::body::{
    BODY_IDLE_MAX, BODY_TIME_MAX, JSON_BYTES_MAX, LARGE_BODIES_PER_ACCOUNT_MAX, LargeBodies,
    parse_json, read_bytes,
};
use crate::request_context;
use crate::server::{Limits, serve};

/// The number of the device that the tests send through.
const SENDER: &str = "628111111111";

async fn start(app: &App, limits: Limits) -> (SocketAddr, JoinHandle<()>) {
    start_behind(app, limits, &[]).await
}

async fn start_behind(app: &App, limits: Limits, proxies: &[&str]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = app.state.shutdown().clone();
    let proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
    (address, tokio::spawn(serve(listener, app.router.clone(), limits, proxies, shutdown)))
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
    let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
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

/// What is sent when hyper cannot read a request, by API.
#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_shape_of_its_api() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let apis = [
        ("/send-message", r#""status":false"#),
        ("/api/v1/send-message", r#""success":false"#),
        ("/api/v1/7/send", r#""status":"error""#),
        ("/7/send", r#""status":"error""#),
        ("/api/v2/messaging/whatsapp/send-text", r#""responseCode":"#),
        ("/wachat_api/1.0/message", r#""error":true"#),
        ("/v1/messages", r#""code":"#),
        ("/nowhere", r#""code":"#),
    ];
    let long = "x".repeat(70_000);
    for (path, shape) in apis {
        let requests = [
            (400, format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n")),
            (400, format!("POST {path} HTTP/1.1\r\nhost: x\r\nbad header: x\r\n\r\n")),
            (431, format!("POST {path} HTTP/1.1\r\nhost: x\r\nfiller: {long}\r\n\r\n")),
            (414, format!("GET {path}?message={long} HTTP/1.1\r\nhost: x\r\n\r\n")),
        ];
        for (status, request) in requests {
            for earlier in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"] {
                let mut stream = connect(address, earlier).await;
                if !earlier.is_empty() {
                    let mut answer = [0; 512];
                    assert!(stream.read(&mut answer).await.unwrap() > 0);
                }
                stream.write_all(request.as_bytes()).await.unwrap();
                let answer = rest(stream).await;
                let is_first = earlier.is_empty();
                let status = if status == 414 && !is_first { 431 } else { status };
                assert!(answer.contains(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
                assert!(answer.contains(shape), "{path}: {answer}");
                assert!(answer.contains("\r\ndate: ") && answer.contains("\r\nx-request-id: "));
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
            }
        }
    }
}

#[tokio::test]
async fn chunks_that_cannot_be_read_are_no_timeout() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let head = "POST /send-message HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let request = format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n");
    let answer = rest(connect(address, &request).await).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("the chunks of the body cannot be read"), "{answer}");
}

#[tokio::test]
async fn what_a_url_must_not_hold_arrives_all_the_same() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let key = &app.shop.key;
    let target = format!(
        "/send-message/?api_key={key}&sender={SENDER}&number=628123456789&message=<b>\"Order\" #5</b> ok"
    );
    let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    // In one piece, and byte by byte.
    let whole = rest(connect(address, &request).await).await;
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
    let mut stream = connect(address, "").await;
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
    }
    let in_pieces = rest(stream).await;
    assert!(in_pieces.starts_with("HTTP/1.1 200"), "{in_pieces}");
    let page = PageRequest { before: None, limit: 10 };
    let sent = app.store.messages(app.shop.id, &MessageFilter::default(), page).await.unwrap();
    let texts: Vec<_> = sent.items.iter().map(|message| message.text()).collect();
    assert_eq!(texts, ["<b>\"Order\" #5</b> ok"; 2]);
}

#[tokio::test]
async fn a_slash_too_many_is_none_and_sends_once() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    let body = format!(
        r#"{{"api_key":"{}","sender":"{}","number":"628123456789","message":"x"}}"#,
        app.shop.key, SENDER
    );
    for (count, path) in [(1, "//send-message"), (2, "/send-message/"), (3, "/send-message")] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = rest(connect(address, &request).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert_eq!(app.message_count().await, count);
    }
}

#[tokio::test]
async fn more_than_100_headers_are_refused() {
    let app = App::new().await;
    let (address, _server) = start(&app, Limits::default()).await;
    for (count, status) in [(100, "200"), (101, "431")] {
        let filler = "filler: x\r\n".repeat(count - 2);
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{filler}\r\n"
        );
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

/// A connection from this address, on which that was written.
async fn connect_from(from: [u8; 4], to: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// A request whose answer does not end.
fn endless(app: &App) -> String {
    let device = format!("/v1/devices/{}/events", app.front.id());
    format!("GET {device} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", app.front.token)
}

async fn status_of(stream: &mut TcpStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8_lossy(&head[9..]).into_owned()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n";

#[tokio::test]
async fn an_idle_connection_makes_room_after_half_open_ones() {
    let app = App::new().await;
    let half_open_after = Duration::ZERO;
    let limits = Limits { connections_max: 2, half_open_after, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let mut idle = connect(address, HEALTH).await;
    assert_eq!(status_of(&mut idle).await, "200");
    let half = connect(address, HALF).await;
    let mut third = connect(address, HEALTH).await;
    assert_eq!(status_of(&mut third).await, "200");
    assert_eq!(rest(half).await, "");
    let mut fourth = connect(address, HEALTH).await;
    assert_eq!(status_of(&mut fourth).await, "200");
    assert!(rest(idle).await.ends_with("{\"status\":\"ok\"}"));
}

#[tokio::test]
async fn an_idle_connection_makes_room_before_new_ones() {
    let app = App::new().await;
    let half_open_after = Duration::from_secs(3_600);
    let limits = Limits { connections_max: 2, half_open_after, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let mut idle = connect(address, HEALTH).await;
    assert_eq!(status_of(&mut idle).await, "200");
    let mut new = connect(address, HALF).await;
    let mut third = connect(address, HEALTH).await;
    assert_eq!(status_of(&mut third).await, "200");
    rest(idle).await;
    new.write_all(b"\r\n").await.unwrap();
    assert_eq!(status_of(&mut new).await, "200");
}

#[tokio::test]
async fn an_address_takes_its_own_places_only() {
    let app = App::new().await;
    let limits = Limits { connections_per_address_max: 2, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let (them, us) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let mut ours = connect_from(us, address, HALF).await;
    let mut theirs = Vec::new();
    for _ in 0..4 {
        theirs.push(connect_from(them, address, HALF).await);
    }
    for first in theirs.drain(..2) {
        assert_eq!(rest(first).await, "");
    }
    for left in theirs.iter_mut().chain([&mut ours]) {
        left.write_all(b"\r\n").await.unwrap();
        assert_eq!(status_of(left).await, "200");
    }
}

#[tokio::test]
async fn a_body_that_is_still_to_come_is_no_whole_request() {
    let app = App::new().await;
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let from = [127, 0, 0, 2];
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        app.shop.key
    );
    let slow = connect_from(from, address, &head).await;
    let mut other = connect_from(from, address, HEALTH).await;
    assert_eq!(status_of(&mut other).await, "200");
    assert_eq!(rest(slow).await, "");
}

#[tokio::test]
async fn a_whole_request_keeps_its_place_and_others_wait() {
    let app = App::new().await;
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let from = [127, 0, 0, 2];
    let mut first = connect_from(from, address, &endless(&app)).await;
    assert_eq!(status_of(&mut first).await, "200");
    let mut second = connect_from(from, address, HEALTH).await;
    // Another address comes through meanwhile, so that the second had its chance.
    let mut other = connect_from([127, 0, 0, 3], address, HEALTH).await;
    assert_eq!(status_of(&mut other).await, "200");
    assert!(second.try_read(&mut [0]).is_err(), "it has been answered");
    drop(first);
    assert_eq!(status_of(&mut second).await, "200");
}

#[tokio::test]
async fn a_trusted_proxy_and_this_machine_have_the_connections_of_many() {
    let app = App::new().await;
    let limits = Limits { connections_per_address_max: 1, ..Limits::default() };
    let (address, _server) = start_behind(&app, limits, &["127.0.0.2/32"]).await;
    let mut all = Vec::new();
    for from in [[127, 0, 0, 1], [127, 0, 0, 2]] {
        for _ in 0..3 {
            all.push(connect_from(from, address, HALF).await);
        }
    }
    for stream in &mut all {
        stream.write_all(b"\r\n").await.unwrap();
        assert_eq!(status_of(stream).await, "200");
    }
}

#[tokio::test]
async fn probes_of_this_machine_are_answered_when_all_places_are_taken() {
    let app = App::new().await;
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let (address, _server) = start(&app, limits).await;
    let mut busy = connect(address, &endless(&app)).await;
    assert_eq!(status_of(&mut busy).await, "200");
    for (path, status) in [("/healthz", "200"), ("/readyz", "200"), ("/v1/me", "503")] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut probe = connect(address, &request).await;
        assert_eq!(status_of(&mut probe).await, status, "{path}");
        // One request only.
        rest(probe).await;
    }
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

/// As [`dripping`], after a first piece that makes it large.
fn large_and_dripping() -> Body {
    let first = Bytes::from(vec![b' '; JSON_BYTES_MAX + 1]);
    let first = Body::from(first).into_data_stream();
    Body::from_stream(futures_util::StreamExt::chain(first, dripping().into_data_stream()))
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_drips_is_abandoned_sooner() {
    let started = tokio::time::Instant::now();
    let read = LargeBodies::default().read(large_and_dripping(), parse_json::<Value>).await;
    assert!(matches!(read, Err(ApiError::BodyLost)));
    assert_eq!(started.elapsed(), BODY_IDLE_MAX / 3);
}

/// As a request of this account.
async fn of_account<T>(account: i64, request: impl Future<Output = T>) -> T {
    let caller = Caller::Account(AccountId(account), KeyId(account));
    let key = Secret::new("key").hash();
    let principal = Principal { caller, holder: None, key, rate: None, person: None };
    let request = async {
        request_context::note(&Ok(principal));
        request.await
    };
    request_context::with_client(None, request).await.0
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_shared_by_account_and_waiting_counts_as_reading() {
    let started = tokio::time::Instant::now();
    let large = LargeBodies::default();
    // It stops after its first piece.
    let stuck = || {
        let first = Body::from(vec![b' '; JSON_BYTES_MAX + 1]).into_data_stream();
        let rest = stream::pending::<Result<Bytes, axum::Error>>();
        Body::from_stream(futures_util::StreamExt::chain(first, rest))
    };
    let theirs = (0..=LARGE_BODIES_PER_ACCOUNT_MAX)
        .map(|_| of_account(1, large.read(stuck(), parse_json::<Value>)));
    let theirs = futures_util::future::join_all(theirs);
    let ours = async {
        tokio::task::yield_now().await;
        let filler = " ".repeat(JSON_BYTES_MAX);
        let read =
            of_account(2, large.read(Body::from(format!("{filler}{{}}")), parse_json::<Value>));
        assert_eq!(read.await.unwrap(), serde_json::json!({}));
        // A small one in pieces takes no place.
        let pieces = Body::from_stream(stream::iter([Ok::<_, std::io::Error>(Bytes::from("{}"))]));
        of_account(1, large.read(pieces, parse_json::<Value>)).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    };
    let (theirs, ()) = tokio::join!(theirs, ours);
    assert!(theirs.iter().all(|read| matches!(read, Err(ApiError::BodyLost))));
    // The last one had to wait for the first four to be abandoned.
    assert_eq!(started.elapsed(), BODY_IDLE_MAX / 3 * 2);
}

#[tokio::test(start_paused = true)]
async fn a_large_body_is_held_until_its_request_is_answered() {
    let large = LargeBodies::default();
    let body = || Body::from(format!("{}{{}}", " ".repeat(JSON_BYTES_MAX)));
    let unanswered = || async {
        large.read(body(), parse_json::<Value>).await.unwrap();
        std::future::pending::<()>().await;
    };
    let mut theirs: Vec<_> =
        (0..LARGE_BODIES_PER_ACCOUNT_MAX).map(|_| Box::pin(of_account(1, unanswered()))).collect();
    let mut next = Box::pin(of_account(1, large.read(body(), parse_json::<Value>)));
    let mut all = futures_util::future::join_all(theirs.iter_mut());
    let by = Duration::from_millis(200);
    assert!(tokio::time::timeout(by, &mut all).await.is_err(), "nothing is answered");
    assert!(tokio::time::timeout(by, &mut next).await.is_err(), "there is no place");
    drop(all);
    theirs.pop();
    next.await.unwrap();
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
