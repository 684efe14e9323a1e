//! `/v1/backups`: a backup of the whole installation. For the operator.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response};
use domain::ports::{Backup, BackupError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::V1;
use super::caller::{Caller, OptionalJson};
use super::problem::{UNAVAILABLE, problem};
use crate::api_error::ApiResult;
use crate::optional::optional;
use crate::routes::{Access, Route};
use crate::state::AppState;

/// What a backup is, for HTTP.
const GZIP: &str = "application/gzip";
/// Seconds after which a caller is to try again.
const BUSY_S: u64 = 60;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/backups", Access::Operator, create)
            .summary("Make a backup of the whole installation and download it")
            .description(
                "A compressed tar file with the database as it is at one moment, the files that came in, and \
                 checksums; `gerbang restore` takes it. The secret key is not in it. Where the database is \
                 PostgreSQL, it is not in it either: `pg_dump` keeps that. `gerbang backup` makes one on the \
                 gateway's own machine.",
            )
            .body::<BackupRequest>()
            .answers_type(200, GZIP)
            .error(503, "`unavailable`: another backup is being made, or it failed; `detail` says why"),
    ]
}

/// What is to be in a backup.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackupRequest {
    /// Whether the files that came in are in it; they are unless given.
    #[serde(default, deserialize_with = "optional")]
    media: Option<bool>,
}

async fn create(
    State(state): State<AppState>,
    Caller(principal): Caller,
    OptionalJson(body): OptionalJson<BackupRequest>,
) -> ApiResult<V1> {
    let now = state.core().note_backup(&principal).await?;
    let with_media = body.unwrap_or_default().media.unwrap_or(true);
    let made = match &state.config().backups {
        Some(backups) => backups.make(with_media, now).await,
        None => Err(BackupError::Failed("this gateway makes no backups".to_owned())),
    };
    Ok(made.map_or_else(|error| refusal(&error), backup_file))
}

fn refusal(error: &BackupError) -> Response<Body> {
    let mut response = problem(&UNAVAILABLE, error.to_string());
    if matches!(error, BackupError::Busy) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(BUSY_S));
    }
    response
}

/// A backup as a file to be downloaded.
pub fn backup_file(backup: Backup) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(backup.bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GZIP));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(backup.size));
    let disposition = format!("attachment; filename=\"{}\"", backup.name);
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}
