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
