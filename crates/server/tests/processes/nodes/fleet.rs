//! The nodes, their devices, and what was sent through them.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::crash::Device;
use crate::crash::ledger::Ledger;
use crate::crash::load::{self, Load};
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{counters, env, figures};

use super::watch::Watch;

/// How long the others may take to run the devices of a node that is gone, in seconds, where nothing else
/// runs on the machine.
const TAKEOVER_S_MAX: u64 = 15;
/// The same beside other tests.
const BUSY_TAKEOVER_S_MAX: u64 = 60;
const DEVICES: u64 = 3;
/// What is accepted must not pile up: it is measured who sends, not how fast.
const LOAD_PAUSE: Duration = Duration::from_millis(300);
/// What encrypts secrets, the same for all nodes.
const SECRET_KEY: &str = "5c1f8d3a9b6e4072d1a8c35f7e9042b65c1f8d3a9b6e4072d1a8c35f7e9042b6";
/// How long everything may take to arrive at the end.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(60);

/// Several gateways on one database.
pub struct Fleet {
    database: Database,
    simulator: Simulator,
    media: TempDir,
    /// The nodes, by number.
    pub nodes: Vec<Gateway>,
    key: String,
    devices: Vec<Device>,
    /// Who said what.
    pub ledger: Ledger,
    probes: u64,
}

impl Fleet {
    /// Starts so many nodes; all devices are made by the first one.
    pub async fn start(count: usize) -> Self {
        let mut fleet = Self::prepare().await;
        for _ in 0..count {
            fleet.add(&env::gerbang(), &[]).await;
        }
        fleet.link_devices().await;
        fleet
    }

    /// What nodes need, without any.
    pub async fn prepare() -> Self {
        Self {
            database: Database::create().await,
            simulator: Simulator::start().await,
            media: tempfile::tempdir().unwrap(),
            nodes: Vec::new(),
            key: String::new(),
            devices: Vec::new(),
            ledger: Ledger::default(),
            probes: 0,
        }
    }

    /// Starts a node, with more settings than all have.
    pub async fn add(&mut self, binary: &Path, more: &[(&str, &str)]) {
        let settings = self.settings(&self.name(self.nodes.len()));
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.nodes.push(Gateway::start_with(binary, &[&settings, more].concat()).await);
    }

    /// Makes the account and its devices at the first node.
    pub async fn link_devices(&mut self) {
        let account = self.nodes[0].operator().make_account("fleet", "unlimited").await;
        self.key = account.key().unwrap().to_owned();
        for n in 0..DEVICES {
            let phone = format!("62811{n:08}");
            let id = account.make_linked_device(&self.simulator, &phone).await;
            self.devices.push(Device { id, phone });
        }
    }

    /// The address of the database.
    pub fn database_url(&self) -> String {
        self.database.url()
    }

    /// The address of WhatsApp.
    pub fn whatsapp_url(&self) -> &str {
        self.simulator.url()
    }

    /// The settings of a node of this name.
    pub fn settings(&self, name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("GERBANG_WHATSAPP_URL", self.simulator.url().to_owned()),
            ("GERBANG_PACING", "off".to_owned()),
            ("GERBANG_DATABASE_URL", self.database.url()),
            ("GERBANG_SECRET_KEY", SECRET_KEY.to_owned()),
            ("GERBANG_MEDIA_STORE", self.media.path().display().to_string()),
            ("GERBANG_NODE_NAME", name.to_owned()),
        ]
    }

    /// `gerbang serve` with the settings of a node of this name.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env::gerbang());
        command.arg("serve").envs(self.settings(name));
        command
    }

    pub fn name(&self, node: usize) -> String {
        format!("node-{node}")
    }

    pub fn other_than(&self, node: usize) -> usize {
        (node + 1) % self.nodes.len()
    }

    /// The account, through a node.
    pub fn account(&self, node: usize) -> Api {
        self.nodes[node].operator().with_key(self.key.clone())
    }

    /// A node as another one lists it.
    pub async fn node(&self, asked: usize, name: &str) -> Value {
        let nodes = self.nodes[asked].operator().get("/v1/nodes").await;
        let nodes = nodes["data"].as_array().unwrap();
        nodes.iter().find(|node| node["name"] == name).cloned().unwrap_or_default()
    }

    /// The node that runs most devices, when all are run by live ones.
    pub async fn owner(&self) -> usize {
        until("all devices are run", 30, async || {
            let nodes = self.nodes[0].operator().get("/v1/nodes").await;
            let live = nodes["data"].as_array().unwrap().iter();
            let devices: HashMap<&str, u64> = live
                .filter(|node| node["status"] == "live")
                .map(|node| (node["name"].as_str().unwrap(), node["devices"].as_u64().unwrap()))
                .collect();
            if devices.len() < self.nodes.len() || devices.values().sum::<u64>() < DEVICES {
                return None;
            }
            (0..self.nodes.len()).max_by_key(|node| devices.get(&*self.name(*node)))
        })
        .await
    }

    /// Sends through one node.
    pub fn load(&self, node: usize, round: usize) -> Load {
        let seed = env::seed().wrapping_add(round as u64);
        Load::paced(&self.account(node), &self.devices, round, seed, LOAD_PAUSE)
    }

    /// People write to all devices.
    pub async fn people_write(&mut self, round: usize) {
        for device in &self.devices {
            let text = format!("to us, round {round} at {}", device.phone);
            self.simulator.send(&load::recipient(0), &device.phone, &text).await;
            self.ledger.written_to_us.push(text);
        }
    }

    /// When each device was connected last.
    pub async fn connected_at(&self, node: usize) -> Vec<Value> {
        let account = self.account(node);
        let mut times = Vec::new();
        for device in &self.devices {
            let path = format!("/v1/devices/{}", device.id);
            times.push(account.get(&path).await["connected_at"].clone());
        }
        times
    }

    /// Waits until all devices are connected again, after `before`, at most [`TAKEOVER_S_MAX`].
    pub async fn wait_until_taken_over(&self, node: usize, before: &[Value]) {
        let account = self.account(node);
        let seconds_max = if env::is_long() { TAKEOVER_S_MAX } else { BUSY_TAKEOVER_S_MAX };
        until("all devices are taken over", seconds_max, async || {
            for (device, before) in self.devices.iter().zip(before) {
                let device = account.get(&format!("/v1/devices/{}", device.id)).await;
                if device["status"] != "connected" || device["connected_at"] == *before {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }

    /// Waits until a new message through each device is sent.
    pub async fn wait_until_all_send(&mut self, node: usize) {
        let account = self.account(node);
        for device in &self.devices {
            self.probes += 1;
            let to = load::recipient(load::RECIPIENTS + self.probes);
            let body =
                json!({ "device": device.id, "to": to, "text": format!("probe {}", self.probes) });
            let message = account.post("/v1/messages", body).await;
            let path = format!("/v1/messages/{}", message["id"]);
            let what = format!("a message of device {} is sent", device.id);
            until(what, 60, async || {
                let status = account.get(&path).await["status"].clone();
                matches!(status.as_str(), Some("sent" | "delivered" | "read")).then_some(())
            })
            .await;
        }
    }

    /// Watches the devices from a node until [`Watch::end`], and asks what only their owners know meanwhile.
    pub fn watch(&self, node: usize) -> Watch {
        Watch::start(self.account(node), self.devices.clone())
    }

    /// A figure of a node, by its name and labels.
    pub async fn figure(&self, node: usize, name: &str) -> Option<f64> {
        let text = self.nodes[node].operator().text("/metrics").await;
        let mut figures = text.lines().filter_map(|line| line.rsplit_once(' '));
        figures.find(|(found, _)| *found == name)?.1.parse().ok()
    }

    /// How many devices are connected, by WhatsApp's count.
    pub async fn connected(&self) -> f64 {
        self.simulator.connected().await
    }

    /// How often devices have logged in at WhatsApp.
    pub async fn logins(&self) -> u64 {
        self.simulator.counter("logins").await
    }

    /// Compares what was acknowledged with the rows and the phones, and reports the figures of the test.
    pub async fn finish(mut self, what: &str, seen: impl Display) {
        let account = self.account(0);
        let deadline = Instant::now() + SETTLE_TIME_MAX;
        for state in ["scheduled", "queued", "sent", "delivered"] {
            let path = format!("/v1/messages?direction=out&status={state}&limit=1");
            while !account.get(&path).await["data"].as_array().unwrap().is_empty()
                && Instant::now() < deadline
            {
                moment(Duration::from_millis(100)).await;
            }
        }
        let count = self.ledger.written_to_us.len();
        until("what people wrote is there", 30, async || {
            (account.all("/v1/messages?direction=in").await.len() >= count).then_some(())
        })
        .await;
        let is_probe =
            |row: &Value| row["text"].as_str().is_some_and(|text| text.starts_with("probe "));
        let mut sent = account.all("/v1/messages?direction=out").await;
        sent.retain(|row| !is_probe(row));
        let received = account.all("/v1/messages?direction=in").await;
        let mut inboxes = Vec::new();
        for n in 0..load::RECIPIENTS {
            inboxes.extend(self.simulator.inbox(&load::recipient(n)).await);
        }
        let usage = json!({
            "day": { "used": sent.len() },
            "month": { "used": sent.len() },
        });
        let findings = self.ledger.compare(&sent, &received, &inboxes, &usage);
        let stale = self.simulator.counter("messages_stale").await;
        assert_eq!(stale, 0, "messages of an owner after those of the next one");
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
        counters::agree_at(&self.database_url()).await;
        let sends = self.ledger.summary();
        self.end().await;
        figures::report(
            what,
            format_args!("{seen}; {sends}, lost 0, doubled 0, sent by a former owner 0"),
        );
    }

    /// Stops everything.
    pub async fn end(mut self) {
        for node in &mut self.nodes {
            node.process.kill().await;
        }
        self.database.drop().await;
    }
}
