//! Forms that are sent twice act once.

use domain::device::{PairMethod, PairOffer};
use testkit::fake_dispatcher::DispatcherCall;

use super::portal::{holder, link_of};
use super::*;
use crate::tests::app::ALL;

/// The key that every form of a page carries beside its proof.
fn key_in(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"key\" value=\"").expect("a form with a key");
    rest.split('"').next().unwrap().to_owned()
}

/// Sends a form three times at once; the answers are one.
async fn thrice(browser: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> TestResponse {
    let post = || browser.post(path, fields);
    let (one, two, three) = tokio::join!(post(), post(), post());
    for other in [&two, &three] {
        assert_eq!(other.status, one.status, "{path}");
        assert_eq!(other.headers.get("location"), one.headers.get("location"), "{path}");
    }
    let text = one.text();
    assert_eq!((two.text(), three.text()), (text.clone(), text), "{path}");
    one
}

#[tokio::test]
async fn every_form_carries_a_key_of_its_page() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let operator = Browser::operator(&app).await;
    let device = format!("/app/devices/{}", app.front.id());
    let account = format!("/app/accounts/{}", app.shop.id);
    for (browser, path) in [
        (&owner, "/app/devices"),
        (&owner, &device),
        (&owner, &format!("{device}/token")),
        (&owner, "/app/people"),
        (&owner, "/app/keys"),
        (&owner, "/app/webhooks"),
        (&operator, "/app/accounts"),
        (&operator, &account),
        (&operator, "/app/plans"),
        (&operator, "/app/vouchers"),
    ] {
        let page = browser.get(path).await.expect(200).text();
        let (forms, keys) =
            (page.matches("name=\"csrf\"").count(), page.matches("name=\"key\"").count());
        assert!(forms > 0 && forms == keys, "{path}: {forms} {keys}");
        let again = browser.get(path).await.expect(200).text();
        assert_ne!(key_in(&again), key_in(&page), "{path}");
    }
}

#[tokio::test]
async fn what_a_form_makes_is_made_once() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let operator = Browser::operator(&app).await;
    let devices = async || app.store.devices(app.shop.id, ALL).await.unwrap().items.len();
    let before = devices().await;
    let key = key_in(&owner.get("/app/devices").await.expect(200).text());
    let made = thrice(&owner, "/app/devices", &[("name", "x"), ("key", &key)]).await.expect(303);
    assert_eq!(devices().await, before + 1);
    owner.post("/app/devices", &[("name", "y"), ("key", &key)]).await.expect(303);
    assert_eq!(devices().await, before + 2, "a form that was changed is another one");
    let fresh = key_in(&owner.get("/app/devices").await.expect(200).text());
    let other = owner.post("/app/devices", &[("name", "x"), ("key", &fresh)]).await.expect(303);
    assert_ne!(other.header("location"), made.header("location"));

    thrice(&owner, "/app/people/invite", &[("role", "viewer"), ("key", "i")]).await.expect(200);
    let open = app.store.invitations(Some(app.shop.id), app.core.now()).await.unwrap();
    assert_eq!(open.len(), 1);
    let new = [("name", "New"), ("email", "new@example.com"), ("key", "a")];
    let page = thrice(&operator, "/app/accounts", &new).await.expect(200).text();
    assert!(page.contains("gba_"), "{page}");
    let token = format!("/app/devices/{}/token", app.front.id());
    let page = thrice(&owner, &token, &[("key", "t")]).await.expect(200).text();
    let (_, rest) = page.split_once("<code>").unwrap();
    let token = rest.split('<').next().unwrap();
    Ask::get("/v1/me").key(token).of(&app.router).await.expect(200);

    // What is at fault is answered afresh.
    owner.post("/app/devices", &[("name", ""), ("key", "f")]).await.expect(422);
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let theirs = rival.post("/app/devices", &[("name", "x"), ("key", &key)]).await.expect(303);
    assert_ne!(theirs.header("location"), made.header("location"), "another session");
}

#[tokio::test]
async fn what_a_form_ends_is_ended_once() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    Browser::of(&app, app.shop.id, Role::Viewer).await;
    let people = app.store.users(Some(app.shop.id)).await.unwrap();
    let viewer = people.iter().find(|user| user.place.role() == Role::Viewer).unwrap();
    let path = format!("/app/people/{}/remove", viewer.id);
    thrice(&owner, &path, &[("key", "r")]).await.expect(303);
    owner.post(&path, &[("key", "later")]).await.expect(404);
    let path = format!("/app/devices/{}/delete", app.unlinked.id());
    thrice(&owner, &path, &[("key", "d")]).await.expect(303);
}

#[tokio::test]
async fn a_link_is_used_by_one_form_sent_twice() {
    let app = app().await;
    let link = app.core.first_setup_link().await.unwrap().unwrap();
    let path = crate::dashboard::setup_path(&link);
    let key = key_in(&Ask::get(&path).of(&app.router).await.expect(200).text());
    let fields = [("email", "op@example.com"), ("password", "a long password"), ("key", &key)];
    let (one, two) =
        tokio::join!(post(&path, &fields).of(&app.router), post(&path, &fields).of(&app.router));
    assert_eq!(cookie_of(&one.expect(303)), cookie_of(&two.expect(303)));
    let other = [("email", "op2@example.com"), ("password", "a long password"), ("key", &key)];
    post(&path, &other).of(&app.router).await.expect(404);
}

#[tokio::test]
async fn a_form_of_a_portal_link_acts_once() {
    let app = app().await;
    let device = app.unlinked.id();
    let (id, path) = link_of(&app, device, &["pair", "send"], None).await;
    let page = Ask::get(&path).of(&app.router).await.expect(200).text();
    let (forms, keys) =
        (page.matches("name=\"csrf\"").count(), page.matches("name=\"key\"").count());
    assert!(forms == 2 && forms == keys, "{page}");
    let key = key_in(&page);
    app.dispatcher.set_offer(PairOffer::Qr { code: "2@abc".into(), expires_in_s: 20 });
    app.dispatcher.take_calls();
    for _ in 0..2 {
        let sent = holder(&app, &path, "pair", &[("key", &key)]).await.expect(303);
        assert_eq!(sent.header("location"), path);
    }
    let pair = DispatcherCall::Pair(device, PairMethod::Qr);
    assert_eq!(app.dispatcher.take_calls(), [pair], "sent twice, it acts once");
    let one = format!("/v1/devices/{device}/portal-links/{id}");
    Ask::delete(&one).key(&app.shop.key).of(&app.router).await.expect(204);
    let over = holder(&app, &path, "pair", &[("key", &key)]).await.expect(404).text();
    assert!(
        over.contains("This link is over"),
        "a kept answer is not given to a link that is over"
    );
}
