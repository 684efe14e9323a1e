//! Memory: of the gateway alone, and of each connected device; what connected devices cost while
//! nothing happens; how fast they are back after a restart.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::Options;
use crate::numbers::{processor_time, resident_mib};
use crate::report::Table;
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

/// After this nothing of the start is still going on.
const SETTLE: Duration = Duration::from_secs(5);
/// How long idle devices are watched: more than one keep-alive of each.
const IDLE: Duration = Duration::from_secs(60);

/// The production binary with nothing to do.
pub async fn measure_idle(options: Options) -> Vec<Table> {
    let production = options.production.expect("--production PATH");
    let gateway = Gateway::start_with(&production, &[]).await;
    gateway.operator().get("/v1/plans").await;
    moment(SETTLE).await;
    let mut table = Table::new("Memory, no device", &["", "resident", "target"]);
    let resident = format!("{:.1} MiB", resident(&gateway));
    table.row(["the production binary".into(), resident, "24 MB (22.9 MiB)".into()]);
    vec![table]
}

/// Links devices to the simulator and looks at memory and processor time, then restarts.
pub async fn measure(count: u32) -> Table {
    let simulator = Simulator::start().await;
    let mut gateway = Gateway::start(&simulator, &[]).await;
    let account = gateway.operator().make_account("bench", "unlimited").await;
    moment(SETTLE).await;
    let before = resident(&gateway);
    for n in 0..count {
        account.make_linked_device(&simulator, &format!("62811{n:08}")).await;
    }
    moment(SETTLE).await;
    let linked = resident(&gateway);
    let idle = idle_percent(&gateway).await;
    let earlier = connections(&account).await;
    gateway.process.kill().await;
    let start = Instant::now();
    gateway.restart().await;
    let serving = start.elapsed();
    wait_until_reconnected(&account, &earlier).await;
    let connected = start.elapsed();
    moment(SETTLE).await;
    let restarted = resident(&gateway);
    let title = format!("{count} connected devices, state in SQLite");
    // Of 5,000 the memory of all counts. Fewer than 1,000 carry more each of what the gateway takes without one.
    let is_large = count >= 5_000;
    let of = |few: &'static str, many: &'static str| if is_large { many } else { few };
    let target = of("target (1,000 devices)", "target (5,000 devices)");
    let mut table = Table::new(title, &["", "measured", target]);
    let each = |now: f64| format!("{:.0} KiB", (now - before) * 1024.0 / f64::from(count));
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    for (what, measured, target) in [
        ("memory of each, after linking", each(linked), of("220 KiB", "")),
        ("memory of each, after a restart", each(restarted), of("220 KiB", "")),
        ("memory of the gateway", format!("{linked:.0} MiB"), of("", "1.2 GiB (1,229 MiB)")),
        ("processor time while idle", format!("{idle:.1} % of a core"), of("2.5 %", "12 %")),
        ("restart: serving", seconds(serving), "1 s"),
        ("restart: all connected", seconds(connected), of("8 s", "45 s")),
    ] {
        table.row([what.to_owned(), measured, target.to_owned()]);
    }
    table
}

async fn idle_percent(gateway: &Gateway) -> f64 {
    let before = processor_time(gateway.process.id());
    let start = Instant::now();
    moment(IDLE).await;
    let spent = processor_time(gateway.process.id()) - before;
    100.0 * spent.as_secs_f64() / start.elapsed().as_secs_f64()
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
