//! What people do with their own phones: more devices, a new installation, keys that are not given.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::error::not_found;
use crate::phone::{BundleKind, views};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Companions {
    count: usize,
    #[serde(default = "yes")]
    announced: bool,
}

fn yes() -> bool {
    true
}

/// `PUT /phones/{number}/companions`
pub(super) async fn companions(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<Companions>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let set = move |sb: &mut crate::switchboard::Switchboard| {
        sb.set_companions(number, body.count, body.announced)
    };
    simulator.switchboard().run(set).await?;
    Ok(Json(json!({ "count": body.count })))
}

/// `GET /phones/{number}/companions/{i}/inbox`
pub(super) async fn companion_inbox(
    State(simulator): State<Simulator>,
    Path((number, index)): Path<(String, String)>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let missing = |_| not_found(format!("{number} has no companion {index}"));
    let index: usize = index.parse().map_err(missing)?;
    let state = simulator.switchboard().run(move |sb| sb.companion(number, index)).await?;
    simulator.check_media(state).await?;
    Ok(Json(simulator.read(move |db| views::inbox(db, state)).await?))
}

/// `POST /phones/{number}/reinstall`
pub(super) async fn reinstall(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    simulator.switchboard().run(move |sb| sb.reinstall(number)).await?;
    Ok(Json(json!({ "reinstalled": number.to_string() })))
}

/// `POST /phones/{number}/recycle`
pub(super) async fn recycle(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let lid = simulator.switchboard().run(move |sb| {
        sb.recycle(number)?;
        Ok(sb.lid_jid(number).to_string())
    });
    Ok(Json(json!({ "recycled": number.to_string(), "lid": lid.await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChatPatch {
    ephemeral_s: u32,
}

/// `PUT /phones/{number}/chats/{jid}`
pub(super) async fn chat(
    State(simulator): State<Simulator>,
    Path((number, chat)): Path<(String, String)>,
    Body(body): Body<ChatPatch>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let chat = super::send::addressee(&chat)?;
    let shown = json!({ "chat": chat.to_string(), "ephemeral_s": body.ephemeral_s });
    let set = move |sb: &mut crate::switchboard::Switchboard| {
        sb.set_chat_timer(number, &chat, body.ephemeral_s)
    };
    simulator.switchboard().run(set).await?;
    Ok(Json(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bundle {
    kind: BundleKind,
}

/// `PUT /phones/{number}/bundle`
pub(super) async fn bundle(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    Body(body): Body<Bundle>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    simulator.switchboard().run(move |sb| sb.set_bundle_kind(number, body.kind)).await?;
    Ok(Json(json!({ "kind": body.kind })))
}
