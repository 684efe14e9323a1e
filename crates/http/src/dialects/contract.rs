//! What every dialect must do, run over all of them: refuse in its own shape, keep nothing of what
//! it refuses, and say where an accepted message is.

use axum::http::{HeaderMap, Method, StatusCode};
use domain::error::{Error, StoreError};
use domain::message::TEXT_CHARS_MAX;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::ALL;
use crate::api::Api;
use crate::api_error::ApiError;
use crate::tests::app::{App, OPERATOR};
use crate::tests::exchange::{Ask, TestResponse};

/// What the harness needs to know of a dialect.
pub(crate) struct Contract {
    /// Sends through the shop's `front` device that succeed with the right key: at least one of each
    /// call that sends. To be called with a key that [`Contract::with_key`] adds.
    pub sends: fn(&App) -> Vec<SendSample>,
    /// The same request with a key in the dialect's place. A body that is no JSON stays as it is.
    pub with_key: fn(Ask, &str) -> Ask,
    /// A body for a route with one, such that it succeeds for the shop's `front` device; where there
    /// is none, the fields of the query.
    pub body: fn(&App, path: &str) -> Value,
    /// Asserts that an error has the dialect's shape.
    pub assert_shape: fn(&TestResponse),
    /// Requests that name the rival's things; to be refused to the shop's key.
    pub naming_others: fn(&App) -> Vec<Ask>,
    /// Paths that no route has, but whose neighbours are the dialect's.
    pub unknown_paths: &'static [&'static str],
}

/// A send, with a JSON body.
pub(crate) struct SendSample {
    /// The request, without a key.
    pub ask: Ask,
    /// The fields that must be there.
    pub required: &'static [&'static str],
    /// The field of the text.
    pub text: &'static str,
    /// What `Gerbang-Status` says: `queued`, or `sent` where the request waits.
    pub status: &'static str,
}

/// The dialect with this route.
pub(crate) fn dialect_of(path: &str) -> Option<&'static Api> {
    let has_it = |dialect: &&&Api| (dialect.routes)().iter().any(|route| route.path == path);
    ALL.iter().find(has_it).copied()
}

fn body(ask: &Ask) -> Value {
    serde_json::from_slice(ask.body.as_ref().unwrap()).unwrap()
}

/// What a sample is called when it fails.
fn label(dialect: &Api, ask: &Ask) -> String {
    format!("{}, {} {}", dialect.name, ask.method, ask.path)
}

#[tokio::test]
async fn an_accepted_send_says_where_it_is() {
    for dialect in ALL {
        let contract = dialect.contract();
        let app = App::new().await;
        for key in [&app.shop.key, &app.front.token] {
            for sample in (contract.sends)(&app) {
                let label = label(dialect, &sample.ask);
                let before = app.message_count().await;
                let response = (contract.with_key)(sample.ask, key).of(&app.router).await;
                assert!(response.status.is_success(), "{label}: {}", response.text());
                assert_eq!(response.header("gerbang-status"), sample.status, "{label}");
                let at = response.header("location");
                let message = Ask::get(at).key(&app.shop.key).of(&app.router).await;
                assert_eq!(message.expect(200).json()["status"], sample.status, "{label}");
                assert!(app.message_count().await > before, "{label}");
            }
        }
    }
}

#[tokio::test]
async fn an_accepted_send_reads_its_device_once_at_most() {
    for dialect in ALL {
        let contract = dialect.contract();
        let app = App::new().await;
        for sample in (contract.sends)(&app) {
            let label = label(dialect, &sample.ask);
            let before = app.device_reads();
            let response = (contract.with_key)(sample.ask, &app.shop.key).of(&app.router).await;
            assert!(response.status.is_success(), "{label}: {}", response.text());
            // A database is not asked for a device that is remembered.
            assert!(app.device_reads() - before <= 1, "{label}");
        }
    }
}

#[tokio::test]
async fn refusals_have_the_dialects_shape_and_leave_nothing() {
    for dialect in ALL {
        let contract = dialect.contract();
        let app = App::new().await;
        let samples = (contract.sends)(&app).into_iter();
        let mut asks: Vec<_> =
            samples.flat_map(|sample| bad_sends(&app, contract, &sample)).collect();
        asks.extend(bad_requests(&app, contract));
        let before = app.everything().await;
        for (what, ask) in asks {
            let what = format!("{}, {what}", label(dialect, &ask));
            assert_refused(&app, contract, ask, &before, &what).await;
        }
    }
}

async fn assert_refused(app: &App, contract: &Contract, ask: Ask, before: &str, what: &str) {
    let body = String::from_utf8_lossy(ask.body.as_deref().unwrap_or_default());
    let asked = format!("{} {:?} {body}", ask.path, ask.headers);
    let response = ask.of(&app.router).await;
    let text = response.text();
    let label = format!("{what}: {} {text}", response.status);
    assert!(response.status.is_client_error(), "{label}");
    assert_eq!(response.header("content-type"), "application/json", "{label}");
    (contract.assert_shape)(&response);
    assert_eq!(app.everything().await, before, "{label}");
    assert!(app.dispatcher.take_calls().is_empty(), "{label}");
    assert!(app.outbound.posts().is_empty() && app.outbound.fetches().is_empty(), "{label}");
    for secret in secrets(app) {
        assert!(!text.contains(&secret) || asked.contains(&secret), "{label} reveals {secret}");
    }
}

/// What belongs to a customer and must not be shown to any other.
fn secrets(app: &App) -> Vec<String> {
    let mut secrets = vec!["example.com".to_owned(), "Rival".to_owned(), "Shop".to_owned()];
    secrets.extend([&app.shop.key, &app.rival.key, &app.revoked].map(Clone::clone));
    for linked in [&app.front, &app.back, &app.theirs] {
        let phone = linked.device.phone.as_ref().unwrap().to_string();
        secrets.extend([linked.id().to_string(), linked.token.clone(), phone]);
    }
    secrets
}

/// What is wrong with each call that sends.
fn bad_sends(app: &App, contract: &Contract, sample: &SendSample) -> Vec<(String, Ask)> {
    let send = || sample.ask.clone();
    let keyed = |ask: Ask| (contract.with_key)(ask, &app.shop.key);
    let mut asks = vec![
        ("no key".to_owned(), send()),
        ("wrong method".to_owned(), keyed(send().method(Method::PUT))),
        ("wrong content type".to_owned(), keyed(send().header("content-type", "text/plain"))),
        ("no content type".to_owned(), {
            let mut ask = keyed(send());
            ask.headers.retain(|(name, _)| name != "content-type");
            ask
        }),
        ("bad JSON".to_owned(), keyed(send().raw("{\"a\":"))),
        ("an empty body".to_owned(), keyed(send().raw(""))),
        ("an array".to_owned(), keyed(send().raw("[]"))),
        ("null".to_owned(), keyed(send().raw("null"))),
        ("no UTF-8".to_owned(), keyed(send().raw(b"{\"a\":\"\xff\"}"))),
        ("too large".to_owned(), keyed(send().raw(vec![b' '; 24 * 1024 * 1024]))),
        ("a long idempotency key".to_owned(), {
            keyed(send().header("idempotency-key", &"k".repeat(256)))
        }),
        ("an empty idempotency key".to_owned(), keyed(send().header("idempotency-key", ""))),
    ];
    let keys = [
        ("a wrong key", "gba_nobody"),
        ("the operator key", OPERATOR),
        ("another's key", &app.rival.key),
        ("another's token", &app.theirs.token),
        ("a sibling's token", &app.back.token),
        ("a revoked key", &app.revoked),
        ("half a key", &app.shop.key[..20]),
    ];
    for (what, key) in keys {
        asks.push((what.to_owned(), (contract.with_key)(send(), key)));
    }
    for field in sample.required {
        let with = |value: &Value| {
            let mut body = body(&sample.ask);
            body[*field] = value.clone();
            keyed(send().raw(body.to_string()))
        };
        for value in [json!(true), json!({}), json!([1]), json!(null), json!(""), json!(1.5)] {
            asks.push((format!("{field}={value}"), with(&value)));
        }
        asks.push((format!("a huge {field}"), with(&json!("x".repeat(TEXT_CHARS_MAX + 1)))));
        let mut body = body(&sample.ask);
        body.as_object_mut().unwrap().remove(*field);
        asks.push((format!("no {field}"), keyed(send().raw(body.to_string()))));
    }
    asks
}

/// Requests of any kind that must be refused.
fn bad_requests(app: &App, contract: &Contract) -> Vec<(String, Ask)> {
    let keyed = |ask: Ask| (contract.with_key)(ask, &app.shop.key);
    let mut asks = Vec::new();
    for path in contract.unknown_paths {
        asks.push(("unknown".to_owned(), Ask::get(*path)));
        asks.push(("unknown".to_owned(), keyed(Ask::post(*path, json!({})))));
    }
    for ask in (contract.naming_others)(app) {
        asks.push(("another's".to_owned(), keyed(ask)));
    }
    asks
}

#[tokio::test]
async fn a_repeated_request_sends_once() {
    for dialect in ALL {
        let contract = dialect.contract();
        let app = App::new().await;
        for (index, sample) in (contract.sends)(&app).into_iter().enumerate() {
            let label = label(dialect, &sample.ask);
            let ask = |ask: Ask| {
                let ask = ask.header("idempotency-key", &format!("order-{index}"));
                (contract.with_key)(ask, &app.shop.key)
            };
            let first = ask(sample.ask.clone()).of(&app.router).await;
            let count = app.message_count().await;
            let again = ask(sample.ask.clone()).of(&app.router).await;
            assert_eq!(again.status, first.status, "{label}");
            assert_eq!(again.json(), first.json(), "{label}");
            assert_eq!(again.header("idempotency-replayed"), "true", "{label}");
            let mut body = body(&sample.ask);
            body[sample.text] = json!("another text");
            let other = ask(sample.ask.raw(body.to_string())).of(&app.router).await;
            assert!(other.status.is_client_error(), "{label}");
            (contract.assert_shape)(&other);
            assert_eq!(app.message_count().await, count, "{label}");
        }
    }
}

#[tokio::test]
async fn sixty_requests_in_any_sixty_seconds() {
    for dialect in ALL {
        let contract = dialect.contract();
        let app = App::on_plan("pro").await;
        let keyed = |ask: Ask, key: &str| (contract.with_key)(ask, key);
        let send = || (contract.sends)(&app).remove(0).ask;
        let response = keyed(send(), "gba_nobody").of(&app.router).await;
        assert_eq!(response.header("ratelimit-limit"), "", "{}", dialect.name);
        for count in 1..=60 {
            app.clock.hands.advance(SignedDuration::from_millis(500));
            // Those of our own API count, too.
            let ask = match count % 2 {
                0 => keyed(send(), &app.front.token),
                _ => Ask::get("/v1/me").key(&app.front.token),
            };
            let response = ask.of(&app.router).await;
            let label = format!("{}, {count}: {}", dialect.name, response.text());
            assert_ne!(response.status, StatusCode::TOO_MANY_REQUESTS, "{label}");
            assert_eq!(response.header("ratelimit-limit"), "60", "{label}");
            assert_eq!(response.header("ratelimit-remaining"), (60 - count).to_string(), "{label}");
        }
        let before = app.everything().await;
        let response = keyed(send(), &app.front.token).of(&app.router).await;
        assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS, "{}", dialect.name);
        (contract.assert_shape)(&response);
        // The first of them is 29.5 seconds ago.
        for (header, value) in [("retry-after", "31"), ("ratelimit-remaining", "0")] {
            assert_eq!(response.header(header), value, "{} {header}", dialect.name);
        }
        assert_eq!(app.everything().await, before, "{}", dialect.name);
        // The bucket is that of all APIs, and of this key only.
        let me = |key: &str| Ask::get("/v1/me").key(key);
        assert_eq!(
            me(&app.front.token).of(&app.router).await.expect(429).header("ratelimit-reset"),
            "31"
        );
        keyed(send(), &app.shop.key).of(&app.router).await;
        assert_eq!(me(&app.shop.key).of(&app.router).await.header("ratelimit-remaining"), "58");
        app.clock.hands.advance(SignedDuration::from_millis(30_500));
        let response = keyed(send(), &app.front.token).of(&app.router).await;
        assert!(response.status.is_success(), "{}: {}", dialect.name, response.text());
        me(&app.front.token).of(&app.router).await.expect(429);
    }
}

#[test]
fn every_dialect_says_when_to_come_back_while_the_store_is_away() {
    let away = || ApiError::from(Error::Store(StoreError::Unavailable("away".into())));
    for dialect in ALL {
        let render = (dialect.renderer)(&HeaderMap::new());
        let response = render(&away());
        assert_eq!(response.status(), 503, "{}", dialect.name);
        assert_eq!(response.headers()["retry-after"], "5", "{}", dialect.name);
        assert!(!render(&ApiError::Crashed).headers().contains_key("retry-after"));
    }
}
