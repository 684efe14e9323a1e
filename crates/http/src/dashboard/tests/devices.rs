//! Files, calls, read receipts and the proxy of a device; its last day.

use domain::incoming_file::MediaDownload;
use domain::ports::Clock as _;
use jiff::SignedDuration;

use super::*;

#[tokio::test]
async fn files_calls_and_proxy_are_set() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let path = format!("/app/devices/{}/more", app.front.id());
    let fields = [
        ("media", "on_demand"),
        ("rejects_calls", "1"),
        ("reject_text", "Please write"),
        ("proxy", "socks5://a:geheim@proxy.example:1080"),
    ];
    member.get(&path).await.expect(403);
    member.post(&path, &fields).await.expect(403);
    rival.post(&path, &fields).await.expect(404);
    owner.post(&path, &fields).await.expect(303);
    let device = app.store.device(app.shop.id, app.front.id()).await.unwrap().unwrap();
    assert_eq!(
        (device.media_download, device.incoming.rejects_calls),
        (MediaDownload::OnDemand, true)
    );
    assert_eq!(device.incoming.reject_text.as_deref(), Some("Please write"));
    let sealed = device.proxy.clone().unwrap();
    let page = owner.get(&path).await.expect(200).text();
    assert!(page.contains("proxy.example") && !page.contains("geheim"), "{page}");
    let shown = page.split("name=\"proxy\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    owner.post(&path, &[("media", "auto"), ("proxy", shown)]).await.expect(303);
    let device = app.store.device(app.shop.id, app.front.id()).await.unwrap().unwrap();
    assert_eq!(
        (device.proxy.clone(), device.incoming.rejects_calls),
        (Some(sealed), false),
        "as shown, it is kept"
    );
    assert_eq!(device.incoming.reject_text, None);
    let long = "x".repeat(5_000);
    let refused = owner.post(&path, &[("reject_text", &long)]).await.expect(422).text();
    assert!(refused.contains("id=\"reject_text-fault\""), "{refused}");
    let refused = owner.post(&path, &[("proxy", "ftp://x")]).await.expect(422).text();
    assert!(refused.contains("id=\"proxy-fault\""), "{refused}");
    owner.post(&path, &[("proxy", "")]).await.expect(303);
    let device = app.store.device(app.shop.id, app.front.id()).await.unwrap().unwrap();
    assert_eq!(device.proxy, None);
}

#[tokio::test]
async fn the_last_day_is_a_bar() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    app.store.beat(&[app.front.id()], app.clock.now()).await.unwrap();
    app.clock.hands.advance(SignedDuration::from_mins(5));
    let cards = viewer.get("/app/devices").await.expect(200).text();
    assert_eq!(cards.matches("<svg class=\"beats\"").count(), 2, "of the linked ones: {cards}");
    assert!(cards.contains("Alive in 1 of") && cards.contains("Alive in 0 of"), "{cards}");
    let page = viewer.get(&format!("/app/devices/{}", app.front.id())).await.expect(200).text();
    assert!(page.contains("Alive in 1 of the last day") && !page.contains("style=\""), "{page}");
}

#[tokio::test]
async fn a_quota_is_shown_with_what_is_used_of_it_and_when() {
    let config = HttpConfig { insecure_cookies: true, ..HttpConfig::new(None) };
    let app = App::with(config, "free").await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let operator = Browser::operator(&app).await;
    let body = serde_json::json!({"device": app.front.id(), "to": "628999111222", "text": "hi"});
    Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await.expect(202);
    let quota_of = async |path: &str| {
        let page = viewer.get(path).await.expect(200).text();
        page.split("<dl class=\"quota\">").skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let front = format!("/app/devices/{}", app.front.id());
    let [of_page] = quota_of(&front).await.try_into().unwrap();
    assert!(of_page.contains("<strong>49</strong>"), "{of_page}");
    assert!(of_page.contains("1 / 50 today") && of_page.contains("1 / 1000 this month"));
    assert!(!of_page.contains("Granted"), "{of_page}");
    let cards = quota_of("/app/devices").await;
    assert_eq!(
        cards.len(),
        app.store.devices(app.shop.id, crate::tests::app::ALL).await.unwrap().items.len()
    );
    assert!(cards.iter().all(|card| card.contains("1 / 50 today")), "{cards:?}");

    // What is granted to one device is of no other.
    let grants = format!("/v1/accounts/{}/grants", app.shop.id);
    let grant = serde_json::json!({"device": app.front.id(), "messages": 20, "expires_at": "2100-01-31T00:00:00Z"});
    Ask::post(grants, grant).key(crate::tests::app::OPERATOR).of(&app.router).await.expect(201);
    let [of_page] = quota_of(&front).await.try_into().unwrap();
    assert!(
        of_page.contains("<strong>69</strong>") && of_page.contains("0 / 20 until"),
        "{of_page}"
    );
    let [other] = quota_of(&format!("/app/devices/{}", app.back.id())).await.try_into().unwrap();
    assert!(other.contains("<strong>49</strong>") && !other.contains("Granted"), "{other}");

    operator.post("/app/plans", &[("name", "free")]).await.expect(303);
    let [granted] = quota_of(&front).await.try_into().unwrap();
    assert!(granted.contains("no limit") && !granted.contains("today"), "{granted}");
    assert!(quota_of(&format!("/app/devices/{}", app.back.id())).await.is_empty());
}

#[tokio::test]
async fn a_device_shows_the_webhooks_that_get_its_events() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let front = format!("/app/devices/{}", app.front.id());
    assert!(owner.get(&front).await.expect(200).text().contains("No webhook gets the events"));
    let (of_front, of_back) = (app.front.id().to_string(), app.back.id().to_string());
    for (url, device) in [
        ("https://example.com/front", of_front.as_str()),
        ("https://example.com/back", of_back.as_str()),
        ("https://example.com/all", ""),
    ] {
        owner.post("/app/webhooks", &[("url", url), ("device", device)]).await.expect(200);
    }
    let page = owner.get(&front).await.expect(200).text();
    assert!(page.contains("https://example.com/front") && page.contains("https://example.com/all"));
    assert!(!page.contains("https://example.com/back"), "{page}");
    assert_eq!(page.matches("/test\"").count(), 2, "each can be tested");
    let form = format!("name=\"device\" value=\"{of_front}\"");
    assert!(page.contains(&form) && page.contains("action=\"/app/webhooks\""), "{page}");
    let seen = member.get(&front).await.expect(200).text();
    assert!(!seen.contains("example.com"), "{seen}");
}
