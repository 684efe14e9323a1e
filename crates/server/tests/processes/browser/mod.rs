//! The simulated phone's page in a real browser: a message appears without reload, its answer
//! arrives.

mod accessibility;
mod chromium;
mod dashboard;
mod faults;
mod pictures;
mod story;

use crate::demo::Demo;
use crate::support::wait::until;
use chromium::Chromium;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_appears_live_and_the_reply_box_answers_it() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = Chromium::start().await;
    browser.open(&demo.phone_page).await;
    browser.evaluate("window.notReloaded = true").await;

    demo.paste(&demo.curls[0]).await;
    browser.wait_for("document.body.innerText.includes('Hello from /v1')").await;
    browser.evaluate("document.querySelector('#chats button').click()").await;
    let log = "document.getElementById('messages').innerText";
    browser.wait_for(&format!("{log}.includes('Hello from /v1')")).await;
    assert_eq!(browser.evaluate("window.notReloaded === true").await, true, "it was reloaded");

    browser.wait_for("!document.getElementById('text').disabled").await;
    browser.evaluate(TYPE_AND_SEND).await;
    browser.wait_for(&format!("{log}.includes('typed in a browser')")).await;
    until("the reply comes in at /v1", 30, async || {
        let list = demo.account().get("/v1/messages?direction=in").await;
        let rows = list["data"].as_array().unwrap().clone();
        rows.iter().any(|row| row["text"] == "typed in a browser").then_some(())
    })
    .await;

    // The chat is open now: what comes next appears in it by itself.
    demo.paste(&demo.curls[1]).await;
    browser.wait_for(&format!("{log}.includes('Hello from wagy')")).await;
    assert_eq!(browser.evaluate("window.notReloaded === true").await, true, "it was reloaded");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Fills the reply box as a person does and sends the form it is in.
const TYPE_AND_SEND: &str = "
    const box = document.getElementById('text');
    box.focus();
    document.execCommand('insertText', false, 'typed in a browser');
    box.form.requestSubmit();
";
