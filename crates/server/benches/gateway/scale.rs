//! Several nodes on one PostgreSQL: how fast they accept together and what a message costs each side, as the
//! points of a model; and what devices cost where nodes share them.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::Options;
use crate::accept::sender;
use crate::load::{self, Kind, Outcome, Plan, Sender};
use crate::numbers::{children_time, median, ms, percentile, processor_time, resident_mib, us};
use crate::report::Table;
use crate::support::database::Database;
use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

/// So many processes at a time.
const NODES: [usize; 3] = [1, 2, 4];
const CONNECTIONS: usize = 256;
/// Accounts that share the load: of one account at most 100,000 messages may wait, and nothing is sent.
const SENDERS: u32 = 48;
/// What so many nodes accept together, against one.
const TARGETS: [&str; 3] = ["reference", "1.6 ×", ""];
/// What encrypts secrets, the same for all nodes.
const SECRET_KEY: &str = "5c1f8d3a9b6e4072d1a8c35f7e9042b65c1f8d3a9b6e4072d1a8c35f7e9042b6";
/// After this nothing of a start is still going on.
const SETTLE: Duration = Duration::from_secs(5);
/// How long idle devices are watched.
const IDLE: Duration = Duration::from_secs(60);
/// Cores of the database's machine in the model's examples.
const DATABASE_CORES: [u32; 3] = [2, 8, 32];

/// Nodes and what they share.
struct Nodes {
    database: Database,
    simulator: Simulator,
    media: TempDir,
    nodes: Vec<Gateway>,
    /// The process whose children work for the database.
    postmaster: u32,
}

/// A run of the load generator against so many nodes.
struct Run {
    rate: f64,
    /// Processor time of all nodes for one message, in seconds.
    nodes: f64,
    /// The same of the database.
    database: f64,
    latencies: Vec<Duration>,
}

/// The points of the model with so many nodes.
struct Point {
    count: f64,
    rate: f64,
    nodes: f64,
    database: f64,
}

/// All of it.
pub async fn measure(options: Options) -> Vec<Table> {
    let mut all = Nodes::prepare().await;
    all.add().await;
    let operator = all.nodes[0].operator();
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        senders.push(sender(&operator, &all.simulator, n).await);
    }
    // Only accepting is measured: nothing is sent.
    all.simulator.process.kill().await;
    let columns = [
        "nodes",
        "per s",
        "ratio",
        "CPU of nodes each",
        "CPU of the database each",
        "p50",
        "p99",
        "target",
    ];
    let title = format!("Accepting on PostgreSQL with several nodes, {CONNECTIONS} connections");
    let mut table = Table::new(title, &columns);
    let mut points: Vec<Point> = Vec::new();
    for (count, target) in NODES.into_iter().zip(TARGETS) {
        while all.nodes.len() < count {
            all.add().await;
        }
        let mut runs = Vec::new();
        for round in 0..options.rounds() {
            runs.push(all.run(&senders, &format!("{count}-{round}"), options.seconds).await);
        }
        let point = Point {
            count: count as f64,
            rate: median(runs.iter().map(|run| run.rate).collect()),
            nodes: median(runs.iter().map(|run| run.nodes).collect()),
            database: median(runs.iter().map(|run| run.database).collect()),
        };
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        let base = points.first().map_or(point.rate, |first| first.rate);
        table.row([
            count.to_string(),
            format!("{:.0}", point.rate),
            format!("{:.2}", point.rate / base),
            us(Duration::from_secs_f64(point.nodes)),
            us(Duration::from_secs_f64(point.database)),
            ms(percentile(&mut latencies, 50)),
            ms(percentile(&mut latencies, 99)),
            target.to_owned(),
        ]);
        points.push(point);
    }
    table.note(
        "All processes share the cores of one machine with the database and the load generator: the rate says \
         what that machine does. What carries over to others is what a message costs.",
    );
    all.end().await;
    vec![table, model(&points), devices(&options).await]
}

impl Nodes {
    async fn prepare() -> Self {
        let (database, simulator) = (Database::create().await, Simulator::start().await);
        let media = tempfile::tempdir().unwrap();
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        let own: i32 =
            sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let postmaster = crate::numbers::parent(own.unsigned_abs());
        Self { database, simulator, media, nodes: Vec::new(), postmaster }
    }

    async fn add(&mut self) {
        let (name, url) = (format!("node-{}", self.nodes.len()), self.database.url());
        let settings = [
            ("GERBANG_WHATSAPP_URL", self.simulator.url()),
            ("GERBANG_PACING", "off"),
            ("GERBANG_DATABASE_URL", &*url),
            ("GERBANG_SECRET_KEY", SECRET_KEY),
            ("GERBANG_MEDIA_STORE", self.media.path().to_str().unwrap()),
            ("GERBANG_NODE_NAME", &*name),
        ];
        self.nodes.push(Gateway::start_with(&env::gerbang(), &settings).await);
        moment(SETTLE).await;
    }

    /// Every node gets the same share of the connections.
    async fn run(&self, senders: &[Sender], name: &str, seconds: u64) -> Run {
        let share = CONNECTIONS / self.nodes.len();
        let plan = |node: &Gateway| Plan {
            address: node.address().to_owned(),
            process: node.process.id(),
            connections: share,
            senders: senders.to_vec(),
            run: format!("{name} at {}", node.address()),
            kind: Kind::Send,
        };
        let plans: Vec<Plan> = self.nodes.iter().map(plan).collect();
        let before = children_time(self.postmaster);
        let outcomes: Vec<Outcome> =
            join_all(plans.into_iter().map(|plan| load::run(plan, seconds))).await;
        let database = children_time(self.postmaster) - before;
        let count = outcomes.iter().map(|run| run.latencies.len()).sum::<usize>().max(1) as f64;
        let spent = |run: &Outcome| run.processor_time.as_secs_f64() * run.latencies.len() as f64;
        // The database works while the generator warms up, too.
        let counted = seconds as f64 / (seconds as f64 + load::WARM_UP.as_secs_f64());
        Run {
            rate: outcomes.iter().map(|run| run.rate).sum(),
            nodes: outcomes.iter().map(spent).sum::<f64>() / count,
            database: database.as_secs_f64() * counted / count,
            latencies: outcomes.into_iter().flat_map(|run| run.latencies).collect(),
        }
    }

    async fn end(self) {
        drop(self.nodes);
        self.database.drop().await;
    }
}

/// A straight line through points, by least squares: its value at 1 and its slope.
fn line(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covered: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let slope = if spread > 0.0 { covered / spread } else { 0.0 };
    (y + slope * (1.0 - x), slope)
}

/// What a message costs with N nodes is a line through the points; the rate is bound by what costs most.
fn model(points: &[Point]) -> Table {
    let fit = |of: fn(&Point) -> f64| {
        line(&points.iter().map(|point| (point.count, of(point))).collect::<Vec<_>>())
    };
    let (nodes, database) = (fit(|point| point.nodes), fit(|point| point.database));
    let cost =
        |(first, slope): (f64, f64), count: f64| (first + slope * (count - 1.0)).max(first / 10.0);
    let mut table = Table::new(
        "The model: what a message costs, and where the database is the limit",
        &[
            "cores of the database",
            "one node of one core",
            "nodes until it is the limit",
            "then, per s",
        ],
    );
    for cores in DATABASE_CORES {
        let limit = |count: f64| f64::from(cores) / cost(database, count);
        let carry = |count: f64| count / cost(nodes, count);
        let full = (1..=10_000).map(f64::from).find(|count| carry(*count) >= limit(*count));
        let (count, rate) = full.map_or((f64::NAN, f64::NAN), |count| (count, limit(count)));
        table.row([
            cores.to_string(),
            format!("{:.0} per s", carry(1.0).min(limit(1.0))),
            format!("{count:.0}"),
            format!("{rate:.0}"),
        ]);
    }
    let micro = |seconds: f64| seconds * 1_000_000.0;
    table.note(format!(
        "Fitted to the points above: nodes {:.1} µs {:+.1} µs for each further node; the database {:.1} µs {:+.1} µs.",
        micro(nodes.0),
        micro(nodes.1),
        micro(database.0),
        micro(database.1),
    ));
    table.note("Processor time only: disks and networks have limits of their own.");
    table
}

/// Devices that two nodes share.
async fn devices(options: &Options) -> Table {
    let count = options.devices();
    let mut all = Nodes::prepare().await;
    all.add().await;
    let account = all.nodes[0].operator().make_account("scale", "unlimited").await;
    for n in 0..count {
        account.make_linked_device(&all.simulator, &format!("62811{n:08}")).await;
    }
    all.add().await;
    let before = resident_mib(all.nodes[1].process.id());
    let operator = all.nodes[0].operator();
    let shares = until("both nodes have their shares", 600, async || {
        let nodes = operator.get("/v1/nodes").await;
        let shares: Vec<u64> =
            nodes["data"].as_array()?.iter().filter_map(|node| node["devices"].as_u64()).collect();
        let is_even = shares.iter().all(|share| share.abs_diff(u64::from(count) / 2) <= 1);
        (shares.len() == 2 && is_even).then_some(shares)
    })
    .await;
    until("all are connected", 120, async || {
        let devices = account.all("/v1/devices").await;
        devices.iter().all(|device| device["status"] == "connected").then_some(())
    })
    .await;
    moment(SETTLE).await;
    let spent = |node: &Gateway| processor_time(node.process.id());
    let earlier: Vec<Duration> = all.nodes.iter().map(spent).collect();
    moment(IDLE).await;
    let title = format!("{count} connected devices on two nodes, state in PostgreSQL");
    let columns = ["", "devices", "resident", "of each device", "processor time while idle"];
    let mut table = Table::new(title, &columns);
    for (n, node) in all.nodes.iter().enumerate() {
        let resident = resident_mib(node.process.id());
        let idle = (spent(node) - earlier[n]).as_secs_f64() / IDLE.as_secs_f64();
        // The first one has had all of them.
        let each = (resident - before) * 1_024.0 / shares[n] as f64;
        let each = if n == 0 { String::new() } else { format!("{each:.0} KiB") };
        table.row([
            format!("node {}", n + 1),
            shares[n].to_string(),
            format!("{resident:.0} MiB"),
            each,
            format!("{:.1} % of a core", 100.0 * idle),
        ]);
    }
    all.end().await;
    table
}
