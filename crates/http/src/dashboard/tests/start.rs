//! The page Start: what needs attention, and the first steps.

use domain::device::{DeviceStatus, StatusChange};
use domain::message::MessageEvent;
use domain::ports::{Clock as _, Progress};
use domain::webhook::DeliveryState;
use jiff::SignedDuration;
use serde_json::json;

use super::webhooks::{end, log, made, receive, webhooks};
use super::*;

async fn send(app: &App) -> domain::ids::MessageId {
    let body = json!({"device": app.front.id(), "to": "628999111222", "text": "halo"});
    let made = Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await;
    domain::ids::MessageId(made.expect(202).json()["id"].as_i64().unwrap())
}

#[tokio::test]
async fn what_needs_attention_is_said_to_those_who_can_do_something() {
    let app = app().await;
    let hook = json!({"url": "https://example.com/hook"});
    Ask::post("/v1/webhooks", hook).key(&app.shop.key).of(&app.router).await.expect(201);
    let webhook = webhooks(&app).await.remove(0);
    receive(&app, "E1", "halo").await;
    end(&app, &log(&app, &webhook).await[0], DeliveryState::Dead).await;
    app.clock.hands.advance(SignedDuration::from_hours(24));
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let start = async |browser: &Browser<'_>| browser.get("/app").await.expect(200).text();
    assert!(!start(&owner).await.contains("Needs attention"), "what failed is no news any more");

    let now = app.clock.now();
    let until = now + SignedDuration::from_hours(5);
    app.store.restrict_device(app.front.id(), Some(until), now).await.unwrap();
    for browser in [&owner, &member] {
        let page = start(browser).await;
        let (_, card) = page.split_once("Needs attention").expect("a card");
        assert!(card.contains("front") && card.contains("write to no new contacts"), "{card}");
    }
    receive(&app, "E2", "halo").await;
    end(&app, &log(&app, &webhook).await[0], DeliveryState::Dead).await;
    let path = format!("/app/webhooks/{}", webhook.id);
    assert!(start(&owner).await.contains(&format!("href=\"{path}?state=dead\"")));
    assert!(!start(&member).await.contains("example.com"));
    owner.post(&format!("{path}/switch"), &[]).await.expect(303);
    let page = start(&owner).await;
    let (_, card) = page.split_once("Needs attention").expect("a card");
    assert!(card.contains("example.com/hook") && card.contains("off"), "{card}");
}

#[tokio::test]
async fn a_quota_that_ends_needs_attention() {
    let config = HttpConfig { insecure_cookies: true, ..HttpConfig::new(None) };
    let app = App::with(config, "free").await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let start = async || viewer.get("/app").await.expect(200).text();
    let words = ["Less than a tenth of the message quota", "The message quota is used up"];
    for n in 1..=50 {
        send(&app).await;
        let page = start().await;
        let said = words.map(|text| page.contains(text));
        assert_eq!(said, [(46..50).contains(&n), n == 50], "{n}: {page}");
    }
}

#[tokio::test]
async fn the_first_steps_stay_until_all_are_done_and_what_one_cancels_has_not_failed() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let id = send(&app).await;
    let steps = [MessageEvent::Submitted, MessageEvent::Acknowledged, MessageEvent::Read];
    let steps = steps.map(|step| (step, app.clock.now())).into();
    let progress = Progress { id, steps, failure: None, next_attempt_at: None, file: None };
    app.store.record(vec![progress]).await.unwrap();
    let page = owner.get("/app").await.expect(200).text();
    assert!(page.contains("<details><summary>First steps</summary>"), "{page}");
    assert!(page.contains("Set a webhook"), "{page}");
    assert!(!viewer.get("/app").await.expect(200).text().contains("First steps"));
    made(&app, &owner).await;
    let page = owner.get("/app").await.expect(200).text();
    assert!(!page.contains("First steps"), "the key of the account was used: {page}");

    let cancelled = send(&app).await;
    owner.post(&format!("/app/messages/{cancelled}/cancel"), &[]).await.expect(303);
    let not_sent = async || {
        let page = owner.get("/app").await.expect(200).text();
        let (_, rest) = page.split_once("<dt>Not sent</dt><dd>").unwrap();
        rest.split("</dd>").next().unwrap().to_owned()
    };
    assert_eq!(not_sent().await, "0");
    let failed = send(&app).await;
    app.follow(failed, MessageEvent::Failed).await;
    let list = "/app/messages?direction=out&amp;status=not_sent";
    assert_eq!(not_sent().await, format!("<a href=\"{list}\">1</a>"));
    let waiting = send(&app).await;
    let start = owner.get("/app").await.expect(200).text();
    assert!(start.contains("direction=out&amp;status=waiting\">1</a>"), "{start}");
    for (status, expected) in [("not_sent", failed), ("waiting", waiting)] {
        let path = format!("/app/messages?direction=out&status={status}");
        let page = owner.get(&path).await.expect(200).text();
        for id in [cancelled, failed, waiting] {
            let row = format!("href=\"/app/messages/{id}\"");
            assert_eq!(page.contains(&row), id == expected, "{status} {id}: {page}");
        }
        assert_eq!(page.contains("/app/messages/cancel?"), status == "waiting", "{status}");
        assert_eq!(page.contains("/app/messages/resend?"), status == "not_sent", "{status}");
    }
    let change = StatusChange {
        reason: Some("the phone is off".into()),
        ..StatusChange::new(DeviceStatus::Disconnected, app.clock.now())
    };
    app.store.set_device_status(app.front.id(), &change).await.unwrap();
    assert!(owner.get("/app").await.text().contains("the phone is off"));
}
