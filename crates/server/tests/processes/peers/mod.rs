//! Other implementations of WhatsApp's protocol, which know nothing of ours: each pairs with the
//! simulator, and exchanges messages with our devices. The proof that our driver and our simulator are
//! not wrong in the same way.
//!
//! Of each there is a script with any number of devices, which prints events and takes orders, a line
//! of JSON each, `device` being the index of a device:
//!
//! - `{"device":0,"event":"qr","qr":"…"}`, `code` (with `code`), `open`, `sent` (with `id`), `closed`,
//!   `failed` (with `error`), and `message` with `id`, `chat`, `from`, and what it has of `text`,
//!   `reply_to` (an id), and `media` (`kind`, `caption`, `mimetype`, `filename`, and the `sha256` of the
//!   decrypted file, `ptt`, `gif`), `mentions`, `view_once`, `location`, `contacts`, `poll`, `reaction`, `edit` or
//!   `revoke`;
//! - `{"device":0,"pair_by_code":"628…"}`, and `{"device":0,"to":"…@s.whatsapp.net"}` with `text`, which
//!   may have a `reply_to` (`id`, `from`, `text`), or with `media` (`kind`, `mimetype`, `caption`,
//!   `filename`, `base64`); where an implementation has it, with `content` in its own words.

mod baileys;
mod exchange;
mod front;
mod kinds;
mod pairing;
mod whatsmeow;
mod zapo;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::process::Process;
use crate::support::simulator::Simulator;
use front::Front;

/// An implementation.
struct Implementation {
    name: &'static str,
    /// Its script, without arguments.
    script: fn() -> Command,
    /// Whether it addresses people by LID, whatever the account does: its account has to do so as well.
    is_always_by_lid: bool,
}

/// Devices of one implementation, in one process.
struct Peers {
    process: Process,
    /// Events of other devices than the one that was asked about, or of another name.
    waiting: VecDeque<Value>,
    _folder: TempDir,
}

impl Peers {
    /// Starts a number of devices, which show their QR codes.
    async fn start(
        implementation: &Implementation,
        simulator: &Simulator,
        front: &Front,
        count: usize,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root_key = simulator.control().get("/root-key").await;
        let mut command = (implementation.script)();
        command.arg(front.url()).arg(root_key["hex"].as_str().unwrap());
        command.arg(count.to_string()).arg(folder.path());
        trust_front(&mut command);
        let process = Process::start(implementation.name, command);
        Self { process, waiting: VecDeque::new(), _folder: folder }
    }

    /// Waits for a device's next event of that name.
    ///
    /// # Panics
    /// When the device reports a failure instead, or does not report it in time.
    async fn event(&mut self, device: usize, name: &str) -> Value {
        let is_wanted = |event: &Value| {
            event["device"] == device && (event["event"] == name || event["event"] == "failed")
        };
        let event = match self.waiting.iter().position(is_wanted) {
            Some(index) => self.waiting.remove(index).expect("it is there"),
            None => loop {
                let event = self.process.line(&format!("{name} of device {device}"), read).await;
                if is_wanted(&event) {
                    break event;
                }
                self.waiting.push_back(event);
            },
        };
        assert_eq!(event["event"], name, "device {device}: {}", event["error"]);
        event
    }

    /// Gives a device an order.
    async fn order(&mut self, device: usize, mut order: Value) {
        order["device"] = json!(device);
        self.process.write_line(&order.to_string()).await;
    }
}

/// An event, when the line is one; libraries print what they like.
fn read(line: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line).ok()?;
    event.is_object().then_some(event)
}

/// The client takes the front's certificate as it takes the public ones.
fn trust_front(command: &mut Command) {
    command.env("NODE_EXTRA_CA_CERTS", front::certificate());
    command.env("SSL_CERT_FILE", front::certificate());
}

/// The folder of an implementation's script.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/tests").join(name)
}

/// A script for Node, with its packages.
fn node(name: &str, script: &str) -> Command {
    let folder = folder(name);
    assert!(
        folder.join("node_modules").is_dir(),
        "the packages of {} are not installed: run `cargo xtask test npm` first",
        folder.display()
    );
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder);
    command
}
