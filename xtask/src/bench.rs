//! `cargo xtask bench`: builds release binaries and measures them (`crates/server/benches`).

use std::path::Path;

use anyhow::Result;

use crate::shell;
use crate::test::postgres::Cluster;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// How many devices are connected to measure the memory of each
    #[arg(long, default_value_t = 100)]
    devices: u32,
    /// Seconds of each run of the load generator
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Runs of each kind; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only these measurements: accept, postgres, idle, devices, latency
    only: Vec<String>,
}

/// Builds both binaries with the release profile and starts the measurements.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    shell::run(shell::cargo(root).args(["build", "--release", "--package", "gerbang"]))?;
    let own_dir = root.join("target/xtask");
    std::fs::create_dir_all(&own_dir)?;
    let production = own_dir.join("gerbang-release");
    let _ = std::fs::remove_file(&production);
    std::fs::copy(root.join("target/release/gerbang"), &production)?;
    let mut cargo = shell::cargo(root);
    cargo.args(["bench", "--package", "gerbang", "--features", "simulator"]);
    cargo.args(["--bench", "gateway", "--", "--production"]).arg(&production);
    for (name, value) in [
        ("--devices", options.devices),
        ("--seconds", options.seconds),
        ("--rounds", options.rounds),
    ] {
        cargo.arg(name).arg(value.to_string());
    }
    let is_wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    // With its own defaults, which sync.
    let database = is_wanted("postgres").then(|| Cluster::start(&[])).transpose()?;
    if let Some(database) = &database {
        cargo.env("GERBANG_TEST_POSTGRES_URL", database.url());
    }
    shell::run(cargo.args(&options.only))
}
