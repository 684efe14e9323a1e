//! What a webhook's receiver gets, and its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::ports::{Outbound as _, WebhookRequest};
use tokio::io::AsyncWriteExt as _;

use super::{Rig, Server, answer, ok};
use crate::client::Limits;

fn request(url: &str) -> WebhookRequest {
    WebhookRequest {
        url: url.to_owned(),
        content_type: "application/json",
        headers: vec![("X-Signature", "sha256=00".to_owned())],
        body: "{\"text\":\"héé\"}".into(),
    }
}

#[tokio::test]
async fn a_receiver_gets_headers_and_body_as_they_are() {
    let server = Server::start(|_| answer("202 Accepted", "", b"thanks")).await;
    let rig = Rig::local();
    let answer = rig.client.post(request(&server.url("/hook?a=b"))).await;
    assert_eq!((answer.status, answer.retry_after, answer.error), (Some(202), None, None));
    let got = &server.requests()[0];
    assert!(got.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{got}");
    assert!(got.ends_with("\r\n\r\n{\"text\":\"héé\"}"), "{got}");
    let agent = format!("user-agent: Gerbang/{}\r\n", env!("CARGO_PKG_VERSION"));
    for header in ["content-type: application/json\r\n", "x-signature: sha256=00\r\n", &agent] {
        assert_eq!(got.matches(header).count(), 1, "{header} in {got}");
    }
}

#[tokio::test]
async fn retry_after_is_seconds_or_a_date() {
    let server = Server::start(|path| {
        let value = match path {
            "/seconds" => "retry-after: 7\r\n",
            "/date" => {
                "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n"
            }
            "/past" => {
                "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:07 GMT\r\n"
            }
            "/year" => "retry-after: 31536000\r\n",
            "/nonsense" => "retry-after: soon\r\n",
            _ => "retry-after: -1\r\n",
        };
        answer("503 Service Unavailable", value, b"")
    })
    .await;
    let rig = Rig::local();
    let cases = [
        ("/seconds", Some(7)),
        ("/date", Some(30)),
        ("/past", Some(0)),
        ("/year", Some(24 * 60 * 60)),
        ("/nonsense", None),
        ("/negative", None),
    ];
    for (path, seconds) in cases {
        let answer = rig.client.post(request(&server.url(path))).await;
        assert_eq!(answer.status, Some(503));
        assert_eq!(answer.retry_after, seconds.map(Duration::from_secs), "{path}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let written = Arc::new(AtomicU64::new(0));
    let count = written.clone();
    let server = Server::scripted("127.0.0.1:0", move |_, mut stream| {
        let count = count.clone();
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {
                count.fetch_add(64 * 1024, Ordering::SeqCst);
            }
        })
    })
    .await;
    let rig = Rig::local();
    let answer = rig.client.post(request(&server.url("/"))).await;
    assert_eq!((answer.status, answer.error), (Some(200), None));
    let refused = rig.client.challenge(&server.url("/"), "x").await;
    assert_eq!(refused, Err("the receiver did not answer with the challenge".to_owned()));
    // No more than the system's buffers hold.
    assert!(written.load(Ordering::SeqCst) < 32 * 1024 * 1024);
}

#[tokio::test]
async fn slow_receivers_time_out() {
    let server = Server::scripted("127.0.0.1:0", |request, mut stream| {
        Box::pin(async move {
            if request.contains(" /half") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await;
            }
            std::future::pending::<()>().await;
        })
    })
    .await;
    let limits = Limits { webhook_max: Duration::from_millis(200), ..Limits::default() };
    let rig = Rig::new(&["127.0.0.1"], &[], limits);
    let silent = rig.client.post(request(&server.url("/silent"))).await;
    assert_eq!(silent.status, None);
    assert_eq!(silent.error.as_deref(), Some("the receiver did not answer in time"));
    assert!(silent.took >= Duration::from_millis(200));
    let half = rig.client.post(request(&server.url("/half"))).await;
    assert_eq!((half.status, half.error), (Some(200), None), "its answer was there");
    for path in ["/silent", "/half"] {
        let refused = rig.client.challenge(&server.url(path), "x").await;
        assert_eq!(refused, Err("the receiver did not answer in time".to_owned()));
    }
}

#[tokio::test]
async fn errors_name_no_address() {
    let gone = Server::start(|_| Vec::new()).await.url("/secret?token=x");
    let silent = Server::start(|_| Vec::new()).await;
    let plain = Server::start(|_| ok(b"not TLS")).await;
    let tls = plain.url("/").replace("http:", "https:");
    let rig = Rig::local();
    for url in [gone, silent.url("/"), tls, "http://unknown.example:1/".to_owned()] {
        let answer = rig.client.post(request(&url)).await;
        assert_eq!(answer.status, None);
        let error = answer.error.unwrap();
        assert!(error.starts_with("the receiver "), "{error}");
        assert!(!error.contains("127.0.0.1") && !error.contains("example"), "{error}");
    }
}

#[tokio::test]
async fn invalid_headers_are_refused() {
    let server = Server::start(|_| ok(b"")).await;
    let rig = Rig::local();
    for (name, value) in [("a b", "x"), ("x", "a\r\nhost: y"), ("", "x")] {
        let mut request = request(&server.url("/"));
        request.headers = vec![(name, value.to_owned())];
        let answer = rig.client.post(request).await;
        assert_eq!(answer.error.as_deref(), Some("a header of the request is not valid"));
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn only_the_exact_challenge_is_accepted() {
    let server = Server::start(|path| match path.split('?').next().unwrap() {
        "/echo" => ok(path.split("challenge=").nth(1).unwrap().as_bytes()),
        "/created" => answer("201 Created", "", b"c-1"),
        "/newline" => ok(b"c-1\n"),
        "/quoted" => ok(b"\"c-1\""),
        "/long" => ok(&[b'c'; 10_000]),
        _ => ok(b""),
    })
    .await;
    let rig = Rig::local();
    assert_eq!(rig.client.challenge(&server.url("/echo?a=b"), "c-1").await, Ok(()));
    let asked = server.requests().remove(0);
    assert!(asked.starts_with("GET /echo?a=b&challenge=c-1 HTTP/1.1\r\n"), "{asked}");
    let created = rig.client.challenge(&server.url("/created"), "c-1").await;
    assert_eq!(created, Err("the receiver answered 201 instead of 200".to_owned()));
    for path in ["/newline", "/quoted", "/long", "/empty"] {
        let refused = rig.client.challenge(&server.url(path), "c-1").await;
        let error = "the receiver did not answer with the challenge".to_owned();
        assert_eq!(refused, Err(error), "{path}");
    }
}
