//! Files out and in.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::content::{OutgoingContent, OutgoingFile};
use domain::ids::{DeviceId, WhatsappId};
use domain::incoming_file::{FileReference, FileState};
use domain::media::{MEDIA_BYTES_MAX, Media, Preview, ReadyMedia, TempMedia};
use domain::message::{ContentKind, Receipt};
use domain::ports::{FetchError, Messenger, MessengerEvent, SendError};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::kinds::{field, number};
use crate::world::{OURS, THEIRS, World, chat, new_id};

/// Bytes that repeat late.
fn bytes(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A file as it is handed to the driver, and its hash.
fn ready(kind: ContentKind, mimetype: &str, size: usize) -> (ReadyMedia, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ready");
    let mut file = std::fs::File::create(&path).unwrap();
    let (mut digest, piece) = (Sha256::new(), bytes(size.min(1024 * 1024)));
    let mut left = size;
    while left > 0 {
        let piece = &piece[..left.min(piece.len())];
        file.write_all(piece).unwrap();
        digest.update(piece);
        left -= piece.len();
    }
    let media = ReadyMedia {
        file: TempMedia { path, size: size as u64, guard: Arc::new(dir) },
        kind,
        mimetype: mimetype.to_owned(),
        filename: None,
        seconds: None,
        waveform: None,
        dimensions: None,
        preview: Preview::default(),
    };
    (media, hex::encode(digest.finalize()))
}

pub fn a_document() -> ReadyMedia {
    ready(ContentKind::Document, "application/pdf", 10_000).0
}

/// Every kind of file, its caption, and what the phone is to see of it.
fn every_kind() -> Vec<(ReadyMedia, String, &'static str, Value)> {
    use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
    let wave: Vec<u8> = (0..64).collect();
    let with = |kind, mimetype, size, change: &dyn Fn(ReadyMedia) -> ReadyMedia| {
        let (media, sha256) = ready(kind, mimetype, size);
        (change(media), sha256)
    };
    let picture = |media| {
        let preview = Preview { thumbnail: Some([7; 700].into()), ..Preview::default() };
        ReadyMedia { dimensions: Some((640, 480)), preview, ..media }
    };
    let sticker = |media| {
        let preview = Preview { is_animated: true, ..Preview::default() };
        ReadyMedia { dimensions: Some((512, 512)), preview, ..media }
    };
    let film = |media| ReadyMedia { seconds: Some(12), ..media };
    let note = |media| ReadyMedia { seconds: Some(3), waveform: Some(wave.clone()), ..media };
    let report = |media| {
        let preview = Preview { pages: Some(12), ..Preview::default() };
        ReadyMedia { filename: Some("laporan mei.pdf".to_owned()), preview, ..media }
    };
    let opus = "audio/ogg; codecs=opus";
    let cases = [
        (
            with(Image, "image/jpeg", 30_001, &picture),
            "Halo",
            json!({ "kind": "image", "caption": "Halo", "width": 640, "height": 480,
                "thumbnail_bytes": 700 }),
        ),
        (with(Image, "image/png", 16, &|media| media), "", json!({ "kind": "image" })),
        (
            with(Video, "video/mp4", 70_000, &film),
            "Lihat",
            json!({ "kind": "video", "caption": "Lihat", "seconds": 12 }),
        ),
        (with(Audio, "audio/mpeg", 40_000, &film), "", json!({ "kind": "audio", "seconds": 12 })),
        (
            with(Voice, opus, 9_999, &note),
            "",
            json!({ "kind": "audio", "voice": true, "seconds": 3, "waveform": wave }),
        ),
        (
            with(Document, "application/pdf", 50_000, &report),
            "Baca",
            json!({ "kind": "document", "caption": "Baca", "filename": "laporan mei.pdf", "pages": 12 }),
        ),
        (
            with(Document, "application/pdf", 1, &report),
            "",
            json!({ "kind": "document", "filename": "laporan mei.pdf", "pages": 12 }),
        ),
        (
            with(Sticker, "image/webp", 4_000, &sticker),
            "",
            json!({ "kind": "sticker", "width": 512, "height": 512, "animated": true }),
        ),
    ];
    cases.map(|((media, sha256), caption, seen)| (media, sha256, caption, seen)).into()
}

async fn arrived(world: &World, device: DeviceId, id: &WhatsappId) -> Value {
    world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    world.recorder.receipt(device, id, Receipt::Read).await;
    world.sim.mail(THEIRS, id).await
}

#[tokio::test]
async fn every_kind_arrives_bit_for_bit() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[OURS, THEIRS], false).await;
    for to in [chat(THEIRS), group.into()] {
        for (media, sha256, caption, seen) in every_kind() {
            let id = world.send_file(device, &to, media.clone(), caption).await;
            let mail = arrived(&world, device, &id).await;
            let is_voice = media.kind == ContentKind::Voice;
            for (field, expected) in [
                ("sha256", &json!(sha256)),
                ("size", &json!(media.file.size)),
                ("mimetype", &json!(media.mimetype)),
                ("voice", &json!(is_voice)),
                ("kind", &seen["kind"]),
                ("caption", &seen["caption"]),
                ("filename", &seen["filename"]),
                ("seconds", &seen["seconds"]),
                ("waveform", &seen["waveform"]),
                ("width", &seen["width"]),
                ("height", &seen["height"]),
                ("pages", &seen["pages"]),
                ("thumbnail_bytes", &seen["thumbnail_bytes"]),
                ("animated", &seen["animated"]),
            ] {
                assert_eq!(&mail[field], expected, "{field} of {mail}");
            }
        }
    }
}

#[tokio::test]
async fn files_are_shown_once_or_without_end() {
    use ContentKind::{Image, Video, Voice};
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[OURS, THEIRS], false).await;
    for to in [chat(THEIRS), group.into()] {
        for (kind, mimetype, is_view_once, is_gif) in [
            (Image, "image/jpeg", true, false),
            (Video, "video/mp4", true, false),
            (Video, "video/mp4", false, true),
            (Voice, "audio/ogg; codecs=opus", true, false),
        ] {
            let (media, sha256) = ready(kind, mimetype, 3_000);
            let file = OutgoingFile { media, caption: String::new(), is_view_once, is_gif };
            let id = new_id();
            world.try_send_content(device, &to, &id, OutgoingContent::File(file)).await.unwrap();
            let mail = arrived(&world, device, &id).await;
            assert_eq!(mail["sha256"], sha256, "{mail}");
            let flag = |name: &str| mail[name].as_bool().unwrap_or_default();
            assert_eq!((flag("view_once"), flag("gif")), (is_view_once, is_gif), "{mail}");
        }
    }
}

#[tokio::test]
async fn the_caption_of_audio_arrives_as_a_text_before_it() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let group = world.sim.group("Tim", &[OURS, THEIRS], false).await;
    for to in [chat(THEIRS), group.into()] {
        for kind in [ContentKind::Audio, ContentKind::Voice] {
            let (media, sha256) = ready(kind, "audio/ogg; codecs=opus", 5_000);
            let before = world.sim.inbox(THEIRS).await.len();
            let id = new_id();
            let content = outgoing(media.clone(), "Dengar ini");
            world.try_send_content(device, &to, &id, content.clone()).await.unwrap();
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            world.recorder.receipt(device, &id, Receipt::Read).await;
            // A repeat after a lost connection.
            world.try_send_content(device, &to, &id, content).await.unwrap();
            world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
            let inbox = world.sim.inbox(THEIRS).await;
            let [text, audio] = &inbox[before..] else { panic!("{inbox:?}") };
            assert_eq!((&text["text"], &text["kind"]), (&json!("Dengar ini"), &json!("text")));
            assert_eq!((&audio["id"], &audio["sha256"]), (&json!(id.as_str()), &json!(sha256)));
            assert_eq!(text["chat"], audio["chat"]);
        }
    }
}

/// The most memory this process has had so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn the_largest_file_arrives_and_is_never_in_memory() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let size = usize::try_from(MEDIA_BYTES_MAX).unwrap();
    let (media, sha256) = ready(ContentKind::Document, "application/zip", size);
    let before = peak_memory();
    let id = world.send_file(device, &chat(THEIRS), media, "").await;
    let mail = arrived(&world, device, &id).await;
    assert_eq!((&mail["sha256"], &mail["size"]), (&json!(sha256), &json!(size)), "{mail}");
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < MEDIA_BYTES_MAX / 2, "{grown} bytes more");
}

#[tokio::test]
async fn the_largest_file_comes_in_and_is_never_in_memory() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let theirs = world.link(THEIRS).await;
    let size = usize::try_from(MEDIA_BYTES_MAX).unwrap();
    let (media, sha256) = ready(ContentKind::Document, "application/zip", size);
    let id = world.send_file(device, &chat(THEIRS), media, "").await;
    let message = world.recorder.message(&id).await;
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let draft = TempMedia { path: path.to_path_buf(), size: 0, guard: Arc::new(()) };
    let reference = message.content.media().unwrap().reference.as_ref().unwrap();
    let before = peak_memory();
    let fetched = world.messenger.fetch_file(theirs, reference, &draft).await.unwrap();
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < MEDIA_BYTES_MAX / 2, "{grown} bytes more");
    let digest = hex::encode(Sha256::digest(std::fs::read(&path).unwrap()));
    assert_eq!((fetched, digest), (MEDIA_BYTES_MAX, sha256));
}

#[tokio::test]
async fn the_same_file_again_is_one_message() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let (media, sha256) = ready(ContentKind::Image, "image/jpeg", 5_000);
    let (id, content) = (new_id(), outgoing(media, "sekali"));
    for _ in 0..2 {
        let to = chat(THEIRS);
        world.try_send_content(device, &to, &id, content.clone()).await.unwrap();
        world.heard(device, MessengerEvent::Acknowledged(id.clone())).await;
    }
    assert_eq!(world.sim.mail(THEIRS, &id).await["sha256"], sha256);
}

#[tokio::test]
async fn a_missing_file_is_a_temporary_error() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let (media, _) = ready(ContentKind::Image, "image/jpeg", 5_000);
    let content = outgoing(media.clone(), "");
    let to = chat(THEIRS);
    std::fs::remove_file(&media.file.path).unwrap();
    let refused = world.try_send_content(device, &to, &new_id(), content.clone()).await;
    assert!(matches!(refused, Err(SendError::Temporary(_))), "{refused:?}");
    world.messenger.disconnect(device).await;
    let refused = world.try_send_content(device, &to, &new_id(), content).await;
    assert_eq!(refused, Err(SendError::NotConnected));
}

#[tokio::test]
async fn files_come_in_with_what_is_known_of_them() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let bytes = bytes(1_234);
    let base64 = BASE64_STANDARD.encode(&bytes);
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
    for (fields, kind, text) in [
        (json!({ "kind": "image", "mimetype": "image/png", "caption": "Foto" }), Image, "Foto"),
        (json!({ "kind": "video", "mimetype": "video/mp4", "caption": "Film" }), Video, "Film"),
        (json!({ "kind": "audio", "mimetype": "audio/mpeg" }), Audio, ""),
        (json!({ "voice": true, "mimetype": "audio/ogg; codecs=opus" }), Voice, ""),
        (json!({ "kind": "sticker", "mimetype": "image/webp" }), Sticker, ""),
        (
            json!({ "kind": "document", "mimetype": "text/csv", "filename": "mei.csv", "caption": "Data" }),
            Document,
            "Data",
        ),
    ] {
        let mut media = fields.clone();
        media["base64"] = json!(base64);
        for to in [OURS, &group] {
            let id = world.sim.write_file(THEIRS, to, media.clone()).await;
            let message = world.recorder.message(&id).await;
            assert_eq!((message.content.kind(), message.content.text()), (kind, text), "{fields}");
            let media = message.content.media().unwrap();
            let known = Media {
                mimetype: fields["mimetype"].as_str().map(str::to_owned),
                filename: fields["filename"].as_str().map(str::to_owned),
                size: Some(1_234),
                sha256: Some(hex::encode(Sha256::digest(&bytes))),
                state: Some(FileState::Pending),
                ..media.clone()
            };
            assert_eq!(media, &known, "{fields}");
            assert!(fetch(&world, device, media).await.unwrap() == bytes, "{fields}");
        }
    }
}

/// The bytes of a file that came in, as the driver fetches them.
pub async fn fetch(world: &World, device: DeviceId, media: &Media) -> Result<Vec<u8>, FetchError> {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let draft = TempMedia { path: path.to_path_buf(), size: 0, guard: Arc::new(()) };
    let reference = media.reference.as_ref().unwrap();
    let size = world.messenger.fetch_file(device, reference, &draft).await?;
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(size, bytes.len() as u64);
    Ok(bytes)
}

#[tokio::test]
async fn a_file_is_fetched_whole_and_unchanged_or_not_at_all() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let hosts = two_hosts(&world).await;
    let bytes = bytes(300_000);
    let fields = json!({ "kind": "image", "mimetype": "image/png", "base64": BASE64_STANDARD.encode(&bytes) });
    let id = world.sim.write_file(THEIRS, OURS, fields).await;
    let message = world.recorder.message(&id).await;
    let media = message.content.media().unwrap();
    // The second host has what the first does not give.
    let status = |host: Option<&String>, status| json!({ "rules": [{ "on": "media", "host": host, "do": "http_status", "status": status }] });
    world.sim.faults(status(Some(&hosts[0]), 500)).await;
    assert!(fetch(&world, device, media).await.unwrap() == bytes);
    world.sim.faults(status(None, 500)).await;
    let failed = fetch(&world, device, media).await;
    assert!(matches!(failed, Err(FetchError::Temporary(_))), "{failed:?}");
    world.sim.faults(status(None, 404)).await;
    assert_eq!(fetch(&world, device, media).await, Err(FetchError::Gone));
    world.sim.faults(json!({ "rules": [] })).await;
    assert!(fetch(&world, device, media).await.unwrap() == bytes);
    // One whose hash is another's.
    let text = std::str::from_utf8(&media.reference.as_ref().unwrap().0).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(text).unwrap();
    other["sha256"][0] = json!(other["sha256"][0].as_u64().unwrap() ^ 1);
    let reference = FileReference(other.to_string().into_bytes().into());
    let wrong = Media { reference: Some(reference), ..media.clone() };
    let failed = fetch(&world, device, &wrong).await;
    assert!(matches!(failed, Err(FetchError::Permanent(_))), "{failed:?}");
    world.messenger.disconnect(device).await;
    assert_eq!(fetch(&world, device, media).await, Err(FetchError::NotConnected));
}

#[tokio::test]
async fn a_file_message_that_lacks_what_fetches_it_has_failed() {
    let world = World::new().await;
    world.link(OURS).await;
    let whole = [
        field(4, &[7; 32]),
        number(5, 9),
        field(8, &[7; 32]),
        field(9, &[7; 32]),
        field(11, b"/v/t62.7118-24/1?ccb=11-4"),
    ];
    let file = async |fields: Vec<u8>| {
        let raw = BASE64_STANDARD.encode(field(3, &fields));
        let id = world.sim.write_content(THEIRS, OURS, "raw", json!(raw)).await;
        let content = world.recorder.message(&id).await.content;
        assert_eq!(content.kind(), ContentKind::Image);
        let media = content.media().unwrap();
        (media.state, media.reason.clone().unwrap_or_default(), media.reference.is_some())
    };
    assert_eq!(file(whole.concat()).await, (Some(FileState::Pending), String::new(), true));
    // Of the length it is only a hint.
    for (lacking, word) in [(0, "hash"), (1, ""), (2, "key"), (3, "hash"), (4, "path")] {
        let rest: Vec<_> =
            whole.iter().enumerate().filter(|(index, _)| *index != lacking).collect();
        let rest: Vec<u8> = rest.into_iter().flat_map(|(_, field)| field.clone()).collect();
        let (state, reason, has_reference) = file(rest).await;
        let expected = if word.is_empty() { FileState::Pending } else { FileState::Failed };
        assert_eq!((state, has_reference), (Some(expected), word.is_empty()), "{lacking}");
        assert!(reason.contains(word), "{reason}");
    }
    let short = [whole[..2].concat(), field(8, b"short"), whole[3..].concat()].concat();
    let (state, reason, _) = file(short).await;
    assert!(state == Some(FileState::Failed) && reason.contains("key"), "{reason}");
}

#[tokio::test]
async fn a_file_that_cannot_be_decrypted_has_failed() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let base64 = BASE64_STANDARD.encode(bytes(70_000));
    let fields = json!({ "kind": "image", "mimetype": "image/png", "base64": base64 });
    let id = world.sim.write_file(THEIRS, OURS, fields).await;
    let message = world.recorder.message(&id).await;
    let media = message.content.media().unwrap();
    let text = std::str::from_utf8(&media.reference.as_ref().unwrap().0).unwrap();
    let mut other: Value = serde_json::from_str(text).unwrap();
    other["key"][0] = json!(other["key"][0].as_u64().unwrap() ^ 1);
    let reference = FileReference(other.to_string().into_bytes().into());
    let wrong = Media { reference: Some(reference), ..media.clone() };
    let failed = fetch(&world, device, &wrong).await;
    let Err(FetchError::Permanent(reason)) = failed else { panic!("{failed:?}") };
    assert!(reason.contains("cannot be decrypted"), "{reason}");
    // What lies about its length is what its hash says.
    let mut other: Value = serde_json::from_str(text).unwrap();
    other["length"] = json!(1);
    let reference = FileReference(other.to_string().into_bytes().into());
    let lying = Media { reference: Some(reference), ..media.clone() };
    assert!(fetch(&world, device, &lying).await.unwrap() == bytes(70_000));
}

#[tokio::test]
async fn a_file_that_whatsapp_has_no_longer_comes_from_the_phone() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let bytes = bytes(70_000);
    let base64 = BASE64_STANDARD.encode(&bytes);
    let group = world.sim.group("Tim", &[THEIRS, OURS], false).await;
    for to in [OURS, &group] {
        let fields = json!({ "kind": "image", "mimetype": "image/png", "base64": base64 });
        let id = world.sim.write_file(THEIRS, to, fields).await;
        let message = world.recorder.message(&id).await;
        let media = message.content.media().unwrap();
        let path = format!("/phones/{OURS}/inbox/{id}/media");
        world.sim.call("DELETE", &path, Value::Null).await;
        assert!(fetch(&world, device, media).await.unwrap() == bytes, "{to}");
        // One of a release that did not know what to ask the phone for.
        let text = std::str::from_utf8(&media.reference.as_ref().unwrap().0).unwrap();
        let mut older: Value = serde_json::from_str(text).unwrap();
        older.as_object_mut().unwrap().remove("message").unwrap();
        let reference = FileReference(older.to_string().into_bytes().into());
        let older = Media { reference: Some(reference), ..media.clone() };
        assert_eq!(fetch(&world, device, &older).await, Err(FetchError::Gone));
    }
    let fields = json!({ "kind": "document", "mimetype": "text/csv", "base64": base64 });
    let id = world.sim.write_file(THEIRS, OURS, fields).await;
    let message = world.recorder.message(&id).await;
    let path = format!("/phones/{OURS}/inbox/{id}/media?phone=also");
    world.sim.call("DELETE", &path, Value::Null).await;
    let media = message.content.media().unwrap();
    assert_eq!(fetch(&world, device, media).await, Err(FetchError::Gone));
}

fn outgoing(media: ReadyMedia, caption: &str) -> OutgoingContent {
    let caption = caption.to_owned();
    OutgoingContent::File(OutgoingFile { media, caption, is_view_once: false, is_gif: false })
}

/// Two names of the simulator's address, as media hosts.
async fn two_hosts(world: &World) -> [String; 2] {
    let port = world.address().port();
    let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    world.sim.call("PUT", "/server", json!({ "media_hosts": hosts })).await;
    hosts
}

#[tokio::test]
async fn a_second_media_host_takes_what_the_first_does_not() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let hosts = two_hosts(&world).await;
    let broken = json!({ "on": "media", "host": hosts[0], "do": "http_status", "status": 500 });
    world.sim.faults(json!({ "rules": [broken] })).await;
    let (media, sha256) = ready(ContentKind::Image, "image/jpeg", 30_000);
    let id = world.send_file(device, &chat(THEIRS), media, "Halo").await;
    let mail = world.sim.arrived(THEIRS, &id).await;
    assert_eq!((&mail["sha256"], &mail["copies"]), (&json!(sha256), &json!(1)));
}

#[tokio::test]
async fn a_right_to_upload_that_is_over_is_asked_for_anew() {
    let world = World::new().await;
    let device = world.link(OURS).await;
    let over = json!({ "on": "media", "times": 1, "do": "http_status", "status": 401 });
    world.sim.faults(json!({ "rules": [over] })).await;
    let (media, sha256) = ready(ContentKind::Document, "application/pdf", 5_000);
    let id = world.send_file(device, &chat(THEIRS), media, "").await;
    assert_eq!(world.sim.arrived(THEIRS, &id).await["sha256"], sha256);
}
