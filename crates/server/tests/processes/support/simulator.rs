//! `gerbang simulator` as a process of its own, and its control API.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::api::{Api, Reply};
use super::env;
use super::process::Process;

/// A simulated WhatsApp, and how to start it again.
pub struct Simulator {
    data: TempDir,
    listen: String,
    url: String,
    api: Api,
    /// The running process.
    pub process: Process,
}

impl Simulator {
    /// Starts one with no phones and no links.
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let (process, url) = launch(&data, "127.0.0.1:0").await;
        let rest = url.strip_prefix("ws://").expect("a web-socket address");
        let listen = rest.split('/').next().unwrap().to_owned();
        let api = Api::new(format!("http://{listen}"));
        Self { data, listen, url, api, process }
    }

    /// Starts it again on the same data and the same port.
    pub async fn restart(&mut self) {
        self.process = launch(&self.data, &self.listen).await.0;
    }

    /// What gateways connect to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The control API.
    pub fn control(&self) -> &Api {
        &self.api
    }

    /// The phone scans a QR and the device is linked.
    pub async fn scan(&self, phone: &str, qr: &str) {
        self.api.post(&format!("/phones/{phone}/scan"), json!({ "qr": qr })).await;
    }

    /// The same, when a process may be killed meanwhile.
    pub async fn try_scan(&self, phone: &str, qr: &str) -> Result<Reply, reqwest::Error> {
        self.api.try_call("POST", &format!("/phones/{phone}/scan"), Some(json!({ "qr": qr }))).await
    }

    /// What a phone has received.
    pub async fn inbox(&self, phone: &str) -> Vec<Value> {
        let inbox = self.api.get(&format!("/phones/{phone}/inbox")).await;
        inbox.as_array().unwrap().clone()
    }

    /// The person at a phone writes.
    pub async fn send(&self, phone: &str, to: &str, text: &str) {
        let body = json!({ "to": to, "text": text });
        self.api.post(&format!("/phones/{phone}/send"), body).await;
    }

    /// Whether a phone reports what it gets; what it has not reported it reports when it does again.
    pub async fn set_reporting(&self, phone: &str, reports: bool) {
        let receipts = if reports { "read" } else { "none" };
        self.api.put(&format!("/phones/{phone}"), json!({ "auto_receipts": receipts })).await;
        if reports {
            self.api.post(&format!("/phones/{phone}/read"), json!({})).await;
        }
    }

    /// How many messages it has taken from clients so far.
    pub async fn relayed(&self) -> u64 {
        self.counter("messages_in").await
    }

    /// One of its counters.
    pub async fn counter(&self, name: &str) -> u64 {
        let stats = self.api.get("/stats").await;
        stats["counters"][name].as_u64().unwrap_or_else(|| panic!("a counter {name}: {stats}"))
    }

    /// How many devices are connected to it.
    pub async fn connected(&self) -> f64 {
        self.api.get("/stats").await["online_devices"].as_f64().unwrap()
    }

    /// Sets the faults; `{}` ends all.
    pub async fn set_faults(&self, faults: Value) {
        self.api.put("/faults", faults).await;
    }
}

async fn launch(data: &TempDir, listen: &str) -> (Process, String) {
    let mut command = Command::new(env::gerbang());
    command.args(["simulator", "--listen", listen, "--read-delay-ms", "10", "--data-dir"]);
    command.arg(data.path()).current_dir(data.path()).env("RUST_LOG", "warn");
    let mut process = Process::start("gerbang simulator", command);
    let url = process
        .line("its address", |line| line.starts_with("ws://").then(|| line.trim().to_owned()))
        .await;
    (process, url)
}
