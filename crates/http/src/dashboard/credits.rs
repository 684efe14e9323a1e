//! Messages beside the plan's: `/app/accounts/{id}` grants them, `/app/vouchers` makes codes for them. For
//! the operator.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use domain::account::Account;
use domain::error::Error;
use domain::grant::{GRANT_MESSAGES_MAX, Grant, NewGrant, VOUCHER_DAYS_MAX, VOUCHERS_MAX};
use domain::ids::AccountId;
use domain::key::Secret;
use domain::service::Principal;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use super::account_settings;
use super::accounts::operator;
use super::caller::{Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::quota;
use super::reasons::said;
use super::show::{self, Fault};
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of grants and vouchers.
    CreditWords
    granted: "Granted messages", "Pesan tambahan";
    granted_help: "They are spent before the plan's own. What is granted again is put on top; the later end counts.", "Dipakai sebelum jatah paket. Tambahan berikutnya ditumpuk; tanggal berakhir yang lebih akhir berlaku.";
    none: "Nothing was granted.", "Belum ada tambahan.";
    total: "Granted", "Ditambahkan";
    used: "Used", "Terpakai";
    until: "Until", "Sampai";
    never: "without end", "tanpa batas waktu";
    whole_account: "all devices", "semua perangkat";
    add: "Grant messages", "Tambah pesan";
    messages: "Messages", "Jumlah pesan";
    last_day: "Last day (optional)", "Hari terakhir (opsional)";
    messages_wrong: "Write how many messages, 1 to 1,000,000,000.", "Isi jumlah pesan, 1 sampai 1.000.000.000.";
    day_wrong: "Choose a day that is to come.", "Pilih hari yang akan datang.";
    vouchers: "Vouchers", "Voucher";
    vouchers_help: "Each code can be redeemed once, by a device of any account. The codes are shown only when they are made.", "Tiap kode dapat dipakai sekali, oleh perangkat akun mana pun. Kode hanya ditampilkan saat dibuat.";
    count: "How many codes", "Jumlah kode";
    valid_days: "Days its messages last (optional)", "Masa berlaku pesannya (hari, opsional)";
    make: "Make vouchers", "Buat voucher";
    codes: "Codes", "Kode";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/accounts/{id}", get(show_account).post(add_grant))
        .route("/app/vouchers", get(show_vouchers).post(make_vouchers))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GrantForm {
    messages: String,
    until: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VouchersForm {
    messages: String,
    days: String,
    count: String,
}

async fn account(state: &AppState, person: &Person, text: &str) -> Result<Account, Error> {
    let operator = operator(person)?;
    state.core().account(&operator, AccountId(id(text, "account")?)).await
}

async fn show_account(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let account = account(&state, &person, &text).await?;
    account_page(&state, &person, &account, &GrantForm::default(), None).await
}

/// What an account has and has used; nothing where its plan is gone, so that it can be given another one here.
async fn used(
    state: &AppState,
    person: &Person,
    operator: &Principal,
    id: AccountId,
) -> Result<Markup, Error> {
    let core = state.core();
    let inside = match core.in_account(operator, id).await {
        Ok(inside) => inside,
        Err(Error::NotFound(_)) => return Ok(html! {}),
        Err(error) => return Err(error),
    };
    let (quota, devices) = (core.quota(&inside, None).await?, core.device_counts(&inside).await?);
    Ok(html! {
        p { (person.words().devices_connected) ": " (devices.connected) " / " (devices.all) }
        (quota::figures(person, &quota))
    })
}

async fn account_page(
    state: &AppState,
    person: &Person,
    account: &Account,
    form: &GrantForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let (words, own) = (person.words(), CreditWords::of(person.lang));
    let operator = operator(person)?;
    let grants = state.core().grants(&operator, account.id).await?;
    let used = used(state, person, &operator, account.id).await?;
    let path = format!("/app/accounts/{}", account.id);
    let body = html! {
        p.crumbs { a href="/app/accounts" { (words.accounts) } }
        h1 { (account.name) }
        dl.facts {
            dt { "ID" } dd { (account.id) }
            dt { (words.email) } dd { (account.email) }
            dt { (words.plan) } dd { (account.plan) }
        }
        (used)
        form.row method="post" action={ (path) "/enter" } {
            (person.csrf())
            button.plain { (words.enter) }
        }
        (account_settings::of_operator(state, person, account).await?)
        h2 { (own.granted) }
        p.quiet { (own.granted_help) }
        @if grants.is_empty() { p.empty { (own.none) } } @else { (table(words.device, own, account, &grants)) }
        section.card {
            h2 { (own.add) }
            form.stack method="post" action=(path) {
                (person.csrf())
                label for="messages" { (own.messages) }
                input #messages name="messages" type="number" required min="1" max=(GRANT_MESSAGES_MAX)
                    value=(form.messages) aria-describedby="messages-fault";
                (Fault::beside(fault, "messages"))
                label for="until" { (show::zoned(own.last_day, Some(account))) }
                input #until name="until" type="date" value=(form.until) aria-describedby="until-fault";
                (Fault::beside(fault, "until"))
                button { (own.add) }
            }
        }
    };
    let (status, head) = (Fault::status(fault), Head::default());
    Ok(layout::page_with(status, person, Place::Accounts, &account.name, &head, &body))
}

fn table(device: &str, own: &CreditWords, account: &Account, grants: &[Grant]) -> Markup {
    let until = show::zoned(own.until, Some(account));
    let columns = [
        Column::Clear(device),
        Column::Named(own.total),
        Column::Named(own.used),
        Column::Named(&until),
    ];
    let row = |grant: &Grant| {
        [
            html! { @match grant.device_id {
                Some(device) => code { (device) },
                None => (own.whole_account),
            } },
            html! { (grant.total) },
            html! { (grant.used) },
            html! { @match grant.expires_at {
                Some(at) => (show::time(account, at)),
                None => (own.never),
            } },
        ]
    };
    table::table(own.granted, &columns, grants.iter().map(row))
}

/// A grant as a form asks for it: its last day ends at midnight, where the account lives.
fn grant(own: &CreditWords, account: &Account, form: &GrantForm) -> Result<NewGrant, Fault> {
    let messages = form.messages.trim().parse();
    let messages = messages.ok().filter(|n| (1..=GRANT_MESSAGES_MAX).contains(n));
    let messages = messages.ok_or_else(|| Fault::of("messages", own.messages_wrong.to_owned()))?;
    let end = |text: &str| {
        let day: Date = text.parse().ok()?;
        let next = day.tomorrow().ok()?;
        next.to_zoned(account.timezone.zone().clone()).ok().map(|end| end.timestamp())
    };
    let expires_at = match form.until.trim() {
        "" => None,
        text => Some(end(text).ok_or_else(|| Fault::of("until", own.day_wrong.to_owned()))?),
    };
    Ok(NewGrant { account_id: account.id, device_id: None, messages, expires_at })
}

async fn add_grant(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<GrantForm>,
) -> PageResult {
    let (operator, own) = (operator(&person)?, CreditWords::of(person.lang));
    let account = account(&state, &person, &text).await?;
    let path = format!("/app/accounts/{}", account.id);
    let grant = match grant(own, &account, &form) {
        Ok(grant) => grant,
        Err(fault) => return account_page(&state, &person, &account, &form, Some(&fault)).await,
    };
    match state.core().add_grant(&operator, grant).await {
        Ok(_) => Ok(redirect(&path)),
        Err(Error::Invalid { field: "expires_at", .. }) => {
            let fault = Fault::of("until", own.day_wrong.to_owned());
            account_page(&state, &person, &account, &form, Some(&fault)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show_vouchers(person: Person) -> PageResult {
    operator(&person)?;
    Ok(vouchers_page(&person, &VouchersForm::default(), None))
}

fn vouchers_page(person: &Person, form: &VouchersForm, fault: Option<&Fault>) -> Response {
    let own = CreditWords::of(person.lang);
    let count = if form.count.is_empty() { "1" } else { &form.count };
    let number = |name: &str, label: &str, value: &str, max: i64, is_required: bool| {
        html! {
            label for=(name) { (label) }
            input id=(name) name=(name) type="number" min="1" max=(max) value=(value)
                required[is_required] aria-describedby={ (name) "-fault" };
            (Fault::beside(fault, name))
        }
    };
    let body = html! {
        h1 { (own.vouchers) }
        p.quiet { (own.vouchers_help) }
        (Fault::above(fault, &["messages", "days", "count"]))
        form.stack method="post" action="/app/vouchers" {
            (person.csrf())
            (number("messages", own.messages, &form.messages, GRANT_MESSAGES_MAX, true))
            (number("days", own.valid_days, &form.days, VOUCHER_DAYS_MAX.into(), false))
            (number("count", own.count, count, VOUCHERS_MAX.into(), true))
            button { (own.make) }
        }
    };
    let (status, head) = (Fault::status(fault), Head::default());
    layout::page_with(status, person, Place::Vouchers, own.vouchers, &head, &body)
}

async fn make_vouchers(
    State(state): State<AppState>,
    Posted { person, form }: Posted<VouchersForm>,
) -> PageResult {
    let operator = operator(&person)?;
    // What is no number is out of every range.
    let messages = form.messages.trim().parse().unwrap_or(0);
    let days = match form.days.trim() {
        "" => None,
        text => Some(text.parse().unwrap_or(0)),
    };
    let count = form.count.trim().parse().unwrap_or(0);
    match state.core().create_vouchers(&operator, messages, days, count).await {
        Ok(codes) => Ok(made(&person, &codes)),
        Err(Error::Invalid { field, message }) => {
            let field = if field == "valid_days" { "days" } else { field };
            let fault = Fault::of(field, said(person.lang, &message).into_owned());
            Ok(vouchers_page(&person, &form, Some(&fault)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The page that shows new codes, once.
fn made(person: &Person, codes: &[Secret]) -> Response {
    let own = CreditWords::of(person.lang);
    let codes: Vec<_> = codes.iter().map(|code| code.reveal()).collect();
    let body = html! {
        h1 { (own.vouchers) }
        (show::secret(person.words(), own.codes, &codes.join("\n")))
        p { a.button href="/app/vouchers" { (person.words().i_have_it) } }
    };
    layout::page(person, Place::Vouchers, own.vouchers, &body)
}
