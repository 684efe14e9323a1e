//! The history that a phone gives a device when it is linked takes little memory.

use serde_json::json;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::memory::{forget_peak_memory, peak_memory, resident_memory};
use crate::support::simulator::Simulator;
use crate::support::wait::until;

/// Most memory that it takes, in bytes.
const MEMORY_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How large a history is, in bytes: of its messages, and when it is compressed.
const BYTES: u64 = 35 * 1024 * 1024;
const COMPRESSED_BYTES: u64 = 20_000_000;
/// One that is downloaded in the same way, in bytes of its messages.
const SMALL_BYTES: u64 = 4 * 1024 * 1024;
const CHATS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_20_mb_takes_little_memory() {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    // Nobody can be written to but those whom a device knows from its history.
    let restriction = json!({ "timelock_until": "2999-01-01T00:00:00Z" });
    simulator.control().put("/server", restriction).await;
    let account = gateway.operator().make_account("histories", "unlimited").await;
    let (process, mut more) = (gateway.process.id(), 0);
    // The first loads the code that reads histories.
    for (phone, bytes, compressed) in
        [("628119000007", SMALL_BYTES, 0), ("628119000008", BYTES, COMPRESSED_BYTES)]
    {
        let size = give_history(&simulator, phone, bytes).await;
        assert!(size >= compressed, "{size} bytes");
        let before = resident_memory(process);
        forget_peak_memory(process);
        let device = account.make_linked_device(&simulator, phone).await;
        write_to_the_last(&account, &device).await;
        more = peak_memory(process).saturating_sub(before);
        println!("a history of {size} bytes: {more} bytes more");
    }
    assert!(more <= MEMORY_BYTES_MAX, "{more} bytes more");
}

fn friends() -> impl Iterator<Item = String> {
    (0..CHATS).map(|n| (628_720_000_001 + n).to_string())
}

/// What the phone gives the next device that it links; its size when it is compressed, in bytes.
async fn give_history(simulator: &Simulator, phone: &str, bytes: u64) -> u64 {
    let body = json!({ "chats": friends().collect::<Vec<_>>(), "bytes": bytes });
    let made = simulator.control().post(&format!("/phones/{phone}/history"), body).await;
    made["bytes"].as_u64().unwrap()
}

/// Writes to the last chat of a history, which arrives once the history was read.
async fn write_to_the_last(account: &Api, device: &str) {
    let body = json!({ "device": device, "to": friends().last(), "text": "Halo lagi" });
    let id = account.post("/v1/messages", body).await["id"].as_i64().unwrap();
    until("the history was read", 60, async || {
        let message = account.get(&format!("/v1/messages/{id}")).await;
        (message["status"] == "read").then_some(())
    })
    .await;
}
