//! `/v1/keys`: the keys of an account.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::account::Key;
use domain::ids::{AccountId, KeyId};
use domain::scope::{Scope, Scopes};
use domain::service::{NewKeyRequest, Principal};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Json, Params, Segment, Segments};
use super::devices::named_device;
use super::page::{List, PageParams};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{DeviceField, TimeField};
use crate::optional::{ListField, optional};
use crate::reply::{json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/keys", Access::Account, list)
            .summary("The account's keys and device tokens, newest first, without their secrets")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<KeyBody>(200),
        Route::post("/v1/keys", Access::Account, create)
            .summary("Create another key")
            .description(
                "The key itself is shown only in this answer. `read` reads messages, devices, groups and \
                 events; `send` sends, edits, cancels and deletes messages, changes groups and checks \
                 numbers; `manage` makes and changes devices, webhooks and keys. What the key may not do \
                 is answered with `scope_missing`, in every API. It may do no more than the key that makes \
                 it, and ends with it; a new device, whose token may do everything, takes all three.",
            )
            .body::<KeyRequest>()
            .answers::<NewKeyBody>(201)
            .error(404, "`not_found`: no such device")
            .error(409, "`conflict`: the account has 100 keys already; device tokens do not count"),
        Route::new(Method::DELETE, "/v1/keys/{id}", Access::Account, delete)
            .summary("Revoke a key or token, at once")
            .answers_nothing(),
        Route::get(OF_ACCOUNT, Access::Operator, list_of)
            .summary("The keys and device tokens of an account, newest first, without their secrets")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<KeyBody>(200),
        Route::post(OF_ACCOUNT, Access::Operator, create_in)
            .summary("Create a key of an account")
            .description("The key itself is shown only in this answer; see `POST /v1/keys`.")
            .body::<KeyRequest>()
            .answers::<NewKeyBody>(201)
            .error(409, "`conflict`: the account has 100 keys already; device tokens do not count"),
        Route::new(Method::DELETE, ONE_OF_ACCOUNT, Access::Operator, delete_in)
            .summary("Revoke a key or token of an account, at once")
            .answers_nothing(),
    ]
}

const OF_ACCOUNT: &str = "/v1/accounts/{id}/keys";
const ONE_OF_ACCOUNT: &str = "/v1/accounts/{id}/keys/{key}";

/// A key to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// What you call it.
    name: String,
    /// What it may do: some of `read`, `send` and `manage`; all that your key may unless given.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<ListField<String>>,
    /// Only for this device: its id or number_id; left out for all of the account's.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    device: Option<DeviceField>,
    /// Not valid from then on; for ever unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    expires_at: Option<TimeField>,
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyBody<'a> {
    /// Its id.
    id: i64,
    /// What its owner calls it.
    name: &'a str,
    /// The device it is bound to; null for an account key.
    device: Option<Uuid>,
    /// Whether it is the device's token, which was made with it.
    token: bool,
    /// What it may do: some of `read`, `send` and `manage`.
    scopes: Vec<&'static str>,
    /// When it ceases to be valid; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was last used; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Its last four characters.
    last_four: &'a str,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl<'a> From<&'a Key> for KeyBody<'a> {
    fn from(key: &'a Key) -> Self {
        Self {
            id: key.id.0,
            name: &key.name,
            device: key.device_id.map(|device| device.0),
            token: key.is_token,
            scopes: scope_names(key.scopes),
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            last_four: &key.last_four,
            created_at: key.created_at,
        }
    }
}

/// A new key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewKey)]
struct NewKeyBody<'a> {
    #[serde(flatten)]
    about: KeyBody<'a>,
    /// The key itself; it is shown only now.
    key: &'a str,
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<PageParams>,
) -> ApiResult<V1> {
    keys_page(&state, &principal, &params).await
}

async fn list_of(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Params(params): Params<PageParams>,
) -> ApiResult<V1> {
    let owner = owner(&state, &principal, id.id("account")?).await?;
    keys_page(&state, &owner, &params).await
}

/// The operator in the place of the owner of an account.
async fn owner(state: &AppState, operator: &Principal, id: i64) -> Result<Principal, ApiError> {
    Ok(state.core().in_account(operator, AccountId(id)).await?)
}

async fn keys_page(state: &AppState, principal: &Principal, params: &PageParams) -> ApiResult<V1> {
    let page = params.page()?;
    let page = state.core().keys(principal, page).await?;
    Ok(json(StatusCode::OK, &List::of(&page, |key| key.id.0, KeyBody::from)))
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Json(body): Json<KeyRequest>,
) -> ApiResult<V1> {
    create_key(&state, &principal, body).await
}

async fn create_in(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<KeyRequest>,
) -> ApiResult<V1> {
    let owner = owner(&state, &principal, id.id("account")?).await?;
    create_key(&state, &owner, body).await
}

async fn create_key(state: &AppState, principal: &Principal, body: KeyRequest) -> ApiResult<V1> {
    let request = NewKeyRequest {
        scopes: body.scopes.as_ref().map(scopes).transpose()?,
        device: named_device(state, principal, body.device).await?.map(|device| device.id()),
        expires_at: body.expires_at.map(|time| time.0),
        name: body.name,
    };
    let (key, secret) = state.core().create_key(principal, request).await?;
    let body = NewKeyBody { about: KeyBody::from(&key), key: secret.reveal() };
    Ok(json(StatusCode::CREATED, &body))
}

/// The names of scopes.
pub(super) fn scope_names(scopes: Scopes) -> Vec<&'static str> {
    scopes.iter().map(Scope::as_str).collect()
}

fn scopes(ListField(names): &ListField<String>) -> Result<Scopes, ApiError> {
    let scopes: Option<Scopes> = names.iter().map(|name| Scope::from_name(name)).collect();
    scopes.ok_or_else(|| ApiError::field("scopes", "must be some of read, send, manage"))
}

async fn delete(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    principal.require_account_key()?;
    state.core().delete_key(&principal, KeyId(id.id("key")?)).await?;
    Ok(no_content())
}

async fn delete_in(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, key): Segments,
) -> ApiResult<V1> {
    let owner = owner(&state, &principal, id.id("account")?).await?;
    state.core().delete_key(&owner, KeyId(key.id("key")?)).await?;
    Ok(no_content())
}
