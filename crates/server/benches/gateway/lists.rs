//! A database with many messages against one with few: pages of lists, and accepting.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Options;
use crate::filled::{Filled, fill};
use crate::load::{self, Kind, Plan};
use crate::numbers::{median, ms};
use crate::report::Table;
use crate::support::simulator::Simulator;

/// Messages of the small database.
pub const FEW: u32 = 10_000;
const PAGE_CONNECTIONS: usize = 4;
const ACCEPT_CONNECTIONS: usize = 64;

/// Pages of a small and a large database, and accepting into an empty and the large one, each in turns.
pub async fn measure(options: Options) -> Vec<Table> {
    let simulator = Simulator::start().await;
    let empty = fill(&simulator, 0, 1).await;
    let few = fill(&simulator, options.few(), 1).await;
    let many = fill(&simulator, options.messages(), 1).await;
    drop(simulator);
    let title = format!("A database of {} messages against one of {}", many.count, few.count);
    let mut pages = Table::new(title, &["", "few", "many", "ratio", "target"]);
    for (name, path) in [
        ("first page of 100", "/v1/messages?limit=100".to_owned()),
        ("a deep page of 100", format!("/v1/messages?limit=100&cursor={}", cursor(few.count / 2))),
        ("numbered page 1", "/api/v1/messages?limit=50&page=1".to_owned()),
        ("numbered page 200", "/api/v1/messages?limit=50&page=200".to_owned()),
    ] {
        let [few, many] = alternate(&few, &many, &Kind::Path(path), PAGE_CONNECTIONS, 3, 1).await;
        let time = |s: f64| ms(Duration::from_secs_f64(s));
        let ratio = format!("{:.2}", many.0 / few.0);
        pages.row([name.into(), time(few.0), time(many.0), ratio, "at most 2".into()]);
    }
    pages.note("Pages: the time of one answer, four clients at a time.");
    drop(few);
    vec![pages, accepting(&empty, &many, &options).await]
}

async fn accepting(empty: &Filled, many: &Filled, options: &Options) -> Table {
    let title = format!("Accepting into a database of {} messages", many.count);
    let mut table = Table::new(title, &["", "empty", "many", "ratio", "target"]);
    let rounds = options.rounds();
    let (kind, seconds) = (Kind::Send, options.seconds);
    let [empty, many] = alternate(empty, many, &kind, ACCEPT_CONNECTIONS, rounds, seconds).await;
    let rate = |rate: f64| format!("{rate:.0} per s");
    let ratio = format!("{:.2}", many.1 / empty.1);
    table.row(["accepting".into(), rate(empty.1), rate(many.1), ratio, "at least 0.8".into()]);
    table
}

/// The opaque cursor of `/v1` behind a message.
fn cursor(id: u32) -> String {
    URL_SAFE_NO_PAD.encode(i64::from(id).to_be_bytes())
}

/// For both: the median time of an answer in seconds, and answers per second.
async fn alternate(
    one: &Filled,
    other: &Filled,
    kind: &Kind,
    connections: usize,
    rounds: u32,
    seconds: u64,
) -> [(f64, f64); 2] {
    let mut measured = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for round in 0..rounds {
        for (filled, (times, rates)) in [one, other].into_iter().zip(&mut measured) {
            let plan = Plan {
                address: filled.gateway.address().to_owned(),
                process: filled.gateway.process.id(),
                connections,
                senders: match kind {
                    Kind::Send => filled.senders.clone(),
                    _ => vec![filled.owner.clone()],
                },
                run: format!("{round}"),
                kind: kind.clone(),
                every: None,
            };
            let outcome = load::run(plan, seconds).await;
            let seconds = outcome.latencies.iter().map(Duration::as_secs_f64).collect();
            times.push(median(seconds));
            rates.push(outcome.rate);
        }
    }
    measured.map(|(times, rates)| (median(times), median(rates)))
}
