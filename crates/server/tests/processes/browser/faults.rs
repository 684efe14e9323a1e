//! What goes wrong around a page: a lost stream, a restart, a form that is sent twice, files and lists that are
//! too large, somebody who may not, a link that was withdrawn, and that blocked code is noticed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::chromium::Chromium;
use super::dashboard::{HOSTILE, fill, open, path, signed_in, submit};
use crate::demo::{Demo, the_device};
use crate::support::wait::until;

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A message of the simulated phone to the device.
async fn write(demo: &Demo, mut message: Value) {
    message["to"] = the_device(demo).await["phone"].clone();
    demo.simulator().post(&format!("/phones/{}/send", demo.phone), message).await;
}

async fn sent(demo: &Demo) -> usize {
    demo.account().all("/v1/messages?direction=out").await.len()
}

async fn text(browser: &mut Chromium) -> String {
    browser.evaluate("document.body.innerText").await.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_stream_comes_back_catches_up_and_says_that_the_gateway_was_restarted() {
    let data = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    open(&mut browser, &demo, "/app/messages").await;
    write(&demo, json!({ "text": "before" })).await;
    browser.wait_for("document.body.innerText.includes('before')").await;
    assert!(demo.process.stop().await.success());
    browser.wait_for("!document.querySelector('#stream-state').hidden").await;
    assert!(text(&mut browser).await.contains("cannot be reached"));
    let listen = demo.base.trim_start_matches("http://").to_owned();
    let demo = Demo::start_at(data.path(), &listen).await;
    browser.wait_for("document.body.innerText.includes('was restarted')").await;
    write(&demo, json!({ "text": "after" })).await;
    browser.wait_for("document.body.innerText.includes('after')").await;
    // Hidden, the page hears nothing; seen again, it looks.
    let lost = browser.complaints().await;
    assert!(lost.iter().all(|complaint| complaint.contains("ERR_")), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_twice_or_is_too_large_leaves_nothing_half_done() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    let before = sent(&demo).await;
    fill(&mut browser, "#to", &demo.phone).await;
    fill(&mut browser, "#text", "sekali saja").await;
    let statuses = browser
        .evaluate(
            "(async () => {
                const form = document.querySelector('form[action=\"/app/send\"]');
                const post = () => fetch(form.action, { method: 'POST', body: new FormData(form) });
                return (await Promise.all([post(), post()])).map(({ status, url }) => `${status} ${url}`);
            })()",
        )
        .await;
    assert_eq!(statuses[0], statuses[1], "both lead to the same message");
    assert_eq!(sent(&demo).await, before + 1);

    let posted = |fields: &str| {
        format!(
            "(async () => {{
                const body = new FormData(document.querySelector('form[action=\"/app/send\"]'));
                {fields}
                const answer = await fetch('/app/send', {{ method: 'POST', body }});
                return `${{answer.status}} ${{await answer.text()}}`;
            }})()"
        )
    };
    open(&mut browser, &demo, "/app/send").await;
    let huge = "body.set('to', '0812345678'); body.set('kind', 'file');
        body.set('file', new File([new Uint8Array(101 * 1024 * 1024)], 'besar.bin'));";
    let many = "body.set('to', '08123456789\\n'.repeat(100000)); body.set('text', 'x');";
    let sheet = "body.set('to', '\\ufeffnama;nomor\\n\"Budi \"\"B\"\"\";6.28E+12\\nAni;0812345678\\n;halo');
        body.set('text', '{nama}');";
    for (fields, status, words) in [
        (huge, "413", vec!["at most 16 MB"]),
        (many, "422", vec!["Line 1001"]),
        (sheet, "422", vec!["Line 2", "Line 4"]),
    ] {
        let answer = browser.evaluate(&posted(fields)).await;
        let answer = answer.as_str().unwrap();
        assert!(answer.starts_with(status), "{fields}: {}", &answer[..answer.len().min(300)]);
        assert!(words.iter().all(|word| answer.contains(word)), "{fields}: {answer}");
    }
    // The page itself says so before anything is sent.
    let said = browser
        .evaluate(
            "(() => {
                const field = document.querySelector('input[type=file]');
                const files = new DataTransfer();
                files.items.add(new File([new Uint8Array(17 * 1024 * 1024)], 'besar.bin'));
                field.files = files.files;
                field.dispatchEvent(new Event('change', { bubbles: true }));
                return field.validationMessage;
            })()",
        )
        .await;
    assert!(said.as_str().unwrap().contains("16 MB"), "{said}");
    assert_eq!(sent(&demo).await, before + 1, "nothing was half sent");
    let refused = browser.complaints().await;
    assert!(refused.iter().all(|it| it.contains("413") || it.contains("422")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_may_send_and_no_more_and_a_withdrawn_link_shows_nothing() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    let device = the_device(&demo).await["id"].as_str().unwrap().to_owned();
    let links = format!("/v1/devices/{device}/portal-links");
    let link = json!({ "expires_in_s": 60, "may": ["read"] });
    let link = demo.account().post(&links, link).await;
    let portal = link["url"].as_str().unwrap().split_once("/portal/").unwrap().1.to_owned();
    let portal = format!("/portal/{portal}");
    open(&mut browser, &demo, "/app/people").await;
    browser.evaluate("document.querySelector('#role').value = 'member'; 0").await;
    submit(&mut browser, "form[action='/app/people/invite']").await;
    let invitation = browser.evaluate("document.querySelector('.secret code').innerText").await;

    let mut member = Chromium::start().await;
    member.open(invitation.as_str().unwrap()).await;
    fill(&mut member, "#email", "anggota@example.com").await;
    fill(&mut member, "#password", "kata sandi panjang").await;
    submit(&mut member, "form.stack").await;
    assert_eq!(path(&mut member).await, "/app");
    let menu = "[...document.querySelectorAll('nav a')].map(link => link.pathname).join(' ')";
    let menu = member.evaluate(menu).await.as_str().unwrap().to_owned();
    assert!(menu.contains("/app/send") && menu.contains("/app/chats"), "{menu}");
    for hidden in ["/app/keys", "/app/webhooks", "/app/people", "/app/accounts", "/app/gateway"] {
        assert!(!menu.contains(hidden), "{menu}");
    }
    for (page, words) in [
        ("/app/keys", "Your role does not allow this"),
        ("/app/people", "Your role does not allow this"),
        ("/app/gateway", "Your role does not allow this"),
        (&*format!("/app/devices/{device}/delete"), "Your role does not allow this"),
    ] {
        open(&mut member, &demo, page).await;
        assert!(text(&mut member).await.contains(words), "{page}");
    }
    open(&mut member, &demo, &portal).await;
    assert!(text(&mut member).await.contains("This link ends"));
    let revoke = format!("{links}/{}", link["id"]);
    demo.account().try_call("DELETE", &revoke, None).await.unwrap().ok();
    open(&mut member, &demo, &portal).await;
    let over = text(&mut member).await;
    assert!(over.contains("This link is over") && !over.contains(&demo.phone), "{over}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_shows_pictures_is_answered_and_read() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    open(&mut browser, &demo, "/app/chats").await;
    let media =
        json!({ "media": { "base64": PIXEL, "mimetype": "image/png", "caption": HOSTILE } });
    write(&demo, media).await;
    browser.wait_for("document.querySelector('.talks a')").await;
    browser.go_by("document.querySelector('.talks a').click(); 0").await;
    browser.wait_for("document.querySelector('.bubbles img')?.naturalWidth === 1").await;
    assert_eq!(browser.evaluate("window.ran === undefined").await, true);
    write(&demo, json!({ "text": "Masih ada?" })).await;
    browser.wait_for("document.body.innerText.includes('Masih ada?')").await;
    submit(&mut browser, "#unread form").await;
    assert_eq!(browser.evaluate("document.querySelector('#unread form')").await, Value::Null);

    let answer = "[...document.querySelectorAll('.bubbles .foot a')].at(-1).click(); 0";
    browser.go_by(answer).await;
    browser.wait_for("document.querySelector('#write blockquote')").await;
    fill(&mut browser, "#text", "Masih!").await;
    submit(&mut browser, "#write form:last-of-type").await;
    browser.wait_for("document.querySelector('.bubbles').innerText.includes('Masih!')").await;
    until("the answer is on the phone", 30, async || {
        let inbox = demo.simulator().get(&format!("/phones/{}/inbox", demo.phone)).await;
        inbox.as_array().unwrap().iter().any(|row| row["text"] == "Masih!").then_some(())
    })
    .await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// A picture that would run code, were it shown as one.
const SVG: &str = "<svg xmlns='http://www.w3.org/2000/svg' onload='window.ran=1'><script>window.ran=1</script></svg>";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_code_in_it_and_in_its_name_is_downloaded_and_never_run() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    for (kind, mimetype, content) in
        [("document", "image/svg+xml", SVG), ("document", "text/html", HOSTILE)]
    {
        let base64 = STANDARD.encode(content);
        let name = format!("{HOSTILE}.svg");
        let media =
            json!({ "kind": kind, "base64": base64, "mimetype": mimetype, "filename": name });
        write(&demo, json!({ "media": media })).await;
    }
    let files = until("both files are stored", 30, async || {
        let list = demo.account().get("/v1/messages?direction=in").await["data"].clone();
        let stored = list.as_array().unwrap().iter().filter(|it| it["media"]["state"] == "stored");
        let files: Vec<_> =
            stored.map(|it| (it["id"].clone(), it["media"]["url"].clone())).collect();
        (files.len() == 2).then_some(files)
    })
    .await;
    let device = the_device(&demo).await["id"].as_str().unwrap().to_owned();
    let chat = format!("/app/chats/{device}/{}%40s.whatsapp.net", demo.phone);
    let messages = files.iter().map(|(id, _)| format!("/app/messages/{id}"));
    for page in ["/app/messages".to_owned(), chat].into_iter().chain(messages) {
        open(&mut browser, &demo, &page).await;
        assert_eq!(browser.evaluate("window.ran === undefined").await, true, "{page}");
        assert_eq!(browser.evaluate("document.querySelectorAll('main svg').length").await, 0);
    }
    for (_, url) in files {
        let headers = browser
            .evaluate(&format!(
                "fetch({url}).then(({{ headers }}) => ['content-disposition', 'content-security-policy',
                    'x-content-type-options'].map(name => headers.get(name) ?? '').join(' | '))"
            ))
            .await;
        let headers = headers.as_str().unwrap();
        for part in ["attachment", "sandbox", "nosniff"] {
            assert!(headers.contains(part), "{url}: {headers}");
        }
    }
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_the_policy_blocks_is_a_complaint() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    for (what, code) in [
        (
            "a script",
            "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); 0",
        ),
        (
            "a style",
            "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>'); 0",
        ),
        (
            "a picture",
            "const i = new Image(); i.src = 'https://elsewhere.example/x.png'; document.body.append(i); 0",
        ),
    ] {
        browser.evaluate(code).await;
        let complaints = browser.complaints().await.join(" ");
        assert!(complaints.contains("Content Security Policy"), "{what}: {complaints}");
    }
    assert_eq!(browser.evaluate("window.ran === undefined").await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_device_or_link_is_gone_says_so_and_never_that_the_gateway_is() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    let made = demo.account().post("/v1/devices", json!({ "name": "sebentar" })).await;
    let device = format!("/v1/devices/{}", made["id"].as_str().unwrap());
    let link = json!({ "expires_in_s": 3600, "may": ["pair"] });
    let link = demo.account().post(&format!("{device}/portal-links"), link).await;
    let portal = link["url"].as_str().unwrap().split_once("/portal/").unwrap().1.to_owned();
    let mut holder = Chromium::start().await;
    open(&mut holder, &demo, &format!("/portal/{portal}")).await;
    open(&mut browser, &demo, &device.replace("/v1", "/app")).await;
    for page in [&mut browser, &mut holder] {
        page.wait_for("document.body.innerText.includes('sebentar')").await;
    }
    demo.account().try_call("DELETE", &device, None).await.unwrap().ok();
    browser.wait_for("document.body.innerText.includes('There is no such thing here')").await;
    holder.wait_for("document.body.innerText.includes('This link is over')").await;
    for page in [&mut browser, &mut holder] {
        assert!(!text(page).await.contains("cannot be reached"));
        assert!(page.complaints().await.iter().all(|it| it.contains("404") || it.contains("ERR_")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_a_conversation_begins_at_its_newest_message() {
    let data = tempfile::tempdir().unwrap();
    let demo = Demo::start(data.path()).await;
    let mut browser = signed_in(&demo).await;
    for n in 1..=30 {
        write(&demo, json!({ "text": format!("pesan {n}") })).await;
    }
    let device = the_device(&demo).await["id"].as_str().unwrap().to_owned();
    browser.show_as("light", 390).await;
    let chat = format!("/app/chats/{device}/{}%40s.whatsapp.net", demo.phone);
    until("all have come", 30, async || {
        (demo.account().all("/v1/messages?direction=in").await.len() >= 30).then_some(())
    })
    .await;
    open(&mut browser, &demo, &chat).await;
    let is_seen = "['.bubbles li:last-child', '#write textarea'].every(part => {
        const { top, bottom } = document.querySelector(part).getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
    })";
    assert_eq!(browser.evaluate(is_seen).await, true);
}
