//! The simulator as clients see it, without sockets: stanzas in, stanzas out.

mod app_state;
mod client;
mod groups;
mod hostile;
mod http;
mod mail;
mod media;
mod messages;
mod others;
mod pairing;
mod passkey;
mod queries;
mod socket;
mod strict;
mod tokens;
mod writing;

use std::time::Duration;

use serde_json::Value;
use wacore_binary::Jid;

use crate::address::{DeviceAddr, Number};
use crate::phone::views;
use crate::{Simulator, SimulatorConfig};

pub(crate) use client::Client;

/// A simulator in a directory of its own, with phones that read quickly.
pub(crate) async fn simulator(dir: &tempfile::TempDir) -> Simulator {
    let mut config = SimulatorConfig::new(dir.path());
    config.read_delay = Duration::from_millis(5);
    Simulator::open(config).await.unwrap()
}

/// The LID of a number's first owner.
pub(crate) fn lid_jid(number: Number) -> Jid {
    Jid::lid(number.lid_after(0))
}

pub(crate) fn number(text: &str) -> Number {
    Number::parse(text).unwrap()
}

/// What a phone has received.
pub(crate) async fn inbox(simulator: &Simulator, of: Number) -> Vec<Value> {
    let inbox = simulator.read(move |db| views::inbox(db, of)).await.unwrap();
    inbox.as_array().unwrap().clone()
}

/// What an upload of a number's device must prove.
pub(crate) async fn media_auth(simulator: &Simulator) -> String {
    let device = DeviceAddr { number: number("628111"), device: 1 };
    simulator.switchboard().run(move |sb| sb.media_auth(device)).await.unwrap()
}

/// The number of waiting stanzas.
pub(crate) async fn waiting(simulator: &Simulator) -> i64 {
    let counts = simulator.read(views::stored_counts).await.unwrap();
    counts["mail"].as_i64().unwrap()
}
