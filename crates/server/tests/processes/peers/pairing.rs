//! Pairing with the simulator, by QR and by code.

use futures_util::future::join_all;
use serde_json::json;

use super::front::Front;
use super::{Implementation, Peers};
use crate::support::simulator::Simulator;

/// How often each implementation pairs.
const PAIRINGS: usize = 20;

/// Pairs many devices at once, every other one by code. None of them hangs.
pub(super) async fn pair_many(implementation: &Implementation) {
    let simulator = Simulator::start().await;
    let front = Front::start(&simulator).await;
    let mut peers = Peers::start(implementation, &simulator, &front, PAIRINGS).await;
    let mut requests = Vec::new();
    for device in 0..PAIRINGS {
        let phone = format!("6282220000{device:02}");
        let qr = peers.event(device, "qr").await["qr"].clone();
        requests.push(if device % 2 == 0 {
            (format!("/phones/{phone}/scan"), json!({ "qr": qr }))
        } else {
            peers.order(device, json!({ "pair_by_code": phone })).await;
            let code = peers.event(device, "code").await["code"].clone();
            (format!("/phones/{phone}/enter-code"), json!({ "code": code }))
        });
    }
    // Each call ends when its device is paired.
    join_all(requests.iter().map(|(path, body)| simulator.control().post(path, body.clone())))
        .await;
    for device in 0..PAIRINGS {
        peers.event(device, "open").await;
    }
    let stats = simulator.control().get("/stats").await;
    assert_eq!(stats["online_devices"], PAIRINGS);
}
