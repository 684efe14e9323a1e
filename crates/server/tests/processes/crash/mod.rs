//! `kill -9` under load: what was answered with 2xx arrives, once, texts and files.
//!
//! Rounds of load end with a kill at a random moment: plain ones, some while WhatsApp's
//! acknowledgements are lost or late (so that a message is on its way but not yet `sent` in our
//! database), some while a new device is being linked (by QR, by code, with a passkey), some with the simulator killed as well. In one test
//! the power fails as well: what was not synced is gone.
//! Afterwards the acknowledged messages, the rows and the phones' inboxes are compared, and the counters with the
//! rows.

mod incoming;
pub mod ledger;
pub mod load;
mod pairing;
mod scripted;

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::disk::Disk;
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{counters, env, figures};
use ledger::Ledger;
use load::Load;
use pairing::{Means, listed};

/// Devices that are linked from the start.
const DEVICES: u64 = 3;
/// Acknowledged sends of a round, before the kill.
const ACKNOWLEDGED: std::ops::Range<usize> = 20..110;
/// Messages that are relayed at least where their acknowledgements are lost.
const RELAYED: u64 = 5;
/// How long after that, at most, the kill comes.
const KILL_DELAY_MS_MAX: u64 = 40;
/// How long everything may take to arrive after the last round.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(60);

/// What is special about a round.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Round {
    /// A kill at a random moment.
    Plain,
    /// WhatsApp relays messages but its acknowledgements are lost.
    AcksLost,
    /// Whatever WhatsApp sends comes late.
    AcksLate,
    /// A new device is being linked.
    Linking(Means),
    /// WhatsApp goes away too, before or after the gateway.
    SimulatorKilled,
}

impl Round {
    const ALL: [Self; 7] = [
        Self::Plain,
        Self::AcksLost,
        Self::AcksLate,
        Self::Linking(Means::Qr),
        Self::SimulatorKilled,
        Self::Linking(Means::Code),
        Self::Linking(Means::Passkey),
    ];
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_on_sqlite() {
    let mut test = Crash::start(&[]).await;
    test.rounds(if env::is_long() { 200 } else { 25 }).await;
    while test.ledger.acknowledged.len() < 1_000 {
        test.rounds(1).await;
    }
    test.finish("kills under load, SQLite").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_on_postgresql() {
    let database = Database::create().await;
    let mut test = Crash::start(&[("GERBANG_DATABASE_URL", &database.url())]).await;
    test.rounds(if env::is_long() { 200 } else { 20 }).await;
    test.finish("kills under load, PostgreSQL").await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_power_fails() {
    let mut test = Crash::start_on(Some(Disk::new()), &[]).await;
    test.rounds(if env::is_long() { 100 } else { 10 }).await;
    let losses = &test.disk.as_ref().unwrap().losses;
    assert!(losses.writes > 0, "no power failure came between a write and its sync");
    assert!(losses.safe_files > 0, "the disk has seen no file of the media store");
    test.finish("power failures under load, SQLite").await;
}

struct Crash {
    random: StdRng,
    simulator: Simulator,
    gateway: Gateway,
    account: Api,
    devices: Vec<Device>,
    ledger: Ledger,
    round: usize,
    /// Under the gateway, when the power fails with each kill.
    disk: Option<Disk>,
}

/// A device, and the number it is linked to.
#[derive(Clone)]
pub struct Device {
    pub id: String,
    pub phone: String,
}

/// A device that is being linked.
struct Linking {
    means: Means,
    device: Device,
    attempt: JoinHandle<Option<()>>,
}

impl Crash {
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_on(None, settings).await
    }

    async fn start_on(disk: Option<Disk>, settings: &[(&str, &str)]) -> Self {
        let random = StdRng::seed_from_u64(env::seed());
        let simulator = Simulator::start().await;
        let below = disk.as_ref().map(Disk::settings).unwrap_or_default();
        let gateway = Gateway::start(&simulator, &[settings, &below].concat()).await;
        let account = gateway.operator().make_account("crash", "unlimited").await;
        let mut devices = Vec::new();
        for n in 0..DEVICES {
            let phone = sender(n);
            let id = account.make_linked_device(&simulator, &phone).await;
            devices.push(Device { id, phone });
        }
        let ledger = Ledger::default();
        Self { random, simulator, gateway, account, devices, ledger, round: 0, disk }
    }

    async fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            let kind = Round::ALL[self.round % Round::ALL.len()];
            self.one_round(kind).await;
            println!("round {}: {kind:?}, {}", self.round, self.ledger.summary());
            self.round += 1;
        }
    }

    async fn one_round(&mut self, kind: Round) {
        let faults = match kind {
            Round::AcksLost => json!({ "drop_acks": true }),
            Round::AcksLate => json!({ "delay_ms": self.random.random_range(50..600) }),
            _ => json!({}),
        };
        self.simulator.set_faults(faults).await;
        let relayed = self.simulator.relayed().await;
        let load = Load::start(&self.account, &self.devices, self.round, self.random.random());
        self.somebody_writes_to_us().await;
        if kind == Round::AcksLost {
            // A receipt is as good as an acknowledgement: no phone sends one now.
            self.let_phones_report(false).await;
        }
        let linking = match kind {
            Round::Linking(means) => Some(self.begin_linking(means).await),
            _ => None,
        };
        load.wait_for_acknowledged(self.random.random_range(ACKNOWLEDGED)).await;
        if kind == Round::AcksLost {
            until("some are relayed", 30, async || {
                (self.simulator.relayed().await >= relayed + RELAYED).then_some(())
            })
            .await;
        }
        moment(Duration::from_millis(self.random.random_range(0..KILL_DELAY_MS_MAX))).await;
        if kind == Round::SimulatorKilled {
            self.simulator.process.kill().await;
            if self.random.random() {
                load.wait_for_more(10).await;
            }
        }
        self.gateway.process.kill().await;
        if let Some(linking) = &linking {
            linking.attempt.abort();
        }
        self.ledger.add(load.end().await);
        if let Some(disk) = &mut self.disk {
            let data = self.gateway.data_dir().join("data");
            disk.lose_power(&data, &mut self.random);
        }
        match kind {
            Round::SimulatorKilled => self.simulator.restart().await,
            _ => self.simulator.set_faults(json!({})).await,
        }
        self.gateway.restart().await;
        if kind == Round::AcksLost {
            // What was relayed without an acknowledgement goes out again before anybody reports it.
            self.wait_until_none_is("queued").await;
            self.let_phones_report(true).await;
        }
        if let Some(linking) = linking {
            linking.means.finish(&self.account, &self.simulator, &linking.device).await;
            self.devices.push(linking.device);
        }
    }

    async fn let_phones_report(&self, reports: bool) {
        for n in 0..load::RECIPIENTS {
            self.simulator.set_reporting(&load::recipient(n), reports).await;
        }
    }

    /// A received message is stored before WhatsApp hears that we have it.
    async fn somebody_writes_to_us(&mut self) {
        let to = self.devices.choose(&mut self.random).unwrap().phone.clone();
        for from in 0..3 {
            let text = format!("to us, round {} from {from}", self.round);
            self.simulator.send(&load::recipient(from), &to, &text).await;
            self.ledger.written_to_us.push(text);
        }
    }

    /// A new device is linked to a phone; how far that gets is up to the kill.
    async fn begin_linking(&mut self, means: Means) -> Linking {
        let phone = sender(100 + self.round as u64);
        let device = Device { id: self.account.make_device(&phone).await, phone };
        let attempt = means.begin(&self.account, &self.simulator, &device);
        Linking { means, device, attempt }
    }

    /// Waits until every message is read; those that never are will be findings.
    async fn wait_until_read(&self) {
        for state in ["scheduled", "queued", "sent", "delivered"] {
            self.wait_until_none_is(state).await;
        }
    }

    /// Waits until no message is in a state, as long as settling may take.
    async fn wait_until_none_is(&self, state: &str) {
        let deadline = Instant::now() + SETTLE_TIME_MAX;
        let path = format!("/v1/messages?direction=out&status={state}&limit=1");
        let is_empty = async || {
            let list = self.account.get(&path).await;
            list["data"].as_array().unwrap().is_empty()
        };
        while !is_empty().await && Instant::now() < deadline {
            moment(Duration::from_millis(100)).await;
        }
    }

    /// After all that, an ordinary message through each device is read, and its phone lists it once.
    async fn still_works(&self) {
        for device in &self.devices {
            assert_eq!(listed(&self.simulator, device).await, 1, "{}", device.phone);
            let to = load::recipient(load::RECIPIENTS);
            let body = json!({ "device": device.id, "to": to, "text": "after the kills" });
            let message = self.account.post("/v1/messages", body).await;
            let path = format!("/v1/messages/{}", message["id"]);
            until(format!("a message of device {} is read", device.id), 30, async || {
                (self.account.get(&path).await["status"] == "read").then_some(())
            })
            .await;
        }
    }

    async fn finish(mut self, what: &str) {
        for device in &self.devices {
            self.account.wait_for_status(&device.id, "connected").await;
        }
        self.wait_until_read().await;
        let sent = self.account.all("/v1/messages?direction=out").await;
        let received = self.account.all("/v1/messages?direction=in").await;
        let mut inboxes = Vec::new();
        for n in 0..load::RECIPIENTS {
            inboxes.extend(self.simulator.inbox(&load::recipient(n)).await);
        }
        let usage = self.account.get("/v1/usage").await;
        let findings = self.ledger.compare(&sent, &received, &inboxes, &usage);
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
        let repeated = inboxes.iter().filter(|row| row["copies"].as_u64() > Some(1)).count();
        assert!(repeated > 0, "no kill came between WhatsApp's relay and our commit");
        self.still_works().await;
        assert!(self.gateway.process.stop().await.success());
        counters::agree(&self.gateway).await;
        let losses = self.disk.map_or_else(String::new, |disk| format!("; {}", disk.losses));
        let (rounds, acknowledged) = (self.round, self.ledger.summary());
        let (rows, received) = (sent.len(), received.len());
        figures::report(
            what,
            format_args!(
                "{rounds} kills: {acknowledged}, {rows} rows sent and {received} received, lost 0, doubled 0; \
                 {repeated} went out again and were recognised{losses}"
            ),
        );
    }
}

fn sender(n: u64) -> String {
    format!("62811{n:08}")
}
