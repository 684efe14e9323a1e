//! `/app/gateway`: how the gateway is, for its operators: health, nodes, queues, errors by kind and route, backups.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use domain::device::DeviceStatus;
use domain::error::Error;
use domain::ports::BackupError;
use maud::{Markup, html};
use prometheus::proto::{Metric, MetricFamily};

use super::accounts::operator;
use super::caller::{Nothing, Person, Posted, csrf_field};
use super::failure::PageResult;
use super::layout::{self, Head, Place};
use super::nodes;
use super::show;
use super::table::{self, Column};
use super::words::words;
use crate::html::code_block;
use crate::metrics::ERRORS_TOTAL;
use crate::native::backup_file;
use crate::state::AppState;

/// Rows of errors that are shown.
const ERRORS_SHOWN: usize = 100;
/// The gauges of what waits, and the counters of what went wrong behind the APIs.
const QUEUES: [&str; 3] =
    ["gerbang_messages_waiting", "gerbang_messages_sending", "gerbang_webhooks_waiting"];
const FAULTS: [&str; 7] = [
    "gerbang_messages_failed_total",
    "gerbang_messages_expired_total",
    "gerbang_attempts_failed_total",
    "gerbang_media_failed_total",
    "gerbang_webhooks_failed_total",
    "gerbang_webhooks_dead_total",
    "gerbang_store_errors_total",
];
const UNREADABLE: &str = "gerbang_unreadable_rows_total";

words! {
    /// The texts of this page.
    GatewayWords
    title: "Gateway", "Gateway";
    health: "Health", "Kesehatan";
    database: "Database", "Basis data";
    answers: "answers", "menjawab";
    silent: "does not answer", "tidak menjawab";
    version: "Version", "Versi";
    backups: "Backups", "Cadangan";
    backups_help: "A backup of everything is made while the gateway runs, by this command on its machine, or by POST /v1/backups with the operator key:", "Cadangan seluruh isi dibuat selagi gateway berjalan, dengan perintah ini di mesinnya, atau dengan POST /v1/backups memakai kunci operator:";
    make_backup: "Make a backup and download it", "Buat cadangan dan unduh";
    backup_holds: "It holds the messages, files and keys of every account; the secret key is not in it.", "Isinya pesan, berkas, dan kunci semua akun; kunci rahasia gateway tidak ada di dalamnya.";
    backup_busy: "A backup is being made. Try again when it is done.", "Cadangan sedang dibuat. Coba lagi setelah selesai.";
    backup_failed: "No backup could be made: {}", "Cadangan tidak dapat dibuat: {}";
    restore_help: "A stopped gateway is restored from it by:", "Gateway yang berhenti dipulihkan darinya dengan:";
    since: "Counted since this process was started", "Dihitung sejak proses ini dimulai";
    queues: "Queues", "Antrean";
    messages_waiting: "Messages that wait", "Pesan menunggu";
    messages_sending: "Messages that are being sent", "Pesan sedang dikirim";
    webhooks_waiting: "Events that wait for webhooks", "Kejadian menunggu webhook";
    devices: "Devices by state", "Perangkat per keadaan";
    errors: "Refused and failed requests", "Permintaan yang ditolak dan gagal";
    no_errors: "None.", "Tidak ada.";
    kind: "Kind", "Jenis";
    route: "Route", "Rute";
    count: "Count", "Jumlah";
    faults: "What went wrong", "Yang gagal";
    unreadable: "Rows that cannot be read, by table", "Baris yang tidak dapat dibaca, per tabel";
    messages_failed: "Messages not sent", "Pesan tidak terkirim";
    messages_expired: "Messages that expired", "Pesan kedaluwarsa";
    attempts_failed: "Attempts that are repeated", "Percobaan yang diulang";
    media_failed: "Files that could not be fetched or sent", "Berkas yang gagal diambil atau dikirim";
    webhooks_failed: "Posts to webhooks that are repeated", "Kiriman webhook yang diulang";
    webhooks_dead: "Events that no webhook took", "Kejadian yang gagal untuk selamanya";
    store_errors: "Calls of the database that are repeated", "Panggilan basis data yang diulang";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/gateway", get(show)).route("/app/gateway/backup", post(backup))
}

/// Makes a backup, and gives it as a file.
async fn backup(
    State(state): State<AppState>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let own = GatewayWords::of(person.lang);
    let backups = state.config().backups.as_ref().ok_or(Error::NotFound("backup"))?;
    let now = state.core().note_backup(&operator(&person)?).await?;
    let why = match backups.make(true, now).await {
        Ok(made) => return Ok(backup_file(made)),
        Err(BackupError::Busy) => own.backup_busy.to_owned(),
        Err(BackupError::Failed(why)) => show::with(own.backup_failed, why),
    };
    let body = html! {
        p.crumbs { a href="/app/gateway" { (own.title) } }
        h1 { (own.backups) }
        p.fault role="alert" { (why) }
    };
    let (status, head) = (StatusCode::SERVICE_UNAVAILABLE, Head::default());
    Ok(layout::page_with(status, &person, Place::Gateway, own.backups, &head, &body))
}

async fn show(State(state): State<AppState>, person: Person) -> PageResult {
    person.visitor.require_operator()?;
    let own = GatewayWords::of(person.lang);
    let families: BTreeMap<String, MetricFamily> =
        state.registry().gather().into_iter().map(|it| (it.name().to_owned(), it)).collect();
    let is_ready = state.core().ping().await.is_ok();
    let devices = state.core().devices_by_status(&operator(&person)?).await?;
    let nodes = nodes::section(&state, &person).await?;
    let body = html! {
        h1 { (own.title) }
        div #gateway data-live="tick" {
            section {
                h2 { (own.health) }
                dl.facts {
                    dt { (own.database) }
                    dd { span.badge data-tone=(if is_ready { "good" } else { "bad" }) {
                        @if is_ready { (own.answers) } @else { (own.silent) }
                    } }
                    dt { (own.version) } dd { (env!("CARGO_PKG_VERSION")) }
                }
            }
            (nodes)
            (queues(&person, own, &families, &devices))
            (errors(own, &families))
            (faults(own, &families))
            p.quiet { (own.since) }
        }
        @if state.config().backups.is_some() {
            section {
                h2 { (own.backups) }
                form method="post" action="/app/gateway/backup" {
                    // Without a key of its form: the answer is a file, which is kept for no second one.
                    (csrf_field(&person.csrf))
                    button.plain { (own.make_backup) }
                }
                p.quiet { (own.backup_holds) }
                p { (own.backups_help) }
                (code_block("gerbang backup gerbang.backup"))
                p { (own.restore_help) }
                (code_block("gerbang restore gerbang.backup"))
            }
        }
    };
    Ok(layout::page(&person, Place::Gateway, own.title, &body))
}

fn metrics<'a>(families: &'a BTreeMap<String, MetricFamily>, name: &str) -> &'a [Metric] {
    families.get(name).map_or(&[], MetricFamily::get_metric)
}

/// Whole numbers are what these metrics hold.
fn value(metric: &Metric) -> f64 {
    metric.get_counter().get_value() + metric.get_gauge().get_value()
}

fn sum(families: &BTreeMap<String, MetricFamily>, name: &str) -> f64 {
    metrics(families, name).iter().map(value).fold(0.0, |sum, value| sum + value)
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

fn queues(
    person: &Person,
    own: &GatewayWords,
    families: &BTreeMap<String, MetricFamily>,
    devices: &[(DeviceStatus, i64)],
) -> Markup {
    let words = [own.messages_waiting, own.messages_sending, own.webhooks_waiting];
    html! {
        section {
            h2 { (own.queues) }
            dl.figures {
                @for (name, word) in QUEUES.into_iter().zip(words) {
                    div { dt { (word) } dd { (sum(families, name)) } }
                }
            }
            h3 { (own.devices) }
            dl.figures.small {
                @for (status, count) in devices {
                    div { dt { (show::device_status(person.words(), *status)) } dd { (count) } }
                }
            }
        }
    }
}

fn errors(own: &GatewayWords, families: &BTreeMap<String, MetricFamily>) -> Markup {
    let mut errors: Vec<&Metric> = metrics(families, ERRORS_TOTAL).iter().collect();
    errors.sort_by(|one, other| value(other).total_cmp(&value(one)));
    let columns = [Column::Clear(own.kind), Column::Clear(own.route), Column::Named(own.count)];
    let row = |metric: &Metric| {
        [
            html! { code { (label(metric, "kind")) } },
            html! { code { (label(metric, "route")) } },
            html! { (value(metric)) },
        ]
    };
    html! {
        section {
            h2 { (own.errors) }
            @if errors.is_empty() { p.empty { (own.no_errors) } }
            @else {
                (table::table(own.errors, &columns, errors.into_iter().take(ERRORS_SHOWN).map(row)))
            }
        }
    }
}

fn faults(own: &GatewayWords, families: &BTreeMap<String, MetricFamily>) -> Markup {
    let words = [
        own.messages_failed,
        own.messages_expired,
        own.attempts_failed,
        own.media_failed,
        own.webhooks_failed,
        own.webhooks_dead,
        own.store_errors,
    ];
    let unreadable = metrics(families, UNREADABLE).iter().filter(|metric| value(metric) > 0.0);
    let unreadable: Vec<&Metric> = unreadable.collect();
    html! {
        section {
            h2 { (own.faults) }
            dl.facts {
                @for (name, word) in FAULTS.into_iter().zip(words) {
                    dt { (word) } dd { (sum(families, name)) }
                }
            }
            @if !unreadable.is_empty() {
                h3 { (own.unreadable) }
                dl.facts { @for metric in unreadable {
                    dt { code { (label(metric, "table")) } } dd { (value(metric)) }
                } }
            }
        }
    }
}
