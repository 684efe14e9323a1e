//! What keys with a part of the rights may do: of every route, of every API.

use axum::http::Method;
use domain::scope::Scope;
use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::access::{furnished, keyed, sample};
use super::app::App;
use super::exchange::{Ask, TestResponse};
use crate::dialects::contract::dialect_of;
use crate::router::all_routes;
use crate::routes::{Access, Route};

async fn make(app: &App, body: Value, key: &str) -> TestResponse {
    Ask::post("/v1/keys", body).key(key).of(&app.router).await
}

async fn key_with(app: &App, scopes: &[&str]) -> String {
    let made = make(app, json!({"name": "x", "scopes": scopes}), &app.shop.key).await;
    made.expect(201).json()["key"].as_str().unwrap().to_owned()
}

/// What a route of `/v1` takes.
enum Takes {
    Any,
    One(Scope),
    All,
}

fn takes(route: &Route) -> Takes {
    let (is_get, path) = (route.method == Method::GET, route.path);
    Takes::One(match path {
        "/v1/me" | "/v1/usage" => return Takes::Any,
        "/v1/devices" if !is_get => return Takes::All,
        "/v1/devices/{id}/token" => return Takes::All,
        "/v1/devices/{id}/groups/{group}/invite" => Scope::Send,
        "/v1/devices/{id}" | "/v1/devices/{id}/redeem" if !is_get => Scope::Manage,
        _ if path.contains("/numbers") => Scope::Send,
        _ if path.contains("/portal-links") => Scope::Manage,
        _ if path.starts_with("/v1/webhooks") || path.starts_with("/v1/keys") => Scope::Manage,
        _ if path.contains("/pair") || path.ends_with("/logout") || path.ends_with("/connect") => {
            Scope::Manage
        }
        _ if is_get => Scope::Read,
        _ => Scope::Send,
    })
}

fn is_of_account(route: &Route) -> bool {
    matches!(route.access, Access::Account | Access::Device)
}

#[tokio::test]
async fn every_route_of_ours_takes_its_scope() {
    for index in 0.. {
        // Anew for each: deleting something must not spoil the next.
        let app = furnished().await;
        let Some(route) = all_routes(&app.state).into_iter().nth(index) else { break };
        if !is_of_account(&route) || dialect_of(route.path).is_some() {
            continue;
        }
        let ask = sample(&app, &route).await;
        for scope in Scope::ALL {
            let key = key_with(&app, &[scope.as_str()]).await;
            let before = app.everything().await;
            let response = keyed(&route, &ask, &key).open(&app.router).await;
            let label = format!("{} {} with {scope:?}", ask.method, ask.path);
            let passes = match takes(&route) {
                Takes::Any => true,
                Takes::One(needed) => needed == scope,
                Takes::All => false,
            };
            assert_eq!(response.status() != 403, passes, "{label}: {}", response.status());
            if !passes {
                let response = keyed(&route, &ask, &key).of(&app.router).await;
                assert_eq!(response.json()["code"], "scope_missing", "{label}");
                assert_eq!(app.everything().await, before, "{label} changed something");
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_may_only_read_changes_nothing_in_any_api() {
    let app = furnished().await;
    let key = key_with(&app, &["read"]).await;
    for route in all_routes(&app.state) {
        if !is_of_account(&route) || dialect_of(route.path).is_none() {
            continue;
        }
        let ask = sample(&app, &route).await;
        let before = app.everything().await;
        app.dispatcher.take_calls();
        let response = keyed(&route, &ask, &key).of(&app.router).await;
        let label = format!("{} {}: {}", ask.method, ask.path, response.text());
        assert_eq!(app.everything().await, before, "{label}");
        let is_act = |call: &DispatcherCall| !matches!(call, DispatcherCall::Group(_, question) if question.is_question());
        assert!(!app.dispatcher.take_calls().iter().any(is_act), "{label}");
    }
}

/// What any key of the account reads in the other APIs: whose it is, and what is left of the quota.
fn is_for_any_key(route: &Route) -> bool {
    route.path.ends_with("/quota") || route.path == "/wachat_api/1.0/auth/api_key"
}

#[tokio::test]
async fn a_key_that_may_not_read_reads_in_no_api() {
    let mut refused = 0;
    for index in 0.. {
        let app = furnished().await;
        let Some(route) = all_routes(&app.state).into_iter().nth(index) else { break };
        let is_dialects = dialect_of(route.path).is_some();
        if route.method != Method::GET || !is_of_account(&route) || !is_dialects {
            continue;
        }
        let ask = sample(&app, &route).await;
        let count = app.message_count().await;
        let full = keyed(&route, &ask, &app.shop.key).of(&app.router).await;
        if app.message_count().await > count || full.status.as_u16() >= 400 {
            continue;
        }
        let key = key_with(&app, &["send"]).await;
        let response = keyed(&route, &ask, &key).of(&app.router).await;
        let label = format!("{} {}: {}", ask.method, ask.path, response.text());
        assert_eq!(response.status.as_u16() < 400, is_for_any_key(&route), "{label}");
        refused += usize::from(!is_for_any_key(&route));
    }
    assert!(refused > 8, "{refused}");
}

#[tokio::test]
async fn a_key_that_may_only_send_sends_in_every_api() {
    let mut sending = 0;
    for index in 0.. {
        let app = furnished().await;
        let Some(route) = all_routes(&app.state).into_iter().nth(index) else { break };
        if !is_of_account(&route) {
            continue;
        }
        let ask = sample(&app, &route).await;
        let count = app.message_count().await;
        let response = keyed(&route, &ask, &app.shop.key).open(&app.router).await;
        if app.message_count().await == count || response.status().as_u16() >= 400 {
            continue;
        }
        let app = furnished().await;
        let ask = sample(&app, &route).await;
        let (key, count) = (key_with(&app, &["send"]).await, app.message_count().await);
        let label = format!("{} {}", ask.method, ask.path);
        let response = keyed(&route, &ask, &key).of(&app.router).await;
        assert!(response.status.as_u16() < 400, "{label}: {}", response.text());
        assert!(app.message_count().await > count, "{label}");
        sending += 1;
    }
    assert!(sending > 15, "{sending}");
}

#[tokio::test]
async fn an_expired_key_is_unknown_in_every_api() {
    let app = furnished().await;
    let end = app.core.now() + SignedDuration::from_mins(5);
    let body = json!({"name": "short", "expires_at": end});
    let key = make(&app, body, &app.shop.key).await.expect(201).json();
    let key = key["key"].as_str().unwrap();
    Ask::get("/v1/me").key(key).of(&app.router).await.expect(200);
    app.clock.hands.advance(SignedDuration::from_mins(5));
    for route in all_routes(&app.state).iter().filter(|route| is_of_account(route)) {
        let ask = sample(&app, route).await;
        let before = app.everything().await;
        let expired = keyed(route, &ask, key).of(&app.router).await;
        let unknown = keyed(route, &ask, "gba_nobody").of(&app.router).await;
        let label = format!("{} {}", ask.method, ask.path);
        assert_eq!((expired.status, expired.text()), (unknown.status, unknown.text()), "{label}");
        assert_eq!(app.everything().await, before, "{label} changed something");
    }
}

#[tokio::test]
async fn a_key_gives_no_more_than_it_has() {
    let app = App::new().await;
    let manage = key_with(&app, &["manage", "read"]).await;
    let refused = make(&app, json!({"name": "x", "scopes": ["send"]}), &manage).await;
    assert_eq!(refused.expect(403).json()["code"], "scope_missing");
    let made = make(&app, json!({"name": "x"}), &manage).await.expect(201).json();
    assert_eq!(made["scopes"], json!(["read", "manage"]));
    for wrong in [json!([]), json!(["all"]), json!("send"), json!([1])] {
        let wrong = make(&app, json!({"name": "x", "scopes": wrong}), &app.shop.key).await;
        wrong.expect(422);
    }
    let now = app.core.now();
    let in_minutes = |minutes: i64| now + SignedDuration::from_mins(minutes);
    let past = make(&app, json!({"name": "x", "expires_at": now}), &app.shop.key).await;
    assert_eq!(past.expect(422).json()["errors"][0]["field"], "expires_at");
    let body = json!({"name": "x", "expires_at": in_minutes(5)});
    let short = make(&app, body, &app.shop.key).await.expect(201).json();
    let short = short["key"].as_str().unwrap();
    make(&app, json!({"name": "x", "expires_at": in_minutes(6)}), short).await.expect(422);
    let heir = make(&app, json!({"name": "x"}), short).await.expect(201).json();
    assert_eq!(heir["expires_at"], in_minutes(5).to_string());
    let theirs = json!({"name": "x", "device": app.theirs.id()});
    make(&app, theirs, &app.shop.key).await.expect(404);
}

#[tokio::test]
async fn a_key_of_one_device_is_listed_used_and_revoked() {
    let app = App::new().await;
    let body = json!({"name": "till", "device": app.front.id(), "scopes": ["send"]});
    let made = make(&app, body, &app.shop.key).await.expect(201).json();
    let key = made["key"].as_str().unwrap();
    let shown = [&made["token"], &made["last_used_at"], &made["device"]];
    assert_eq!(shown, [&json!(false), &Value::Null, &json!(app.front.id())]);
    let message = |device| json!({"device": device, "to": "628999111222", "text": "x"});
    let send = async |device, key: &str| {
        Ask::post("/v1/messages", message(device)).key(key).of(&app.router).await
    };
    send(app.front.id(), key).await.expect(202);
    send(app.back.id(), key).await.expect(404);
    let path = format!("/v1/keys/{}", made["id"]);
    let listed = async || {
        let list = Ask::get("/v1/keys").key(&app.shop.key).of(&app.router).await.expect(200).json();
        list["data"].as_array().unwrap().iter().find(|row| row["id"] == made["id"]).cloned()
    };
    let now = json!(app.core.now());
    assert_eq!(listed().await.unwrap()["last_used_at"], now, "before it is stored");
    app.core.tend_keys().await.unwrap();
    assert_eq!(listed().await.unwrap()["last_used_at"], now);
    let stored = app.store.keys(app.shop.id, super::app::ALL).await.unwrap().items;
    assert!(stored.iter().any(|key| key.last_used_at.is_some()));
    Ask::delete(&path).key(&app.shop.key).of(&app.router).await.expect(204);
    assert_eq!(listed().await, None);
    send(app.front.id(), key).await.expect(401);
}
