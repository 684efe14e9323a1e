//! `/v1/me`: whose key this is.

use axum::extract::State;
use axum::http::StatusCode;
use domain::account;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::accounts::AccountBody;
use super::caller::Caller;
use super::plans::PlanBody;
use super::usage::UsageBody;
use crate::api_error::ApiResult;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/me", Access::Device, show)
            .summary("Whose key this is")
            .answers::<MeBody>(200),
    ]
}

/// The account behind a key, its plan and its use.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
struct MeBody<'a> {
    /// The account.
    account: AccountBody<'a>,
    /// Its plan.
    plan: PlanBody,
    /// How much of the plan is used.
    usage: UsageBody,
    /// The key.
    key: KeyInfo,
}

/// The key of this request.
#[derive(Serialize, ToSchema)]
struct KeyInfo {
    /// Its id.
    id: i64,
    /// The device it is bound to; null for an account key.
    device: Option<Uuid>,
}

async fn show(State(state): State<AppState>, Caller(principal): Caller) -> ApiResult<V1> {
    let quota = state.core().quota(&principal, None).await?;
    let (account, plan) = (principal.account()?, principal.plan()?);
    let key = match principal.caller {
        account::Caller::Account(_, key) | account::Caller::Device(_, _, key) => key.0,
        account::Caller::Operator => return Err(domain::error::Error::Forbidden.into()),
    };
    let body = MeBody {
        account: AccountBody::from(account),
        plan: PlanBody::from(plan.as_ref()),
        usage: UsageBody::new(&quota),
        key: KeyInfo { id: key, device: principal.caller.bound_device().map(|device| device.0) },
    };
    Ok(json(StatusCode::OK, &body))
}
