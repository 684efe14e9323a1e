//! The calls of this dialect.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use domain::account::Account;
use domain::device::Device;
use domain::error::Error;
use domain::ids::{DeviceId, MessageId};
use domain::message::{Direction, Message};
use domain::scope::Scope;
use domain::service::Core;
use serde::Serialize;

use super::auth::{authorize, device_in_body, device_in_path};
use super::errors::Wachat;
use super::faults::Fields;
use super::form::negotiated;
use super::translate::{self, Sending, command};
use super::types::{
    AnyError, Envelope, Gateway, MediaBody, MessageBody, MessageInfo, Person, SentMedia,
    SentMessage,
};
use crate::api_error::{ApiError, ApiResult, Rejection};
use crate::body::{JSON_BYTES_MAX, is_json, read_bytes};
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        read(Route::get("/wachat_api/1.0/auth/api_key", Access::Device, person))
            .summary("Get user data using API Key")
            .answers_in::<Envelope<Person>, Person>(200),
        read(Route::get("/wachat_api/1.0/sender/{sender}", Access::Device, gateway))
            .summary("Get Gateway Balance")
            .description("`sender` is a device's phone number or id.")
            .answers_in::<Envelope<Gateway>, Gateway>(200)
            .error(404, "There is no such device"),
        sends(Route::post("/wachat_api/1.0/message", Access::Device, send_message))
            .summary("Send Message")
            .body::<MessageBody>()
            .answers_in::<Envelope<SentMessage>, SentMessage>(201)
            .with_header("Location", "Where the message is in /v1")
            .with_header("Gerbang-Status", "The message's state now"),
        sends(Route::post("/wachat_api/1.0/media", Access::Device, send_media))
            .summary("Send Media")
            .body::<MediaBody>()
            .answers_in::<Envelope<SentMedia>, SentMedia>(201)
            .with_header("Location", "Where the message is in /v1")
            .with_header("Gerbang-Status", "The message's state now"),
        read(Route::get("/wachat_api/1.0/status/{message_ref_no}", Access::Device, status))
            .summary("Message Info")
            .answers_in::<Envelope<MessageInfo>, MessageInfo>(200)
            .error(404, "There is no such message"),
    ]
    .into_iter()
    .map(negotiated)
    .collect()
}

fn read(route: Route) -> Route {
    route
        .errors_as::<AnyError>()
        .error(401, "No or unknown key")
        .error(403, "A key that may not use that sender")
        .error(429, "`Too many requests`")
        .error(500, "`Internal server error`")
        .error(503, "The gateway cannot take requests now")
}

fn sends(route: Route) -> Route {
    read(route)
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .error(400, "`Gateway is not connected`, or a URL that may not be fetched")
        .error(408, "The body did not arrive in time")
        .error(409, "The first request with this idempotency key is still being handled")
        .error(413, "`Payload too large`")
        .error(415, "`Unsupported media type`")
        .error(422, "Faulty parameters, each with its place")
        .error(429, "`Gateway limit reached`: the quota is used up")
}

/// A successful answer.
fn success(status: StatusCode, data: impl Serialize) -> Response<Body> {
    json(status, &Envelope { error: false, message: "Data message", data })
}

async fn person(State(state): State<AppState>, headers: HeaderMap) -> ApiResult<Wachat> {
    let principal = authorize(&state, &headers).await?;
    let account = principal.account()?;
    let id = account.id.0;
    let person = Person { userid: account.email.clone(), id_person: id, id_client: id };
    Ok(success(StatusCode::OK, person))
}

async fn gateway(
    State(state): State<AppState>,
    sender: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Wachat> {
    let principal = authorize(&state, &headers).await?;
    principal.require(Scope::Read)?;
    let sender = sender.map_or(String::new(), |Path(sender)| sender);
    let named = device_in_path(&state, &principal, &sender).await?;
    let device = state.core().device(&principal, named.id).await?;
    let quota = state.core().quota(&principal, Some(device.id)).await?;
    Ok(success(StatusCode::OK, translate::gateway(&device, &quota)))
}

async fn status(
    State(state): State<AppState>,
    reference: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> ApiResult<Wachat> {
    let principal = authorize(&state, &headers).await?;
    let id = reference.ok().and_then(|Path(text)| MessageId::from_ref(&text));
    let message = state.core().message(&principal, id.ok_or(Error::NotFound("message"))?).await?;
    if message.direction() == Direction::In || message.content.is_change() {
        return Err(Error::NotFound("message").into());
    }
    let device = match state.core().remembered_device(&principal, message.device_id).await {
        Ok(device) => Some(device),
        // It was erased; its messages stay for a while.
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(success(StatusCode::OK, translate::info(device.as_deref(), &message)))
}

/// What differs between the two kinds of sends.
struct Kind {
    route: &'static str,
    /// Whether the body may hold a file.
    takes_files: bool,
    read: fn(&mut Fields, &Core, &Account) -> Sending,
    answer: fn(&Device, &Message) -> Response<Body>,
}

const MESSAGE: Kind = Kind {
    route: "wachat POST message",
    takes_files: false,
    read: |fields, _, account| translate::read_message(fields, &account.default_country),
    answer: |device, message| {
        success(StatusCode::CREATED, translate::sent_message(device, message))
    },
};

const MEDIA: Kind = Kind {
    route: "wachat POST media",
    takes_files: true,
    read: |fields, core, account| translate::read_media(fields, &account.default_country, core),
    answer: |device, message| success(StatusCode::CREATED, translate::sent_media(device, message)),
};

async fn send_message(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wachat> {
    send(&state, request, &MESSAGE).await
}

async fn send_media(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Wachat> {
    send(&state, request, &MEDIA).await
}

/// What an idempotency key stands for: the device is part of the request.
#[derive(Serialize)]
struct Fingerprint<'a> {
    device: DeviceId,
    sending: &'a Sending,
}

async fn send(state: &AppState, request: Request<Body>, kind: &'static Kind) -> ApiResult<Wachat> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let principal = authorize(state, &headers).await?;
    if !is_json(&headers) {
        return Err(ApiError::WrongContentType.into());
    }
    let (core, caller) = (state.core().clone(), principal.clone());
    let read = move |bytes: &[u8]| {
        let mut fields = Fields::of(bytes)?;
        let sending = (kind.read)(&mut fields, &core, caller.account()?);
        fields.check().map(|()| sending).map_err(Rejection::from)
    };
    let sending = match kind.takes_files {
        true => state.large_bodies().read(body, read).await?,
        false => read(&read_bytes(body, JSON_BYTES_MAX).await?)?,
    };
    let device = device_in_body(state, &principal, &sending.addressed).await?;
    let fingerprint = Fingerprint { device: device.id, sending: &sending };
    let idempotency = idempotency_key(headers.get(IDEMPOTENCY_KEY), kind.route, &fingerprint)?;
    let command = command(device.clone().into(), sending);
    let sent = state.core().send(&principal, vec![command], idempotency).await;
    let sent = sent.map_err(ApiError::from)?;
    let message = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let mut response = (kind.answer)(&device, message);
    add_send_headers(&mut response, message, sent.is_repeat);
    Ok(response)
}
