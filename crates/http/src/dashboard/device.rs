//! `/app/devices/{id}`: one device: its state and settings, linking it, unlinking it, deleting it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::device::{Device, DeviceStatus};
use domain::error::Error;
use domain::person::Role;
use domain::policy::pacing::{GAP_S_MAX, Pacing, QuietHours};
use domain::service::{DeviceChange, NAME_CHARS_MAX};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{InAccount, Nothing, Person, Posted, id};
use super::device_hooks;
use super::device_more;
use super::devices::{figures, restricted};
use super::failure::{Failure, PageResult, redirect};
use super::heartbeat_bar::{self, Grain};
use super::layout::{self, Head, Place};
use super::linking::{self, Linking, PairForm};
use super::portal_links;
use super::quota;
use super::reasons::said;
use super::show::{self, Fault, device_path, with};
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/devices/{id}", get(show).post(change))
        .route("/app/devices/{id}/pair", get(show_pairing).post(pair))
        .route("/app/devices/{id}/pair/stop", post(stop_pairing))
        .route("/app/devices/{id}/connect", post(connect))
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct SettingsForm {
    name: String,
    own_pacing: String,
    min_s: String,
    max_s: String,
    typing: String,
    first_contacts: String,
    warm_up: String,
    quiet_from: String,
    quiet_until: String,
}

async fn device(
    state: &AppState,
    person: &Person,
    text: &str,
) -> Result<std::sync::Arc<Device>, Error> {
    state.core().device(person.principal(), id(text, "device")?).await
}

/// The device, for somebody who may change it.
pub(super) async fn own_device(
    state: &AppState,
    person: &Person,
    text: &str,
) -> Result<std::sync::Arc<Device>, Error> {
    let device = device(state, person, text).await?;
    person.visitor.require(Role::Owner)?;
    Ok(device)
}

async fn show(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let device = device(&state, &person, &text).await?;
    page(&state, &person, &device, &SettingsForm::of(&device), None).await
}

async fn page(
    state: &AppState,
    person: &Person,
    device: &Device,
    form: &SettingsForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let words = person.words();
    let path = device_path(device);
    let is_owner = person.visitor.role() == Role::Owner;
    let quota = state.core().quota(person.principal(), None).await?;
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } }
        h1 { (device.name) }
        div #state data-live="device message tick" {
            p {
                (show::device_status(words, device.status)) " "
                @if let Some(phone) = &device.phone { "+" (phone) }
                @if let Some(reason) = &device.reason { " " span.quiet { (said(person.lang, reason)) } }
            }
            (restricted(state, person, device))
            (heartbeat_bar::bar(state, person, device, Grain::Minute).await?)
            (figures(state, person, device).await?)
            (quota::of_device(person, &quota, device.id))
        }
        @if is_owner {
            div #acts data-live="device" data-version=(device.status.as_str()) {
                (acts(person, device, &path))
            }
        }
        dl.facts {
            dt { (words.device_id) } dd { code { (device.id) } }
            dt { (words.device_number) } dd { code { (device.number_id) } }
            @if let (Some(at), Some(account)) = (device.paired_at, person.visitor.account()) {
                dt { (words.linked_at) } dd { (show::time(account, at)) }
            }
        }
        @if is_owner {
            (settings(person, &path, form, fault))
            (device_more::link(person, device))
            (device_hooks::section(state, person, device).await?)
            (portal_links::section(state, person, device).await?)
        }
    };
    let head = Head { stream: Some(device_stream(device)), ..Head::default() };
    Ok(layout::page_with(Fault::status(fault), person, Place::Devices, &device.name, &head, &body))
}

fn acts(person: &Person, device: &Device, path: &str) -> Markup {
    let words = person.words();
    let is_paired = device.status.is_paired();
    html! {
        div.row {
            @if is_paired {
                @if device.status != DeviceStatus::Connected {
                    form method="post" action={ (path) "/connect" } {
                        (person.csrf())
                        button { (words.connect_now) }
                    }
                }
                a.button.plain href={ (path) "/logout" } { (words.log_out_device) }
            } @else {
                a.button href={ (path) "/pair" } { (words.link) }
            }
            a.button.plain href={ (path) "/token" } { (words.new_token) }
            a.button.plain.danger-text href={ (path) "/delete" } { (words.delete) }
        }
    }
}

fn settings(person: &Person, path: &str, form: &SettingsForm, fault: Option<&Fault>) -> Markup {
    let words = person.words();
    let field = |name: &'static str, label: &str, value: &str, kind: &str| {
        html! {
            div.field {
                label for=(name) { (label) }
                input id=(name) name=(name) type=(kind) value=(value)
                    min=[(kind == "number").then_some("0")] aria-describedby={ (name) "-fault" };
                (Fault::beside(fault, name))
            }
        }
    };
    let is_on = |value: &str| !value.is_empty();
    html! {
        section.card {
            h2 { (words.settings) }
            form.stack method="post" action=(path) {
                (person.csrf())
                (field("name", words.name, &form.name, "text"))
                fieldset {
                    legend { (words.pacing) }
                    label.check {
                        input type="radio" name="own_pacing" value="" checked[!is_on(&form.own_pacing)];
                        (words.pacing_default)
                    }
                    label.check {
                        input type="radio" name="own_pacing" value="1" checked[is_on(&form.own_pacing)];
                        (words.pacing_own)
                    }
                    div.grid {
                        (field("min_s", words.pause_min, &form.min_s, "number"))
                        (field("max_s", words.pause_max, &form.max_s, "number"))
                        (field("first_contacts", words.first_contacts, &form.first_contacts, "number"))
                        (field("quiet_from", &show::zoned(words.quiet_from, person.visitor.account()), &form.quiet_from, "time"))
                        (field("quiet_until", &show::zoned(words.quiet_until, person.visitor.account()), &form.quiet_until, "time"))
                    }
                    label.check {
                        input type="checkbox" name="typing" value="1" checked[is_on(&form.typing)];
                        (words.show_typing)
                    }
                    label.check {
                        input type="checkbox" name="warm_up" value="1" checked[is_on(&form.warm_up)];
                        (words.warm_up)
                    }
                }
                button { (words.save) }
            }
        }
    }
}

impl SettingsForm {
    fn of(device: &Device) -> Self {
        let flag = |is_on: bool| if is_on { "1".to_owned() } else { String::new() };
        let pacing = device.pacing.clone();
        let shown = pacing.clone().or_else(|| Pacing::between(3, 8).ok());
        let shown = shown.unwrap_or_else(Pacing::off);
        let hour = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
        let quiet = shown.quiet_hours.map(|q| (hour(q.from), hour(q.until))).unwrap_or_default();
        Self {
            name: device.name.clone(),
            own_pacing: flag(pacing.is_some()),
            min_s: shown.min_s.to_string(),
            max_s: shown.max_s.to_string(),
            typing: flag(shown.typing),
            first_contacts: shown.first_contacts_per_day.map_or(String::new(), |n| n.to_string()),
            warm_up: flag(shown.warm_up),
            quiet_from: quiet.0,
            quiet_until: quiet.1,
        }
    }

    /// What is asked for.
    fn change(&self, person: &Person) -> Result<DeviceChange, Fault> {
        let words = person.words();
        let pacing = match self.own_pacing.is_empty() {
            true => None,
            false => Some(self.pacing(person)?),
        };
        if self.name.trim().is_empty() || self.name.chars().count() > NAME_CHARS_MAX {
            return Err(Fault::of("name", words.name_wrong.to_owned()));
        }
        Ok(DeviceChange {
            name: Some(self.name.clone()),
            pacing: Some(pacing),
            ..DeviceChange::default()
        })
    }

    fn pacing(&self, person: &Person) -> Result<Pacing, Fault> {
        let words = person.words();
        let number = |field, text: &str, max: u32| {
            let number = text.trim().parse().ok().filter(|number| *number <= max);
            number.ok_or_else(|| Fault::of(field, with(words.number_wrong, max)))
        };
        let time = |field, text: &str| {
            text.parse().map_err(|_| Fault::of(field, words.time_wrong.to_owned()))
        };
        let quiet_hours = match (self.quiet_from.is_empty(), self.quiet_until.is_empty()) {
            (true, true) => None,
            _ => Some(QuietHours {
                from: time("quiet_from", &self.quiet_from)?,
                until: time("quiet_until", &self.quiet_until)?,
            }),
        };
        let pacing = Pacing {
            min_s: number("min_s", &self.min_s, GAP_S_MAX)?,
            max_s: number("max_s", &self.max_s, GAP_S_MAX)?,
            typing: !self.typing.is_empty(),
            first_contacts_per_day: match self.first_contacts.trim() {
                "" => None,
                text => Some(number("first_contacts", text, u32::MAX)?),
            },
            warm_up: !self.warm_up.is_empty(),
            quiet_hours,
        };
        pacing.check().map_err(|_| Fault::of("max_s", words.pause_wrong.to_owned()))?;
        Ok(pacing)
    }
}

async fn change(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<SettingsForm>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    let change = match form.change(&person) {
        Ok(change) => change,
        Err(fault) => return page(&state, &person, &device, &form, Some(&fault)).await,
    };
    state.core().update_device(person.principal(), device.id, change).await?;
    Ok(redirect(&device_path(&device)))
}

async fn show_pairing(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    pairing_page(&state, &person, &device, None).await
}

async fn pair(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<PairForm>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    let fault = form.begin(&state, person.principal(), &device, person.words()).await;
    if fault.is_some() {
        return pairing_page(&state, &person, &device, fault.as_ref()).await;
    }
    Ok(redirect(&(device_path(&device) + "/pair")))
}

/// The stream of a page about a device.
fn device_stream(device: &Device) -> String {
    format!("/app/stream?device={}", device.id)
}

async fn pairing_page(
    state: &AppState,
    person: &Person,
    device: &Device,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let words = person.words();
    let path = device_path(device);
    let linking = Linking::of(state, person.principal(), device, person.lang).await;
    let linked = html! {
        p.success role="status" { (words.linked) }
        p.row {
            a.button href={ "/app/send?device=" (device.id) } { (words.send_first) }
            a.button.plain href=(path) { (device.name) }
        }
    };
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } " › " a href=(path) { (device.name) } }
        h1 { (words.link_title) }
        (linking.render(&path, &person.csrf(), fault, &linked))
    };
    let stream = Some(device_stream(device));
    let head = Head { reload_s: linking.reload_s(), stream };
    Ok(layout::page_with(
        Fault::status(fault),
        person,
        Place::Devices,
        words.link_title,
        &head,
        &body,
    ))
}

async fn stop_pairing(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    linking::stop(&state, person.principal(), &device).await?;
    Ok(redirect(&(device_path(&device) + "/pair")))
}

async fn connect(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    state.core().connect(person.principal(), device.id).await?;
    Ok(redirect(&device_path(&device)))
}
