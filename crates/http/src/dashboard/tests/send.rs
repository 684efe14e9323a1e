//! The page Send: what it carries, and the same as code.

use domain::content::Content;
use domain::media::INLINE_MEDIA_BYTES_MAX;
use domain::message::{ContentKind, Message};
use domain::ports::{MessageFilter, PageRequest};
use serde_json::Value;

use super::super::contents::{Carries, SendForm};
use super::super::copy_as;
use super::super::samples::Call;
use super::*;

impl Browser<'_> {
    /// Sends a form with parts, and a file where one is given.
    async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file: Option<(&str, &[u8])>,
    ) -> TestResponse {
        let mut body = Vec::new();
        for (name, value) in [fields, &[("csrf", &self.csrf)]].concat() {
            let part = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
            body.extend_from_slice(format!("--x\r\n{part}\r\n").as_bytes());
        }
        let (name, bytes) = file.unwrap_or_default();
        let part = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"");
        body.extend_from_slice(format!("--x\r\n{part}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let ask = Ask::new(axum::http::Method::POST, path).raw(body);
        let ask = ask.header("content-type", "multipart/form-data; boundary=x");
        ask.header("cookie", &self.cookie).of(&self.app.router).await
    }
}

async fn newest(app: &App) -> Message {
    let page = PageRequest { before: None, limit: 1 };
    let filter = MessageFilter::default();
    app.store.messages(app.shop.id, &filter, page).await.unwrap().items.remove(0)
}

#[tokio::test]
async fn every_content_goes() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let send = async |fields: &[(&'static str, &'static str)], file| {
        let mut all = vec![("device", device.as_str()), ("to", "0812345678"), ("key", "k")];
        all.extend_from_slice(fields);
        owner.upload("/app/send", &all, file).await.expect(303);
        newest(&app).await
    };
    let png: &[u8] = b"\x89PNG\r\n\x1a\n--x";
    let fields = [("kind", "file"), ("text", "Hi")];
    let message = send(&fields, Some(("C:\\tmp\\<b>.png", png))).await;
    assert_eq!((message.kind(), message.text()), (ContentKind::Document, "Hi"));
    assert_eq!(message.media().unwrap().filename.as_deref(), Some("<b>.png"));
    assert_eq!(message.media().unwrap().size, Some(u64::try_from(png.len()).unwrap()));
    let count = app.message_count().await;
    assert_eq!(send(&fields, Some(("<b>.png", png))).await.id, message.id, "sent twice");
    assert_eq!(app.message_count().await, count);
    assert_ne!(send(&fields, Some(("<b>.png", b"other"))).await.id, message.id);
    let page = owner.get(&format!("/app/messages/{}", message.id)).await.expect(200).text();
    assert!(page.contains("&lt;b&gt;.png") && !page.contains("<b>.png"));

    let url = [("kind", "file"), ("url", "https://example.com/a.mp3"), ("file_kind", "voice")];
    assert_eq!(send(&url, None).await.kind(), ContentKind::Voice);
    let place = [("kind", "location"), ("point", "-6.2, 106.8"), ("place", "Monas")];
    let message = send(&place, None).await;
    let location = message.content.location().unwrap();
    assert_eq!((location.latitude, location.longitude), (-6.2, 106.8));
    assert_eq!(location.name.as_deref(), Some("Monas"));
    let contact = [("kind", "contact"), ("contact", "Sri"), ("phone", "+62 812")];
    let message = send(&contact, None).await;
    let Content::Contacts(contacts) = &message.content else { panic!("{message:?}") };
    assert_eq!((contacts[0].name.as_str(), contacts[0].phone.as_deref()), ("Sri", Some("+62 812")));
    let poll =
        [("kind", "poll"), ("question", "When?"), ("options", "Mon\r\n\r\nTue"), ("several", "1")];
    let message = send(&poll, None).await;
    let Content::Poll(poll) = &message.content else { panic!("{message:?}") };
    assert_eq!((poll.options.as_slice(), poll.selectable), (&["Mon".into(), "Tue".into()][..], 0));
}

#[tokio::test]
async fn several_contacts_go_in_one_message_and_a_text_mentions_people() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let group = "120363041234567890@g.us";
    let contact = [("kind", "contact"), ("contact", "Sri"), ("phone", "0812345678")];
    let of = |to: &'static str, fields: &[(&'static str, &'static str)]| {
        let mut all = vec![("to", to), ("key", "k")];
        all.extend_from_slice(fields);
        all
    };
    let send = async |fields: Vec<(&str, &str)>| {
        let all = [&fields[..], &[("device", device.as_str())]].concat();
        owner.upload("/app/send", &all, None).await
    };
    let more =
        [&contact[..], &[("contacts", "Budi;0812345679;Toko Maju\nAni;0812345680")]].concat();
    send(of("0812345678", &more)).await.expect(303);
    let Content::Contacts(contacts) = newest(&app).await.content else { panic!("no contacts") };
    let names: Vec<&str> = contacts.iter().map(|contact| contact.name.as_str()).collect();
    assert_eq!(names, ["Sri", "Budi", "Ani"]);
    assert_eq!(contacts[1].organization.as_deref(), Some("Toko Maju"));
    let page = owner.get(&format!("/app/messages/{}", newest(&app).await.id)).await.expect(200);
    assert!(page.text().contains("Budi +62812345679 · Toko Maju</p>"));
    let page = send(of("0812345678", &[&more[..], &[("act", "code")]].concat())).await;
    assert!(page.expect(200).text().contains("Toko Maju&quot;"));

    let mentions = [("text", "Halo @62812345678"), ("mentions", "@0812345678, semua")];
    let sent = send(of(group, &mentions)).await.expect(303);
    let mentioned = newest(&app).await.context.mentions;
    assert!(mentioned.all && mentioned.people == ["62812345678"], "{mentioned:?}");
    let page = owner.get(sent.header("location")).await.expect(200).text();
    assert!(page.contains("<dd>everybody, +62812345678</dd>"), "{page}");
    let page = send(of(group, &[&mentions[..], &[("act", "code")]].concat())).await;
    assert!(page.expect(200).text().contains("&quot;mentions&quot;:[&quot;0812345678&quot;"));

    let count = app.message_count().await;
    let many = "a;0812345678\n".repeat(10);
    let many: &'static str = many.leak();
    for (fields, field, words) in [
        (&[&contact[..], &[("contacts", "Budi")]].concat()[..], "contacts", "Line 1: write name"),
        (
            &[&contact[..], &[("contacts", "a;0812345678\nb;x")]].concat()[..],
            "contacts",
            "Contact 3:",
        ),
        (&[&contact[..], &[("contacts", many)]].concat()[..], "contacts", "1 to 10"),
        (&[("text", "Hi"), ("mentions", "semua")], "mentions", "group only"),
        (&[("text", "Hi"), ("mentions", "Budi")], "mentions", "phone numbers"),
    ] {
        let page = send(of("0812345678", fields)).await.expect(422).text();
        let (_, said) = page.split_once(&format!("id=\"{field}-fault\"")).expect(words);
        assert!(said.split("</span>").next().unwrap().contains(words), "{words}: {said}");
    }
    assert_eq!(app.message_count().await, count);
}

#[tokio::test]
async fn what_is_missing_is_said_beside_its_field() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    for (fields, field, words) in [
        (&[("kind", "text")][..], "text", "Write a text."),
        (&[("kind", "file")], "file", "Choose a file"),
        (&[("kind", "file"), ("url", "ftp://x")], "url", "http"),
        (&[("kind", "location"), ("point", "Monas")], "point", "latitude"),
        (&[("kind", "contact"), ("phone", "1")], "contact", "name"),
        (&[("kind", "contact"), ("contact", "a")], "phone", "phone number"),
        (&[("kind", "poll"), ("options", "a\nb")], "question", "question"),
        (&[("kind", "poll"), ("question", "a"), ("options", "b")], "options", "two answers"),
        (&[("kind", "poll"), ("question", "a"), ("options", "b\nb")], "options", "different"),
        (
            &[("kind", "text"), ("text", "a"), ("schedule_at", "1999-01-01T10:00")],
            "schedule_at",
            "366",
        ),
    ] {
        let mut all = vec![("device", device.as_str()), ("to", "0812345678"), ("key", "k")];
        all.extend_from_slice(fields);
        let page = owner.upload("/app/send", &all, None).await.expect(422).text();
        let (_, said) = page.split_once(&format!("id=\"{field}-fault\"")).expect(field);
        assert!(said.split("</span>").next().unwrap().contains(words), "{field}: {said}");
    }
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_refused_in_words() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let fields =
        [("device", device.as_str()), ("to", "0812345678"), ("key", "k"), ("kind", "file")];
    let file = vec![0; INLINE_MEDIA_BYTES_MAX + 1];
    let page = owner.upload("/app/send", &fields, Some(("a", &file))).await.expect(422).text();
    assert!(page.contains("at most 16 MB can be uploaded. Larger ones, up to 100 MB"), "{page}");
    assert!(page.contains("0812345678"), "what was filled in stays");
    let file = vec![0; 101 * 1024 * 1024];
    let page = owner.upload("/app/send", &fields, Some(("a", &file))).await.expect(413).text();
    assert!(page.contains("at most 16 MB can be uploaded"), "{page}");
    let list = ("to", "0812345678\n0812345679\n0812345680");
    let fields = [("device", device.as_str()), list, ("key", "k"), ("kind", "file")];
    let file = vec![0; INLINE_MEDIA_BYTES_MAX];
    let page = owner.upload("/app/send", &fields, Some(("a", &file))).await.expect(422).text();
    assert!(page.contains("For 3 receivers") && page.contains("can go to 2 at a time"), "{page}");
    let long = "08123456789\n".repeat(100_000);
    let fields = [("device", device.as_str()), ("to", &long), ("key", "k"), ("text", "x")];
    let page = owner.upload("/app/send", &fields, None).await.expect(422).text();
    assert!(page.contains("Line 1001: “08123456789” is beyond the 1,000"), "{}", page.len());
    assert_eq!(app.message_count().await, 0);
    let viewer = Browser::of(&app, app.shop.id, Role::Viewer).await;
    viewer.upload("/app/send", &fields, None).await.expect(403);
    let stolen = Browser { csrf: "0".repeat(32), ..viewer };
    stolen.upload("/app/send", &fields, None).await.expect(403);
}

/// Makes a call with the real keys.
async fn make(app: &App, call: &Call) -> TestResponse {
    let real = |text: &str| {
        let text = text.replace("YOUR_ACCOUNT_KEY", &app.shop.key);
        text.replace("YOUR_DEVICE_TOKEN", &app.front.token)
    };
    let body: Value = serde_json::from_str(&real(&call.body.to_string())).unwrap();
    let mut ask = Ask::post(call.url.strip_prefix("http://h").unwrap(), body);
    if let Some((name, value)) = &call.key {
        ask = ask.header(&name.to_lowercase(), &real(value));
    }
    ask.of(&app.router).await
}

#[tokio::test]
async fn every_api_takes_the_request_that_is_shown_for_it() {
    let app = app().await;
    let at = app.core.now() + jiff::SignedDuration::from_hours(2);
    let text = |text: &str| text.to_owned();
    for (kind, to, url, at, apis) in [
        (Carries::Text, "0812345678", "", None, 6),
        (Carries::Text, "120363041234567890@g.us", "", None, 6),
        (Carries::Text, "0812345678", "", Some(at), 2),
        (Carries::File, "0812345678", "https://example.com/a.jpg", None, 6),
        (Carries::File, "120363041234567890@g.us", "https://example.com/a.jpg", None, 6),
        (Carries::File, "0812345678", "", Some(at), 2),
        (Carries::Location, "0812345678", "", None, 1),
        (Carries::Contact, "0812345678", "", None, 1),
        (Carries::Poll, "0812345678", "", None, 1),
    ] {
        let (name, texts) = (kind.as_str(), if kind == Carries::Text { "Hi" } else { "" });
        let form = SendForm {
            kind,
            to: text(to),
            url: text(url),
            text: text(texts),
            file_kind: text("image"),
            point: text("-6.2, 106.8"),
            contact: text("Sri"),
            phone: text("628123"),
            question: text("When?"),
            options: text("Mon\nTue"),
            ..SendForm::default()
        };
        let calls = copy_as::calls("http://h", &app.front.device, &form, at);
        assert_eq!(calls.len(), apis, "{name}");
        for call in calls {
            let before = app.message_count().await;
            let answer = make(&app, &call).await;
            let (status, text) = (answer.status, answer.text());
            assert!(status.is_success(), "{name} to {to}, {}: {status} {text}", call.api);
            assert_eq!(app.message_count().await, before + 1, "{name}, {}: {text}", call.api);
            let expected = match kind {
                Carries::Text => ContentKind::Text,
                Carries::File if call.api == "WAChat" => ContentKind::Document,
                Carries::File => ContentKind::Image,
                Carries::Location => ContentKind::Location,
                Carries::Contact => ContentKind::Contact,
                Carries::Poll => ContentKind::Poll,
            };
            assert_eq!(newest(&app).await.kind(), expected, "{name}, {}", call.api);
        }
    }
}

#[tokio::test]
async fn the_code_is_of_the_chosen_language_and_of_the_form() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let show = async |sample| {
        let fields = [
            ("device", device.as_str()),
            ("to", "0812345678"),
            ("kind", "text"),
            ("text", "<Hi>"),
            ("act", "code"),
            ("sample", sample),
        ];
        owner.upload("/app/send", &fields, None).await.expect(200).text()
    };
    for (sample, line) in [
        ("php", "curl_init("),
        ("python", "urllib.request.Request("),
        ("node", "await fetch("),
        ("go", "http.NewRequest("),
        ("ruby", "Net::HTTP.post("),
        ("curl", "curl http://localhost/v1/messages"),
    ] {
        let page = show(sample).await;
        assert!(page.contains(line), "{sample}: {page}");
        assert!(page.contains(&device) && page.contains("628111111111"), "{sample}");
        assert!(page.contains("&lt;Hi&gt;") && !page.contains("<Hi>"), "{sample}");
    }
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn every_list_is_shown_before_it_goes_and_names_its_faulty_lines() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let send = async |to: &str, text: &str, act: &str| {
        let fields =
            [("device", device.as_str()), ("to", to), ("text", text), ("key", "k"), ("act", act)];
        owner.upload("/app/send", &fields, None).await
    };
    let stray = "number,name\n628123456789,\"Ani\n628123456780,Budi\n628123456781,Cici";
    for act in ["", "all"] {
        let page = send(stray, "Hi {name}", act).await.expect(422).text();
        assert!(page.contains("Line 2: “&quot;Ani” this quote is not closed"), "{page}");
    }
    let list = "number,name\n628123456789,A\n628123456780,\n628123456781,B";
    for act in ["", "all"] {
        let page = send(list, "{name}", act).await.expect(422).text();
        assert!(page.contains("Line 3: “628123456780” its text is empty"), "{page}");
        let long = format!("{{name}}{}", "x".repeat(65_536));
        let page = send(list, &long, act).await.expect(422).text();
        assert!(page.contains("Line 2: “628123456789” its text has more than"), "{}", page.len());
    }
    assert_eq!(app.message_count().await, 0);
    let one = "number,name\n628123456789,Ani";
    let page = send(one, "Hi {name}", "").await.expect(200).text();
    assert!(page.contains("One message will go") && page.contains("Hi Ani"), "{page}");
    assert_eq!(app.message_count().await, 0);
    let fields = [("device", device.as_str()), ("to", one), ("key", "k"), ("kind", "file")];
    let page = owner.upload("/app/send", &fields, Some(("a", b"x"))).await.expect(200).text();
    assert!(page.contains("One message will go"), "{page}");
    assert_eq!(app.message_count().await, 0);
    let sent = send(one, "Hi {name}", "all").await.expect(303);
    assert!(sent.header("location").starts_with("/app/messages/"), "{}", sent.header("location"));
    assert_eq!(newest(&app).await.text(), "Hi Ani");
    send("628123456780", "Hi", "").await.expect(303);
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn a_long_text_is_shown_in_part_and_whole() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let long = "😀".repeat(40_000) + "end";
    let fields = [("device", device.as_str()), ("to", "0812345678"), ("text", &long), ("key", "k")];
    let sent = owner.upload("/app/send", &fields, None).await.expect(303);
    let page = owner.get(sent.header("location")).await.expect(200).text();
    assert!(page.len() < 150_000 && page.contains("?whole=1"), "{}", page.len());
    let whole = owner.get(&format!("{}?whole=1", sent.header("location"))).await.expect(200).text();
    assert!(whole.contains("😀end") && !whole.contains("?whole=1"));
}

#[tokio::test]
async fn the_name_of_a_file_disguises_no_type() {
    let app = app().await;
    let owner = Browser::of(&app, app.shop.id, Role::Owner).await;
    let device = app.front.id().to_string();
    let fields =
        [("device", device.as_str()), ("to", "0812345678"), ("kind", "file"), ("key", "k")];
    let file = Some(("Faktur\u{202e}fdp.exe", &b"MZ"[..]));
    owner.upload("/app/send", &fields, file).await.expect(303);
    assert_eq!(newest(&app).await.media().unwrap().filename.as_deref(), Some("Fakturfdp.exe"));
    let body = serde_json::json!({
        "device": device, "to": "0812345678",
        "media": {"url": "https://example.com/a", "kind": "document", "filename": "\u{2067}a.pdf"},
    });
    Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await.expect(202);
    assert_eq!(newest(&app).await.media().unwrap().filename.as_deref(), Some("a.pdf"));
}
