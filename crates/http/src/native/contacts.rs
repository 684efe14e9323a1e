//! `/v1/contacts`: the people that devices know.

use axum::extract::State;
use axum::http::StatusCode;
use domain::chat::ChatId;
use domain::contact::KnownPerson;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Params};
use super::devices::queried_device;
use super::page::{List, page_request};
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

const ALL: &str = "/v1/contacts";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(ALL, Access::Device, list)
            .summary("People that devices know, those who became known last first")
            .description(
                "Everybody who was written to, has written, or wrote in a group that the device is in.",
            )
            .query("device", "A device's id or number_id")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<ContactBody>(200)
            .error(404, "`not_found`: no such device"),
    ]
}

/// A person that a device knows.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownContact)]
struct ContactBody<'a> {
    /// The chat with the person.
    #[schema(value_type = Option<String>)]
    chat: Option<ChatId>,
    /// The device that knows the person.
    device: Uuid,
    /// What the person calls themselves; null where they have not said so.
    name: Option<&'a str>,
    /// The person's number; null for one who shows none.
    phone: Option<&'a str>,
    /// WhatsApp's other name for the person, where that is known.
    lid: Option<&'a str>,
}

impl<'a> From<&'a KnownPerson> for ContactBody<'a> {
    fn from(person: &'a KnownPerson) -> Self {
        Self {
            chat: person.chat(),
            device: person.device.0,
            name: person.name.as_deref(),
            phone: person.who.phone.as_ref().map(|phone| phone.as_str()),
            lid: person.who.lid.as_ref().map(|lid| lid.as_str()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    limit: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<V1> {
    let page = page_request(params.limit.as_deref(), params.cursor.as_deref())?;
    let device = queried_device(&state, &principal, params.device.as_deref()).await?;
    let page = state.core().people_known(&principal, device, page).await?;
    Ok(json(StatusCode::OK, &List::of(&page, |person| person.id, ContactBody::from)))
}
