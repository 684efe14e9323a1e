//! Baileys, the other implementation of WhatsApp's protocol: once against our simulator alone, and
//! once with one of our devices at the other end. The proof that our driver and our simulator are
//! not wrong in the same way.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

const OUR_PHONE: &str = "628111000001";
const THEIR_PHONE: &str = "628222000002";

/// Pairing by QR and by code, text, groups, media, receipts, typing, mail that waits, refusals,
/// unlinking: `baileys.mjs` prints a line for each step that held.
#[tokio::test(flavor = "multi_thread")]
async fn baileys_lives_with_the_simulator() {
    let simulator = Simulator::start().await;
    let mut command = Command::new("node");
    command.arg("baileys.mjs").arg(simulator.url());
    command.current_dir(installed());
    let mut baileys = Process::start("baileys.mjs", command);
    let mut held = Vec::new();
    loop {
        let step =
            |line: &str| (line.starts_with("ok ") || line == "all held").then(|| line.to_owned());
        match &*baileys.line("that its next step held", step).await {
            "all held" => break,
            step => held.push(step.to_owned()),
        }
    }
    assert!(baileys.exit().await.success());
    assert!(held.iter().any(|step| step.contains("unlinked by the phone")), "{held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn baileys_links_by_qr_and_exchanges_text_with_our_device() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("baileys", "unlimited").await;
    let device = account.make_linked_device(&simulator, OUR_PHONE).await;
    let mut baileys = start(&simulator).await;
    let qr = event(&mut baileys, "qr").await;
    simulator.scan(THEIR_PHONE, qr["qr"].as_str().unwrap()).await;
    event(&mut baileys, "open").await;

    for n in 0..3 {
        let ours = format!("ours to theirs {n}");
        let body = json!({ "device": device, "to": THEIR_PHONE, "text": ours });
        let sent = account.post("/v1/messages", body).await;
        let arrived = event(&mut baileys, "message").await;
        assert_eq!(arrived["text"], ours.as_str());
        assert_eq!(arrived["id"], sent["whatsapp_id"]);
        assert_eq!(arrived["from"], format!("{OUR_PHONE}@s.whatsapp.net"));

        let theirs = format!("theirs to ours {n}");
        baileys.write_line(&json!({ "to": OUR_PHONE, "text": theirs }).to_string()).await;
        let id = event(&mut baileys, "sent").await["id"].clone();
        let row = until("their text comes in", 30, async || {
            let list = account.get("/v1/messages?direction=in").await;
            let rows = list["data"].as_array().unwrap().clone();
            rows.into_iter().find(|row| row["text"] == theirs.as_str())
        })
        .await;
        assert_eq!(row["whatsapp_id"], id);
    }
}

async fn start(simulator: &Simulator) -> Process {
    let root_key = simulator.control().get("/root-key").await;
    let mut command = Command::new("node");
    command.arg("peer.mjs").arg(simulator.url()).arg(root_key["hex"].as_str().unwrap());
    command.current_dir(installed());
    Process::start("peer.mjs", command)
}

/// Where Baileys and its scripts are.
fn installed() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests/baileys");
    assert!(
        dir.join("node_modules").is_dir(),
        "Baileys is not installed: run `cargo xtask test npm` first"
    );
    dir
}

/// Waits for the next line of JSON about `name`.
async fn event(baileys: &mut Process, name: &str) -> Value {
    baileys
        .line(name, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == name).then_some(event)
        })
        .await
}
