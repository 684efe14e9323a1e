//! `cargo xtask bench`: the figures of a release build, each beside its reference from the same run.
//!
//! Absolute figures drift between machines and hours, so what counts are the ratios. Nothing here
//! passes or fails, and a part that cannot be measured keeps no other from it.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made ends its part")]

mod accept;
mod archive;
mod bulk;
mod dashboard;
mod delivery;
mod demo;
mod devices;
mod disk;
mod filled;
mod hello;
mod history;
mod host;
mod latency;
mod lists;
mod load;
mod media;
mod naive;
mod numbers;
mod pages;
mod quota;
mod report;
mod scale;
mod slow;
#[path = "../../tests/processes/support/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::future::LocalBoxFuture;

use host::Host;
use report::{Measured, Outcome, Table};

/// Longest time of one part.
const PART_MAX: Duration = Duration::from_secs(1_800);

/// What there is to measure.
const PARTS: [(&str, Part); 11] = [
    ("accept", |options| Box::pin(accept::measure(options))),
    ("postgres", |options| Box::pin(accept::measure_on_postgresql(options))),
    ("scale", |options| Box::pin(scale::measure(options))),
    ("idle", |options| Box::pin(devices::measure_idle(options))),
    ("pages", |options| Box::pin(pages::measure(options))),
    ("slow", |options| Box::pin(slow::measure(options))),
    ("lists", |options| Box::pin(lists::measure(options))),
    ("archive", |options| Box::pin(archive::measure(options))),
    ("media", |options| Box::pin(media::measure(options))),
    ("sessions", |options| Box::pin(sessions(options))),
    ("demo", |options| Box::pin(demo::measure(options))),
];

type Part = fn(Options) -> LocalBoxFuture<'static, Vec<Table>>;

/// What linked devices cost and do.
async fn sessions(options: Options) -> Vec<Table> {
    let mut tables = latency::measure().await;
    tables.extend(delivery::measure().await);
    tables.extend(history::measure().await);
    for count in options.devices() {
        tables.push(devices::measure(count).await);
    }
    tables
}

#[derive(Parser, Clone)]
struct Options {
    /// The production binary, release profile
    #[arg(long)]
    production: Option<PathBuf>,
    /// A binary of an earlier release, with the feature `simulator`, to compare accepting with
    #[arg(long)]
    before: Option<PathBuf>,
    /// Where the figures are written as a page
    #[arg(long)]
    write: Option<PathBuf>,
    /// Where the figures are written as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// What the page says it was written by
    #[arg(long, default_value = "cargo xtask bench")]
    command: String,
    /// How many seconds the demo's build took, from nothing
    #[arg(long)]
    demo_build: Option<u64>,
    /// Ten rounds, 5,000 devices too, five million messages
    #[arg(long)]
    full: bool,
    /// How many devices are connected to measure the memory of each; several numbers are measured one after another
    #[arg(long, value_delimiter = ',')]
    devices: Vec<u32>,
    /// Messages of the large database
    #[arg(long)]
    messages: Option<u32>,
    /// Photos that come in
    #[arg(long, default_value_t = 1_000)]
    photos: u32,
    /// Seconds of each run of the load generator
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Runs of each kind; medians are shown
    #[arg(long)]
    rounds: Option<u32>,
    /// The share of a core that each of several nodes is held to
    #[arg(long, default_value_t = 0.35)]
    share: f64,
    /// Be the bare handler that accepting is compared with
    #[arg(long, hide = true)]
    hello: bool,
    /// Be the handler that accepting is compared with on this PostgreSQL database
    #[arg(long, hide = true)]
    naive: Option<String>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
    /// Only these parts
    only: Vec<String>,
}

impl Options {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.full { 10 } else { 3 })
    }

    /// One after another.
    fn devices(&self) -> Vec<u32> {
        if !self.devices.is_empty() {
            return self.devices.clone();
        }
        if self.full { vec![1_000, 5_000] } else { vec![1_000] }
    }

    /// Devices that nodes share.
    fn shared_devices(&self) -> u32 {
        self.devices.first().copied().unwrap_or(if self.full { 1_000 } else { 100 })
    }

    fn messages(&self) -> u32 {
        self.messages.unwrap_or(if self.full { 5_000_000 } else { 300_000 })
    }

    /// Messages of the small database.
    fn few(&self) -> u32 {
        if self.full { 100_000 } else { lists::FEW }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

fn main() {
    let options = Options::parse();
    let names = PARTS.map(|(name, _)| name);
    for name in &options.only {
        assert!(names.contains(&name.as_str()), "{name} is none of {names:?}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if options.hello {
        runtime.block_on(hello::serve());
    } else if let Some(url) = &options.naive {
        runtime.block_on(naive::serve(url));
    } else {
        runtime.block_on(tokio::task::LocalSet::new().run_until(measure(&options)));
    }
}

async fn measure(options: &Options) {
    let host = Host::now();
    let began = Instant::now();
    let mut parts = Vec::new();
    for (name, part) in PARTS {
        if !options.wants(name) {
            continue;
        }
        let start = Instant::now();
        println!("\n── {name}");
        let outcome = run(part(options.clone())).await;
        match &outcome {
            Ok(tables) => tables.iter().for_each(|table| println!("\n{}", table.markdown())),
            Err(why) => println!("not measured: {why}"),
        }
        let took = start.elapsed();
        println!("({name}: {} s)", took.as_secs());
        parts.push(Measured { name, outcome, took });
    }
    println!("\nall parts: {} s", began.elapsed().as_secs());
    if let Some(path) = &options.write {
        report::write(path, &report::page(&options.command, &host, &parts));
    }
    if let Some(path) = &options.json {
        report::write(path, &report::json(&options.command, &host, &parts));
    }
}

/// One part; what it started ends with it, also when it fails.
async fn run(part: LocalBoxFuture<'static, Vec<Table>>) -> Outcome {
    let mut task = tokio::task::spawn_local(part);
    match tokio::time::timeout(PART_MAX, &mut task).await {
        Ok(Ok(tables)) => Ok(tables),
        Ok(Err(error)) => Err(reason(error)),
        Err(_) => {
            task.abort();
            let _ = task.await;
            Err(format!("it took more than {} s", PART_MAX.as_secs()))
        }
    }
}

fn reason(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was stopped".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
    text.lines().next().unwrap_or_default().to_owned()
}
