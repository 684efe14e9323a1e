//! `/v1/messages` with files.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use domain::ids::MessageId;
use domain::media::INLINE_MEDIA_BYTES_MAX;
use serde_json::{Value, json};
use testkit::flaky_store::Outage;
use testkit::memory_blobs::Trouble;

use super::app::App;
use super::exchange::{Ask, TestResponse, Transcript};

async fn send(app: &App, media: Value) -> TestResponse {
    let body = json!({"device": app.front.id(), "to": "628123456789", "media": media});
    Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await
}

async fn kept_bytes(app: &App, response: &TestResponse) -> Option<Vec<u8>> {
    let id = MessageId(response.json()["id"].as_i64().unwrap());
    app.file_of(id).await
}

#[tokio::test]
async fn files_by_url_and_in_the_request() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let url = "https://example.com/files/price-list.pdf";
    let by_url = send(
        &app,
        json!({"url": url, "kind": "document", "filename": "prices.pdf",
        "mimetype": "application/pdf", "caption": "ours"}),
    )
    .await;
    transcript.add("by URL", &by_url);
    assert_eq!(kept_bytes(&app, &by_url).await, None);
    let inline = send(&app, json!({"base64": STANDARD.encode([7; 10]), "kind": "image"})).await;
    transcript.add("in the request", &inline);
    assert_eq!(kept_bytes(&app, &inline).await, Some(vec![7; 10]));
    let bare = send(&app, json!({"base64": STANDARD_NO_PAD.encode([7; 10])})).await;
    assert_eq!(kept_bytes(&app, &bare.expect(202)).await, Some(vec![7; 10]));
    let data_url = format!("data:audio/webm;codecs=opus;base64,{}", STANDARD.encode([251; 10]));
    let recorded = send(&app, json!({"base64": data_url})).await.expect(202);
    assert_eq!(recorded.json()["media"]["mimetype"], "audio/webm");
    assert_eq!(kept_bytes(&app, &recorded).await, Some(vec![251; 10]));
    for base64 in ["-_v7", "+/v7", "DATA:;BASE64,-_v7", "image/png;base64,+/v7"] {
        let kept = send(&app, json!({"base64": base64})).await.expect(202);
        assert_eq!(kept_bytes(&app, &kept).await, Some(vec![0xfb, 0xfb, 0xfb]), "{base64}");
    }
    insta::assert_snapshot!(transcript.text());
    let list = Ask::get("/v1/messages").key(&app.shop.key).of(&app.router).await.text();
    assert!(list.contains(url) && !list.contains(&STANDARD.encode([7; 10])));
}

#[tokio::test]
async fn audio_is_a_voice_note_when_asked_for() {
    let app = App::new().await;
    let cases = [
        (json!({"kind": "voice"}), "voice"),
        (json!({"voice": true}), "voice"),
        (json!({"kind": "audio", "voice": true}), "voice"),
        (json!({"kind": "audio", "voice": false}), "audio"),
        (json!({"kind": "voice", "voice": false}), "audio"),
    ];
    for (mut media, kind) in cases {
        media["url"] = json!("https://example.com/hello.mp3");
        assert_eq!(send(&app, media.clone()).await.expect(202).json()["kind"], kind, "{media}");
    }
}

#[tokio::test]
async fn refused_files() {
    let app = App::new().await;
    let mut transcript = Transcript::default();
    let url = "https://example.com/x";
    let cases = [
        json!({}),
        json!("https://example.com/x.png"),
        json!(["https://example.com/x.png", null, null, null, null, null, null]),
        json!({"url": url, "base64": "AAAA"}),
        json!({"url": "ftp://example.com/x"}),
        json!({"url": "http://127.0.0.1/x"}),
        json!({"url": format!("{url}{}", "x".repeat(2_048))}),
        json!({"url": url, "kind": "album"}),
        json!({"url": url, "kind": "image", "voice": true}),
        json!({"url": url, "filename": "../../etc/passwd"}),
        json!({"url": url, "mimetype": "pdf"}),
        json!({"url": url, "title": "x"}),
        json!({"base64": ""}),
        json!({"base64": "not base64!"}),
        json!({"base64": 5}),
    ];
    for media in cases {
        let refused = send(&app, media.clone()).await;
        assert!(refused.status.is_client_error(), "{media}");
        let shown: String = media.to_string().chars().take(80).collect();
        transcript.add(&shown, &refused);
    }
    let beside_file = async |text: &str| {
        let body = json!({"device": app.front.id(), "to": "628123456789", "text": text,
            "media": {"url": url}});
        Ask::post("/v1/messages", body).key(&app.shop.key).of(&app.router).await
    };
    transcript.add("text beside a file", &beside_file("text and a file").await.expect(422));
    insta::assert_snapshot!(transcript.text());
    assert_eq!(app.message_count().await, 0);
    beside_file("").await.expect(202);
    assert!(app.outbound.fetches().is_empty());
}

#[tokio::test]
async fn a_file_in_the_request_has_at_most_sixteen_mebibytes() {
    let app = App::new().await;
    let most = vec![1; INLINE_MEDIA_BYTES_MAX];
    let response = send(&app, json!({"base64": STANDARD.encode(&most)})).await.expect(202);
    assert_eq!(response.json()["media"]["size"], INLINE_MEDIA_BYTES_MAX);
    assert_eq!(kept_bytes(&app, &response).await, Some(most));
    for more in [1, 4] {
        let more = STANDARD.encode(vec![1; INLINE_MEDIA_BYTES_MAX + more]);
        let refused = send(&app, json!({"base64": more})).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "media.base64");
    }
    assert_eq!(app.message_count().await, 1);
}

#[tokio::test]
async fn a_batch_may_hold_files_and_a_repeat_is_known_by_them() {
    let app = App::new().await;
    let ask = |file: &[u8]| {
        let file = json!({"to": "628123456789", "media": {"base64": STANDARD.encode(file)}});
        let text = json!({"to": "628123456789", "text": "hello"});
        let ask = Ask::post("/v1/messages/batch", json!({"messages": [text, file]}));
        ask.header("idempotency-key", "order-7").key(&app.front.token)
    };
    let first = ask(b"one").of(&app.router).await.expect(202).json();
    assert_eq!(first["data"][1]["media"]["size"], 3);
    let again = ask(b"one").of(&app.router).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), "true");
    app.blobs.set_trouble(Trouble::Away);
    let again = ask(b"one").of(&app.router).await.expect(202);
    assert_eq!(again.header("idempotency-replayed"), "true", "also while it could not be kept");
    app.blobs.set_trouble(Trouble::None);
    ask(b"two").of(&app.router).await.expect(422);
    assert_eq!(app.blobs.names().len(), 1, "what is not accepted leaves no file");
    let broken =
        json!({"messages": [{"to": "628123456789", "text": "x", "media": {"filename": "a"}}]});
    let refused = Ask::post("/v1/messages/batch", broken).key(&app.front.token);
    let refused = refused.of(&app.router).await.expect(422).json();
    assert_eq!(refused["errors"][0]["field"], "messages[0].text");
    assert_eq!(app.message_count().await, 2);
}

#[tokio::test]
async fn a_media_store_that_takes_nothing_refuses_files_and_no_texts() {
    let app = App::new().await;
    let file = || json!({"base64": STANDARD.encode(b"one")});
    for (trouble, status) in [(Trouble::Full, 507), (Trouble::Away, 503)] {
        app.blobs.set_trouble(trouble);
        send(&app, file()).await.expect(status);
        let text = json!({"device": app.front.id(), "to": "628123456789", "text": "goes on"});
        Ask::post("/v1/messages", text).key(&app.shop.key).of(&app.router).await.expect(202);
    }
    assert_eq!((app.message_count().await, app.blobs.names().len()), (2, 0));
    app.blobs.set_trouble(Trouble::None);
    let kept = send(&app, file()).await.expect(202);
    assert_eq!(kept_bytes(&app, &kept).await, Some(b"one".to_vec()));
}

#[tokio::test]
async fn a_file_stays_where_the_store_does_not_say_whether_its_message_was_accepted() {
    let app = App::new().await;
    app.counting.fail(Outage::Call("accept"));
    send(&app, json!({"base64": STANDARD.encode(b"one")})).await.expect(503);
    assert_eq!(app.blobs.names().len(), 1);
}
