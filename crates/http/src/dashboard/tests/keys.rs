//! The page of keys.

use domain::account::Key;
use domain::person::Role;
use domain::scope::Scope;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{Browser, app, post};
use crate::tests::app::{ALL, App};
use crate::tests::exchange::Ask;

async fn keys(app: &App) -> Vec<Key> {
    app.store.keys(app.shop.id, ALL).await.unwrap().items
}

fn secret_in(page: &str) -> String {
    let (_, rest) = page.split_once("<code>gb").expect("a secret");
    format!("gb{}", rest.split('<').next().unwrap())
}

#[tokio::test]
async fn a_key_is_made_once_shown_once_and_revoked() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    assert!(owner.get("/app").await.text().contains("href=\"/app/keys\""));
    let before = keys(&app).await.len();
    let end = app.core.now() + SignedDuration::from_hours(1);
    let there = end.to_zoned(TimeZone::get("Asia/Jakarta").unwrap());
    let end_text = there.strftime("%Y-%m-%dT%H:%M").to_string();
    let device = app.front.id().to_string();
    let fields = [
        ("name", "<b>till</b>"),
        ("scopes[]", "send"),
        ("device", device.as_str()),
        ("expires_at", end_text.as_str()),
        ("key", "one"),
    ];
    let first = owner.post("/app/keys", &fields).await.expect(200).text();
    assert!(first.contains("&lt;b&gt;till") && !first.contains("<b>till"), "{first}");
    assert_eq!(owner.post("/app/keys", &fields).await.expect(200).text(), first);
    assert_eq!(keys(&app).await.len(), before + 1, "sent twice, it acts once");
    let secret = secret_in(&first);
    let key = keys(&app).await.remove(0);
    assert_eq!(key.scopes.iter().collect::<Vec<_>>(), [Scope::Send]);
    assert_eq!(key.device_id, Some(app.front.id()));
    assert!(key.expires_at.unwrap().duration_since(end).abs() < SignedDuration::from_mins(1));
    Ask::get("/v1/me").key(&secret).of(&app.router).await.expect(200);
    let list = owner.get("/app/keys").await.expect(200).text();
    assert!(list.contains(&key.last_four) && !list.contains(&secret));
    let path = format!("/app/keys/{}/revoke", key.id);
    let asked = owner.get(&path).await.expect(200).text();
    assert!(asked.contains("void at once") && asked.contains("Last used"), "{asked}");
    owner.post(&path, &[]).await.expect(303);
    Ask::get("/v1/me").key(&secret).of(&app.router).await.expect(401);
    owner.get(&path).await.expect(404);
    owner.post(&path, &[]).await.expect(404);
}

#[tokio::test]
async fn a_new_key_is_proposed_to_read_and_send_and_everything_is_one_choice() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let page = owner.get("/app/keys").await.expect(200).text();
    let proposed = |page: &str, value: &str| page.contains(&format!("value=\"{value}\" checked"));
    let of = |page: &str| ["read", "send", "manage", "all"].map(|value| proposed(page, value));
    assert_eq!(of(&page), [true, true, false, false], "{page}");
    // A form at fault keeps what was chosen.
    let fields = [("name", ""), ("scopes[]", "read"), ("scopes[]", "all"), ("key", "1")];
    let page = owner.post("/app/keys", &fields).await.expect(422).text();
    assert_eq!(of(&page), [true, false, false, true], "{page}");
    let fields = [("name", "panel"), ("scopes[]", "read"), ("scopes[]", "all"), ("key", "2")];
    owner.post("/app/keys", &fields).await.expect(200);
    let scopes: Vec<_> = keys(&app).await.remove(0).scopes.iter().collect();
    assert_eq!(scopes, Scope::ALL);
}

#[tokio::test]
async fn a_faulty_key_is_explained() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let before = keys(&app).await.len();
    for (fields, text) in [
        (vec![("name", "x"), ("key", "1")], "Choose at least one."),
        (vec![("scopes[]", "read"), ("key", "2")], "1 to 200 characters"),
        (
            vec![("name", "x"), ("scopes[]", "read"), ("expires_at", "1999-01-01T00:00")],
            "a time to come",
        ),
        (vec![("name", "x"), ("scopes[]", "read"), ("expires_at", "soon")], "a time to come"),
    ] {
        let page = owner.post("/app/keys", &fields).await.expect(422).text();
        assert!(page.contains(text), "{text}: {page}");
    }
    let theirs = app.theirs.id().to_string();
    let fields = [("name", "x"), ("scopes[]", "read"), ("device", theirs.as_str())];
    owner.post("/app/keys", &fields).await.expect(404);
    assert_eq!(keys(&app).await.len(), before);
}

#[tokio::test]
async fn keys_are_their_owners_alone() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let path = format!("/app/keys/{}/revoke", keys(&app).await[0].id);
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let fields = [("name", "x"), ("scopes[]", "manage")];
    let before = app.everything().await;
    rival.get(&path).await.expect(404);
    rival.post(&path, &[]).await.expect(404);
    for role in [Role::Viewer, Role::Member] {
        let reader = Browser::of(&app, app.shop.id, role).await;
        reader.get("/app/keys").await.expect(403);
        reader.post("/app/keys", &fields).await.expect(403);
        reader.get(&path).await.expect(403);
        reader.post(&path, &[]).await.expect(403);
    }
    for path in ["/app/keys", &path] {
        let forged = post(path, &fields).header("cookie", &owner.cookie);
        forged.of(&app.router).await.expect(403);
    }
    assert_eq!(app.everything().await, before);
}

#[tokio::test]
async fn roles_hold_in_the_use_cases_too() {
    use domain::error::Error;
    let app = app().await;
    let cookie = |browser: &Browser<'_>| {
        domain::key::Secret::new(browser.cookie.trim_start_matches("gerbang="))
    };
    for (role, may_send) in [(Role::Viewer, false), (Role::Member, true)] {
        let browser = Browser::of(&app, app.shop.id, role).await;
        let visitor = app.core.visitor(&cookie(&browser)).await.unwrap();
        let principal = &visitor.principal;
        app.core.devices(principal, ALL).await.unwrap();
        let managed = app.core.keys(principal, ALL).await;
        assert!(matches!(managed, Err(Error::ScopeMissing(Scope::Manage))), "{managed:?}");
        let request = domain::service::SendRequest {
            device: Some(app.front.id().into()),
            to: "628999111222".into(),
            content: domain::content::Content::Text("x".into()),
            ..domain::service::SendRequest::default()
        };
        let sent = app.core.send(principal, vec![request], None).await;
        assert_eq!(sent.is_ok(), may_send, "{sent:?}");
    }
}
