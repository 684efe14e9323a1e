//! `/v1/webhooks`: URLs that events are posted to.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use domain::ids::WebhookId;
use domain::ports::WebhookAnswer;
use domain::service::{NewWebhookRequest, WebhookChange};
use domain::webhook::{EventKind, Webhook};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::V1;
use super::caller::{Caller, Json, NoFields, OptionalJson, Params, Segment};
use super::devices::named_device;
use super::page::{List, PageParams};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::DeviceField;
use crate::optional::{ListField, optional};
use crate::reply::{created, json, no_content};
use crate::routes::{Access, Route};
use crate::state::AppState;

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/v1/webhooks/{id}";
    vec![
        Route::post("/v1/webhooks", Access::Device, create)
            .summary("Create a webhook")
            .description(
                "Messages in the format `gerbang` are Standard Webhooks: verify the header \
                 `webhook-signature` with the secret, which is shown only here.",
            )
            .body::<WebhookRequest>()
            .answers::<NewWebhookBody>(201)
            .with_header("Location", "Where the webhook is")
            .error(403, "`feature_missing`: the plan does not include an event; it is named")
            .error(404, "`not_found`: no such device")
            .error(409, "`conflict`: the account has 100 webhooks already")
            .error(422, "`challenge_failed`: the receiver did not answer its challenge"),
        Route::get("/v1/webhooks", Access::Device, list)
            .summary("The account's webhooks, newest first; a device token sees its device's")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<WebhookBody>(200),
        Route::get(ONE, Access::Device, show).summary("One webhook").answers::<WebhookBody>(200),
        Route::new(Method::PATCH, ONE, Access::Device, update)
            .summary("Change a webhook, or switch it off and on")
            .description("Fields left out stay. Its format does not change.")
            .body::<WebhookPatch>()
            .answers::<WebhookBody>(200)
            .error(403, "`feature_missing`: the plan does not include an event; it is named")
            .error(422, "`challenge_failed`: the receiver did not answer its challenge"),
        Route::new(Method::DELETE, ONE, Access::Device, delete)
            .summary("Delete a webhook and its pending events")
            .answers_nothing(),
        Route::post("/v1/webhooks/{id}/test", Access::Device, test)
            .summary("Post a sample event to a webhook once, and show its answer")
            .answers::<TestBody>(200)
            .error(409, "`conflict`: its secret cannot be read any more"),
        Route::post("/v1/webhooks/{id}/secret", Access::Device, replace_secret)
            .summary("Put another secret in place of a webhook's")
            .description(
                "For the next 24 hours messages are signed with both: `webhook-signature` then \
                 holds two signatures with a blank between them, the new one first. In the \
                 formats of dialects, whose header has room for one, the new secret signs, and a \
                 second header whose name ends in `-previous` holds what the old one gives. \
                 The secret is shown only here.",
            )
            .optional_body::<SecretRequest>()
            .answers::<NewWebhookBody>(200)
            .error(409, "`conflict`: its present secret cannot be read any more"),
    ]
}

/// A webhook to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookRequest {
    /// Only this device's events: its id or number_id; left out for all of the account's.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    device: Option<DeviceField>,
    /// Where it is: http or https, a public address.
    url: String,
    /// The shape of its messages: `gerbang` unless given, or a dialect's name.
    #[serde(default, deserialize_with = "optional")]
    format: Option<String>,
    /// The events it receives; all that plan and format allow unless given.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<ListField<String>>,
    /// What its messages are signed with, 8 to 256 bytes; generated unless given.
    #[serde(default, deserialize_with = "optional")]
    secret: Option<String>,
}

/// The new secret.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = NewSecret)]
#[serde(deny_unknown_fields)]
struct SecretRequest {
    /// 8 to 256 bytes; generated unless given.
    #[serde(default, deserialize_with = "optional")]
    secret: Option<String>,
}

/// Changes to a webhook.
#[derive(Deserialize, ToSchema)]
#[schema(as = WebhookChange)]
#[serde(deny_unknown_fields)]
struct WebhookPatch {
    /// Where it is.
    #[serde(default, deserialize_with = "optional")]
    url: Option<String>,
    /// The events it receives.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<Vec<String>>)]
    events: Option<ListField<String>>,
    /// Whether events are posted to it.
    #[serde(default, deserialize_with = "optional")]
    enabled: Option<bool>,
}

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookBody<'a> {
    /// Its id.
    id: i64,
    /// The device whose events it receives; null for all of the account's.
    device: Option<Uuid>,
    /// Where it is.
    url: &'a str,
    /// The shape of its messages.
    format: &'a str,
    /// The events it receives.
    events: Vec<&'static str>,
    /// Whether events are posted to it.
    enabled: bool,
    /// Why it is disabled; null when it is not.
    disabled_reason: Option<&'a str>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl<'a> From<&'a Webhook> for WebhookBody<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        Self {
            id: webhook.id.0,
            device: webhook.device_id.map(|device| device.0),
            url: &webhook.url,
            format: &webhook.format.0,
            events: webhook.events.iter().map(|kind| kind.as_str()).collect(),
            enabled: webhook.disabled.is_none(),
            disabled_reason: webhook.disabled.as_deref(),
            created_at: webhook.created_at,
        }
    }
}

/// A new webhook with its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewWebhook)]
struct NewWebhookBody<'a> {
    #[serde(flatten)]
    webhook: WebhookBody<'a>,
    /// What its messages are signed with; it is shown only now.
    secret: &'a str,
}

/// What a webhook answered to a test.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookTest)]
struct TestBody {
    /// Whether it accepted the event, with a status from 200 to 299.
    delivered: bool,
    /// Its status; null when there was no answer.
    status: Option<u16>,
    /// Why there was no answer.
    error: Option<String>,
    /// How long it took.
    took_ms: u64,
}

impl From<WebhookAnswer> for TestBody {
    fn from(answer: WebhookAnswer) -> Self {
        Self {
            delivered: answer.is_success(),
            status: answer.status,
            error: answer.error,
            took_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Json(body): Json<WebhookRequest>,
) -> ApiResult<V1> {
    let request = NewWebhookRequest {
        device: named_device(&state, &principal, body.device).await?.map(|device| device.id()),
        url: body.url,
        format: body.format,
        events: body.events.as_ref().map(events).transpose()?,
        secret: body.secret,
    };
    let (webhook, secret) = state.core().create_webhook(&principal, request).await?;
    let body = NewWebhookBody { webhook: WebhookBody::from(&webhook), secret: &secret };
    Ok(created(&format!("/v1/webhooks/{}", webhook.id), &body))
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<PageParams>,
) -> ApiResult<V1> {
    let page = params.page()?;
    let page = state.core().webhooks(&principal, page).await?;
    Ok(json(StatusCode::OK, &List::of(&page, |webhook| webhook.id.0, WebhookBody::from)))
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let webhook = state.core().webhook(&principal, webhook_id(&id)?).await?;
    Ok(json(StatusCode::OK, &WebhookBody::from(&webhook)))
}

async fn update(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    Json(body): Json<WebhookPatch>,
) -> ApiResult<V1> {
    let id = webhook_id(&id)?;
    state.core().webhook(&principal, id).await?;
    let change = WebhookChange {
        url: body.url,
        events: body.events.as_ref().map(events).transpose()?,
        is_enabled: body.enabled,
    };
    let webhook = state.core().update_webhook(&principal, id, change).await?;
    Ok(json(StatusCode::OK, &WebhookBody::from(&webhook)))
}

async fn delete(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    state.core().delete_webhook(&principal, webhook_id(&id)?).await?;
    Ok(no_content())
}

async fn test(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let answer = state.core().test_webhook(&principal, webhook_id(&id)?).await?;
    Ok(json(StatusCode::OK, &TestBody::from(answer)))
}

async fn replace_secret(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    OptionalJson(body): OptionalJson<SecretRequest>,
) -> ApiResult<V1> {
    let (id, chosen) = (webhook_id(&id)?, body.unwrap_or_default().secret);
    let (webhook, secret) = state.core().replace_webhook_secret(&principal, id, chosen).await?;
    let body = NewWebhookBody { webhook: WebhookBody::from(&webhook), secret: &secret };
    Ok(json(StatusCode::OK, &body))
}

/// The webhook a path names.
pub(super) fn webhook_id(segment: &Segment) -> Result<WebhookId, ApiError> {
    Ok(WebhookId(segment.id("webhook")?))
}

fn events(ListField(names): &ListField<String>) -> Result<Vec<EventKind>, ApiError> {
    let kinds: Option<_> = names.iter().map(|name| EventKind::from_name(name)).collect();
    kinds.ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::as_str).join(", ");
        ApiError::field("events", format!("must be some of {known}"))
    })
}
