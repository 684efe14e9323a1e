//! What a new user does, in the browser only: from the printed link over a linked device to a message that was
//! read, a webhook that was delivered and a key that was revoked; then with a second step of signing in.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::totp::{STEP_S, TotpSecret};
use serde_json::json;

use super::chromium::Chromium;
use super::dashboard::{fill, path, submit};
use super::pictures::judge_answer;
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OURS: &str = "628110000321";
const THEIRS: &str = "628120000321";
const EMAIL: &str = "ibu@example.com";
const PASSWORD: &str = "kata sandi panjang";

/// A browser at a gateway.
struct Desk {
    browser: Chromium,
    base: String,
}

impl Desk {
    async fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.browser.open(&url).await;
    }

    /// Fills a form and submits it.
    async fn send(&mut self, form: &str, fields: &[(&str, &str)]) {
        for (field, value) in fields {
            fill(&mut self.browser, field, value).await;
        }
        submit(&mut self.browser, form).await;
    }

    async fn text(&mut self, selector: &str) -> String {
        let selector = json!(selector);
        let script = format!("document.querySelector({selector}).innerText");
        self.browser.evaluate(&script).await.as_str().unwrap().trim().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_gets_from_the_setup_link_to_a_read_message_and_beyond() {
    let simulator = Simulator::start().await;
    let settings = [("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8")];
    let gateway = Gateway::start(&simulator, &settings).await;
    let receiver = Receiver::start(0).await;
    let base = format!("http://{}", gateway.address());
    let mut desk = Desk { browser: Chromium::start().await, base };
    let link = gateway.operator().post("/v1/setup-links", json!({})).await;
    desk.browser.open(link["url"].as_str().unwrap()).await;
    desk.send("form.stack", &[("#email", EMAIL), ("#password", PASSWORD)]).await;
    assert_eq!(path(&mut desk.browser).await, "/app/accounts");
    let account = [("#name", "Toko"), ("#email", "toko@example.com")];
    desk.send("form[method=post][action='/app/accounts']", &account).await;
    desk.open("/app/accounts").await;
    desk.send("form[action$='/enter']", &[]).await;

    let api = make_a_key(&mut desk).await;
    let device = link_a_device(&mut desk, &simulator, &api).await;
    let webhook = format!("{}?a=1", receiver.url("/gerbang"));
    desk.open("/app/webhooks").await;
    desk.send("form[action='/app/webhooks']", &[("#url", &webhook)]).await;
    assert_eq!(api.get("/v1/devices").await["data"][0]["id"], device);

    desk.open("/app/send").await;
    desk.send("form[action='/app/send']", &[("#to", THEIRS), ("#text", "Halo")]).await;
    // The page finds out by itself: waiting, sent, delivered, read.
    desk.browser.wait_for("document.querySelectorAll('.timeline li').length >= 4").await;
    assert_eq!(simulator.inbox(THEIRS).await[0]["text"], "Halo");
    the_webhook_was_delivered(&mut desk, &receiver).await;

    desk.open("/app/keys").await;
    // Tokens of devices are in the list as well.
    let revoke = "document.querySelector('a[href$=\"/revoke\"][aria-label*=\"Kunci\"]').click(); 0";
    desk.browser.go_by(revoke).await;
    desk.send("form[action$='/revoke']", &[]).await;
    let page = desk.text("main").await;
    assert_eq!(path(&mut desk.browser).await, "/app/keys", "{page}");
    let refused = api.try_call("GET", "/v1/devices", None).await.unwrap();
    assert_eq!(refused.status, 401);
    with_a_second_step(&mut desk).await;
    assert_eq!(desk.browser.complaints().await, Vec::<String>::new());
}

async fn link_a_device(desk: &mut Desk, simulator: &Simulator, api: &Api) -> String {
    desk.open("/app/devices").await;
    desk.send("form[method=post][action='/app/devices']", &[("#name", "Kasir")]).await;
    let id = path(&mut desk.browser).await.split('/').nth(3).unwrap().to_owned();
    desk.send("main form[action$='/pair']", &[]).await;
    desk.browser.wait_for("document.querySelector('.qr[alt]')").await;
    let qr = api.get(&format!("/v1/devices/{id}/pair")).await["qr"].clone();
    simulator.scan(OURS, qr.as_str().unwrap()).await;
    desk.browser.wait_for("document.querySelector('.success')").await;
    id
}

/// Makes a key on its page, which shows it once.
async fn make_a_key(desk: &mut Desk) -> Api {
    desk.open("/app/keys").await;
    // It is to see how a device is linked, too.
    desk.browser.evaluate("document.querySelector('[value=all]').click(); 0").await;
    desk.send("form[action='/app/keys']", &[("#name", "Kunci")]).await;
    let key = desk.text(".secret code").await;
    desk.open("/app/keys").await;
    let page = desk.text("main").await;
    assert!(!page.contains(&key), "it is shown once");
    Api::new(&desk.base).with_key(key)
}

async fn the_webhook_was_delivered(desk: &mut Desk, receiver: &Receiver) {
    until("the webhook is called", 30, async || {
        receiver
            .taken()
            .iter()
            .any(|hook| String::from_utf8_lossy(&hook.body).contains("message.read"))
            .then_some(())
    })
    .await;
    desk.open("/app/webhooks").await;
    let first = "document.querySelector('main table a[href^=\"/app/webhooks/\"]').click(); 0";
    desk.browser.go_by(first).await;
    desk.browser.wait_for("document.querySelector('#deliveries [data-tone=good]')").await;
    desk.browser.go_by("document.querySelector('#deliveries a').click(); 0").await;
    desk.browser.wait_for("document.querySelector('#tries [data-tone=good]')").await;
    assert!(desk.text("#tries").await.contains("200"), "the attempt and its answer");
}

/// The code that an authenticator app shows.
fn shown_by_an_app(secret: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "an app shows the codes of the real time")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let step = i64::try_from(now).unwrap().div_euclid(STEP_S);
    TotpSecret::parse(secret).unwrap().code(step)
}

async fn with_a_second_step(desk: &mut Desk) {
    desk.open("/app/security").await;
    desk.send("form[action='/app/security/set-up']", &[]).await;
    judge_answer(&mut desk.browser, "second-step-set-up-en").await;
    let secret = desk.text("main p code").await;
    let code = shown_by_an_app(&secret);
    desk.send("form[action='/app/security/on']", &[("#code", &code)]).await;
    let recovery = desk.text(".secret code").await;
    desk.open("/app").await;
    desk.send("form[action='/logout']", &[]).await;
    let password = [("#email", EMAIL), ("#password", PASSWORD)];
    desk.send("form[action='/login']", &password).await;
    assert!(desk.text("h1").await.contains("Second step"));
    judge_answer(&mut desk.browser, "second-step-en").await;
    let code = recovery.lines().next().unwrap().to_owned();
    desk.send("form[action='/login']", &[("#code", &code)]).await;
    assert_eq!(path(&mut desk.browser).await, "/app/accounts");
}
