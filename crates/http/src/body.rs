//! Reading request bodies: bounded in size and in time, and parsed with errors that name the field.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use domain::media::INLINE_MEDIA_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api_error::ApiError;
use crate::compressed::NotCompressed;
use crate::fields::Object;
use crate::forms;

/// Largest JSON body, in bytes.
pub const JSON_BYTES_MAX: usize = 256 * 1024;
/// Largest JSON body that may hold a file in base64, in bytes.
pub const MEDIA_JSON_BYTES_MAX: usize = JSON_BYTES_MAX + INLINE_MEDIA_BYTES_MAX.div_ceil(3) * 4;
/// Most bodies above [`JSON_BYTES_MAX`] that are held at once; more wait for their turn.
pub const LARGE_BODIES_MAX: usize = 16;
/// Longest pause between two pieces of a body.
pub const BODY_IDLE_MAX: Duration = Duration::from_secs(15);
/// Longest time a body may take; with the headers' ten seconds a request takes at most sixty.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(50);

/// Reads and parses a JSON body.
///
/// # Errors
/// [`ApiError::WrongContentType`], [`ApiError::TooLarge`], [`ApiError::BodyLost`],
/// [`ApiError::Malformed`], [`ApiError::Field`].
pub async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::WrongContentType);
    }
    parse_json(&read_bytes(body, JSON_BYTES_MAX).await?)
}

/// As [`read_json`], for requests that may hold a file in base64.
///
/// # Errors
/// As [`read_json`].
pub async fn read_media_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::WrongContentType);
    }
    with_media_body(body, parse_json).await
}

/// Reads a body that may hold a file in base64 and parses it; few of them are held at once.
///
/// # Errors
/// [`ApiError::TooLarge`], [`ApiError::BodyLost`], and what `parse` says.
pub async fn with_media_body<T, E: From<ApiError>>(
    body: Body,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, E> {
    static LARGE_BODIES: Semaphore = Semaphore::const_new(LARGE_BODIES_MAX);
    // Without a declared length it may become large.
    let length_max = body.size_hint().upper().and_then(|length| usize::try_from(length).ok());
    if length_max.is_some_and(|length| length <= JSON_BYTES_MAX) {
        return parse(&read_bytes(body, JSON_BYTES_MAX).await?);
    }
    let read = async {
        let place = LARGE_BODIES.acquire().await;
        Ok::<_, ApiError>((place, read_bytes(body, MEDIA_JSON_BYTES_MAX).await?))
    };
    // Waiting for a place counts as reading.
    let read = timeout(BODY_TIME_MAX, read).await;
    let (_place, bytes) = read.unwrap_or(Err(ApiError::BodyLost))?;
    parse(&bytes)
}

/// As [`read_json`]; a request without a body gives `None`, whatever its content type.
///
/// # Errors
/// As [`read_json`].
pub async fn read_optional_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<Option<T>, ApiError> {
    let bytes = read_bytes(body, JSON_BYTES_MAX).await?;
    // An empty array is what PHP makes of an object without fields.
    let is_empty = bytes.is_empty() || bytes.as_ref() == b"[]";
    match (is_empty, is_json(headers)) {
        (true, _) => Ok(None),
        (false, true) => parse_json(&bytes).map(Some),
        (false, false) => Err(ApiError::WrongContentType),
    }
}

/// Reads the fields of a query and of a body in JSON, as `application/x-www-form-urlencoded` or as
/// `multipart/form-data`; see [`forms`] for the latter two. What both have is the body's. A request
/// without a body has no fields in it, whatever its content type.
///
/// # Errors
/// As [`read_json`].
pub async fn read_fields<T: DeserializeOwned>(
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    let bytes = read_bytes(body, JSON_BYTES_MAX).await?;
    let form = read_form(headers, &bytes).await?;
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return form.map_or_else(|| parse_json(&bytes), read_object);
    };
    let own = form.map_or_else(|| parse_json(&bytes), Ok)?;
    let mut fields = forms::urlencoded(query.as_bytes())?;
    let is_left_out = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
    fields.extend(own.into_iter().filter(|(_, value)| !is_left_out(value)));
    read_object(fields)
}

/// The fields of a form; `None` for a body in JSON.
async fn read_form(
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<Option<Map<String, Value>>, ApiError> {
    if bytes.is_empty() {
        return Ok(Some(Map::new()));
    }
    if is_json(headers) {
        return Ok(None);
    }
    let content_type = headers.get(CONTENT_TYPE).ok_or(ApiError::WrongContentType)?;
    match essence(headers).to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => forms::urlencoded(bytes).map(Some),
        "multipart/form-data" => forms::multipart(content_type, bytes.clone()).await.map(Some),
        _ => Err(ApiError::WrongContentType),
    }
}

/// Reads the fields of a query string.
///
/// # Errors
/// [`ApiError::Malformed`], [`ApiError::Field`].
pub fn query_fields<T: DeserializeOwned>(query: Option<&str>) -> Result<T, ApiError> {
    read_object(forms::urlencoded(query.unwrap_or_default().as_bytes())?)
}

fn read_object<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, ApiError> {
    parse_json(Value::Object(fields).to_string().as_bytes())
}

/// A body without the mark that some editors and clients put before a text in UTF-8.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Parses a JSON object; when that fails, a second pass finds the field at fault.
///
/// # Errors
/// [`ApiError::Malformed`], [`ApiError::Field`].
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = without_bom(bytes);
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(explain::<T>(bytes, &error)),
    }
}

fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    if bytes.is_empty() {
        return ApiError::Malformed("the request has no body; JSON is expected".to_owned());
    }
    if !error.is_data() {
        return ApiError::Malformed(format!("the body is not JSON: {error}"));
    }
    // A wrong type before a syntax error must not hide the latter.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        return ApiError::Malformed(format!("the body is not JSON: {error}"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let Err(error) = serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) else {
        return ApiError::Malformed(format!("the body is not JSON: {error}"));
    };
    let path = error.path().to_string();
    let message = error.inner().to_string();
    // serde_json appends where; the field's name says it better.
    let message = message.split(" at line ").next().unwrap_or_default();
    name_field(&path, message)
}

/// Turns serde's words into ours. What was sent in place of the right thing is never repeated: it
/// could be a message's text in the wrong field.
fn name_field(path: &str, message: &str) -> ApiError {
    // The path is a dot, or ends in a question mark, where serde cannot say more.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let expected = message.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    if message.starts_with("missing field") {
        return ApiError::field(child(path, quoted), "is required");
    }
    if message.starts_with("duplicate field") {
        return ApiError::field(child(path, quoted), "is given more than once");
    }
    if message.starts_with("unknown field") {
        let known = choices(expected);
        let message = format!("is not a field of this request; known: {known}");
        return ApiError::field(child(path, quoted), message);
    }
    if message.starts_with("unknown variant") {
        return ApiError::field(path, format!("must be one of {}", choices(expected)));
    }
    if message.starts_with("invalid ") {
        return ApiError::field(path, format!("must be {}", wanted(expected)));
    }
    ApiError::field(path, message)
}

/// The path of a field; serde tracks an unknown one's name already.
fn child(parent: &str, field: &str) -> String {
    match parent.rsplit('.').next() {
        _ if parent.is_empty() => field.to_owned(),
        Some(last) if last == field => parent.to_owned(),
        _ => format!("{parent}.{field}"),
    }
}

fn choices(expected: &str) -> String {
    expected.trim_start_matches("one of ").replace('`', "")
}

/// What serde expected, in words for people.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer that is not negative",
        "i8" | "i16" | "i32" | "i64" => "an integer",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "" => "of another type",
        _ if expected.starts_with("struct ") => "an object",
        same => same,
    }
}

/// Whether the content type is JSON, with or without parameters.
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 17
            && essence.is_char_boundary(12)
            && essence[..12].eq_ignore_ascii_case("application/")
            && essence.to_ascii_lowercase().ends_with("+json"))
}

/// The content type without its parameters; empty when there is none.
fn essence(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

/// Reads a body whole.
///
/// # Errors
/// [`ApiError::TooLarge`], [`ApiError::BodyLost`].
pub async fn read_bytes(mut body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    if body.size_hint().lower() > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(ApiError::TooLarge(bytes_max));
    }
    // Nearly every body is one piece that is already there: that path sets no timer.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut deadline = None;
    while let Some(piece) = next_piece(&mut body, &mut deadline).await? {
        if first.len().max(whole.len()) + piece.len() > bytes_max {
            return Err(ApiError::TooLarge(bytes_max));
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Why a body cannot be read on.
fn lost(error: &axum::Error) -> ApiError {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotCompressed>() {
            return ApiError::Malformed(error.to_string());
        }
        cause = error.source();
    }
    ApiError::BodyLost
}

/// The next piece; `deadline` is set when the body is first waited for.
async fn next_piece(
    body: &mut Body,
    deadline: &mut Option<Instant>,
) -> Result<Option<Bytes>, ApiError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let mut frame = pin!(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)));
    let ready = futures_util::poll!(frame.as_mut());
    let frame = match ready {
        std::task::Poll::Ready(frame) => frame,
        std::task::Poll::Pending => {
            let now = Instant::now();
            let end = *deadline.get_or_insert(now + BODY_TIME_MAX);
            timeout_at(end.min(now + BODY_IDLE_MAX), frame).await.map_err(|_| ApiError::BodyLost)?
        }
    };
    match frame {
        None => Ok(None),
        // Trailers carry nothing for us.
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(lost(&error)),
    }
}
