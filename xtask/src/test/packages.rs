//! Debian packages and npm packages the tests need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::postgres;
use crate::shell;

/// The oldest Node that Baileys runs on.
const NODE_MAJOR_MIN: u32 = 20;
/// Where the Baileys test and its lock file are.
const BAILEYS_DIR: &str = "crates/simulator/tests/baileys";
const CHROMIUM_NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "a PostgreSQL server (or GERBANG_TEST_POSTGRES_URL)",
        packages: &["postgresql"],
        is_there: || postgres::given_url().is_some() || postgres::find_bin_dir().is_some(),
    },
    Need {
        what: "Chromium (or GERBANG_TEST_CHROMIUM)",
        packages: &["chromium"],
        is_there: || chromium().is_some(),
    },
    Need {
        what: "Node 20 or newer with npm",
        packages: &["nodejs", "npm"],
        is_there: || shell::find("node").is_some() && shell::find("npm").is_some(),
    },
    Need { what: "curl", packages: &["curl"], is_there: || shell::find("curl").is_some() },
    Need { what: "git", packages: &["git"], is_there: || shell::find("git").is_some() },
    Need {
        what: "setpriv",
        packages: &["util-linux"],
        is_there: || shell::find("setpriv").is_some(),
    },
];

/// Installs what is missing, or says what to install.
pub fn bring(root: &Path) -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    if let Some(need) = missing.iter().find(|need| !(need.is_there)()) {
        bail!("{} is still not found after installing {}", need.what, need.packages.join(" "));
    }
    bring_node(root)
}

/// Chromium: as told by the environment, or from PATH.
pub fn chromium() -> Option<PathBuf> {
    let told = std::env::var_os("GERBANG_TEST_CHROMIUM").map(PathBuf::from);
    told.or_else(|| CHROMIUM_NAMES.into_iter().find_map(shell::find))
}

/// Installs the Baileys test's packages exactly as locked.
pub fn npm_ci(root: &Path) -> Result<()> {
    let dir = root.join(BAILEYS_DIR);
    ensure!(dir.join("package-lock.json").is_file(), "{BAILEYS_DIR}/package-lock.json is missing");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir);
    npm.env("PATH", shell::path_with(&node_dir(root))?);
    shell::run(&mut npm)
}

/// The folder of our own Node; only there when the system's was too old.
pub fn node_dir(root: &Path) -> PathBuf {
    root.join("target/tools/node/node_modules/node/bin")
}

fn install(missing: &[&Need]) -> Result<()> {
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let what: Vec<_> = missing.iter().map(|need| need.what).collect();
    let advice = format!(
        "missing: {}. On Debian: apt-get install --no-install-recommends {}",
        what.join(", "),
        packages.join(" ")
    );
    if !shell::is_root()? || shell::find("apt-get").is_none() {
        bail!("{advice}");
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        shell::run(command.args(args).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"]).with_context(|| advice.clone())?;
    let args = [&["install", "-y", "-qq", "--no-install-recommends"], packages.as_slice()].concat();
    apt(&args).context(advice)
}

/// Some distributions' Node is too old; npm can bring a newer one into `target/tools`.
fn bring_node(root: &Path) -> Result<()> {
    let own = node_dir(root).join("node");
    let system = node_major(Path::new("node"))?;
    if system >= NODE_MAJOR_MIN || (own.is_file() && node_major(&own)? >= NODE_MAJOR_MIN) {
        return Ok(());
    }
    println!("Node {system} is too old, {NODE_MAJOR_MIN} or newer is needed: bringing our own");
    let dir = root.join("target/tools/node");
    std::fs::create_dir_all(&dir)?;
    let package = format!("node@{NODE_MAJOR_MIN}");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&dir).arg(package);
    shell::run(&mut npm)
        .with_context(|| format!("install Node {NODE_MAJOR_MIN} or newer and put it on PATH"))?;
    ensure!(node_major(&own)? >= NODE_MAJOR_MIN, "{} is too old as well", own.display());
    Ok(())
}

fn node_major(node: &Path) -> Result<u32> {
    let version = shell::output(Command::new(node).arg("--version"))?;
    parse_major(&version).with_context(|| format!("node says {version:?} for its version"))
}

fn parse_major(version: &str) -> Option<u32> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node() {
        assert_eq!(parse_major("v20.20.2\n"), Some(20));
        assert_eq!(parse_major("18.1.0"), Some(18));
        assert_eq!(parse_major("nonsense"), None);
    }
}
