//! Groups.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::error::Result;
use crate::phone::views;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    subject: String,
    participants: Vec<String>,
    /// Whether its members are known by their LIDs.
    #[serde(default)]
    by_lid: bool,
}

/// `POST /groups`
pub(super) async fn create(
    State(simulator): State<Simulator>,
    Body(body): Body<NewGroup>,
) -> HandlerResult<Json<Value>> {
    let members: Result<Vec<_>> = body.participants.iter().map(|text| parse_number(text)).collect();
    let members = members?;
    let created = simulator
        .switchboard()
        .run(move |sb| sb.create_group(&body.subject, &members, body.by_lid));
    Ok(Json(json!({ "id": created.await? })))
}

/// `PUT /groups/{id}/members/{number}`
pub(super) async fn add(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
) -> HandlerResult<Json<Value>> {
    change(&simulator, id, &number, true).await
}

/// `DELETE /groups/{id}/members/{number}`
pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
) -> HandlerResult<Json<Value>> {
    change(&simulator, id, &number, false).await
}

async fn change(
    simulator: &Simulator,
    id: String,
    number: &str,
    joins: bool,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(number)?;
    let user = id.trim_end_matches("@g.us").to_owned();
    let changed = simulator.switchboard().run(move |sb| sb.change_member(&user, number, joins));
    changed.await?;
    Ok(Json(json!({ "id": id })))
}

/// `GET /groups`
pub(super) async fn list(State(simulator): State<Simulator>) -> HandlerResult<Json<Value>> {
    Ok(Json(simulator.read(views::groups).await?))
}
