//! The calls of this dialect, each by GET with a query and by POST with JSON or a form.

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::message::Message;
use domain::service::Session;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth;
use super::errors::Answer;
use super::translate::{Content, answer, commands, media};
use super::types::{ErrorBody, MediaFields, MessageFields, SentBody};
use crate::body::{query_fields, read_fields};
use crate::idempotency::{IDEMPOTENCY_KEY, idempotency_key};
use crate::refusal::Refusal;
use crate::reply::json;
use crate::routes::{Access, Route};
use crate::send_headers::add_send_headers;
use crate::state::AppState;

/// The routes.
pub(super) fn routes() -> Vec<Route> {
    const MESSAGE_QUERY: [(&str, &str); 5] = [
        ("api_key", "An account key, or the token of the device. Required"),
        ("sender", "The phone number of the device. Required"),
        ("number", "The receiver; several are separated by `|`. Required"),
        ("message", "The text. Required"),
        ("full", "1 for a longer answer"),
    ];
    const MEDIA_QUERY: [(&str, &str); 8] = [
        ("api_key", "An account key, or the token of the device. Required"),
        ("sender", "The phone number of the device. Required"),
        ("number", "The receiver; several are separated by `|`. Required"),
        (
            "media_type",
            "`image`, `video`, `audio`, `pdf`, `xls`, `xlsx`, `doc`, `docx`, `zip` or `document`. Required",
        ),
        ("url", "A direct link to the file. Required"),
        ("caption", "The text under an image or a video"),
        ("ppt", "`true` sends audio as a voice note"),
        ("full", "1 for a longer answer"),
    ];
    let with_query = |route: Route, query: &[(&'static str, &'static str)]| {
        query.iter().fold(route, |route, (name, meaning)| route.query(name, meaning))
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
        .errors_as::<ErrorBody<'static>>()
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

async fn message(State(state): State<AppState>, request: Request<Body>) -> Response<Body> {
    try_message(&state, request).await.unwrap_or_else(|answer| answer.render())
}

async fn file(State(state): State<AppState>, request: Request<Body>) -> Response<Body> {
    try_file(&state, request).await.unwrap_or_else(|answer| answer.render())
}

async fn try_message(state: &AppState, request: Request<Body>) -> Result<Response<Body>, Answer> {
    let (fields, headers): (MessageFields, _) = read(request).await?;
    let sender = fields.sender.as_ref().map(|sender| sender.0.as_str());
    let number = fields.number.as_ref().map(|number| number.0.as_str());
    let text = fields.message.as_deref();
    let required = [("sender", sender), ("number", number), ("message", text)];
    let session = check_in(state, fields.api_key.as_deref(), &required).await?;
    let content = Content { text: text.unwrap_or_default().to_owned(), media: None };
    let call = Call {
        route: "mpwa send-message",
        text_field: "message",
        session: &session,
        sender: sender.unwrap_or_default(),
        number: number.unwrap_or_default(),
        is_full: fields.full.is_some_and(|full| full.0),
    };
    send(state, &headers, &call, || Ok(content), &text).await
}

async fn try_file(state: &AppState, request: Request<Body>) -> Result<Response<Body>, Answer> {
    let (fields, headers): (MediaFields, _) = read(request).await?;
    let sender = fields.sender.as_ref().map(|sender| sender.0.as_str());
    let number = fields.number.as_ref().map(|number| number.0.as_str());
    let required = [
        ("sender", sender),
        ("number", number),
        ("media_type", fields.media_type.as_deref()),
        ("url", fields.url.as_deref()),
    ];
    let session = check_in(state, fields.api_key.as_deref(), &required).await?;
    let call = Call {
        route: "mpwa send-media",
        text_field: "caption",
        session: &session,
        sender: sender.unwrap_or_default(),
        number: number.unwrap_or_default(),
        is_full: fields.full.is_some_and(|full| full.0),
    };
    let said = (&fields.media_type, &fields.url, &fields.caption, &fields.ppt);
    send(state, &headers, &call, || Ok(media(&fields)?), &said).await
}

/// The fields of a request, from its query or its body.
async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<(T, HeaderMap), Refusal> {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    if method == Method::HEAD || is_ahead_of_time(&headers) {
        return Err(Refusal::WrongMethod);
    }
    let fields = match method {
        Method::GET => query_fields(uri.query())?,
        _ => read_fields(&headers, body).await?,
    };
    Ok((fields, headers))
}

/// Whether a browser asks before anybody has decided to: that must not send anything.
fn is_ahead_of_time(headers: &HeaderMap) -> bool {
    let says_so = |name: &str| {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).any(|value| value.contains("prefetch"))
    };
    says_so("purpose") || says_so("sec-purpose")
}

/// Finds out who calls, then whether all that is needed is there.
async fn check_in(
    state: &AppState,
    api_key: Option<&str>,
    required: &[(&'static str, Option<&str>)],
) -> Result<Session, Answer> {
    let is_missing = |value: &Option<&str>| value.is_none_or(|text| text.trim().is_empty());
    let session = match api_key {
        Some(key) if !is_missing(&api_key) => Some(auth::session(state, key).await?),
        _ => None,
    };
    let fields = [("api_key", api_key)].into_iter().chain(required.iter().copied());
    let missing: Vec<&'static str> =
        fields.filter(|(_, value)| is_missing(value)).map(|(name, _)| name).collect();
    match session {
        Some(session) if missing.is_empty() => Ok(session),
        _ => Err(Answer::Missing(missing)),
    }
}

/// What both calls say.
struct Call<'a> {
    route: &'static str,
    /// The field of the text.
    text_field: &'static str,
    session: &'a Session,
    sender: &'a str,
    number: &'a str,
    is_full: bool,
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
    headers: &HeaderMap,
    call: &Call<'_>,
    content: impl FnOnce() -> Result<Content, Answer>,
    said: &impl Serialize,
) -> Result<Response<Body>, Answer> {
    let session = call.session;
    let device = auth::device(state, session, call.sender).await?;
    let country = &session.account()?.default_country;
    let commands = commands(device.id, call.number, country, &content()?)?;
    let fingerprint = Fingerprint { device: device.id, number: call.number, content: said };
    let key = headers.get(IDEMPOTENCY_KEY);
    let idempotency = idempotency_key(key, call.route, &fingerprint)?;
    let sent = state.core.send_and_wait(session, commands, idempotency).await;
    let sent = sent.map_err(|refusal| Refusal::from(refusal).renamed("text", call.text_field))?;
    let mut response = match told_of(&sent.messages) {
        Ok(message) => json(StatusCode::OK, &answer(message, call.is_full)),
        Err(error) => Answer::from(error).render(),
    };
    let first = sent.messages.first().ok_or(Error::NotFound("message"))?;
    add_send_headers(&mut response, first, sent.is_repeat);
    Ok(response)
}

/// The message the answer is about: the first that did not fail.
fn told_of(messages: &[Message]) -> Result<&Message, Error> {
    let mut first_error = None;
    for message in messages {
        match message.outcome() {
            Ok(_) => return Ok(message),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or(Error::NotFound("message")))
}
