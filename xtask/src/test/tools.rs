//! Cargo subcommands the tests need: from PATH, or built once into `target/tools`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell;

const TOOLS: [&str; 2] = ["cargo-nextest", "cargo-deny"];

/// Builds the tools that are not there yet.
pub fn bring(root: &Path) -> Result<()> {
    for tool in TOOLS {
        match find(root, tool) {
            Some(path) => println!("{tool}: {}", path.display()),
            None => install(root, tool)?,
        }
    }
    Ok(())
}

/// A tool as a command: `cargo-nextest nextest …`.
pub fn command(root: &Path, tool: &str) -> Result<std::process::Command> {
    let path = find(root, tool)
        .with_context(|| format!("{tool} is missing: run `cargo xtask test tools`"))?;
    let mut command = std::process::Command::new(path);
    command.current_dir(root);
    shell::forget_ourselves(&mut command);
    Ok(command)
}

fn find(root: &Path, tool: &str) -> Option<PathBuf> {
    let own = root.join("target/tools/bin").join(tool);
    shell::find(tool).or_else(|| own.is_file().then_some(own))
}

/// The dev profile: built in half the time, and fast enough for what we ask of it.
fn install(root: &Path, tool: &str) -> Result<()> {
    let mut cargo = shell::cargo(root);
    cargo.args(["install", tool, "--locked", "--debug", "--root", "target/tools"]);
    cargo.args(["--target-dir", "target/tools/build"]);
    shell::run(&mut cargo)
        .with_context(|| format!("install it yourself: cargo install --locked {tool}"))
}
