//! From the request to the phone, at low load and without pacing.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::numbers::{ms, percentile};
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

const MESSAGES: u32 = 300;
const PHONE: &str = "628130000001";
const COLUMNS: [&str; 4] = ["", "p50", "p99", "target"];
/// Between two messages: what the one before caused has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The time of each arrival is the phone's own: asking for it again and again would take a core from what
/// is measured. Both clocks are the machine's.
pub async fn measure() -> Vec<Table> {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("bench", "unlimited").await;
    let device = account.make_linked_device(&simulator, "628110000001").await;
    let mut began = HashMap::new();
    let mut answers = Vec::new();
    let mut pings = Vec::new();
    for n in 0..=MESSAGES {
        let text = format!("number {n}");
        let body = json!({ "device": device, "to": PHONE, "text": text });
        let start = Instant::now();
        began.insert(text, now());
        let message = account.post("/v1/messages", body).await;
        answers.push(start.elapsed());
        assert!(message["id"].is_i64(), "{message}");
        moment(PAUSE).await;
        let start = Instant::now();
        simulator.control().get("/faults").await;
        pings.push(start.elapsed());
    }
    let inbox = until("every message arrives", 30, async || {
        let inbox = simulator.inbox(PHONE).await;
        (inbox.len() > MESSAGES as usize).then_some(inbox)
    })
    .await;
    // The first message of a chat fetches keys; the others are what is measured.
    began.remove("number 0");
    let mut latencies = inbox.iter().filter_map(|row| latency(row, &began)).collect::<Vec<_>>();
    assert_eq!(latencies.len(), MESSAGES as usize);
    let mut table = Table::new("From accept to the phone, low load, pacing off", &COLUMNS);
    table.row(row("one message", &mut latencies, "p50 10 ms, p99 20 ms"));
    table.row(row("of it until the answer", &mut answers, ""));
    table.row(row("one ping to the simulator", &mut pings, "reference"));
    table.note("The phone's time of arrival, to the millisecond.");
    vec![table]
}

/// From the request until the phone had it; none for a message that is not measured.
fn latency(row: &Value, began: &HashMap<String, Timestamp>) -> Option<Duration> {
    let began = began.get(row["text"].as_str()?)?;
    let arrived: Timestamp = row["at"].as_str()?.parse().unwrap();
    Some(Duration::try_from(arrived.duration_since(*began)).unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "compared with the phone's clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn row(what: &str, times: &mut [Duration], target: &str) -> [String; 4] {
    let (p50, p99) = (percentile(times, 50), percentile(times, 99));
    [what.to_owned(), ms(p50), ms(p99), target.to_owned()]
}
