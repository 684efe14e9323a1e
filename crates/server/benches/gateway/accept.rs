//! How fast messages are accepted, durably, against a handler that does nothing; and, on
//! PostgreSQL, against one that inserts a row for each request.
//!
//! The devices are linked and then lose their WhatsApp, so that only accepting is measured. An
//! account may have 100,000 messages waiting, so that each round has accounts of its own.

use std::path::Path;
use std::time::Duration;

use crate::load::{self, Kind, Outcome, Plan, Sender};
use crate::numbers::{median, ms, percentile, us};
use crate::report::Table;
use crate::support::api::Api;
use crate::support::database::Database;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::{Options, disk, hello, naive};

/// Accounts that share the load of a round.
const SENDERS: u32 = 8;

/// One row: who answers, and what it is asked for.
struct Contender {
    name: &'static str,
    target: String,
    kind: Kind,
    process: u32,
    address: String,
    senders: Vec<Vec<Sender>>,
    runs: Vec<Outcome>,
}

impl Contender {
    fn new(name: &'static str, kind: Kind, target: &str, server: &Server) -> Self {
        let Server { process, address, senders } = server;
        Self {
            name,
            target: target.to_owned(),
            kind,
            process: *process,
            address: address.clone(),
            senders: senders.clone(),
            runs: Vec::new(),
        }
    }

    async fn run(&mut self, connections: usize, round: u32, seconds: u64) {
        let of_round = round as usize % self.senders.len();
        let plan = Plan {
            address: self.address.clone(),
            process: self.process,
            connections,
            senders: self.senders[of_round].clone(),
            run: format!("{round}"),
            kind: self.kind.clone(),
            every: None,
        };
        self.runs.push(load::run(plan, seconds).await);
    }
}

/// What answers: its process, its address, and who may ask.
struct Server {
    process: u32,
    address: String,
    senders: Vec<Vec<Sender>>,
}

impl Server {
    /// A reference, which looks at no key.
    fn reference(process: u32, address: String) -> Self {
        let anybody = Sender { key: "none".into(), device: "none".into() };
        Self { process, address, senders: vec![vec![anybody]] }
    }

    async fn gateway(gateway: &Gateway, simulator: &Simulator, rounds: u32) -> Self {
        let mut senders = Vec::new();
        for round in 0..rounds {
            let mut of_round = Vec::new();
            for n in 0..SENDERS {
                of_round.push(sender(&gateway.operator(), simulator, round * SENDERS + n).await);
            }
            senders.push(of_round);
        }
        Self { process: gateway.process.id(), address: gateway.address().to_owned(), senders }
    }
}

/// On SQLite.
pub async fn measure(options: Options) -> Vec<Table> {
    let rounds = options.rounds();
    let mut simulator = Simulator::start().await;
    let (hello, address) = hello::start().await;
    let hello = (Server::reference(hello.id(), address), hello);
    let now = Gateway::start(&simulator, &[]).await;
    let server = Server::gateway(&now, &simulator, rounds).await;
    let mut syncs = disk::fdatasync(now.data_dir());
    let sync = [50, 99].map(|percent| percentile(&mut syncs, percent));
    let target = format!("0.45 × hello, p99 at most {:.0} ms", p99_max_ms(sync[1]));
    let mut contenders = vec![
        Contender::new("hello", Kind::Send, "reference", &hello.0),
        Contender::new("accept", Kind::Send, &target, &server),
        Contender::new("accept, Idempotency-Key", Kind::SendWithKey, "0.35 × hello", &server),
        Contender::new("GET of a device", Kind::Read, "0.7 × hello", &server),
    ];
    let earlier = match &options.before {
        Some(binary) => Some(start_earlier(binary, &simulator).await),
        None => None,
    };
    if let Some(earlier) = &earlier {
        let server = Server::gateway(earlier, &simulator, rounds).await;
        contenders.extend([
            Contender::new("earlier release, accept", Kind::Send, "", &server),
            Contender::new("earlier release, with a key", Kind::SendWithKey, "", &server),
            Contender::new("earlier release, GET", Kind::Read, "", &server),
        ]);
    }
    simulator.process.kill().await;
    alternate(&mut contenders, 64, rounds, options.seconds).await;
    let mut table = table("Accepting on SQLite, 64 keep-alive connections", contenders);
    let [p50, p99] = sync.map(ms);
    table.note(format!("One `fdatasync` of 4 KiB on this disk: p50 {p50}, p99 {p99}."));
    vec![table]
}

/// Three times what one sync takes; 30 ms where one takes less than a millisecond.
fn p99_max_ms(sync: Duration) -> f64 {
    const SYNC_MIN: Duration = Duration::from_millis(1);
    if sync < SYNC_MIN { 30.0 } else { 3_000.0 * sync.as_secs_f64() }
}

async fn start_earlier(binary: &Path, simulator: &Simulator) -> Gateway {
    let settings = [("GERBANG_WHATSAPP_URL", simulator.url()), ("GERBANG_PACING", "off")];
    Gateway::start_with(binary, &settings).await
}

/// On PostgreSQL.
pub async fn measure_on_postgresql(options: Options) -> Vec<Table> {
    let (database, own) = (Database::create().await, Database::create().await);
    let mut simulator = Simulator::start().await;
    let (naive, address) = naive::start(&database.url()).await;
    let reference = Server::reference(naive.id(), address);
    let url = own.url();
    let gateway = Gateway::start(&simulator, &[("GERBANG_DATABASE_URL", url.as_str())]).await;
    let server = Server::gateway(&gateway, &simulator, options.rounds()).await;
    simulator.process.kill().await;
    let mut contenders = vec![
        Contender::new("one INSERT per request", Kind::Send, "reference", &reference),
        Contender::new("accept", Kind::Send, "3 × the reference", &server),
    ];
    alternate(&mut contenders, 256, options.rounds(), options.seconds).await;
    drop((gateway, naive));
    database.drop().await;
    own.drop().await;
    vec![table("Accepting on PostgreSQL, 256 keep-alive connections", contenders)]
}

async fn alternate(contenders: &mut [Contender], connections: usize, rounds: u32, seconds: u64) {
    for round in 0..rounds {
        for contender in contenders.iter_mut() {
            contender.run(connections, round, seconds).await;
        }
    }
}

/// An account with a linked device.
pub async fn sender(operator: &Api, simulator: &Simulator, n: u32) -> Sender {
    let account = operator.make_account(&format!("bench{n}"), "unlimited").await;
    let device = account.make_linked_device(simulator, &format!("62811{n:08}")).await;
    Sender { key: account.key().unwrap().to_owned(), device }
}

/// The first one is what the others are compared with.
fn table(title: &str, contenders: Vec<Contender>) -> Table {
    let columns = ["", "per s", "ratio", "CPU each", "CPU ratio", "p50", "p99", "target"];
    let mut table = Table::new(title, &columns);
    let rate = |runs: &[Outcome]| median(runs.iter().map(|run| run.rate).collect());
    let cpu = |runs: &[Outcome]| {
        median(runs.iter().map(|run| run.processor_time.as_secs_f64()).collect())
    };
    let base = (rate(&contenders[0].runs), cpu(&contenders[0].runs));
    for Contender { name, target, runs, .. } in contenders {
        let (rate, cpu) = (rate(&runs), cpu(&runs));
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        table.row([
            name.to_owned(),
            format!("{rate:.0}"),
            format!("{:.2}", rate / base.0),
            us(Duration::from_secs_f64(cpu)),
            format!("{:.2}", cpu / base.1),
            ms(percentile(&mut latencies, 50)),
            ms(percentile(&mut latencies, 99)),
            target,
        ]);
    }
    table
        .note("CPU is the answering process's for each answer, in its own code and in the kernel.");
    table
}
