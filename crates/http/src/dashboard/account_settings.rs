//! `/app/settings`: what the owners of an account choose for it; and the same, with its plan, on the
//! operator's page of the account.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::account::{Account, AccountPatch};
use domain::error::Error;
use domain::ids::AccountId;
use domain::message::{Direction, MessageState};
use domain::person::Role;
use domain::plan::Plan;
use domain::ports::MessageFilter;
use domain::service::NAME_CHARS_MAX;
use maud::{Markup, html};
use serde::Deserialize;

use super::accounts::operator;
use super::caller::{InAccount, Nothing, Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::reasons::said;
use super::show::{Confirm, Fault, with};
use super::words::{Lang, Words, words};
use crate::state::AppState;

/// Where owners set their account.
pub(super) const SETTINGS_PATH: &str = "/app/settings";
/// Zones that are offered; any of the IANA's may be written.
const ZONES: [&str; 6] = [
    "Asia/Jakarta",
    "Asia/Makassar",
    "Asia/Jayapura",
    "Asia/Singapore",
    "Asia/Kuala_Lumpur",
    "UTC",
];

words! {
    /// The texts of an account's settings.
    SettingsWords
    title: "Settings of the account", "Pengaturan akun";
    zone: "Time zone", "Zona waktu";
    zone_help: "Dates and times of the dashboard, quiet hours and the days of quotas are in it.", "Tanggal dan jam di dasbor, jam hening, dan hari kuota mengikutinya.";
    zone_wrong: "Write a time zone such as Asia/Jakarta.", "Isi zona waktu seperti Asia/Jakarta.";
    delete_warning: "The account is erased with all it has: devices are unlinked, messages that wait are not sent, and messages, files, keys, webhooks and people are gone. Nothing brings it back.", "Akun dihapus beserta seluruh isinya: tautan perangkat dilepas, pesan yang menunggu tidak dikirim, dan pesan, berkas, kunci, webhook, serta pengguna hilang. Tidak dapat dikembalikan.";
    waiting: "Messages that wait", "Pesan menunggu";
    country: "Country code for a leading zero", "Kode negara pengganti angka nol di depan";
    email_used: "Another account has this address.", "Alamat ini sudah dipakai akun lain.";
    country_wrong: "Write a country code such as 62.", "Isi kode negara seperti 62.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route(SETTINGS_PATH, get(show).post(change_own))
        .route("/app/accounts/{id}/settings", post(change))
        .route("/app/accounts/{id}/delete", get(ask_delete).post(delete))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SettingsForm {
    /// The account's, on the operator's page.
    name: String,
    email: String,
    plan: String,
    timezone: String,
    country: String,
}

impl SettingsForm {
    fn of(account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            email: account.email.clone(),
            plan: account.plan.clone(),
            timezone: account.timezone.name().to_owned(),
            country: account.default_country.clone(),
        }
    }
}

/// The field of a time zone.
pub(super) fn zone_field(lang: Lang, value: &str, fault: Option<&Fault>) -> Markup {
    let own = SettingsWords::of(lang);
    html! {
        label for="timezone" { (own.zone) }
        input #timezone name="timezone" value=(value) list="zones" maxlength="60"
            placeholder=(ZONES[0]) aria-describedby="timezone-help timezone-fault";
        datalist #zones { @for zone in ZONES { option value=(zone) {} } }
        span.help #timezone-help { (own.zone_help) }
        (Fault::beside(fault, "timezone"))
    }
}

/// The field of a plan.
pub(super) fn plan_field(
    words: &Words,
    plans: &[Plan],
    chosen: &str,
    fault: Option<&Fault>,
) -> Markup {
    html! {
        label for="plan" { (words.plan) }
        select #plan name="plan" aria-describedby="plan-fault" {
            @for plan in plans {
                option value=(plan.name) selected[plan.name == chosen] { (plan.name) }
            }
        }
        (Fault::beside(fault, "plan"))
    }
}

fn country_field(own: &SettingsWords, value: &str, fault: Option<&Fault>) -> Markup {
    html! {
        label for="country" { (own.country) }
        input #country name="country" value=(value) required maxlength="3" inputmode="numeric"
            aria-describedby="country-fault";
        (Fault::beside(fault, "country"))
    }
}

/// The field that is at fault; other errors stay what they are.
pub(super) fn field_fault(lang: Lang, error: Error) -> Result<Fault, Failure> {
    let (own, words) = (SettingsWords::of(lang), lang.words());
    match error {
        // The address is all that two accounts cannot share.
        Error::Conflict(_) => Ok(Fault::of("email", own.email_used.to_owned())),
        Error::Invalid { field: "email", .. } => {
            Ok(Fault::of("email", words.email_wrong.to_owned()))
        }
        Error::Invalid { field: "plan", message } => {
            Ok(Fault::of("plan", said(lang, &message).into_owned()))
        }
        Error::Invalid { field: "timezone", .. } => {
            Ok(Fault::of("timezone", own.zone_wrong.to_owned()))
        }
        Error::Invalid { field: "name", .. } => Ok(Fault::of("name", words.name_wrong.to_owned())),
        Error::Invalid { field: "default_country", .. } => {
            Ok(Fault::of("country", own.country_wrong.to_owned()))
        }
        error => Err(error.into()),
    }
}

async fn show(InAccount(person): InAccount) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let form = SettingsForm::of(person.principal().account()?);
    Ok(own_page(&person, &form, None))
}

fn own_page(person: &Person, form: &SettingsForm, fault: Option<&Fault>) -> Response {
    let own = SettingsWords::of(person.lang);
    let body = html! {
        h1 { (own.title) }
        form.stack method="post" action=(SETTINGS_PATH) {
            (person.csrf())
            (zone_field(person.lang, &form.timezone, fault))
            (country_field(own, &form.country, fault))
            button { (person.words().save) }
        }
    };
    let (status, head) = (Fault::status(fault), Head::default());
    layout::page_with(status, person, Place::Start, own.title, &head, &body)
}

async fn change_own(
    State(state): State<AppState>,
    Posted { person, form }: Posted<SettingsForm>,
) -> PageResult {
    person.visitor.require(Role::Owner)?;
    let (zone, country) = (form.timezone.trim().to_owned(), form.country.trim().to_owned());
    match state.core().update_own_account(person.principal(), zone, country).await {
        Ok(_) => Ok(redirect(SETTINGS_PATH)),
        Err(error) => Ok(own_page(&person, &form, Some(&field_fault(person.lang, error)?))),
    }
}

/// The settings on the operator's page of an account.
pub(super) async fn of_operator(
    state: &AppState,
    person: &Person,
    account: &Account,
) -> Result<Markup, Failure> {
    operator_form(state, person, account.id, &SettingsForm::of(account), None).await
}

async fn operator_form(
    state: &AppState,
    person: &Person,
    account: AccountId,
    form: &SettingsForm,
    fault: Option<&Fault>,
) -> Result<Markup, Failure> {
    let (words, own) = (person.words(), SettingsWords::of(person.lang));
    let plans = state.core().plans(&operator(person)?).await?;
    Ok(html! {
        section.card #settings {
            h2 { (words.settings) }
            form.stack method="post" action={ "/app/accounts/" (account) "/settings" } {
                (person.csrf())
                label for="name" { (words.name) }
                input #name name="name" required maxlength=(NAME_CHARS_MAX) value=(form.name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                label for="email" { (words.email) }
                input #email name="email" type="email" required value=(form.email)
                    aria-describedby="email-fault";
                (Fault::beside(fault, "email"))
                (plan_field(words, &plans, &form.plan, fault))
                (zone_field(person.lang, &form.timezone, fault))
                (country_field(own, &form.country, fault))
                button { (words.save) }
            }
            p { a.button.plain.danger-text href={ "/app/accounts/" (account) "/delete" } { (words.delete) } }
        }
    })
}

/// What is erased with an account.
async fn ask_delete(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let (own, operator) = (SettingsWords::of(person.lang), operator(&person)?);
    let account = state.core().account(&operator, AccountId(id(&text, "account")?)).await?;
    let inside = state.core().in_account(&operator, account.id).await?;
    let devices = state.core().device_counts(&inside).await?.all;
    let waiting = MessageFilter {
        direction: Some(Direction::Out),
        states: vec![MessageState::Scheduled, MessageState::Queued],
        ..MessageFilter::default()
    };
    let waiting = state.core().counted_messages(&inside, waiting, 1, 1).await?.total;
    let title = with(person.words().delete_device_title, &account.name);
    let confirm = Confirm {
        title: &title,
        what: html! {
            p { (own.delete_warning) }
            dl.facts {
                dt { (person.words().devices) } dd { (devices) }
                dt { (own.waiting) } dd { (waiting) }
            }
        },
        action: &format!("/app/accounts/{}/delete", account.id),
        button: person.words().delete,
        back: &format!("/app/accounts/{}", account.id),
    };
    Ok(layout::page(&person, Place::Accounts, &title, &confirm.render(&person)))
}

async fn delete(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let (operator, id) = (operator(&person)?, AccountId(id(&text, "account")?));
    if person.visitor.account().is_some_and(|account| account.id == id) {
        state.core().enter(&person.visitor, None).await?;
    }
    state.core().delete_account(&operator, id).await?;
    Ok(redirect("/app/accounts"))
}

async fn change(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<SettingsForm>,
) -> PageResult {
    let operator = operator(&person)?;
    let id = AccountId(id(&text, "account")?);
    let patch = AccountPatch {
        // A form from before it had a name and an address leaves them.
        name: Some(form.name.clone()).filter(|name| !name.is_empty()),
        email: Some(form.email.trim().to_owned()).filter(|email| !email.is_empty()),
        plan: Some(form.plan.clone()),
        timezone: Some(form.timezone.trim().to_owned()),
        default_country: Some(form.country.trim().to_owned()),
        ..AccountPatch::default()
    };
    let fault = match state.core().update_account(&operator, id, patch).await {
        Ok(_) => return Ok(redirect(&format!("/app/accounts/{id}"))),
        Err(error) => field_fault(person.lang, error)?,
    };
    let title = SettingsWords::of(person.lang).title;
    let body = html! {
        p.crumbs { a href={ "/app/accounts/" (id) } { (person.words().accounts) } }
        h1 { (title) }
        (operator_form(&state, &person, id, &form, Some(&fault)).await?)
    };
    let (status, head) = (Fault::status(Some(&fault)), Head::default());
    Ok(layout::page_with(status, &person, Place::Accounts, title, &head, &body))
}
