//! `/v1/webhooks/{id}/deliveries`: the delivery log of a webhook.

use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::DeliveryId;
use domain::webhook::{Delivery, DeliveryState, DeliveryTry, REPLAYED_MAX, ReplayRange};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, Json, NoFields, Params, Segment, Segments};
use super::event_view::EventBody;
use super::page::{List, page_request};
use super::webhooks::webhook_id;
use crate::api_error::{ApiError, ApiResult};
use crate::fields::TimeField;
use crate::optional::optional;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/webhooks/{id}/deliveries", Access::Device, list)
            .summary("The delivery log of a webhook, newest first")
            .description("Delivered ones are kept for 7 days, dead ones for 30.")
            .query("state", "`pending`, `delivered` or `dead`")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<DeliveryBody>(200),
        Route::get("/v1/webhooks/{id}/deliveries/{delivery}", Access::Device, show)
            .summary("One delivery, with its tries and what the receiver answered")
            .description(
                "Each try has its time, the receiver's status, or why there was none, and how the answer \
                 begins: its first 2,000 characters, and 200 of one that was taken.",
            )
            .answers::<DeliveryBody>(200)
            .error(404, "`not_found`: no such webhook or delivery"),
        Route::post("/v1/webhooks/{id}/deliveries/{delivery}/replay", Access::Device, replay)
            .summary("Deliver an ended delivery again")
            .answers::<DeliveryBody>(200),
        Route::post("/v1/webhooks/{id}/replay", Access::Device, replay_since)
            .summary("Deliver again what has ended since a time")
            .description(
                "Dead letters, and with `delivered` those that were delivered, too: the oldest 10,000 \
                 of them. Each keeps its event's id.",
            )
            .body::<ReplayRequest>()
            .answers::<ReplayBody>(200),
    ]
}

/// Which deliveries go again.
#[derive(Deserialize, ToSchema)]
#[schema(as = Replay)]
#[serde(deny_unknown_fields)]
struct ReplayRequest {
    /// Of events since then.
    #[schema(value_type = String, format = DateTime)]
    since: TimeField,
    /// Whether those that were delivered go again, too; false unless given.
    #[serde(default, deserialize_with = "optional")]
    delivered: Option<bool>,
}

/// How many deliveries go again.
#[derive(Serialize, ToSchema)]
#[schema(as = Replayed)]
struct ReplayBody {
    /// How many.
    replayed: u32,
    /// Whether there may be more: repeat the request once these have ended.
    has_more: bool,
}

/// An event on its way to a webhook.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryBody<'a> {
    /// Its id.
    id: i64,
    /// The event's id; the same for every webhook and every try.
    event_id: &'a str,
    /// The event.
    event: EventBody<'a>,
    /// `pending`, `delivered` or `dead`.
    state: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// Not to be tried before this; null when it has ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// The receiver's last status.
    last_status: Option<u16>,
    /// Why the last try failed.
    last_error: Option<&'a str>,
    /// When the event happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was delivered, or had failed for the last time.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// What came of its tries, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<Vec<TryBody<'a>>>,
}

/// A try to deliver an event.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryTry)]
struct TryBody<'a> {
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The receiver's status; null when there was no answer.
    status: Option<u16>,
    /// Why there was no answer.
    error: Option<&'a str>,
    /// How long it took.
    took_ms: u64,
    /// How the body of the answer begins.
    answer: &'a str,
}

impl<'a> From<&'a DeliveryTry> for TryBody<'a> {
    fn from(tried: &'a DeliveryTry) -> Self {
        Self {
            at: tried.at,
            status: tried.status,
            error: tried.error.as_deref(),
            took_ms: tried.ms,
            answer: &tried.answer,
        }
    }
}

impl<'a> From<&'a Delivery> for DeliveryBody<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            id: delivery.id.0,
            event_id: &delivery.event.id,
            event: EventBody::from(&delivery.event),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            due_at: (delivery.state == DeliveryState::Pending).then_some(delivery.due_at),
            last_status: delivery.last_status,
            last_error: delivery.last_error.as_deref(),
            created_at: delivery.created_at,
            ended_at: delivery.ended_at,
            tries: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default, deserialize_with = "optional")]
    state: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    limit: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Params(params): Params<ListParams>,
) -> ApiResult<V1> {
    let page = page_request(params.limit.as_deref(), params.cursor.as_deref())?;
    let wanted = params.state.as_deref().map(delivery_state).transpose()?;
    state.large_answers().enter().await?;
    let page = state.core().deliveries(&principal, webhook_id(&id)?, wanted, page).await?;
    let list = move || {
        json(StatusCode::OK, &List::of(&page, |delivery| delivery.id.0, DeliveryBody::from))
    };
    Ok(state.large_answers().render(list).await?)
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, delivery): Segments,
) -> ApiResult<V1> {
    let (webhook, delivery) = (webhook_id(&id)?, DeliveryId(delivery.id("delivery")?));
    let (delivery, _) = state.core().delivery(&principal, webhook, delivery).await?;
    let tries = state.core().delivery_tries(&principal, webhook, delivery.id).await?;
    let tries = Some(tries.iter().map(TryBody::from).collect());
    Ok(json(StatusCode::OK, &DeliveryBody { tries, ..DeliveryBody::from(&delivery) }))
}

async fn replay_since(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<ReplayRequest>,
) -> ApiResult<V1> {
    let includes_delivered = body.delivered.unwrap_or(false);
    let range = ReplayRange { since: body.since.0, includes_delivered };
    let replayed = state.core().replay_since(&principal, webhook_id(&id)?, range).await?;
    let body = ReplayBody { replayed, has_more: replayed >= REPLAYED_MAX };
    Ok(json(StatusCode::OK, &body))
}

fn delivery_state(name: &str) -> Result<DeliveryState, ApiError> {
    let wrong = || ApiError::field("state", "must be pending, delivered or dead");
    DeliveryState::from_name(name).ok_or_else(wrong)
}

async fn replay(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Segments(id, delivery): Segments,
    _: NoFields,
) -> ApiResult<V1> {
    let delivery = DeliveryId(delivery.id("delivery")?);
    let delivery = state.core().replay_delivery(&principal, webhook_id(&id)?, delivery).await?;
    Ok(json(StatusCode::OK, &DeliveryBody::from(&delivery)))
}
