//! Around the routes: request ids, unknown paths, panics, probes, metrics.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use domain::service::WRONG_KEYS_MAX;
use serde_json::json;
use tower::ServiceExt as _;

use super::app::{App, OPERATOR};
use super::exchange::{Ask, TestResponse, Transcript};
use crate::request_span::InRequest;
use crate::state::HttpConfig;

#[tokio::test]
async fn a_sane_request_id_is_echoed_and_others_are_replaced() {
    let app = App::new().await;
    for given in ["abc-1.2_3", &"x".repeat(64)] {
        let response = Ask::get("/healthz").header("x-request-id", given).of(&app.router).await;
        assert_eq!(response.header("x-request-id"), given);
    }
    for given in ["", "a b", "<script>", &"x".repeat(65)] {
        let response = Ask::get("/healthz").header("x-request-id", given).of(&app.router).await;
        let made = response.header("x-request-id");
        assert!(made.len() == 24 && made != given, "{given:?} became {made:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_the_neighbours_shape() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let cases = [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/devices/"),
        ("PUT", "/v1/devices"),
        ("POST", "/v1/send"),
        ("POST", "/docs"),
        ("GET", "/some-device/nothing"),
        ("GET", "/some-device/send"),
        ("GET", "/api/v1/some-device/send"),
        ("GET", "/api/v1/some-device/nothing"),
        ("GET", "/nothing"),
    ];
    for (method, path) in cases {
        let method: Method = method.parse().unwrap();
        let response = Ask::new(method.clone(), path).of(&app.router).await;
        transcript.add(&format!("{method} {path}"), &response);
    }
    insta::assert_snapshot!(transcript.text());
}

#[tokio::test]
async fn browsers_get_a_page_where_no_api_is() {
    let app = App::new().await;
    let ask = Ask::get("/nothing").header("accept", "text/html,*/*");
    let response = ask.of(&app.router).await.expect(404);
    assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
    let ask = Ask::get("/v1/nothing").header("accept", "text/html,*/*");
    let response = ask.of(&app.router).await.expect(404);
    assert_eq!(response.header("content-type"), "application/problem+json");
}

/// A request from this address.
async fn from(app: &App, peer: &str, ask: Ask) -> TestResponse {
    let peer = SocketAddr::new(peer.parse().unwrap(), 1);
    let router = app.router.clone().layer(axum::Extension(ConnectInfo(peer)));
    ask.of(&router).await
}

#[tokio::test]
async fn wrong_keys_are_slowed_by_address_and_right_ones_never() {
    let app = App::new().await;
    let ask = |key: &str| Ask::get("/v1/me").key(key);
    for n in 0..WRONG_KEYS_MAX {
        from(&app, "8.8.8.8", ask(&format!("wrong {n}"))).await.expect(401);
    }
    let refused = from(&app, "8.8.8.8", ask("wrong again")).await.expect(429);
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit-limit")), ("60", "100"));
    let send = json!({"phone": "628999111222", "message": "hello"});
    let send = Ask::post(format!("/{}/send", app.front.id()), send).key("wrong in a dialect");
    from(&app, "8.8.8.8", send).await.expect(429);
    from(&app, "8.8.8.8", ask(&app.shop.key)).await.expect(200);
    from(&app, "8.8.8.8", Ask::get("/v1/me")).await.expect(401);
    from(&app, "8.8.4.4", ask("wrong elsewhere")).await.expect(401);
    app.clock.hands.advance(jiff::SignedDuration::from_secs(60));
    from(&app, "8.8.8.8", ask("wrong later")).await.expect(401);
}

#[tokio::test]
async fn requests_behind_a_proxy_are_bounded_by_their_client() {
    let config = HttpConfig {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..HttpConfig::new(Some("http://gerbang.test"))
    };
    let app = App::with(config, "unlimited").await;
    let of = |client: &str| Ask::get("/healthz").header("x-forwarded-for", client);
    let client = "8.8.8.8".parse().unwrap();
    let busy: Vec<_> = std::iter::from_fn(|| app.state.proxied().try_acquire(client)).collect();
    assert_eq!(busy.len(), 128);
    let refused = from(&app, "10.0.0.1", of("8.8.8.8")).await.expect(429);
    assert_eq!(refused.json()["code"], "too_many_requests");
    assert!(!refused.header("retry-after").is_empty());
    from(&app, "10.0.0.1", of("8.8.4.4")).await.expect(200);
    from(&app, "8.8.8.8", Ask::get("/healthz")).await.expect(200);
    drop(busy);
    from(&app, "10.0.0.1", of("8.8.8.8")).await.expect(200);
}

#[tokio::test]
async fn a_dialect_that_is_off_is_not_there() {
    let config =
        HttpConfig { dialects: Vec::new(), ..HttpConfig::new(Some("http://gerbang.test")) };
    let app = App::with(config, "unlimited").await;
    let body = json!({"phone": "628999111222", "message": "hello"});
    let ask = Ask::post(format!("/{}/send", app.front.id()), body).key(&app.shop.key);
    let response = ask.of(&app.router).await.expect(404);
    assert_eq!(response.json()["code"], "not_found");
}

#[tokio::test]
async fn a_panic_is_an_answer_in_shape() {
    let app = App::new().await;
    app.clock.is_broken.store(true, Ordering::Relaxed);
    let body = json!({"device": app.front.id(), "to": "628999111222", "text": "hello"});
    let ask = Ask::post("/v1/messages", body).key(&app.shop.key);
    let response = ask.of(&app.router).await.expect(500);
    assert_eq!(response.json()["code"], "internal");
    assert_eq!(response.header("x-request-id"), "test");
    let body = json!({"phone": "628999111222", "message": "hello"});
    let ask = Ask::post(format!("/{}/send", app.front.id()), body).key(&app.shop.key);
    let response = ask.of(&app.router).await.expect(500);
    assert_eq!(response.json(), json!({"status": "error", "message": "Internal server error"}));
    app.clock.is_broken.store(false, Ordering::Relaxed);
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn probes_answer() {
    let app = App::new().await;
    assert_eq!(Ask::get("/healthz").of(&app.router).await.expect(200).json()["status"], "ok");
    assert_eq!(Ask::get("/readyz").of(&app.router).await.expect(200).json()["status"], "ready");
}

#[tokio::test]
async fn metrics_need_loopback_or_the_operator_and_hold_no_secrets() {
    let config = HttpConfig {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..HttpConfig::new(Some("http://gerbang.test"))
    };
    let app = App::with(config, "unlimited").await;
    let status = async |peer: &str, forwarded: &str| {
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let mut request = Request::get("/metrics").extension(ConnectInfo(peer));
        if !forwarded.is_empty() {
            request = request.header("x-forwarded-for", forwarded);
        }
        let request = request.body(Body::empty()).unwrap();
        app.router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(status("127.0.0.1", "").await, 200);
    assert_eq!(status("::1", "").await, 200);
    assert_eq!(status("8.8.8.8", "").await, 401);
    assert_eq!(status("8.8.8.8", "127.0.0.1").await, 401);
    assert_eq!(status("10.1.2.3", "8.8.8.8").await, 401);
    assert_eq!(status("127.0.0.1", "8.8.8.8").await, 401);
    assert_eq!(status("127.0.0.1", "127.0.0.1").await, 401);
    assert_eq!(status("10.1.2.3", "127.0.0.1").await, 401);

    let path = format!("/v1/devices/{}/numbers/628999111222?x=1", app.front.id());
    Ask::get(path).key(&app.shop.key).of(&app.router).await.expect(200);
    Ask::get("/secret-path/628999111222").of(&app.router).await.expect(404);
    Ask::get("/metrics").key(&app.shop.key).of(&app.router).await.expect(403);
    let text = Ask::get("/metrics").key(OPERATOR).of(&app.router).await.expect(200).text();
    assert!(text.contains("route=\"/v1/devices/{id}/numbers/{phone}\""));
    assert!(text.contains("route=\"(none)\""));
    for secret in ["628999111222", "secret-path", &app.shop.key, &app.front.id().to_string()] {
        assert!(!text.contains(secret), "metrics show {secret}");
    }
}

/// What is logged while it is kept, of every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// For the whole process: each test runs in one of its own.
    fn start(&self) {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .event_format(InRequest(tracing_subscriber::fmt::format()))
            .with_writer(move || log.clone());
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

#[tokio::test]
async fn a_requests_line_names_its_api_account_and_device_but_no_path_or_key() {
    let app = App::new().await;
    let log = Log::default();
    log.start();
    let (shop, front) = (app.shop.id.to_string(), app.front.id().to_string());
    let body = json!({"device": &front, "to": "628999111222", "text": "hello"});
    let sends = [
        ("v1", Ask::post("/v1/messages", body).key(&app.shop.key), "/v1/messages"),
        (
            "wagy",
            {
                let body = json!({"phone": "628999111222", "message": "hello"});
                Ask::post(format!("/{front}/send"), body).key(&app.front.token)
            },
            "/{device_id}/send",
        ),
    ];
    for (api, ask, route) in sends {
        let response = ask.of(&app.router).await;
        assert!(response.status.is_success(), "{}", response.text());
        let text = log.take();
        let line = text.lines().find(|line| line.contains("answered")).unwrap();
        for field in [
            "request_id=\"test\"",
            &format!("api=\"{api}\""),
            &format!("route=\"{route}\""),
            &format!("account={shop}"),
            &format!("device={front}"),
        ] {
            assert!(line.contains(field), "{field} is not in {line}");
        }
        for secret in
            ["628999111222", "hello", &app.shop.key, &app.front.token, &format!("/{front}")]
        {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    Ask::get("/nothing/628999111222").of(&app.router).await.expect(404);
    let text = log.take();
    assert!(text.contains("route=\"(none)\"") && !text.contains("628999111222"), "{text}");
}
