//! The dashboard in a real browser: from the printed link to a message that was read, and every page as
//! axe-core judges it. Pictures of the pages are kept in the target directory.

use std::path::Path;

use serde_json::{Value, json};

use super::accessibility::{JUDGE, SCHEMES, WIDTHS, axe};
use super::chromium::Chromium;
use crate::demo::{Demo, the_device};
use crate::support::wait::until;

/// What a stranger may send.
pub const HOSTILE: &str = "<img src=x onerror=\"window.ran=1\"><script>window.ran=1</script>";

/// Signs in by the printed link.
pub async fn signed_in(demo: &Demo) -> Chromium {
    let mut browser = Chromium::start().await;
    browser.open(&demo.dashboard).await;
    browser.wait_for("location.pathname === '/app/send'").await;
    browser
}

pub async fn open(browser: &mut Chromium, demo: &Demo, path: &str) {
    browser.open(&format!("{}{path}", demo.base)).await;
}

pub async fn fill(browser: &mut Chromium, field: &str, value: &str) {
    let (field, value) = (json!(field), json!(value));
    browser.evaluate(&format!("document.querySelector({field}).value = {value}; 0")).await;
}

/// Submits a form; the page that follows has been loaded.
pub async fn submit(browser: &mut Chromium, form: &str) {
    let form = json!(form);
    browser.go_by(&format!("document.querySelector({form}).requestSubmit(); 0")).await;
}

pub async fn path(browser: &mut Chromium) -> String {
    browser.evaluate("location.pathname").await.as_str().unwrap().to_owned()
}

/// Sends a text on the composer's page, to the page of the message.
async fn send(browser: &mut Chromium, demo: &Demo, text: &str) {
    open(browser, demo, "/app/send").await;
    fill(browser, "#to", &demo.phone).await;
    fill(browser, "#text", text).await;
    submit(browser, "form[action='/app/send']").await;
    let path = path(browser).await;
    let id = path.strip_prefix("/app/messages/").unwrap_or_else(|| panic!("{path}"));
    assert!(id.parse::<i64>().is_ok(), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_link_to_a_message_that_was_read() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    open(&mut browser, &demo, "/app/devices").await;
    fill(&mut browser, "#name", "Kasir").await;
    submit(&mut browser, "form[action='/app/devices']").await;
    submit(&mut browser, "main form[action$=\"/pair\"]").await;
    browser.wait_for("document.querySelector('.qr')").await;
    let id = path(&mut browser).await.split('/').nth(3).unwrap().to_owned();
    let offer = demo.account().get(&format!("/v1/devices/{id}/pair")).await;
    let qr = json!({ "qr": offer["qr"] });
    demo.simulator().post("/phones/628777000111/scan", qr).await;
    // The page finds out by itself.
    browser.wait_for("document.querySelector('.success')").await;

    send(&mut browser, &demo, "Halo dari dasbor").await;
    browser.wait_for("document.querySelector('.timeline').children.length >= 4").await;
    let inbox = demo.simulator().get(&format!("/phones/{}/inbox", demo.phone)).await;
    assert!(inbox.as_array().unwrap().iter().any(|row| row["text"] == "Halo dari dasbor"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_everything_works_and_what_strangers_send_never_runs() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    let answer = json!({ "to": the_device(&demo).await["phone"], "text": HOSTILE });
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), answer).await;
    let id = until("it comes in", 30, async || {
        let list = demo.account().get("/v1/messages?direction=in").await;
        list["data"][0]["id"].as_i64()
    })
    .await;
    for path in ["/app/messages".to_owned(), format!("/app/messages/{id}")] {
        open(&mut browser, &demo, &path).await;
        let text = browser.evaluate("document.body.innerText").await;
        assert!(text.as_str().unwrap().contains("onerror"), "{path}: {text}");
        assert_eq!(browser.evaluate("window.ran === undefined").await, Value::Bool(true));
    }
    browser.allow_scripts(false).await;
    send(&mut browser, &demo, "Tanpa JavaScript").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Opens the chat on the simulated phone beside the composer.
async fn show_the_chat(browser: &mut Chromium) {
    const PHONE: &str = "document.querySelector('iframe').contentDocument";
    browser.wait_for(&format!("{PHONE}.querySelector('#chats button')")).await;
    browser.evaluate(&format!("{PHONE}.querySelector('#chats button').click(); 0")).await;
    browser.wait_for(&format!("{PHONE}.querySelector('#messages li')")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_dashboard_passes_axe() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    send(&mut browser, &demo, "Selamat pagi, pesanan Ibu sudah siap.").await;
    let message = path(&mut browser).await;
    let device = the_device(&demo).await["id"].as_str().unwrap().to_owned();
    let unlinked = demo.account().post("/v1/devices", json!({ "name": "Gudang" })).await;
    let account = demo.account();
    let webhook = json!({ "url": "https://example.com/hook", "events": ["message.received"] });
    let webhook = account.post("/v1/webhooks", webhook).await["id"].clone();
    let group = json!({ "subject": "Panitia", "participants": [demo.phone] });
    let group = account.post(&format!("/v1/devices/{device}/groups"), group).await;
    let group = group["id"].as_str().unwrap().to_owned();
    let link = json!({ "expires_in_s": 3600, "may": ["pair", "read", "send"] });
    let link = account.post(&format!("/v1/devices/{device}/portal-links"), link).await;
    let portal = link["url"].as_str().unwrap().split_once("/portal/").unwrap().1.to_owned();
    let chat = format!("/app/chats/{device}/{}%40s.whatsapp.net", demo.phone);
    let photo = json!({ "to": the_device(&demo).await["phone"], "text": "Terima kasih, saya ambil sore ini." });
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), photo).await;
    until("the answer comes in", 30, async || {
        let list = account.get("/v1/messages?direction=in").await;
        list["data"][0]["id"].as_i64()
    })
    .await;
    let pages = [
        ("start", "/app".to_owned()),
        ("chats", "/app/chats".to_owned()),
        ("chat", chat.clone()),
        ("chat-facts", format!("{chat}?show=facts")),
        ("api", "/app/api/v1".to_owned()),
        ("api-call", "/app/api/v1?call=POST%20/v1/messages".to_owned()),
        ("gateway", "/app/gateway".to_owned()),
        ("security", "/app/security".to_owned()),
        ("webhooks", "/app/webhooks".to_owned()),
        ("webhook", format!("/app/webhooks/{webhook}")),
        ("keys", "/app/keys".to_owned()),
        ("usage", "/app/usage".to_owned()),
        ("scheduled", "/app/scheduled".to_owned()),
        ("groups", "/app/groups".to_owned()),
        ("group", format!("/app/groups/{device}/{group}")),
        ("plans", "/app/plans".to_owned()),
        ("vouchers", "/app/vouchers".to_owned()),
        ("audit", "/app/audit".to_owned()),
        ("account", format!("/app/accounts/{}", account.get("/v1/me").await["account"]["id"])),
        ("portal", format!("/portal/{portal}")),
        ("devices", "/app/devices".to_owned()),
        ("device", format!("/app/devices/{device}")),
        ("pair", format!("/app/devices/{}/pair", unlinked["id"].as_str().unwrap())),
        ("delete", format!("/app/devices/{device}/delete")),
        ("send", "/app/send".to_owned()),
        ("messages", "/app/messages".to_owned()),
        ("message", message),
        ("people", "/app/people".to_owned()),
        ("accounts", "/app/accounts".to_owned()),
        ("login", "/login".to_owned()),
    ];
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    std::fs::create_dir_all(&pictures).unwrap();
    let axe = axe();
    for lang in ["en", "id"] {
        open(&mut browser, &demo, &format!("/app/language/{lang}")).await;
        for (name, path) in &pages {
            for (scheme, width) in SCHEMES.iter().flat_map(|s| WIDTHS.map(|width| (s, width))) {
                browser.show_as(scheme, width).await;
                open(&mut browser, &demo, path).await;
                assert_eq!(browser.evaluate("document.documentElement.lang").await, lang);
                if *name == "send" {
                    show_the_chat(&mut browser).await;
                }
                let picture = browser.picture().await;
                let file = format!("{name}-{lang}-{scheme}-{width}.png");
                std::fs::write(pictures.join(file), picture).unwrap();
                browser.evaluate(&axe).await;
                let verdict = browser.evaluate(JUDGE).await;
                let expected = json!({ "violations": [], "is_too_wide": false });
                assert_eq!(verdict, expected, "{path}, {lang}, {scheme}, {width} px");
            }
        }
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
