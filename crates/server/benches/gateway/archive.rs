//! Retention and archiving while the gateway serves: what it costs those who send and read meanwhile, how fast old
//! messages leave, and whether the archive has exactly what the database has no more.
//!
//! Old messages are looked for at a start, so a start with a shorter retention begins it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde::Deserialize;

use crate::Options;
use crate::filled::{Filled, fill, now};
use crate::load::{self, Kind, Outcome, Plan};
use crate::numbers::{median, ms, peak_mib, percentile, reset_peak};
use crate::report::Table;
use crate::support::simulator::Simulator;
use crate::support::wait::until;

/// Whose messages are old, mixed: a batch of them goes to a file of each.
const ACCOUNTS: u32 = 10;
/// Together 1,000 messages a second.
const SENDS: Rhythm = Rhythm { connections: 60, every: Duration::from_millis(60) };
/// Together 100 pages a second.
const READS: Rhythm = Rhythm { connections: 4, every: Duration::from_millis(40) };
/// Of each run of the load generator: runs that lie in the time of a clean-up count.
const RUN_S: u64 = 1;
/// Longest time of a clean-up, in seconds.
const CLEAN_UP_MAX_S: u64 = 900;
const DAY_S: u32 = 86_400;

/// How a load is spread.
struct Rhythm {
    connections: usize,
    every: Duration,
}

impl Rhythm {
    fn plan(&self, filled: &Filled, kind: Kind) -> Plan {
        let senders = match kind {
            Kind::Send => filled.senders.clone(),
            _ => vec![filled.owner.clone()],
        };
        Plan {
            address: filled.gateway.address().to_owned(),
            process: filled.gateway.process.id(),
            connections: self.connections,
            senders,
            run: "archive".to_owned(),
            kind,
            every: Some(self.every),
        }
    }

    fn per_s(&self) -> f64 {
        self.connections as f64 / self.every.as_secs_f64()
    }
}

/// What clients saw for some time.
#[derive(Default)]
struct Served {
    sends: Vec<Outcome>,
    reads: Vec<Outcome>,
    peak_mib: f64,
}

/// Serves at rest, and then while old messages leave.
pub async fn measure(options: Options) -> Vec<Table> {
    let count = options.messages();
    // One message a second: at least half of them are older than that.
    let days = (count / 2 / DAY_S).max(1);
    assert!(count > days * DAY_S, "with {count} messages none is old: give more by --messages");
    let simulator = Simulator::start().await;
    let mut filled = fill(&simulator, count, ACCOUNTS).await;
    drop(simulator);
    let mut at_rest = Served::default();
    reset_peak(filled.gateway.process.id());
    for _ in 0..3 * options.rounds() {
        at_rest.add(run(&filled).await);
    }
    at_rest.peak_mib = peak_mib(filled.gateway.process.id());
    let (cleaning, took) = clean_up(&mut filled, days).await;
    let messages = Messages::of(&filled.database());
    let archived = Archived::of(&filled.gateway.data_dir().join("archive"));
    let gone = u64::from(count) - messages.count;
    let title =
        format!("Retention and archiving while it serves: {gone} of {count} messages leave");
    let mut serving = Table::new(title, &["", "at rest", "while they leave", "ratio"]);
    at_rest.compare(cleaning, &mut serving);
    serving.note(format!(
        "{:.0} messages and {:.0} first pages are asked for each second, whatever the answers take; a late request \
         counts from when it was due. No device is connected: what is accepted waits, in memory too, in the end {}.",
        SENDS.per_s(),
        READS.per_s(),
        messages.waiting,
    ));
    vec![serving, archived.table(gone, &messages, took)]
}

/// One run of the load, messages and pages at the same time.
async fn run(filled: &Filled) -> (Outcome, Outcome) {
    let page = Kind::Path("/v1/messages?limit=100".to_owned());
    let sends = load::run(SENDS.plan(filled, Kind::Send), RUN_S);
    tokio::join!(sends, load::run(READS.plan(filled, page), RUN_S))
}

/// Restarts the gateway with this retention, and waits until nothing is left of what was old then; it is stopped
/// afterwards. Also how long messages were leaving.
async fn clean_up(filled: &mut Filled, days: u32) -> (Served, Duration) {
    let archive = filled.gateway.data_dir().join("archive");
    let days_kept = days.to_string();
    let settings = [
        ("GERBANG_MESSAGE_DAYS", days_kept.as_str()),
        ("GERBANG_ARCHIVE_DIR", archive.to_str().unwrap()),
    ];
    let kept_since = now() - SignedDuration::from_hours(24 * i64::from(days));
    filled.gateway.process.stop().await;
    filled.gateway.restart_with(&settings).await;
    let (mut served, took) = serve_until_clean(filled, kept_since).await;
    served.peak_mib = peak_mib(filled.gateway.process.id());
    filled.gateway.process.stop().await;
    (served, took)
}

/// Runs the load until no message is left from before `kept_since`; returns how long it took, too.
async fn serve_until_clean(filled: &Filled, kept_since: Timestamp) -> (Served, Duration) {
    let (mut served, start) = (Served::default(), Instant::now());
    let database = Connection::open(filled.database()).unwrap();
    let end = until("the old messages have left", CLEAN_UP_MAX_S, async || {
        (oldest_ms(&database) >= kept_since.as_millisecond()).then(|| start.elapsed())
    });
    tokio::pin!(end);
    loop {
        tokio::select! {
            took = &mut end => return (served, took),
            outcomes = run(filled) => served.add(outcomes),
        }
    }
}

/// When the oldest message was made.
fn oldest_ms(database: &Connection) -> i64 {
    let sql = "SELECT created_at FROM messages ORDER BY id LIMIT 1";
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

impl Served {
    fn add(&mut self, (sends, reads): (Outcome, Outcome)) {
        self.sends.push(sends);
        self.reads.push(reads);
    }

    fn compare(self, later: Self, table: &mut Table) {
        let number = |value: f64| format!("{value:.0}");
        let time = |value: f64| ms(Duration::from_secs_f64(value));
        let mut row = |name: &str, [one, other]: [f64; 2], shown: &dyn Fn(f64) -> String| {
            let ratio = format!("{:.2}", other / one);
            table.row([name.to_owned(), shown(one), shown(other), ratio]);
        };
        let memory = [self.peak_mib, later.peak_mib];
        let halves = [("messages", self.sends, later.sends), ("pages", self.reads, later.reads)];
        for (name, one, other) in halves {
            let [one, other] = [one, other].map(Figures::of);
            row(&format!("{name}, per s"), [one.rate, other.rate], &number);
            row(&format!("{name}, p50"), [one.p50_s, other.p50_s], &time);
            row(&format!("{name}, p99"), [one.p99_s, other.p99_s], &time);
        }
        row("the gateway's highest memory", memory, &|mib: f64| format!("{mib:.0} MiB"));
    }
}

/// What several runs came to.
struct Figures {
    rate: f64,
    p50_s: f64,
    p99_s: f64,
}

impl Figures {
    fn of(runs: Vec<Outcome>) -> Self {
        assert!(!runs.is_empty(), "it was over before anything was measured: give more --messages");
        let rate = median(runs.iter().map(|run| run.rate).collect());
        let mut latencies: Vec<_> = runs.into_iter().flat_map(|run| run.latencies).collect();
        let p50_s = percentile(&mut latencies, 50).as_secs_f64();
        Self { rate, p50_s, p99_s: percentile(&mut latencies, 99).as_secs_f64() }
    }
}

/// The messages of a database that nobody has open.
struct Messages {
    waiting: i64,
    count: u64,
    first_id: i64,
}

impl Messages {
    fn of(database: &Path) -> Self {
        let connection = Connection::open(database).unwrap();
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        Self {
            waiting: number("SELECT count(*) FROM outbox"),
            count: number("SELECT count(*) FROM messages").unsigned_abs(),
            first_id: number("SELECT min(id) FROM messages"),
        }
    }
}

/// What is in the archive.
struct Archived {
    files: usize,
    bytes: u64,
    text_bytes: u64,
    ids: Vec<i64>,
}

/// The one field of a line that is compared.
#[derive(Deserialize)]
struct Line {
    id: i64,
}

impl Archived {
    /// Reads every file as any gzip does.
    fn of(archive: &Path) -> Self {
        let mut found = Self { files: 0, bytes: 0, text_bytes: 0, ids: Vec::new() };
        let folders = fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path());
        for folder in folders.filter(|path| path.is_dir()) {
            for file in fs::read_dir(folder).unwrap() {
                found.read(&file.unwrap().path());
            }
        }
        found.ids.sort_unstable();
        found
    }

    fn read(&mut self, file: &Path) {
        self.files += 1;
        self.bytes += fs::metadata(file).unwrap().len();
        let lines = BufReader::new(MultiGzDecoder::new(File::open(file).unwrap())).lines();
        for line in lines {
            let line = line.unwrap();
            self.text_bytes += line.len() as u64 + 1;
            self.ids.push(serde_json::from_str::<Line>(&line).unwrap().id);
        }
    }

    fn table(mut self, gone: u64, left: &Messages, took: Duration) -> Table {
        let lines = self.ids.len();
        self.ids.dedup();
        // Older messages have lower ids.
        let are_none_left = self.ids.last().is_some_and(|last| *last < left.first_id);
        let is_exact = self.ids.len() as u64 == gone && are_none_left;
        let each = |bytes: u64| bytes as f64 / lines.max(1) as f64;
        let mut table = Table::new("The archive of these messages", &["", "measured", "target"]);
        let rate = format!("{:.0} per s", gone as f64 / took.as_secs_f64());
        table.row(["messages that leave".into(), rate, String::new()]);
        let archived = format!("{lines} lines, {} different", self.ids.len());
        table.row(["archived".into(), archived, format!("{gone} and {gone}")]);
        let exact = if is_exact { "yes" } else { "no" };
        table.row(["exactly those that are gone".into(), exact.into(), "yes".into()]);
        let size = format!("{:.1} MiB in {} files", self.bytes as f64 / 1_048_576.0, self.files);
        table.row(["size".into(), size, String::new()]);
        let each = format!("{:.0} bytes, of {:.0}", each(self.bytes), each(self.text_bytes));
        table.row(["each message, compressed".into(), each, String::new()]);
        table.note(format!("Of {ACCOUNTS} accounts, whose messages are mixed."));
        table
    }
}
