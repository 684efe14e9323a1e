//! Every page of the dashboard as axe-core judges it, in both languages, light and dark, at both widths; a
//! picture of each is kept in the target directory.

use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use super::accessibility::{JUDGE, SCHEMES, WIDTHS, axe};
use super::chromium::Chromium;
use super::dashboard::{fill, open, path, send, signed_in, submit};
use crate::demo::{Demo, the_device};
use crate::support::wait::until;

/// A page's name, and where it is.
type Page = (&'static str, String);

/// Where the pictures are kept.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Judges the page as it is now, and keeps its picture.
async fn judge(browser: &mut Chromium, axe: &str, name: &str) {
    std::fs::write(folder().join(format!("{name}.png")), browser.picture().await).unwrap();
    browser.evaluate(axe).await;
    let verdict = browser.evaluate(JUDGE).await;
    assert_eq!(verdict, json!({ "violations": [], "is_too_wide": false }), "{name}");
}

/// Judges a page that cannot be opened again, such as the answer to a form.
pub async fn judge_answer(browser: &mut Chromium, name: &str) {
    let axe = axe();
    for (scheme, width) in SCHEMES.iter().flat_map(|s| WIDTHS.map(|width| (s, width))) {
        browser.show_as(scheme, width).await;
        judge(browser, &axe, &format!("{name}-{scheme}-{width}")).await;
    }
}

async fn judge_all(browser: &mut Chromium, demo: &Demo, pages: &[Page]) {
    let axe = axe();
    for lang in ["en", "id"] {
        open(browser, demo, &format!("/app/language/{lang}")).await;
        for (name, path) in pages {
            for (scheme, width) in SCHEMES.iter().flat_map(|s| WIDTHS.map(|width| (s, width))) {
                browser.show_as(scheme, width).await;
                open(browser, demo, path).await;
                assert_eq!(browser.evaluate("document.documentElement.lang").await, lang);
                if *name == "send" {
                    show_the_chat(browser).await;
                }
                judge(browser, &axe, &format!("{name}-{lang}-{scheme}-{width}")).await;
            }
        }
    }
}

/// Opens the chat on the simulated phone beside the composer.
async fn show_the_chat(browser: &mut Chromium) {
    const PHONE: &str = "document.querySelector('iframe').contentDocument";
    browser.wait_for(&format!("{PHONE}.querySelector('#chats button')")).await;
    browser.evaluate(&format!("{PHONE}.querySelector('#chats button').click(); 0")).await;
    browser.wait_for(&format!("{PHONE}.querySelector('#messages li')")).await;
}

/// The demo's account with a message each way, a group, a webhook, links and a key.
async fn pages(browser: &mut Chromium, demo: &Demo) -> Vec<Page> {
    send(browser, demo, "Selamat pagi, pesanan Ibu sudah siap.").await;
    let message = path(browser).await;
    let (account, device) = (demo.account(), the_device(demo).await);
    let reply = json!({ "to": device["phone"], "text": "Terima kasih, saya ambil sore ini." });
    let device = device["id"].as_str().unwrap();
    let unlinked = account.post("/v1/devices", json!({ "name": "Gudang" })).await;
    let unlinked = unlinked["id"].as_str().unwrap();
    let webhook = json!({ "url": "https://example.com/hook", "events": ["message.received"] });
    let webhook = account.post("/v1/webhooks", webhook).await["id"].clone();
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), reply).await;
    let delivery = until("the answer comes in, and goes to the webhook", 30, async || {
        let list = account.get(&format!("/v1/webhooks/{webhook}/deliveries")).await;
        list["data"][0]["id"].as_i64()
    })
    .await;
    let first = account.get("/v1/messages").await["data"][0]["created_at"].clone();
    let tomorrow = first.as_str().unwrap().parse::<Timestamp>().unwrap() + 24.hours();
    let later = json!({
        "device": device, "to": demo.phone, "text": "Pengingat", "schedule_at": tomorrow.to_string(),
    });
    account.post("/v1/messages", later).await;
    let group = json!({ "subject": "Panitia", "participants": [demo.phone] });
    let group = account.post(&format!("/v1/devices/{device}/groups"), group).await;
    let group = group["id"].as_str().unwrap();
    let (portal, pairing) = (portal(demo, device).await, portal(demo, unlinked).await);
    let chat = format!("/app/chats/{device}/{}%40s.whatsapp.net", demo.phone);
    open(browser, demo, "/app/people").await;
    submit(browser, "form[action='/app/people/invite']").await;
    let me = account.get("/v1/me").await;
    vec![
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
        ("delivery", format!("/app/webhooks/{webhook}/deliveries/{delivery}")),
        ("keys", "/app/keys".to_owned()),
        ("usage", "/app/usage".to_owned()),
        ("scheduled", "/app/scheduled".to_owned()),
        ("groups", "/app/groups".to_owned()),
        ("group", format!("/app/groups/{device}/{group}")),
        ("group-leave", format!("/app/groups/{device}/{group}/leave")),
        ("plans", "/app/plans".to_owned()),
        ("vouchers", "/app/vouchers".to_owned()),
        ("audit", "/app/audit".to_owned()),
        ("account", format!("/app/accounts/{}", me["account"]["id"])),
        ("settings", "/app/settings".to_owned()),
        ("portal", portal),
        ("portal-pair", pairing),
        ("portal-over", "/portal/device/gbp_none".to_owned()),
        ("join-over", "/app/join/none".to_owned()),
        ("nothing", "/app/nothing".to_owned()),
        ("devices", "/app/devices".to_owned()),
        ("device", format!("/app/devices/{device}")),
        ("device-more", format!("/app/devices/{device}/more")),
        ("pair", format!("/app/devices/{unlinked}/pair")),
        ("delete", format!("/app/devices/{device}/delete")),
        ("send", "/app/send".to_owned()),
        ("messages", "/app/messages".to_owned()),
        ("message", message.clone()),
        ("revoke", format!("{message}/revoke")),
        ("people", "/app/people".to_owned()),
        ("accounts", "/app/accounts".to_owned()),
        ("login", "/login".to_owned()),
    ]
}

/// The path of a link that allows everything.
async fn portal(demo: &Demo, device: &str) -> String {
    let link = json!({ "expires_in_s": 3600, "may": ["pair", "read", "send"] });
    let link = demo.account().post(&format!("/v1/devices/{device}/portal-links"), link).await;
    let url = link["url"].as_str().unwrap();
    format!("/portal/{}", url.split_once("/portal/").unwrap().1)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_dashboard_passes_axe() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    let pages = pages(&mut browser, &demo).await;
    judge_all(&mut browser, &demo, &pages).await;
    let complaints = browser.complaints().await;
    let is_expected = |complaint: &String| complaint.contains("404 (Not Found)");
    assert_eq!(complaints.into_iter().find(|complaint| !is_expected(complaint)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_pages_of_a_new_account_pass_axe() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    submit(&mut browser, "form[action='/app/leave']").await;
    open(&mut browser, &demo, "/app/accounts").await;
    fill(&mut browser, "#name", "Toko baru").await;
    fill(&mut browser, "#email", "baru@example.com").await;
    submit(&mut browser, "form[method=post][action='/app/accounts']").await;
    open(&mut browser, &demo, "/app/accounts").await;
    let enter =
        "[...document.querySelectorAll('tr')].find(row => row.innerText.includes('Toko baru'))
        .querySelector('form[action$=\"/enter\"]').requestSubmit(); 0";
    browser.go_by(enter).await;
    let pages = [
        ("new-start", "/app"),
        ("new-devices", "/app/devices"),
        ("new-send", "/app/send"),
        ("new-chats", "/app/chats"),
        ("new-messages", "/app/messages"),
        ("new-groups", "/app/groups"),
        ("new-scheduled", "/app/scheduled"),
        ("new-usage", "/app/usage"),
        ("new-webhooks", "/app/webhooks"),
        ("new-keys", "/app/keys"),
        ("new-people", "/app/people"),
        ("new-audit", "/app/audit"),
    ];
    let pages = pages.map(|(name, path)| (name, path.to_owned()));
    judge_all(&mut browser, &demo, &pages).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
