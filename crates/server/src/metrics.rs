//! The engine's figures, for Prometheus.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::ports::NodeStore as _;
use engine::{Engine, EngineStats};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use store::{REPORTED_TABLES, SqlStore};

/// Reads the engine's figures at every scrape.
pub struct EngineMetrics {
    engine: Arc<Engine>,
    descriptions: Vec<Desc>,
}

/// Name, help and reader of a figure without labels.
type Figure<T> = (&'static str, &'static str, fn(&EngineStats) -> T);

const GAUGES: [Figure<i64>; 4] = [
    (
        "gerbang_messages_waiting",
        "Messages in the queues, unacknowledged ones included.",
        |stats| stats.queued.load(Ordering::Relaxed),
    ),
    (
        "gerbang_messages_sending",
        "Messages submitted to WhatsApp whose outcome is not durable yet.",
        |stats| stats.sending.load(Ordering::Relaxed),
    ),
    ("gerbang_webhooks_waiting", "Events loaded into memory that wait for webhooks.", |stats| {
        stats.webhooks_waiting.load(Ordering::Relaxed)
    }),
    (
        "gerbang_node_devices",
        "Devices that this node owns, where several share a database.",
        |stats| stats.owned_devices.load(Ordering::Relaxed),
    ),
];

const COUNTERS: [Figure<u64>; 19] = [
    ("gerbang_messages_sent_total", "Messages that WhatsApp acknowledged.", |stats| {
        stats.sent.load(Ordering::Relaxed)
    }),
    ("gerbang_messages_failed_total", "Messages that failed permanently.", |stats| {
        stats.failed.load(Ordering::Relaxed)
    }),
    ("gerbang_messages_expired_total", "Messages that expired.", |stats| {
        stats.expired.load(Ordering::Relaxed)
    }),
    ("gerbang_messages_cancelled_total", "Messages cancelled before they were sent.", |stats| {
        stats.cancelled.load(Ordering::Relaxed)
    }),
    ("gerbang_attempts_failed_total", "Failed attempts that are retried.", |stats| {
        stats.attempts_failed.load(Ordering::Relaxed)
    }),
    ("gerbang_messages_received_total", "Incoming messages stored.", |stats| {
        stats.received.load(Ordering::Relaxed)
    }),
    (
        "gerbang_messages_undecryptable_total",
        "Incoming messages that could not be decrypted when they came.",
        |stats| stats.undecryptable.load(Ordering::Relaxed),
    ),
    (
        "gerbang_messages_recovered_total",
        "Of those, messages that came after all, from their senders or from the phone.",
        |stats| stats.recovered.load(Ordering::Relaxed),
    ),
    (
        "gerbang_messages_unreadable_total",
        "Of those, messages stored as unreadable; some are recovered later.",
        |stats| stats.unreadable.load(Ordering::Relaxed),
    ),
    ("gerbang_media_prepared_total", "Files prepared for sending.", |stats| {
        stats.media_prepared.load(Ordering::Relaxed)
    }),
    ("gerbang_media_failed_total", "Files that could not be fetched or sent.", |stats| {
        stats.media_failed.load(Ordering::Relaxed)
    }),
    ("gerbang_webhooks_delivered_total", "Events delivered to webhooks.", |stats| {
        stats.webhooks_delivered.load(Ordering::Relaxed)
    }),
    ("gerbang_webhooks_failed_total", "Failed webhook deliveries that are retried.", |stats| {
        stats.webhooks_failed.load(Ordering::Relaxed)
    }),
    ("gerbang_webhooks_dead_total", "Events whose webhook delivery failed permanently.", |stats| {
        stats.webhooks_dead.load(Ordering::Relaxed)
    }),
    ("gerbang_node_renewals_total", "Renewals of this node's registration.", |stats| {
        stats.renewals.load(Ordering::Relaxed)
    }),
    (
        "gerbang_node_takeovers_total",
        "Devices that this node has taken over, those of its start included.",
        |stats| stats.takeovers.load(Ordering::Relaxed),
    ),
    ("gerbang_node_handovers_total", "Devices that this node has released.", |stats| {
        *stats.released().borrow()
    }),
    (
        "gerbang_node_devices_lost_total",
        "Devices that this node has stopped because another one may run them.",
        |stats| stats.devices_lost.load(Ordering::Relaxed),
    ),
    ("gerbang_store_errors_total", "Failed calls of the store that are retried.", |stats| {
        stats.store_errors.load(Ordering::Relaxed)
    }),
];

const DEVICES: (&str, &str) = ("gerbang_devices", "Devices with a running task, by state.");

impl EngineMetrics {
    /// A collector for `engine`.
    ///
    /// # Errors
    /// A name or a help text is not acceptable to Prometheus.
    pub fn new(engine: Arc<Engine>) -> prometheus::Result<Self> {
        let plain = GAUGES.iter().map(|figure| (figure.0, figure.1));
        let plain = plain.chain(COUNTERS.iter().map(|figure| (figure.0, figure.1)));
        let describe = |(name, help): (&str, &str), labels| {
            Desc::new(name.into(), help.into(), labels, HashMap::new())
        };
        let mut descriptions =
            plain.map(|named| describe(named, vec![])).collect::<prometheus::Result<Vec<_>>>()?;
        descriptions.push(describe(DEVICES, vec!["status".into()])?);
        Ok(Self { engine, descriptions })
    }

    fn read(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let stats = self.engine.stats();
        let mut families = Vec::new();
        for (name, help, read) in GAUGES {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(read(stats));
            families.extend(gauge.collect());
        }
        for (name, help, read) in COUNTERS {
            let counter = IntCounter::new(name, help)?;
            counter.inc_by(read(stats));
            families.extend(counter.collect());
        }
        let devices = prometheus::IntGaugeVec::new(Opts::new(DEVICES.0, DEVICES.1), &["status"])?;
        for (status, count) in stats.devices() {
            devices.with_label_values(&[status.as_str()]).set(count);
        }
        families.extend(devices.collect());
        Ok(families)
    }
}

impl Collector for EngineMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read().unwrap_or_else(|error| {
            tracing::error!(%error, "the engine's figures cannot be read");
            Vec::new()
        })
    }
}

const UNREADABLE: (&str, &str) = (
    "gerbang_unreadable_rows_total",
    "Stored rows met that cannot be read, in whole or in part, by table.",
);

const REFUSED: (&str, &str) = (
    "gerbang_stale_writes_refused_total",
    "Writes for devices that were refused because another node runs them.",
);

const CAPACITY: (&str, &str) =
    ("gerbang_node_capacity", "Most devices that this node takes, where several share a database.");

/// Reads the store's figures whenever they are asked for.
pub struct StoreMetrics {
    store: Arc<SqlStore>,
    /// Of this node; `None` where it shares its database with no other.
    capacity: Option<u32>,
    descriptions: Vec<Desc>,
}

impl StoreMetrics {
    /// A collector for `store`.
    ///
    /// # Errors
    /// A name or a help text is not acceptable to Prometheus.
    pub fn new(store: Arc<SqlStore>, capacity: Option<u32>) -> prometheus::Result<Self> {
        let describe = |(name, help): (&str, &str), labels| {
            Desc::new(name.into(), help.into(), labels, HashMap::new())
        };
        let descriptions = vec![
            describe(UNREADABLE, vec!["table".into()])?,
            describe(REFUSED, vec![])?,
            describe(CAPACITY, vec![])?,
        ];
        Ok(Self { store, capacity, descriptions })
    }

    fn read(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let unreadable = IntCounterVec::new(Opts::new(UNREADABLE.0, UNREADABLE.1), &["table"])?;
        let rows = self.store.unreadable_rows();
        // Those without such rows too: an alert sees the first one as an increase.
        for table in REPORTED_TABLES {
            let counter = unreadable.with_label_values(&[table]);
            counter.inc_by(rows.get(table).copied().unwrap_or(0));
        }
        let refused = IntCounter::new(REFUSED.0, REFUSED.1)?;
        refused.inc_by(self.store.leases().refused());
        let mut families = unreadable.collect();
        families.extend(refused.collect());
        if let Some(capacity) = self.capacity {
            let gauge = IntGauge::new(CAPACITY.0, CAPACITY.1)?;
            gauge.set(i64::from(capacity));
            families.extend(gauge.collect());
        }
        Ok(families)
    }
}

impl Collector for StoreMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read().unwrap_or_else(|error| {
            tracing::error!(%error, "the store's figures cannot be read");
            Vec::new()
        })
    }
}
