//! `cargo xtask bench`: builds release binaries, measures them (`crates/server/benches`), and writes
//! `docs/benchmarks.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell;
use crate::test::postgres::Cluster;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Ten rounds, 1,000 devices, five million messages (about 40 minutes; without it about ten)
    #[arg(long)]
    full: bool,
    /// A binary of an earlier release, with the feature `simulator`, to compare accepting with
    #[arg(long)]
    before: Option<PathBuf>,
    /// How many devices are connected to measure the memory of each
    #[arg(long)]
    devices: Option<u32>,
    /// Messages of the large database
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
    /// Only these parts, and nothing is written: accept, postgres, scale, idle, pages, slow, lists, media, sessions
    only: Vec<String>,
}

/// Builds both binaries with the release profile and starts the measurements.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let production = build_production(root)?;
    let mut cargo = shell::cargo(root);
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
        ("--devices", options.devices),
        ("--messages", options.messages),
        ("--photos", options.photos),
        ("--seconds", options.seconds),
        ("--rounds", options.rounds),
    ] {
        if let Some(value) = value {
            cargo.arg(name).arg(value.to_string());
        }
    }
    if let Some(share) = options.share {
        cargo.arg("--share").arg(share.to_string());
    }
    if options.only.is_empty() {
        let command = if options.full { "cargo xtask bench --full" } else { "cargo xtask bench" };
        cargo.args(["--command", command]);
        cargo.arg("--write").arg(root.join("docs/benchmarks.md"));
    }
    cargo.arg("--json").arg(root.join("target/bench.json"));
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
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

/// Builds the production binary and puts it where the next build does not replace it.
fn build_production(root: &Path) -> Result<PathBuf> {
    shell::run(shell::cargo(root).args(["build", "--release", "--package", "gerbang"]))?;
    let own_dir = root.join("target/xtask");
    std::fs::create_dir_all(&own_dir)?;
    let production = own_dir.join("gerbang-release");
    let _ = std::fs::remove_file(&production);
    std::fs::copy(root.join("target/release/gerbang"), &production)?;
    Ok(production)
}
