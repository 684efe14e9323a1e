//! `/v1/accounts`: the customers. For the operator.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::account::{Account, AccountPatch};
use domain::ids::AccountId;
use domain::service::NewAccountRequest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Json, Params, Segment};
use super::page::{List, PageParams};
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::reply::{created, json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/v1/accounts/{id}";
    vec![
        Route::post("/v1/accounts", Access::Operator, create)
            .summary("Create an account")
            .description("The answer holds the account's first key, which is shown only here.")
            .body::<AccountRequest>()
            .answers::<NewAccountBody>(201)
            .with_header("Location", "Where the account is")
            .error(409, "`conflict`: another account has this email address"),
        Route::get("/v1/accounts", Access::Operator, list)
            .summary("All accounts, newest first")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<AccountBody>(200),
        Route::get(ONE, Access::Operator, show).summary("One account").answers::<AccountBody>(200),
        Route::new(Method::PATCH, ONE, Access::Operator, update)
            .summary("Change an account")
            .description("Fields left out stay as they are.")
            .body::<AccountChange>()
            .answers::<AccountBody>(200)
            .error(409, "`conflict`: another account has this email address"),
        Route::new(Method::DELETE, ONE, Access::Operator, delete)
            .summary("Delete an account")
            .description("Its devices are unpaired; then everything it owns is deleted.")
            .answers_nothing(),
    ]
}

/// An account to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountRequest {
    /// Its name.
    name: String,
    /// Its e-mail address; one account per address.
    email: String,
    /// The name of its plan; `free` unless given.
    #[serde(default, deserialize_with = "optional")]
    plan: Option<String>,
    /// The calling code a leading zero stands for; `62` unless given.
    #[serde(default, deserialize_with = "optional")]
    default_country: Option<String>,
    /// The IANA time zone of its days and months; `Asia/Jakarta` unless given.
    #[serde(default, deserialize_with = "optional")]
    timezone: Option<String>,
}

/// Changes to an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountChange {
    /// Its name.
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
    /// Its e-mail address.
    #[serde(default, deserialize_with = "optional")]
    email: Option<String>,
    /// The name of its plan.
    #[serde(default, deserialize_with = "optional")]
    plan: Option<String>,
    /// The calling code a leading zero stands for.
    #[serde(default, deserialize_with = "optional")]
    default_country: Option<String>,
    /// The IANA time zone of its days and months.
    #[serde(default, deserialize_with = "optional")]
    timezone: Option<String>,
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct AccountBody<'a> {
    /// Its id.
    id: i64,
    /// Its name.
    name: &'a str,
    /// Its e-mail address.
    email: &'a str,
    /// The name of its plan.
    plan: &'a str,
    /// The calling code a leading zero stands for.
    default_country: &'a str,
    /// The IANA time zone of its days and months.
    timezone: &'a str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl<'a> From<&'a Account> for AccountBody<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            id: account.id.0,
            name: &account.name,
            email: &account.email,
            plan: &account.plan,
            default_country: &account.default_country,
            timezone: account.timezone.name(),
            created_at: account.created_at,
        }
    }
}

/// A new account with its first key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewAccount)]
struct NewAccountBody<'a> {
    #[serde(flatten)]
    account: AccountBody<'a>,
    /// The account's key; it is shown only now.
    key: &'a str,
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Json(body): Json<AccountRequest>,
) -> ApiResult<V1> {
    let AccountRequest { name, email, plan, default_country, timezone } = body;
    let request = NewAccountRequest { name, email, plan, default_country, timezone };
    let (account, key) = state.core().create_account(&principal, request).await?;
    let body = NewAccountBody { account: AccountBody::from(&account), key: key.reveal() };
    Ok(created(&format!("/v1/accounts/{}", account.id), &body))
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<PageParams>,
) -> ApiResult<V1> {
    let page = params.page()?;
    let page = state.core().accounts(&principal, page).await?;
    Ok(json(StatusCode::OK, &List::of(&page, |account| account.id.0, AccountBody::from)))
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    principal.require_operator()?;
    let account = state.core().account(&principal, AccountId(id.id("account")?)).await?;
    Ok(json(StatusCode::OK, &AccountBody::from(&account)))
}

async fn update(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<AccountChange>,
) -> ApiResult<V1> {
    principal.require_operator()?;
    let AccountChange { name, email, plan, default_country, timezone } = body;
    let patch = AccountPatch { name, email, plan, default_country, timezone };
    let id = AccountId(id.id("account")?);
    let account = state.core().update_account(&principal, id, patch).await?;
    Ok(json(StatusCode::OK, &AccountBody::from(&account)))
}

async fn delete(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    principal.require_operator()?;
    state.core().delete_account(&principal, AccountId(id.id("account")?)).await?;
    Ok(no_content())
}
