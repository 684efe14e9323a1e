//! Reading request bodies: bounded in size and in time, and parsed with errors that name the field.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::ids::AccountId;
use domain::media::INLINE_MEDIA_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::api_error::ApiError;
use crate::compressed::NotCompressed;
use crate::fields::Object;
use crate::forms;
use crate::{request_context, surrogates};

/// Largest JSON body, in bytes.
pub const JSON_BYTES_MAX: usize = 256 * 1024;
/// Largest JSON body that may hold a file in base64, in bytes.
pub const MEDIA_JSON_BYTES_MAX: usize = JSON_BYTES_MAX + INLINE_MEDIA_BYTES_MAX.div_ceil(3) * 4;
/// Most bodies above [`JSON_BYTES_MAX`] that are held at once; more wait for their turn.
pub const LARGE_BODIES_MAX: usize = 16;
/// The same of one account.
pub const LARGE_BODIES_PER_ACCOUNT_MAX: usize = 4;
/// Most of them that are parsed at once: while one is, it is in memory twice.
const LARGE_BODIES_PARSED_MAX: usize = 2;
/// How fast a body above [`JSON_BYTES_MAX`] has to come, after its first seconds.
pub const BODY_BYTES_PER_S_MIN: u32 = 16 * 1024;
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
pub async fn read_media_json<T: DeserializeOwned + Send + 'static>(
    large: &LargeBodies,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        return Err(ApiError::WrongContentType);
    }
    large.read(body, |bytes| parse_json(bytes)).await
}

/// The right to hold a large body.
pub type BodyPermit = Permit<Option<AccountId>>;

/// The bodies above [`JSON_BYTES_MAX`] that are held, shared by the accounts of their callers.
#[derive(Debug)]
pub struct LargeBodies {
    held: Arc<FairSemaphore<Option<AccountId>>>,
    parsed: Arc<Semaphore>,
}

impl Default for LargeBodies {
    fn default() -> Self {
        let held = FairSemaphore::new(LARGE_BODIES_MAX, LARGE_BODIES_PER_ACCOUNT_MAX);
        Self { held, parsed: Arc::new(Semaphore::new(LARGE_BODIES_PARSED_MAX)) }
    }
}

impl LargeBodies {
    /// Reads a body that may hold a file in base64 and parses it. A large one waits for a permit, and
    /// is parsed beside the runtime, which it would hold up.
    ///
    /// # Errors
    /// [`ApiError::TooLarge`], [`ApiError::BodyLost`], and what `parse` says.
    pub async fn read<T, E>(
        &self,
        body: Body,
        parse: impl FnOnce(&[u8]) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<ApiError> + Send + 'static,
    {
        let mut reading = Reading::of(body, MEDIA_JSON_BYTES_MAX)?;
        let is_declared = reading.body.size_hint().lower() > bytes(JSON_BYTES_MAX);
        if !is_declared && reading.read_until_above(JSON_BYTES_MAX).await? {
            return parse(&reading.finish());
        }
        // Waiting for a permit counts as reading.
        let by = *reading.deadline.get_or_insert(Instant::now() + BODY_TIME_MAX);
        let permit = timeout_at(by, self.held.acquire(request_context::account())).await;
        let permit = permit.map_err(|_| ApiError::BodyLost)?;
        reading.expect_speed();
        if !reading.read_until_above(MEDIA_JSON_BYTES_MAX).await? {
            return Err(ApiError::TooLarge(MEDIA_JSON_BYTES_MAX).into());
        }
        let whole = reading.finish();
        // What was read is in memory until the request is answered, and while it is parsed.
        let permit = Arc::new(permit);
        request_context::keep_body(permit.clone());
        let turn = self.parsed.clone().acquire_owned().await;
        let parsed = tokio::task::spawn_blocking(move || {
            let _held = (permit, turn);
            parse(&whole)
        });
        parsed.await.unwrap_or_else(|_| Err(ApiError::Crashed.into()))
    }
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
    // An empty array is what PHP makes of an object without fields, null what clients make of no body.
    let is_empty = matches!(bytes.as_ref(), b"" | b"[]" | b"null");
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
        // PHP and curl call a body so when their users name no type.
        "application/x-www-form-urlencoded" if looks_like_json(bytes) => Ok(None),
        "application/x-www-form-urlencoded" => forms::urlencoded(bytes).map(Some),
        "multipart/form-data" => forms::multipart(content_type, bytes.clone()).await.map(Some),
        _ => Err(ApiError::WrongContentType),
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    let text = without_bom(bytes).trim_ascii();
    text.starts_with(b"{") && text.ends_with(b"}")
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
        Err(error) => match surrogates::replaced(bytes) {
            Some(mended) => parse_json(&mended),
            None => Err(explain::<T>(bytes, &error)),
        },
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

/// Fields with which other gateways send buttons and lists.
const INTERACTIVE: [&str; 7] =
    ["buttons", "list", "sections", "template", "templateButtons", "interactive", "footer"];
/// Why there are none of them.
const NOT_INTERACTIVE: &str = "is refused: WhatsApp shows buttons and lists of linked devices to no recipient; \
                               send a text, or a poll where an answer is to be chosen";

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
        if INTERACTIVE.contains(&quoted) {
            return ApiError::field(child(path, quoted), NOT_INTERACTIVE);
        }
        let message = match choices(expected).as_str() {
            "" => "is not a field of this request, which has none".to_owned(),
            known => format!("is not a field of this request; known: {known}"),
        };
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
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "" => "of another type",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("enum ") => "a string",
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
pub async fn read_bytes(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut reading = Reading::of(body, bytes_max)?;
    let is_whole = reading.read_until_above(bytes_max).await?;
    if is_whole { Ok(reading.finish()) } else { Err(ApiError::TooLarge(bytes_max)) }
}

/// Why a body cannot be read on.
fn lost(error: &axum::Error) -> ApiError {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<NotCompressed>() {
            return ApiError::Malformed(error.to_string());
        }
        // The sizes of its chunks are none, or too long.
        if error.downcast_ref().is_some_and(is_malformed) {
            return ApiError::Malformed("the chunks of the body cannot be read".to_owned());
        }
        cause = error.source();
    }
    ApiError::BodyLost
}

fn is_malformed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A body that is being read.
struct Reading {
    body: Body,
    /// Nearly every body is one piece that is already there: that path copies nothing and sets no
    /// timer.
    first: Bytes,
    /// All pieces, once there are two.
    whole: BytesMut,
    /// Set when the body is first waited for.
    deadline: Option<Instant>,
    /// From when on [`BODY_BYTES_PER_S_MIN`] holds, and how much had come by then.
    expected_from: Option<(Instant, usize)>,
}

impl Reading {
    fn of(body: Body, bytes_max: usize) -> Result<Self, ApiError> {
        if body.size_hint().lower() > bytes(bytes_max) {
            return Err(ApiError::TooLarge(bytes_max));
        }
        let (first, whole) = (Bytes::new(), BytesMut::new());
        Ok(Self { body, first, whole, deadline: None, expected_from: None })
    }

    fn len(&self) -> usize {
        self.first.len().max(self.whole.len())
    }

    /// From now on the body has to come at some speed.
    fn expect_speed(&mut self) {
        self.expected_from = Some((Instant::now() + BODY_IDLE_MAX / 3, self.len()));
    }

    /// Reads until the end (true), or until more than `bytes_max` have come (false).
    async fn read_until_above(&mut self, bytes_max: usize) -> Result<bool, ApiError> {
        while self.len() <= bytes_max {
            let Some(piece) = self.next_piece().await? else { return Ok(true) };
            if self.first.is_empty() {
                self.first = piece;
                continue;
            }
            if self.whole.is_empty() {
                let rest = usize::try_from(self.body.size_hint().lower()).unwrap_or_default();
                self.whole.reserve(self.first.len() + piece.len() + rest);
                self.whole.extend_from_slice(&self.first);
            }
            self.whole.extend_from_slice(&piece);
        }
        Ok(false)
    }

    fn finish(self) -> Bytes {
        if self.whole.is_empty() { self.first } else { self.whole.freeze() }
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        let by = |now: Instant, deadline: &mut Option<Instant>, slowest: Option<Instant>| {
            let end = *deadline.get_or_insert(now + BODY_TIME_MAX);
            slowest.unwrap_or(end).min(end).min(now + BODY_IDLE_MAX)
        };
        let slowest = self.slowest();
        let mut frame = pin!(poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)));
        let frame = match futures_util::poll!(frame.as_mut()) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let by = by(Instant::now(), &mut self.deadline, slowest);
                timeout_at(by, frame).await.map_err(|_| ApiError::BodyLost)?
            }
        };
        match frame {
            None => Ok(None),
            // Trailers carry nothing for us.
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => Err(lost(&error)),
        }
    }

    /// When the next piece must be there so that the body is not too slow.
    fn slowest(&self) -> Option<Instant> {
        let (from, before) = self.expected_from?;
        let since = u32::try_from(self.len() - before).unwrap_or(u32::MAX);
        Some(from + Duration::from_secs(1) * since / BODY_BYTES_PER_S_MIN)
    }
}
