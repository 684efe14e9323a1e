//! `/v1/messages`: sending, listing, cancelling.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Response, StatusCode};
use domain::error::Error;
use domain::ids::{DeviceId, MessageId};
use domain::message::{BATCH_MESSAGES_MAX, ContentKind, Direction, MessageState};
use domain::ports::MessageFilter;
use domain::service::{AcceptedMessages, Revocation, SendingDevice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, IdempotencyHeader, Json, MediaJson, NoFields, Params, Segment};
use super::devices::{named_device, queried_device};
use super::message_request::{MessageRequest, command};
use super::message_view::MessageBody;
use super::page::{List, page_request};
use crate::api_error::{ApiError, ApiResult};
use crate::fields::{Object, PhoneField};
use crate::idempotency::idempotency_key;
use crate::optional::{ListField, optional};
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

const SEND: &str = "/v1/messages";
const BATCH: &str = "/v1/messages/batch";
const ONE: &str = "/v1/messages/{id}";
const REVOKE: &str = "/v1/messages/{id}/revoke";
const RESEND: &str = "/v1/messages/{id}/resend";
const READ: &str = "/v1/messages/{id}/read";

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
            .query("chat", "Only this chat: a phone number, a LID `…@lid` or a group's id")
            .query("status", "A state, or several with commas between")
            .query("kind", "A kind, or several with commas between, such as `image,video`")
            .query(
                "q",
                "Only those whose text or caption contains this: 1 to 200 characters. With `q`, `kind`, `status` \
                 or `direction` one request looks at 20,000 messages at most: a page may have few messages, or \
                 none, and yet a next_cursor, with which the search goes on",
            )
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
                 shows the text and whom that mentions, with `edited_at`, and `message.edited` is emitted.",
            )
            .body::<EditRequest>()
            .answers::<MessageBody>(202)
            .with_header("Location", "Where the edit is: /v1/messages/{id}")
            .error(409, "`not_editable`: not sent yet, sent too long ago, not ours, or no text"),
        sending(Route::post(RESEND, Access::Device, resend))
            .summary("Send a message again that failed, expired or was cancelled")
            .description(
                "It is accepted as a message of its own, without a schedule. A file goes again when it was \
                 given as a URL.",
            )
            .answers::<MessageBody>(202)
            .error(409, "`conflict`: it was sent or still waits, or its file is kept no longer"),
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
        Route::post(READ, Access::Device, read)
            .summary("Mark a received message as read")
            .description(
                "Its writer sees that it was read. Asked through the device, which must be connected.",
            )
            .answers::<MessageBody>(200)
            .error(404, "`not_found`: no such message, or one that was sent")
            .error(409, "`device_not_connected`")
            .error(502, "`whatsapp`: WhatsApp refused, or did not answer"),
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

/// Another text for a message.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditRequest {
    /// The text, or the caption, at most 65,536 characters.
    text: String,
    /// Whom it mentions now, as in a message to send; an empty list for no one. Left out, those whom the message
    /// mentions and the text still has after an `@` stay, and `all`.
    #[schema(value_type = Option<Vec<String>>, max_items = 1024)]
    // What repeated requests are recognised by must stay the same where it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    mentions: Option<ListField<PhoneField>>,
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
    chat: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    status: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    q: Option<String>,
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

async fn list(
    State(state): State<AppState>,
    Caller(principal): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<V1> {
    let page = page_request(params.limit.as_deref(), params.cursor.as_deref())?;
    let chat = match params.chat.as_deref() {
        Some(chat) => Some(state.core().chat_named(&principal, chat).await?),
        None => None,
    };
    let filter = MessageFilter {
        chat,
        kinds: params.kind.as_deref().map(kinds).transpose()?.unwrap_or_default(),
        text: params.q,
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
    Ok(state.large_answers().render(list).await?)
}

fn direction(text: &str) -> Result<Direction, ApiError> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err(ApiError::field("direction", "must be in or out")),
    }
}

fn kinds(text: &str) -> Result<Vec<ContentKind>, ApiError> {
    let names: BTreeSet<&str> = text.split(',').map(str::trim).collect();
    let kinds = ContentKind::ALL.into_iter().filter(|kind| names.contains(kind.as_str()));
    let kinds: Vec<_> = kinds.collect();
    if kinds.len() < names.len() {
        let all = ContentKind::ALL.map(ContentKind::as_str).join(", ");
        return Err(ApiError::field("kind", format!("must be one or more of {all}")));
    }
    Ok(kinds)
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

async fn read(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    _: NoFields,
) -> ApiResult<V1> {
    let message = state.core().read_message(&principal, MessageId(id.id("message")?)).await?;
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
    let EditRequest { text, mentions } = body;
    let mentions = mentions.map(|ListField(given)| given.into_iter().map(|one| one.0).collect());
    let edit = state.core().edit_message(&principal, id, text.into(), mentions, idempotency);
    accepted(&edit.await?)
}

async fn revoke(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    IdempotencyHeader(header): IdempotencyHeader,
    _: NoFields,
) -> ApiResult<V1> {
    let id = MessageId(id.id("message")?);
    let route = "POST /v1/messages/{id}/revoke";
    let idempotency = idempotency_key(header.as_ref(), route, &id.0)?;
    match state.core().revoke_message(&principal, id, idempotency).await? {
        Revocation::Cancelled(message) => Ok(json(StatusCode::OK, &MessageBody::full(&message))),
        Revocation::Accepted(revocation) => accepted(&revocation),
    }
}

async fn resend(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    IdempotencyHeader(header): IdempotencyHeader,
    _: NoFields,
) -> ApiResult<V1> {
    let id = MessageId(id.id("message")?);
    let route = "POST /v1/messages/{id}/resend";
    let idempotency = idempotency_key(header.as_ref(), route, &id.0)?;
    accepted(&state.core().resend_message(&principal, id, idempotency).await?)
}

/// The first of the messages that were accepted.
fn accepted(accepted: &AcceptedMessages) -> ApiResult<V1> {
    let first = accepted.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = json(StatusCode::ACCEPTED, &MessageBody::brief(first));
    add_send_headers(&mut response, first, accepted.is_repeat);
    Ok(response)
}
