//! Every route against every wrong key. A route without a sample here fails.

use axum::http::Method;
use domain::device::{DeviceStatus, PairOffer, StatusChange};
use domain::grant::NewVoucher;
use domain::ids::{DeliveryId, MessageId, WebhookId};
use domain::key::Secret;
use domain::message::MessageEvent;
use domain::node::{LEASE, NewNode};
use domain::passkey::{PasskeyStep, page_token};
use domain::ports::{Clock, PageRequest};
use domain::webhook::{Delivery, DeliveryOutcome, DeliveryState};
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::app::{App, OPERATOR};
use super::exchange::Ask;
use crate::dialects::contract::dialect_of;
use crate::router::all_routes;
use crate::routes::{Access, Route};

/// The code of a voucher that can be redeemed once.
pub(crate) const VOUCHER: &str = "AAAA-BBBB-CCCC-DDDD";

/// A gateway with one of everything that routes name.
pub(crate) async fn furnished() -> App {
    let app = App::new().await;
    message_id(&app).await;
    webhook_and_delivery(&app).await;
    let node = NewNode {
        name: "node-1".into(),
        url: "http://node-1:8080".into(),
        capacity: 100,
        version: "1".into(),
    };
    app.store.register_node(&node, LEASE).await.unwrap();
    let voucher = NewVoucher { code: Secret::new(VOUCHER).hash(), messages: 5, valid_days: None };
    app.store.create_vouchers(vec![voucher], app.clock.now()).await.unwrap();
    app
}

/// A request that would succeed with the right key, naming what belongs to the shop.
pub(crate) async fn sample(app: &App, route: &Route) -> Ask {
    let path = path(app, route.path).await;
    if route.path.contains("/pair") {
        app.dispatcher.set_offer(passkey_offer(route.path.ends_with("/confirm")));
    }
    if (route.method.as_str(), route.path) == ("PATCH", "/v1/messages/{id}") {
        app.follow(MessageId(message_id(app).await), MessageEvent::Acknowledged).await;
    }
    if route.path == "/v1/messages/{id}/resend" {
        app.follow(MessageId(message_id(app).await), MessageEvent::Withdrawn).await;
    }
    let ask = Ask::new(route.method.clone(), path);
    if let Some(dialect) = dialect_of(route.path) {
        let given = || (dialect.contract().body)(app, route.path);
        return match (route.docs.body.is_some(), route.docs.query.is_empty()) {
            (true, _) => ask.json(given()),
            (false, false) => with_query(ask, &given()),
            (false, true) => ask,
        };
    }
    let front = app.front.id();
    let to = json!({"device": front, "to": "628999111222", "text": "hello"});
    let body = match (route.method.as_str(), route.path) {
        ("GET" | "DELETE", _) => None,
        ("POST", "/v1/accounts") => Some(json!({"name": "New", "email": "new@example.com"})),
        ("PATCH", "/v1/accounts/{id}") => Some(json!({"name": "Other"})),
        ("PUT", "/v1/plans/{name}") => Some(json!({"device_limit": 1})),
        ("POST", "/v1/keys" | "/v1/devices" | "/v1/accounts/{id}/keys") => {
            Some(json!({"name": "another"}))
        }
        ("PATCH", "/v1/devices/{id}") => Some(json!({"name": "renamed"})),
        ("POST", "/v1/devices/{id}/portal-links") => Some(json!({"may": ["pair"]})),
        ("POST", "/v1/setup-links" | "/v1/backups") => None,
        ("POST", "/v1/nodes/{id}/drain") => Some(json!({"devices_per_s": 0})),
        ("POST", "/v1/devices/{id}/groups") => {
            Some(json!({"subject": "Team", "participants": ["628999111222"]}))
        }
        ("PATCH", "/v1/devices/{id}/groups/{group}") => Some(json!({"announce": true})),
        ("POST", "/v1/devices/{id}/groups/{group}/participants") => {
            Some(json!({"add": ["628999111222"]}))
        }
        ("POST", "/v1/devices/{id}/groups/{group}/leave") => None,
        (
            "POST",
            "/v1/devices/{id}/pair"
            | "/v1/devices/{id}/pair/confirm"
            | "/v1/devices/{id}/connect"
            | "/v1/devices/{id}/logout"
            | "/v1/devices/{id}/token",
        ) => None,
        ("POST", "/v1/devices/{id}/pair/passkey") => Some(assertion()),
        ("POST", "/portal/pair/{device}/{token}") => {
            Some(json!({"assertion": assertion()["assertion"].to_string()}))
        }
        ("POST", "/portal/pair/{device}/{token}/confirm") => None,
        ("POST", "/v1/accounts/{id}/grants" | "/v1/vouchers") => Some(json!({"messages": 10})),
        ("POST", "/v1/devices/{id}/redeem") => Some(json!({"code": VOUCHER})),
        ("POST", "/v1/webhooks") => {
            Some(json!({"device": front, "url": "https://example.com/another"}))
        }
        ("PATCH", "/v1/webhooks/{id}") => Some(json!({"enabled": false})),
        (
            "POST",
            "/v1/webhooks/{id}/test"
            | "/v1/webhooks/{id}/secret"
            | "/v1/webhooks/{id}/deliveries/{delivery}/replay",
        ) => None,
        ("POST", "/v1/webhooks/{id}/replay") => Some(json!({"since": "2020-01-01T00:00:00Z"})),
        ("POST", "/v1/messages") => Some(to),
        ("PATCH", "/v1/messages/{id}") => Some(json!({"text": "x"})),
        (
            "POST",
            "/v1/messages/{id}/revoke"
            | "/v1/messages/{id}/resend"
            | "/v1/messages/{id}/read"
            | "/v1/chats/{chat}/read"
            | "/v1/chats/{chat}/history",
        ) => None,
        ("POST", "/v1/messages/batch") => Some(json!({"messages": [to]})),
        (method, path) => panic!("no sample for {method} {path}"),
    };
    body.map_or(ask.clone(), |body| ask.json(body))
}

/// WhatsApp has asked for a passkey, or shows its code.
fn passkey_offer(is_given: bool) -> PairOffer {
    let step = match is_given {
        true => PasskeyStep::Confirm("ABCD-1234".to_owned()),
        false => PasskeyStep::Requested,
    };
    PairOffer::Passkey { request: "{}".to_owned(), step, expires_in_s: 600 }
}

/// An answer that a passkey could give.
pub(crate) fn assertion() -> Value {
    json!({"assertion": {"rawId": "AQID", "response": {
        "clientDataJSON": "e30", "authenticatorData": "AQ", "signature": "AQ",
    }}})
}

/// The fields as a query string.
fn with_query(ask: Ask, fields: &Value) -> Ask {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let pairs = fields.as_object().into_iter().flatten().map(|(name, value)| (name, text(value)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ask { path: format!("{}?{query}", ask.path), ..ask }
}

/// The request with a key where the route's API has it.
pub(crate) fn keyed(route: &Route, ask: &Ask, key: &str) -> Ask {
    let with_key = dialect_of(route.path).map(|dialect| dialect.contract().with_key);
    with_key.unwrap_or(Ask::key)(ask.clone(), key)
}

async fn path(app: &App, template: &str) -> String {
    let front = app.front.id().to_string();
    let first = PageRequest { before: None, limit: 100 };
    let keys = app.store.keys(app.shop.id, first).await.unwrap().items;
    let key = keys.iter().find(|key| key.device_id.is_none()).unwrap().id.to_string();
    let id = match template.split('/').nth(2) {
        _ if template.ends_with("/schedule/{id}") => scheduled_id(app).await.to_string(),
        Some("accounts") => app.shop.id.to_string(),
        Some("keys") => key.clone(),
        Some("messages") => message_id(app).await.to_string(),
        Some("nodes") => "1".to_owned(),
        Some("webhooks") => webhook_and_delivery(app).await.0.to_string(),
        _ => front.clone(),
    };
    let path = template.replace("{id}", &id).replace("{device_id}", &front);
    let delivery = match path.contains("{delivery}") {
        true => webhook_and_delivery(app).await.1.to_string(),
        false => String::new(),
    };
    let path = path.replace("{delivery}", &delivery).replace("{key}", &key);
    let path = path.replace("{device}", &front).replace("{token}", &page_token("{}"));
    let path = path.replace("{phone}", "628999111222").replace("{name}", "hobby");
    let path = path.replace("{chat}/read", &format!("628999111222/read?device={front}"));
    let path = path.replace("{chat}/history", &format!("628999111222/history?device={front}"));
    let path = path.replace("{group}", "120363041234567890@g.us");
    let path = path.replace("{sender}", "628111111111");
    let path = path.replace("{api}", "v1").replace("{file}", "client.py");
    let path = match path.contains("{link}") {
        true => path.replace("{link}", &portal_link_id(app).await),
        false => path,
    };
    let reference = MessageId(message_id(app).await).to_ref();
    let path = path.replace("{message_ref_no}", &reference);
    assert!(!path.contains('{'), "no value for a parameter of {template}");
    path
}

/// A portal link of the shop's front device.
async fn portal_link_id(app: &App) -> String {
    let path = format!("/v1/devices/{}/portal-links", app.front.id());
    let made = Ask::post(path, json!({"may": ["send"]})).key(&app.shop.key).of(&app.router).await;
    made.expect(201).json()["id"].to_string()
}

/// A message that waits for tomorrow; of the shop's front device.
async fn scheduled_id(app: &App) -> i64 {
    let tomorrow = app.clock.now() + jiff::SignedDuration::from_hours(24);
    let body = json!({
        "device": app.front.id(), "to": "628999111222", "text": "x", "schedule_at": tomorrow,
    });
    let made = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    made.expect(202).json()["id"].as_i64().unwrap()
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

/// A webhook of the shop's front device, and a delivery of it that has ended; made when there is none.
async fn webhook_and_delivery(app: &App) -> (WebhookId, DeliveryId) {
    let store = &app.store;
    let page = PageRequest { before: None, limit: 10 };
    let found = store.webhooks(app.shop.id, None, page).await.unwrap().items;
    if let Some(webhook) = found.first() {
        let deliveries = store.deliveries(app.shop.id, webhook.id, None, page).await.unwrap();
        return (webhook.id, deliveries.items[0].id);
    }
    let body = json!({"device": app.front.id(), "url": "https://example.com/hook"});
    let made = Ask::post("/v1/webhooks", body).key(&app.shop.key).of(&app.router).await;
    let webhook = WebhookId(made.expect(201).json()["id"].as_i64().unwrap());
    for status in [DeviceStatus::Disconnected, DeviceStatus::Connected] {
        let change = StatusChange::new(status, app.clock.now());
        store.set_device_status(app.front.id(), &change).await.unwrap();
    }
    let deliveries = store.deliveries(app.shop.id, webhook, None, page).await.unwrap().items;
    let dead = |delivery: &Delivery| DeliveryOutcome {
        id: delivery.id,
        state: DeliveryState::Dead,
        attempts: 10,
        due_at: delivery.due_at,
        last_status: Some(500),
        last_error: None,
        ended_at: Some(app.clock.now()),
        tried: None,
    };
    store.record_deliveries(deliveries.iter().map(dead).collect()).await.unwrap();
    (webhook, deliveries[0].id)
}

/// Asserts that a request changes nothing and is refused: by `/v1` with one of these statuses, by a
/// dialect with its own.
async fn assert_denied(app: &App, route: &Route, ask: Ask, statuses: &[u16], what: &str) {
    let before = app.everything().await;
    app.dispatcher.take_calls();
    let label = format!("{} {} with {what}", ask.method, ask.path);
    let response = ask.of(&app.router).await;
    let is_known = statuses.contains(&response.status.as_u16());
    let is_foreign = dialect_of(route.path).is_some() && response.status.is_client_error();
    assert!(is_known || is_foreign, "{label}: {} {}", response.status, response.text());
    assert_eq!(app.everything().await, before, "{label} changed something");
    assert!(app.dispatcher.take_calls().is_empty(), "{label} reached the dispatcher");
}

#[tokio::test]
async fn every_route_refuses_strangers() {
    let app = furnished().await;
    let mut requests = 0;
    for route in all_routes(&app.state) {
        if route.access == Access::Public {
            continue;
        }
        let ask = sample(&app, &route).await;
        let basic = ask.clone().header("authorization", &format!("Basic {}", app.shop.key));
        let strangers = [
            ("no key", ask.clone()),
            ("half", ask.clone().header("authorization", "Bearer")),
            ("another scheme", basic),
            ("a wrong key", keyed(&route, &ask, "gba_nobody")),
            ("a revoked key", keyed(&route, &ask, &app.revoked)),
        ];
        for (what, ask) in strangers {
            assert_denied(&app, &route, ask, &[401], what).await;
            requests += 1;
        }
    }
    println!(
        "figures of every route without a right key: {requests} requests, denied all, changed nothing"
    );
}

#[tokio::test]
async fn every_route_keeps_customers_and_devices_apart() {
    let app = furnished().await;
    let account_path = format!("/v1/accounts/{}", app.shop.id);
    let mut routes = 0;
    for route in all_routes(&app.state) {
        routes += 1;
        let ask = sample(&app, &route).await;
        let (rival, sibling) = (&app.rival.key, &app.back.token);
        match route.access {
            Access::Public => {}
            Access::Operator | Access::Local => {
                for (key, what) in [(&app.shop.key, "its own key"), (rival, "another's key")] {
                    assert_denied(&app, &route, keyed(&route, &ask, key), &[403], what).await;
                }
                let ask = keyed(&route, &ask, &app.front.token);
                assert_denied(&app, &route, ask, &[403], "a token").await;
            }
            Access::Account | Access::Device => {
                assert_ne!(ask.path, account_path);
                let is_ours = route.path.contains('{')
                    || dialect_of(route.path).is_some() && route.method == Method::POST
                    || matches!(route.path, "/v1/messages" | "/v1/messages/batch" | "/v1/webhooks")
                        && route.method == Method::POST;
                if is_ours {
                    let foreign: [(&str, &str, &[u16]); 3] = [
                        ("another's", rival, &[401, 404]),
                        ("a sibling's", sibling, &[401, 403, 404]),
                        ("operator", OPERATOR, &[401, 403]),
                    ];
                    for (what, key, statuses) in foreign {
                        let ask = keyed(&route, &ask, key);
                        assert_denied(&app, &route, ask, statuses, what).await;
                    }
                } else {
                    only_own(&app, &route, &ask, rival, sibling).await;
                }
                if route.access == Access::Account {
                    let ask = keyed(&route, &sample(&app, &route).await, &app.front.token);
                    assert_denied(&app, &route, ask, &[403], "a token").await;
                }
            }
        }
    }
    println!(
        "figures of every route with the key of another: {routes} routes, got or changed nothing"
    );
}

/// A list or a "make one": the caller sees and changes its own things only. A stream has no end; what
/// it shows to which key has a test of its own.
async fn only_own(app: &App, route: &Route, ask: &Ask, rival: &str, sibling: &str) {
    if ask.path == "/v1/events" {
        return;
    }
    let front = app.front.id().to_string();
    let before = app.of_account(app.shop.id).await;
    let response = keyed(route, ask, rival).of(&app.router).await;
    assert!(!response.text().contains(&front), "{} shows another's device", ask.path);
    assert!(!response.text().contains("shop@example.com"), "{} shows another's account", ask.path);
    let response = keyed(route, ask, sibling).of(&app.router).await;
    assert!(!response.text().contains(&front), "{} shows a sibling", ask.path);
    let after = app.of_account(app.shop.id).await;
    assert_eq!(after, before, "{} changed another's things", ask.path);
}

#[tokio::test]
async fn the_right_key_passes_every_route() {
    for index in 0.. {
        // Anew for each: deleting something must not spoil the next.
        let app = furnished().await;
        let Some(route) = all_routes(&app.state).into_iter().nth(index) else { break };
        let mut ask = sample(&app, &route).await;
        if route.path.contains("/auth/qr") || route.path.contains("/pair") {
            ask.path =
                ask.path.replace(&app.front.id().to_string(), &app.unlinked.id().to_string());
        }
        let key = match route.access {
            Access::Operator | Access::Local => OPERATOR,
            _ => &app.shop.key,
        };
        let label = format!("{} {}", ask.method, ask.path);
        let response = keyed(&route, &ask, key).open(&app.router).await;
        // The store of these tests keeps no files; those of the processes do.
        let is_file = ["/media/{token}", "/v1/messages/{id}/media"].contains(&route.path);
        // The sample was sent, and only what came in is read.
        let is_sent = route.path == "/v1/messages/{id}/read";
        let is_absent = (is_file || is_sent) && response.status() == 404;
        // The chat of the samples has no message that the phone could be asked about.
        let is_empty = route.path == "/v1/chats/{chat}/history" && response.status() == 409;
        // The node of the samples is live.
        let is_live = route.path == "/v1/nodes/{id}" && response.status() == 409;
        let is_passed = response.status().as_u16() < 400 || is_absent || is_empty || is_live;
        assert!(is_passed, "{label}: {}", response.status());
    }
}

#[tokio::test]
async fn head_sends_nothing() {
    let app = furnished().await;
    let routes = all_routes(&app.state);
    let is_get_too =
        |path: &str| routes.iter().any(|other| other.path == path && other.method == Method::GET);
    for route in &routes {
        let ask = sample(&app, route).await.method(Method::HEAD);
        let ask = keyed(route, &ask, &app.shop.key);
        if route.method == Method::GET {
            let before = app.everything().await;
            app.dispatcher.take_calls();
            // Streams have no end; their answer is enough.
            ask.open(&app.router).await;
            assert_eq!(app.everything().await, before, "HEAD {}", route.path);
            let acts = |call: &DispatcherCall| match call {
                DispatcherCall::Group(_, request) => !request.is_question(),
                call => !matches!(call, DispatcherCall::LookUp(..)),
            };
            assert!(!app.dispatcher.take_calls().iter().any(acts), "HEAD {}", route.path);
        } else if route.method == Method::POST {
            let statuses: &[u16] = if is_get_too(route.path) { &[200, 401, 403] } else { &[405] };
            assert_denied(&app, route, ask, statuses, "HEAD").await;
        }
    }
}

#[tokio::test]
async fn no_call_of_ours_ignores_a_field() {
    let app = furnished().await;
    let mut wrong = Vec::new();
    for route in all_routes(&app.state) {
        let is_ours = route.path.starts_with("/v1/");
        if !is_ours || !matches!(route.method, Method::POST | Method::PUT | Method::PATCH) {
            continue;
        }
        let key = match route.access {
            Access::Operator | Access::Local => OPERATOR,
            _ => &app.shop.key,
        };
        let ask = sample(&app, &route).await;
        let body = ask.body.as_deref().map(serde_json::from_slice).transpose().unwrap();
        let mut body: Value = body.unwrap_or_else(|| json!({}));
        body["surplus"] = json!(1);
        let response = keyed(&route, &ask.json(body), key).of(&app.router).await;
        if response.status.as_u16() != 422 || !response.text().contains("surplus") {
            wrong.push(format!("{} {}: {}", route.method, route.path, response.text()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
