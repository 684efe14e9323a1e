//! The bystander: an ordinary customer with one device, at an address of its own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

const PHONE: &str = "628110000900";
const FRIEND: &str = "628120000900";
/// How often it does something.
const PAUSE: Duration = Duration::from_millis(10);
/// How many of the longest answers are shown.
const SLOWEST_SHOWN: usize = 8;
/// How long everything may take to arrive afterwards.
const SETTLE_S_MAX: u64 = 60;

/// See the module.
pub struct Bystander {
    account: Api,
    health: Api,
    device: String,
    control: Api,
    /// What was answered with 2xx, by text.
    sent: Mutex<Vec<(i64, String)>>,
    /// What was written to it.
    received: Mutex<Vec<String>>,
}

/// How it was served.
pub struct Figures {
    requests: usize,
    received: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    pub health_max: Duration,
    /// The longest, each with when it was asked.
    slowest: Vec<(Duration, Duration)>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        write!(
            f,
            "{} requests, p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms; {} received; /healthz at most \
             {:.1} ms; the longest came after {:.1?}",
            self.requests,
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            self.received,
            ms(self.health_max),
            self.slowest.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
        )
    }
}

impl Bystander {
    /// Makes an account with a linked device.
    pub async fn start(gateway: &Gateway, simulator: &Simulator, address: Ipv4Addr) -> Self {
        let made = gateway.operator().make_account("bystander", "unlimited").await;
        let key = made.key().unwrap().to_owned();
        let base = format!("http://{}", gateway.address());
        let account = Api::from_address(&base, IpAddr::V4(address)).with_key(key);
        let device = account.make_linked_device(simulator, PHONE).await;
        Self {
            account,
            health: Api::without_reuse(&base),
            device,
            control: simulator.control().clone(),
            sent: Mutex::default(),
            received: Mutex::default(),
        }
    }

    /// Sends, reads and receives for that long.
    pub async fn measure(&self, time: Duration) -> Figures {
        let start = Instant::now();
        let end = start + time;
        let (times, received, health_max) =
            tokio::join!(self.use_it(end), self.be_written_to(end), self.ask_health(end));
        let mut slowest: Vec<(Duration, Duration)> =
            times.iter().map(|(asked, took)| (*took, *asked - start)).collect();
        slowest.sort_unstable();
        let slowest = slowest.split_off(slowest.len().saturating_sub(SLOWEST_SHOWN));
        let mut times: Vec<Duration> = times.into_iter().map(|(_, took)| took).collect();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        let max = times[times.len() - 1];
        Figures {
            requests: times.len(),
            received,
            p50: at(50),
            p99: at(99),
            max,
            health_max,
            slowest,
        }
    }

    /// Sends and reads by turns; when each was asked, and how long the answer took.
    async fn use_it(&self, end: Instant) -> Vec<(Instant, Duration)> {
        let mut times = Vec::new();
        while Instant::now() < end {
            let text = format!("bystander {}", self.sent.lock().unwrap().len());
            let body = json!({ "device": self.device, "to": FRIEND, "text": text });
            let asked = Instant::now();
            let message = self.account.post("/v1/messages", body).await;
            times.push((asked, asked.elapsed()));
            self.sent.lock().unwrap().push((message["id"].as_i64().unwrap(), text));
            for path in ["/v1/messages?limit=20".to_owned(), format!("/v1/devices/{}", self.device)]
            {
                let asked = Instant::now();
                self.account.get(&path).await;
                times.push((asked, asked.elapsed()));
            }
            moment(PAUSE).await;
        }
        times
    }

    /// A friend writes to it, again when the last message has come in.
    async fn be_written_to(&self, end: Instant) -> usize {
        let mut count = 0;
        while Instant::now() < end {
            let text = format!("to the bystander {}", self.received.lock().unwrap().len());
            let body = json!({ "to": PHONE, "text": text });
            self.control.post(&format!("/phones/{FRIEND}/send"), body).await;
            until("what a friend wrote has come in", SETTLE_S_MAX, async || {
                let page = self.account.get("/v1/messages?direction=in&limit=1").await;
                (page["data"][0]["text"] == text.as_str()).then_some(())
            })
            .await;
            self.received.lock().unwrap().push(text);
            count += 1;
        }
        count
    }

    /// Asks `/healthz`, each time on a connection of its own; the longest time.
    async fn ask_health(&self, end: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        while Instant::now() < end {
            let asked = Instant::now();
            self.health.get("/healthz").await;
            longest = longest.max(asked.elapsed());
            moment(PAUSE * 5).await;
        }
        longest
    }

    /// What was answered with 2xx is read by the friend, once each.
    pub async fn assert_all_arrived(&self) {
        let sent = self.sent.lock().unwrap().clone();
        let texts: Vec<&str> = sent.iter().map(|(_, text)| text.as_str()).collect();
        let mut arrived = until("all that was sent has arrived", SETTLE_S_MAX, async || {
            let inbox = self.control.get(&format!("/phones/{FRIEND}/inbox")).await;
            let inbox = inbox.as_array().unwrap().clone();
            (inbox.len() >= sent.len()).then_some(inbox)
        })
        .await;
        arrived.sort_by_key(|row| texts.iter().position(|text| row["text"] == **text));
        let arrived: Vec<&str> = arrived.iter().map(|row| row["text"].as_str().unwrap()).collect();
        assert_eq!(arrived, texts);
    }
}
