//! Groups.

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore_binary::Jid;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::address::Number;
use crate::clock;
use crate::error::{Result, bad_request, not_found};
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
    /// Who makes the changes; its creator unless given.
    by: Option<String>,
    subject: Option<String>,
    /// Empty for none.
    description: Option<String>,
    announcement: Option<bool>,
    /// Whether its members are known by their LIDs from now on.
    by_lid: Option<bool>,
    locked: Option<bool>,
    /// A JPEG in base64; empty for none.
    picture: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MemberPatch {
    admin: Option<bool>,
    /// Who makes the change; the group's creator unless given.
    by: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Removal {
    /// Who removes the member: who it is for one who leaves, the group's creator unless given.
    by: Option<String>,
}

fn author(by: Option<&String>) -> Result<Option<Number>> {
    by.map(|by| parse_number(by)).transpose()
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
    let by = author(body.by.as_ref())?;
    let picture = body.picture.map(|picture| BASE64_STANDARD.decode(picture)).transpose();
    let picture = picture.map_err(|_| bad_request("picture is no base64"))?;
    let changed = simulator.switchboard().run(move |sb| {
        if sb.group_members(&user)?.is_empty() {
            return Err(not_found(format!("there is no group {user:?}")));
        }
        if let Some(subject) = &body.subject {
            sb.set_subject(&user, subject, by)?;
        }
        if let Some(text) = &body.description {
            sb.set_description(&user, text, clock::message_id(), by)?;
        }
        if let Some(is_so) = body.announcement {
            sb.set_announcement(&user, is_so, by)?;
        }
        if let Some(by_lid) = body.by_lid {
            sb.set_by_lid(&user, by_lid)?;
        }
        if let Some(is_so) = body.locked {
            sb.set_locked(&user, is_so, by)?;
        }
        if let Some(picture) = &picture {
            sb.set_picture(&user, picture, by)?;
        }
        Ok(())
    });
    changed.await?;
    Ok(Json(json!({ "id": id })))
}

/// `PUT /groups/{id}/members/{number}`
pub(super) async fn add(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
    Body(body): Body<MemberPatch>,
) -> HandlerResult<Json<Value>> {
    let (number, user) = (parse_number(&number)?, user_of(&id));
    let by = author(body.by.as_ref())?;
    let added = simulator.switchboard().run(move |sb| {
        if !sb.group_members(&user)?.contains(&number) {
            sb.change_member(&user, number, true, by)?;
        }
        body.admin.map_or(Ok(()), |is_admin| sb.set_admin(&user, number, is_admin, by))
    });
    added.await?;
    Ok(Json(json!({ "id": id })))
}

/// `DELETE /groups/{id}/members/{number}`
pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Path((id, number)): Path<(String, String)>,
    Body(body): Body<Removal>,
) -> HandlerResult<Json<Value>> {
    let (number, user) = (parse_number(&number)?, user_of(&id));
    let by = author(body.by.as_ref())?;
    simulator.switchboard().run(move |sb| sb.change_member(&user, number, false, by)).await?;
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
