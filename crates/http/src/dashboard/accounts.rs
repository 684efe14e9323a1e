//! `/app/accounts`: the operator's customers, and entering one.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::account::Account;
use domain::error::Error;
use domain::ids::AccountId;
use domain::plan::DEFAULT_PLAN;
use domain::ports::Page;
use domain::service::{ACCOUNTS_PAGE_MAX, NAME_CHARS_MAX, NewAccountRequest, Principal};
use maud::{Markup, html};
use serde::Deserialize;

use super::account_settings;
use super::caller::{Asked, Nothing, Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::find::{self, FindQuery};
use super::layout::{self, Head, Place};
use super::show::{self, Fault};
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

/// The plan that is proposed for the first account, which is the operator's own most of the time.
const OWN_PLAN: &str = "unlimited";

words! {
    /// The texts of the list of accounts.
    AccountWords
    find: "Name, email or id", "Nama, email, atau ID";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/accounts", get(list).post(add))
        .route("/app/accounts/{id}/enter", post(enter))
        .route("/app/leave", post(leave))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AddForm {
    name: String,
    email: String,
    plan: String,
    timezone: String,
}

/// The operator, whatever account is looked at.
pub(super) fn operator(person: &Person) -> Result<Principal, Error> {
    person.visitor.require_operator()?;
    let caller = domain::account::Caller::Operator;
    Ok(Principal { caller, holder: None, ..person.principal().clone() })
}

async fn list(
    State(state): State<AppState>,
    person: Person,
    Asked(query): Asked<FindQuery>,
) -> PageResult {
    page(&state, &person, &query, &AddForm::default(), None).await
}

/// The accounts that match, or a page of all.
async fn accounts(
    state: &AppState,
    operator: &Principal,
    query: &FindQuery,
) -> Result<Page<Account>, Error> {
    let wanted = query.text();
    let is_meant = |account: &Account| {
        find::holds(&account.name, wanted)
            || find::holds(&account.email, wanted)
            || account.id.to_string() == wanted
    };
    let read = |page| state.core().accounts(operator, page);
    query.page(ACCOUNTS_PAGE_MAX, read, |account: &Account| account.id.0, is_meant).await
}

fn table(person: &Person, accounts: &[Account]) -> Markup {
    let words = person.words();
    let columns = [
        Column::Clear(words.name),
        Column::Clear(words.email),
        Column::Clear(words.plan),
        Column::Named("ID"),
        Column::Acts(words.enter),
    ];
    let row = |account: &Account| {
        let path = format!("/app/accounts/{}", account.id);
        [
            html! { a href=(path) { (account.name) } },
            html! { (account.email) },
            html! { (account.plan) },
            html! { (account.id) },
            html! {
                form method="post" action={ (path) "/enter" } {
                    (person.csrf())
                    button.plain aria-label={ (words.enter) " " (account.name) } { (words.enter) }
                }
            },
        ]
    };
    table::table(words.accounts, &columns, accounts.iter().map(row))
}

async fn page(
    state: &AppState,
    person: &Person,
    query: &FindQuery,
    form: &AddForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let (words, operator) = (person.words(), operator(person)?);
    let accounts = accounts(state, &operator, query).await?;
    let plans = state.core().plans(&operator).await?;
    let found = accounts.items.len();
    let is_first = found == 0 && query.is_start();
    let hint = AccountWords::of(person.lang).find;
    let chosen = match form.plan.as_str() {
        "" if is_first => OWN_PLAN,
        "" => DEFAULT_PLAN,
        plan => plan,
    };
    let last = accounts.items.last().filter(|_| accounts.has_more);
    let body = html! {
        h1 { (words.accounts) }
        @if is_first { p.empty { (words.no_accounts) } }
        @else {
            (find::form(person.lang, ("/app/accounts", hint), query, (found, ACCOUNTS_PAGE_MAX)))
            @if found > 0 { (table(person, &accounts.items)) }
        }
        @if let Some(last) = last {
            p { a.button.plain href={ "?before=" (last.id) } { (words.older) } }
        }
        section.card {
            h2 { (words.add_account) }
            (Fault::above(fault, &["name", "email", "plan", "timezone"]))
            form.stack method="post" action="/app/accounts" {
                (person.csrf())
                label for="name" { (words.name) }
                input #name name="name" required maxlength=(NAME_CHARS_MAX) value=(form.name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                label for="email" { (words.email) }
                input #email name="email" type="email" required value=(form.email)
                    aria-describedby="email-fault";
                (Fault::beside(fault, "email"))
                (account_settings::plan_field(words, &plans, chosen, fault))
                (account_settings::zone_field(person.lang, &form.timezone, fault))
                button { (words.add) }
            }
        }
    };
    let head = Head::default();
    Ok(layout::page_with(
        Fault::status(fault),
        person,
        Place::Accounts,
        words.accounts,
        &head,
        &body,
    ))
}

async fn add(
    State(state): State<AppState>,
    Posted { person, form }: Posted<AddForm>,
) -> PageResult {
    let (words, operator) = (person.words(), operator(&person)?);
    let chosen = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let request = NewAccountRequest {
        name: form.name.clone(),
        email: form.email.clone(),
        plan: chosen(&form.plan),
        timezone: chosen(&form.timezone),
        ..NewAccountRequest::default()
    };
    let (account, key) = match state.core().create_account(&operator, request).await {
        Ok(made) => made,
        Err(error) => {
            let fault = account_settings::field_fault(person.lang, error)?;
            return page(&state, &person, &FindQuery::default(), &form, Some(&fault)).await;
        }
    };
    let body = html! {
        h1 { (account.name) }
        (show::secret(words, words.first_key, key.reveal()))
        form.row method="post" action={ "/app/accounts/" (account.id) "/enter" } {
            (person.csrf())
            button { (words.enter) }
        }
    };
    Ok(layout::page(&person, Place::Accounts, &account.name, &body))
}

async fn enter(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let account = AccountId(id(&text, "account")?);
    state.core().enter(&person.visitor, Some(account)).await?;
    tracing::info!(user = %person.visitor.session.user.id, %account, "an operator entered an account");
    Ok(redirect("/app"))
}

async fn leave(
    State(state): State<AppState>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().enter(&person.visitor, None).await?;
    Ok(redirect("/app/accounts"))
}
