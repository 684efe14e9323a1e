//! `/app/groups/{device}/{group}`: one group: its members, its settings, its invite link, leaving it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use domain::error::Error;
use domain::group::{
    GROUP_DESCRIPTION_MAX, GROUP_NAME_MAX, GroupDetails, GroupRole, GroupSetting, MemberChange,
    MemberOutcome, Participant,
};
use domain::ids::DeviceId;
use domain::message::Address;
use domain::person::Role;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{InAccount, Nothing, Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::groups::{GroupWords, described, group_path, people};
use super::layout::{self, Head, Place};
use super::reasons::said;
use super::show::{self, Confirm, Fault, with};
use super::table::{self, Column};
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/groups/{device}/{group}", get(show_group).post(change))
        .route("/app/groups/{device}/{group}/members", post(change_members))
        .route("/app/groups/{device}/{group}/invite", post(invite))
        .route("/app/groups/{device}/{group}/new-invite", get(ask_new_invite).post(new_invite))
        .route("/app/groups/{device}/{group}/leave", get(ask_leave).post(leave))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ChangeForm {
    name: String,
    description: String,
    announce: String,
    locked: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MembersForm {
    people: String,
    act: String,
    /// Whether those who leave the group by it were shown.
    sure: String,
}

/// What the page of a group shows beside the group.
#[derive(Default)]
struct Shown {
    fault: Option<Fault>,
    outcomes: Vec<MemberOutcome>,
    link: Option<String>,
    /// What was written in a form that is at fault: the people, or the settings.
    people: String,
    changed: Option<ChangeForm>,
}

impl Shown {
    fn fault(person: &Person, error: Error) -> Self {
        let field = match &error {
            Error::Invalid { field: "subject", .. } => "name",
            Error::Invalid { field: "description", .. } => "description",
            Error::Invalid { field: "participants", .. } => "people",
            _ => "group",
        };
        Self { fault: Some(Fault::of(field, described(person, error))), ..Self::default() }
    }
}

async fn show_group(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path((device, group)): Path<(String, String)>,
) -> PageResult {
    group_page(&state, &person, (&device, &group), &Shown::default()).await
}

async fn group_page(
    state: &AppState,
    person: &Person,
    (device, group): (&str, &str),
    shown: &Shown,
) -> Result<Response, Failure> {
    let own = GroupWords::of(person.lang);
    let device: DeviceId = id(device, "device")?;
    let details = match state.core().group(person.principal(), device, group).await {
        Ok(details) => details,
        Err(error @ (Error::NotFound(_) | Error::Forbidden)) => return Err(error.into()),
        Err(error) => {
            let body = html! {
                p.crumbs { a href="/app/groups" { (own.title) } }
                p.fault role="alert" { (described(person, error)) }
            };
            return Ok(layout::page(person, Place::Groups, own.title, &body));
        }
    };
    let may_change = person.visitor.role() >= Role::Member;
    let path = group_path(device, &details.group);
    let body = html! {
        p.crumbs { a href={ "/app/groups?device=" (device) } { (own.title) } }
        h1 { (details.group.name) }
        (Fault::above(shown.fault.as_ref(), &["name", "description", "people"]))
        @if !shown.outcomes.is_empty() { (outcomes(person, &shown.outcomes)) }
        @if let Some(link) = &shown.link { h2 { (own.invite) } pre tabindex="0" { code { (link) } } }
        p { code { (details.group.id.as_str()) } }
        @if let Some(text) = &details.description { p.text { (text) } }
        div.row {
            @if may_change {
                a.button href={ "/app/send?device=" (device) "&to=" (details.group.id.as_str()) } {
                    (own.to_group)
                }
            }
            @if may_change { (acts(person, &path)) }
        }
        h2 { (with(own.members, details.participants.len())) }
        (members(own, &details.participants))
        @if may_change { (members_form(person, &path, shown)) (settings(person, &path, &details, shown)) }
    };
    let (status, head) = (Fault::status(shown.fault.as_ref()), Head::default());
    Ok(layout::page_with(status, person, Place::Groups, &details.group.name, &head, &body))
}

fn acts(person: &Person, path: &str) -> Markup {
    let own = GroupWords::of(person.lang);
    html! {
        form.row method="post" action={ (path) "/invite" } {
            (person.csrf())
            button.plain { (own.show_invite) }
        }
        a.button.plain href={ (path) "/new-invite" } { (own.new_invite) }
        a.button.plain.danger-text href={ (path) "/leave" } { (own.leave) }
    }
}

fn outcomes(person: &Person, outcomes: &[MemberOutcome]) -> Markup {
    let own = GroupWords::of(person.lang);
    html! {
        section.card role="status" {
            h2 { (own.outcome) }
            ul.plain-list {
                @for outcome in outcomes {
                    li {
                        (show::chat(&outcome.who)) ": "
                        @match &outcome.refused {
                            Some(failure) => (said(person.lang, &failure.message)),
                            None => (own.done),
                        }
                    }
                }
            }
        }
    }
}

fn who(address: &Address) -> String {
    match (&address.phone, &address.lid) {
        (Some(phone), _) => format!("+{phone}"),
        (None, Some(lid)) => lid.as_str().to_owned(),
        (None, None) => "?".to_owned(),
    }
}

fn members(own: &GroupWords, participants: &[Participant]) -> Markup {
    let columns = [Column::Clear(own.member), Column::Clear(own.role)];
    let row = |participant: &Participant| {
        let role = match participant.role {
            GroupRole::Owner => own.role_owner,
            GroupRole::Admin => own.role_admin,
            GroupRole::Member => own.role_member,
        };
        [html! { (who(&participant.who)) }, html! { (role) }]
    };
    table::table(own.member, &columns, participants.iter().map(row))
}

fn members_form(person: &Person, path: &str, shown: &Shown) -> Markup {
    let own = GroupWords::of(person.lang);
    let acts = [
        ("add", own.add, "plain"),
        ("remove", own.remove, "plain danger-text"),
        ("promote", own.promote, "plain"),
        ("demote", own.demote, "plain"),
    ];
    html! {
        section.card {
            h2 { (own.change_members) }
            form.stack method="post" action={ (path) "/members" } {
                (person.csrf())
                label for="people" { (own.people) }
                textarea #people name="people" rows="3" required aria-describedby="people-fault" {
                    (shown.people)
                }
                (Fault::beside(shown.fault.as_ref(), "people"))
                div.row {
                    @for (act, word, class) in acts {
                        button class=(class) name="act" value=(act) { (word) }
                    }
                }
            }
        }
    }
}

fn settings(person: &Person, path: &str, details: &GroupDetails, shown: &Shown) -> Markup {
    let (words, own) = (person.words(), GroupWords::of(person.lang));
    let (written, fault) = (shown.changed.as_ref(), shown.fault.as_ref());
    let name = written.map_or(&details.group.name, |form| &form.name);
    let description = details.description.as_deref().unwrap_or_default();
    let description = written.map_or(description, |form| form.description.as_str());
    let announce = written.map_or(details.is_announcement, |form| !form.announce.is_empty());
    let locked = written.map_or(details.is_locked, |form| !form.locked.is_empty());
    html! {
        section.card {
            h2 { (words.settings) }
            form.stack method="post" action=(path) {
                (person.csrf())
                label for="name" { (own.name) }
                input #name name="name" required maxlength=(GROUP_NAME_MAX) value=(name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                label for="description" { (own.description) }
                textarea #description name="description" rows="3" maxlength=(GROUP_DESCRIPTION_MAX)
                    aria-describedby="description-fault" { (description) }
                (Fault::beside(fault, "description"))
                label.check {
                    input type="checkbox" name="announce" value="1" checked[announce];
                    (own.announce)
                }
                label.check {
                    input type="checkbox" name="locked" value="1" checked[locked];
                    (own.locked)
                }
                button { (words.save) }
            }
        }
    }
}

/// The device of a path, for somebody who may change its groups.
async fn changed_device(
    state: &AppState,
    person: &Person,
    device: &str,
) -> Result<DeviceId, Error> {
    let device = id(device, "device")?;
    state.core().device(person.principal(), device).await?;
    person.visitor.require(Role::Member)?;
    Ok(device)
}

/// The group that a question is about, and the path of its page.
async fn asked_group(
    state: &AppState,
    person: &Person,
    (device, group): (&str, &str),
) -> Result<(GroupDetails, String), Error> {
    let device = changed_device(state, person, device).await?;
    let details = state.core().group(person.principal(), device, group).await?;
    let path = group_path(device, &details.group);
    Ok((details, path))
}

/// What a form changes of a group.
fn changes(form: &ChangeForm, details: &GroupDetails) -> Vec<GroupSetting> {
    let (announce, locked) = (!form.announce.is_empty(), !form.locked.is_empty());
    // Browsers send the line ends of a text as CRLF.
    let description = form.description.replace("\r\n", "\n").trim().to_owned();
    let mut changes = Vec::new();
    if form.name.trim() != details.group.name {
        changes.push(GroupSetting::Name(form.name.clone()));
    }
    if description != details.description.as_deref().unwrap_or_default().trim() {
        let description = Some(description).filter(|text| !text.is_empty());
        changes.push(GroupSetting::Description(description));
    }
    if announce != details.is_announcement {
        changes.push(GroupSetting::Announcement(announce));
    }
    if locked != details.is_locked {
        changes.push(GroupSetting::Locked(locked));
    }
    changes
}

async fn change(
    State(state): State<AppState>,
    Path((device, group)): Path<(String, String)>,
    Posted { person, form }: Posted<ChangeForm>,
) -> PageResult {
    let (core, own) = (state.core(), changed_device(&state, &person, &device).await?);
    let changed = async {
        let details = core.group(person.principal(), own, &group).await?;
        let changes = changes(&form, &details);
        core.change_group(person.principal(), own, &group, changes).await
    };
    let changed = changed.await;
    match changed {
        Ok(details) => Ok(redirect(&group_path(own, &details.group))),
        Err(error @ Error::NotFound(_)) => Err(error.into()),
        Err(error) => {
            let shown = Shown { changed: Some(form), ..Shown::fault(&person, error) };
            group_page(&state, &person, (&device, &group), &shown).await
        }
    }
}

async fn change_members(
    State(state): State<AppState>,
    Path((device, group)): Path<(String, String)>,
    Posted { person, form }: Posted<MembersForm>,
) -> PageResult {
    let own = changed_device(&state, &person, &device).await?;
    let change = match form.act.as_str() {
        "remove" => MemberChange::Remove,
        "promote" => MemberChange::Promote,
        "demote" => MemberChange::Demote,
        _ => MemberChange::Add,
    };
    let people = people(&form.people);
    if change == MemberChange::Remove && form.sure.is_empty() && !people.is_empty() {
        let details = state.core().group(person.principal(), own, &group).await?;
        return Ok(ask_remove(&person, &group_path(own, &details.group), &details, &people));
    }
    let named = ("participants", people.as_slice());
    let changed = state.core().change_members(person.principal(), own, &group, change, named).await;
    let shown = match changed {
        Ok(outcomes) => Shown { outcomes, ..Shown::default() },
        Err(error @ Error::NotFound(_)) => return Err(error.into()),
        Err(Error::Invalid { .. }) if people.is_empty() => {
            let message = GroupWords::of(person.lang).people_wrong.to_owned();
            Shown { fault: Some(Fault::of("people", message)), ..Shown::default() }
        }
        Err(error) => Shown { people: form.people, ..Shown::fault(&person, error) },
    };
    group_page(&state, &person, (&device, &group), &shown).await
}

/// Asks before members are removed.
fn ask_remove(person: &Person, path: &str, details: &GroupDetails, people: &[String]) -> Response {
    let own = GroupWords::of(person.lang);
    let title = with(own.remove_title, people.len());
    let body = html! {
        h1 { (title) }
        p { (with(own.remove_warning, &details.group.name)) }
        ul.plain-list { @for member in people { li { (member) } } }
        form.row method="post" action={ (path) "/members" } {
            (person.csrf())
            input type="hidden" name="people" value=(people.join(","));
            input type="hidden" name="act" value="remove";
            button.danger name="sure" value="1" { (own.remove) }
            a.button.plain href=(path) { (person.words().keep) }
        }
    };
    layout::page(person, Place::Groups, &title, &body)
}

async fn invite(
    State(state): State<AppState>,
    Path((device, group)): Path<(String, String)>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    show_invite(&state, &person, (&device, &group), false).await
}

async fn ask_new_invite(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path((device, group)): Path<(String, String)>,
) -> PageResult {
    let own = GroupWords::of(person.lang);
    let (details, back) = asked_group(&state, &person, (&device, &group)).await?;
    let confirm = Confirm {
        title: own.new_invite,
        what: html! { p { (details.group.name) } p { (own.new_invite_help) } },
        action: &format!("{back}/new-invite"),
        button: own.new_invite,
        back: &back,
    };
    Ok(layout::page(&person, Place::Groups, own.new_invite, &confirm.render(&person)))
}

async fn new_invite(
    State(state): State<AppState>,
    Path((device, group)): Path<(String, String)>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    show_invite(&state, &person, (&device, &group), true).await
}

async fn show_invite(
    state: &AppState,
    person: &Person,
    (device, group): (&str, &str),
    is_new: bool,
) -> PageResult {
    let own = changed_device(state, person, device).await?;
    let shown = match state.core().group_invite(person.principal(), own, group, is_new).await {
        Ok(link) => Shown { link: Some(link), ..Shown::default() },
        Err(error @ Error::NotFound(_)) => return Err(error.into()),
        Err(error) => Shown::fault(person, error),
    };
    group_page(state, person, (device, group), &shown).await
}

async fn ask_leave(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path((device, group)): Path<(String, String)>,
) -> PageResult {
    let own = GroupWords::of(person.lang);
    let (details, back) = asked_group(&state, &person, (&device, &group)).await?;
    let title = with(own.leave_title, &details.group.name);
    let warning = with(own.leave_warning, details.participants.len());
    let confirm = Confirm {
        title: &title,
        what: html! { p { (warning) } },
        action: &format!("{back}/leave"),
        button: own.leave,
        back: &back,
    };
    Ok(layout::page(&person, Place::Groups, &title, &confirm.render(&person)))
}

async fn leave(
    State(state): State<AppState>,
    Path((device, group)): Path<(String, String)>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let own = changed_device(&state, &person, &device).await?;
    match state.core().leave_group(person.principal(), own, &group).await {
        Ok(()) => Ok(redirect(&format!("/app/groups?device={own}"))),
        Err(error @ Error::NotFound(_)) => Err(error.into()),
        Err(error) => {
            let shown = Shown::fault(&person, error);
            group_page(&state, &person, (&device, &group), &shown).await
        }
    }
}
