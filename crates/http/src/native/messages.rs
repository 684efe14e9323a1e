//! `/v1/messages`: sending, listing, cancelling.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Response, StatusCode};
use domain::content::{Contact, Content, ContentRequest, Location, Poll};
use domain::error::Error;
use domain::ids::{DeviceId, MessageId};
use domain::message::{BATCH_MESSAGES_MAX, Direction, MessageState};
use domain::ports::MessageFilter;
use domain::service::{AcceptedMessages, Revocation, SendRequest, SendingDevice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, IdempotencyHeader, Json, MediaJson, Params, Segment};
use super::devices::{named_device, queried_device};
use super::media_field::MediaField;
use super::message_view::MessageBody;
use super::page::{List, page_request};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{DeviceField, MessageIdField, Object, PhoneField, TimeField};
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
const REVOKE: &str = "/v1/messages/{id}/revoke";

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
        sending(Route::new(Method::PATCH, ONE, Access::Device, edit))
            .summary("Edit a message that was sent")
            .description(
                "Puts another text, or another caption, in place of the present one, up to 15 minutes after \
                 the message was sent. The answer is the edit: a message of its own, of kind `edit`, which is \
                 durable, charged and sent in the order of its chat. When WhatsApp has it, the edited message \
                 shows the text, with `edited_at`, and `message.edited` is emitted.",
            )
            .body::<EditRequest>()
            .answers::<MessageBody>(202)
            .with_header("Location", "Where the edit is: /v1/messages/{id}")
            .error(409, "`not_editable`: not sent yet, sent too long ago, not ours, or no text"),
        sending(Route::post(REVOKE, Access::Device, revoke))
            .summary("Delete a message for everyone")
            .description(
                "Up to 60 hours after the message was sent. The answer (202) is the deletion: a message of its \
                 own, of kind `revoke`. When WhatsApp has it, the deleted message shows `revoked_at`, and \
                 `message.revoked` is emitted. A message that still waits is cancelled instead, and is the \
                 answer (200).",
            )
            .answers::<MessageBody>(202)
            .answers::<MessageBody>(200)
            .with_header("Location", "Where the deletion is: /v1/messages/{id}")
            .error(409, "`not_revocable`: being sent, sent too long ago, not ours, or deleted before"),
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
    /// A phone number, as text or integer, a group's id `…@g.us`, or a person's LID `…@lid`.
    #[schema(value_type = String)]
    to: PhoneField,
    /// The text, at most 65,536 characters. A message carries exactly one of `text`, `media`, `location`,
    /// `contacts`, `poll` and `reaction`.
    text: Option<String>,
    /// A file.
    #[schema(value_type = Option<MediaField>)]
    #[serde(default, deserialize_with = "optional")]
    media: Option<Object<MediaField>>,
    /// A location.
    #[schema(value_type = Option<LocationField>)]
    // What repeated requests are recognised by must stay the same where it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    location: Option<Object<LocationField>>,
    /// 1 to 10 contacts.
    #[schema(value_type = Option<Vec<ContactField>>, max_items = 10)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    contacts: Option<ListField<Object<ContactField>>>,
    /// A poll. Its votes do not come back yet.
    #[schema(value_type = Option<PollField>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    poll: Option<Object<PollField>>,
    /// A reaction to a message of the chat.
    #[schema(value_type = Option<ReactionField>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    reaction: Option<Object<ReactionField>>,
    /// The message of the chat that this one answers: its id, its `ref`, or its id on WhatsApp.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    reply_to: Option<MessageIdField>,
    /// Whom the text or the caption mentions, at most 1,024: phone numbers, LIDs, or `all` in a group.
    /// Phones highlight a number where the text has it after an `@`.
    #[schema(value_type = Option<Vec<String>>, max_items = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    mentions: Option<ListField<PhoneField>>,
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

/// A contact to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = ContactRequest)]
#[serde(deny_unknown_fields)]
struct ContactField {
    /// The name, at most 100 characters.
    name: String,
    /// The number, with its country code, as text or integer.
    #[schema(value_type = String)]
    phone: PhoneField,
    /// Where they work, at most 100 characters.
    #[serde(default, deserialize_with = "optional")]
    organization: Option<String>,
}

/// A poll to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = PollRequest)]
#[serde(deny_unknown_fields)]
struct PollField {
    /// The question, at most 255 characters.
    question: String,
    /// 2 to 12 answers, each at most 100 characters and different from the others.
    #[schema(value_type = Vec<String>, min_items = 2, max_items = 12)]
    options: ListField<String>,
    /// How many answers one may choose; 1 unless given, 0 for all.
    #[serde(default, deserialize_with = "optional")]
    selectable: Option<u32>,
}

/// A reaction to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = ReactionRequest)]
#[serde(deny_unknown_fields)]
struct ReactionField {
    /// The message it is on: its id, its `ref`, or its id on WhatsApp.
    #[schema(value_type = String)]
    message: MessageIdField,
    /// One emoji; empty to remove the reaction.
    emoji: String,
}

impl From<ContactField> for Contact {
    fn from(field: ContactField) -> Self {
        let ContactField { name, phone, organization } = field;
        Self { name: name.trim().to_owned(), phone: Some(phone.0), organization }
    }
}

impl From<PollField> for Poll {
    fn from(field: PollField) -> Self {
        let PollField { question, options: ListField(options), selectable } = field;
        Self { question, options, selectable: selectable.unwrap_or(1) }
    }
}

impl From<LocationField> for Location {
    fn from(field: LocationField) -> Self {
        let LocationField { latitude, longitude, name, address } = field;
        Self { latitude, longitude, name, address }
    }
}

/// Another text for a message.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditRequest {
    /// The text, or the caption, at most 65,536 characters.
    text: String,
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
    accepted(&sent)
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
fn command(
    device: Option<SendingDevice>,
    mut body: MessageRequest,
) -> Result<SendRequest, ApiError> {
    let reacted_to = body.reaction.as_ref().map(|Object(reaction)| reaction.message.0.clone());
    if reacted_to.is_some() && body.reply_to.is_some() {
        return Err(ApiError::field("reply_to", "cannot go with a reaction"));
    }
    let mentions = body.mentions.take().map(|ListField(given)| given).unwrap_or_default();
    Ok(SendRequest {
        device,
        content: content(&mut body)?,
        to: body.to.0,
        reply_to: reacted_to.or(body.reply_to.map(|id| id.0)),
        mentions: mentions.into_iter().map(|one| one.0).collect(),
        schedule_at: body.schedule_at.map(|time| time.0),
        expires_at: body.expires_at.map(|time| time.0),
        expires_in_s: body.expires_in_s,
        retry_interval_s: body.retry_interval_s,
        typing: body.typing,
        // Whatever is out of the type's range is out of the allowed one.
        priority: body.priority.map(|priority| i16::try_from(priority).unwrap_or(i16::MAX)),
    })
}

/// The one content that a message has.
fn content(body: &mut MessageRequest) -> Result<ContentRequest, ApiError> {
    let text = body.text.take();
    let media = body.media.take();
    let mut others: Vec<(&'static str, ContentRequest)> = Vec::new();
    if let Some(Object(location)) = body.location.take() {
        others.push(("location", Content::Location(location.into())));
    }
    if let Some(ListField(contacts)) = body.contacts.take() {
        let contacts = contacts.into_iter().map(|Object(contact)| contact.into()).collect();
        others.push(("contacts", Content::Contacts(contacts)));
    }
    if let Some(Object(poll)) = body.poll.take() {
        others.push(("poll", Content::Poll(poll.into())));
    }
    if let Some(Object(reaction)) = body.reaction.take() {
        others.push(("reaction", Content::Reaction(reaction.emoji)));
    }
    // A template whose fields were left empty is no file beside the rest.
    let has_rest = !others.is_empty() || text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let media = media.filter(|Object(media)| !(has_rest && media.is_empty()));
    let is_alone = media.is_none() && others.is_empty();
    let text = text.filter(|text| is_alone || !text.trim().is_empty());
    let other = others.pop();
    if let Some((field, _)) = &other
        && (text.is_some() || media.is_some() || !others.is_empty())
    {
        return Err(ApiError::field(*field, "cannot go with another content"));
    }
    match (text, media, other) {
        (Some(_), Some(_), _) => {
            Err(ApiError::field("text", "cannot go with media; use media.caption"))
        }
        (Some(text), None, _) => Ok(Content::Text(text.into())),
        (None, Some(Object(media)), _) => Ok(Content::File(media.into_request()?)),
        (None, None, Some((_, content))) => Ok(content),
        (None, None, None) => Err(ApiError::field(
            "text",
            "is required, unless there is media, a location, contacts, a poll or a reaction",
        )),
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
    let waiting = state.core().waiting(&page.items).await;
    let list = move || {
        let row = |message| MessageBody::brief(message).waiting(waiting.get(&message.id));
        json(StatusCode::OK, &List::of(&page, |message| message.id.0, row))
    };
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
    let waiting = state.core().waiting([&message]).await;
    let body = MessageBody::full(&message).waiting(waiting.get(&message.id));
    Ok(json(StatusCode::OK, &body))
}

async fn cancel(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
) -> ApiResult<V1> {
    let message = state.core().cancel_message(&principal, MessageId(id.id("message")?)).await?;
    Ok(json(StatusCode::OK, &MessageBody::full(&message)))
}

async fn edit(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    IdempotencyHeader(header): IdempotencyHeader,
    Json(body): Json<EditRequest>,
) -> ApiResult<V1> {
    let id = MessageId(id.id("message")?);
    let idempotency = idempotency_key(header.as_ref(), "PATCH /v1/messages/{id}", &(id.0, &body))?;
    let edit = state.core().edit_message(&principal, id, body.text.into(), idempotency).await?;
    accepted(&edit)
}

async fn revoke(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    IdempotencyHeader(header): IdempotencyHeader,
) -> ApiResult<V1> {
    let id = MessageId(id.id("message")?);
    let route = "POST /v1/messages/{id}/revoke";
    let idempotency = idempotency_key(header.as_ref(), route, &id.0)?;
    match state.core().revoke_message(&principal, id, idempotency).await? {
        Revocation::Cancelled(message) => Ok(json(StatusCode::OK, &MessageBody::full(&message))),
        Revocation::Accepted(revocation) => accepted(&revocation),
    }
}

/// The first of the messages that were accepted.
fn accepted(accepted: &AcceptedMessages) -> ApiResult<V1> {
    let first = accepted.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = json(StatusCode::ACCEPTED, &MessageBody::brief(first));
    add_send_headers(&mut response, first, accepted.is_repeat);
    Ok(response)
}
