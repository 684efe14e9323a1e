//! Every disconnect, failure and refusal there is, before, during and after a send: nothing is lost, and
//! nothing arrives twice.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::load::{Acknowledged, Sends};
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::until;
use crate::support::{counters, env, figures};

const OURS: &str = "628119000002";
/// Written to in every case; the other recipient of a case is new.
const KNOWN: &str = "628139000000";
/// Longest wait for a message, in seconds.
const ARRIVAL_S_MAX: u64 = 40;
/// Runs at the same time.
const TOGETHER: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn scripted_faults_lose_and_double_nothing() {
    let first = env::seed();
    let count = if env::is_long() { 50 } else { TOGETHER as u64 };
    let seeds: Vec<u64> = (0..count).map(|n| first.wrapping_add(n)).collect();
    for seeds in seeds.chunks(TOGETHER) {
        let runs = seeds.iter().map(|seed| tokio::spawn(run(*seed)));
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
    }
    let cases = cases().len();
    figures::report(
        "faults at every step of a send",
        format_args!("{count} seeds of {cases} cases: lost 0, doubled 0, the same id"),
    );
}

/// Runs every case, in the order of the seed.
async fn run(seed: u64) {
    let mut cases = cases();
    cases.shuffle(&mut StdRng::seed_from_u64(seed));
    let mut script = Script::start().await;
    for (n, case) in cases.into_iter().enumerate() {
        println!("seed {seed}, case {n}: {}", case.rules);
        script.case(n, case).await;
    }
    script.finish(seed).await;
}

/// What happens to the sends of a case.
struct Case {
    rules: Value,
    /// Whether phones report nothing until what they have been sent has gone out again.
    is_silent: bool,
}

/// A rule that strikes our device once.
fn rule(on: &str, action: &str, code: Option<u16>) -> Value {
    json!({ "on": on, "number": OURS, "times": 1, "do": action, "code": code })
}

/// Every case; the short form has one of each kind. A 406 at a login, which ends the link as 401 does, has a test in
/// `driver/connections.rs`.
fn cases() -> Vec<Case> {
    let (codes, logins): (&[u16], &[u16]) = if env::is_long() {
        (
            &[403, 405, 409, 429, 500, 501, 503, 515],
            &[400, 401, 402, 403, 405, 409, 413, 414, 415, 416, 417, 418, 429, 500, 501, 503],
        )
    } else {
        (&[409, 500, 503, 515], &[400, 401, 402, 403, 405, 415, 429, 503])
    };
    let ends = || std::iter::once(None).chain(codes.iter().copied().map(Some));
    // After these it must be linked again.
    let unlinks = [401, 516].map(Some);
    let before = ends().chain(unlinks).map(|code| json!([rule("message", "disconnect", code)]));
    let refused = [429, 463, 500, 503].map(|code| json!([rule("message", "nack", Some(code))]));
    let asks = |code| json!([rule("iq", "disconnect", code)]);
    let during = [None, Some(503)].map(asks);
    let asked = json!([rule("iq", "nack", Some(500))]);
    let after =
        |code| json!([rule("message", "drop_ack", None), rule("message", "disconnect", code)]);
    let login = logins.iter().map(|code| {
        let mut refusal = rule("login", "failure", Some(*code));
        refusal["expire_s"] = json!(1);
        json!([rule("message", "disconnect", Some(503)), refusal])
    });
    let rules =
        before.chain(refused).chain(during).chain([asked]).chain(ends().map(after)).chain(login);
    // Receipts for a device that is linked no more are lost: nobody reports before it is linked again.
    let unlinked = unlinks.into_iter().flat_map(|code| [asks(code), after(code)]);
    let unlinked = unlinked.map(|rules| Case { rules, is_silent: true });
    rules.map(|rules| Case { rules, is_silent: false }).chain(unlinked).collect()
}

/// What WhatsApp refuses for good is failed, and costs nothing; the next message is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_fails_one_message_and_no_other() {
    let mut script = Script::start().await;
    let mut used = 0;
    for (n, code) in [400, 404, 479].into_iter().enumerate() {
        let rules = json!([rule("message", "nack", Some(code))]);
        script.simulator.set_faults(json!({ "rules": rules })).await;
        let to = [format!("62814{n:08}"), format!("62815{n:08}")];
        let ids = [script.send(n, &to[0]).await, script.send(n, &to[1]).await];
        let mut failed = Vec::new();
        for (id, to) in ids.into_iter().zip(&to) {
            let message =
                until(format!("the outcome of {code} for {to}"), ARRIVAL_S_MAX, async || {
                    let message = script.account.get(&format!("/v1/messages/{id}")).await;
                    ["read", "failed"]
                        .iter()
                        .any(|end| message["status"] == *end)
                        .then_some(message)
                })
                .await;
            let is_failed = message["status"] == "failed";
            assert_eq!(
                script.simulator.inbox(to).await.len(),
                usize::from(!is_failed),
                "{message}"
            );
            if is_failed {
                failed.push(message["error"]["code"].clone());
            }
        }
        assert_eq!(failed, [format!("refused_{code}")], "of two messages");
        used += 1;
        let usage = script.account.get("/v1/usage").await;
        assert_eq!(usage["month"]["used"], used, "{code}: {usage}");
    }
    assert!(script.gateway.process.stop().await.success());
}

struct Script {
    simulator: Simulator,
    gateway: Gateway,
    account: Api,
    device: String,
    sends: Sends,
    recipients: Vec<String>,
}

impl Script {
    async fn start() -> Self {
        let simulator = Simulator::start().await;
        let gateway = Gateway::start(&simulator, &[]).await;
        let account = gateway.operator().make_account("script", "unlimited").await;
        let device = account.make_linked_device(&simulator, OURS).await;
        let (sends, recipients) = (Sends::default(), vec![KNOWN.to_owned()]);
        Self { simulator, gateway, account, device, sends, recipients }
    }

    async fn case(&mut self, n: usize, Case { rules, is_silent }: Case) {
        let struck = self.struck().await;
        let wanted = struck + rules.as_array().map_or(0, |rules| rules.len() as u64);
        self.simulator.set_faults(json!({ "rules": rules })).await;
        let new = format!("62813{:08}", n + 1);
        let phones = [new.as_str(), KNOWN];
        if is_silent {
            self.let_phones_report(phones, false).await;
        }
        let ids = [self.send(n, &new).await, self.send(n, KNOWN).await];
        until(format!("every fault of case {n} strikes"), ARRIVAL_S_MAX, async || {
            self.hurry().await;
            (self.struck().await >= wanted).then_some(())
        })
        .await;
        if is_silent {
            for id in ids {
                self.wait_until(n, id, &["sent", "delivered", "read"]).await;
            }
            self.let_phones_report(phones, true).await;
        }
        for id in ids {
            self.wait_until(n, id, &["read"]).await;
        }
        self.recipients.push(new);
    }

    async fn wait_until(&self, n: usize, id: i64, states: &[&str]) {
        until(format!("a message of case {n} is {}", states[0]), ARRIVAL_S_MAX, async || {
            self.hurry().await;
            let message = self.account.get(&format!("/v1/messages/{id}")).await;
            states.contains(&message["status"].as_str()?).then_some(())
        })
        .await;
    }

    async fn let_phones_report(&self, phones: [&str; 2], reports: bool) {
        for phone in phones {
            self.simulator.set_reporting(phone, reports).await;
        }
    }

    /// What had stopped, or waits for long, connects again at once; what was unlinked is linked again.
    async fn hurry(&self) {
        match self.account.status(&self.device).await.as_str() {
            "connected" => {}
            "logged_out" => {
                let path = format!("/v1/devices/{}/pair", self.device);
                let reply = self.account.call("POST", &path, Some(json!({}))).await;
                if let Some(qr) = reply.body["qr"].as_str() {
                    let _ = self.simulator.try_scan(OURS, qr).await;
                }
            }
            _ => {
                let path = format!("/v1/devices/{}/connect", self.device);
                let _ = self.account.call("POST", &path, Some(json!({}))).await;
            }
        }
    }

    async fn struck(&self) -> u64 {
        let stats = self.simulator.control().get("/stats").await;
        stats["counters"]["faults_struck"].as_u64().unwrap()
    }

    async fn send(&mut self, n: usize, to: &str) -> i64 {
        let text = format!("case {n} to {to}");
        let body = json!({
            "device": self.device, "to": to, "text": text, "retry_interval_s": 1,
        });
        // The message before may have had the device unlinked by now.
        let message =
            until(format!("a message of case {n} is accepted"), ARRIVAL_S_MAX, async || {
                let reply = self.account.call("POST", "/v1/messages", Some(body.clone())).await;
                if reply.body["code"] == "device_not_connected" {
                    self.hurry().await;
                    return None;
                }
                assert_eq!(reply.status, 202, "{}", reply.body);
                Some(reply.body)
            })
            .await;
        let id = message["id"].as_i64().unwrap();
        let whatsapp_id = message["whatsapp_id"].as_str().map(str::to_owned);
        self.sends.acknowledged.push(Acknowledged { id, whatsapp_id, text, to: to.to_owned() });
        id
    }

    async fn finish(mut self, seed: u64) {
        let mut ledger = Ledger::default();
        ledger.add(self.sends);
        let sent = self.account.all("/v1/messages?direction=out").await;
        let received = self.account.all("/v1/messages?direction=in").await;
        let mut inboxes = Vec::new();
        for recipient in &self.recipients {
            inboxes.extend(self.simulator.inbox(recipient).await);
        }
        let usage = self.account.get("/v1/usage").await;
        let findings = ledger.compare(&sent, &received, &inboxes, &usage);
        assert!(findings.is_empty(), "seed {seed}: {}", findings.join("\n"));
        assert!(self.gateway.process.stop().await.success());
        counters::agree(&self.gateway).await;
    }
}
