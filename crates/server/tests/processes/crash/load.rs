//! Several tasks that send as fast as they are answered, through every API, texts and files, until the gateway dies or
//! the load ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Device;
use crate::support::api::{Api, Reply};
use crate::support::wait::{moment, until};

/// How many phones are written to.
pub const RECIPIENTS: u64 = 12;
const TASKS: u64 = 6;
/// The task whose sends wait for their outcome. It is the only one: where acknowledgements are lost, it stands
/// still.
const WAITING_TASK: u64 = 0;
/// Before a send is tried again that was not accepted.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The number of a phone that is written to.
pub fn recipient(n: u64) -> String {
    format!("62813{n:08}")
}

/// A send that was answered with 2xx.
pub struct Acknowledged {
    /// As every API says it in `Location`.
    pub id: i64,
    /// As `/v1` answers it; the others do not.
    pub whatsapp_id: Option<String>,
    /// Its text; no two are equal.
    pub text: String,
    /// The number it goes to.
    pub to: String,
}

/// What a round of load has done.
#[derive(Default)]
pub struct Sends {
    /// Answered with 2xx.
    pub acknowledged: Vec<Acknowledged>,
    /// Texts without an answer: they may have been accepted, or not.
    pub unanswered: Vec<String>,
    /// Answers that should not have come.
    pub refused: Vec<String>,
}

/// Running load.
pub struct Load {
    tasks: JoinSet<Sends>,
    count: Arc<AtomicUsize>,
    has_ended: Arc<AtomicBool>,
}

impl Load {
    /// Starts to send through the devices, as fast as is answered.
    pub fn start(account: &Api, devices: &[Device], round: usize, seed: u64) -> Self {
        Self::paced(account, devices, round, seed, Duration::ZERO)
    }

    /// The same with a pause after each answer.
    pub fn paced(
        account: &Api,
        devices: &[Device],
        round: usize,
        seed: u64,
        pause: Duration,
    ) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let has_ended = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let sender = Sender {
                account: account.clone(),
                devices: devices.to_vec(),
                random: StdRng::seed_from_u64(seed ^ task),
                name: format!("round {round} task {task}"),
                waits: task == WAITING_TASK,
                count: count.clone(),
                has_ended: has_ended.clone(),
                pause,
            };
            tasks.spawn(sender.run());
        }
        Self { tasks, count, has_ended }
    }

    /// Waits until so many sends have been acknowledged.
    pub async fn wait_for_acknowledged(&self, wanted: usize) {
        until(format!("{wanted} acknowledged sends"), 60, async || {
            (self.count.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Waits for more than there are.
    pub async fn wait_for_more(&self, more: usize) {
        self.wait_for_acknowledged(self.count.load(Ordering::Relaxed) + more).await;
    }

    /// What has been done: each task ends after the request that it has begun.
    pub async fn end(mut self) -> Sends {
        self.has_ended.store(true, Ordering::Relaxed);
        let mut all = Sends::default();
        while let Some(sends) = self.tasks.join_next().await {
            let sends = sends.unwrap();
            all.acknowledged.extend(sends.acknowledged);
            all.unanswered.extend(sends.unanswered);
            all.refused.extend(sends.refused);
        }
        all
    }
}

struct Sender {
    account: Api,
    devices: Vec<Device>,
    random: StdRng,
    name: String,
    waits: bool,
    count: Arc<AtomicUsize>,
    has_ended: Arc<AtomicBool>,
    pause: Duration,
}

impl Sender {
    async fn run(mut self) -> Sends {
        let mut sends = Sends::default();
        for n in 0.. {
            if self.has_ended.load(Ordering::Relaxed) {
                break;
            }
            let text = format!("{} message {n}", self.name);
            let to = recipient(self.random.random_range(0..RECIPIENTS));
            let (path, body) = self.request(&text, &to);
            let Ok(reply) = self.account.try_call("POST", &path, Some(body)).await else {
                sends.unanswered.push(text);
                break;
            };
            if self.waits && reply.status == 503 {
                // The node that runs the device is gone, and nothing was accepted.
                moment(AGAIN_AFTER).await;
                continue;
            }
            match accepted(&reply).filter(|_| (200..300).contains(&reply.status)) {
                Some((id, whatsapp_id)) => {
                    sends.acknowledged.push(Acknowledged { id, whatsapp_id, text, to });
                    self.count.fetch_add(1, Ordering::Relaxed);
                    moment(self.pause).await;
                }
                None => {
                    sends.refused.push(format!("{path}: {reply:?}"));
                    break;
                }
            }
        }
        sends
    }

    fn request(&mut self, text: &str, to: &str) -> (String, Value) {
        let Device { id: device, phone } = self.devices.choose(&mut self.random).unwrap();
        let kind = self.random.random_range(0..4);
        match (self.waits, kind) {
            (true, 0) => {
                let key = self.account.key();
                let body =
                    json!({ "api_key": key, "sender": phone, "number": to, "message": text });
                ("/send-message".into(), body)
            }
            (true, 1) => {
                let body = json!({ "device_id": device, "recipient": to, "message": text });
                ("/api/v1/send-message".into(), body)
            }
            (true, _) => {
                let body = json!({ "accountId": device, "to": to, "text": text });
                ("/api/v2/messaging/whatsapp/send-text".into(), body)
            }
            (false, 0) => (format!("/{device}/send"), json!({ "phone": to, "message": text })),
            (false, 1) => {
                let body = json!({ "queue": device, "destination": to, "message": text });
                ("/wachat_api/1.0/message".into(), body)
            }
            (false, 2) => {
                let base64 = STANDARD.encode(text);
                let media = json!({ "base64": base64, "filename": "note.txt", "caption": text });
                ("/v1/messages".into(), json!({ "device": device, "to": to, "media": media }))
            }
            (false, _) => {
                ("/v1/messages".into(), json!({ "device": device, "to": to, "text": text }))
            }
        }
    }
}

/// The ids of an accepted message, as far as the API says them.
fn accepted(reply: &Reply) -> Option<(i64, Option<String>)> {
    let id = reply.location.strip_prefix("/v1/messages/")?.parse().ok()?;
    Some((id, reply.body["whatsapp_id"].as_str().map(str::to_owned)))
}
