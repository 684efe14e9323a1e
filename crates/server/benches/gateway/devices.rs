//! Memory: of the gateway alone, and of each connected device.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::numbers::resident_mib;
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

/// After this nothing of the start is still going on.
const SETTLE: Duration = Duration::from_secs(5);

/// The production binary with nothing to do.
pub async fn measure_idle(production: &Path) {
    let gateway = Gateway::start_with(production, &[]).await;
    gateway.operator().get("/v1/plans").await;
    moment(SETTLE).await;
    println!("\nMemory, no device: {:.1} MiB resident (target: at most 30 MB)", resident(&gateway));
}

/// Links `count` devices to the simulator and looks at memory, also after a restart.
pub async fn measure(count: u32) {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("bench", "unlimited").await;
    moment(SETTLE).await;
    let before = resident(&gateway);
    for n in 0..count {
        account.make_linked_device(&simulator, &format!("62811{n:08}")).await;
    }
    moment(SETTLE).await;
    println!(
        "\nMemory with {count} connected devices, state in SQLite (target: at most 1 MiB each)"
    );
    print("after linking them", before, resident(&gateway), count);

    let earlier = connections(&account).await;
    gateway.process.kill().await;
    let start = Instant::now();
    gateway.restart().await;
    let serving = start.elapsed();
    wait_until_reconnected(&account, &earlier).await;
    let connected = start.elapsed();
    moment(SETTLE).await;
    print("after a restart", before, resident(&gateway), count);
    println!(
        "Restart with {count} devices: serving after {:.2} s, all connected after {:.1} s",
        serving.as_secs_f64(),
        connected.as_secs_f64(),
    );
}

/// When each connected device connected.
async fn connections(account: &Api) -> HashSet<String> {
    let devices = account.all("/v1/devices").await;
    let connected = devices.iter().filter(|device| device["status"] == "connected");
    connected.map(|device| format!("{} {}", device["id"], device["connected_at"])).collect()
}

/// Waits until as many devices as before have connected anew.
async fn wait_until_reconnected(account: &Api, earlier: &HashSet<String>) {
    until(format!("{} devices are connected again", earlier.len()), 300, async || {
        let now = connections(account).await;
        (now.len() == earlier.len() && now.is_disjoint(earlier)).then_some(())
    })
    .await;
}

fn resident(gateway: &Gateway) -> f64 {
    resident_mib(gateway.process.id())
}

fn print(when: &str, before: f64, now: f64, count: u32) {
    let each = (now - before) / f64::from(count);
    println!("  {when:<20} {now:>8.1} MiB, {before:.1} without: {each:.2} MiB per device");
}
