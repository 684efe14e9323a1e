//! Media over HTTP: clients upload and fetch ciphertext; the control API opens it.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Answer, parse_number};
use crate::Simulator;
use crate::error::{SimulatorError, not_found};
use crate::media::file_stream;
use crate::phone::views;
use crate::socket::host_of;

/// `POST /mms/{kind}/{token}`; with `resume=1` it only asks how much is here.
pub(super) async fn upload(
    State(simulator): State<Simulator>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<Value>> {
    let direct_path = simulator.media().direct_path(&kind, &token);
    let url = format!("https://{}{direct_path}", host_of(&headers));
    let asks = query.unwrap_or_default().split('&').any(|part| part == "resume=1");
    if asks {
        let here = simulator.media().exists(&direct_path).await;
        return Ok(Json(match here {
            true => json!({"resume": "complete", "url": url, "direct_path": direct_path}),
            false => json!({"resume": "0"}),
        }));
    }
    simulator.media().store(&direct_path, body.into_data_stream()).await?;
    Ok(Json(json!({"url": url, "direct_path": direct_path})))
}

/// `GET /mms/{kind}/{token}`
pub(super) async fn download(
    State(simulator): State<Simulator>,
    Path((kind, token)): Path<(String, String)>,
) -> Answer<Response> {
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
) -> Answer<Response> {
    let number = parse_number(&number)?;
    let content = simulator
        .read(move |db| views::content(db, number, &id))
        .await?
        .ok_or_else(|| not_found("there is no such message"))?;
    let plain = simulator.media().unseal(&content).await?;
    let kind = content.mimetype.unwrap_or_default();
    let inline = ["image/jpeg", "image/png", "image/webp", "audio/", "video/"]
        .iter()
        .any(|prefix| kind.starts_with(prefix));
    let (kind, how) = match inline {
        true => (kind, "inline"),
        false => ("application/octet-stream".to_owned(), "attachment"),
    };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_DISPOSITION, how)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
        .body(Body::from(plain))
        .map_err(|error| SimulatorError::Internal(error.to_string()))?;
    Ok(response)
}
