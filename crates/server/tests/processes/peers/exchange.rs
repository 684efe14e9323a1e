//! Messages between one of our devices and another implementation's, both ways.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::front::Front;
use super::{Implementation, Peers};
use crate::support::api::Api;
use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

pub(super) const OUR_PHONE: &str = "628111000001";
pub(super) const THEIR_PHONE: &str = "628222000002";
/// A picture of one pixel.
pub(super) const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const REPORT: &[u8] = b"%PDF-1.4\n% laporan yang sangat pendek\n";
pub(super) const WAIT_SECONDS_MAX: u64 = 30;

/// How accounts address people.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Addressing {
    ByNumber,
    ByLid,
}

/// One device of ours and one of theirs.
pub(super) struct World {
    pub(super) simulator: Simulator,
    _front: Front,
    _gateway: Gateway,
    pub(super) account: Api,
    device: String,
    pub(super) peers: Peers,
    /// How they address us.
    pub(super) our_jid: String,
}

/// Text, replies, files, groups, and what could not be decrypted and is asked for again.
pub(super) async fn exchange(implementation: &Implementation, addressing: Addressing) {
    let mut world = World::start(implementation, addressing).await;
    let our_jid = world.our_jid.clone();
    world.texts(THEIR_PHONE, &our_jid).await;
    world.replies().await;
    world.files(THEIR_PHONE, &our_jid).await;
    world.retries(THEIR_PHONE, &our_jid).await;
    let by_lid = addressing == Addressing::ByLid;
    let members = [OUR_PHONE, THEIR_PHONE];
    let group = json!({ "subject": "Keluarga", "participants": members, "by_lid": by_lid });
    let group = world.simulator.control().post("/groups", group).await;
    let group = group["id"].as_str().unwrap();
    world.texts(group, group).await;
    world.files(group, group).await;
    world.retries(group, group).await;
}

impl World {
    pub(super) async fn start(implementation: &Implementation, addressing: Addressing) -> Self {
        let simulator = Simulator::start().await;
        let front = Front::start(&simulator).await;
        let by_lid = addressing == Addressing::ByLid;
        let is_migrated = json!({ "migrated": by_lid });
        let us = simulator.control().put(&format!("/phones/{OUR_PHONE}"), is_migrated).await;
        let is_migrated = json!({ "migrated": by_lid || implementation.is_always_by_lid });
        simulator.control().put(&format!("/phones/{THEIR_PHONE}"), is_migrated).await;
        let our_jid = match addressing {
            Addressing::ByNumber => format!("{OUR_PHONE}@s.whatsapp.net"),
            Addressing::ByLid => us["lid"].as_str().unwrap().to_owned(),
        };
        let settings = [("GERBANG_WHATSAPP_URL", &*front.url()), ("GERBANG_PACING", "off")];
        let gateway = Gateway::start_with(&env::gerbang(), &settings).await;
        let account = gateway.operator().make_account("peers", "unlimited").await;
        let device = account.make_linked_device(&simulator, OUR_PHONE).await;
        let mut peers = Peers::start(implementation, &simulator, &front, 1).await;
        let qr = peers.event(0, "qr").await;
        simulator.scan(THEIR_PHONE, qr["qr"].as_str().unwrap()).await;
        peers.event(0, "open").await;
        let (_front, _gateway) = (front, gateway);
        Self { simulator, _front, _gateway, account, device, peers, our_jid }
    }

    /// The ratchets of both sides turn.
    async fn texts(&mut self, to_them: &str, to_us: &str) {
        for n in 0..3 {
            let ours = format!("ours {n}");
            let (sent, arrived) = self.send(to_them, json!({ "text": ours })).await;
            assert_eq!(arrived["text"], ours.as_str());
            if to_us == to_them {
                assert_eq!(arrived["chat"], to_us, "the group");
            }
            self.is_delivered(&sent).await;
            let theirs = format!("theirs {n}");
            let row = self.receive(to_us, json!({ "text": theirs })).await;
            assert_eq!((&row["kind"], &row["text"]), (&json!("text"), &json!(theirs)));
            assert_eq!(row["from"], THEIR_PHONE);
        }
    }

    async fn replies(&mut self) {
        let (question, _) = self.send(THEIR_PHONE, json!({ "text": "a question" })).await;
        let quoted =
            json!({ "id": question["whatsapp_id"], "from": self.our_jid, "text": "a question" });
        let answer = json!({ "text": "an answer", "reply_to": quoted });
        let answer = self.receive(&self.our_jid.clone(), answer).await;
        assert_eq!(answer["text"], "an answer");
        assert_eq!(answer["reply_to"], question["whatsapp_id"]);
        let thanks = json!({ "text": "thanks", "reply_to": answer["whatsapp_id"] });
        let (_, thanks) = self.send(THEIR_PHONE, thanks).await;
        assert_eq!(thanks["text"], "thanks");
        assert_eq!(thanks["reply_to"], answer["whatsapp_id"]);
    }

    async fn files(&mut self, to_them: &str, to_us: &str) {
        let report = BASE64_STANDARD.encode(REPORT);
        let picture = ("image", PICTURE, "image/png", None);
        let report = ("document", &*report, "application/pdf", Some("laporan.pdf"));
        for (kind, base64, mimetype, filename) in [picture, report] {
            let file = json!({ "kind": kind, "base64": base64, "mimetype": mimetype,
                "filename": filename, "caption": "mohon dilihat" });
            let bytes = BASE64_STANDARD.decode(base64).unwrap();
            let sha256 = hex::encode(Sha256::digest(&bytes));
            let (_, arrived) = self.send(to_them, json!({ "media": file })).await;
            let opened = json!({ "kind": kind, "caption": "mohon dilihat", "mimetype": mimetype,
                "filename": filename, "sha256": sha256 });
            for (name, value) in opened.as_object().unwrap() {
                assert_eq!(arrived["media"][name], *value, "{name}: {arrived}");
            }
            let row = self.receive(to_us, json!({ "media": file })).await;
            assert_eq!((&row["kind"], &row["text"]), (&json!(kind), &json!("mohon dilihat")));
            assert_eq!(row["media"]["mimetype"], mimetype, "{row}");
            assert_eq!(row["media"]["size"], bytes.len(), "{row}");
            // Our phone opens it, too.
            let id = &row["whatsapp_id"];
            let on_phone = until("their file is on our phone", WAIT_SECONDS_MAX, async || {
                self.simulator.inbox(OUR_PHONE).await.into_iter().find(|mail| mail["id"] == *id)
            });
            assert_eq!(on_phone.await["sha256"], sha256);
        }
    }

    /// What is damaged on its way is asked for again, and arrives once under its id.
    async fn retries(&mut self, to_them: &str, to_us: &str) {
        self.corrupt_next(THEIR_PHONE).await;
        let (sent, arrived) = self.send(to_them, json!({ "text": "ours, damaged" })).await;
        assert_eq!(arrived["text"], "ours, damaged");
        self.is_delivered(&sent).await;
        self.corrupt_next(OUR_PHONE).await;
        let row = self.receive(to_us, json!({ "text": "theirs, damaged" })).await;
        assert_eq!(row["text"], "theirs, damaged");
        self.simulator.set_faults(json!({})).await;
    }

    async fn corrupt_next(&self, number: &str) {
        let rule = json!({ "on": "message", "number": number, "times": 1, "do": "corrupt" });
        self.simulator.set_faults(json!({ "rules": [rule] })).await;
    }

    /// Our device sends: what the API answered, and what they received.
    pub(super) async fn send(&mut self, to: &str, mut message: Value) -> (Value, Value) {
        message["device"] = json!(self.device);
        message["to"] = json!(to);
        let sent = self.account.post("/v1/messages", message).await;
        let arrived = self.peers.event(0, "message").await;
        assert_eq!(arrived["id"], sent["whatsapp_id"], "{arrived}");
        (sent, arrived)
    }

    async fn is_delivered(&self, sent: &Value) {
        until("our message is delivered", WAIT_SECONDS_MAX, async || {
            let message = self.account.get(&format!("/v1/messages/{}", sent["id"])).await;
            let status = message["status"].as_str().unwrap().to_owned();
            ["delivered", "read"].contains(&&*status).then_some(())
        })
        .await;
    }

    /// They send: the row that we have stored.
    async fn receive(&mut self, to: &str, mut order: Value) -> Value {
        order["to"] = json!(to);
        self.peers.order(0, order).await;
        let id = self.peers.event(0, "sent").await["id"].clone();
        until("their message comes in", WAIT_SECONDS_MAX, async || {
            let list = self.account.get("/v1/messages?direction=in&limit=100").await;
            let rows = list["data"].as_array().unwrap().iter();
            let mut of_id = rows.filter(|row| row["whatsapp_id"] == id);
            let row = of_id.next()?.clone();
            assert_eq!(of_id.next(), None, "it came in twice");
            // What could not be decrypted has a row without its content first.
            (!row["text"].is_null()).then_some(row)
        })
        .await
    }
}
