//! `/app`: a checklist until the first message is read; afterwards the day at a glance.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::device::Device;
use domain::error::Error;
use domain::message::{Direction, MessageState};
use domain::person::Role;
use domain::ports::{MessageFilter, PageRequest};
use domain::service::DeviceCounts;
use maud::{Markup, html};

use super::attention;
use super::caller::{InAccount, Person};
use super::device_choice;
use super::failure::PageResult;
use super::layout::{self, Place};
use super::quota::figure_left;
use super::words::words;
use crate::state::AppState;

/// Most keys that the page looks at.
const KEYS_SHOWN: u32 = 100;

words! {
    /// The texts of this page.
    StartWords
    delivered: "Delivered", "Sampai";
    read: "Read", "Dibaca";
    not_sent: "Not sent", "Tidak terkirim";
    received: "Received", "Masuk";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app", get(show_start))
}

/// What has been done of the first steps.
struct Steps {
    has_device: bool,
    is_linked: bool,
    has_sent: bool,
    is_read: bool,
    /// Whether a program has used a key, and whether there is a webhook; `None` for those who may not know.
    programs: Option<(bool, bool)>,
}

impl Steps {
    fn are_done(&self) -> bool {
        self.programs.is_none_or(|(has_used_key, has_webhook)| has_used_key && has_webhook)
            && self.has_device
            && self.is_linked
            && self.has_sent
            && self.is_read
    }
}

async fn show_start(State(state): State<AppState>, InAccount(person): InAccount) -> PageResult {
    let principal = person.principal();
    let devices = device_choice::devices(&state, &person, None).await?;
    let counts = state.core().device_counts(principal).await?;
    let steps = Steps {
        has_device: counts.all > 0,
        is_linked: counts.linked > 0 || devices.iter().any(|device| device.paired_at.is_some()),
        has_sent: has_any(&state, &person, Vec::new()).await?,
        is_read: has_any(&state, &person, vec![MessageState::Read, MessageState::Played]).await?,
        programs: programs(&state, &person).await?,
    };
    let words = person.words();
    let glance = glance(&state, &person, &devices, counts).await?;
    let body = html! {
        h1 { (words.start) }
        @if !steps.is_read { (checklist(&person, &steps)) }
        div data-live="device message tick" id="glance" { (glance) }
        // What programs need is still open when a person has seen that messages go.
        @if steps.is_read && !steps.are_done() {
            details { summary { (words.first_steps) } (checklist(&person, &steps)) }
        }
    };
    Ok(layout::page(&person, Place::Start, words.start, &body))
}

async fn programs(state: &AppState, person: &Person) -> Result<Option<(bool, bool)>, Error> {
    if person.visitor.role() != Role::Owner {
        return Ok(None);
    }
    let page = PageRequest { before: None, limit: KEYS_SHOWN };
    let keys = state.core().keys(person.principal(), page).await?.items;
    let one = PageRequest { before: None, limit: 1 };
    let webhooks = state.core().webhooks(person.principal(), one).await?.items;
    Ok(Some((keys.iter().any(|key| key.last_used_at.is_some()), !webhooks.is_empty())))
}

async fn has_any(
    state: &AppState,
    person: &Person,
    states: Vec<MessageState>,
) -> Result<bool, Error> {
    let filter =
        MessageFilter { direction: Some(Direction::Out), states, ..MessageFilter::default() };
    // Their number is known: to look for one where there is none would read them all.
    Ok(state.core().counted_messages(person.principal(), filter, 1, 1).await?.total > 0)
}

fn checklist(person: &Person, steps: &Steps) -> Markup {
    let words = person.words();
    let mut rows = vec![
        (steps.has_device, words.step_device, "/app/devices"),
        (steps.is_linked, words.step_link, "/app/devices"),
        (steps.has_sent, words.step_send, "/app/send"),
        (steps.is_read, words.step_read, "/app/messages"),
    ];
    if let Some((has_used_key, has_webhook)) = steps.programs {
        rows.push((has_used_key, words.step_key, "/app/keys"));
        rows.push((has_webhook, words.step_webhook, "/app/webhooks"));
    }
    let next = rows.iter().position(|(is_done, ..)| !is_done);
    html! {
        section.card {
            h2 { (words.first_steps) }
            ol.steps {
                @for (n, (is_done, text, path)) in rows.iter().enumerate() {
                    li data-done[*is_done] aria-current=[(next == Some(n)).then_some("step")] {
                        @if *is_done { (text) " " span.quiet { "(" (words.done) ")" } }
                        @else { a href=(path) { (text) } }
                    }
                }
            }
        }
    }
}

async fn glance(
    state: &AppState,
    person: &Person,
    devices: &[Device],
    counts: DeviceCounts,
) -> Result<Markup, Error> {
    let words = person.words();
    let own = StartWords::of(person.lang);
    let today = state.core().usage_by_day(person.principal(), None, 1).await?.total();
    let waiting = waiting(state, person, None).await?;
    let quota = state.core().quota(person.principal(), None).await?;
    let attention = attention::card(state, person, devices, &quota).await?;
    Ok(html! {
        dl.figures {
            div { dt { (words.sent_today) } dd { (today.sent) } }
            div { dt { (own.delivered) } dd { (today.delivered) } }
            div { dt { (own.read) } dd { (today.read) } }
            div { dt { (own.not_sent) } dd { (leading(today.failed - today.cancelled, "not_sent")) } }
            div { dt { (own.received) } dd { (today.received) } }
        }
        dl.figures {
            div { dt { (words.waiting) } dd { (leading(waiting, "waiting")) } }
            div { dt { (words.devices_connected) } dd { (counts.connected) " / " (counts.all) } }
            (figure_left(person, &quota))
        }
        (attention)
    })
}

/// A figure that leads to its messages, where it counts any.
fn leading(count: i64, status: &str) -> Markup {
    html! {
        @if count > 0 { a href={ "/app/messages?direction=out&status=" (status) } { (count) } }
        @else { (count) }
    }
}

/// How many messages wait, of a device or of all.
pub(super) async fn waiting(
    state: &AppState,
    person: &Person,
    device: Option<domain::ids::DeviceId>,
) -> Result<i64, Error> {
    let filter = MessageFilter {
        direction: Some(Direction::Out),
        device,
        states: vec![MessageState::Scheduled, MessageState::Queued],
        ..MessageFilter::default()
    };
    Ok(state.core().counted_messages(person.principal(), filter, 1, 1).await?.total)
}
