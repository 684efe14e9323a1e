//! `/v1/setup-links`: a link that makes an operator of the dashboard. For the operator.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, NoFields};
use crate::api_error::ApiResult;
use crate::dashboard::setup_path;
use crate::net::server_address;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/setup-links", Access::Operator, create)
            .summary("Create a link that makes an operator of the dashboard")
            .description(
                "It is valid once, for 24 hours. `gerbang admin setup-link` prints one, too.",
            )
            .answers::<SetupLinkBody>(201),
    ]
}

/// A link that makes an operator.
#[derive(Serialize, ToSchema)]
#[schema(as = SetupLink)]
struct SetupLinkBody {
    /// Where the operator chooses an address and a password; it is shown only now.
    url: String,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    Caller(principal): Caller,
    _: NoFields,
) -> ApiResult<V1> {
    let (link, expires_at) = state.core().setup_link(&principal).await?;
    let url = server_address(state.config(), &headers) + &setup_path(&link);
    Ok(json(StatusCode::CREATED, &SetupLinkBody { url, expires_at }))
}
