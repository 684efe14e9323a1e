//! Every route against every wrong key. A route without a sample here fails.

use axum::http::Method;
use serde_json::json;

use super::app::{App, OPERATOR};
use super::exchange::Ask;
use crate::router::all_routes;
use crate::routes::{Access, Route};

/// A request that would succeed with the right key, naming what belongs to the shop.
async fn sample(app: &App, route: &Route) -> Ask {
    let front = app.front.id();
    let to = json!({"device": front, "to": "628999111222", "text": "hello"});
    let body = match (route.method.as_str(), route.path) {
        ("GET" | "DELETE", _) => None,
        ("POST", "/v1/accounts") => Some(json!({"name": "New", "email": "new@example.com"})),
        ("PATCH", "/v1/accounts/{id}") => Some(json!({"name": "Other"})),
        ("PUT", "/v1/plans/{name}") => Some(json!({"device_limit": 1})),
        ("POST", "/v1/keys" | "/v1/devices") => Some(json!({"name": "another"})),
        ("PATCH", "/v1/devices/{id}") => Some(json!({"name": "renamed"})),
        (
            "POST",
            "/v1/devices/{id}/pair" | "/v1/devices/{id}/logout" | "/v1/devices/{id}/token",
        ) => None,
        ("POST", "/v1/messages") => Some(to),
        ("POST", "/v1/messages/batch") => Some(json!({"messages": [to]})),
        ("POST", "/{device_id}/send" | "/api/v1/{device_id}/send") => {
            Some(json!({"phone": "628999111222", "message": "hello"}))
        }
        (method, path) => panic!("no sample for {method} {path}"),
    };
    let path = path(app, route.path).await;
    let ask = Ask::new(route.method.clone(), path);
    body.map_or(ask.clone(), |body| ask.json(body))
}

async fn path(app: &App, template: &str) -> String {
    let front = app.front.id().to_string();
    let keys = app.core.store.keys(app.shop.id).await.unwrap();
    let key = keys.iter().find(|key| key.device_id.is_none()).unwrap().id.to_string();
    let id = match template.split('/').nth(2) {
        Some("accounts") => app.shop.id.to_string(),
        Some("keys") => key,
        Some("messages") => message_id(app).await.to_string(),
        _ => front.clone(),
    };
    let path = template.replace("{id}", &id).replace("{device_id}", &front);
    let path = path.replace("{phone}", "628999111222").replace("{name}", "hobby");
    assert!(!path.contains('{'), "no value for a parameter of {template}");
    path
}

/// A message of the shop's front device; made when there is none.
async fn message_id(app: &App) -> i64 {
    let list = Ask::get("/v1/messages").key(&app.shop.key).of(&app.router).await.json();
    if let Some(id) = list["data"][0]["id"].as_i64() {
        return id;
    }
    let body = json!({"device": app.front.id(), "to": "628999111222", "text": "first"});
    let made = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    made.expect(202).json()["id"].as_i64().unwrap()
}

async fn assert_denied(app: &App, ask: Ask, statuses: &[u16], what: &str) {
    let before = app.everything().await;
    app.dispatcher.take_calls();
    let label = format!("{} {} with {what}", ask.method, ask.path);
    let told = ask.of(&app.router).await;
    assert!(statuses.contains(&told.status.as_u16()), "{label}: {} {}", told.status, told.text());
    assert_eq!(app.everything().await, before, "{label} changed something");
    assert!(app.dispatcher.take_calls().is_empty(), "{label} reached the dispatcher");
}

#[tokio::test]
async fn every_route_refuses_strangers() {
    let app = App::new().await;
    message_id(&app).await;
    for route in all_routes(&app.state) {
        if route.access == Access::Public {
            continue;
        }
        let ask = sample(&app, &route).await;
        assert_denied(&app, ask.clone(), &[401], "no key").await;
        assert_denied(&app, ask.clone().header("authorization", "Bearer"), &[401], "half").await;
        let basic = ask.clone().header("authorization", &format!("Basic {}", app.shop.key));
        assert_denied(&app, basic, &[401], "another scheme").await;
        assert_denied(&app, ask.clone().key("gba_nobody"), &[401], "a wrong key").await;
        assert_denied(&app, ask.key(&app.revoked), &[401], "a revoked key").await;
    }
}

#[tokio::test]
async fn every_route_keeps_customers_and_devices_apart() {
    let app = App::new().await;
    message_id(&app).await;
    let account_path = format!("/v1/accounts/{}", app.shop.id);
    for route in all_routes(&app.state) {
        let ask = sample(&app, &route).await;
        let (rival, sibling) = (&app.rival.key, &app.back.token);
        match route.access {
            Access::Public => {}
            Access::Operator | Access::Local => {
                for (key, what) in [(&app.shop.key, "its own key"), (rival, "another's key")] {
                    assert_denied(&app, ask.clone().key(key), &[403], what).await;
                }
                assert_denied(&app, ask.clone().key(&app.front.token), &[403], "a token").await;
            }
            Access::Account | Access::Device => {
                assert_ne!(ask.path, account_path);
                let is_ours = route.path.contains('{')
                    || matches!(route.path, "/v1/messages" | "/v1/messages/batch")
                        && route.method == Method::POST;
                if is_ours {
                    assert_denied(&app, ask.clone().key(rival), &[401, 404], "another's").await;
                    let statuses = &[401, 403, 404];
                    assert_denied(&app, ask.clone().key(sibling), statuses, "a sibling's").await;
                    let statuses = &[401, 403];
                    assert_denied(&app, ask.clone().key(OPERATOR), statuses, "operator").await;
                } else {
                    only_own(&app, ask, rival, sibling).await;
                }
                if route.access == Access::Account {
                    let ask = sample(&app, &route).await.key(&app.front.token);
                    assert_denied(&app, ask, &[403], "a token").await;
                }
            }
        }
    }
}

/// A list or a "make one": the caller sees and changes its own things only.
async fn only_own(app: &App, ask: Ask, rival: &str, sibling: &str) {
    let front = app.front.id().to_string();
    let before = shop_things(app).await;
    let told = ask.clone().key(rival).of(&app.router).await;
    assert!(!told.text().contains(&front), "{} shows another's device", ask.path);
    assert!(!told.text().contains("shop@example.com"), "{} shows another's account", ask.path);
    let told = ask.clone().key(sibling).of(&app.router).await;
    assert!(!told.text().contains(&front), "{} shows a sibling", ask.path);
    assert_eq!(shop_things(app).await, before, "{} changed another's things", ask.path);
}

async fn shop_things(app: &App) -> String {
    app.everything().await.split("Rival").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_right_key_passes_every_route() {
    for index in 0.. {
        // Anew for each: deleting something must not spoil the next.
        let app = App::new().await;
        message_id(&app).await;
        let Some(route) = all_routes(&app.state).into_iter().nth(index) else { break };
        let mut ask = sample(&app, &route).await;
        if let Some(at) = route.path.find("/pair") {
            ask.path = format!("{}/{}/pair", &route.path[..at - 5], app.unlinked.id());
        }
        let key = match route.access {
            Access::Operator | Access::Local => OPERATOR,
            _ => &app.shop.key,
        };
        let label = format!("{} {}", ask.method, ask.path);
        let response = ask.key(key).open(&app.router).await;
        assert!(response.status().as_u16() < 400, "{label}: {}", response.status());
    }
}

#[tokio::test]
async fn head_sends_nothing() {
    let app = App::new().await;
    message_id(&app).await;
    for route in all_routes(&app.state) {
        if route.method == Method::POST {
            let ask = sample(&app, &route).await.method(Method::HEAD).key(&app.shop.key);
            let is_get_too = all_routes(&app.state)
                .iter()
                .any(|other| other.path == route.path && other.method == Method::GET);
            let statuses: &[u16] = if is_get_too { &[200, 401, 403] } else { &[405] };
            assert_denied(&app, ask, statuses, "HEAD").await;
        }
    }
}
