//! `/v1/messages`: sending, listing, cancelling.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Response, StatusCode};
use domain::content::{Content, ContentRequest, Location};
use domain::error::Error;
use domain::ids::{DeviceId, MessageId};
use domain::message::{BATCH_MESSAGES_MAX, Direction, MessageState};
use domain::ports::MessageFilter;
use domain::service::{SendRequest, SendingDevice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, IdempotencyHeader, MediaJson, Params, Segment};
use super::devices::{named_device, queried_device};
use super::media_field::MediaField;
use super::message_view::MessageBody;
use super::page::{List, page_request};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{DeviceField, Object, PhoneField, TimeField};
use crate::idempotency::idempotency_key;
use crate::large_answers::render;
use crate::optional::{ListField, optional};
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

const SEND: &str = "/v1/messages";
const BATCH: &str = "/v1/messages/batch";
const ONE: &str = "/v1/messages/{id}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        sending(Route::post(SEND, Access::Device, send))
            .summary("Send a message")
            .description("When this answers, the message is on disk and survives a crash.")
            .body::<MessageRequest>()
            .answers::<MessageBody>(202)
            .with_header("Location", "Where the message is: /v1/messages/{id}")
            .with_header("Gerbang-Status", "The message's state now")
            .with_header("Idempotency-Replayed", "`true` when this is an earlier answer"),
        sending(Route::post(BATCH, Access::Device, send_batch))
            .summary("Send up to 1,000 messages, all or none")
            .description(
                "Errors name the message at fault, such as `messages[3].to`. Several receivers need \
                 the plan feature `broadcast`.",
            )
            .body::<BatchRequest>()
            .answers_list::<MessageBody>(202)
            .with_header("Location", "Where the first message is")
            .with_header("Gerbang-Status", "The first message's state now")
            .with_header("Idempotency-Replayed", "`true` when this is an earlier answer"),
        Route::get(SEND, Access::Device, list)
            .summary("Messages of both directions, newest first")
            .query("direction", "`in` or `out`")
            .query("device", "A device's id or number_id")
            .query("status", "A state, or several with commas between")
            .query("limit", "Rows of a page, 1 to 100; 50 unless given")
            .query("cursor", "The next_cursor of the page before")
            .answers_list::<MessageBody>(200)
            .error(404, "`not_found`: no such device"),
        Route::get(ONE, Access::Device, show)
            .summary("One message with its history of states")
            .answers::<MessageBody>(200),
        Route::new(Method::DELETE, ONE, Access::Device, cancel)
            .summary("Cancel a waiting message")
            .answers::<MessageBody>(200)
            .error(409, "`not_waiting`: it has left or ended"),
    ]
}

fn sending(route: Route) -> Route {
    route
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .error(402, "`quota_exhausted`")
        .error(403, "`feature_missing`: the plan lacks what the message needs")
        .error(404, "`not_found`: no such device")
        .error(409, "`device_not_connected`: never paired, or unpaired")
        .error(422, "`media`: the URL may not be fetched")
        .error(429, "`queue_full`: too many messages wait, or too many bytes of texts or files")
        .error(507, "`disk_full`: nothing more is accepted for now")
}

/// A message to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageRequest {
    /// The device's id or number_id; device tokens may leave it out.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    device: Option<DeviceField>,
    /// A phone number, as text or integer, or a group's id `…@g.us`.
    #[schema(value_type = String)]
    to: PhoneField,
    /// The text, at most 65,536 characters. Not together with `media`, which has a caption, or `location`.
    text: Option<String>,
    /// A file.
    #[schema(value_type = Option<MediaField>)]
    #[serde(default, deserialize_with = "optional")]
    media: Option<Object<MediaField>>,
    /// A location. A message carries exactly one of `text`, `media` and `location`.
    #[schema(value_type = Option<LocationField>)]
    // What repeated requests are recognised by must stay the same where it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    location: Option<Object<LocationField>>,
    /// Not before this (plan feature `schedule`).
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    schedule_at: Option<TimeField>,
    /// Not after this; wins over `expires_in_s`. 24 hours unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    expires_at: Option<TimeField>,
    /// Not later than this many seconds after it may first be sent.
    #[serde(default, deserialize_with = "optional")]
    expires_in_s: Option<i64>,
    /// Seconds between attempts.
    #[serde(default, deserialize_with = "optional")]
    retry_interval_s: Option<u32>,
    /// Whether the recipient is shown that somebody types.
    #[serde(default, deserialize_with = "optional")]
    typing: Option<bool>,
    /// Higher goes first, between chats; -100 to 100.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<i16>, minimum = -100, maximum = 100)]
    priority: Option<i64>,
}

/// A location to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = LocationRequest)]
#[serde(deny_unknown_fields)]
struct LocationField {
    /// Degrees north, -90 to 90.
    latitude: f64,
    /// Degrees east, -180 to 180.
    longitude: f64,
    /// Its name, at most 200 characters.
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
    /// Where that is in words, at most 500 characters.
    #[serde(default, deserialize_with = "optional")]
    address: Option<String>,
}

impl From<LocationField> for Location {
    fn from(field: LocationField) -> Self {
        let LocationField { latitude, longitude, name, address } = field;
        Self { latitude, longitude, name, address }
    }
}

/// Messages to send together.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRequest {
    /// 1 to 1,000 of them.
    #[schema(value_type = Vec<MessageRequest>)]
    messages: ListField<Object<MessageRequest>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default, deserialize_with = "optional")]
    direction: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    device: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    status: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    limit: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    cursor: Option<String>,
}

async fn send(
    State(state): State<AppState>,
    Caller(principal): Caller,
    IdempotencyHeader(header): IdempotencyHeader,
    MediaJson(mut body): MediaJson<MessageRequest>,
) -> ApiResult<V1> {
    let device = named_device(&state, &principal, body.device.take()).await?;
    let idempotency = idempotency_key(
        header.as_ref(),
        "POST /v1/messages",
        &Fingerprint(device.as_ref().map(SendingDevice::id), &body),
    )?;
    let requests = vec![command(device, body)?];
    let sent = state.core().send(&principal, requests, idempotency).await?;
    let first = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = json(StatusCode::ACCEPTED, &MessageBody::brief(first));
    add_send_headers(&mut response, first, sent.is_repeat);
    Ok(response)
}

async fn send_batch(
    State(state): State<AppState>,
    Caller(principal): Caller,
    IdempotencyHeader(header): IdempotencyHeader,
    MediaJson(body): MediaJson<BatchRequest>,
) -> ApiResult<V1> {
    let ListField(given) = body.messages;
    if given.is_empty() || given.len() > BATCH_MESSAGES_MAX {
        let message = format!("must hold 1 to {BATCH_MESSAGES_MAX} messages");
        return Err(ApiError::field("messages", message).into());
    }
    let mut messages = Vec::with_capacity(given.len());
    for (index, Object(mut message)) in given.into_iter().enumerate() {
        let device = named_device(&state, &principal, message.device.take()).await;
        let device = device.map_err(|error| ApiError::Core { index: Some(index), error })?;
        messages.push((device, message));
    }
    let fingerprint: Vec<_> = messages
        .iter()
        .map(|(device, m)| Fingerprint(device.as_ref().map(SendingDevice::id), m))
        .collect();
    let idempotency = idempotency_key(header.as_ref(), "POST /v1/messages/batch", &fingerprint)?;
    let requests = messages.into_iter().enumerate().map(|(index, (device, message))| {
        command(device, message).map_err(|refusal| refusal.of_message(index))
    });
    let requests = requests.collect::<Result<_, _>>()?;
    let sent = state.core().send_batch(&principal, requests, idempotency).await;
    let sent = sent.map_err(ApiError::from)?;
    let first = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let rows = sent.messages.iter().map(MessageBody::brief).collect();
    let mut response: Response<Body> = json(StatusCode::ACCEPTED, &List::whole(rows));
    add_send_headers(&mut response, first, sent.is_repeat);
    Ok(response)
}

/// What an idempotency key stands for: the device that sends, and the rest of the message.
#[derive(Serialize)]
struct Fingerprint<'a>(Option<DeviceId>, &'a MessageRequest);

/// Translates a message into the core's words.
fn command(device: Option<SendingDevice>, body: MessageRequest) -> Result<SendRequest, ApiError> {
    Ok(SendRequest {
        device,
        to: body.to.0,
        content: content(body.text, body.media, body.location)?,
        schedule_at: body.schedule_at.map(|time| time.0),
        expires_at: body.expires_at.map(|time| time.0),
        expires_in_s: body.expires_in_s,
        retry_interval_s: body.retry_interval_s,
        typing: body.typing,
        // Whatever is out of the type's range is out of the allowed one.
        priority: body.priority.map(|priority| i16::try_from(priority).unwrap_or(i16::MAX)),
    })
}

fn content(
    text: Option<String>,
    media: Option<Object<MediaField>>,
    location: Option<Object<LocationField>>,
) -> Result<ContentRequest, ApiError> {
    // A template whose fields were left empty is no file beside the rest.
    let has_rest = location.is_some() || text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let media = media.filter(|Object(media)| !(has_rest && media.is_empty()));
    let is_alone = media.is_none() && location.is_none();
    let text = text.filter(|text| is_alone || !text.trim().is_empty());
    match (text, media, location) {
        (Some(text), None, None) => Ok(Content::Text(text.into())),
        (None, Some(Object(media)), None) => Ok(Content::File(media.into_request()?)),
        (None, None, Some(Object(location))) => Ok(Content::Location(location.into())),
        (None, None, None) => {
            Err(ApiError::field("text", "is required, unless there is media or a location"))
        }
        (Some(_), Some(_), None) => {
            Err(ApiError::field("text", "cannot go with media; use media.caption"))
        }
        (_, _, Some(_)) => Err(ApiError::field("location", "cannot go with text or media")),
    }
}

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<V1> {
    let page = page_request(params.limit.as_deref(), params.cursor.as_deref())?;
    let filter = MessageFilter {
        direction: params.direction.as_deref().map(direction).transpose()?,
        device: queried_device(&state, &principal, params.device.as_deref()).await?,
        states: params.status.as_deref().map(states).transpose()?.unwrap_or_default(),
        ..MessageFilter::default()
    };
    state.large_answers().enter().await?;
    let page = state.core().messages(&principal, filter, page).await?;
    let list =
        move || json(StatusCode::OK, &List::of(&page, |message| message.id.0, MessageBody::brief));
    Ok(render(list).await?)
}

fn direction(text: &str) -> Result<Direction, ApiError> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err(ApiError::field("direction", "must be in or out")),
    }
}

fn states(text: &str) -> Result<Vec<MessageState>, ApiError> {
    let state = |name: &str| MessageState::from_name(name.trim());
    // Each once: every row is compared with all of them.
    let states: Option<BTreeSet<_>> = text.split(',').map(state).collect();
    states.map(|states| states.into_iter().collect()).ok_or_else(|| {
        let names = MessageState::ALL.map(MessageState::as_str).join(", ");
        ApiError::field("status", format!("must be one or more of {names}"))
    })
}

async fn show(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let message = state.core().message(&principal, MessageId(id.id("message")?)).await?;
    Ok(json(StatusCode::OK, &MessageBody::full(&message)))
}

async fn cancel(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let message = state.core().cancel_message(&principal, MessageId(id.id("message")?)).await?;
    Ok(json(StatusCode::OK, &MessageBody::full(&message)))
}
