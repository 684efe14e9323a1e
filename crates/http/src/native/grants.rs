//! Messages beyond the plan's own: `/v1/accounts/{id}/grants`, `/v1/vouchers` and
//! `/v1/devices/{id}/redeem`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::grant::{Grant, NewGrant};
use domain::ids::{AccountId, DeviceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Json, Segment};
use super::devices::device_id;
use super::page::List;
use crate::api_error::{ApiError, ApiResult};
use crate::fields::TimeField;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    const GRANTS: &str = "/v1/accounts/{id}/grants";
    vec![
        Route::post(GRANTS, Access::Operator, add)
            .summary("Grant messages to an account or to one of its devices")
            .description(
                "They are spent before the plan's own. What is granted again is put on top; the \
                 later expiry counts.",
            )
            .body::<GrantRequest>()
            .answers::<GrantBody>(201),
        Route::get(GRANTS, Access::Operator, list)
            .summary("What an account has been granted, expired grants included")
            .answers_list::<GrantBody>(200),
        Route::post("/v1/vouchers", Access::Operator, make_vouchers)
            .summary("Create vouchers that can be redeemed for messages")
            .description("Each can be redeemed once. The codes are shown only here.")
            .body::<VouchersRequest>()
            .answers::<VouchersBody>(201),
        Route::post("/v1/devices/{id}/redeem", Access::Device, redeem)
            .summary("Redeem a voucher: its messages are granted to the device")
            .body::<RedeemRequest>()
            .answers::<RedeemedBody>(200)
            .error(422, "`voucher_invalid`"),
    ]
}

/// Messages to grant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantRequest {
    /// The device that may spend them; left out for all devices of the account.
    #[schema(value_type = Option<Uuid>)]
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
    /// How many.
    messages: i64,
    /// When what is left is void; left out for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    expires_at: Option<TimeField>,
}

/// A grant.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub(super) struct GrantBody {
    /// Its id.
    id: i64,
    /// The device that may spend it; null for all devices of the account.
    device: Option<Uuid>,
    /// Messages granted.
    total: i64,
    /// Messages spent.
    used: i64,
    /// Messages left.
    remaining: i64,
    /// When what is left is void; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl From<&Grant> for GrantBody {
    fn from(grant: &Grant) -> Self {
        Self {
            id: grant.id.0,
            device: grant.device_id.map(|device| device.0),
            total: grant.total,
            used: grant.used,
            remaining: grant.remaining(),
            expires_at: grant.expires_at,
        }
    }
}

/// Vouchers to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VouchersRequest {
    /// How many messages each of them grants.
    messages: i64,
    /// How many days the grant holds once redeemed; left out for ever.
    #[serde(default, deserialize_with = "optional")]
    valid_days: Option<u32>,
    /// How many vouchers; 1 unless given.
    #[serde(default, deserialize_with = "optional")]
    count: Option<u32>,
}

/// New vouchers.
#[derive(Serialize, ToSchema)]
#[schema(as = Vouchers)]
struct VouchersBody<'a> {
    /// Their codes; they are shown only now.
    codes: Vec<&'a str>,
}

/// A voucher to redeem.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedeemRequest {
    /// Its code; case, spaces and dashes do not matter.
    code: String,
}

/// A redeemed voucher.
#[derive(Serialize, ToSchema)]
#[schema(as = Redeemed)]
struct RedeemedBody {
    /// The messages it brought.
    messages: i64,
    /// What the device may now spend of all its grants and the account's.
    remaining: i64,
}

async fn add(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<GrantRequest>,
) -> ApiResult<V1> {
    principal.require_operator()?;
    let account_id = AccountId(id.id("account")?);
    let device = body.device.map(|id| id.parse::<DeviceId>());
    let wrong = |_| ApiError::field("device", "must be a device's id (UUID)");
    let grant = NewGrant {
        account_id,
        device_id: device.transpose().map_err(wrong)?,
        messages: body.messages,
        expires_at: body.expires_at.map(|time| time.0),
    };
    let grant = state.core().add_grant(&principal, grant).await?;
    Ok(json(StatusCode::CREATED, &GrantBody::from(&grant)))
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    principal.require_operator()?;
    let grants = state.core().grants(&principal, AccountId(id.id("account")?)).await?;
    Ok(json(StatusCode::OK, &List::whole(grants.iter().map(GrantBody::from).collect())))
}

async fn make_vouchers(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Json(body): Json<VouchersRequest>,
) -> ApiResult<V1> {
    let VouchersRequest { messages, valid_days, count } = body;
    let count = count.unwrap_or(1);
    let codes = state.core().create_vouchers(&principal, messages, valid_days, count).await?;
    let codes = codes.iter().map(|code| code.reveal()).collect();
    Ok(json(StatusCode::CREATED, &VouchersBody { codes }))
}

async fn redeem(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<RedeemRequest>,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let messages = state.core().redeem(&principal, id, &body.code).await?;
    let quota = state.core().quota(&principal, Some(id)).await?;
    let (total, used) = quota.granted();
    Ok(json(StatusCode::OK, &RedeemedBody { messages, remaining: total - used }))
}
