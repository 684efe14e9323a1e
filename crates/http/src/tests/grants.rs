//! Messages beyond the plan's own: grants, vouchers, and what `/v1/usage` says of them; and groups.

use domain::chat::GroupId;
use domain::device::Group;
use serde_json::{Value, json};

use super::app::{App, OPERATOR};
use super::exchange::{Ask, TestResponse};

async fn answer_to(app: &App, ask: Ask, key: &str) -> TestResponse {
    ask.key(key).of(&app.router).await
}

async fn remaining(app: &App, query: &str) -> Value {
    let ask = Ask::get(format!("/v1/usage{query}"));
    answer_to(app, ask, &app.shop.key).await.expect(200).json()["remaining"].clone()
}

#[tokio::test]
async fn grants_are_spent_first_and_shown() {
    let app = App::on_plan("free").await;
    let path = format!("/v1/accounts/{}/grants", app.shop.id);
    let front = app.front.id();
    let body = json!({"device": front, "messages": 2, "expires_at": "2026-12-01T00:00:00Z"});
    let made = answer_to(&app, Ask::post(&path, body), OPERATOR).await.expect(201).json();
    let expected = json!({"id": made["id"], "device": front, "total": 2, "used": 0,
        "remaining": 2, "expires_at": "2026-12-01T00:00:00Z"});
    assert_eq!(made, expected);
    answer_to(&app, Ask::post(&path, json!({"messages": 5})), OPERATOR).await.expect(201);

    assert_eq!(remaining(&app, "").await, 57);
    assert_eq!(remaining(&app, &format!("?device={front}")).await, 57);
    assert_eq!(remaining(&app, &format!("?device={}", app.back.id())).await, 55);
    let send = json!({"device": front, "to": "628123456789", "text": "x"});
    answer_to(&app, Ask::post("/v1/messages", send), &app.shop.key).await.expect(202);
    let list = answer_to(&app, Ask::get(&path), OPERATOR).await.expect(200).json();
    let used: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|g| &g["used"]).collect();
    assert_eq!(used.iter().filter(|used| **used == &json!(1)).count(), 1, "{list}");
    let usage = answer_to(&app, Ask::get("/v1/usage"), &app.front.token).await.expect(200).json();
    assert_eq!(usage["month"]["used"], 0);
    assert_eq!(usage["grants"].as_array().unwrap().len(), 2);
    answer_to(&app, Ask::get("/v1/usage?device=till"), &app.shop.key).await.expect(422);
    let theirs = Ask::get(format!("/v1/usage?device={}", app.theirs.id()));
    answer_to(&app, theirs, &app.shop.key).await.expect(404);
}

#[tokio::test]
async fn refused_grants_and_vouchers() {
    let app = App::new().await;
    let path = format!("/v1/accounts/{}/grants", app.shop.id);
    let before = app.everything().await;
    let cases = [
        (path.as_str(), json!({}), 422, "messages"),
        (path.as_str(), json!({"messages": 0}), 422, "messages"),
        (path.as_str(), json!({"messages": 1, "device": 7}), 422, "device"),
        (path.as_str(), json!({"messages": 1, "device": "front"}), 422, "device"),
        (
            path.as_str(),
            json!({"messages": 1, "expires_at": "2020-01-01T00:00:00Z"}),
            422,
            "expires_at",
        ),
        (path.as_str(), json!({"messages": 1, "device": app.theirs.id()}), 404, ""),
        ("/v1/accounts/999/grants", json!({"messages": 1}), 404, ""),
        ("/v1/vouchers", json!({"messages": 0}), 422, "messages"),
        ("/v1/vouchers", json!({"messages": 1, "count": 1_001}), 422, "count"),
        ("/v1/vouchers", json!({"messages": 1, "valid_days": 0}), 422, "valid_days"),
        ("/v1/vouchers", json!({"messages": 1, "count": -1}), 422, "count"),
    ];
    for (path, body, status, field) in cases {
        let refused = answer_to(&app, Ask::post(path, body.clone()), OPERATOR).await.expect(status);
        let named = refused.json()["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
        assert_eq!(named, field, "{path} {body}");
    }
    assert_eq!(app.everything().await, before);
}

#[tokio::test]
async fn a_voucher_is_redeemed_once() {
    let app = App::on_plan("free").await;
    let ask = Ask::post("/v1/vouchers", json!({"messages": 100, "valid_days": 30, "count": 3}));
    let made = answer_to(&app, ask, OPERATOR).await.expect(201).json();
    let codes = made["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 3);
    let redeem = |code: &Value| {
        Ask::post(format!("/v1/devices/{}/redeem", app.front.id()), json!({"code": code}))
    };
    let first = answer_to(&app, redeem(&codes[0]), &app.front.token).await.expect(200).json();
    assert_eq!(first, json!({"messages": 100, "remaining": 100}));
    let again = answer_to(&app, redeem(&codes[0]), &app.shop.key).await.expect(422).json();
    assert_eq!(again["code"], "voucher_invalid");
    let second = answer_to(&app, redeem(&codes[1]), &app.shop.key).await.expect(200).json();
    assert_eq!(second, json!({"messages": 100, "remaining": 200}));
    assert_eq!(remaining(&app, "").await, 250);
}

#[tokio::test]
async fn groups_of_a_device() {
    let app = App::new().await;
    let group = Group { id: GroupId::from_user("120363041234567890"), name: "Team".to_owned() };
    app.dispatcher.set_groups(vec![group]);
    let path = format!("/v1/devices/{}/groups", app.front.device.number_id);
    let list = answer_to(&app, Ask::get(&path), &app.shop.key).await.expect(200).json();
    let expected = json!({"data": [{"id": "120363041234567890@g.us", "name": "Team"}],
        "next_cursor": null});
    assert_eq!(list, expected);
    let unlinked = Ask::get(format!("/v1/devices/{}/groups", app.unlinked.id()));
    let refused = answer_to(&app, unlinked, &app.shop.key).await.expect(409).json();
    assert_eq!(refused["code"], "device_not_connected");

    let app = App::on_plan("free").await;
    let path = format!("/v1/devices/{}/groups", app.front.id());
    let refused = answer_to(&app, Ask::get(path), &app.shop.key).await.expect(403).json();
    assert_eq!(refused["code"], "feature_missing");
}
