//! whatsmeow, in Go; through neonize, its library for Python.

use tokio::process::Command;

use super::exchange::{Addressing, exchange};
use super::pairing::pair_many;
use super::{Implementation, folder};
use crate::support::env;

const WHATSMEOW: Implementation =
    Implementation { name: "whatsmeow", script, is_always_by_lid: true };

fn script() -> Command {
    let mut command = Command::new(env::required("GERBANG_TEST_NEONIZE"));
    command.arg("peer.py").current_dir(folder("whatsmeow"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsmeow_pairs_twenty_times() {
    pair_many(&WHATSMEOW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsmeow_exchanges_messages_with_our_device_by_number() {
    exchange(&WHATSMEOW, Addressing::ByNumber).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsmeow_exchanges_messages_with_our_device_by_lid() {
    exchange(&WHATSMEOW, Addressing::ByLid).await;
}
