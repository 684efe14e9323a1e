//! How fast messages are accepted, durably, against a handler that does nothing.
//!
//! The devices are linked and then lose their WhatsApp, so that only accepting is measured. An
//! account may have 100,000 messages waiting, so each run has accounts of its own.

use std::time::Duration;

use crate::load::{self, Outcome, Plan, Sender};
use crate::numbers::{median, ms, percentile};
use crate::support::api::Api;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::{disk, hello};

/// Accounts that share the load of a run.
const SENDERS: u32 = 8;
/// Kinds of runs, in the order in which they alternate.
const KINDS: [(&str, &str); 3] = [
    ("hello", "reference"),
    ("accept", "0.45 × hello, not below 0.32"),
    ("accept, Idempotency-Key", "0.35 × hello, not below 0.25"),
];

/// Measures and prints.
pub async fn measure(rounds: u32, seconds: u64) {
    let mut simulator = Simulator::start().await;
    let gateway = Gateway::start(&simulator, &[]).await;
    let mut senders = Vec::new();
    for n in 0..rounds * 2 * SENDERS {
        senders.push(sender(&gateway.operator(), &simulator, n).await);
    }
    simulator.process.kill().await;
    let (_hello, hello) = hello::start().await;
    let mut outcomes: [Vec<Outcome>; 3] = Default::default();
    for round in 0..rounds {
        for (kind, outcomes) in outcomes.iter_mut().enumerate() {
            let nobody = || vec![Sender { key: "none".into(), device: "none".into() }];
            let plan = Plan {
                address: if kind == 0 { hello.clone() } else { gateway.address().to_owned() },
                senders: match kind {
                    0 => nobody(),
                    _ => senders.split_off(senders.len() - SENDERS as usize),
                },
                run: format!("{round}-{kind}"),
                with_idempotency_key: kind == 2,
            };
            outcomes.push(load::run(plan, seconds).await);
        }
    }
    print(outcomes, disk::fdatasync(gateway.data_dir()));
}

/// An account with a linked device.
async fn sender(operator: &Api, simulator: &Simulator, n: u32) -> Sender {
    let account = operator.make_account(&format!("bench{n}"), "unlimited").await;
    let device = account.make_linked_device(simulator, &format!("62811{n:08}")).await;
    Sender { key: account.key().unwrap().to_owned(), device }
}

fn print(outcomes: [Vec<Outcome>; 3], mut syncs: Vec<Duration>) {
    let rate = |runs: &[Outcome]| median(runs.iter().map(|run| run.rate).collect());
    let base = rate(&outcomes[0]);
    println!("\nPOST of a send, 64 keep-alive connections");
    println!("{:<26} {:>10} {:>8} {:>10} {:>10}   target", "", "per s", "ratio", "p50", "p99");
    for ((name, target), runs) in KINDS.into_iter().zip(outcomes) {
        let rate = rate(&runs);
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
        let ratio = rate / base;
        println!("{name:<26} {rate:>10.0} {ratio:>8.2} {:>10} {:>10}   {target}", ms(p50), ms(p99));
    }
    let (p50, p99) = (percentile(&mut syncs, 50), percentile(&mut syncs, 99));
    println!(
        "{:<26} {:>10} {:>8} {:>10} {:>10}   accept's p99: 3 × this one's, or 30 ms where this is under 1 ms",
        "one fdatasync (4 KiB)",
        "",
        "",
        ms(p50),
        ms(p99),
    );
}
