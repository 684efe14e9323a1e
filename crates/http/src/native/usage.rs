//! `/v1/usage`: what an account may send, and what it has used of that.

use axum::extract::State;
use axum::http::StatusCode;
use domain::grant::Quota;
use domain::policy::quota::NO_LIMIT;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Params};
use super::devices::queried_device;
use super::grants::GrantBody;
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/usage", Access::Device, show)
            .summary("What may still be sent, and what is used up")
            .description("With a device, of that device: the account's grants and its own.")
            .query("device", "A device's id or number_id")
            .answers::<UsageBody>(200)
            .error(404, "`not_found`: no such device"),
    ]
}

/// Use of the plan, in the account's current day and month.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageBody {
    /// The calendar day.
    day: Count,
    /// The calendar month.
    month: Count,
    /// The grants that hold now; they are spent first.
    grants: Vec<GrantBody>,
    /// How many more messages are accepted now: what is left of the grants, and the lesser rest of
    /// the day and the month; null for no limit.
    remaining: Option<i64>,
}

/// Messages of a period.
#[derive(Serialize, ToSchema)]
struct Count {
    /// Accepted, less those that never left.
    used: i64,
    /// The plan's limit; null for none.
    limit: Option<i64>,
    /// What is left; null for no limit.
    remaining: Option<i64>,
}

impl UsageBody {
    pub(super) fn new(quota: &Quota) -> Self {
        let Quota { plan, usage, grants } = quota;
        let count = |used: i64, limit: Option<i64>| Count {
            used,
            limit,
            remaining: limit.map(|limit| (limit - used).max(0)),
        };
        let remaining = Some(quota.remaining()).filter(|rest| *rest != NO_LIMIT);
        Self {
            day: count(usage.day_used, plan.messages_per_day),
            month: count(usage.month_used, plan.messages_per_month),
            grants: grants.iter().map(GrantBody::from).collect(),
            remaining,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageParams {
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<UsageParams>,
) -> ApiResult<V1> {
    let device = queried_device(&state, &principal, params.device.as_deref()).await?;
    let quota = state.core().quota(&principal, device).await?;
    Ok(json(StatusCode::OK, &UsageBody::new(&quota)))
}
