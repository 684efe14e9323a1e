//! `/v1/me`: whose key this is.

use axum::extract::State;
use axum::http::StatusCode;
use domain::error::Error;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::accounts::AccountBody;
use super::caller::Caller;
use super::keys::scope_names;
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
    /// What it may do: some of `read`, `send` and `manage`.
    scopes: Vec<&'static str>,
    /// When it ceases to be valid; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

async fn show(State(state): State<AppState>, Caller(principal): Caller) -> ApiResult<V1> {
    let quota = state.core().quota(&principal, None).await?;
    let (account, plan) = (principal.account()?, principal.plan()?);
    let key = KeyInfo {
        id: principal.caller.key().ok_or(Error::Forbidden)?.0,
        device: principal.caller.bound_device().map(|device| device.0),
        scopes: scope_names(principal.scopes()),
        expires_at: principal.holder.as_ref().and_then(|holder| holder.expires_at),
    };
    let body = MeBody {
        account: AccountBody::from(account),
        plan: PlanBody::from(plan.as_ref()),
        usage: UsageBody::new(&quota),
        key,
    };
    Ok(json(StatusCode::OK, &body))
}
