//! From the request to the phone, at low load and without pacing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Options;
use crate::numbers::{ms, percentile};
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;

const MESSAGES: u32 = 300;
const PHONE: &str = "628130000001";
const COLUMNS: [&str; 4] = ["", "p50", "p99", "target"];

/// Each send beside one ping.
pub async fn measure(_: Options) -> Vec<Table> {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("bench", "unlimited").await;
    let device = account.make_linked_device(&simulator, "628110000001").await;
    // The first message of a chat fetches keys; the others are what is measured.
    let send = async |n: u32| {
        let body = json!({ "device": device, "to": PHONE, "text": format!("number {n}") });
        let start = Instant::now();
        let message = account.post("/v1/messages", body).await;
        wait_for_arrival(&simulator, n + 1).await;
        (start.elapsed(), message)
    };
    let mut pings = Vec::new();
    let mut latencies = Vec::new();
    for n in 0..=MESSAGES {
        let (latency, message) = send(n).await;
        assert!(message["id"].is_i64(), "{message}");
        if n > 0 {
            latencies.push(latency);
        }
        let start = Instant::now();
        simulator.control().get("/faults").await;
        pings.push(start.elapsed());
    }
    let mut table = Table::new("From accept to the phone, low load, pacing off", &COLUMNS);
    table.row(row("one message", &mut latencies, "p50 10 ms, p99 20 ms"));
    table.row(row("one ping to the simulator", &mut pings, "reference"));
    vec![table]
}

/// Asks again at once: what it adds is at most one round trip.
async fn wait_for_arrival(simulator: &Simulator, wanted: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stats = simulator.control().get("/stats").await;
        if stats["stored"]["inbox"].as_u64() >= Some(u64::from(wanted)) {
            return;
        }
        assert!(Instant::now() < deadline, "message {wanted} did not arrive: {stats}");
    }
}

fn row(what: &str, times: &mut [Duration], target: &str) -> [String; 4] {
    let (p50, p99) = (percentile(times, 50), percentile(times, 99));
    [what.to_owned(), ms(p50), ms(p99), target.to_owned()]
}
