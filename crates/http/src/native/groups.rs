//! `/v1/devices/{id}/groups`: the groups a number is in.

use axum::extract::State;
use axum::http::StatusCode;
use domain::device::Group;
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Segment};
use super::devices::device_id;
use super::page::List;
use crate::api_error::ApiResult;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{id}/groups", Access::Device, list)
            .summary("The groups the device's number is in")
            .description("Asked through the device, which must be connected.")
            .answers_list::<GroupBody>(200)
            .error(403, "`feature_missing`: the plan does not include groups")
            .error(409, "`device_not_connected`")
            .error(502, "`whatsapp`: WhatsApp did not answer"),
    ]
}

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
struct GroupBody<'a> {
    /// Its id, which messages can be sent to.
    id: &'a str,
    /// Its name.
    name: &'a str,
}

impl<'a> From<&'a Group> for GroupBody<'a> {
    fn from(group: &'a Group) -> Self {
        Self { id: group.id.as_str(), name: &group.name }
    }
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let groups = state.core().groups(&principal, id).await?;
    Ok(json(StatusCode::OK, &List::whole(groups.iter().map(GroupBody::from).collect())))
}
