//! The dashboard in a real browser: from the printed link to a message that was read.

use serde_json::{Value, json};

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
pub async fn send(browser: &mut Chromium, demo: &Demo, text: &str) {
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
    submit(&mut browser, "form[method=post][action='/app/devices']").await;
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
