//! `/app`: a checklist until the first message is read; afterwards the day at a glance.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::device::{Device, DeviceStatus};
use domain::error::Error;
use domain::message::{Direction, MessageState};
use domain::person::Role;
use domain::ports::{MessageFilter, PageRequest};
use maud::{Markup, html};

use super::caller::{InAccount, Person};
use super::failure::PageResult;
use super::layout::{self, Place};
use super::quota::figure_left;
use super::reasons::said;
use super::show::{self, device_name};
use super::words::words;
use crate::state::AppState;

/// Most devices that the page looks at.
const DEVICES_SHOWN: u32 = 100;

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

async fn show_start(State(state): State<AppState>, InAccount(person): InAccount) -> PageResult {
    let principal = person.principal();
    let page = PageRequest { before: None, limit: DEVICES_SHOWN };
    let devices = state.core().devices(principal, page).await?.items;
    let steps = Steps {
        has_device: !devices.is_empty(),
        is_linked: devices.iter().any(|device| device.paired_at.is_some()),
        has_sent: has_any(&state, &person, Vec::new()).await?,
        is_read: has_any(&state, &person, vec![MessageState::Read, MessageState::Played]).await?,
        programs: programs(&state, &person).await?,
    };
    let words = person.words();
    let glance = glance(&state, &person, &devices).await?;
    let body = html! {
        h1 { (words.start) }
        @if !steps.is_read { (checklist(&person, &steps)) }
        div data-live="device message tick" id="glance" { (glance) }
    };
    Ok(layout::page(&person, Place::Start, words.start, &body))
}

async fn programs(state: &AppState, person: &Person) -> Result<Option<(bool, bool)>, Error> {
    if person.visitor.role() != Role::Owner {
        return Ok(None);
    }
    let page = PageRequest { before: None, limit: DEVICES_SHOWN };
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
    let page = PageRequest { before: None, limit: 1 };
    Ok(!state.core().messages(person.principal(), filter, page).await?.items.is_empty())
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

async fn glance(state: &AppState, person: &Person, devices: &[Device]) -> Result<Markup, Error> {
    let words = person.words();
    let own = StartWords::of(person.lang);
    let is_connected = |device: &&Device| device.status == DeviceStatus::Connected;
    let connected = devices.iter().filter(is_connected).count();
    let today = state.core().usage_by_day(person.principal(), None, 1).await?.total();
    let waiting = waiting(state, person, None).await?;
    let quota = state.core().quota(person.principal(), None).await?;
    let need_attention = devices.iter().filter(|device| {
        matches!(device.status, DeviceStatus::Disconnected | DeviceStatus::LoggedOut)
    });
    let need_attention: Vec<_> = need_attention.collect();
    Ok(html! {
        dl.figures {
            div { dt { (words.sent_today) } dd { (today.sent) } }
            div { dt { (own.delivered) } dd { (today.delivered) } }
            div { dt { (own.read) } dd { (today.read) } }
            div { dt { (own.not_sent) } dd { (today.failed) } }
            div { dt { (own.received) } dd { (today.received) } }
        }
        dl.figures {
            div { dt { (words.waiting) } dd { (waiting) } }
            div { dt { (words.devices_connected) } dd { (connected) " / " (devices.len()) } }
            (figure_left(person, &quota))
        }
        @if !need_attention.is_empty() {
            section.card {
                h2 { (words.needs_attention) }
                ul.plain-list {
                    @for device in need_attention {
                        li {
                            a href=(show::device_path(device)) { (device_name(device)) } " "
                            (show::device_status(words, device.status))
                            @if let Some(reason) = &device.reason { " " span.quiet { (said(person.lang, reason)) } }
                        }
                    }
                }
            }
        }
    })
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
