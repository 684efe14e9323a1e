//! Baileys, in JavaScript.

use tokio::process::Command;

use super::exchange::{Addressing, exchange};
use super::front::Front;
use super::kinds::every_kind;
use super::pairing::pair_many;
use super::{Implementation, node, trust_front};
use crate::support::process::Process;
use crate::support::simulator::Simulator;

const BAILEYS: Implementation = Implementation {
    name: "baileys",
    script: || node("baileys", "peer.mjs"),
    is_always_by_lid: false,
};

#[tokio::test(flavor = "multi_thread")]
async fn baileys_pairs_twenty_times() {
    pair_many(&BAILEYS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baileys_exchanges_messages_with_our_device_by_number() {
    exchange(&BAILEYS, Addressing::ByNumber).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baileys_exchanges_messages_with_our_device_by_lid() {
    exchange(&BAILEYS, Addressing::ByLid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baileys_opens_and_sends_every_kind_by_number() {
    every_kind(&BAILEYS, Addressing::ByNumber).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baileys_opens_and_sends_every_kind_by_lid() {
    every_kind(&BAILEYS, Addressing::ByLid).await;
}

/// Pairing by QR and by code, text, groups, media, receipts, typing, mail that waits, refusals,
/// unlinking, with virtual phones: `baileys.mjs` prints a line for each step that held.
#[tokio::test(flavor = "multi_thread")]
async fn baileys_lives_with_the_simulator() {
    let simulator = Simulator::start().await;
    let front = Front::start(&simulator).await;
    let mut command: Command = node("baileys", "baileys.mjs");
    command.arg(front.url());
    trust_front(&mut command);
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
