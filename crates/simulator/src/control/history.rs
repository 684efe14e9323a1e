//! What a number has been through before a device is linked.

use std::io::Write as _;

use axum::Json;
use axum::extract::{Path, State};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore::download::MediaType;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::address::Number;
use crate::error::{Result, bad_request};
use crate::limits::{HISTORY_BYTES_MAX, HISTORY_CHATS_MAX};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryRequest {
    chats: Vec<String>,
    /// Roughly how many bytes of messages are in it.
    #[serde(default)]
    bytes: usize,
}

/// `POST /phones/{number}/history`
pub(super) async fn put(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<HistoryRequest>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    if body.chats.is_empty() || body.chats.len() > HISTORY_CHATS_MAX {
        return Err(bad_request(format!("chats has 1 to {HISTORY_CHATS_MAX} numbers")).into());
    }
    if body.bytes > HISTORY_BYTES_MAX {
        return Err(bad_request(format!("bytes is at most {HISTORY_BYTES_MAX}")).into());
    }
    let chats: Vec<Number> =
        body.chats.iter().map(|chat| parse_number(chat)).collect::<Result<_>>()?;
    let (count, bytes) = (chats.len(), body.bytes);
    let made = simulator.switchboard().run(move |sb| sb.history_of(number, &chats, bytes));
    let history = compressed(made.await?).await?;
    let size = history.len();
    let stored = simulator.media().seal(history, MediaType::History).await?;
    simulator.switchboard().run(move |sb| sb.keep_history(number, stored)).await?;
    Ok(Json(json!({ "chats": count, "bytes": size })))
}

async fn compressed(history: Vec<u8>) -> Result<Vec<u8>> {
    let compress = move || {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&history)?;
        Ok(encoder.finish()?)
    };
    let done = tokio::task::spawn_blocking(compress).await;
    done.map_err(|error| crate::error::SimulatorError::Internal(error.to_string()))?
}
