//! `cargo xtask bench`: builds the binaries as they are shipped, measures them (`crates/server/benches`), and writes
//! `docs/benchmarks.md` and `docs/benchmarks.json`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::test::postgres::Cluster;
use crate::{dist, shell};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Ten rounds, 5,000 devices beside 1,000, five million messages, and the demo's build from nothing (about 50
    /// minutes beside the builds; without it about 13)
    #[arg(long)]
    full: bool,
    /// A binary of an earlier release, with the feature `simulator`, to compare accepting with
    #[arg(long)]
    before: Option<PathBuf>,
    /// How many devices are connected to measure the memory of each; several numbers are measured one after
    /// another (1000, and 5000 with --full)
    #[arg(long, value_delimiter = ',')]
    devices: Vec<u32>,
    /// Messages of the large database (300,000, and 5 million with --full)
    #[arg(long)]
    messages: Option<u32>,
    /// Photos that come in
    #[arg(long)]
    photos: Option<u32>,
    /// Seconds of each run of the load generator
    #[arg(long)]
    seconds: Option<u32>,
    /// Runs of each kind; medians are shown
    #[arg(long)]
    rounds: Option<u32>,
    /// The share of a core that each of several nodes is held to (0.35 without it)
    #[arg(long)]
    share: Option<f64>,
    /// Only these parts, which are printed; their JSON goes below the folder target, and docs stays as it is:
    /// accept, postgres, scale, idle, pages, slow, lists, archive, media, sessions, demo
    only: Vec<String>,
}

/// Builds both binaries as they are shipped and starts the measurements. What measures them, with the handler that they
/// are compared with, has the release profile.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let production = build(root, "gerbang-production", &[])?;
    let measured = build(root, "gerbang-simulator", &["--features", "simulator"])?;
    let mut cargo = shell::cargo(root);
    cargo.env("GERBANG_TEST_BINARY", measured);
    // Every error of the gateways would take a trace of the stack.
    cargo.env_remove("RUST_BACKTRACE");
    cargo.args(["bench", "--package", "gerbang", "--features", "simulator"]);
    cargo.args(["--bench", "gateway", "--", "--production"]).arg(&production);
    if let Some(before) = &options.before {
        let before = before.canonicalize();
        cargo.arg("--before").arg(before.context("the earlier binary cannot be found")?);
    }
    if options.full {
        cargo.arg("--full");
    }
    for (name, value) in [
        ("--messages", options.messages),
        ("--photos", options.photos),
        ("--seconds", options.seconds),
        ("--rounds", options.rounds),
    ] {
        if let Some(value) = value {
            cargo.arg(name).arg(value.to_string());
        }
    }
    for devices in &options.devices {
        cargo.arg("--devices").arg(devices.to_string());
    }
    if let Some(share) = options.share {
        cargo.arg("--share").arg(share.to_string());
    }
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    if options.full && is_wanted("demo") {
        cargo.arg("--demo-build").arg(build_demo_from_nothing(root)?.to_string());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    cargo.arg("--command").arg(format!("cargo xtask {}", arguments.join(" ")));
    if options.only.is_empty() {
        cargo.arg("--write").arg(root.join("docs/benchmarks.md"));
        cargo.arg("--json").arg(root.join("docs/benchmarks.json"));
    } else {
        cargo.arg("--json").arg(root.join("target/bench.json"));
    }
    // With its own defaults, which sync. Without a server those parts are not measured.
    let needs_database = is_wanted("postgres") || is_wanted("scale");
    let database = needs_database.then(|| Cluster::start(&[])).and_then(|cluster| {
        cluster.inspect_err(|error| println!("PostgreSQL cannot be started: {error:#}")).ok()
    });
    if let Some(database) = &database {
        cargo.env("GERBANG_TEST_POSTGRES_URL", database.url());
    }
    shell::run(cargo.args(&options.only))
}

/// Builds a binary and puts it where the next build does not replace it.
fn build(root: &Path, name: &str, features: &[&str]) -> Result<PathBuf> {
    let mut cargo = shell::cargo(root);
    cargo.args(["build", "--profile", dist::PROFILE, "--package", "gerbang"]).args(features);
    shell::run(&mut cargo)?;
    let own_dir = root.join("target/xtask");
    std::fs::create_dir_all(&own_dir)?;
    let copy = own_dir.join(name);
    let _ = std::fs::remove_file(&copy);
    std::fs::copy(root.join("target").join(dist::PROFILE).join("gerbang"), &copy)?;
    Ok(copy)
}

/// Builds what `cargo demo` builds where nothing is built yet; how many seconds that took.
fn build_demo_from_nothing(root: &Path) -> Result<u64> {
    let target = root.join("target/demo-from-nothing");
    let _ = std::fs::remove_dir_all(&target);
    let start = Instant::now();
    let mut cargo = shell::cargo(root);
    cargo.args(["build", "--package", "gerbang", "--features", "simulator", "--target-dir"]);
    shell::run(cargo.arg(&target))?;
    let took = start.elapsed();
    std::fs::remove_dir_all(&target)?;
    Ok(took.as_secs())
}
