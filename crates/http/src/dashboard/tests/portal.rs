//! Portal links: what each allows, and that an ended one says nothing.

use axum::http::{Method, Request};
use domain::device::PairOffer;
use domain::ports::{MessageFilter, PageRequest};
use jiff::SignedDuration;
use serde_json::{Value, json};
use testkit::fake_dispatcher::DispatcherCall;

use super::*;

async fn link(app: &App, may: &[&str], expires_in_s: Option<i64>) -> (i64, String) {
    let device = app.front.id();
    link_of(app, device, may, expires_in_s).await
}

pub(super) async fn link_of(
    app: &App,
    device: domain::ids::DeviceId,
    may: &[&str],
    expires_in_s: Option<i64>,
) -> (i64, String) {
    let body = json!({"may": may, "expires_in_s": expires_in_s});
    let ask = Ask::post(format!("/v1/devices/{device}/portal-links"), body);
    let made = ask.key(&app.shop.key).of(&app.router).await.expect(201).json();
    let url = made["url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost").expect(url).to_owned();
    assert!(path.starts_with("/portal/device/gbp_"), "{path}");
    (made["id"].as_i64().unwrap(), path)
}

/// Posts a form of a portal page as its holder.
pub(super) async fn holder(
    app: &App,
    path: &str,
    act: &str,
    fields: &[(&str, &str)],
) -> TestResponse {
    let secret = domain::key::Secret::new(path.rsplit('/').next().unwrap());
    let csrf = super::super::origin::csrf_token(&secret);
    let fields = [fields, &[("csrf", csrf.as_str())]].concat();
    post(&format!("{path}/{act}"), &fields).of(&app.router).await
}

async fn page(app: &App, path: &str) -> TestResponse {
    Ask::get(path).of(&app.router).await
}

async fn sent(app: &App) -> usize {
    let page = PageRequest { before: None, limit: 100 };
    let filter = MessageFilter::default();
    app.store.messages(app.shop.id, &filter, page).await.unwrap().items.len()
}

#[tokio::test]
async fn a_link_allows_what_it_says_and_nothing_else() {
    let app = app().await;
    let device = app.front.id().to_string();
    let fields =
        [("device", device.as_str()), ("to", "0812345678"), ("text", "<i>hi"), ("key", "k")];
    let (_, read) = link(&app, &["read"], None).await;
    let (_, send) = link(&app, &["send"], None).await;
    holder(&app, &read, "send", &fields).await.expect(403);
    assert_eq!(sent(&app).await, 0);
    let without = post(&format!("{send}/send"), &fields).of(&app.router).await;
    without.expect(403);
    let other = [("device", app.back.id().to_string())];
    let other: Vec<_> = other
        .iter()
        .map(|(name, id)| (*name, id.as_str()))
        .chain(fields[1..].iter().copied())
        .collect();
    holder(&app, &send, "send", &other).await.expect(404);
    assert_eq!(sent(&app).await, 0);
    for _ in 0..2 {
        let went = holder(&app, &send, "send", &fields).await.expect(303);
        assert_eq!(went.header("location"), format!("{send}?sent=1"));
        assert_eq!(sent(&app).await, 1, "sent twice, it acts once");
    }
    let shown = page(&app, &read).await.expect(200).text();
    assert!(shown.contains("&lt;i&gt;hi") && !shown.contains("<i>hi"), "{shown}");
    assert!(!shown.contains("name=\"text\""), "no composer");
    let shown = page(&app, &send).await.expect(200).text();
    assert!(shown.contains("name=\"text\"") && !shown.contains("&lt;i&gt;hi"));
    assert!(shown.contains("front") && !shown.contains(&app.back.id().to_string()));
    assert!(!shown.contains("/app/devices") && !shown.contains("/logout"), "{shown}");
    holder(&app, &send, "pair", &[]).await.expect(403);
    holder(&app, &read, "connect", &[]).await.expect(403);
}

#[tokio::test]
async fn a_link_pairs_its_device() {
    let app = app().await;
    let unlinked = app.unlinked.id();
    let (_, read) = link_of(&app, unlinked, &["read"], None).await;
    let shown = page(&app, &read).await.expect(200).text();
    assert!(shown.contains("Ask the one who gave you this link"), "{shown}");
    let (_, pair) = link_of(&app, unlinked, &["pair"], None).await;
    assert!(page(&app, &pair).await.expect(200).text().contains("Show the QR"));
    let wrong = holder(&app, &pair, "pair", &[("by", "code"), ("phone", "x")]).await.expect(422);
    assert!(wrong.text().contains("phone-fault"));
    app.dispatcher.set_offer(PairOffer::Qr { code: "2@abc".into(), expires_in_s: 20 });
    holder(&app, &pair, "pair", &[]).await.expect(303);
    let shown = page(&app, &pair).await.expect(200).text();
    assert!(shown.contains("data:image/png") || shown.contains("class=\"qr\""), "{shown}");
}

#[tokio::test]
async fn a_link_that_is_over_says_so_and_nothing_more() {
    let app = app().await;
    let (_, short) = link(&app, &["read"], Some(60)).await;
    let (id, revoked) = link(&app, &["read"], None).await;
    let one = format!("/v1/devices/{}/portal-links/{id}", app.front.id());
    let ask = |key: &str| Ask::delete(&one).key(key).of(&app.router);
    ask(&app.rival.key).await.expect(404);
    ask(&app.front.token).await.expect(403);
    page(&app, &revoked).await.expect(200);
    ask(&app.shop.key).await.expect(204);
    ask(&app.shop.key).await.expect(404);
    app.clock.hands.advance(SignedDuration::from_secs(60));
    let strange = "/portal/device/gbp_none".to_owned();
    let mut pages = Vec::new();
    for path in [&short, &revoked, &strange] {
        let over = page(&app, path).await.expect(404).text();
        assert!(over.contains("This link is over") && !over.contains("front"), "{over}");
        pages.push(over);
        for act in ["pair", "connect", "send"] {
            holder(&app, path, act, &[("to", "0812345678"), ("text", "x")]).await.expect(404);
        }
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "all are the same page");
    assert_eq!(sent(&app).await, 0);
}

#[tokio::test]
async fn links_are_listed_bounded_and_checked() {
    let app = app().await;
    let all = format!("/v1/devices/{}/portal-links", app.front.id());
    let ask = |body: Value| Ask::post(&all, body).key(&app.shop.key).of(&app.router);
    for (body, field) in [
        (json!({}), "may"),
        (json!({"may": []}), "may"),
        (json!({"may": ["write"]}), "may"),
        (json!({"may": ["read"], "expires_in_s": 59}), "expires_in_s"),
        (json!({"may": ["read"], "expires_in_s": 31_622_401}), "expires_in_s"),
    ] {
        let refused = ask(body.clone()).await.expect(422).text();
        assert!(refused.contains(field), "{body}: {refused}");
    }
    let made = ask(json!({"may": ["send", "pair", "send"], "expires_in_s": ""})).await.expect(201);
    let made = made.json();
    assert_eq!(made["may"], json!(["pair", "send"]));
    let week = app.core.now() + SignedDuration::from_secs(604_800);
    assert_eq!(made["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap(), week);
    let key = json!({"name": "manages", "scopes": ["manage"]});
    let key = Ask::post("/v1/keys", key).key(&app.shop.key).of(&app.router).await.expect(201);
    let manages = |body: Value| {
        Ask::post(&all, body).key(key.json()["key"].as_str().unwrap()).of(&app.router)
    };
    let more = manages(json!({"may": ["pair", "read"]})).await.expect(403).json();
    assert_eq!(more["code"], "scope_missing", "no link may do more than its maker");
    let listed = Ask::get(&all).key(&app.shop.key).of(&app.router).await.expect(200).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["id"], made["id"]);
    assert!(listed["data"][0].get("url").is_none());
    Ask::get(&all).key(&app.rival.key).of(&app.router).await.expect(404);
    Ask::new(Method::GET, &all).key(&app.front.token).of(&app.router).await.expect(403);
}

#[tokio::test]
async fn the_page_of_a_device_makes_lists_and_revokes_links() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = format!("/app/devices/{}", app.front.id());
    let links = format!("{device}/portal-links");
    let fields = [("read", "1"), ("days", "30"), ("key", "once")];
    let none = owner.post(&links, &[("days", "30"), ("key", "x")]).await.expect(422).text();
    assert!(none.contains("id=\"may-fault\"") && none.contains("value=\"30\" selected"), "{none}");
    let made = owner.post(&links, &fields).await.expect(200).text();
    let (_, rest) = made.split_once("/portal/device/").unwrap();
    let path = format!("/portal/device/{}", rest.split('<').next().unwrap());
    page(&app, &path).await.expect(200);
    assert_eq!(owner.post(&links, &fields).await.expect(200).text(), made);
    let shown = owner.get(&device).await.expect(200).text();
    assert_eq!(shown.matches("/revoke\"").count(), 1, "sent twice, it acts once");
    let (_, rest) = shown.split_once(&format!("{links}/")).unwrap();
    let revoke = format!("{links}/{}/revoke", rest.split('/').next().unwrap());
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    rival.post(&links, &fields).await.expect(404);
    rival.post(&revoke, &[]).await.expect(404);
    member.post(&links, &fields).await.expect(403);
    member.post(&revoke, &[]).await.expect(403);
    assert!(!member.get(&device).await.expect(200).text().contains("portal-links"));
    page(&app, &path).await.expect(200);
    owner.get(&revoke).await.expect(200);
    owner.post(&revoke, &[]).await.expect(303);
    page(&app, &path).await.expect(404);
    owner.get(&revoke).await.expect(404);
}

#[tokio::test]
async fn a_link_ends_an_attempt_and_shows_why_one_has_ended() {
    let app = app().await;
    let unlinked = app.unlinked.id();
    let (_, pair) = link_of(&app, unlinked, &["pair", "send"], None).await;
    let (_, read) = link_of(&app, unlinked, &["read"], None).await;
    app.pairs(Some(PairOffer::Qr { code: "2@abc".into(), expires_in_s: 20 }), None).await;
    let shown = page(&app, &pair).await.expect(200).text();
    assert!(part(&shown, "pairing").contains("2@abc"), "{shown}");
    assert!(part(&shown, "ways").contains("name=\"phone\""), "{shown}");
    assert!(part(&shown, "composer").is_empty(), "{shown}");
    holder(&app, &read, "pair/stop", &[]).await.expect(403);
    app.dispatcher.take_calls();
    holder(&app, &pair, "pair/stop", &[]).await.expect(303);
    assert_eq!(app.dispatcher.take_calls(), [DispatcherCall::Logout(unlinked)]);
    app.pairs(None, Some("nobody has scanned")).await;
    let shown = page(&app, &pair).await.expect(200).text();
    assert!(part(&shown, "pairing").contains("nobody has scanned"), "{shown}");
    assert!(part(&shown, "ways").contains("Show the QR"), "{shown}");
}

#[tokio::test]
async fn the_stream_of_a_link_ends_with_its_device() {
    let app = app().await;
    let (_, pair) = link(&app, &["pair"], None).await;
    let path = format!("{pair}/stream");
    let mut stream = super::stream::Listening::of(&app, Request::get(&path)).await;
    stream.next().await.unwrap();
    let device = format!("/v1/devices/{}", app.front.id());
    Ask::delete(device).key(&app.shop.key).of(&app.router).await.expect(204);
    while let Some(more) = stream.next().await {
        assert!(more.contains("changed"), "{more}");
    }
    page(&app, &pair).await.expect(404);
    Ask::new(Method::HEAD, &path).of(&app.router).await.expect(404);
}
