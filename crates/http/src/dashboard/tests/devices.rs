//! Files, calls, read receipts and the proxy of a device; its last day.

use domain::device::PairOffer;
use domain::incoming_file::MediaDownload;
use domain::passkey::PasskeyStep;
use domain::ports::Clock as _;
use jiff::SignedDuration;
use testkit::fake_dispatcher::DispatcherCall;

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

    operator.post("/app/plans", &[("name", "free"), ("sure", "free")]).await.expect(303);
    let [granted] = quota_of(&front).await.try_into().unwrap();
    assert!(granted.contains("no limit") && !granted.contains("today"), "{granted}");
    assert!(quota_of(&format!("/app/devices/{}", app.back.id())).await.is_empty());
}

#[tokio::test]
async fn a_device_is_found_by_its_name_its_number_and_its_id() {
    let app = app().await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    assert!(!viewer.get("/app/devices").await.expect(200).text().contains("name=\"find\""));
    let id = app.back.id().to_string();
    for (find, expected) in [
        ("FRONT", vec![app.front.id()]),
        ("%2B62%20811-1111", vec![app.front.id()]),
        ("0822222", vec![app.back.id()]),
        (id.as_str(), vec![app.back.id()]),
        ("theirs", vec![]),
        ("%2B62", vec![]),
    ] {
        let page = viewer.get(&format!("/app/devices?find={find}")).await.expect(200).text();
        let all = [app.front.id(), app.back.id(), app.unlinked.id(), app.theirs.id()];
        let found = all.into_iter().filter(|id| page.contains(&format!("/app/devices/{id}\"")));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{find}: {page}");
        assert_eq!(page.contains("Nothing matches."), expected.is_empty(), "{find}");
    }
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

const QR: PairOffer = PairOffer::Qr { code: String::new(), expires_in_s: 20 };

#[tokio::test]
async fn from_each_way_of_linking_one_can_go_to_another_or_stop() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let unlinked = app.unlinked.id();
    let path = format!("/app/devices/{unlinked}/pair");
    let code = PairOffer::Code { code: "ABCD1234".into(), expires_in_s: 160 };
    let passkey =
        PairOffer::Passkey { request: "{}".into(), step: PasskeyStep::Accepted, expires_in_s: 500 };
    let (stop, qr, phone) = ("/pair/stop\"", "Show the QR", "name=\"phone\"");
    for (offer, shown, ways, not) in [
        (Some(QR), "class=\"qr\"", vec![stop, phone], vec![qr]),
        (Some(code), "ABCD1234", vec![stop, qr], vec![phone]),
        (Some(passkey), "Continue on the phone", vec![stop], vec![qr, phone]),
        (None, "Waiting for WhatsApp", vec![stop], vec![qr, phone]),
    ] {
        app.pairs(offer, None).await;
        let page = owner.get(&path).await.expect(200).text();
        assert!(part(&page, "pairing").contains(shown), "{shown}: {page}");
        let there = part(&page, "ways");
        assert!(ways.iter().all(|way| there.contains(way)), "{shown}: {there}");
        assert!(!not.iter().any(|way| there.contains(way)), "{shown}: {there}");
    }
    app.pairs(Some(PairOffer::Qr { code: "2@<text>".into(), expires_in_s: 20 }), None).await;
    let page = owner.get(&path).await.expect(200).text();
    assert!(page.contains("<code>2@&lt;text&gt;</code>"), "for a phone without a camera: {page}");

    let stop = format!("{path}/stop");
    member.post(&stop, &[]).await.expect(403);
    app.dispatcher.take_calls();
    let stopped = owner.post(&stop, &[]).await.expect(303);
    assert_eq!(stopped.header("location"), path);
    assert_eq!(app.dispatcher.take_calls(), [DispatcherCall::Logout(unlinked)]);
    owner.post(&stop, &[]).await.expect(303);
    let front = format!("/app/devices/{}/pair/stop", app.front.id());
    owner.post(&front, &[]).await.expect(303);
    assert_eq!(app.dispatcher.take_calls(), [], "what is linked meanwhile stays linked");
}

#[tokio::test]
async fn an_attempt_that_has_ended_says_why_and_shows_the_ways_to_link() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/devices/{}/pair", app.unlinked.id());
    app.pairs(Some(QR), None).await;
    assert!(owner.get(&path).await.text().contains("<noscript>"));
    app.pairs(None, Some("the QR was not scanned")).await;
    let page = owner.get(&path).await.expect(200).text();
    for (id, words) in
        [("pairing", "the QR was not scanned"), ("ways", "Show the QR"), ("ways", "name=\"phone\"")]
    {
        assert!(part(&page, id).contains(words), "{id}: {page}");
        let live = format!("id=\"{id}\" data-live=\"device\"");
        assert!(page.contains(&live), "it is kept up to date: {page}");
    }
    assert!(!page.contains("<noscript>") && !page.contains("/pair/stop"), "{page}");
}

#[tokio::test]
async fn what_prevents_linking_stands_beside_its_button() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/devices/{}/pair", app.unlinked.id());
    app.dispatcher.refuse_pairing();
    for (by, fault, other) in [("", "qr-fault", "phone-fault"), ("code", "phone-fault", "qr-fault")]
    {
        let fields = [("by", by), ("phone", "0812345678")];
        let page = owner.post(&path, &fields).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{fault}\"")), "{by}: {page}");
        assert!(!page.contains(&format!("id=\"{other}\"")), "{by}: {page}");
    }
}
