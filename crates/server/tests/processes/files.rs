//! Files that come in: fetched, served at their addresses, and none lost when the gateway is killed.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_TYPE, RANGE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::receiver::Receiver;
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{counters, env, figures};

const OURS: &str = "628119000002";
const BUDI: &str = "6281290000001";
const LOOPBACK: (&str, &str) = ("GERBANG_ALLOWED_PRIVATE_NETS", "127.0.0.0/8");
/// Files that come in while the gateway is killed, and how often it is.
const FILES: usize = 50;
const KILLS: usize = 3;
/// In the long form.
const LONG_FILES: usize = 500;
const LONG_KILLS: usize = 50;

fn bytes(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|n| ((n * 31 + seed * 7) % 251) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A phone sends a file.
async fn send_file(simulator: &Simulator, bytes: &[u8], mut media: Value) {
    media["base64"] = json!(STANDARD.encode(bytes));
    let body = json!({ "to": OURS, "media": media });
    simulator.control().post(&format!("/phones/{BUDI}/send"), body).await;
}

/// The only message that came in with this caption, in this state.
async fn received(account: &Api, caption: &str, state: &str) -> Value {
    until(format!("{caption} is {state}"), 60, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        let row = rows.into_iter().find(|row| row["text"] == caption)?;
        (row["media"]["state"] == state).then_some(row)
    })
    .await
}

async fn get(url: &str, range: Option<&str>) -> Response {
    let mut request = Client::builder().no_proxy().build().unwrap().get(url);
    if let Some(range) = range {
        request = request.header(RANGE, range);
    }
    request.send().await.unwrap()
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_in_is_served_at_its_address() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let operator = gateway.operator();
    let account = operator.make_account("files", "unlimited").await;
    let rival = operator.make_account("rival", "unlimited").await;
    account.make_linked_device(&simulator, OURS).await;
    let photo = bytes(1, 200_000);
    let fields = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": "foto" });
    send_file(&simulator, &photo, fields).await;
    let row = received(&account, "foto", "stored").await;
    assert_eq!(row["media"]["sha256"], sha256(&photo));
    assert_eq!(row["media"]["size"], 200_000);
    let url = row["media"]["url"].as_str().unwrap();

    let whole = get(url, None).await;
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(header(&whole, CONTENT_TYPE), "image/jpeg");
    assert_eq!(header(&whole, CONTENT_DISPOSITION), "inline");
    assert_eq!(header(&whole, ACCEPT_RANGES), "bytes");
    assert!(whole.bytes().await.unwrap() == photo);
    let part = get(url, Some("bytes=100-199")).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert!(part.bytes().await.unwrap() == photo[100..200]);
    let last = get(url, Some("bytes=-5")).await;
    assert!(last.bytes().await.unwrap() == photo[199_995..]);
    assert_eq!(get(url, Some("bytes=200000-")).await.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    // Neither another's key nor another token leads to it.
    let path = format!("/v1/messages/{}/media", row["id"]);
    assert_eq!(rival.call("GET", &path, None).await.status, 404);
    let (start, token) = url.rsplit_once('/').unwrap();
    let swapped: String = token.chars().rev().collect();
    for wrong in [&swapped, &token[1..], "x"] {
        let answer = get(&format!("{start}/{wrong}"), None).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{wrong}");
    }

    // What a browser would run is never shown.
    for (caption, mimetype) in [("page", "text/html"), ("drawing", "image/svg+xml")] {
        let fields = json!({ "kind": "document", "mimetype": mimetype, "filename": "a b.html",
            "caption": caption });
        send_file(&simulator, b"<script>alert(1)</script>", fields).await;
        let row = received(&account, caption, "stored").await;
        let answer = get(row["media"]["url"].as_str().unwrap(), None).await;
        assert_eq!(header(&answer, CONTENT_TYPE), "application/octet-stream");
        let disposition = header(&answer, CONTENT_DISPOSITION);
        assert_eq!(disposition, "attachment; filename*=UTF-8''a%20b%2Ehtml");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_in_the_first_webhook_leads_to_the_file() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("files", "unlimited").await;
    account.make_linked_device(&simulator, OURS).await;
    let receiver = Receiver::start(0).await;
    account.post("/v1/webhooks", json!({ "url": receiver.url("/gerbang") })).await;
    // The first host fails, so that the file is certainly not here when its event is.
    let broken = json!({ "on": "media", "times": 1, "do": "delay_ms", "ms": 1_500 });
    simulator.set_faults(json!({ "rules": [broken] })).await;
    let photo = bytes(2, 50_000);
    let fields = json!({ "kind": "image", "mimetype": "image/png", "caption": "foto" });
    send_file(&simulator, &photo, fields).await;
    let event = until("the event has arrived", 60, async || {
        let hooks = receiver.taken();
        let body = |hook: &crate::support::receiver::Hook| {
            serde_json::from_slice::<Value>(&hook.body).ok()
        };
        hooks.iter().filter_map(body).find(|body| body["type"] == "message.received")
    })
    .await;
    let url = event["data"]["media"]["url"].as_str().unwrap();
    let answer = get(url, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.unwrap() == photo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_fetches_files_when_they_are_asked_for_or_never() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("files", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let path = format!("/v1/devices/{device}");
    let photo = bytes(3, 60_000);
    account.call("PATCH", &path, Some(json!({ "media_download": "on_demand" }))).await.ok();
    let fields = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": "asked" });
    send_file(&simulator, &photo, fields).await;
    let row = received(&account, "asked", "on_demand").await;
    let whatsapp_id = row["whatsapp_id"].as_str().unwrap();
    let media = format!("/phones/{OURS}/inbox/{whatsapp_id}/media");
    simulator.control().call("DELETE", &media, None).await.ok();
    let answer = get(row["media"]["url"].as_str().unwrap(), None).await;
    assert!(answer.bytes().await.unwrap() == photo, "fetched from the phone");
    received(&account, "asked", "stored").await;
    account.call("PATCH", &path, Some(json!({ "media_download": "off" }))).await.ok();
    let fields = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": "never" });
    send_file(&simulator, &photo, fields).await;
    let row = received(&account, "never", "gone").await;
    assert_eq!(row["media"]["url"], Value::Null);
    let answer = account.call("GET", &format!("/v1/messages/{}/media", row["id"]), None).await;
    assert_eq!(answer.status, 410);
}

/// The smallest PNG there is.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What a phone has of a message that was sent.
async fn sent(simulator: &Simulator, account: &Api, body: Value) -> Value {
    let message = account.post("/v1/messages", body).await;
    let id = message["whatsapp_id"].clone();
    until(format!("{id} has arrived"), 60, async || {
        simulator.inbox(BUDI).await.into_iter().find(|mail| mail["id"] == id)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_as_phones_show_them() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("files", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let sent = async |media: Value| {
        let body = json!({ "device": device, "to": BUDI, "media": media });
        sent(&simulator, &account, body).await
    };
    let sticker = sent(json!({ "base64": PICTURE, "kind": "sticker" })).await;
    assert_eq!((&sticker["kind"], &sticker["mimetype"]), (&json!("sticker"), &json!("image/webp")));
    assert_eq!((&sticker["width"], &sticker["height"]), (&json!(512), &json!(512)));
    let once = sent(json!({ "base64": PICTURE, "kind": "image", "view_once": true })).await;
    assert_eq!((&once["kind"], &once["view_once"]), (&json!("image"), &json!(true)));
    assert!(once["thumbnail_bytes"].as_u64().is_some_and(|size| size > 0), "{once}");
    let pdf = STANDARD.encode("%PDF-1.4\n1 0 obj <</Type /Pages /Kids [] /Count 3>> endobj\n%%EOF");
    let document = sent(json!({ "base64": pdf, "filename": "a.pdf" })).await;
    assert_eq!((&document["kind"], &document["pages"]), (&json!("document"), &json!(3)));
    for (media, field) in [
        (json!({ "base64": PICTURE, "view_once": true }), "media.view_once"),
        (json!({ "base64": PICTURE, "kind": "document", "view_once": true }), "media.view_once"),
        (json!({ "base64": PICTURE, "kind": "image", "gif": true }), "media.gif"),
        (json!({ "base64": PICTURE, "kind": "sticker", "caption": "x" }), "media.caption"),
        (json!({ "base64": PICTURE, "kind": "sticker", "voice": true }), "media.voice"),
    ] {
        let body = json!({ "device": device, "to": BUDI, "media": media });
        let refused = account.call("POST", "/v1/messages", Some(body)).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(refused.body["errors"][0]["field"], field, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_shows_where_its_link_leads() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = "<html><head><title>Toko &amp; Co</title><meta name=description content='Kopi'>";
    let with_picture = |path: &str| format!("{page}<meta property=og:image content='{path}'>");
    let pages = ["/foto.png", "/never", "http://10.0.0.1/x.png", "/huge"].map(with_picture);
    let html = |page: String| axum::routing::get(async move || axum::response::Html(page));
    let [shown, never, private, huge] = pages;
    let picture = STANDARD.decode(PICTURE).unwrap();
    let router = axum::Router::new()
        .route("/toko", axum::routing::get(async move || axum::response::Html(page)))
        .route("/foto", html(shown))
        .route("/foto-never", html(never))
        .route("/foto-private", html(private))
        .route("/foto-huge", html(huge))
        .route("/foto.png", axum::routing::get(async move || picture))
        .route("/huge", axum::routing::get(async || vec![0; 2 * 1024 * 1024]))
        .route("/never", axum::routing::get(std::future::pending::<()>));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("links", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let (shop, never) = (format!("http://{address}/toko"), format!("http://{address}/never"));
    let card = json!({ "url": shop, "title": "Toko & Co", "description": "Kopi" });
    for (link, wish, expected) in [
        (&shop, None, card),
        (&shop, Some(false), Value::Null),
        (&never, None, Value::Null),
        (&"http://10.0.0.1/private".to_owned(), Some(true), Value::Null),
    ] {
        let text = format!("Lihat {link}!");
        let mut body = json!({ "device": device, "to": BUDI, "text": text });
        if let Some(wish) = wish {
            body["link_preview"] = json!(wish);
        }
        let mail = sent(&simulator, &account, body).await;
        assert_eq!((&mail["text"], &mail["link"]), (&json!(text), &expected), "{mail}");
    }
    for (path, has_picture) in
        [("foto", true), ("foto-never", false), ("foto-private", false), ("foto-huge", false)]
    {
        let text = format!("Lihat http://{address}/{path}");
        let body = json!({ "device": device, "to": BUDI, "text": text });
        let mail = sent(&simulator, &account, body).await;
        assert_eq!(mail["link"]["title"], "Toko & Co", "{mail}");
        assert_eq!(mail["link"]["picture_bytes"].is_u64(), has_picture, "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_wait_for_room_on_the_disk_and_messages_do_not() {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[LOOPBACK]).await;
    let account = gateway.operator().make_account("files", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    assert!(gateway.process.stop().await.success());
    // More than any disk has.
    gateway.restart_with(&[("GERBANG_MIN_FREE_SPACE", "1000000000000000")]).await;
    account.wait_for_status(&device, "connected").await;
    let photo = bytes(4, 60_000);
    let fields = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": "foto" });
    send_file(&simulator, &photo, fields).await;
    simulator.send(BUDI, OURS, "teks").await;
    until("the text has come in", 60, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        rows.into_iter().find(|row| row["text"] == "teks")
    })
    .await;
    received(&account, "foto", "pending").await;
    assert!(gateway.process.stop().await.success());
    gateway.restart_with(&[("GERBANG_MIN_FREE_SPACE", "0")]).await;
    let row = received(&account, "foto", "stored").await;
    let answer = get(row["media"]["url"].as_str().unwrap(), None).await;
    assert!(answer.bytes().await.unwrap() == photo);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_lost_by_a_gateway_that_is_killed_on_sqlite() {
    no_file_is_lost("SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_lost_by_a_gateway_that_is_killed_on_postgresql() {
    let database = Database::create().await;
    no_file_is_lost("PostgreSQL", &[("GERBANG_DATABASE_URL", &database.url())]).await;
    database.drop().await;
}

async fn no_file_is_lost(database: &str, settings: &[(&str, &str)]) {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, settings).await;
    let operator = gateway.operator();
    let account = operator.make_account("files", "unlimited").await;
    let device = account.make_linked_device(&simulator, OURS).await;
    let (files, kills) = match env::is_long() {
        true => (LONG_FILES, LONG_KILLS),
        false => (FILES, KILLS),
    };
    let mut random = StdRng::seed_from_u64(env::seed());
    let kills = rand::seq::index::sample(&mut random, files, kills).into_vec();
    for n in 0..files {
        let fields = json!({ "kind": "image", "mimetype": "image/jpeg", "caption": n.to_string() });
        send_file(&simulator, &bytes(n, 20_000 + n), fields).await;
        if kills.contains(&n) {
            gateway.process.kill().await;
            gateway.restart().await;
        }
    }
    account.wait_for_status(&device, "connected").await;
    let rows = until("every file is stored", if env::is_long() { 600 } else { 120 }, async || {
        let rows = account.all("/v1/messages?direction=in").await;
        let is_stored = |row: &Value| row["media"]["state"] == "stored";
        (rows.len() >= files && rows.iter().all(is_stored)).then_some(rows)
    })
    .await;
    let found: BTreeMap<String, String> = rows
        .iter()
        .map(|row| [&row["text"], &row["media"]["sha256"]].map(|v| v.as_str().unwrap().to_owned()))
        .map(|[text, hash]| (text, hash))
        .collect();
    let expected: BTreeMap<String, String> =
        (0..files).map(|n| (n.to_string(), sha256(&bytes(n, 20_000 + n)))).collect();
    assert_eq!((rows.len(), found), (files, expected));
    for row in &rows {
        let n: usize = row["text"].as_str().unwrap().parse().unwrap();
        let answer = get(row["media"]["url"].as_str().unwrap(), None).await;
        assert!(answer.bytes().await.unwrap() == bytes(n, 20_000 + n), "{n}");
    }
    assert_eq!(blobs(&gateway.data_dir().join("data/media")), files, "one file each, and no other");
    counters::agree(&gateway).await;
    let id = account.get("/v1/me").await["account"]["id"].clone();
    operator.call("DELETE", &format!("/v1/accounts/{id}"), None).await.ok();
    assert_eq!(blobs(&gateway.data_dir().join("data/media")), 0, "erased with their account");
    figures::report(
        format_args!("kills while files come in, {database}"),
        format_args!("{} kills, {files} files, lost 0", kills.len()),
    );
}

/// The files below a directory.
fn blobs(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        // On PostgreSQL a marker says which store it is.
        .filter(|path| !path.ends_with("gerbang-media-store"))
        .map(|path| if path.is_dir() { blobs(&path) } else { 1 })
        .sum()
}
