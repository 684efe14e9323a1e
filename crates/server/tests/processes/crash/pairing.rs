//! Kills while a device is paired, in each way: afterwards the pairing has gone on or can be done again, the device
//! sends, and its phone lists it once.

#[path = "../../driver/authenticator.rs"]
mod authenticator;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::passkey::Assertion;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Device;
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};
use crate::support::{counters, env, figures};
use authenticator::Authenticator;

/// Longest wait for a step of a passkey, and between two looks.
const STEP_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a device may take after a kill until it is connected.
const PAIRED_MAX: Duration = Duration::from_secs(60);
/// Every other kill comes when the phone lists the device, or so much later at most.
const AFTER_LISTED_MS_MAX: u64 = 5;

/// How a device is paired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Means {
    /// The phone scans a QR.
    Qr,
    /// A code is typed into the phone.
    Code,
    /// After the scan WhatsApp wants a passkey.
    Passkey,
}

impl Means {
    const ALL: [Self; 3] = [Self::Qr, Self::Code, Self::Passkey];

    /// Pairs a device, as long as both sides answer and agree.
    async fn pair(self, account: &Api, phones: &Api, device: &Device) -> Option<()> {
        let (path, phone) = (pairing_path(device), phone_path(device));
        let passkey = Authenticator::new();
        if self == Self::Passkey {
            let known = json!({ "passkey": passkey.registration() });
            call(phones, "PUT", &phone, Some(known)).await?;
        }
        let wanted = if self == Self::Code { json!({ "phone": device.phone }) } else { json!({}) };
        let offer = call(account, "POST", &path, Some(wanted)).await?;
        let (act, shown) = match self {
            Self::Code => ("enter-code", json!({ "code": offer["pair_code"] })),
            Self::Qr | Self::Passkey => ("scan", json!({ "qr": offer["qr"] })),
        };
        call(phones, "POST", &format!("{phone}/{act}"), Some(shown)).await?;
        if self == Self::Passkey {
            let challenge = passkey_step(account, &path, "passkey").await?;
            let answer = passkey.answer(&challenge["passkey"].to_string());
            let answer = json!({ "assertion": as_json(&answer) });
            call(account, "POST", &format!("{path}/passkey"), Some(answer)).await?;
            passkey_step(account, &path, "confirm").await?;
            call(account, "POST", &format!("{path}/confirm"), None).await?;
        }
        Some(())
    }

    /// The same in a task, which is to be aborted after the kill.
    pub fn begin(
        self,
        account: &Api,
        simulator: &Simulator,
        device: &Device,
    ) -> JoinHandle<Option<()>> {
        let (account, phones) = (account.clone(), simulator.control().clone());
        let device = device.clone();
        tokio::spawn(async move { self.pair(&account, &phones, &device).await })
    }

    /// After a kill, however far it got: waits until the device is connected, and pairs it again where it is not
    /// paired. Whether that was needed.
    pub async fn finish(self, account: &Api, simulator: &Simulator, device: &Device) -> bool {
        let deadline = Instant::now() + PAIRED_MAX;
        let mut is_repeated = false;
        loop {
            match account.status(&device.id).await.as_str() {
                "connected" => return is_repeated,
                // Whether it is paired is found out.
                "pairing" if !is_repeated => moment(LOOK_EVERY).await,
                "unpaired" | "logged_out" | "pairing" => {
                    is_repeated = true;
                    self.pair(account, simulator.control(), device).await;
                }
                _ => moment(LOOK_EVERY).await,
            }
            assert!(Instant::now() < deadline, "{self:?}: {} is stuck", device.id);
        }
    }
}

fn pairing_path(device: &Device) -> String {
    format!("/v1/devices/{}/pair", device.id)
}

fn phone_path(device: &Device) -> String {
    format!("/phones/{}", device.phone)
}

/// The body of a request that was answered with success.
async fn call(api: &Api, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
    let reply = api.try_call(method, path, body).await.ok()?;
    (200..300).contains(&reply.status).then_some(reply.body)
}

/// Waits for a step of a passkey.
async fn passkey_step(account: &Api, path: &str, step: &str) -> Option<Value> {
    let deadline = Instant::now() + STEP_MAX;
    while Instant::now() < deadline {
        let offer = account.try_call("GET", path, None).await.ok()?.body;
        if offer["step"] == step {
            return Some(offer);
        }
        moment(LOOK_EVERY).await;
    }
    None
}

/// As a browser gives it.
fn as_json(answer: &Assertion) -> Value {
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({
        "rawId": text(&answer.credential_id),
        "response": {
            "clientDataJSON": text(&answer.client_data_json),
            "authenticatorData": text(&answer.authenticator_data),
            "signature": text(&answer.signature),
        },
    })
}

/// How many linked devices the phone lists.
pub async fn listed(simulator: &Simulator, device: &Device) -> usize {
    let phone = simulator.control().get(&phone_path(device)).await;
    phone["devices"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_device_is_paired_leaves_no_half_on_sqlite() {
    kills_while_pairing("SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_device_is_paired_leaves_no_half_on_postgresql() {
    let database = Database::create().await;
    kills_while_pairing("PostgreSQL", &[("GERBANG_DATABASE_URL", &database.url())]).await;
    database.drop().await;
}

async fn kills_while_pairing(database: &str, settings: &[(&str, &str)]) {
    let simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, settings).await;
    let account = gateway.operator().make_account("pairing", "unlimited").await;
    let random = StdRng::seed_from_u64(env::seed());
    let mut test = Kills { random, simulator, gateway, account, devices: 0 };
    let kills = if env::is_long() { 20 } else { 2 };
    let mut again = [0; Means::ALL.len()];
    for (means, again) in Means::ALL.into_iter().zip(&mut again) {
        let takes = test.without_a_kill(means).await;
        for n in 0..kills {
            *again += usize::from(test.kill(means, takes, n % 2 == 1).await);
        }
    }
    assert!(test.gateway.process.stop().await.success());
    counters::agree(&test.gateway).await;
    let [qr, code, passkey] = again;
    figures::report(
        format_args!("kills while a device is paired, {database}"),
        format_args!(
            "{kills} by QR, by code and with a passkey; to be paired again {qr}, {code} and {passkey}; stuck 0, \
             twice on a phone 0"
        ),
    );
}

struct Kills {
    random: StdRng,
    simulator: Simulator,
    gateway: Gateway,
    account: Api,
    /// How many have been made.
    devices: u64,
}

impl Kills {
    async fn new_device(&mut self) -> Device {
        self.devices += 1;
        let phone = format!("62817{:08}", self.devices);
        Device { id: self.account.make_device(&phone).await, phone }
    }

    /// How long it takes to pair a device.
    async fn without_a_kill(&mut self, means: Means) -> Duration {
        let device = self.new_device().await;
        let since = Instant::now();
        let paired = means.pair(&self.account, self.simulator.control(), &device).await;
        assert!(paired.is_some(), "{means:?} without a kill");
        self.account.wait_for_status(&device.id, "connected").await;
        let takes = since.elapsed();
        self.check(means, &device).await;
        takes
    }

    /// Kills the gateway while a device is paired. Whether it had to be paired again.
    async fn kill(&mut self, means: Means, takes: Duration, is_listed: bool) -> bool {
        let device = self.new_device().await;
        let attempt = means.begin(&self.account, &self.simulator, &device);
        let kill_after_ms = if is_listed {
            self.wait_until_listed(&device).await;
            self.random.random_range(0..=AFTER_LISTED_MS_MAX)
        } else {
            self.random.random_range(0..=u64::try_from(takes.as_millis()).unwrap())
        };
        moment(Duration::from_millis(kill_after_ms)).await;
        self.gateway.process.kill().await;
        attempt.abort();
        self.gateway.restart().await;
        let is_repeated = means.finish(&self.account, &self.simulator, &device).await;
        self.check(means, &device).await;
        assert!(!(is_listed && is_repeated), "{means:?}: the phone had paired {}", device.id);
        is_repeated
    }

    /// Waits until the phone lists a device, by looking all the time: what the gateway does then takes milliseconds.
    async fn wait_until_listed(&self, device: &Device) {
        let deadline = Instant::now() + PAIRED_MAX;
        while listed(&self.simulator, device).await == 0 {
            assert!(Instant::now() < deadline, "{} is not paired", device.id);
        }
    }

    /// It sends, and its phone lists it once; then it goes, so that a start has one device.
    async fn check(&self, means: Means, device: &Device) {
        let to = device.phone.replacen("62817", "62818", 1);
        let body = json!({ "device": device.id, "to": to, "text": "after the kill" });
        let message = self.account.post("/v1/messages", body).await;
        let path = format!("/v1/messages/{}", message["id"]);
        until(format!("{means:?}: a message of device {} is read", device.id), 30, async || {
            (self.account.get(&path).await["status"] == "read").then_some(())
        })
        .await;
        assert_eq!(self.simulator.inbox(&to).await.len(), 1, "{means:?}: {}", device.id);
        assert_eq!(listed(&self.simulator, device).await, 1, "{means:?}: {}", device.id);
        let path = format!("/v1/devices/{}", device.id);
        self.account.call("DELETE", &path, None).await.ok();
        until(format!("{means:?}: {} is unlinked", device.id), 30, async || {
            (listed(&self.simulator, device).await == 0).then_some(())
        })
        .await;
    }
}
