//! The pages of webhooks: made once, tested, changed, their deliveries looked at and sent again.

use domain::chat::Lid;
use domain::content::Content;
use domain::context::Context;
use domain::ids::WhatsappId;
use domain::message::{Address, IncomingMessage, ReceivedOrigin};
use domain::person::Role;
use domain::phone::PhoneNumber;
use domain::ports::Clock as _;
use domain::webhook::{Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, Webhook};
use testkit::fake_outbound::answer;

use super::{Browser, app, post};
use crate::tests::app::{ALL, App};

const HOOK: &str = "https://example.com/hook";

pub(super) async fn webhooks(app: &App) -> Vec<Webhook> {
    app.store.webhooks(app.shop.id, None, ALL).await.unwrap().items
}

pub(super) async fn made(app: &App, owner: &Browser<'_>) -> (Webhook, String) {
    owner.post("/app/webhooks", &[("url", HOOK), ("key", "first")]).await.expect(200);
    let webhook = webhooks(app).await.remove(0);
    let path = format!("/app/webhooks/{}", webhook.id);
    (webhook, path)
}

pub(super) async fn log(app: &App, webhook: &Webhook) -> Vec<Delivery> {
    app.store.deliveries(webhook.account_id, webhook.id, None, ALL).await.unwrap().items
}

pub(super) async fn receive(app: &App, id: &str, text: &str) {
    let sender =
        Address { phone: Some(PhoneNumber::from_digits("628555")), lid: Some(Lid::from_user("9")) };
    let message = IncomingMessage {
        whatsapp_id: WhatsappId(id.to_owned()),
        chat: "628555@s.whatsapp.net".into(),
        sender,
        origin: ReceivedOrigin::Incoming,
        context: Context::default(),
        content: Content::Text(text.into()),
        at: app.clock.now(),
    };
    app.store.receive(app.front.id(), vec![message], app.clock.now()).await.unwrap();
}

pub(super) async fn end(app: &App, delivery: &Delivery, state: DeliveryState) {
    let outcome = DeliveryOutcome {
        id: delivery.id,
        state,
        attempts: 7,
        due_at: app.clock.now(),
        last_status: Some(503),
        last_error: Some("<i>busy</i>".to_owned()),
        ended_at: Some(app.clock.now()),
        tried: Some(DeliveryTry {
            at: app.clock.now(),
            status: Some(503),
            error: None,
            ms: 12,
            answer: "<i>come back</i>".to_owned(),
        }),
    };
    app.store.record_deliveries(vec![outcome]).await.unwrap();
}

fn secret_in(page: &str) -> String {
    let (_, rest) = page.split_once("<code>").expect("a secret");
    rest.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_webhook_is_made_once_and_its_secret_shown_once() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    assert!(owner.get("/app").await.text().contains("href=\"/app/webhooks\""));
    let fields = [("url", HOOK), ("events[]", "message.received"), ("key", "one")];
    let first = owner.post("/app/webhooks", &fields).await.expect(200).text();
    let again = owner.post("/app/webhooks", &fields).await.expect(200).text();
    assert_eq!(first, again, "sent twice, it acts once");
    let secret = secret_in(&first);
    assert!(secret.starts_with("whsec_"), "{secret}");
    let [webhook] = webhooks(&app).await.try_into().unwrap();
    assert_eq!(webhook.events.len(), 1);
    let path = format!("/app/webhooks/{}", webhook.id);
    for page in ["/app/webhooks", &path] {
        let page = owner.get(page).await.expect(200).text();
        assert!(page.contains(HOOK) && !page.contains(&secret));
    }
    let rotated = owner.post(&format!("{path}/secret"), &[("key", "x")]).await.expect(200).text();
    assert_ne!(secret_in(&rotated[rotated.find("<h1>").unwrap()..]), secret);
    let local = [("url", "http://10.0.0.1/x"), ("key", "two")];
    let refused = owner.post("/app/webhooks", &local).await.expect(422).text();
    assert!(refused.contains("that the internet can reach"), "{refused}");
    assert_eq!(webhooks(&app).await.len(), 1);
    // What was at fault is corrected and sent with the same key.
    owner.post("/app/webhooks", &[("url", HOOK), ("key", "two")]).await.expect(200);
    assert_eq!(webhooks(&app).await.len(), 2);
}

#[tokio::test]
async fn a_webhook_is_changed_tested_switched_off_and_deleted() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let (_, path) = made(&app, &owner).await;
    let none = owner.post(&path, &[("url", HOOK)]).await.expect(422).text();
    assert!(none.contains("Choose at least one event"), "{none}");
    let other = "https://example.com/other";
    let fields = [("url", other), ("events[]", "message.sent"), ("events[]", "message.read")];
    owner.post(&path, &fields).await.expect(303);
    let changed = webhooks(&app).await.remove(0);
    assert_eq!((changed.url.as_str(), changed.events.len()), (other, 2));
    app.outbound.answer_with([answer(418), answer(204)]);
    let bad = owner.post(&format!("{path}/test"), &[]).await.expect(200).text();
    assert!(bad.contains("class=\"fault\"") && bad.contains("answered 418"), "{bad}");
    let good = owner.post(&format!("{path}/test"), &[]).await.expect(200).text();
    assert!(good.contains("class=\"success\"") && good.contains("answered 204"), "{good}");
    owner.post(&format!("{path}/switch"), &[("on", "")]).await.expect(303);
    assert!(webhooks(&app).await[0].disabled.is_some());
    owner.post(&format!("{path}/switch"), &[("on", "1")]).await.expect(303);
    assert!(webhooks(&app).await[0].disabled.is_none());
    receive(&app, "A", "halo").await;
    let asked = owner.get(&format!("{path}/delete")).await.expect(200).text();
    assert!(asked.contains("Deliveries that wait (0)"), "it does not get message.received");
    owner.post(&format!("{path}/delete"), &[]).await.expect(303);
    assert!(webhooks(&app).await.is_empty());
    owner.get(&path).await.expect(404);
}

#[tokio::test]
async fn deliveries_are_shown_and_go_again() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let (webhook, path) = made(&app, &owner).await;
    for n in 0..3 {
        receive(&app, &format!("A{n}"), "<script>alert(1)</script>").await;
    }
    let [three, two, one] = log(&app, &webhook).await.try_into().unwrap();
    end(&app, &one, DeliveryState::Dead).await;
    end(&app, &two, DeliveryState::Delivered).await;
    let all = owner.get(&path).await.expect(200).text();
    assert_eq!(all.matches("message.received</code></td>").count(), 3, "{all}");
    let dead = owner.get(&format!("{path}?state=dead")).await.expect(200).text();
    assert_eq!(dead.matches("message.received</code></td>").count(), 1);
    assert!(dead.contains("503") && dead.contains("&lt;i&gt;busy"), "{dead}");

    let delivery = format!("{path}/deliveries/{}", one.id);
    let page = owner.get(&delivery).await.expect(200).text();
    assert!(page.contains("12 ms") && page.contains("&lt;i&gt;come back"), "its attempts: {page}");
    assert!(page.contains(&format!("POST {HOOK}")) && page.contains("webhook-id: evt_"), "{page}");
    assert!(!page.contains("webhook-signature") && !page.contains("<script>alert"));
    assert!(page.contains("&lt;script&gt;") && page.contains(">7<"), "{page}");
    for _ in 0..2 {
        // The same form, sent twice.
        owner.post(&format!("{delivery}/replay"), &[("key", "k")]).await.expect(303);
    }
    let states = async || -> Vec<_> { log(&app, &webhook).await.iter().map(|d| d.state).collect() };
    use DeliveryState::{Dead, Delivered, Pending};
    assert_eq!(states().await, [Pending, Delivered, Pending]);
    owner.post(&format!("{delivery}/replay"), &[]).await.expect(404);

    end(&app, &three, DeliveryState::Dead).await;
    let replay = format!("{path}/replay?since=1970-01-01T00%3A00&what=");
    let asked = owner.get(&replay).await.expect(200).text();
    assert!(asked.contains("Deliveries that go out again: 1,"), "{asked}");
    let asked = owner.get(&format!("{replay}all")).await.expect(200).text();
    assert!(asked.contains("Deliveries that go out again: 2,"), "{asked}");
    assert_eq!(states().await, [Dead, Delivered, Pending]);
    let done = owner.post(&replay, &[]).await.expect(303);
    let page = owner.get(done.header("location")).await.expect(200).text();
    assert!(page.contains("Deliveries on their way again: 1."), "{page}");
    owner.post(&format!("{replay}all"), &[]).await.expect(303);
    assert_eq!(states().await, [Pending; 3]);
    let wrong = owner.get(&format!("{path}/replay?since=yesterday")).await.expect(303);
    assert_eq!(wrong.header("location"), path);
}

#[tokio::test]
async fn webhooks_are_their_owners_alone() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let (webhook, path) = made(&app, &owner).await;
    receive(&app, "A", "halo").await;
    let delivery = format!("{path}/deliveries/{}", log(&app, &webhook).await[0].id);
    let gets = ["", "/secret", "/delete", "/replay?since=1970-01-01T00%3A00"];
    let posts = ["", "/switch", "/test", "/secret", "/delete", "/replay?since=1970-01-01T00%3A00"];
    let before = app.everything().await;
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let fields = [("url", "https://example.com/other"), ("events[]", "message.sent")];
    for (browser, status) in [(&rival, 404), (&viewer, 403), (&member, 403)] {
        for end in gets {
            browser.get(&format!("{path}{end}")).await.expect(status);
        }
        browser.get(&delivery).await.expect(status);
        for end in posts {
            browser.post(&format!("{path}{end}"), &fields).await.expect(status);
        }
        browser.post(&format!("{delivery}/replay"), &[]).await.expect(status);
    }
    for browser in [&viewer, &member] {
        browser.get("/app/webhooks").await.expect(403);
        browser.post("/app/webhooks", &fields).await.expect(403);
        assert!(!browser.get("/app").await.text().contains("/app/webhooks"));
    }
    for end in posts {
        let forged = post(&format!("{path}{end}"), &fields).header("cookie", &owner.cookie);
        forged.of(&app.router).await.expect(403);
    }
    assert_eq!(app.everything().await, before);
}
