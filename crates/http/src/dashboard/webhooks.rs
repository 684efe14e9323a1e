//! `/app/webhooks`: the account's webhooks, and a form for another one.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use domain::device::Device;
use domain::error::Error;
use domain::person::Role;
use domain::ports::{FormatRules, PageRequest};
use domain::service::{NewWebhookRequest, OWN_FORMAT};
use domain::webhook::{EventKind, SECRET_BYTES_MAX, Webhook};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{InAccount, Person, Posted, id};
use super::device_choice;
use super::failure::{Failure, PageResult, describe};
use super::layout::{self, Head, Place};
use super::reasons::said;
use super::show::{self, Fault, with};
use super::table::{self, Column};
use super::words::{Lang, Words};
use crate::state::AppState;

/// Webhooks of an account, all of them.
const WEBHOOKS_SHOWN: u32 = 100;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/webhooks", get(list).post(add))
}

/// What a webhook is made of, or changed to.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct HookForm {
    pub(super) url: String,
    format: String,
    device: String,
    pub(super) events: Vec<String>,
    secret: String,
}

impl HookForm {
    /// A webhook as it is.
    pub(super) fn of(webhook: &Webhook) -> Self {
        let events = webhook.events.iter().map(|kind| kind.as_str().to_owned()).collect();
        Self { url: webhook.url.clone(), events, ..Self::default() }
    }

    /// The events that are chosen.
    pub(super) fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().filter_map(|name| EventKind::from_name(name)).collect()
    }

    fn request(&self) -> Result<NewWebhookRequest, Error> {
        let chosen = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(NewWebhookRequest {
            device: match self.device.as_str() {
                "" => None,
                text => Some(id(text, "device")?),
            },
            url: self.url.clone(),
            format: chosen(&self.format),
            events: Some(self.kinds()).filter(|kinds| !kinds.is_empty()),
            secret: chosen(&self.secret),
        })
    }
}

/// The page of a webhook.
pub(super) fn webhook_path(webhook: &Webhook) -> String {
    format!("/app/webhooks/{}", webhook.id)
}

/// The account's webhooks.
pub(super) async fn account_webhooks(
    state: &AppState,
    person: &Person,
) -> Result<Vec<Webhook>, Error> {
    let page = PageRequest { before: None, limit: WEBHOOKS_SHOWN };
    Ok(state.core().webhooks(person.principal(), page).await?.items)
}

async fn list(State(state): State<AppState>, InAccount(person): InAccount) -> PageResult {
    person.visitor.require(Role::Owner)?;
    page(&state, &person, &HookForm::default(), None).await
}

async fn add(
    State(state): State<AppState>,
    Posted { person, form }: Posted<HookForm>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let request = form.request()?;
    match state.core().create_webhook(person.principal(), request).await {
        Ok((webhook, secret)) => Ok(made(&person, &webhook, &secret)),
        Err(Error::NotFound(what)) => Err(Error::NotFound(what).into()),
        Err(error) => {
            let fault = hook_fault(&person, error)?;
            page(&state, &person, &form, Some(&fault)).await
        }
    }
}

/// What is wrong with a webhook's field; other errors stay what they are.
pub(super) fn hook_fault(person: &Person, error: Error) -> Result<Fault, Failure> {
    let words = person.words();
    Ok(match error {
        Error::Invalid { field: "url", .. } => Fault::of("url", words.url_wrong.to_owned()),
        Error::Invalid { field, message } => {
            Fault::of(field, said(Lang::of_words(words), &message).into_owned())
        }
        Error::EventMissing(kind) => {
            Fault::of("events", with(words.event_not_in_plan, kind.as_str()))
        }
        Error::ChallengeFailed(why) => {
            Fault::of("url", with(words.challenge_failed, said(Lang::of_words(words), &why)))
        }
        error @ (Error::Conflict(_) | Error::TooManyWaits) => {
            Fault::of("url", describe(&error.into(), words))
        }
        error => return Err(error.into()),
    })
}

fn made(person: &Person, webhook: &Webhook, secret: &str) -> Response {
    let words = person.words();
    let body = html! {
        p.crumbs { a href="/app/webhooks" { (words.webhooks) } }
        h1 { (webhook.url) }
        (show::secret(words, words.secret, secret))
        p { a.button href=(webhook_path(webhook)) { (words.i_have_it) } }
    };
    layout::page(person, Place::Webhooks, words.webhooks, &body)
}

async fn page(
    state: &AppState,
    person: &Person,
    form: &HookForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let words = person.words();
    let webhooks = account_webhooks(state, person).await?;
    let devices = device_choice::devices_with(state, person, &form.device).await?;
    let named: BTreeSet<_> = webhooks.iter().filter_map(|webhook| webhook.device_id).collect();
    let named = device_choice::with_named(state, person, devices.clone(), named).await?;
    let body = html! {
        h1 { (words.webhooks) }
        p.quiet { (words.webhooks_lead) }
        @if webhooks.is_empty() { p.empty { (words.no_webhooks) } }
        @else { (table(words, &webhooks, &named)) }
        (add_form(state, person, &devices, form, fault))
    };
    let head = Head::default();
    let status = Fault::status(fault);
    Ok(layout::page_with(status, person, Place::Webhooks, words.webhooks, &head, &body))
}

fn table(words: &Words, webhooks: &[Webhook], devices: &[Device]) -> Markup {
    let columns = [
        Column::Text(words.address),
        Column::Clear(words.format),
        Column::Clear(words.device),
        Column::Named(words.events),
        Column::Clear(words.status),
    ];
    let row = |webhook: &Webhook| {
        [
            html! { a href=(webhook_path(webhook)) { (webhook.url) } },
            html! { (webhook.format.0) },
            html! { (whose_events(words, webhook, devices)) },
            html! { (webhook.events.len()) },
            hook_status(words, webhook),
        ]
    };
    table::table(words.webhooks, &columns, webhooks.iter().map(row))
}

/// Of which device a webhook gets the events.
pub(super) fn whose_events(words: &Words, webhook: &Webhook, devices: &[Device]) -> String {
    let Some(id) = webhook.device_id else { return words.all_devices.to_owned() };
    let known = devices.iter().find(|device| device.id == id);
    known.map_or_else(|| id.to_string(), show::device_name)
}

/// Whether a webhook is posted to, and why not.
pub(super) fn hook_status(words: &Words, webhook: &Webhook) -> Markup {
    html! {
        @match &webhook.disabled {
            None => span.badge data-tone="good" { (words.switched_on) },
            Some(why) => {
                span.badge data-tone="bad" { (words.switched_off) } " " span.quiet { (said(Lang::of_words(words), why)) }
            }
        }
    }
}

fn add_form(
    state: &AppState,
    person: &Person,
    devices: &[Device],
    form: &HookForm,
    fault: Option<&Fault>,
) -> Markup {
    let words = person.words();
    let formats = state.core().webhook_formats();
    html! {
        section.card {
            h2 { (words.add_webhook) }
            (Fault::above(fault, &["url", "events", "secret", "format"]))
            form.stack method="post" action="/app/webhooks" {
                (person.csrf())
                (url_field(words, form, fault))
                label for="device" { (words.device) }
                select #device name="device" {
                    option value="" { (words.all_devices) }
                    (device_choice::options(person.lang, devices, &form.device))
                }
                label for="format" { (words.format) }
                select #format name="format" aria-describedby="format-fault" {
                    @for FormatRules { name, .. } in &formats {
                        option value=(name) selected[*name == form.format] {
                            (name) @if *name == OWN_FORMAT { " (/v1)" }
                        }
                    }
                }
                (Fault::beside(fault, "format"))
                (event_boxes(words, form, words.events_help, fault))
                label for="secret" { (words.secret) }
                input #secret name="secret" maxlength=(SECRET_BYTES_MAX) autocomplete="off"
                    aria-describedby="secret-help secret-fault";
                span.help #secret-help { (words.secret_help) }
                (Fault::beside(fault, "secret"))
                button { (words.add) }
            }
        }
    }
}

/// The field of the address.
pub(super) fn url_field(words: &Words, form: &HookForm, fault: Option<&Fault>) -> Markup {
    html! {
        label for="url" { (words.address) }
        input #url name="url" type="url" required value=(form.url) placeholder="https://example.com/hook"
            aria-describedby="url-fault";
        (Fault::beside(fault, "url"))
    }
}

/// A box for each event.
pub(super) fn event_boxes(
    words: &Words,
    form: &HookForm,
    help: &str,
    fault: Option<&Fault>,
) -> Markup {
    html! {
        fieldset aria-describedby="events-fault" {
            legend { (words.events) }
            @if !help.is_empty() { span.help { (help) } }
            div.grid {
                @for kind in EventKind::ALL {
                    label.check {
                        input type="checkbox" name="events[]" value=(kind.as_str())
                            checked[form.events.iter().any(|name| name == kind.as_str())];
                        code { (kind.as_str()) }
                    }
                }
            }
            (Fault::beside(fault, "events"))
        }
    }
}
