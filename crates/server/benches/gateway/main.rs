//! `cargo xtask bench`: the figures of a release build, each beside its reference from the same run.
//!
//! Absolute figures drift between machines and hours, so what counts are the ratios. Nothing here
//! passes or fails.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends the run")]

mod accept;
mod devices;
mod disk;
mod hello;
mod latency;
mod load;
mod naive;
mod numbers;
#[path = "../../tests/processes/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod support;

use std::path::PathBuf;

use clap::Parser;

/// What there is to measure.
const MEASUREMENTS: [&str; 5] = ["accept", "postgres", "idle", "devices", "latency"];

#[derive(Parser)]
struct Options {
    /// The production binary, release profile
    #[arg(long)]
    production: Option<PathBuf>,
    /// How many devices are connected to measure the memory of each
    #[arg(long, default_value_t = 100)]
    devices: u32,
    /// Seconds of each run of the load generator
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Runs of each kind; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Be the bare handler that accepting is compared with
    #[arg(long, hide = true)]
    hello: bool,
    /// Be the handler that accepting is compared with on this PostgreSQL database
    #[arg(long, hide = true)]
    naive: Option<String>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// Only these measurements
    only: Vec<String>,
}

fn main() {
    let options = Options::parse();
    for name in &options.only {
        assert!(MEASUREMENTS.contains(&name.as_str()), "{name} is none of {MEASUREMENTS:?}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if options.hello {
        runtime.block_on(hello::serve());
    } else if let Some(url) = &options.naive {
        runtime.block_on(naive::serve(url));
    } else {
        runtime.block_on(measure(&options));
    }
}

async fn measure(options: &Options) {
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    if wanted("accept") {
        accept::measure(options.rounds, options.seconds).await;
    }
    if wanted("postgres") {
        accept::measure_on_postgresql(options.rounds, options.seconds).await;
    }
    if wanted("idle") {
        let production = options.production.as_ref().expect("--production PATH");
        devices::measure_idle(production).await;
    }
    if wanted("devices") {
        devices::measure(options.devices).await;
    }
    if wanted("latency") {
        latency::measure().await;
    }
}
