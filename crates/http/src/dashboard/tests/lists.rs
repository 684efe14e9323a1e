//! Sending to a list: what is shown before it goes, while it goes, and lists that come as files.

use domain::content::Content;
use domain::ids::MessageId;
use domain::message::{ContentKind, Message, MessageEvent, Waiting, WaitingReason};
use domain::person::Role;
use domain::ports::MessageFilter;

use super::{Browser, app};
use crate::tests::app::{ALL, App};
use crate::tests::exchange::{Ask, TestResponse};

impl Browser<'_> {
    /// Sends the form of the page Send, with files in its fields.
    async fn compose(
        &self,
        fields: &[(&str, &str)],
        files: &[(&str, &str, &[u8])],
    ) -> TestResponse {
        let device = self.app.front.id().to_string();
        let always = [("device", device.as_str()), ("key", "k"), ("csrf", self.csrf.as_str())];
        let mut body = Vec::new();
        for (name, value) in [fields, &always].concat() {
            let part = format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}");
            body.extend_from_slice(format!("--x\r\n{part}\r\n").as_bytes());
        }
        for (field, name, bytes) in files {
            let part = format!(
                "--x\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\r\n"
            );
            body.extend_from_slice(part.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--x--\r\n");
        let ask = Ask::new(axum::http::Method::POST, "/app/send").raw(body);
        let ask = ask.header("content-type", "multipart/form-data; boundary=x");
        ask.header("cookie", &self.cookie).of(&self.app.router).await
    }
}

async fn messages(app: &App) -> Vec<Message> {
    app.store.messages(app.shop.id, &MessageFilter::default(), ALL).await.unwrap().items
}

/// The figure of a name.
fn figure(page: &str, name: &str) -> String {
    let (_, rest) = page
        .split_once(&format!("<dt>{name}</dt><dd>"))
        .unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_list_shows_how_it_goes() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    member.compose(&[("to", "628999111200"), ("text", "before")], &[]).await.expect(303);
    let list = "628999111221\n628999111222\n628999111223\n628999111224\n628999111225";
    let fields = [("to", list), ("text", "Hi"), ("act", "all")];
    let sent = member.compose(&fields, &[]).await.expect(303);
    let path = sent.header("location").to_owned();
    member.compose(&[("to", "628999111201"), ("text", "after")], &[]).await.expect(303);
    let all = messages(&app).await;
    let ids: Vec<MessageId> = all.iter().rev().skip(1).take(5).map(|message| message.id).collect();
    assert_eq!(path, format!("/app/send/{}-{}", ids[0], ids[4]));
    let reason = WaitingReason::NotConnected;
    app.dispatcher.set_waiting(Waiting { reason, until: None });
    let page = member.get(&path).await.expect(200).text();
    assert!(
        page.contains("A list of 5 messages") && page.contains("data-live=\"message"),
        "{page}"
    );
    assert_eq!((figure(&page, "Waiting"), figure(&page, "Delivered")), ("5".into(), "0".into()));
    assert!(
        page.contains("5 · for the device&#39;s connection")
            || page.contains("5 · for the device's connection"),
        "{page}"
    );
    for event in [MessageEvent::Submitted, MessageEvent::Acknowledged] {
        app.follow(ids[0], event).await;
        app.follow(ids[1], event).await;
    }
    let whatsapp = all.iter().find(|message| message.id == ids[1]).unwrap().whatsapp_id.clone();
    let read = domain::message::Receipt::Read;
    app.store.record_receipts(app.front.id(), &[whatsapp], read, app.core.now()).await.unwrap();
    app.follow(ids[2], MessageEvent::Failed).await;
    let page = member.get(&path).await.expect(200).text();
    for (name, count) in [
        ("Waiting", "2"),
        ("Sent, not delivered yet", "1"),
        ("Delivered", "0"),
        ("Read", "1"),
        ("Not sent", "1"),
        ("Cancelled", "0"),
    ] {
        assert_eq!(figure(&page, name), count, "{name}");
    }
    assert!(page.contains("Of 5 messages 3 have left or ended"), "{page}");
    let (_, below) = page.split_once("What was not sent").expect("a list of what failed");
    assert!(below.contains(&format!("/app/messages/{}\"", ids[2])), "{below}");
    let (_, rest) = page.split_once("href=\"/app/messages?device=").unwrap();
    let query = rest.split('"').next().unwrap().replace("&amp;", "&");
    let listed = member.get(&format!("/app/messages?device={query}")).await.expect(200).text();
    assert!(listed.contains("+628999111221") && listed.contains("+628999111225"), "{listed}");
    // Whose they are not, and what is no list, is not found.
    let rival = Browser::of(&app, app.rival.id, Role::Owner).await;
    rival.get(&path).await.expect(404);
    for wrong in
        ["9-1", "x", "1", &format!("{}-{}", ids[4], ids[0]), &format!("{}-99999999", ids[0])]
    {
        member.get(&format!("/app/send/{wrong}")).await.expect(404);
    }
}

#[tokio::test]
async fn a_list_is_previewed_as_it_is_understood() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let list = "sep=;\nNama;No. Telp\nSri;08123456789\nBudi;8123456789\nAni;+62 812-345-6789";
    let page = member.compose(&[("to", list), ("text", "Hi {nama}")], &[]).await.expect(200).text();
    assert!(page.contains("<td>+628123456789</td>") && page.contains("Hi Sri"), "{page}");
    assert!(page.contains("Numbers outside your country (+62): +8123456789."), "{page}");
    assert!(page.contains("+628123456789 (2×)"), "{page}");
    let own = "628999111221\n628999111222";
    let page = member.compose(&[("to", own), ("text", "Hi")], &[]).await.expect(200).text();
    assert!(!page.contains("Numbers outside") && !page.contains("(2×)"), "{page}");
    let unknown = "Nama;Alamat\nSri;Jl. Mawar 1";
    let page = member.compose(&[("to", unknown), ("text", "Hi")], &[]).await.expect(422).text();
    assert!(page.contains("Line 1: “Nama, Alamat” none of these columns"), "{page}");
    assert!(page.contains("needs the names of its columns"), "{page}");
    let many = "x\n".repeat(25) + "08123456789";
    let page = member.compose(&[("to", &many), ("text", "Hi")], &[]).await.expect(422).text();
    assert!(page.contains("none of these columns"), "{page}");
    let many = "08123456789\n".to_owned() + &"x\n".repeat(25);
    let page = member.compose(&[("to", &many), ("text", "Hi")], &[]).await.expect(422).text();
    assert!(page.contains("and 5 more lines"), "{page}");
    assert_eq!(app.message_count().await, 0);
}

#[tokio::test]
async fn a_list_comes_as_a_file() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let text = ("text", "Hi {nama}");
    let csv: &[u8] = b"\xef\xbb\xbfNama;Nomor HP\r\nSri;08123456789\r\nBudi;08123456780\r\n";
    let page = member.compose(&[text], &[("list", "a.csv", csv)]).await.expect(200).text();
    assert!(page.contains("2 messages will go") && page.contains("Hi Budi"), "{page}");
    assert!(page.contains("name=\"list\"") && page.contains("Sri;08123456789"), "{page}");
    let written = String::from_utf8(csv.to_vec()).unwrap();
    let all = [text, ("list", written.as_str()), ("act", "all")];
    member.compose(&all, &[]).await.expect(303);
    assert_eq!(app.message_count().await, 2);
    let code = [text, ("list", written.as_str()), ("act", "code")];
    let page = member.compose(&code, &[]).await.expect(200).text();
    assert!(page.contains("08123456789") && page.contains("Hi Sri"), "{page}");
    for (fields, bytes, field, words) in [
        (&[text][..], &b""[..], "list", "The file with the list is empty."),
        (&[text, ("to", "0812345678")], csv, "list", "not both"),
    ] {
        let page = member.compose(fields, &[("list", "a.csv", bytes)]).await.expect(422).text();
        let (_, said) = page.split_once(&format!("id=\"{field}-fault\"")).expect(field);
        assert!(said.split("</span>").next().unwrap().contains(words), "{said}");
    }
    let faulty: &[u8] = b"nomor\n6.28E+12\n";
    let page = member.compose(&[text], &[("list", "a.csv", faulty)]).await.expect(422).text();
    assert!(page.contains("Line 2") && page.contains("nomor\n6.28E+12</textarea>"), "{page}");
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn a_file_from_this_computer_goes_to_a_list() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let list = ("to", "nomor,nama\n08123456789,Sri\n08123456780,Budi");
    let fields = [list, ("kind", "file"), ("text", "Halo {nama}")];
    let file = ("file", "<b>.pdf", &b"%PDF-1.4 x"[..]);
    let held_in = |page: &str| {
        let (_, rest) = page.split_once("name=\"held\" value=\"").expect("a file that is kept");
        rest.split('"').next().unwrap().to_owned()
    };
    let page = member.compose(&fields, &[file]).await.expect(200).text();
    assert!(page.contains("2 messages will go"), "{page}");
    assert!(page.contains("&lt;b&gt;.pdf Halo Budi") && !page.contains("<b>.pdf"), "{page}");
    let held = held_in(&page);
    let with = |act: &'static str| {
        [&fields[..], &[("held", held.as_str()), ("held_name", "x"), ("act", act)]].concat()
    };
    // What is changed keeps its file.
    let page = member.compose(&with("code"), &[]).await.expect(200).text();
    assert_eq!(held_in(&page), held);
    // It is of this session only.
    let other = Browser::of(&app, app.shop.id, Role::Owner).await;
    let page = other.compose(&with("all"), &[]).await.expect(422).text();
    assert!(page.contains("Choose a file") && !page.contains("name=\"held\""), "{page}");
    assert_eq!(app.message_count().await, 0);
    for _ in 0..2 {
        member.compose(&with("all"), &[]).await.expect(303);
        assert_eq!(app.message_count().await, 2, "sent twice, it acts once");
    }
    for message in messages(&app).await {
        let media = message.media().unwrap();
        assert_eq!((media.filename.as_deref(), media.size), (Some("<b>.pdf"), Some(10)));
    }
    // A form that is refused keeps its file, too; another file takes its place.
    let no_receiver = [("kind", "file")];
    let page = member.compose(&no_receiver, &[file]).await.expect(422).text();
    assert!(page.contains("The file is here: &lt;b&gt;.pdf."), "{page}");
    let held = held_in(&page);
    let one = [("to", "08123456789"), ("kind", "file"), ("held", held.as_str())];
    member.compose(&one, &[("file", "other.pdf", &b"%PDF-1.4 other"[..])]).await.expect(303);
    assert_eq!(messages(&app).await[0].media().unwrap().filename.as_deref(), Some("other.pdf"));
    let url = [&one[..], &[("url", "https://example.com/a.pdf")]].concat();
    member.compose(&url, &[]).await.expect(303);
    assert!(messages(&app).await[0].media().unwrap().url.is_some());
    app.clock.hands.advance(jiff::SignedDuration::from_mins(10));
    let page = member.compose(&one, &[]).await.expect(422).text();
    assert!(page.contains("Choose a file"), "{page}");
}

#[tokio::test]
async fn a_file_is_a_sticker_or_seen_once_and_a_text_shows_no_link() {
    let app = app().await;
    let member = Browser::of(&app, app.shop.id, Role::Member).await;
    let to = ("to", "0812345678");
    let url = ("url", "https://example.com/a.webp");
    let kind = |kind| [to, url, ("kind", "file"), ("file_kind", kind)];
    member.compose(&kind("sticker"), &[]).await.expect(303);
    assert_eq!(messages(&app).await[0].kind(), ContentKind::Sticker);
    let once = [&kind("image")[..], &[("view_once", "1")]].concat();
    member.compose(&once, &[]).await.expect(303);
    let Content::File(file) = &messages(&app).await[0].content else { panic!("no file") };
    assert!(file.media.is_view_once);
    member
        .compose(&[to, ("text", "https://a.example"), ("no_preview", "1")], &[])
        .await
        .expect(303);
    assert!(messages(&app).await[0].context.is_without_preview);
    for (fields, field) in [
        ([&kind("")[..], &[("view_once", "1")]].concat(), "file_kind"),
        ([&kind("sticker")[..], &[("text", "x")]].concat(), "text"),
    ] {
        let page = member.compose(&fields, &[]).await.expect(422).text();
        assert!(page.contains(&format!("id=\"{field}-fault\"")), "{field}: {page}");
    }
    let empty = [to, ("kind", "file")];
    let page = member.compose(&empty, &[("file", "a.jpg", &b""[..])]).await.expect(422).text();
    assert!(page.contains("The file is empty."), "{page}");
    let code = [&once[..], &[("act", "code")]].concat();
    let page = member.compose(&code, &[]).await.expect(200).text();
    assert!(page.contains("view_once"), "{page}");
}
