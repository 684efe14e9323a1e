//! Memory that the history of a phone takes while a device reads it.

use std::time::Duration;

use serde_json::json;

use crate::numbers::{peak_mib, processor_time, reset_peak, resident_mib};
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::moment;

/// Of the messages in it, in bytes: about 20 MB when they are compressed.
const BYTES: usize = 35 * 1024 * 1024;
const CHATS: u32 = 1_000;
/// Links it at the same time: one more than are let read.
const DEVICES: u32 = 3;

/// Links devices whose phones have a large history, and looks at the highest memory.
pub async fn measure() -> Vec<Table> {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("bench", "unlimited").await;
    let chats: Vec<String> = (0..CHATS).map(|n| format!("62813{n:08}")).collect();
    account.make_linked_device(&simulator, "628110000000").await;
    let mut size = 0;
    let (mut devices, mut offers) = (Vec::new(), Vec::new());
    for n in 1..=DEVICES {
        let phone = format!("62811{n:08}");
        let body = json!({ "chats": chats, "bytes": BYTES });
        let made = simulator.control().post(&format!("/phones/{phone}/history"), body).await;
        size = made["bytes"].as_u64().unwrap();
        let device = account.make_device(&phone).await;
        let offer = account.post(&format!("/v1/devices/{device}/pair"), json!({})).await;
        devices.push(device);
        offers.push((phone, offer["qr"].as_str().unwrap().to_owned()));
    }
    let process = gateway.process.id();
    let before = resident_mib(process);
    reset_peak(process);
    for (phone, qr) in &offers {
        simulator.scan(phone, qr).await;
    }
    for device in &devices {
        account.wait_for_status(device, "connected").await;
    }
    rest(process).await;
    let more = peak_mib(process) - before;
    let title = format!(
        "History of a phone: {:.1} MB compressed, {DEVICES} devices at once",
        size as f64 / 1e6
    );
    let mut table = Table::new(title, &["", "measured", "target"]);
    let target = "64 MiB: 32 MiB for each of two".to_owned();
    table.row(["more memory at its highest".to_owned(), format!("{more:.1} MiB"), target]);
    vec![table]
}

/// Waits until a process has nothing more to do.
async fn rest(process: u32) {
    const WATCHED: Duration = Duration::from_secs(3);
    const IDLE: Duration = Duration::from_millis(100);
    loop {
        let before = processor_time(process);
        moment(WATCHED).await;
        if processor_time(process) - before < IDLE {
            return;
        }
    }
}
