//! Pages of the dashboard: how much they weigh, and how soon they answer with few and many messages.

use std::time::{Duration, Instant};

use crate::Options;
use crate::filled::{Filled, fill};
use crate::lists::FEW;
use crate::numbers::{median, ms};
use crate::report::Table;
use crate::support::simulator::Simulator;

/// Answers of each page and database; the first ones only warm up.
const ANSWERS: usize = 60;
const WARM_UP: usize = 10;
/// The page of a chat that every database has.
const CHAT: &str = "6281300000001@s.whatsapp.net";

/// The pages. `{device}` is the account's device.
fn paths(device: &str) -> Vec<String> {
    let pages = [
        "/app",
        "/app/devices",
        "/app/devices/{device}",
        "/app/devices/{device}/more",
        "/app/devices/{device}/delete",
        "/app/send",
        "/app/chats",
        "/app/chats/{device}/{chat}",
        "/app/messages",
        "/app/messages?status=sent",
        "/app/messages?text=number+77",
        "/app/messages/{message}",
        "/app/scheduled",
        "/app/groups",
        "/app/usage",
        "/app/webhooks",
        "/app/keys",
        "/app/api/v1",
        "/app/people",
        "/app/audit",
        "/app/security",
        "/app/accounts",
        "/app/plans",
        "/app/vouchers",
        "/app/gateway",
    ];
    let message = (FEW / 2).to_string();
    let parts = [("{device}", device), ("{chat}", CHAT), ("{message}", &message)];
    let filled = |page: &str| {
        parts.iter().fold(page.to_owned(), |page, (name, value)| page.replace(name, value))
    };
    pages.into_iter().map(filled).collect()
}

/// Each page of a small and a large database in turns.
pub async fn measure(options: &Options) -> Table {
    let simulator = Simulator::start().await;
    let few = Browser::of(fill(&simulator, FEW, 1).await);
    let many = Browser::of(fill(&simulator, options.messages(), 1).await);
    let title = format!("Pages of the dashboard: {} messages against {FEW}", options.messages());
    let columns = ["", "weight", "first byte, few", "first byte, many", "ratio", "target"];
    let mut table = Table::new(title, &columns);
    let pages = paths(&few.filled.owner.device).into_iter().zip(paths(&many.filled.owner.device));
    let device = &many.filled.owner.device;
    for (path, path_in_many) in pages {
        let weight = many.weight(&path_in_many).await;
        let mut times = [Vec::new(), Vec::new()];
        for n in 0..ANSWERS {
            for (times, (browser, path)) in
                times.iter_mut().zip([(&few, &path), (&many, &path_in_many)])
            {
                let took = browser.first_byte(path).await;
                if n >= WARM_UP {
                    times.push(took.as_secs_f64());
                }
            }
        }
        let [soon, later] = times.map(median);
        let time = |s: f64| ms(Duration::from_secs_f64(s));
        table.row([
            path_in_many.replace(device, "{device}"),
            format!("{:.1} KB", weight as f64 / 1_000.0),
            time(soon),
            time(later),
            format!("{:.2}", later / soon),
            "150 KB, 50 ms, at most 2".to_owned(),
        ]);
    }
    table.note(
        "Weight: the page with its style sheet and script, not compressed. One browser, an operator who \
         looks at the account.",
    );
    table
}

/// Somebody who has signed in.
struct Browser {
    filled: Filled,
    client: reqwest::Client,
}

impl Browser {
    fn of(filled: Filled) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { filled, client }
    }

    async fn open(&self, path: &str) -> reqwest::Response {
        let request = self.client.get(format!("http://{}{path}", self.filled.gateway.address()));
        let cookie = format!("gerbang={}", self.filled.session);
        let answer = request.header("Cookie", cookie).send().await.unwrap();
        // A redirect would be to the page that signs in.
        assert_eq!(
            (answer.status().as_u16(), answer.url().path()),
            (200, path.split('?').next().unwrap())
        );
        answer
    }

    /// How long a page takes until it begins.
    async fn first_byte(&self, path: &str) -> Duration {
        let start = Instant::now();
        let answer = self.open(path).await;
        let took = start.elapsed();
        answer.bytes().await.unwrap();
        took
    }

    /// Bytes of a page and of what it loads.
    async fn weight(&self, path: &str) -> usize {
        let page = self.open(path).await.text().await.unwrap();
        let mut weight = page.len();
        let quoted = page.split('"').skip(1).step_by(2);
        for loaded in quoted.filter(|text| text.ends_with(".css") || text.ends_with(".js")) {
            weight += self.open(loaded).await.bytes().await.unwrap().len();
        }
        weight
    }
}
