//! The disk is full at many points: each send is answered with 503 or is durable, nothing is half done,
//! and everything works again within seconds of there being space.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::Disk;
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{counters, env, figures};

const SHOP: &str = "6281100000001";
const CUSTOMER: &str = "6281200000001";
/// How long it may take until it is ready, in seconds.
const READY_S_MAX: u64 = 10;
/// Writes that find space, at most: enough for a few dozen sends.
const WRITES_MAX: u32 = 300;
/// Sends of a point after the disk is full.
const SENDS_WHEN_FULL: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_clean() {
    let mut random = StdRng::seed_from_u64(env::seed());
    let disk = Disk::new();
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &disk.settings()).await;
    let account = gateway.operator().make_account("full", "unlimited").await;
    let device = account.make_linked_device(&simulator, SHOP).await;
    let points = if env::is_long() { 50 } else { 5 };
    let (mut accepted, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
    for point in 0..points {
        disk.fill_after(random.random_range(0..WRITES_MAX));
        let mut full = 0;
        for n in 0.. {
            let text = format!("point {point} message {n}");
            let is_full = disk.is_full();
            match send(&account, &device, &text).await {
                true => accepted.push(text),
                false => refused += 1,
            }
            full += usize::from(is_full);
            if full == SENDS_WHEN_FULL {
                break;
            }
        }
        // Its acknowledgement waits for the space as well.
        simulator.send(CUSTOMER, SHOP, &format!("to us {point}")).await;
        disk.free();
        let since = Instant::now();
        let text = format!("point {point}, there is space");
        until(&text, READY_S_MAX, async || send(&account, &device, &text).await.then_some(()))
            .await;
        slowest = slowest.max(since.elapsed());
        accepted.push(text);
    }
    assert!(refused >= points, "a full disk refused {refused} sends at {points} points");
    let count = accepted.len();
    everything_arrives(&account, &simulator, accepted, points).await;
    assert!(gateway.process.stop().await.success());
    counters::agree(&gateway).await;
    figures::report(
        "a full disk",
        format_args!(
            "{points} points: {count} accepted and on their phone once, {refused} refused with 503; ready after \
             {slowest:.1?} at most"
        ),
    );
}

/// Whether it was accepted; refused only as it should be.
async fn send(account: &Api, device: &str, text: &str) -> bool {
    let body = json!({ "device": device, "to": CUSTOMER, "text": text });
    let reply = account.call("POST", "/v1/messages", Some(body)).await;
    if reply.status == 503 {
        assert!(reply.body["detail"].is_string(), "{reply:?}");
        moment(Duration::from_millis(20)).await;
        return false;
    }
    assert_eq!(reply.status, 202, "{reply:?}");
    true
}

/// On the phone is what was accepted, each once, and nothing that was refused.
async fn everything_arrives(
    account: &Api,
    simulator: &Simulator,
    mut accepted: Vec<String>,
    points: usize,
) {
    until("all are read", 60, async || {
        let rows = account.all("/v1/messages?direction=out").await;
        rows.iter().all(|row| row["status"] == "read").then_some(())
    })
    .await;
    let inbox = simulator.inbox(CUSTOMER).await;
    let text = |row: &Value| row["text"].as_str().unwrap().to_owned();
    let mut arrived: Vec<String> = inbox.iter().map(text).collect();
    arrived.sort_unstable();
    accepted.sort_unstable();
    assert_eq!(arrived, accepted);
    until("all that came in is there", 60, async || {
        let received = account.get("/v1/messages?direction=in&limit=100").await;
        (received["data"].as_array()?.len() == points).then_some(())
    })
    .await;
}
