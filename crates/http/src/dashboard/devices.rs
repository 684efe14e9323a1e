//! `/app/devices`: the devices as cards, and a form for another one.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use domain::device::Device;
use domain::error::Error;
use domain::grant::Quota;
use domain::person::Role;
use domain::ports::Page;
use domain::service::NAME_CHARS_MAX;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, Posted};
use super::failure::{PageResult, describe, redirect};
use super::find::{self, FindQuery};
use super::heartbeat_bar::{self, Grain};
use super::layout::{self, Head, Place};
use super::quota;
use super::reasons::said;
use super::show::{self, Fault, device_path};
use super::start::waiting;
use super::words::words;
use crate::state::AppState;

/// Devices of a page.
const DEVICES_SHOWN: u32 = 24;
/// Digits of a number by which it is found.
const DIGITS_MIN: usize = 4;

words! {
    /// The texts of the list of devices.
    DeviceListWords
    find: "Name, number or id", "Nama, nomor, atau ID";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/devices", get(list).post(add))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AddForm {
    name: String,
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<FindQuery>,
) -> PageResult {
    page(&state, &person, &query, &AddForm::default(), None).await
}

/// The devices that match, or a page of all.
async fn devices(
    state: &AppState,
    person: &Person,
    query: &FindQuery,
) -> Result<Page<Device>, Error> {
    let wanted = query.text();
    // A number is found however it is written: with +62, 62 or 0, with spaces or without.
    let digits: String = wanted.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    let is_meant = |device: &Device| {
        find::holds(&device.name, wanted)
            || device.id.to_string().starts_with(wanted)
            || device.number_id.to_string() == wanted
            || device
                .phone
                .as_ref()
                .is_some_and(|phone| digits.len() >= DIGITS_MIN && phone.as_str().contains(digits))
    };
    let read = |page| state.core().devices(person.principal(), page);
    query.page(DEVICES_SHOWN, read, |device: &Device| device.number_id.0, is_meant).await
}

async fn add(
    State(state): State<AppState>,
    Posted { person, form }: Posted<AddForm>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let (device, _token) = match state.core().create_device(person.principal(), &form.name).await {
        Ok(made) => made,
        Err(error @ (Error::Invalid { .. } | Error::DeviceLimit(_))) => {
            let message = match &error {
                Error::Invalid { .. } => person.words().name_wrong.to_owned(),
                _ => describe(&error.into(), person.words()),
            };
            let fault = Fault::of("name", message);
            return page(&state, &person, &FindQuery::default(), &form, Some(&fault)).await;
        }
        Err(error) => return Err(error.into()),
    };
    Ok(redirect(&(device_path(&device) + "/pair")))
}

async fn page(
    state: &AppState,
    person: &Person,
    query: &FindQuery,
    form: &AddForm,
    fault: Option<&Fault>,
) -> Result<Response, super::failure::Failure> {
    let words = person.words();
    let devices = devices(state, person, query).await?;
    let quota = state.core().quota(person.principal(), None).await?;
    let mut cards = Vec::new();
    for device in &devices.items {
        cards.push(card(state, person, device, &quota).await?);
    }
    let last = devices.items.last().filter(|_| devices.has_more);
    let hint = DeviceListWords::of(person.lang).find;
    let body = html! {
        h1 { (words.devices) }
        @if cards.is_empty() && query.is_start() {
            p.empty { (words.no_devices) }
        }
        // Few are seen at a glance.
        @if last.is_some() || !query.is_start() {
            (find::form(person.lang, ("/app/devices", hint), query, (cards.len(), DEVICES_SHOWN)))
        }
        div.cards #cards data-live="device message tick" { @for card in &cards { (card) } }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.number_id) } { (words.older) } }
        }
        @if person.visitor.role() == Role::Owner { (add_form(person, form, fault)) }
    };
    let head = Head::default();
    Ok(layout::page_with(Fault::status(fault), person, Place::Devices, words.devices, &head, &body))
}

fn add_form(person: &Person, form: &AddForm, fault: Option<&Fault>) -> Markup {
    let words = person.words();
    html! {
        section.card {
            h2 { (words.add_device) }
            form.row method="post" action="/app/devices" {
                (person.csrf())
                div.field {
                    label for="name" { (words.name) }
                    input #name name="name" required maxlength=(NAME_CHARS_MAX) value=(form.name)
                        placeholder=(words.device_example) aria-describedby="name-fault";
                    (Fault::beside(fault, "name"))
                }
                button { (words.add_and_link) }
            }
        }
    }
}

async fn card(
    state: &AppState,
    person: &Person,
    device: &Device,
    quota: &Quota,
) -> Result<Markup, Error> {
    let words = person.words();
    let path = device_path(device);
    let is_owner = person.visitor.role() == Role::Owner;
    Ok(html! {
        article.card.device {
            div.head {
                h2 { a href=(path) { (device.name) } }
                (show::device_status(words, device.status))
            }
            p.number {
                @match &device.phone {
                    Some(phone) => { "+" (phone) }
                    None => { span.quiet { (words.no_number) } }
                }
            }
            @if let Some(reason) = &device.reason { p.quiet { (said(person.lang, reason)) } }
            (restricted(state, person, device))
            (heartbeat_bar::bar(state, person, device, Grain::TenMinutes).await?)
            (figures(state, person, device).await?)
            (quota::of_device(person, quota, device.id))
            @if is_owner && !device.status.is_paired() {
                p { a.button href={ (path) "/pair" } { (words.link) } }
            }
        }
    })
}

/// Until when WhatsApp lets the number write to no strangers.
pub(super) fn restricted(state: &AppState, person: &Person, device: &Device) -> Markup {
    let until = state.core().restricted_until(device).zip(person.visitor.account());
    html! {
        @if let Some((until, account)) = until {
            p.warning { (person.words().restricted_until) " " (show::time(account, until)) }
        }
    }
}

/// What a device has done today, and what waits for it.
pub(super) async fn figures(
    state: &AppState,
    person: &Person,
    device: &Device,
) -> Result<Markup, Error> {
    let words = person.words();
    let counts = state.core().device_figures(person.principal(), device.id).await?;
    let waiting = waiting(state, person, Some(device.id)).await?;
    Ok(html! {
        dl.figures.small {
            div { dt { (words.sent_today) } dd { (counts.sent_today) } }
            div { dt { (words.waiting) } dd {
                @if waiting > 0 {
                    a href={ "/app/messages?device=" (device.id) "&status=waiting" } { (waiting) }
                } @else { "0" }
            } }
            div { dt { (words.sent_all) } dd { (counts.sent) } }
            div { dt { (words.failed_all) } dd { (counts.failed) } }
        }
    })
}
