//! The calls of this dialect, each by GET with a query and by POST with JSON or a form.

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use domain::content::{Content, ContentRequest};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::message::Message;
use domain::service::{Principal, SendOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth;
use super::errors::{Mpwa, OwnError};
use super::translate::{answer, commands, media};
use super::types::{ErrorBody, MediaFields, MessageFields, SentBody};
use crate::api_error::{ApiError, ApiResult, ErrorShape as _, Rejection};
use crate::body::read_fields;
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::nodes::waits::send_and_wait;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// The query of both calls by GET.
const QUERY: [(&str, &str); 4] = [
    ("api_key", "An account key, or the token of the device. Required"),
    ("sender", "The phone number of the device. Required"),
    ("number", "The receiver; several are separated by `|`. Required"),
    ("full", "1 for a longer answer"),
];
const MESSAGE_QUERY: [(&str, &str); 1] = [("message", "The text. Required")];
const MEDIA_QUERY: [(&str, &str); 4] = [
    (
        "media_type",
        "`image`, `video`, `audio`, `pdf`, `xls`, `xlsx`, `doc`, `docx`, `zip` or `document`. Required",
    ),
    ("url", "A direct link to the file. Required"),
    ("caption", "The text under an image or a video"),
    ("ppt", "`true` sends audio as a voice note"),
];

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    let with_query = |route: Route, own: &[(&'static str, &'static str)]| {
        QUERY.iter().chain(own).fold(route, |route, (name, meaning)| route.query(name, meaning))
    };
    vec![
        with_query(describe(Route::get("/send-message", Access::Device, message)), &MESSAGE_QUERY)
            .summary("Send a text, by query"),
        describe(Route::post("/send-message", Access::Device, message))
            .summary("Send a text")
            .body::<MessageFields>()
            .takes_forms(),
        with_query(describe(Route::get("/send-media", Access::Device, file)), &MEDIA_QUERY)
            .summary("Send a file, by query"),
        describe(Route::post("/send-media", Access::Device, file))
            .summary("Send a file")
            .body::<MediaFields>()
            .takes_forms(),
    ]
}

fn describe(route: Route) -> Route {
    route
        .errors_as::<ErrorBody>()
        .description("Answers when WhatsApp has the message, or after 30 s (60 s with a file).")
        .header("Idempotency-Key", "Up to 255 characters: a repeat within 24 h sends nothing")
        .answers::<SentBody>(200)
        .with_header("Location", "Where the first receiver's message is in /v1")
        .with_header("Gerbang-Status", "The message's state now")
        .error(400, "Wrong key or sender, wrong fields, no quota, or not sent: `msg` says which")
        .error(405, "`HEAD`, and requests that browsers make ahead of time")
        .error(408, "The body did not arrive in time")
        .error(413, "`Payload too large`")
        .error(415, "Neither JSON nor a form")
        .error(429, "Too many requests")
        .error(500, "`Internal server error`")
        .error(503, "The gateway cannot take requests now")
}

async fn message(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Mpwa> {
    let (fields, headers): (MessageFields, _) = read(request).await?;
    let call = Call {
        route: "mpwa send-message",
        headers: &headers,
        api_key: fields.api_key.as_deref().unwrap_or_default(),
        sender: fields.sender.as_deref().unwrap_or_default(),
        number: fields.number.as_deref().unwrap_or_default(),
        is_full: fields.full.is_some_and(|full| full.0),
    };
    let text = fields.message.unwrap_or_default();
    let principal = check_in(&state, &call, &[("message", &text)]).await?;
    let content = Content::Text(text.as_str().into());
    send(&state, &principal, &call, &content, &text).await
}

async fn file(State(state): State<AppState>, request: Request<Body>) -> ApiResult<Mpwa> {
    let (fields, headers): (MediaFields, _) = read(request).await?;
    let call = Call {
        route: "mpwa send-media",
        headers: &headers,
        api_key: fields.api_key.as_deref().unwrap_or_default(),
        sender: fields.sender.as_deref().unwrap_or_default(),
        number: fields.number.as_deref().unwrap_or_default(),
        is_full: fields.full.is_some_and(|full| full.0),
    };
    let media_type = fields.media_type.as_deref().unwrap_or_default();
    let url = fields.url.as_deref().unwrap_or_default();
    let principal = check_in(&state, &call, &[("media_type", media_type), ("url", url)]).await?;
    let content = media(media_type, url, fields.caption.as_deref(), fields.ppt)?;
    let said = (media_type, url, &fields.caption, &fields.ppt);
    send(&state, &principal, &call, &content, &said).await
}

/// The fields of a request, from its query and its body.
async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<(T, HeaderMap), ApiError> {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    if method == Method::HEAD || is_ahead_of_time(&headers) {
        return Err(ApiError::WrongMethod);
    }
    let fields = read_fields(uri.query(), &headers, body).await?;
    Ok((fields, headers))
}

/// Whether a browser asks before anybody has decided to: that must not send anything.
fn is_ahead_of_time(headers: &HeaderMap) -> bool {
    let says_so = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_ascii_lowercase).any(|value| value.contains("prefetch"))
    };
    says_so("purpose") || says_so("sec-purpose")
}

/// What both calls say; empty where nothing was said.
struct Call<'a> {
    route: &'static str,
    headers: &'a HeaderMap,
    api_key: &'a str,
    sender: &'a str,
    number: &'a str,
    is_full: bool,
}

/// Finds out who calls, then whether all that is needed is there.
async fn check_in(
    state: &AppState,
    call: &Call<'_>,
    more: &[(&'static str, &str)],
) -> ApiResult<Mpwa, Principal> {
    let both = [("api_key", call.api_key), ("sender", call.sender), ("number", call.number)];
    let missing = both.iter().chain(more).filter(|(_, value)| value.trim().is_empty());
    let missing: Vec<&'static str> = missing.map(|(name, _)| *name).collect();
    if missing.first() == Some(&"api_key") {
        return Err(Rejection::Own(OwnError::Missing(missing)));
    }
    let principal = auth::principal(state, call.api_key).await?;
    if missing.is_empty() { Ok(principal) } else { Err(Rejection::Own(OwnError::Missing(missing))) }
}

/// What an idempotency key stands for: the device is part of the request, the key is not.
#[derive(Serialize)]
struct Fingerprint<'a, T> {
    device: DeviceId,
    number: &'a str,
    content: &'a T,
}

async fn send(
    state: &AppState,
    principal: &Principal,
    call: &Call<'_>,
    content: &ContentRequest,
    said: &impl Serialize,
) -> ApiResult<Mpwa> {
    let device = auth::device(state, principal, call.sender).await?;
    let country = &principal.account()?.default_country;
    let commands = commands(device.clone().into(), call.number, country, content)?;
    let fingerprint = Fingerprint { device: device.id, number: call.number, content: said };
    let key = call.headers.get(IDEMPOTENCY_KEY);
    let idempotency = idempotency_key(key, call.route, &fingerprint)?;
    let sent = send_and_wait(state.core(), principal, commands, idempotency).await;
    let sent = sent.map_err(ApiError::from)?;
    let first = sent.messages.first().ok_or(Error::NotFound("message"))?;
    let shown = shown_of(&sent.messages).unwrap_or(first);
    let mut response = match shown.outcome() {
        Ok(_) => json(StatusCode::OK, &answer(shown, call.is_full)),
        Err(error) => Mpwa::render(&error.into()),
    };
    add_send_headers(&mut response, first, sent.is_repeat);
    Ok(response)
}

/// The message that the answer shows: the first that was sent, else the first that still waits.
fn shown_of(messages: &[Message]) -> Option<&Message> {
    let with = |outcome| {
        let mut found = messages.iter();
        found.find(|message| message.outcome().is_ok_and(|other| other == outcome))
    };
    with(SendOutcome::Sent).or_else(|| with(SendOutcome::Pending))
}
