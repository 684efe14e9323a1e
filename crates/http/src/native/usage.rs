//! `/v1/usage`: what an account has used of its plan.

use axum::extract::State;
use axum::http::StatusCode;
use domain::plan::Plan;
use domain::policy::quota::{NO_LIMIT, Usage};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::caller::Caller;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/usage", Access::Device, show)
            .summary("What the account has used of its plan")
            .answers::<UsageBody>(200),
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
    /// How many more messages are accepted now: the lesser rest; null for no limit.
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
    pub(super) fn new(usage: Usage, plan: &Plan) -> Self {
        let count = |used: i64, limit: Option<i64>| Count {
            used,
            limit,
            remaining: limit.map(|limit| (limit - used).max(0)),
        };
        let remaining = Some(usage.remaining(plan)).filter(|rest| *rest != NO_LIMIT);
        Self {
            day: count(usage.day_used, plan.messages_per_day),
            month: count(usage.month_used, plan.messages_per_month),
            remaining,
        }
    }
}

async fn show(State(state): State<AppState>, Caller(session): Caller) -> Answer {
    let usage = state.core.usage(&session).await?;
    Ok(json(StatusCode::OK, &UsageBody::new(usage, session.plan()?)))
}
