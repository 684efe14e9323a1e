//! Files: opened by phones, refused when they are not what their message says.

use wacore::download::MediaType;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use super::client::attr;
use super::http::{call, serve};
use super::{Client, media_auth, number, simulator};
use crate::Simulator;

/// What the control API says a phone has received.
async fn inbox(address: &str, phone: &str) -> Vec<serde_json::Value> {
    let (status, _, body) = call(address, "GET", &format!("/phones/{phone}/inbox"), "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn linked(simulator: &Simulator) -> Client {
    let mut client = Client::paired(simulator, number("628111"), 1).await;
    client.take_mail().await;
    client
}

fn document(file: wam::DocumentMessage) -> wa::Message {
    wa::Message { document_message: MessageField::some(file), ..Default::default() }
}

/// Every kind, described from an uploaded file.
fn of_kind(kind: MediaType, file: wam::DocumentMessage, mimetype: &str) -> wa::Message {
    let mimetype = Some(mimetype.to_owned());
    macro_rules! described {
        ($kind:ident { $($field:ident : $value:expr),* }) => {
            MessageField::some(wam::$kind {
                direct_path: file.direct_path,
                media_key: file.media_key,
                file_sha256: file.file_sha256,
                file_enc_sha256: file.file_enc_sha256,
                file_length: file.file_length,
                mimetype,
                $($field: $value,)*
                ..Default::default()
            })
        };
    }
    let mut message = wa::Message::default();
    let caption = Some("sebuah keterangan".to_owned());
    match kind {
        MediaType::Image => message.image_message = described!(ImageMessage { caption: caption }),
        MediaType::Video => {
            message.video_message = described!(VideoMessage { caption: caption, seconds: Some(9) });
        }
        MediaType::Audio => {
            message.audio_message = described!(AudioMessage {
                ptt: Some(true),
                seconds: Some(3),
                waveform: Some(vec![0, 50, 100])
            });
        }
        MediaType::Sticker => message.sticker_message = described!(StickerMessage {}),
        _ => {
            message.document_message = described!(DocumentMessage {
                caption: caption,
                file_name: Some("laporan.pdf".into())
            });
        }
    }
    message
}

#[tokio::test]
async fn a_phone_opens_files_of_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = linked(&simulator).await;
    let kinds = [
        (MediaType::Image, "image", "image/png"),
        (MediaType::Video, "video", "video/mp4"),
        (MediaType::Audio, "audio", "audio/ogg; codecs=opus"),
        (MediaType::Document, "document", "application/pdf"),
        (MediaType::Sticker, "sticker", "image/webp"),
    ];
    for (n, (kind, _, mimetype)) in kinds.into_iter().enumerate() {
        let file = client.uploaded(format!("file {n}").as_bytes(), kind).await;
        let message = of_kind(kind, file, mimetype);
        client.message(number("628222"), &format!("ID{n}"), &message).await;
        assert_eq!(attr(&client.expect("ack").await, "error"), "");
    }
    let rows = inbox(&address, "628222").await;
    assert_eq!(rows.len(), kinds.len());
    for (n, (row, (_, kind, mimetype))) in rows.iter().zip(kinds).enumerate() {
        let plain = format!("file {n}");
        assert_eq!(row["kind"], kind);
        assert_eq!(row["mimetype"], mimetype);
        assert_eq!(row["size"], plain.len());
        assert_eq!(row["sha256"], hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&plain)));
        assert_eq!(row["voice"], kind == "audio");
        let path = format!("/phones/628222/inbox/ID{n}/media");
        assert_eq!(call(&address, "GET", &path, "").await.2, plain);
    }
    assert_eq!(rows[0]["caption"], "sebuah keterangan");
    assert_eq!(rows[1]["seconds"], 9);
    assert_eq!(rows[2]["waveform"], serde_json::json!([0, 50, 100]));
    assert_eq!(rows[3]["filename"], "laporan.pdf");
}

#[tokio::test]
async fn inbox_rows_have_these_fields_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = linked(&simulator).await;
    client.text(number("628222"), "ID0", "halo").await;
    client.expect("ack").await;
    let row = inbox(&address, "628222").await.remove(0);
    let mut fields: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut expected = [
        "id",
        "from",
        "chat",
        "kind",
        "text",
        "caption",
        "filename",
        "mimetype",
        "size",
        "sha256",
        "voice",
        "seconds",
        "waveform",
        "at",
        "typing_ms",
        "expiration",
        "copies",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn files_that_are_not_what_they_say_fail() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = linked(&simulator).await;
    let good = client.uploaded(b"a file", MediaType::Document).await;
    let wrong = Some(vec![7; 32]);
    let bad = [
        wam::DocumentMessage { file_sha256: wrong.clone(), ..good.clone() },
        wam::DocumentMessage { file_enc_sha256: wrong.clone(), ..good.clone() },
        wam::DocumentMessage { media_key: wrong, ..good.clone() },
        wam::DocumentMessage { media_key: None, ..good.clone() },
        wam::DocumentMessage { direct_path: Some("/mms/document/none".into()), ..good.clone() },
        wam::DocumentMessage { direct_path: None, ..good.clone() },
        // Sealed as an image, sent as a document.
        client.uploaded(b"a picture", MediaType::Image).await,
    ];
    let count = bad.len();
    for (n, file) in bad.into_iter().enumerate() {
        client.message(number("628222"), &format!("ID{n}"), &document(file)).await;
        client.expect("ack").await;
    }
    client.message(number("628222"), "GOOD", &document(good)).await;
    client.expect("ack").await;
    let rows = inbox(&address, "628222").await;
    assert_eq!(rows.len(), count + 1);
    for row in &rows[..count] {
        assert_eq!((&row["kind"], &row["sha256"]), (&"failed".into(), &serde_json::Value::Null));
        let path = format!("/phones/628222/inbox/{}/media", row["id"].as_str().unwrap());
        let (status, _, body) = call(&address, "GET", &path, "").await;
        assert_eq!(status, 409, "{body}");
    }
    assert_eq!(rows[count]["kind"], "document");
}

#[tokio::test]
async fn a_voice_note_that_is_played_is_read_first() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let patch = r#"{"auto_receipts":"none"}"#;
    assert_eq!(call(&address, "PUT", "/phones/628222", patch).await.0, 200);
    let mut client = linked(&simulator).await;
    let file = client.uploaded(b"a voice", MediaType::Audio).await;
    let voice = of_kind(MediaType::Audio, file, "audio/ogg; codecs=opus");
    client.message(number("628222"), "VOICE", &voice).await;
    client.expect("ack").await;
    client.text(number("628222"), "TEXT", "halo").await;
    client.expect("ack").await;
    for (body, expected) in [
        (r#"{"played":true}"#, 400),
        (r#"{"id":"TEXT","played":true}"#, 400),
        (r#"{"id":"NONE"}"#, 404),
        (r#"{"id":"VOICE","played":true}"#, 200),
        (r#"{"id":"TEXT"}"#, 200),
    ] {
        let (status, _, answer) = call(&address, "POST", "/phones/628222/read", body).await;
        assert_eq!(status, expected, "{body}: {answer}");
    }
    let mut receipts = Vec::new();
    for _ in 0..5 {
        let receipt = client.expect("receipt").await;
        receipts.push((attr(&receipt, "id"), attr(&receipt, "type")));
    }
    let expected =
        [("VOICE", ""), ("VOICE", "read"), ("VOICE", "played"), ("TEXT", ""), ("TEXT", "read")];
    assert_eq!(receipts, expected.map(|(id, kind)| (id.to_owned(), kind.to_owned())));
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let store = simulator.media();
    let path = store.direct_path("image", "token");
    let broken = futures_util::stream::iter([
        Ok(bytes::Bytes::from("sealed ")),
        Err(std::io::Error::other("the client went away")),
    ]);
    store.store(&path, 0, broken).await.unwrap_err();
    assert_eq!(call(&address, "GET", &path, "").await.0, 404);
    let auth = media_auth(&simulator).await;
    let resume = format!("/mms/image/token?auth={auth}&resume=1");
    let (_, _, here) = call(&address, "POST", &resume, "").await;
    assert_eq!(here, r#"{"resume":"7"}"#);
    let resume = format!("/mms/image/token?auth={auth}&file_offset=7");
    assert_eq!(call(&address, "POST", &resume, "file").await.0, 200);
    assert_eq!(call(&address, "GET", &path, "").await.2, "sealed file");
    assert_eq!(call(&address, "POST", &resume, "again").await.0, 400);
}

#[tokio::test]
async fn a_file_that_is_too_large_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let store = simulator.media();
    let path = store.direct_path("image", "token");
    let chunk = bytes::Bytes::from(vec![0; 1024 * 1024]);
    let chunks = usize::try_from(crate::limits::MEDIA_BYTES_MAX).unwrap() / chunk.len() + 1;
    let body = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(chunk.clone()));
    let body = futures_util::StreamExt::take(body, chunks);
    store.store(&path, 0, body).await.unwrap_err();
    assert!(!store.exists(&path).await);
    assert_eq!(std::fs::read_dir(dir.path().join("media")).unwrap().count(), 0);
}
