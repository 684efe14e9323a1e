//! What a device token sees of its account's other devices: nothing, in no API.

use domain::policy::rate::WINDOW;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::app::App;
use super::exchange::{Ask, TestResponse};

async fn answer_to(app: &App, ask: Ask, key: &str) -> TestResponse {
    ask.key(key).of(&app.router).await
}

/// The same request, with the same key and without a device, in an API that lets it be left out.
fn sends() -> Vec<Ask> {
    let keyed = |path: &str, body: Value| Ask::post(path, body).header("idempotency-key", "k");
    vec![
        keyed("/v1/messages", json!({"to": "628999111222", "text": "hi"})),
        keyed("/v1/messages/batch", json!({"messages": [{"to": "628999111222", "text": "hi"}]})),
        keyed("/api/v1/send-message", json!({"recipient": "628999111222", "message": "hi"})),
        keyed("/wachat_api/1.0/message", json!({"destination": "628999111222", "message": "hi"})),
    ]
}

fn with_every_key(ask: Ask, key: &str) -> Ask {
    ask.key(key).header("apikey", key)
}

#[tokio::test]
async fn an_idempotency_key_is_one_devices() {
    let app = App::new().await;
    for ask in sends() {
        let by = async |token: &str| with_every_key(ask.clone(), token).of(&app.router).await;
        let replayed = |answer: &TestResponse| answer.header("idempotency-replayed") == "true";
        let first = by(&app.front.token).await;
        assert!(first.status.is_success(), "{ask:?}: {}", first.text());
        let again = by(&app.front.token).await;
        assert!(replayed(&again), "{ask:?}: {}", again.text());
        assert_eq!(again.header("location"), first.header("location"));
        // Another device's token neither repeats that request nor learns that there was one.
        let sibling = by(&app.back.token).await;
        assert!(sibling.status.is_success() && !replayed(&sibling), "{}", sibling.text());
        assert_ne!(sibling.header("location"), first.header("location"));
        let again = by(&app.back.token).await;
        assert!(replayed(&again), "{ask:?}: {}", again.text());
        assert_eq!(again.header("location"), sibling.header("location"));
    }
}

#[tokio::test]
async fn keys_of_others_cannot_be_probed() {
    let app = App::new().await;
    let ask = |device: Option<String>, text: &str, key: &str| {
        let mut body = json!({"to": "628999111222", "text": text});
        if let Some(device) = device {
            body["device"] = json!(device);
        }
        Ask::post("/v1/messages", body).header("idempotency-key", key)
    };
    let front = Some(app.front.id().to_string());
    answer_to(&app, ask(front.clone(), "secret", "used"), &app.front.token).await.expect(202);
    // The other device's id, with the same text and with another: the same answer, used or not.
    for device in [front.clone(), Some(app.front.device.number_id.to_string())] {
        for (text, key) in [("secret", "used"), ("x", "used"), ("x", "unused")] {
            let answer = answer_to(&app, ask(device.clone(), text, key), &app.back.token).await;
            assert_eq!(answer.header("location"), "");
            answer.expect(404);
        }
    }
}

#[tokio::test]
async fn a_token_is_not_shown_the_accounts_signing_secret() {
    let app = App::new().await;
    let hook = json!({"url": "https://example.com/hook", "format": "wasyik"});
    let make = async |key: &str| {
        let made = answer_to(&app, Ask::post("/v1/webhooks", hook.clone()), key).await;
        made.expect(201).json()["secret"].as_str().unwrap().to_owned()
    };
    // Before and after the account has one: a token's secret is never the account's.
    let early = make(&app.back.token).await;
    let accounts = make(&app.shop.key).await;
    assert_ne!(early, accounts);
    assert_eq!(make(&app.shop.key).await, accounts);
    let late = [make(&app.front.token).await, make(&app.back.token).await];
    assert!(!late.contains(&accounts) && late[0] != late[1]);
}

#[tokio::test]
async fn a_page_of_webhooks_is_full_of_ones_own() {
    let app = App::new().await;
    let make = async |key: &str| {
        let hook = json!({"url": "https://example.com/hook"});
        answer_to(&app, Ask::post("/v1/webhooks", hook), key).await.expect(201);
    };
    make(&app.front.token).await;
    for _ in 0..3 {
        make(&app.back.token).await;
        make(&app.shop.key).await;
    }
    make(&app.front.token).await;
    let list = answer_to(&app, Ask::get("/v1/webhooks?limit=2"), &app.front.token).await;
    let list = list.expect(200).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(list["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_secret_is_replaced_and_both_sign_for_a_day() {
    let app = App::new().await;
    for (format, header) in [("gerbang", "webhook-signature"), ("wagy", "x-wagy-signature")] {
        let hook = json!({"url": "https://example.com/hook", "format": format,
            "secret": "the first secret"});
        let made = answer_to(&app, Ask::post("/v1/webhooks", hook), &app.shop.key).await;
        let path = made.expect(201).header("location").to_owned();
        let replace = Ask::new("POST".parse().unwrap(), format!("{path}/secret"));
        let replaced = answer_to(&app, replace, &app.shop.key).await.expect(200).json();
        let secret = replaced["secret"].as_str().unwrap().to_owned();
        assert!(secret.len() >= 32 && secret != "the first secret");
        let test = async || {
            let before = app.outbound.posts().len();
            let test = Ask::new("POST".parse().unwrap(), format!("{path}/test"));
            answer_to(&app, test, &app.shop.key).await.expect(200);
            let request = app.outbound.posts().remove(before);
            let named = |(name, _): &&(&str, String)| name.starts_with(header);
            let found: Vec<String> =
                request.headers.iter().filter(named).map(|(_, value)| value.clone()).collect();
            found.join(" ").split(' ').count()
        };
        assert_eq!(test().await, 2, "{format}");
        app.clock.hands.advance(SignedDuration::from_hours(24));
        assert_eq!(test().await, 1, "{format}");
        let text = answer_to(&app, Ask::get(&path), &app.shop.key).await.expect(200).text();
        assert!(!text.contains(&secret), "it is shown once");
    }
}

#[tokio::test]
async fn a_new_token_or_device_starts_no_new_window() {
    let app = App::on_plan("free").await;
    let principal = app.core.authenticate(&app.shop.key).await.unwrap();
    let limit = principal.plan().unwrap().requests_per_minute.unwrap();
    app.clock.hands.advance(WINDOW);
    let path = format!("/v1/devices/{}", app.front.id());
    let mut token = app.front.token.clone();
    for _ in 0..limit {
        answer_to(&app, Ask::get(&path), &token).await.expect(200);
    }
    let spent = answer_to(&app, Ask::get(&path), &token).await;
    assert_eq!(spent.header("ratelimit-remaining"), "0");
    assert!(spent.header("ratelimit").starts_with("\"requests\";r=0;t="));
    assert!(spent.header("ratelimit-policy").ends_with(";w=60"));
    spent.expect(429);
    let replace = Ask::new("POST".parse().unwrap(), format!("{path}/token"));
    let replaced = answer_to(&app, replace, &app.shop.key).await.expect(200).json();
    token = replaced["token"].as_str().unwrap().to_owned();
    answer_to(&app, Ask::get(&path), &token).await.expect(429);
}

#[tokio::test]
async fn keys_come_in_pages_and_have_a_limit() {
    let app = App::new().await;
    let make = async |n: usize| {
        let ask = Ask::post("/v1/keys", json!({"name": format!("key {n}")}));
        answer_to(&app, ask, &app.shop.key).await
    };
    for n in 1..100 {
        make(n).await.expect(201);
    }
    let refused = make(100).await.expect(409).json();
    assert_eq!(refused["code"], "conflict");
    let mut path = "/v1/keys?limit=60".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = answer_to(&app, Ask::get(&path), &app.shop.key).await.expect(200).json();
        ids.extend(page["data"].as_array().unwrap().iter().map(|key| key["id"].as_i64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/keys?limit=60&cursor={cursor}");
    }
    // A hundred keys and the tokens of three devices.
    assert_eq!(ids.len(), 103);
    assert!(ids.is_sorted_by(|a, b| a > b));
}
