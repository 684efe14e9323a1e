//! `/app/send`: a text to a number, a group or a pasted list; and the same request as code.
//!
//! A list is looked at first, and goes as a whole or not at all. The form carries an idempotency key: sent
//! twice, it acts once; changed in between, it is another request.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use domain::account::Account;
use domain::content::Content;
use domain::device::Device;
use domain::error::Error;
use domain::ids::DeviceId;
use domain::message::TEXT_CHARS_MAX;
use domain::person::Role;
use domain::ports::{IdempotencyKey, PageRequest};
use domain::service::SendRequest;
use jiff::Timestamp;
use jiff::civil::DateTime;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::caller::{Asked, InAccount, Person, Posted, id};
use super::copy_as;
use super::failure::{Failure, PageResult, describe, redirect};
use super::layout::{self, Head, Place};
use super::recipients::{LineFault, List};
use super::show::{self, Fault, with};
use super::words::Words;
use crate::net::server_address;
use crate::state::AppState;

/// Devices to choose from.
const DEVICES_SHOWN: u32 = 100;
/// Most receivers of a list that are shown before it goes.
const PREVIEW_ROWS: usize = 20;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/send", get(show_form).post(submit))
}

#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(default)]
struct SendForm {
    device: String,
    to: String,
    text: String,
    schedule_at: String,
    /// What makes a repeated form recognisable.
    #[serde(skip_serializing)]
    key: String,
    /// What is to be done: send, show as code, or go on after a look at the list.
    #[serde(skip_serializing)]
    act: String,
}

/// Why nothing is sent.
enum Refusal {
    Field(Fault),
    Lines(List),
}

async fn show_form(
    State(state): State<AppState>,
    headers: HeaderMap,
    InAccount(person): InAccount,
    Asked(mut form): Asked<SendForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    form.key = new_key(&state);
    page(&state, &headers, &person, &form, None).await
}

fn new_key(state: &AppState) -> String {
    let mut random = [0; 16];
    state.core().fill_random(&mut random);
    hex::encode(random)
}

async fn submit(
    State(state): State<AppState>,
    headers: HeaderMap,
    Posted { person, form }: Posted<SendForm>,
) -> PageResult {
    person.visitor.require(Role::Member)?;
    let Some(account) = person.visitor.account() else { return Err(Failure::NoAccount) };
    if form.act == "code" {
        return page(&state, &headers, &person, &form, None).await;
    }
    let requests = match requests(&person, account, &form, state.core().now()) {
        Ok(requests) => requests,
        Err(refusal) => return page(&state, &headers, &person, &form, Some(&refusal)).await,
    };
    if requests.len() > 1 && form.act != "all" {
        return Ok(preview(&person, &form, &requests));
    }
    let count = requests.len();
    match state.core().send(person.principal(), requests, Some(idempotency(&form))).await {
        Ok(accepted) => Ok(match accepted.messages.first() {
            Some(message) if count == 1 => redirect(&format!("/app/messages/{}", message.id)),
            _ => redirect(&format!("/app/messages?direction=out&sent={count}")),
        }),
        Err(Error::NotFound(what)) => Err(Error::NotFound(what).into()),
        Err(error) => {
            let field = match &error {
                Error::Invalid { field: "to", .. } => "to",
                Error::Invalid { field: "schedule_at", .. } => "schedule_at",
                Error::DeviceNotConnected(_) => "device",
                _ => "text",
            };
            let fault = Fault::of(field, describe(&error.into(), person.words()));
            page(&state, &headers, &person, &form, Some(&Refusal::Field(fault))).await
        }
    }
}

fn idempotency(form: &SendForm) -> IdempotencyKey {
    let what = serde_json::to_vec(form).unwrap_or_default();
    let request_hash: [u8; 32] = Sha256::digest(&what).into();
    let key: String = form.key.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    IdempotencyKey {
        route: "POST /app/send".to_owned(),
        // A form that was changed is another request.
        key: format!("{key}-{}", hex::encode(&request_hash[..16])),
        request_hash,
        token_of: None,
    }
}

fn requests(
    person: &Person,
    account: &Account,
    form: &SendForm,
    now: Timestamp,
) -> Result<Vec<SendRequest>, Refusal> {
    let words = person.words();
    let refused = |field, message: &str| Refusal::Field(Fault::of(field, message.to_owned()));
    let device: DeviceId =
        id(&form.device, "device").map_err(|_| refused("device", words.no_linked_device))?;
    let list = List::read(&form.to, &account.default_country);
    if !list.faults.is_empty() {
        return Err(Refusal::Lines(list));
    }
    if list.receivers.is_empty() {
        return Err(refused("to", words.to_missing));
    }
    if form.text.trim().is_empty() {
        return Err(refused("text", words.text_missing));
    }
    let unknown = list.unknown_variables(&form.text);
    if let (Some(name), false) = (unknown.first(), list.columns.is_empty()) {
        return Err(refused("text", &with(words.unknown_variable, name)));
    }
    let schedule_at = match form.schedule_at.as_str() {
        "" => None,
        text => {
            Some(moment(text, account, now).ok_or(refused("schedule_at", words.schedule_wrong))?)
        }
    };
    let requests = list.receivers.iter().map(|receiver| SendRequest {
        device: Some(device.into()),
        to: receiver.to.clone(),
        content: Content::Text(receiver.filled(&form.text).into()),
        schedule_at,
        ..SendRequest::default()
    });
    Ok(requests.collect())
}

/// A time of the account's time zone that is to come.
fn moment(text: &str, account: &Account, now: Timestamp) -> Option<Timestamp> {
    let there: DateTime = text.parse().ok()?;
    let at = there.to_zoned(account.timezone.zone().clone()).ok()?.timestamp();
    (at > now).then_some(at)
}

async fn page(
    state: &AppState,
    headers: &HeaderMap,
    person: &Person,
    form: &SendForm,
    refusal: Option<&Refusal>,
) -> Result<Response, Failure> {
    let words = person.words();
    let page = PageRequest { before: None, limit: DEVICES_SHOWN };
    let mut devices = state.core().devices(person.principal(), page).await?.items;
    devices.retain(|device| device.status.is_paired());
    let chosen = devices.iter().find(|device| device.id.to_string() == form.device);
    let chosen = chosen.or(devices.first());
    let address = server_address(state.config(), headers);
    let body = html! {
        h1 { (words.send) }
        @match chosen {
            None => {
                p.empty { (words.no_linked_device) " " a href="/app/devices" { (words.devices) } }
            }
            Some(device) => {
                div.beside[state.config().demo_phone.is_some()] {
                    div {
                        (compose(person, &devices, form, refusal))
                        section #code {
                            h2 { (words.as_code) }
                            p.quiet { (words.as_code_help) }
                            (copy_as::blocks(&address, device, &form.to, &form.text))
                        }
                    }
                    @if let Some(phone) = &state.config().demo_phone {
                        div {
                            h2 { (words.simulated_phone) }
                            iframe src=(phone) title=(words.simulated_phone) {}
                        }
                    }
                }
            }
        }
    };
    let status = match refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let head = Head::default();
    Ok(layout::page_with(status, person, Place::Send, words.send, &head, &body))
}

fn compose(
    person: &Person,
    devices: &[Device],
    form: &SendForm,
    refusal: Option<&Refusal>,
) -> Markup {
    let words = person.words();
    let fault = match refusal {
        Some(Refusal::Field(fault)) => Some(fault),
        _ => None,
    };
    html! {
        @if let Some(Refusal::Lines(list)) = refusal { (lines(words, list)) }
        form.stack method="post" action="/app/send" {
            (person.csrf())
            input type="hidden" name="key" value=(form.key);
            label for="device" { (words.device) }
            select #device name="device" aria-describedby="device-fault" {
                @for device in devices {
                    option value=(device.id) selected[device.id.to_string() == form.device] {
                        (show::device_name(device))
                    }
                }
            }
            (Fault::beside(fault, "device"))
            label for="to" { (words.to) }
            textarea #to name="to" rows="2" required aria-describedby="to-help to-fault" { (form.to) }
            span.help #to-help { (words.to_help) }
            (Fault::beside(fault, "to"))
            label for="text" { (words.text) }
            textarea #text name="text" rows="5" required maxlength=(TEXT_CHARS_MAX)
                aria-describedby="text-help text-fault" { (form.text) }
            span.help #text-help { (words.text_help) }
            (Fault::beside(fault, "text"))
            label for="schedule_at" { (words.schedule_at) }
            input #schedule_at name="schedule_at" type="datetime-local" value=(form.schedule_at)
                aria-describedby="schedule_at-fault";
            (Fault::beside(fault, "schedule_at"))
            div.row {
                button { (words.send) }
                button.plain name="act" value="code" formnovalidate { (words.show_as_code) }
            }
        }
    }
}

fn lines(words: &Words, list: &List) -> Markup {
    html! {
        div.warning role="alert" {
            p { (words.nothing_sent) }
            ul {
                @for (line, text, fault) in list.faults.iter().take(PREVIEW_ROWS) {
                    li { (words.line) " " (line) ": " @if !text.is_empty() { "“" (text) "” " }
                        (line_fault(words, fault)) }
                }
                @if list.faults.len() > PREVIEW_ROWS { li { "…" } }
            }
        }
    }
}

fn line_fault(words: &Words, fault: &LineFault) -> &'static str {
    match fault {
        LineFault::Shortened => words.line_shortened,
        LineFault::NoNumber => words.line_no_number,
        LineFault::Empty => words.line_empty,
        LineFault::TooMany => words.line_too_many,
    }
}

fn preview(person: &Person, form: &SendForm, requests: &[SendRequest]) -> Response {
    let words = person.words();
    let hidden = [
        ("device", &form.device),
        ("to", &form.to),
        ("text", &form.text),
        ("schedule_at", &form.schedule_at),
        ("key", &form.key),
    ];
    let text = |request: &SendRequest| match &request.content {
        Content::Text(text) => text.to_string(),
        _ => String::new(),
    };
    let title = with(words.preview_title, requests.len());
    let body = html! {
        h1 { (title) }
        div.wide role="group" aria-label=(words.preview) tabindex="0" {
            table {
                thead { tr { th { (words.to) } th { (words.text) } } }
                tbody {
                    @for request in requests.iter().take(PREVIEW_ROWS) {
                        tr { td { (request.to) } td.what { (text(request)) } }
                    }
                    @if requests.len() > PREVIEW_ROWS { tr { td { "…" } td {} } }
                }
            }
        }
        form.row method="post" action="/app/send" {
            (person.csrf())
            @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
            button name="act" value="all" { (words.send_all) }
            button.plain name="act" value="code" { (words.change) }
        }
    };
    layout::page(person, Place::Send, &title, &body)
}
