//! `/app/keys`: the account's keys, what they may do, and a form for another one.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use domain::account::Key;
use domain::device::Device;
use domain::error::Error;
use domain::ids::KeyId;
use domain::person::Role;
use domain::ports::PageRequest;
use domain::scope::{Scope, Scopes};
use domain::service::{NAME_CHARS_MAX, NewKeyRequest};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Nothing, Person, Posted, id};
use super::device_choice;
use super::failure::{Failure, PageResult, describe, redirect};
use super::layout::{self, Head, Place};
use super::show::{self, Confirm, Fault, with};
use super::table::{self, Column};
use super::words::Words;
use crate::state::AppState;

/// The choice of all scopes, in their field.
const ALL_SCOPES: &str = "all";
/// What most programs need.
const PROPOSED: [Scope; 2] = [Scope::Read, Scope::Send];
/// Keys of a page.
const KEYS_SHOWN: u32 = 100;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/keys", get(list).post(add))
        .route("/app/keys/{id}/revoke", get(ask_revoke).post(revoke))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListQuery {
    before: Option<i64>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct KeyForm {
    name: String,
    scopes: Vec<String>,
    device: String,
    expires_at: String,
}

impl KeyForm {
    fn has_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|chosen| chosen == name)
    }

    fn request(&self, person: &Person) -> Result<NewKeyRequest, Fault> {
        let words = person.words();
        let chosen = self.scopes.iter().filter_map(|name| Scope::from_name(name)).collect();
        let scopes = if self.has_scope(ALL_SCOPES) { Scopes::ALL } else { chosen };
        let device = match self.device.as_str() {
            "" => None,
            text => Some(
                id(text, "device").map_err(|_| Fault::of("device", words.not_found.to_owned()))?,
            ),
        };
        let expires_at = match self.expires_at.as_str() {
            "" => None,
            text => {
                let at = show::moment(person, text);
                Some(at.ok_or_else(|| Fault::of("expires_at", words.expiry_wrong.to_owned()))?)
            }
        };
        if scopes.is_empty() {
            return Err(Fault::of("scopes", words.scopes_missing.to_owned()));
        }
        Ok(NewKeyRequest { name: self.name.clone(), scopes: Some(scopes), device, expires_at })
    }
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<ListQuery>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let scopes = PROPOSED.map(|scope| scope.as_str().to_owned()).to_vec();
    let form = KeyForm { scopes, ..KeyForm::default() };
    page(&state, &person, query.before, &form, None).await
}

async fn add(
    State(state): State<AppState>,
    Posted { person, form }: Posted<KeyForm>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let request = match form.request(&person) {
        Ok(request) => request,
        Err(fault) => return page(&state, &person, None, &form, Some(&fault)).await,
    };
    match state.core().create_key(person.principal(), request).await {
        Ok((key, secret)) => Ok(made(&person, &key, secret.reveal())),
        Err(error) => {
            let fault = key_fault(&person, error)?;
            page(&state, &person, None, &form, Some(&fault)).await
        }
    }
}

fn key_fault(person: &Person, error: Error) -> Result<Fault, Failure> {
    let words = person.words();
    Ok(match error {
        Error::Invalid { field: "name", .. } => Fault::of("name", words.name_wrong.to_owned()),
        Error::Invalid { field: "expires_at", .. } => {
            Fault::of("expires_at", words.expiry_wrong.to_owned())
        }
        Error::Conflict(_) => Fault::of("key", words.too_many_keys.to_owned()),
        error @ Error::Invalid { .. } => Fault::of("key", describe(&error.into(), words)),
        error => return Err(error.into()),
    })
}

fn made(person: &Person, key: &Key, secret: &str) -> Response {
    let words = person.words();
    let body = html! {
        p.crumbs { a href="/app/keys" { (words.keys) } }
        h1 { (key.name) }
        (show::secret(words, words.key, secret))
        p { a.button href="/app/keys" { (words.i_have_it) } }
    };
    layout::page(person, Place::Keys, words.keys, &body)
}

async fn page(
    state: &AppState,
    person: &Person,
    before: Option<i64>,
    form: &KeyForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let words = person.words();
    let page = PageRequest { before, limit: KEYS_SHOWN };
    let keys = state.core().keys(person.principal(), page).await?;
    let devices = device_choice::devices_with(state, person, &form.device).await?;
    let named: BTreeSet<_> = keys.items.iter().filter_map(|key| key.device_id).collect();
    let named = device_choice::with_named(state, person, devices.clone(), named).await?;
    let last = keys.items.last().filter(|_| keys.has_more);
    let body = html! {
        h1 { (words.keys) }
        p.quiet { (words.keys_lead) }
        @if keys.items.is_empty() { p.empty { (words.no_keys) } }
        @else { (table(state, person, &keys.items, &named)) }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.id) } { (words.older) } }
        }
        (add_form(person, &devices, form, fault))
    };
    let status = Fault::status(fault);
    Ok(layout::page_with(status, person, Place::Keys, words.keys, &Head::default(), &body))
}

fn table(state: &AppState, person: &Person, keys: &[Key], devices: &[Device]) -> Markup {
    let words = person.words();
    let columns = [
        Column::Clear(words.name),
        Column::Clear(words.ends_in),
        Column::Clear(words.scopes),
        Column::Clear(words.device),
        Column::Named(words.last_used),
        Column::Named(words.expires),
        Column::Acts(words.revoke),
    ];
    let row = |key: &Key| {
        let name = if key.is_token { words.device_token } else { &key.name };
        [
            html! { @if key.is_token { span.kind { (name) } } @else { (name) } },
            html! { code { "…" (key.last_four) } },
            html! { (scope_words(words, key.scopes)) },
            device(words, key, devices),
            html! { @match key.last_used_at {
                Some(at) => (show::time_for(person, at)),
                None => span.quiet { (words.never) },
            } },
            expiry(state, person, key),
            html! { a.button.plain.danger-text href={ "/app/keys/" (key.id) "/revoke" }
            aria-label={ (words.revoke) " " (name) " …" (key.last_four) } { (words.revoke) } },
        ]
    };
    table::table(words.keys, &columns, keys.iter().map(row))
}

/// The device that a key is for.
fn device(words: &Words, key: &Key, devices: &[Device]) -> Markup {
    let Some(id) = key.device_id else { return html! { (words.all_devices) } };
    let known = devices.iter().find(|device| device.id == id);
    let name = known.map_or_else(|| id.to_string(), show::device_name);
    html! { a href={ "/app/devices/" (id) } { (name) } }
}

fn expiry(state: &AppState, person: &Person, key: &Key) -> Markup {
    let words = person.words();
    html! {
        @match key.expires_at {
            None => span.quiet { (words.never) },
            Some(at) => {
                (show::time_for(person, at))
                @if at <= state.core().now() {
                    " " span.badge data-tone="bad" { (words.expired) }
                }
            }
        }
    }
}

fn scope_words(words: &Words, scopes: Scopes) -> String {
    let names: Vec<&str> = scopes.iter().map(|scope| scope_word(words, scope)).collect();
    names.join(", ")
}

fn scope_word(words: &Words, scope: Scope) -> &'static str {
    match scope {
        Scope::Read => words.scope_read,
        Scope::Send => words.scope_send,
        Scope::Manage => words.scope_manage,
    }
}

fn scope_help(words: &Words, scope: Scope) -> &'static str {
    match scope {
        Scope::Read => words.scope_read_help,
        Scope::Send => words.scope_send_help,
        Scope::Manage => words.scope_manage_help,
    }
}

fn scope_field(form: &KeyForm, value: &str, name: &str, help: &str) -> Markup {
    html! {
        label.check {
            input type="checkbox" name="scopes[]" value=(value) checked[form.has_scope(value)];
            span { (name) " " span.quiet { (help) } }
        }
    }
}

fn add_form(person: &Person, devices: &[Device], form: &KeyForm, fault: Option<&Fault>) -> Markup {
    let words = person.words();
    html! {
        section.card {
            h2 { (words.add_key) }
            (Fault::above(fault, &["name", "scopes", "device", "expires_at"]))
            form.stack method="post" action="/app/keys" {
                (person.csrf())
                label for="name" { (words.name) }
                input #name name="name" required maxlength=(NAME_CHARS_MAX) value=(form.name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                fieldset aria-describedby="scopes-fault" {
                    legend { (words.scopes) }
                    p.help { (words.scopes_help) }
                    @for scope in Scope::ALL {
                        (scope_field(form, scope.as_str(), scope_word(words, scope), scope_help(words, scope)))
                    }
                    (scope_field(form, ALL_SCOPES, words.scope_all, words.scope_all_help))
                    (Fault::beside(fault, "scopes"))
                }
                label for="device" { (words.device) }
                select #device name="device" aria-describedby="device-fault" {
                    option value="" { (words.all_devices) }
                    (device_choice::options(person.lang, devices, &form.device))
                }
                (Fault::beside(fault, "device"))
                label for="expires_at" {
                    (show::zoned(words.expires_optional, person.visitor.account()))
                }
                input #expires_at name="expires_at" type="datetime-local" value=(form.expires_at)
                    aria-describedby="expires_at-fault";
                (Fault::beside(fault, "expires_at"))
                button { (words.add) }
            }
        }
    }
}

/// The key of a path, where it is the account's.
async fn named(state: &AppState, person: &Person, text: &str) -> Result<Key, Error> {
    person.visitor.require(Role::Owner)?;
    let wanted = KeyId(id(text, "key")?);
    let page = PageRequest { before: wanted.0.checked_add(1), limit: 1 };
    let found = state.core().keys(person.principal(), page).await?.items.pop();
    found.filter(|key| key.id == wanted).ok_or(Error::NotFound("key"))
}

async fn ask_revoke(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, key) = (person.words(), named(&state, &person, &text).await?);
    let confirm = Confirm {
        title: &with(words.revoke_title, format!("{} …{}", key.name, key.last_four)),
        what: html! {
            p { (words.revoke_warning) }
            @if let Some(at) = key.last_used_at {
                p { (words.last_used) ": " (show::time_for(&person, at)) }
            }
        },
        action: &format!("/app/keys/{}/revoke", key.id),
        button: words.revoke,
        back: "/app/keys",
    };
    let body = html! {
        p.crumbs { a href="/app/keys" { (words.keys) } }
        (confirm.render(&person))
    };
    Ok(layout::page(&person, Place::Keys, words.revoke, &body))
}

async fn revoke(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    state.core().delete_key(person.principal(), KeyId(id(&text, "key")?)).await?;
    Ok(redirect("/app/keys"))
}
