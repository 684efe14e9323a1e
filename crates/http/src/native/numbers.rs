//! `/v1/devices/{id}/numbers/{phone}`: whether a number is on WhatsApp.

use axum::extract::State;
use axum::http::StatusCode;
use domain::phone::PhoneNumber;
use serde::Serialize;
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Segment, Segments};
use super::devices::device_id;
use crate::api_error::ApiResult;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/devices/{id}/numbers/{phone}", Access::Device, look_up)
            .summary("Whether a number is on WhatsApp")
            .description("Asked through the device, which must be connected.")
            .answers::<NumberBody>(200)
            .error(409, "`device_not_connected`")
            .error(502, "`whatsapp`: WhatsApp did not answer"),
    ]
}

/// Whether a number is on WhatsApp.
#[derive(Serialize, ToSchema)]
#[schema(as = Number)]
struct NumberBody<'a> {
    /// The number with its country code, digits only.
    phone: &'a str,
    /// Whether it is on WhatsApp.
    on_whatsapp: bool,
    /// The number of its account, when that is another spelling: messages are written to it, and
    /// answers come from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_as: Option<&'a str>,
}

async fn look_up(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, Segment(phone)): Segments,
) -> ApiResult<V1> {
    let id = device_id(&state, &principal, &id).await?;
    let (phone, found) = state.core().find_number(&principal, id, &phone).await?;
    let known_as = found.as_ref().filter(|found| **found != phone).map(PhoneNumber::as_str);
    let body = NumberBody { phone: phone.as_str(), on_whatsapp: found.is_some(), known_as };
    Ok(json(StatusCode::OK, &body))
}
