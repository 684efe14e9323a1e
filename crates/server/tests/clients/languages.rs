//! Runs a file of another language with its own tool.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::support::env;

/// Longest run of a client; generous, since Go compiles its library first, for two tests at a time.
const RUN_MAX: Duration = Duration::from_secs(240);

/// What became of a program.
#[derive(Debug)]
pub struct Ran {
    /// Whether it ended with 0.
    pub is_ok: bool,
    /// What it wrote to its standard output.
    pub out: String,
    /// What it wrote to its standard error.
    pub err: String,
}

/// The tool that runs a file, with its arguments; known by the file's ending.
pub fn command(file: &Path) -> Command {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let mut command = match ending {
        "sh" => Command::new("sh"),
        "go" => go(),
        "js" | "mjs" => node(),
        "php" => Command::new("php"),
        "py" => Command::new(env::required("GERBANG_TEST_PYTHON")),
        "rb" => Command::new("ruby"),
        _ => panic!("no tool runs {}", file.display()),
    };
    for name in ["no_proxy", "NO_PROXY"] {
        command.env(name, "127.0.0.1,localhost");
    }
    command.arg(file);
    command
}

/// Runs a file to its end in a folder.
pub async fn run(file: &Path, folder: &Path, settings: &[(&str, &str)]) -> Ran {
    let mut command = command(file);
    command.current_dir(folder).envs(settings.iter().copied()).kill_on_drop(true);
    let output = tokio::time::timeout(RUN_MAX, command.output());
    let output = output.await.unwrap_or_else(|_| panic!("{} did not end", file.display()));
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; run `cargo xtask test packages`", file.display())
    });
    Ran {
        is_ok: output.status.success(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Builds a Go file and becomes the program, whose file is gone by then. `go run` would stay its
/// parent, and leave it running when it is killed.
const RUN_GO: &str = r#"go build -o "$0" "$1" && exec 3<"$0" && rm "$0" && exec /proc/self/fd/3"#;

/// Without modules from elsewhere, and with its caches in our own folder.
fn go() -> Command {
    let caches = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let mut go = Command::new("sh");
    go.arg("-c").arg(RUN_GO).arg(caches.join(format!("program-{}", std::process::id())));
    go.env("GOFLAGS", "-mod=mod").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    go.env("GOCACHE", caches.join("cache")).env("GOPATH", caches.join("path"));
    go
}

/// Finds what the published samples import.
fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", npm().join("node_modules"));
    node
}

/// The npm packages of these tests.
pub fn npm() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/npm")
}
