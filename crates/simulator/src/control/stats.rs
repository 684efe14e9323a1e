//! Counts, and the key that clients must trust.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::HandlerResult;
use crate::Simulator;
use crate::phone::views;

/// `GET /stats`
pub(super) async fn stats(State(simulator): State<Simulator>) -> HandlerResult<Json<Value>> {
    let live = simulator.switchboard().run(|sb| {
        Ok(json!({
            "connections": sb.conns.len(),
            "online_devices": sb.by_device.len(),
            "pairing_clients": sb.conns.len().saturating_sub(sb.by_device.len()),
            "counters": sb.counters,
        }))
    });
    let mut stats = live.await?;
    stats["stored"] = simulator.read(views::stored_counts).await?;
    stats["root_key"] = json!(hex::encode(simulator.server_identity().root_public));
    Ok(Json(stats))
}

/// `GET /root-key`
pub(super) async fn root_key(State(simulator): State<Simulator>) -> Json<Value> {
    let key = simulator.server_identity().root_public;
    Json(json!({ "hex": hex::encode(key), "base64": BASE64_STANDARD.encode(key) }))
}
