//! Media over HTTP: clients upload and fetch ciphertext; the control API opens it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::rules::{FaultOn, Happening};
use super::{HandlerResult, parse_number};
use crate::Simulator;
use crate::address::Number;
use crate::error::{Result, SimulatorError, bad_request, not_found};
use crate::media::file_stream;
use crate::phone::views;
use crate::socket::host_of;

/// Who uploads or fetches is faulted by the scripted rules; who uploads must prove that it may.
async fn enter(
    simulator: &Simulator,
    headers: &HeaderMap,
    query: &str,
    is_upload: bool,
) -> Result<()> {
    let auth = asked(query, "auth").unwrap_or_default().to_owned();
    let host = host_of(headers);
    let entered = simulator.switchboard().run(move |sb| {
        let owner = match (is_upload, auth.is_empty()) {
            (false, true) => None,
            _ => Some(sb.media_owner(&auth)?),
        };
        let of: Vec<Number> = owner.into_iter().collect();
        let happening = Happening { host: &host, ..Happening::new(FaultOn::Media, &of) };
        let struck = sb.strike(happening);
        let delayed = struck.delay.map(|delay| sb.over_after(delay));
        Ok((struck, delayed))
    });
    let (struck, delayed) = entered.await?;
    if let Some(delayed) = delayed {
        let _ = delayed.await;
    }
    struck.status.map_or(Ok(()), |status| Err(SimulatorError::Scripted(status)))
}

/// `POST /mms/{kind}/{token}`; with `resume=1` it only asks for the stored size, with
/// `file_offset=N` it resumes there.
pub(super) async fn upload(
    State(simulator): State<Simulator>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> HandlerResult<Json<Value>> {
    let direct_path = simulator.media().direct_path(&kind, &token);
    let url = format!("https://{}{direct_path}", host_of(&headers));
    let query = query.unwrap_or_default();
    enter(&simulator, &headers, &query, true).await?;
    if asked(&query, "resume") == Some("1") {
        return Ok(Json(match simulator.media().exists(&direct_path).await {
            true => json!({"resume": "complete", "url": url, "direct_path": direct_path}),
            false => {
                let here = simulator.media().partial_bytes(&direct_path).await;
                json!({"resume": here.to_string()})
            }
        }));
    }
    let offset = asked(&query, "file_offset").map_or(Ok(0), str::parse);
    let offset = offset.map_err(|_| bad_request("file_offset is a number of bytes"))?;
    simulator.media().store(&direct_path, offset, body.into_data_stream()).await?;
    Ok(Json(json!({"url": url, "direct_path": direct_path})))
}

/// A parameter of a query.
fn asked<'q>(query: &'q str, key: &str) -> Option<&'q str> {
    query.split('&').find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
}

/// `GET /mms/{kind}/{token}`
pub(super) async fn download(
    State(simulator): State<Simulator>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> HandlerResult<Response> {
    enter(&simulator, &headers, &query.unwrap_or_default(), false).await?;
    let direct_path = simulator.media().direct_path(&kind, &token);
    let (file, size) = simulator.media().open_file(&direct_path).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(file_stream(file))).into_response())
}

/// `GET /phones/{number}/inbox/{id}/media`: the plain file.
pub(super) async fn inbox_media(
    State(simulator): State<Simulator>,
    Path((number, id)): Path<(String, String)>,
) -> HandlerResult<Response> {
    let number = parse_number(&number)?;
    let content = simulator
        .read(move |db| views::content(db, number, &id))
        .await?
        .ok_or_else(|| not_found("there is no such message"))?;
    let (plain, size) = simulator.media().unseal(&content).await?;
    let kind = content.mimetype.unwrap_or_default();
    let (kind, how) = match shown_inline(&kind) {
        Some(kind) => (kind, "inline"),
        None => (HeaderValue::from_static("application/octet-stream"), "attachment"),
    };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, size)
        .header(header::CONTENT_DISPOSITION, how)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
        .body(Body::from_stream(file_stream(plain)))
        .map_err(|error| SimulatorError::Internal(error.to_string()))?;
    Ok(response)
}

/// `DELETE /phones/{number}/inbox/{id}/media`: the media hosts have the file no longer; with `phone=also`
/// neither has the phone.
pub(super) async fn forget_media(
    State(simulator): State<Simulator>,
    Path((number, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> HandlerResult<StatusCode> {
    let number = parse_number(&number)?;
    let content = simulator.read(move |db| views::content(db, number, &id)).await?;
    let media = content.and_then(|content| content.media);
    let media = media.ok_or_else(|| not_found("there is no such file"))?;
    let query = query.unwrap_or_default();
    simulator.media().forget(&media.direct_path, asked(&query, "phone") != Some("also"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The media types that a page may show; the sender chose the text, so it must also be a header.
fn shown_inline(mimetype: &str) -> Option<HeaderValue> {
    let shown = ["image/jpeg", "image/png", "image/webp", "image/gif", "audio/", "video/"];
    let known = shown.iter().any(|prefix| mimetype.starts_with(prefix));
    known.then(|| HeaderValue::from_str(mimetype).ok()).flatten()
}

impl Simulator {
    /// The phone fetches the files it has not checked yet and compares them with their messages;
    /// a file that cannot be decrypted makes its message's kind `failed`.
    pub(super) async fn check_media(&self, number: Number) -> Result<()> {
        let _turn = self.check_turn().await;
        let unchecked = self.read(move |db| views::unchecked_media(db, number)).await?;
        for (id, content) in unchecked {
            let outcome = self.media().check(&content).await.map_err(|error| error.to_string());
            let content = content.checked(outcome);
            self.switchboard().run(move |sb| sb.set_inbox_content(number, &id, &content)).await?;
        }
        Ok(())
    }
}
