//! Public pages, which anybody may ask for, against the cheapest answer there is; and those of the dashboard.

use std::time::Duration;

use crate::Options;
use crate::dashboard;
use crate::load::{self, Kind, Plan, Sender};
use crate::numbers::{median, us};
use crate::report::Table;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;

/// The first one is the reference.
const PATHS: [&str; 4] = ["/healthz", "/docs", "/openapi.json", "/docs/wagy"];
const CONNECTIONS: usize = 16;

/// Processor time of each answer.
pub async fn measure(options: Options) -> Vec<Table> {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let mut times = PATHS.map(|_| Vec::new());
    for _ in 0..options.rounds() {
        for (path, times) in PATHS.iter().zip(&mut times) {
            let plan = Plan {
                address: gateway.address().to_owned(),
                process: gateway.process.id(),
                connections: CONNECTIONS,
                senders: vec![Sender { key: String::new(), device: String::new() }],
                run: String::new(),
                kind: Kind::Page(path),
                every: None,
            };
            times.push(load::run(plan, 2).await.processor_time.as_secs_f64());
        }
    }
    let medians = times.map(median);
    let title = "Public pages, built once, for clients that take gzip";
    let mut table = Table::new(title, &["", "CPU each", "ratio", "target"]);
    for (path, time) in PATHS.iter().zip(medians) {
        let target = if *path == PATHS[0] { "reference" } else { "3 × the reference" };
        table.row([
            (*path).to_owned(),
            us(Duration::from_secs_f64(time)),
            format!("{:.1}", time / medians[0]),
            target.to_owned(),
        ]);
    }
    vec![table, dashboard::measure(&options).await]
}
