//! `/v1/plans`: what accounts may do. For the operator.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::plan::{Feature, Plan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Json, Segment};
use super::page::List;
use super::problem::feature_name;
use crate::api_error::ApiResult;
use crate::optional::{ListField, optional};
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/plans", Access::Operator, list)
            .summary("All plans")
            .answers_list::<PlanBody>(200),
        Route::new(Method::PUT, "/v1/plans/{name}", Access::Operator, put)
            .summary("Create or replace a plan")
            .description("What is left out or null has no limit; no features are given then.")
            .body::<PlanRequest>()
            .answers::<PlanBody>(200),
    ]
}

/// A plan's limits; null or absent means none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PlanRequest {
    /// Most devices of an account.
    #[serde(default, deserialize_with = "optional")]
    device_limit: Option<i64>,
    /// Most messages in a calendar day of the account's time zone.
    #[serde(default, deserialize_with = "optional")]
    messages_per_day: Option<i64>,
    /// Most messages in a calendar month of the account's time zone.
    #[serde(default, deserialize_with = "optional")]
    messages_per_month: Option<i64>,
    /// Most requests of one key in any 60 seconds.
    #[serde(default, deserialize_with = "optional")]
    requests_per_minute: Option<i64>,
    /// `groups`, `broadcast`, `schedule`, `send_image`, `send_document`, `send_group_media`,
    /// `incoming_webhook`, `advance_webhook`, `downtime_notification`.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Vec<String>)]
    features: Option<ListField<Feature>>,
}

/// A plan; null means no limit.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanBody {
    /// Its name.
    name: String,
    /// Most devices of an account.
    device_limit: Option<i64>,
    /// Most messages in a calendar day of the account's time zone.
    messages_per_day: Option<i64>,
    /// Most messages in a calendar month of the account's time zone.
    messages_per_month: Option<i64>,
    /// Most requests of one key in any 60 seconds.
    requests_per_minute: Option<i64>,
    /// What it includes.
    features: Vec<String>,
}

impl From<&Plan> for PlanBody {
    fn from(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            device_limit: plan.device_limit,
            messages_per_day: plan.messages_per_day,
            messages_per_month: plan.messages_per_month,
            requests_per_minute: plan.requests_per_minute,
            features: plan.features.iter().copied().map(feature_name).collect(),
        }
    }
}

async fn list(State(state): State<AppState>, Caller(principal): Caller) -> ApiResult<V1> {
    let plans = state.core().plans(&principal).await?;
    Ok(json(StatusCode::OK, &List::whole(plans.iter().map(PlanBody::from).collect())))
}

async fn put(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segment(name): Segment,
    Json(body): Json<PlanRequest>,
) -> ApiResult<V1> {
    let plan = Plan {
        name,
        device_limit: body.device_limit,
        messages_per_day: body.messages_per_day,
        messages_per_month: body.messages_per_month,
        requests_per_minute: body.requests_per_minute,
        features: body.features.unwrap_or_default().0,
    };
    let plan = state.core().put_plan(&principal, plan).await?;
    Ok(json(StatusCode::OK, &PlanBody::from(&plan)))
}
