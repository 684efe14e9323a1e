//! Files that came in, as they are fetched from us: by their address, or with a key.
//!
//! What others sent must do no harm in a browser: only pictures, sound and film are shown there, nothing is
//! guessed, and nothing runs.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use domain::ids::MessageId;
use domain::incoming_file::FileState;
use domain::message::Message;
use domain::ports::FilePart;
use domain::service::{FileFound, OpenFile};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api_error::ApiResult;
use crate::native::V1;
use crate::native::caller::{Caller, Segment};
use crate::native::problem::{FILE_FAILED, FILE_GONE, FILE_PENDING, problem};
use crate::routes::{Access, Route};
use crate::state::AppState;

const LINKED: &str = "/media/{token}";
const OF_MESSAGE: &str = "/v1/messages/{id}/media";

/// The address that is in messages and events.
pub fn routes() -> Vec<Route> {
    vec![
        serving(Route::get(LINKED, Access::Public, linked))
            .summary("A file that came in, by the URL of its message")
            .description(
                "`media.url` of a message that came in; no key is needed. It is over when files are \
                 not kept any more.",
            )
            .error(404, "`not_found`: no such file, or the URL is over")
            .error(429, "`too_many_waits`"),
    ]
}

/// The same with a key.
pub fn native_routes() -> Vec<Route> {
    vec![
        serving(Route::get(OF_MESSAGE, Access::Device, of_message))
            .summary("The file of a message that came in"),
    ]
}

fn serving(route: Route) -> Route {
    route
        .header("Range", "A part of it, such as `bytes=0-999`")
        .answers_type(200, "application/octet-stream")
        .error(410, "`file_gone`: it is not kept any more")
        .error(416, "The range is beyond its end")
        .error(502, "`file_failed`: it could not be fetched from WhatsApp; `detail` says why")
        .error(503, "`file_pending`: it has not come within 30 seconds")
}

async fn linked(
    State(state): State<AppState>,
    token: Segment,
    headers: HeaderMap,
) -> ApiResult<V1> {
    Ok(answer(state.core().open_linked_file(&token.0, part(&headers)).await?))
}

async fn of_message(
    State(state): State<AppState>,
    Caller(principal): Caller,
    id: Segment,
    headers: HeaderMap,
) -> ApiResult<V1> {
    let id = MessageId(id.id("message")?);
    Ok(answer(state.core().open_file(&principal, id, part(&headers)).await?))
}

/// The part that is asked for; `None` for the whole, also where several or none that can be read are asked.
fn part(headers: &HeaderMap) -> Option<FilePart> {
    let range = headers.get(RANGE)?.to_str().ok()?.trim().strip_prefix("bytes=")?;
    let (start, end) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (start.trim(), end.trim()) {
        ("", last) => number(last).map(FilePart::Last),
        (start, "") => number(start).map(FilePart::From),
        (start, end) => {
            let (start, end) = (number(start)?, number(end)?);
            (start <= end).then(|| FilePart::Bytes(start..end.saturating_add(1)))
        }
    }
}

fn answer(found: FileFound) -> Response<Body> {
    match found {
        FileFound::Open(file) => file_answer(*file),
        FileFound::Pending(reason) => {
            let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let text = format!("the file has not come yet{reason}; try again later");
            let mut response = problem(&FILE_PENDING, text);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
            response
        }
        FileFound::Ended(FileState::Gone, reason) => problem(&FILE_GONE, reason),
        FileFound::Ended(_, reason) => problem(&FILE_FAILED, reason),
    }
}

fn file_answer(file: OpenFile) -> Response<Body> {
    let OpenFile { message, blob } = file;
    let is_part = blob.range != (0..blob.size);
    let length = blob.range.end - blob.range.start;
    if is_part && length == 0 {
        return beyond_its_end(blob.size);
    }
    let last = blob.range.end.saturating_sub(1);
    let part = format!("bytes {}-{last}/{}", blob.range.start, blob.size);
    let mut response = Response::new(Body::from_stream(blob.bytes));
    let headers = response.headers_mut();
    add_type(headers, &message);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let (true, Ok(part)) = (is_part, HeaderValue::from_str(&part)) {
        headers.insert(CONTENT_RANGE, part);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn beyond_its_end(size: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(whole) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, whole);
    }
    response
}

/// What a browser may do with a file.
fn add_type(headers: &mut HeaderMap, message: &Message) {
    let media = message.media();
    let mimetype = media.and_then(|media| media.mimetype.as_deref()).unwrap_or_default();
    let is_shown = is_harmless(mimetype);
    let content_type = HeaderValue::from_str(mimetype).ok().filter(|_| is_shown);
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let how = if is_shown { "inline" } else { "attachment" };
    let disposition = match media.and_then(|media| media.filename.as_deref()) {
        Some(name) => {
            format!("{how}; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        }
        None => how.to_owned(),
    };
    headers.insert(CONTENT_TYPE, content_type);
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "private, no-cache"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn essence(mimetype: &str) -> String {
    mimetype.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a file of this type is a picture that is shown.
pub fn is_picture(mimetype: &str) -> bool {
    matches!(essence(mimetype).as_str(), "image/jpeg" | "image/png" | "image/webp")
}

/// Whether a file of this type may be shown: its sender says what it is.
fn is_harmless(mimetype: &str) -> bool {
    let essence = essence(mimetype);
    let is_token = |text: &str| {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-.+_".contains(&b);
        !text.is_empty() && text.bytes().all(is_fit)
    };
    match essence.split_once('/') {
        Some(("image", _)) => is_picture(&essence),
        Some(("audio" | "video", kind)) => is_token(kind) && !kind.contains("xml"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_sound_and_film_are_shown() {
        let shown =
            ["image/jpeg", "image/png", "IMAGE/WEBP", "audio/ogg; codecs=opus", "video/mp4"];
        let kept = [
            "",
            "text/html",
            "image/svg+xml",
            "image/gif",
            "application/pdf",
            "application/xhtml+xml",
            "text/javascript",
            "video/",
            "audio/x y",
            "video/svg+xml",
            "image/jpeg/html",
        ];
        assert!(shown.into_iter().all(is_harmless));
        for mimetype in kept {
            assert!(!is_harmless(mimetype), "{mimetype}");
        }
    }

    #[test]
    fn parts_as_they_are_asked_for() {
        let cases = [
            ("bytes=0-9", Some(FilePart::Bytes(0..10))),
            ("bytes=5-", Some(FilePart::From(5))),
            ("bytes=-7", Some(FilePart::Last(7))),
            ("bytes=9-5", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("lines=0-1", None),
            ("bytes=0-18446744073709551615", Some(FilePart::Bytes(0..u64::MAX))),
        ];
        for (range, expected) in cases {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            assert_eq!(part(&headers), expected, "{range}");
        }
    }
}
