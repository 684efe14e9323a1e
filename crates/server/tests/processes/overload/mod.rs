//! A crowd at the door: what one customer and many strangers do costs a bystander little.
//!
//! All at once: 200 slow readers of the longest lists, 1,400 half-open connections from one address,
//! 16 slow uploads, 16 of the largest broadcasts, again and again, and a key that rotates. Meanwhile
//! another account, from another address, sends, reads and receives, and `/healthz` is asked on fresh
//! connections.
//!
//! `cargo xtask test` runs it in short, `cargo xtask torture` in long.

mod bystander;
mod crowd;

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::memory::peak_memory;
use crate::support::simulator::Simulator;
use crate::support::{env, figures};
use bystander::Bystander;
use crowd::Crowd;

/// How long the bystander is measured without and with the crowd.
const CALM: Duration = Duration::from_secs(5);
const STORM: Duration = Duration::from_secs(40);
/// The same in the long form.
const LONG_CALM: Duration = Duration::from_secs(20);
const LONG_STORM: Duration = Duration::from_secs(180);
/// Most memory of the gateway, at any moment.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most time an answer to the bystander takes in the crowd, also as a multiple of its calm 99th
/// percentile.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const SLOWDOWN_MAX: u32 = 10;
/// A calm 99th percentile below this is luck on a machine that does other work beside.
const CALM_P99_MIN: Duration = Duration::from_millis(10);
/// Most time `/healthz` takes, connecting included.
const HEALTH_MAX: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_bystander_is_served_in_a_crowd() {
    let (calm, storm) = if env::is_long() { (LONG_CALM, LONG_STORM) } else { (CALM, STORM) };
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let bystander = Bystander::start(&gateway, &simulator, Ipv4Addr::new(127, 0, 0, 9)).await;
    let greedy = crowd::Greedy::start(&gateway, &simulator).await;

    let before = bystander.measure(calm).await;
    let crowd = Crowd::start(gateway.address(), &greedy);
    let during = bystander.measure(storm).await;
    let tally = crowd.end().await;
    let memory = peak_memory(gateway.process.id());
    println!("calm: {before}");
    println!("crowd: {during}; {tally}");

    bystander.assert_all_arrived().await;
    greedy.assert_all_kept(&tally).await;
    greedy.assert_all_arrive(&tally).await;
    assert!(tally.unexpected.is_empty(), "{:?}", tally.unexpected);
    assert!(tally.is_complete(), "the crowd was not all there: {tally:?}");
    assert!(during.health_max <= HEALTH_MAX, "/healthz took {:?}", during.health_max);
    let allowed = ANSWER_MAX.min(before.p99.max(CALM_P99_MIN) * SLOWDOWN_MAX);
    assert!(during.p99 <= allowed, "p99 {:?}, calm {:?}", during.p99, before.p99);
    assert!(during.max <= ANSWER_MAX, "an answer took {:?}", during.max);
    assert!(memory <= MEMORY_BYTES_MAX, "{memory} bytes of memory");
    assert!(gateway.process.stop().await.success());
    figures::report(
        "a crowd at the door",
        format_args!(
            "p99 {:.1?} in the crowd, {:.1?} without it; an answer {:.0?} at most, /healthz {:.0?}; {} MB at most",
            during.p99,
            before.p99,
            during.max,
            during.health_max,
            memory / 1_000_000
        ),
    );
}
