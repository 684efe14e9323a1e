//! The calls of this dialect.

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode, Uri};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::ports::MessageFilter;
use domain::service::{Principal, SendRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::{authorize, device};
use super::errors::Wagate;
use super::translate::{self, Wanted};
use super::types::{
    DeviceBody, DeviceQuery, ErrorBody, MediaFields, MessageFields, MessagesBody, MessagesQuery,
    SentBody,
};
use crate::api_error::{ApiError, ApiResult, ErrorShape as _};
use crate::body::{query_fields, read_fields};
use crate::fields::DeviceField;
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::nodes::waits::send_and_wait;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        sends(Route::post("/api/v1/send-message", Access::Device, send_message))
            .summary("Send a text")
            .body::<MessageFields>()
            .takes_forms(),
        sends(Route::post("/api/v1/send-media", Access::Device, send_media))
            .summary("Send a file")
            .body::<MediaFields>()
            .takes_forms(),
        any(Route::get("/api/v1/device", Access::Device, show_device))
            .summary("The device, its customer, what that may do and what was sent")
            .answers::<DeviceBody>(200)
            .error(422, "`device_id` is required, or names no device of yours"),
        any(Route::get("/api/v1/messages", Access::Device, list_messages))
            .summary("The messages sent, newest first")
            .query("limit", "Messages of a page: 1 to 100, 50 unless given")
            .query("page", "The page, from 1; page times limit is at most 10,000")
            .query("status", "Only these: `sent`, `failed` or `pending`")
            .answers::<MessagesBody>(200)
            .error(422, "A parameter is faulty; `message` names it"),
    ]
}

/// What all calls have in common.
fn any(route: Route) -> Route {
    route
        .errors_as::<ErrorBody>()
        .query("device_id", "The device's id or `number_id`, for an account key of several devices")
        .error(401, "`Invalid or inactive API token.`")
        .error(429, "Too many requests")
        .error(500, "`Internal server error`")
        .error(503, "The gateway cannot take requests now")
}

fn sends(route: Route) -> Route {
    any(route)
        .description("Answers when WhatsApp has the message, or after 30 s (60 s with a file).")
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .answers::<SentBody>(200)
        .with_header("Location", "Where the message is in /v1")
        .with_header("Gerbang-Status", "The message's state now")
        .error(400, "Not on WhatsApp, not connected, no file at the URL, or not sent")
        .error(403, "The quota is used up, or the plan does not include it")
        .error(404, "The device has just been erased")
        .error(408, "The body did not arrive in time")
        .error(409, "The first request with this idempotency key is still being handled")
        .error(413, "`Payload too large`")
        .error(415, "Neither JSON nor a form")
        .error(422, "Something required is missing, or a field is faulty; `message` names it")
}

async fn send_message(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wagate> {
    let mut asked: Asked<MessageFields> = read(&state, request).await?;
    let call = Call {
        route: "wagate POST send-message",
        done: "Message sent successfully",
        device: asked.fields.device_id.take(),
        command: translate::message(&asked.fields)?,
    };
    send(&state, &asked, call).await
}

async fn send_media(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wagate> {
    let mut asked: Asked<MediaFields> = read(&state, request).await?;
    let call = Call {
        route: "wagate POST send-media",
        done: "Media message sent successfully",
        device: asked.fields.device_id.take(),
        command: translate::media(&asked.fields)?,
    };
    send(&state, &asked, call).await
}

/// A request to send, as it was read.
struct Asked<T> {
    principal: Principal,
    headers: HeaderMap,
    query: DeviceQuery,
    fields: T,
}

/// Finds out who calls, then reads what is asked.
async fn read<T: DeserializeOwned>(
    state: &AppState,
    request: Request<Body>,
) -> Result<Asked<T>, ApiError> {
    let (Parts { uri, headers, .. }, body) = request.into_parts();
    let principal = authorize(state, &headers).await?;
    let query = query_fields(uri.query())?;
    let fields = read_fields(uri.query(), &headers, body).await?;
    Ok(Asked { principal, headers, query, fields })
}

/// What differs between the two sends.
struct Call {
    route: &'static str,
    done: &'static str,
    /// The device that the body names.
    device: Option<DeviceField>,
    command: SendRequest,
}

/// What an idempotency key stands for: the device is part of the request, however it was named.
#[derive(Serialize)]
struct Fingerprint<'a, T> {
    device: DeviceId,
    fields: &'a T,
}

async fn send<T: Serialize>(state: &AppState, asked: &Asked<T>, call: Call) -> ApiResult<Wagate> {
    let principal = &asked.principal;
    let device = device(state, principal, [asked.query.device_id, call.device]).await?;
    let fingerprint = Fingerprint { device: device.id, fields: &asked.fields };
    let key = asked.headers.get(IDEMPOTENCY_KEY);
    let idempotency = idempotency_key(key, call.route, &fingerprint)?;
    let command = SendRequest { device: Some(device.into()), ..call.command };
    let sent = send_and_wait(state.core(), principal, vec![command], idempotency).await;
    let sent = sent.map_err(ApiError::from)?;
    let message = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = match message.outcome() {
        Ok(_) => {
            let data = translate::sent(message, state.core().now());
            json(StatusCode::OK, &SentBody { success: true, message: call.done, data })
        }
        Err(error) => Wagate::render(&error.into()),
    };
    add_send_headers(&mut response, message, sent.is_repeat);
    Ok(response)
}

async fn show_device(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Wagate> {
    let principal = authorize(&state, &headers).await?;
    let query: DeviceQuery = query_fields(uri.query())?;
    let device = device(&state, &principal, [query.device_id, None]).await?;
    let quota = state.core().quota(&principal, Some(device.id)).await?;
    let figures = state.core().device_figures(&principal, device.id).await?;
    let now = state.core().now();
    let data = translate::device(&device, principal.account()?, &quota, figures, now);
    Ok(json(StatusCode::OK, &DeviceBody { success: true, data }))
}

async fn list_messages(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Wagate> {
    let principal = authorize(&state, &headers).await?;
    let query: MessagesQuery = query_fields(uri.query())?;
    let Wanted { filter, page, limit } = translate::wanted(&query)?;
    let device = device(&state, &principal, [query.device_id, None]).await?;
    let filter = MessageFilter { device: Some(device.id), ..filter };
    state.large_answers().enter().await?;
    let found = state.core().counted_messages(&principal, filter, page, limit).await?;
    let list = move || json(StatusCode::OK, &translate::messages(&found, page, limit));
    Ok(state.large_answers().render(list).await?)
}
