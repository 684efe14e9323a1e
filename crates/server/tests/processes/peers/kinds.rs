//! Every kind of message, both ways: what our device sends is opened by another implementation, and by the
//! simulated phone that it belongs to; what the other one sends is stored with its type and its fields.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Implementation;
use super::exchange::{Addressing, PICTURE, THEIR_PHONE, WAIT_SECONDS_MAX, World};
use crate::support::wait::until;

/// A kind that our device sends.
struct Sent {
    /// The request, without device and recipient; `@` stands for a message that they have sent.
    body: Value,
    /// What they see.
    opened: Value,
    /// What the phone calls it.
    on_phone: &'static str,
}

/// A kind that they send.
struct Received {
    /// In Baileys' words; `@` stands for a message of ours.
    content: Value,
    /// What our row holds.
    row: Value,
}

/// The beginning of a video.
const VIDEO: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42";

/// A tenth of a second of silence.
fn sound() -> Vec<u8> {
    let mut wave = b"RIFF\xa4\x06\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wave.extend(b"\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x80\x06\0\0");
    wave.resize(44 + 1_664, 0);
    wave
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// All kinds that our device sends. They are mentioned by this JID.
fn sent(their_jid: &str) -> Vec<Sent> {
    let sent = |body, opened, on_phone| Sent { body, opened, on_phone };
    let media = |file: Value| json!({ "media": file });
    let (video, sound) = (base64(VIDEO), base64(&sound()));
    let pdf = base64(b"%PDF-1.4\n% sangat pendek\n");
    let (their_user, _) = their_jid.split_once('@').unwrap();
    vec![
        sent(json!({ "text": "Halo" }), json!({ "text": "Halo" }), "text"),
        sent(
            json!({ "text": format!("Halo @{THEIR_PHONE}"), "mentions": [THEIR_PHONE] }),
            json!({ "text": format!("Halo @{their_user}"), "mentions": [their_jid] }),
            "text",
        ),
        sent(
            json!({ "text": "Ya", "reply_to": "@" }),
            json!({ "text": "Ya", "reply_to": "@" }),
            "text",
        ),
        sent(
            media(json!({ "base64": PICTURE, "kind": "image", "caption": "foto" })),
            json!({ "media": { "kind": "image", "caption": "foto", "mimetype": "image/png" } }),
            "image",
        ),
        sent(
            media(json!({ "base64": PICTURE, "kind": "image", "view_once": true })),
            json!({ "media": { "kind": "image" }, "view_once": true }),
            "image",
        ),
        sent(
            media(json!({ "base64": video, "kind": "video", "caption": "film" })),
            json!({ "media": { "kind": "video", "caption": "film", "mimetype": "video/mp4" } }),
            "video",
        ),
        sent(
            media(json!({ "base64": video, "gif": true })),
            json!({ "media": { "kind": "video", "gif": true } }),
            "video",
        ),
        sent(
            media(json!({ "base64": sound, "kind": "voice" })),
            json!({ "media": { "kind": "audio", "ptt": true } }),
            "audio",
        ),
        sent(
            media(json!({ "base64": pdf, "filename": "a.pdf", "caption": "surat" })),
            json!({ "media": { "kind": "document", "filename": "a.pdf", "caption": "surat",
                "mimetype": "application/pdf" } }),
            "document",
        ),
        sent(
            media(json!({ "base64": PICTURE, "kind": "sticker" })),
            json!({ "media": { "kind": "sticker", "mimetype": "image/webp" } }),
            "sticker",
        ),
        sent(
            json!({ "location": { "latitude": -6.5, "longitude": 106.5, "name": "Kantor" } }),
            json!({ "location": { "latitude": -6.5, "longitude": 106.5, "name": "Kantor" } }),
            "location",
        ),
        sent(
            json!({ "contacts": [{ "name": "Ani", "phone": "628999" }] }),
            json!({ "contacts": [{ "name": "Ani" }] }),
            "contact",
        ),
        sent(
            json!({ "contacts": [{ "name": "Ani", "phone": "628999" }, { "name": "Edi", "phone": "628998" }] }),
            json!({ "contacts": [{ "name": "Ani" }, { "name": "Edi" }] }),
            "contact",
        ),
        sent(
            json!({ "poll": { "question": "Makan?", "options": ["Nasi", "Soto"], "selectable": 1 } }),
            json!({ "poll": { "question": "Makan?", "options": ["Nasi", "Soto"], "selectable": 1 } }),
            "poll",
        ),
        sent(
            json!({ "poll": { "question": "Makan?", "options": ["Nasi", "Soto"], "selectable": 0 } }),
            json!({ "poll": { "question": "Makan?", "options": ["Nasi", "Soto"] } }),
            "poll",
        ),
        sent(
            json!({ "reaction": { "message": "@", "emoji": "👍" } }),
            json!({ "reaction": { "message": "@", "emoji": "👍" } }),
            "reaction",
        ),
    ]
}

/// All kinds that Baileys sends.
fn received() -> Vec<Received> {
    let received = |content, row| Received { content, row };
    let file = |bytes: &[u8]| json!({ "base64": base64(bytes) });
    let picture = json!({ "base64": PICTURE });
    let card = "BEGIN:VCARD\nVERSION:3.0\nFN:Ani\nTEL;type=CELL;waid=628999:+628999\nEND:VCARD";
    let contact = json!({ "displayName": "Ani", "vcard": card });
    vec![
        received(json!({ "text": "Halo" }), json!({ "kind": "text", "text": "Halo" })),
        received(
            json!({ "image": picture, "caption": "foto", "mimetype": "image/png" }),
            json!({ "kind": "image", "text": "foto", "media": { "mimetype": "image/png" } }),
        ),
        received(
            json!({ "image": picture, "viewOnce": true, "mimetype": "image/png" }),
            json!({ "kind": "image", "media": { "view_once": true } }),
        ),
        received(
            json!({ "video": file(VIDEO), "gifPlayback": true, "mimetype": "video/mp4" }),
            json!({ "kind": "video", "media": { "gif": true } }),
        ),
        received(
            json!({ "audio": file(&sound()), "mimetype": "audio/ogg; codecs=opus", "ptt": true, "seconds": 1 }),
            json!({ "kind": "voice", "media": { "seconds": 1 } }),
        ),
        received(
            json!({ "document": file(b"%PDF-1.4"), "mimetype": "application/pdf", "fileName": "a.pdf" }),
            json!({ "kind": "document", "media": { "filename": "a.pdf", "mimetype": "application/pdf" } }),
        ),
        received(
            json!({ "sticker": picture, "mimetype": "image/webp" }),
            json!({ "kind": "sticker" }),
        ),
        received(
            json!({ "location": { "degreesLatitude": -6.5, "degreesLongitude": 106.5, "name": "Kantor" } }),
            json!({ "kind": "location", "location": { "latitude": -6.5, "longitude": 106.5, "name": "Kantor" } }),
        ),
        received(
            json!({ "contacts": { "displayName": "Ani", "contacts": [contact] } }),
            json!({ "kind": "contact", "contacts": [{ "name": "Ani", "phone": "628999" }] }),
        ),
        received(
            json!({ "poll": { "name": "Makan?", "values": ["Nasi", "Soto"], "selectableCount": 1 } }),
            json!({ "kind": "poll", "poll": { "question": "Makan?", "selectable": 1,
                "options": [{ "text": "Nasi", "votes": 0 }, { "text": "Soto", "votes": 0 }] } }),
        ),
        received(
            json!({ "react": { "text": "👍", "key": { "id": "@" } } }),
            json!({ "kind": "reaction", "reaction": { "message": "@", "emoji": "👍" } }),
        ),
    ]
}

/// Sends and receives every kind, and changes what was sent.
pub(super) async fn every_kind(implementation: &Implementation, addressing: Addressing) {
    let mut world = World::start(implementation, addressing).await;
    let theirs = they_send(&mut world, json!({ "text": "dari kami" })).await;
    world.row(&theirs).await;
    let their_jid = match addressing {
        Addressing::ByNumber => format!("{THEIR_PHONE}@s.whatsapp.net"),
        Addressing::ByLid => {
            let them = world.simulator.control().get(&format!("/phones/{THEIR_PHONE}")).await;
            them["lid"].as_str().unwrap().to_owned()
        }
    };
    for Sent { body, opened, on_phone } in sent(&their_jid) {
        let body = with_id(body, "@", &theirs);
        let (answer, arrived) = world.send(THEIR_PHONE, body.clone()).await;
        holds(&arrived, &with_id(opened, "@", &theirs), &format!("{body}"));
        let id = &answer["whatsapp_id"];
        let on = until("it is on their phone", WAIT_SECONDS_MAX, async || {
            world.simulator.inbox(THEIR_PHONE).await.into_iter().find(|mail| mail["id"] == *id)
        });
        assert_eq!(on.await["kind"], on_phone, "{body}");
    }
    let (ours, _) = world.send(THEIR_PHONE, json!({ "text": "salah" })).await;
    let ours_id = ours["whatsapp_id"].as_str().unwrap().to_owned();
    for Received { content, row } in received() {
        let sent = they_send(&mut world, with_id(content.clone(), "@", &ours_id)).await;
        let stored = world.row(&sent).await;
        holds(&stored, &with_id(row, "@", &ours_id), &format!("{content}"));
    }
    changes(&mut world, &ours, &ours_id).await;
}

/// Edits and deletions, both ways.
async fn changes(world: &mut World, ours: &Value, ours_id: &str) {
    let path = format!("/v1/messages/{}", ours["id"]);
    until("our message is with them", WAIT_SECONDS_MAX, async || {
        let status = world.account.get(&path).await["status"].clone();
        ["sent", "delivered", "read"].contains(&status.as_str()?).then_some(())
    })
    .await;
    let edit = Some(json!({ "text": "benar" }));
    assert_eq!(world.account.call("PATCH", &path, edit).await.status, 202);
    let seen = world.peers.event(0, "message").await;
    assert_eq!(seen["edit"], json!({ "text": "benar", "message": ours_id }), "{seen}");
    let revoke = format!("{path}/revoke");
    assert_eq!(world.account.call("POST", &revoke, None).await.status, 202);
    let seen = world.peers.event(0, "message").await;
    assert_eq!(seen["revoke"], json!({ "message": ours_id }), "{seen}");

    let theirs = they_send(world, json!({ "text": "keliru" })).await;
    world.row(&theirs).await;
    they_send(world, json!({ "text": "betul", "edit": { "id": theirs, "mine": true } })).await;
    world.row_that(&theirs, |row| row["text"] == "betul" && row["edited_at"].is_string()).await;
    they_send(world, json!({ "delete": { "id": theirs, "mine": true } })).await;
    world.row_that(&theirs, |row| row["revoked_at"].is_string()).await;
}

/// They send: the message's id.
async fn they_send(world: &mut World, content: Value) -> String {
    let order = json!({ "to": world.our_jid, "content": content });
    world.peers.order(0, order).await;
    world.peers.event(0, "sent").await["id"].as_str().unwrap().to_owned()
}

impl World {
    async fn row(&self, id: &str) -> Value {
        self.row_that(id, |row| row["kind"] != "unreadable").await
    }

    async fn row_that(&self, id: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(format!("{id} is stored so"), WAIT_SECONDS_MAX, async || {
            let list = self.account.get("/v1/messages?direction=in&limit=100").await;
            let rows = list["data"].as_array().unwrap().clone().into_iter();
            let mut rows = rows.filter(|row| row["whatsapp_id"] == *id && is_it(row));
            let found = rows.next()?;
            // Lists leave some fields out.
            Some(self.account.get(&format!("/v1/messages/{}", found["id"])).await)
        })
        .await
    }
}

/// Puts the id of a message where a mark stands for it.
fn with_id(value: Value, mark: &str, id: &str) -> Value {
    match value {
        Value::String(text) if text == mark => json!(id),
        Value::Array(items) => items.into_iter().map(|item| with_id(item, mark, id)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, with_id(field, mark, id))).collect()
        }
        other => other,
    }
}

/// Whether a value has all that is expected of it.
fn holds(value: &Value, expected: &Value, of: &str) {
    match expected {
        Value::Object(fields) => {
            for (name, field) in fields {
                holds(&value[name], field, &format!("{name} of {of}"));
            }
        }
        Value::Array(items) => {
            assert_eq!(value.as_array().map(Vec::len), Some(items.len()), "{of}: {value}");
            for (index, item) in items.iter().enumerate() {
                holds(&value[index], item, of);
            }
        }
        expected => assert_eq!(value, expected, "{of}"),
    }
}
