//! The production binary, and proof that it has no way round WhatsApp's certificate check.
//!
//! The check is compiled out by one feature of the protocol library. Ours that turns it on,
//! `simulator`, is off by default; here we look at what the resolver makes of that. The binary
//! itself is tested in `crates/server/tests/processes/production.rs`.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::lint::AS_FOR_TESTS;
use crate::{shell, tidy};

/// The feature of the protocol library that skips the check.
const SKIPS_THE_CHECK: &str = "danger-skip-cert-chain-verify";
/// The feature of ours that turns it on.
const SIMULATOR_FEATURE: &str = "simulator";
/// The member that has it.
const SERVER: &str = "gerbang";

/// Where the production binary is kept for the tests.
pub fn production(own_dir: &Path) -> PathBuf {
    own_dir.join("gerbang-production")
}

/// Builds the production binary and puts it aside, because the tests' build overwrites it.
pub fn build_and_check(root: &Path, own_dir: &Path) -> Result<()> {
    check_features(root)?;
    shell::run(shell::cargo(root).args(["build", "--package", SERVER]).args(AS_FOR_TESTS))?;
    std::fs::create_dir_all(own_dir)?;
    let copy = production(own_dir);
    // A running copy cannot be written to, but it can be replaced.
    let _ = std::fs::remove_file(&copy);
    std::fs::copy(root.join("target/debug/gerbang"), &copy)?;
    println!("{}", copy.display());
    Ok(())
}

fn check_features(root: &Path) -> Result<()> {
    // As it is shipped, and as it is built here.
    for extra in [&[][..], &AS_FOR_TESTS] {
        let production = features(root, extra)?;
        ensure!(production.contains("whatsapp-rust"), "cargo tree shows no protocol library");
        ensure!(
            !production.contains(SKIPS_THE_CHECK),
            "{SKIPS_THE_CHECK} is on in the production build"
        );
    }
    let simulator = features(root, &["--features", SIMULATOR_FEATURE])?;
    ensure!(
        simulator.contains(SKIPS_THE_CHECK),
        "{SKIPS_THE_CHECK} is not on with `{SIMULATOR_FEATURE}`: is its name still the same?"
    );
    // Whatever their own features are: only the server's may turn it on.
    for package in tidy::members().filter(|member| *member != SERVER) {
        let tree = tree(root, package, &[])?;
        ensure!(!tree.contains(SKIPS_THE_CHECK), "{package} turns {SKIPS_THE_CHECK} on");
    }
    println!("{SKIPS_THE_CHECK}: off in production, on only with gerbang/{SIMULATOR_FEATURE}");
    Ok(())
}

fn features(root: &Path, extra: &[&str]) -> Result<String> {
    tree(root, SERVER, extra)
}

/// Every crate that is built into `package`, each with its resolved features.
fn tree(root: &Path, package: &str, extra: &[&str]) -> Result<String> {
    let mut cargo = shell::cargo(root);
    cargo.args(["tree", "--quiet", "--edges", "no-dev", "--prefix", "none"]);
    cargo.args(["--format", "{p} {f}", "--package", package]);
    shell::output(cargo.args(extra))
}
