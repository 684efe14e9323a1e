//! What looks at the code without running it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::tools;
use crate::shell;

/// The features under which everything there is gets compiled.
pub const ALL_FEATURES: [&str; 2] = ["--features", "gerbang/simulator"];
/// What the tests turn on in crates that nearly all others use. What is built without tests asks for it as well,
/// so that it is not built twice.
pub const AS_FOR_TESTS: [&str; 2] = ["--features", "tokio/test-util,rustix/time"];
/// A folder of their own: cargo locks the folder of a build, and these run beside others.
const TARGET_DIR: &str = "target/lint";

/// Clippy on every target, with warnings as errors.
pub fn clippy(root: &Path) -> Result<()> {
    let mut cargo = cargo(root);
    cargo.args(["clippy", "--workspace", "--all-targets"]).args(ALL_FEATURES);
    shell::run(cargo.args(["--", "-D", "warnings"]))
}

/// Licences, bans and sources. Advisories need a database that tests cannot fetch; look at them
/// by hand with `cargo deny check advisories`.
pub fn deny(root: &Path) -> Result<()> {
    let mut deny = tools::command(root, "cargo-deny")?;
    deny.args(["--workspace", "--locked", "--log-level", "error"]).args(ALL_FEATURES);
    shell::run(deny.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))
}

/// Rustdoc, with broken links and other warnings as errors.
pub fn docs(root: &Path) -> Result<()> {
    let mut cargo = cargo(root);
    cargo.args(["doc", "--workspace", "--no-deps"]).args(ALL_FEATURES).args(AS_FOR_TESTS);
    shell::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))
}

fn cargo(root: &Path) -> Command {
    let mut cargo = shell::cargo(root);
    cargo.env("CARGO_TARGET_DIR", root.join(TARGET_DIR));
    cargo
}
