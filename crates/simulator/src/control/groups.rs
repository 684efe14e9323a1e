//! Groups.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Jid;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::error::Result;
use crate::phone::views;
use crate::stanza::groups::GroupKind;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGroup {
    subject: String,
    participants: Vec<String>,
    /// Whether its members are known by their LIDs.
    #[serde(default)]
    by_lid: bool,
    /// Whether only its admins write; the first participant is one.
    #[serde(default)]
    announcement: bool,
    /// Whether it is a community, which holds groups.
    #[serde(default)]
    community: bool,
    /// The community that it is a group of.
    parent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupPatch {
    announcement: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MemberPatch {
    admin: Option<bool>,
}

/// `POST /groups`
pub(super) async fn create(
    State(simulator): State<Simulator>,
    Body(body): Body<NewGroup>,
) -> HandlerResult<Json<Value>> {
    let members: Result<Vec<_>> = body.participants.iter().map(|text| parse_number(text)).collect();
    let members = members?;
    let kind = GroupKind {
        announcement: body.announcement,
        community: body.community,
        parent: body.parent,
    };
    let created = simulator
        .switchboard()
        .run(move |sb| sb.create_group(&body.subject, &members, body.by_lid, &kind));
    Ok(Json(json!({ "id": created.await? })))
}

/// `PUT /groups/{id}`
pub(super) async fn change(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    Body(body): Body<GroupPatch>,
) -> HandlerResult<Json<Value>> {
    let user = user_of(&id);
    let changed =
        simulator.switchboard().run(move |sb| sb.set_announcement(&user, body.announcement));
    changed.await?;
    Ok(Json(json!({ "id": id, "announcement": body.announcement })))
}

/// `PUT /groups/{id}/members/{number}`
pub(super) async fn add(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
    Body(body): Body<MemberPatch>,
) -> HandlerResult<Json<Value>> {
    let (number, user) = (parse_number(&number)?, user_of(&id));
    let added = simulator.switchboard().run(move |sb| {
        if !sb.group_members(&user)?.contains(&number) {
            sb.change_member(&user, number, true)?;
        }
        body.admin.map_or(Ok(()), |is_admin| sb.set_admin(&user, number, is_admin))
    });
    added.await?;
    Ok(Json(json!({ "id": id })))
}

/// `DELETE /groups/{id}/members/{number}`
pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
) -> HandlerResult<Json<Value>> {
    let (number, user) = (parse_number(&number)?, user_of(&id));
    simulator.switchboard().run(move |sb| sb.change_member(&user, number, false)).await?;
    Ok(Json(json!({ "id": id })))
}

/// `POST /groups/{id}/read`
pub(super) async fn read(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
) -> HandlerResult<Json<Value>> {
    let group = Jid::group(user_of(&id));
    let read = simulator.switchboard().run(move |sb| sb.group_reads(&group));
    Ok(Json(json!({ "read": read.await? })))
}

fn user_of(id: &str) -> String {
    id.trim_end_matches("@g.us").to_owned()
}

/// `GET /groups`
pub(super) async fn list(State(simulator): State<Simulator>) -> HandlerResult<Json<Value>> {
    Ok(Json(simulator.read(views::groups).await?))
}
