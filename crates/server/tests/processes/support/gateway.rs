//! `gerbang serve` as a process of its own, which can be killed and started again.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use super::api::Api;
use super::env;
use super::process::Process;
use super::simulator::Simulator;

/// The operator's key of every gateway of the tests.
pub const OPERATOR_KEY: &str = "gbo_for-the-tests-of-processes-only";

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

    /// Starts a second one on a copy of its data; it must not be running.
    pub async fn start_copy(&self) -> Self {
        let data = tempfile::tempdir().unwrap();
        copy(&self.data_dir().join("data"), &data.path().join("data"));
        let (process, listen) =
            launch(&self.binary, data.path(), &self.settings, "127.0.0.1:0").await;
        let (binary, settings) = (self.binary.clone(), self.settings.clone());
        Self { binary, data, settings, listen, process }
    }

    /// Starts it again on the same data and the same port.
    pub async fn restart(&mut self) {
        let (process, _) =
            launch(&self.binary, self.data.path(), &self.settings, &self.listen).await;
        self.process = process;
    }
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
