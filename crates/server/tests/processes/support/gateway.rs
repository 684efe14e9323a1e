//! `gerbang serve` as a process of its own, which can be killed and started again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use super::api::Api;
use super::env;
use super::process::Process;
use super::simulator::Simulator;

/// The operator's key of every gateway of the tests.
pub const OPERATOR_KEY: &str = "gbo_for-the-tests-of-processes-only";

/// Longest time of a command.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A gateway, and how to start it again.
pub struct Gateway {
    binary: PathBuf,
    data: TempDir,
    settings: Vec<(String, String)>,
    listen: String,
    /// The running process.
    pub process: Process,
}

impl Gateway {
    /// Starts one that knows the simulator as WhatsApp, on SQLite, without pacing.
    pub async fn start(simulator: &Simulator, settings: &[(&str, &str)]) -> Self {
        let own = [("GERBANG_WHATSAPP_URL", simulator.url()), ("GERBANG_PACING", "off")];
        Self::start_with(&env::gerbang(), &[&own, settings].concat()).await
    }

    /// Starts any binary with any settings.
    pub async fn start_with(binary: &Path, settings: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (process, listen) = launch(binary, data.path(), &settings, "127.0.0.1:0").await;
        Self { binary: binary.to_owned(), data, settings, listen, process }
    }

    /// A client with the operator's key. It stays good over restarts.
    pub fn operator(&self) -> Api {
        Api::new(format!("http://{}", self.listen)).with_key(OPERATOR_KEY)
    }

    /// `HOST:PORT`
    pub fn address(&self) -> &str {
        &self.listen
    }

    /// Where its data is.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// One of the settings that it was started with.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rfind(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Starts one on a directory that has data already.
    pub async fn start_on(data: TempDir, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let binary = env::gerbang();
        let (process, listen) = launch(&binary, data.path(), &settings, "127.0.0.1:0").await;
        Self { binary, data, settings, listen, process }
    }

    /// Runs a command on its data, whether it runs or not.
    pub async fn command(&self, args: &[&str]) -> Ended {
        let settings: Vec<_> =
            self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run_on(self.data.path(), args, &settings).await
    }

    /// Starts a second one on a copy of its data; it must not be running.
    pub async fn start_copy(&self) -> Self {
        let data = tempfile::tempdir().unwrap();
        copy(&self.data_dir().join("data"), &data.path().join("data"));
        let (process, listen) =
            launch(&self.binary, data.path(), &self.settings, "127.0.0.1:0").await;
        let (binary, settings) = (self.binary.clone(), self.settings.clone());
        Self { binary, data, settings, listen, process }
    }

    /// The same with further settings.
    pub async fn restart_with(&mut self, settings: &[(&str, &str)]) {
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        self.settings.extend(settings);
        self.restart().await;
    }

    /// Starts it again on the same data and the same port.
    pub async fn restart(&mut self) {
        let (process, _) =
            launch(&self.binary, self.data.path(), &self.settings, &self.listen).await;
        self.process = process;
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub error: String,
}

impl Ended {
    /// Reads it from what a process has left.
    pub fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, when it went well.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Checks that it failed with this code and one line that says all of `parts`.
    ///
    /// # Panics
    /// When it did not.
    pub fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        let lines: Vec<_> = self.error.lines().collect();
        assert!(lines.len() == 1 && lines[0].starts_with("gerbang: "), "{self:?}");
        assert!(parts.iter().all(|part| lines[0].contains(part)), "{parts:?}: {self:?}");
    }
}

/// Runs `gerbang` with the data of a directory to its end.
pub async fn run_on(data: &Path, args: &[&str], settings: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env::gerbang());
    command.args(args).current_dir(data).kill_on_drop(true);
    command.env("GERBANG_LISTEN", "127.0.0.1:0").env("GERBANG_DATA_DIR", data.join("data"));
    command.env("GERBANG_ADMIN_KEY", OPERATOR_KEY).env("RUST_LOG", "warn");
    command.envs(settings.iter().copied());
    let output = tokio::time::timeout(COMMAND_MAX, command.output()).await;
    Ended::of(output.unwrap_or_else(|_| panic!("{args:?} did not end")).unwrap())
}

/// Copies a directory with what is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

async fn launch(
    binary: &Path,
    data: &Path,
    settings: &[(String, String)],
    listen: &str,
) -> (Process, String) {
    let mut command = Command::new(binary);
    // Not in the checkout, where a developer may keep a gerbang.toml.
    command.arg("serve").current_dir(data);
    command.env("GERBANG_LISTEN", listen).env("GERBANG_DATA_DIR", data.join("data"));
    command.env("GERBANG_ADMIN_KEY", OPERATOR_KEY).env("RUST_LOG", "warn");
    for (name, value) in settings {
        command.env(name, value);
    }
    let mut process = Process::start("gerbang serve", command);
    let address = |line: &str| line.strip_prefix("Gerbang listens on http://").map(str::to_owned);
    let listen = process.line("its address", address).await;
    (process, listen)
}
