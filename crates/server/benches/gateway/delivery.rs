//! Many devices that send at the same time, pacing off, to simulated phones.

use std::time::Instant;

use serde_json::{Value, json};

use crate::accept::sender;
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

/// They send all at once.
const DEVICES: u32 = 200;
/// Messages of each device, in one request.
const MESSAGES: u32 = 50;
/// Phones that receive.
const PHONES: u32 = 20;
/// Longest time until all have arrived, in seconds.
const ARRIVAL_MAX_S: u64 = 120;

/// From the first request until every message is on its phone.
pub async fn measure() -> Vec<Table> {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let mut senders = Vec::new();
    for n in 0..DEVICES {
        senders.push(sender(&gateway.operator(), &simulator, n).await);
    }
    let total = u64::from(DEVICES * MESSAGES);
    let start = Instant::now();
    for (device, sender) in senders.iter().enumerate() {
        let message = |n: u32| {
            let phone = (device as u32 + n) % PHONES;
            let text = format!("{device} {n}");
            json!({ "device": sender.device, "to": format!("62813{phone:08}"), "text": text })
        };
        let messages: Vec<Value> = (0..MESSAGES).map(message).collect();
        let account = gateway.operator().with_key(&sender.key);
        account.post("/v1/messages/batch", json!({ "messages": messages })).await;
    }
    until(format!("{total} messages arrive"), ARRIVAL_MAX_S, async || {
        let stats = simulator.control().get("/stats").await;
        (stats["stored"]["inbox"].as_u64() >= Some(total)).then_some(())
    })
    .await;
    let took = start.elapsed().as_secs_f64();
    let mut texts = Vec::new();
    for phone in 0..PHONES {
        texts.extend(simulator.inbox(&format!("62813{phone:08}")).await);
    }
    let arrived = texts.len() as u64;
    let mut texts: Vec<String> = texts.iter().map(|row| row["text"].to_string()).collect();
    texts.sort_unstable();
    texts.dedup();
    let distinct = texts.len() as u64;
    let title = format!("Delivery, {DEVICES} devices, {total} messages, pacing off");
    let mut table = Table::new(title, &["", "measured", "target"]);
    let rate = format!("{:.0} per s", total as f64 / took);
    table.row(["on the phones".into(), rate, "1,000 per s".into()]);
    let exact = format!("{distinct} different, {arrived} in all");
    table.row(["each once".into(), exact, format!("{total} and {total}")]);
    table.note("The simulator runs on the same cores and does the phones' cryptography.");
    vec![table]
}
