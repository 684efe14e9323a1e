//! `/app/usage`: messages by day and by device as plots, what may still be sent, and a table to export.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::routing::get;
use domain::device::Device;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::service::{USAGE_DAYS_MAX, UsageFigures, UsageReport};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, id};
use super::device_choice;
use super::failure::PageResult;
use super::layout::{self, Place};
use super::quota;
use super::show;
use super::table::{self, Column};
use super::words::Words;
use crate::reply::bytes_reply;
use crate::state::AppState;

/// The days that may be chosen.
const SPANS: [u32; 3] = [7, 30, 90];
/// How large a plot is, in its own units.
const WIDTH: i64 = 720;
const HEIGHT: i64 = 160;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/usage", get(show_usage)).route("/app/usage.csv", get(export))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct UsageQuery {
    days: String,
    device: String,
}

impl UsageQuery {
    fn days(&self) -> u32 {
        self.days.parse().ok().filter(|days| (1..=USAGE_DAYS_MAX).contains(days)).unwrap_or(30)
    }

    fn device(&self) -> Result<Option<DeviceId>, Error> {
        match self.device.as_str() {
            "" => Ok(None),
            text => id(text, "device").map(Some),
        }
    }
}

/// The devices to choose from, and those of the rows.
async fn devices(
    state: &AppState,
    person: &Person,
    chosen: Option<DeviceId>,
    usage: &UsageReport,
) -> Result<Vec<Device>, Error> {
    let devices = device_choice::devices(state, person, chosen).await?;
    let named = usage.rows.iter().map(|row| row.device).collect::<BTreeSet<_>>();
    device_choice::with_named(state, person, devices, named).await
}

async fn show_usage(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<UsageQuery>,
) -> PageResult {
    let words = person.words();
    let (days, device) = (query.days(), query.device()?);
    let usage = state.core().usage_by_day(person.principal(), device, days).await?;
    let devices = devices(&state, &person, device, &usage).await?;
    let quota = state.core().quota(person.principal(), device).await?;
    let mut by_day: BTreeMap<_, UsageFigures> =
        usage.days.iter().map(|day| (*day, UsageFigures::default())).collect();
    let mut by_device: BTreeMap<_, UsageFigures> = BTreeMap::new();
    for row in &usage.rows {
        *by_day.entry(row.day).or_default() += row.figures;
        *by_device.entry(row.device).or_default() += row.figures;
    }
    let body = html! {
        h1 { (words.usage) }
        (quota::figures(&person, &quota))
        (filters(&person, &query, &devices))
        section {
            h2 { (words.by_day) }
            (plot(words, &by_day))
            (legend(words))
        }
        section {
            h2 { (words.by_device) }
            (device_table(words, &by_device, &devices))
        }
        p { a.button.plain href={ "/app/usage.csv?days=" (days) "&device=" (query.device) } { (words.export_csv) } }
    };
    Ok(layout::page(&person, Place::Usage, words.usage, &body))
}

fn filters(person: &Person, query: &UsageQuery, devices: &[Device]) -> Markup {
    let words = person.words();
    html! {
        form.row method="get" action="/app/usage" {
            div.field {
                label for="days" { (words.days) }
                select #days name="days" {
                    @for days in SPANS {
                        option value=(days) selected[days == query.days()] { (days) }
                    }
                }
            }
            div.field {
                label for="device" { (words.device) }
                select #device name="device" {
                    option value="" { (words.all_devices) }
                    (device_choice::options(person.lang, devices, &query.device))
                }
            }
            button { (words.filter) }
        }
    }
}

/// A bar for each day: what was sent (the part that was read is darker), what was not, what came in.
fn plot(words: &Words, by_day: &BTreeMap<Date, UsageFigures>) -> Markup {
    let highest = by_day.values().map(|f| (f.sent + f.failed).max(f.received)).max().unwrap_or(0);
    let step = WIDTH / i64::try_from(by_day.len().max(1)).unwrap_or(1);
    let bar = (step * 2 / 5).max(1);
    let scaled = |count: i64| if highest == 0 { 0 } else { count * HEIGHT / highest };
    let (first, last) = (by_day.keys().next(), by_day.keys().next_back());
    html! {
        svg.plot viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + 20)) role="img" aria-label=(words.by_day) {
            line x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) class="axis" {}
            text x="0" y="12" class="label" { (highest) }
            @for (n, (day, figures)) in by_day.iter().enumerate() {
                @let x = i64::try_from(n).unwrap_or(0) * step;
                g {
                    title { (day_title(words, *day, figures)) }
                    (rect("sent", x, bar, 0, scaled(figures.sent)))
                    (rect("read", x, bar, 0, scaled(figures.read)))
                    (rect("failed", x, bar, scaled(figures.sent), scaled(figures.failed)))
                    (rect("received", x + bar, bar, 0, scaled(figures.received)))
                }
            }
            @if let (Some(first), Some(last)) = (first, last) {
                text x="0" y=(HEIGHT + 16) class="label" { (first) }
                text x=(WIDTH) y=(HEIGHT + 16) class="label end" { (last) }
            }
        }
    }
}

fn rect(class: &str, x: i64, width: i64, from: i64, height: i64) -> Markup {
    html! {
        @if height > 0 {
            rect class=(class) x=(x) width=(width) y=(HEIGHT - from - height) height=(height) {}
        }
    }
}

fn day_title(words: &Words, day: Date, figures: &UsageFigures) -> String {
    let mut text = day.to_string();
    for (name, count) in named(words, figures) {
        let _ = write!(text, ", {name} {count}");
    }
    text
}

fn named(words: &Words, figures: &UsageFigures) -> [(&'static str, i64); 5] {
    [
        (words.state_sent, figures.sent),
        (words.state_delivered, figures.delivered),
        (words.state_read, figures.read),
        (words.not_sent, figures.failed),
        (words.received, figures.received),
    ]
}

fn legend(words: &Words) -> Markup {
    let parts = [
        ("sent", words.state_sent),
        ("read", words.state_read),
        ("failed", words.not_sent),
        ("received", words.received),
    ];
    html! {
        ul.legend {
            @for (class, word) in parts {
                li {
                    svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" class="plot-key" {
                        rect class=(class) width="10" height="10" {}
                    }
                    " " (word)
                }
            }
        }
    }
}

fn device_table(
    words: &Words,
    by_device: &BTreeMap<DeviceId, UsageFigures>,
    devices: &[Device],
) -> Markup {
    if by_device.is_empty() {
        return html! { p.empty { (words.no_messages) } };
    }
    let highest = by_device.values().map(|figures| figures.sent).max().unwrap_or(0).max(1);
    let mut columns = vec![Column::Clear(words.device), Column::Acts(words.by_device)];
    let names = named(words, &UsageFigures::default());
    columns.extend(names.map(|(name, _)| Column::Named(name)));
    let row = |(id, figures): (&DeviceId, &UsageFigures)| {
        let mut row = vec![
            html! { (device_word(*id, devices)) },
            html! {
                svg.plot-bar viewBox="0 0 100 10" width="100" height="10" aria-hidden="true" {
                    rect class="sent" width=(figures.sent * 100 / highest) height="10" {}
                    rect class="read" width=(figures.read * 100 / highest) height="10" {}
                }
            },
        ];
        row.extend(named(words, figures).map(|(_, count)| html! { (count) }));
        row
    };
    table::table(words.by_device, &columns, by_device.iter().map(row))
}

/// A device's name; one that was deleted has its id only.
fn device_word(id: DeviceId, devices: &[Device]) -> String {
    let known = devices.iter().find(|device| device.id == id);
    known.map_or_else(|| id.to_string(), show::device_name)
}

async fn export(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<UsageQuery>,
) -> PageResult {
    let device = query.device()?;
    let usage = state.core().usage_by_day(person.principal(), device, query.days()).await?;
    let devices = devices(&state, &person, device, &usage).await?;
    let mut csv = "day,device,name,sent,delivered,read,failed,received\r\n".to_owned();
    for row in &usage.rows {
        let name = devices.iter().find(|device| device.id == row.device);
        let name = csv_text(name.map_or("", |device| &device.name));
        let UsageFigures { sent, delivered, read, failed, received, cancelled: _ } = row.figures;
        let (day, device) = (row.day, row.device);
        let _ =
            write!(csv, "{day},{device},{name},{sent},{delivered},{read},{failed},{received}\r\n");
    }
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let mut response = bytes_reply(axum::http::StatusCode::OK, kind, csv);
    let name = HeaderValue::from_static("attachment; filename=\"usage.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// A text as a field; one that a spreadsheet would take for a formula begins with an apostrophe.
fn csv_text(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_field_and_no_formula() {
        for (name, field) in [
            ("front", "\"front\""),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("=1+2", "\"'=1+2\""),
            ("@x", "\"'@x\""),
        ] {
            assert_eq!(csv_text(name), field);
        }
    }
}
