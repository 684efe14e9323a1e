//! Several nodes on one PostgreSQL: how fast they accept together and what a message costs each side, as the
//! points of a model; how fast where nodes are the limit, and not the cores that they share here with everything
//! else; and what devices cost where nodes share them.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use crate::Options;
use crate::accept::sender;
use crate::load::{self, Kind, Outcome, Plan, Sender};
use crate::numbers::{children_time, median, ms, percentile, processor_time, resident_mib, us};
use crate::quota::{self, Quota};
use crate::report::Table;
use crate::support::database::Database;
use crate::support::env;
use crate::support::gateway::Gateway;
use crate::support::simulator::Simulator;
use crate::support::wait::{moment, until};

/// So many processes at a time.
const NODES: [usize; 3] = [1, 2, 4];
/// The same where each is held to a share of a core.
const HELD_NODES: [usize; 3] = [1, 2, 3];
/// The share of the machine that held nodes may have together: the database and the load generator need the rest.
const HELD_PART: f64 = 0.5;
const CONNECTIONS: usize = 256;
/// Accounts that share the load: of one account at most 100,000 messages may wait, and nothing is sent.
const SENDERS: u32 = 48;
/// What so many nodes accept together, against one.
const TARGETS: [&str; 3] = ["reference", "1.6 ×", ""];
/// What encrypts secrets, the same for all nodes.
const SECRET_KEY: &str = "5c1f8d3a9b6e4072d1a8c35f7e9042b65c1f8d3a9b6e4072d1a8c35f7e9042b6";
/// After this nothing of a start is still going on.
const SETTLE: Duration = Duration::from_secs(2);
/// How long idle devices are watched: a keep-alive of each.
const IDLE: Duration = Duration::from_secs(30);
/// Cores of the database's machine in the model's examples.
const DATABASE_CORES: [u32; 3] = [2, 8, 32];
const COLUMNS: [&str; 8] = [
    "nodes",
    "per s",
    "ratio",
    "CPU of nodes each",
    "CPU of the database each",
    "p50",
    "p99",
    "target",
];

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

/// What so many nodes do together: medians of the runs. The points of the model.
struct Point {
    count: f64,
    rate: f64,
    nodes: f64,
    database: f64,
    p50: Duration,
    p99: Duration,
}

/// All of it.
pub async fn measure(options: Options) -> Vec<Table> {
    let (shared, points) = share_a_machine(&options).await;
    let held = held(&options).await;
    vec![shared, model(&points), held, devices(&options).await]
}

/// Nodes that take what they get of the cores.
async fn share_a_machine(options: &Options) -> (Table, Vec<Point>) {
    let mut all = Nodes::prepare().await;
    all.add().await;
    let senders = all.senders().await;
    let title = format!("Accepting on PostgreSQL with several nodes, {CONNECTIONS} connections");
    let mut table = Table::new(title, &COLUMNS);
    let mut points: Vec<Point> = Vec::new();
    for (count, target) in NODES.into_iter().zip(TARGETS) {
        while all.nodes.len() < count {
            all.add().await;
        }
        let point = all.point(&senders, options).await;
        table.row(point.row(points.first(), target));
        points.push(point);
    }
    table.note(
        "All processes share the cores of one machine with the database and the load generator: the rate says \
         what that machine does. What carries over to others is what a message costs.",
    );
    all.end().await;
    (table, points)
}

/// Nodes that are each held to a share of a core, so that they are the limit, as on machines of their own.
async fn held(options: &Options) -> Table {
    let share = options.share;
    let title =
        format!("Accepting on PostgreSQL with several nodes, each held to {share} of a core");
    let mut table = Table::new(title, &COLUMNS);
    let mut all = Nodes::prepare().await;
    all.add().await;
    if let Err(why) = Quota::hold(all.nodes[0].process.id(), share) {
        table.note(format!("Not measured: nothing can be held to a share of a core here ({why})."));
        all.end().await;
        return table;
    }
    let senders = all.senders().await;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut first, mut used) = (None, Vec::new());
    for (count, target) in HELD_NODES.into_iter().zip(TARGETS) {
        if count as f64 * share > cores as f64 * HELD_PART {
            break;
        }
        // Nodes start unheld, and share the devices out before anything is measured.
        while all.nodes.len() < count {
            all.add().await;
        }
        all.even_shares(SENDERS).await;
        let hold = |node: &Gateway| Quota::hold(node.process.id(), share).unwrap();
        let held: Vec<Quota> = all.nodes.iter().map(hold).collect();
        let point = all.point(&senders, options).await;
        drop(held);
        table.row(point.row(first.as_ref(), target));
        let of_share = point.rate * point.nodes / (point.count * share);
        used.push(format!("{:.0} % with {count}", 100.0 * of_share));
        first = first.or(Some(point));
    }
    table.note(format!(
        "Each node's process, with all its threads, is in a group of its own of the kernel's CPU controller, \
         which lets it run for {share} of a core in every {} ms; the database and the load generator run \
         freely. So the nodes are the limit, as on machines of their own: of their shares they used {}. \
         As many nodes are measured as leave {:.0} % of the machine's {cores} cores to the rest.",
        quota::PERIOD.as_millis(),
        used.join(", "),
        100.0 * (1.0 - HELD_PART),
    ));
    all.end().await;
    table
}

impl Point {
    /// A row, compared with what one node does.
    fn row(&self, first: Option<&Self>, target: &str) -> [String; 8] {
        let base = first.map_or(self.rate, |first| first.rate);
        [
            self.count.to_string(),
            format!("{:.0}", self.rate),
            format!("{:.2}", self.rate / base),
            us(Duration::from_secs_f64(self.nodes)),
            us(Duration::from_secs_f64(self.database)),
            ms(self.p50),
            ms(self.p99),
            target.to_owned(),
        ]
    }
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

    /// Accounts with a device each. Their WhatsApp goes away, for only accepting is measured.
    async fn senders(&mut self) -> Vec<Sender> {
        let operator = self.nodes[0].operator();
        let mut senders = Vec::new();
        for n in 0..SENDERS {
            senders.push(sender(&operator, &self.simulator, n).await);
        }
        self.simulator.process.kill().await;
        senders
    }

    /// Waits until every node runs its part of so many devices.
    async fn even_shares(&self, devices: u32) -> Vec<u64> {
        let (operator, count) = (self.nodes[0].operator(), self.nodes.len());
        until("all nodes have their shares", 600, async || {
            let nodes = operator.get("/v1/nodes").await;
            let shares: Vec<u64> = nodes["data"]
                .as_array()?
                .iter()
                .filter_map(|node| node["devices"].as_u64())
                .collect();
            let part = u64::from(devices) / count as u64;
            let is_even = shares.iter().all(|share| share.abs_diff(part) <= 1);
            (shares.len() == count && is_even).then_some(shares)
        })
        .await
    }

    /// What the nodes there are do together.
    async fn point(&self, senders: &[Sender], options: &Options) -> Point {
        let count = self.nodes.len();
        let mut runs = Vec::new();
        for round in 0..options.rounds() {
            runs.push(self.run(senders, &format!("{count}-{round}"), options.seconds).await);
        }
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of).collect());
        let (rate, nodes) = (middle(|run| run.rate), middle(|run| run.nodes));
        let database = middle(|run| run.database);
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        Point {
            count: count as f64,
            rate,
            nodes,
            database,
            p50: percentile(&mut latencies, 50),
            p99: percentile(&mut latencies, 99),
        }
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
            every: None,
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
    let count = options.shared_devices();
    let mut all = Nodes::prepare().await;
    all.add().await;
    let account = all.nodes[0].operator().make_account("scale", "unlimited").await;
    for n in 0..count {
        account.make_linked_device(&all.simulator, &format!("62811{n:08}")).await;
    }
    all.add().await;
    let before = resident_mib(all.nodes[1].process.id());
    let shares = all.even_shares(count).await;
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
