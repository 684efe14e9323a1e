//! How fast messages are accepted, durably, against a handler that does nothing; and, on
//! PostgreSQL, against one that inserts a row for each request.
//!
//! The devices are linked and then lose their WhatsApp, so that only accepting is measured. An
//! account may have 100,000 messages waiting, so each run has accounts of its own.

use std::time::Duration;

use crate::load::{self, Kind, Outcome, Plan, Sender};
use crate::numbers::{median, ms, percentile, us};
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::simulator::Simulator;
use crate::{disk, hello, naive};

/// Accounts that share the load of a run.
const SENDERS: u32 = 8;

/// Kinds of runs, in the order in which they alternate.
type Kinds<const N: usize> = [(&'static str, Kind, &'static str); N];

const ON_SQLITE: Kinds<4> = [
    ("hello", Kind::Send, "reference"),
    ("accept", Kind::Send, "0.45 × hello, not below 0.32"),
    ("accept, Idempotency-Key", Kind::SendWithKey, "0.35 × hello, not below 0.25"),
    ("GET of a device", Kind::Read, "0.7 × hello"),
];
const ON_POSTGRESQL: Kinds<2> = [
    ("one INSERT per request", Kind::Send, "reference"),
    ("accept", Kind::Send, "2 × the reference"),
];

/// On SQLite; measures and prints.
pub async fn measure(rounds: u32, seconds: u64) {
    let (hello, address) = hello::start().await;
    let reference = Reference { process: hello, address };
    let syncs = run("64 keep-alive connections", &ON_SQLITE, 64, &[], reference, rounds, seconds);
    let mut syncs = syncs.await;
    let (p50, p99) = (percentile(&mut syncs, 50), percentile(&mut syncs, 99));
    println!(
        "{:<26} {:>10} {:>8} {:>9} {:>10} {:>10}   accept's p99: 3 × this one's, or 30 ms where this is under 1 ms",
        "one fdatasync (4 KiB)",
        "",
        "",
        "",
        ms(p50),
        ms(p99),
    );
}

/// On PostgreSQL; measures and prints.
pub async fn measure_on_postgresql(rounds: u32, seconds: u64) {
    let (database, own) = (Database::create().await, Database::create().await);
    let (naive, address) = naive::start(&database.url()).await;
    let reference = Reference { process: naive, address };
    let url = own.url();
    let settings = [("GERBANG_DATABASE_URL", url.as_str())];
    let title = "256 keep-alive connections, PostgreSQL";
    run(title, &ON_POSTGRESQL, 256, &settings, reference, rounds, seconds).await;
    database.drop().await;
    own.drop().await;
}

/// What accepting is compared with; comes first among the kinds.
struct Reference {
    process: Process,
    address: String,
}

/// Measures and prints all kinds; how long syncs take where the gateway has its data.
async fn run<const N: usize>(
    title: &str,
    kinds: &Kinds<N>,
    connections: usize,
    settings: &[(&str, &str)],
    reference: Reference,
    rounds: u32,
    seconds: u64,
) -> Vec<Duration> {
    let mut simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, settings).await;
    let mut senders = Vec::new();
    for n in 0..rounds * (kinds.len() as u32 - 1) * SENDERS {
        senders.push(sender(&gateway.operator(), &simulator, n).await);
    }
    simulator.process.kill().await;
    let mut outcomes: [Vec<Outcome>; N] = std::array::from_fn(|_| Vec::new());
    for round in 0..rounds {
        for (index, (_, kind, _)) in kinds.iter().enumerate() {
            let unknown_sender = || vec![Sender { key: "none".into(), device: "none".into() }];
            let is_reference = index == 0;
            let (process, address) = match is_reference {
                true => (reference.process.id(), reference.address.clone()),
                false => (gateway.process.id(), gateway.address().to_owned()),
            };
            let plan = Plan {
                address,
                process,
                connections,
                senders: match is_reference {
                    true => unknown_sender(),
                    false => senders.split_off(senders.len() - SENDERS as usize),
                },
                run: format!("{round}-{index}"),
                kind: *kind,
            };
            outcomes[index].push(load::run(plan, seconds).await);
        }
    }
    print(title, kinds, outcomes);
    disk::fdatasync(gateway.data_dir())
}

/// An account with a linked device.
async fn sender(operator: &Api, simulator: &Simulator, n: u32) -> Sender {
    let account = operator.make_account(&format!("bench{n}"), "unlimited").await;
    let device = account.make_linked_device(simulator, &format!("62811{n:08}")).await;
    Sender { key: account.key().unwrap().to_owned(), device }
}

fn print<const N: usize>(title: &str, kinds: &Kinds<N>, outcomes: [Vec<Outcome>; N]) {
    let rate = |runs: &[Outcome]| median(runs.iter().map(|run| run.rate).collect());
    let base = rate(&outcomes[0]);
    println!("\nPOST of a send, {title}; CPU is the answering process's, for each answer");
    println!(
        "{:<26} {:>10} {:>8} {:>9} {:>10} {:>10}   target",
        "", "per s", "ratio", "CPU", "p50", "p99"
    );
    for ((name, _, target), runs) in kinds.iter().zip(outcomes) {
        let rate = rate(&runs);
        let cpu = median(runs.iter().map(|run| run.processor_time.as_secs_f64()).collect());
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
        let (ratio, cpu) = (rate / base, us(Duration::from_secs_f64(cpu)));
        println!(
            "{name:<26} {rate:>10.0} {ratio:>8.2} {cpu:>9} {:>10} {:>10}   {target}",
            ms(p50),
            ms(p99)
        );
    }
}
