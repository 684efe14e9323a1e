//! What every dialect must do, run over all of them: refuse in its own shape, keep nothing of what
//! it refuses, and say where an accepted message is.

use axum::http::Method;
use serde_json::{Value, json};

use super::{ALL, wagy};
use crate::tests::app::{App, OPERATOR};
use crate::tests::exchange::{Ask, Told};

/// What the harness needs to know of a dialect.
pub(crate) struct Contract {
    /// The dialect's name.
    pub name: &'static str,
    /// A send through the shop's `front` device that succeeds with the right key; JSON.
    pub send: fn(&App) -> Ask,
    /// The same request with a key in the dialect's place.
    pub with_key: fn(Ask, &str) -> Ask,
    /// Asserts that an error has the dialect's shape.
    pub assert_shape: fn(&Told),
    /// The field of the receiver, and the one of the text.
    pub fields: [&'static str; 2],
    /// Paths that no route has, but whose neighbours are the dialect's.
    pub unknown_paths: &'static [&'static str],
}

static CONTRACTS: [&Contract; 1] = [&wagy::tests::CONTRACT];

fn body(ask: &Ask) -> Value {
    serde_json::from_slice(ask.body.as_ref().unwrap()).unwrap()
}

#[test]
fn every_dialect_is_under_contract() {
    let names: Vec<_> = CONTRACTS.iter().map(|contract| contract.name).collect();
    assert_eq!(names, ALL.map(|dialect| dialect.name));
}

#[tokio::test]
async fn an_accepted_send_says_where_it_is() {
    for contract in CONTRACTS {
        let app = App::new().await;
        for key in [&app.shop.key, &app.front.token] {
            let told = (contract.with_key)((contract.send)(&app), key).of(&app.router).await;
            assert!(told.status.is_success(), "{}: {}", contract.name, told.text());
            assert_eq!(told.header("gerbang-status"), "queued");
            let message =
                Ask::get(told.header("location")).key(&app.shop.key).of(&app.router).await;
            assert_eq!(message.expect(200).json()["status"], "queued");
        }
        assert_eq!(app.message_count().await, 2);
    }
}

#[tokio::test]
async fn refusals_have_the_dialects_shape_and_leave_nothing() {
    for contract in CONTRACTS {
        let app = App::new().await;
        for (what, ask) in bad_requests(&app, contract) {
            let before = app.everything().await;
            let told = ask.of(&app.router).await;
            let label = format!("{}, {what}: {} {}", contract.name, told.status, told.text());
            assert!(told.status.is_client_error(), "{label}");
            assert_eq!(told.header("content-type"), "application/json", "{label}");
            (contract.assert_shape)(&told);
            assert_eq!(app.everything().await, before, "{label}");
            assert!(app.dispatcher.take_calls().is_empty(), "{label}");
        }
    }
}

fn bad_requests(app: &App, contract: &Contract) -> Vec<(String, Ask)> {
    let send = || (contract.send)(app);
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
        ("too large".to_owned(), keyed(send().raw(vec![b' '; 300_000]))),
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
    for field in contract.fields {
        let ask = send();
        for value in [json!(true), json!({}), json!([1]), json!(null), json!(""), json!(1.5)] {
            let mut body = body(&ask);
            body[field] = value.clone();
            asks.push((format!("{field}={value}"), keyed(ask.clone().raw(body.to_string()))));
        }
        let mut body = body(&ask);
        body.as_object_mut().unwrap().remove(field);
        asks.push((format!("no {field}"), keyed(ask.raw(body.to_string()))));
    }
    for path in contract.unknown_paths {
        asks.push((format!("GET {path}"), Ask::get(*path)));
        asks.push((format!("POST {path}"), keyed(Ask::post(*path, json!({})))));
    }
    asks
}

#[tokio::test]
async fn a_repeated_request_sends_once() {
    for contract in CONTRACTS {
        let app = App::new().await;
        let ask = || {
            let ask = (contract.send)(&app).header("idempotency-key", "order-7");
            (contract.with_key)(ask, &app.shop.key)
        };
        let first = ask().of(&app.router).await;
        let again = ask().of(&app.router).await;
        assert_eq!(again.status, first.status, "{}", contract.name);
        assert_eq!(again.json(), first.json(), "{}", contract.name);
        assert_eq!(again.header("idempotency-replayed"), "true");
        let mut body = body(&ask());
        body[contract.fields[1]] = json!("another text");
        let other = ask().raw(body.to_string()).of(&app.router).await;
        assert!(other.status.is_client_error(), "{}", contract.name);
        (contract.assert_shape)(&other);
        assert_eq!(app.message_count().await, 1);
    }
}
