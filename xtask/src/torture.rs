//! `cargo xtask torture`: the long forms of the tests of processes, with the release profile, one at a
//! time. `docs/reliability.md` has their figures.

use std::path::Path;

use anyhow::Result;

use crate::shell;
use crate::test::postgres::Cluster;

/// Arguments of `cargo xtask torture`.
#[derive(clap::Args)]
pub struct Options {
    /// Only these: overload, crash, disk, nodes (with between_nodes), outage, races, webhooks, files
    only: Vec<String>,
}

/// Runs them. Their figures are on the output.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let database = Cluster::start(&[])?;
    let mut cargo = shell::cargo(root);
    cargo.args(["test", "--release", "--package", "gerbang", "--features", "simulator"]);
    cargo.args(["--test", "processes", "--", "--nocapture", "--test-threads", "1"]);
    let all = ["overload", "crash", "disk", "nodes", "outage", "races", "webhooks", "files"]
        .map(str::to_owned);
    cargo.args(if options.only.is_empty() { &all[..] } else { &options.only });
    cargo.env("GERBANG_TEST_LONG", "1").env("GERBANG_TEST_POSTGRES_URL", database.url());
    shell::run(&mut cargo)
}
