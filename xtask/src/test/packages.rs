//! Debian, npm and Python packages the tests need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::postgres;
use crate::shell;

/// The oldest Node that Baileys runs on.
const NODE_MAJOR_MIN: u32 = 20;
/// Where tests with npm packages and their lock files are.
const NPM_DIRS: [&str; 5] = [
    "crates/simulator/tests/baileys",
    "crates/simulator/tests/zapo",
    "crates/server/tests/clients/npm",
    "crates/server/tests/clients/generated",
    "crates/server/tests/processes/browser/npm",
];
/// What the tests need of Python.
const PYTHON_TOOLS: [PythonTool; 4] = [SCHEMATHESIS, NEONIZE, MOTO, GENERATOR];
const SCHEMATHESIS: PythonTool = PythonTool {
    name: "schemathesis",
    lock: "crates/server/tests/clients/schemathesis/requirements.txt",
};
/// whatsmeow, as a library for Python.
const NEONIZE: PythonTool =
    PythonTool { name: "neonize", lock: "crates/simulator/tests/whatsmeow/requirements.txt" };
/// A server that speaks as S3 does.
const MOTO: PythonTool =
    PythonTool { name: "moto", lock: "crates/server/tests/processes/moto/requirements.txt" };
/// Makes a Python client of an OpenAPI document.
const GENERATOR: PythonTool = PythonTool {
    name: "openapi-python-client",
    lock: "crates/server/tests/clients/generated/requirements.txt",
};
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
    Need { what: "make", packages: &["make"], is_there: || shell::find("make").is_some() },
    Need { what: "curl", packages: &["curl"], is_there: || shell::find("curl").is_some() },
    Need {
        what: "PHP with curl",
        packages: &["php-cli", "php-curl"],
        is_there: || works("php", &["-r", "exit(extension_loaded('curl') ? 0 : 1);"]),
    },
    Need { what: "Go", packages: &["golang-go"], is_there: || works("go", &["version"]) },
    Need {
        what: "Ruby with rest-client",
        packages: &["ruby", "ruby-rest-client"],
        is_there: || works("ruby", &["-r", "rest-client", "-e", ""]),
    },
    Need {
        what: "Python 3 with requests, flask and venv (or GERBANG_TEST_PYTHON)",
        packages: &["python3", "python3-requests", "python3-flask", "python3-venv"],
        is_there: || python().is_some(),
    },
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

/// Chromium: from `GERBANG_TEST_CHROMIUM`, or from PATH.
pub fn chromium() -> Option<PathBuf> {
    let given = std::env::var_os("GERBANG_TEST_CHROMIUM").map(PathBuf::from);
    given.or_else(|| CHROMIUM_NAMES.into_iter().find_map(shell::find))
}

/// Python with the modules that the tests need: from `GERBANG_TEST_PYTHON`, from PATH, or Debian's own
/// where another one hides it.
pub fn python() -> Option<PathBuf> {
    let given = std::env::var_os("GERBANG_TEST_PYTHON").map(PathBuf::from);
    let found = [shell::find("python3"), Some(PathBuf::from("/usr/bin/python3"))];
    let mut candidates = given.into_iter().chain(found.into_iter().flatten());
    candidates.find(|python| works(python, &["-c", "import requests, flask, venv, ensurepip"]))
}

/// Installs the npm packages of the tests exactly as locked.
pub fn npm_ci(root: &Path) -> Result<()> {
    for dir in NPM_DIRS {
        ensure!(
            root.join(dir).join("package-lock.json").is_file(),
            "{dir}/package-lock.json is missing"
        );
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(root.join(dir));
        npm.env("PATH", shell::path_with(&node_dir(root))?);
        shell::run(&mut npm)?;
    }
    Ok(())
}

/// Where schemathesis is once it is installed.
pub fn schemathesis(root: &Path) -> PathBuf {
    SCHEMATHESIS.dir(root).join("bin/schemathesis")
}

/// The Python that has neonize once it is installed.
pub fn neonize(root: &Path) -> PathBuf {
    NEONIZE.dir(root).join("bin/python")
}

/// The server that speaks as S3 does, once it is installed.
pub fn moto(root: &Path) -> PathBuf {
    MOTO.dir(root).join("bin/moto_server")
}

/// The Python that has the generator of clients once it is installed.
pub fn generator(root: &Path) -> PathBuf {
    GENERATOR.dir(root).join("bin/python")
}

/// Installs the Python packages of the tests exactly as pinned.
pub fn bring_python_tools(root: &Path) -> Result<()> {
    PYTHON_TOOLS.iter().try_for_each(|tool| tool.bring(root))
}

/// Packages in a virtual environment of their own.
struct PythonTool {
    name: &'static str,
    /// Where it and everything it needs are pinned.
    lock: &'static str,
}

impl PythonTool {
    fn dir(&self, root: &Path) -> PathBuf {
        root.join("target/tools").join(self.name)
    }

    /// Installs it; once.
    fn bring(&self, root: &Path) -> Result<()> {
        let lock = std::fs::read_to_string(root.join(self.lock)).context(self.lock)?;
        let dir = self.dir(root);
        let installed = dir.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
            println!("{}: {}", self.name, dir.display());
            return Ok(());
        }
        let python = python()
            .context("no Python with requests and venv: run `cargo xtask test packages`")?;
        shell::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&dir))?;
        let mut pip = Command::new(dir.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        if lock.contains("--hash=") {
            pip.arg("--require-hashes");
        }
        shell::run(pip.arg("--requirement").arg(root.join(self.lock)))?;
        std::fs::write(installed, lock)?;
        Ok(())
    }
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

/// Whether a program runs and exits with 0.
fn works(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> bool {
    shell::output(Command::new(program).args(args)).is_ok()
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
