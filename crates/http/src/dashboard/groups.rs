//! `/app/groups`: the groups of a device's number, and creating one.
//!
//! All of it is asked of WhatsApp through the device, which must be connected.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use domain::device::{Device, DeviceStatus, Group};
use domain::error::Error;
use domain::group::GROUP_NAME_MAX;
use domain::ids::DeviceId;
use domain::person::Role;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, InAccount, Person, Posted, id};
use super::device_choice;
use super::failure::{Failure, PageResult, describe, redirect};
use super::layout::{self, Head, Place};
use super::show::Fault;
use super::table::{self, Column};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of groups.
    GroupWords
    title: "Groups", "Grup";
    none: "The number is in no group.", "Nomor ini tidak ada di grup mana pun.";
    no_device: "No device is connected. Groups are asked through a connected device.", "Tidak ada perangkat yang terhubung. Grup ditanyakan lewat perangkat yang terhubung.";
    create: "Create a group", "Buat grup";
    name: "Name of the group", "Nama grup";
    name_wrong: "Write a name of 1 to 100 characters.", "Isi nama 1 sampai 100 karakter.";
    people: "Numbers, one a line", "Nomor, satu per baris";
    people_wrong: "Write one number at least, one a line, such as 0812…", "Isi sedikitnya satu nomor, satu per baris, seperti 0812…";
    members: "Members ({})", "Anggota ({})";
    member: "Member", "Anggota";
    role: "Role", "Peran";
    role_owner: "owner", "pemilik";
    role_admin: "admin", "admin";
    role_member: "member", "anggota";
    description: "Description", "Deskripsi";
    announce: "Only admins write", "Hanya admin yang menulis";
    locked: "Only admins change name and description", "Hanya admin yang mengubah nama dan deskripsi";
    change_members: "Change members", "Ubah anggota";
    add: "Add", "Tambahkan";
    remove: "Remove", "Keluarkan";
    promote: "Make admin", "Jadikan admin";
    demote: "No longer admin", "Berhenti jadi admin";
    outcome: "What WhatsApp did", "Hasil dari WhatsApp";
    done: "done", "berhasil";
    invite: "Invite link", "Tautan undangan";
    show_invite: "Show the invite link", "Tampilkan tautan undangan";
    new_invite: "Make a new link", "Buat tautan baru";
    new_invite_help: "The earlier link is void then.", "Tautan sebelumnya tidak berlaku lagi.";
    remove_title: "Members to be removed: {}", "Anggota yang akan dikeluarkan: {}";
    remove_warning: "They leave the group {} at once and are added again only one by one.", "Mereka langsung keluar dari grup {} dan hanya dapat ditambahkan lagi satu per satu.";
    leave: "Leave the group", "Keluar dari grup";
    leave_title: "Leave {}?", "Keluar dari {}?";
    leave_warning: "The number leaves the group with its {} members. Only an admin of the group can add it again.", "Nomor ini keluar dari grup yang beranggota {} orang. Hanya admin grup yang dapat menambahkannya lagi.";
    to_group: "Send to this group", "Kirim ke grup ini";
    not_admin: "The number may not do that in this group: it is no admin there.", "Nomor ini tidak boleh melakukannya di grup ini: bukan admin.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/groups", get(list).post(create))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GroupsQuery {
    device: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CreateForm {
    device: String,
    name: String,
    people: String,
}

/// What goes wrong with a group, in words.
pub(super) fn described(person: &Person, error: Error) -> String {
    match error {
        Error::Conflict(_) => GroupWords::of(person.lang).not_admin.to_owned(),
        error => describe(&error.into(), person.words()),
    }
}

/// The devices of the account that are connected, and the one that is chosen.
async fn connected(
    state: &AppState,
    person: &Person,
    chosen: Option<DeviceId>,
) -> Result<Vec<Device>, Error> {
    let mut devices = device_choice::devices(state, person, chosen).await?;
    devices.retain(|device| device.status == DeviceStatus::Connected || Some(device.id) == chosen);
    Ok(devices)
}

async fn list(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Asked(query): Asked<GroupsQuery>,
) -> PageResult {
    let form = CreateForm { device: query.device, ..CreateForm::default() };
    list_page(&state, &person, &form, None).await
}

async fn list_page(
    state: &AppState,
    person: &Person,
    form: &CreateForm,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let own = GroupWords::of(person.lang);
    let chosen = match form.device.as_str() {
        "" => None,
        text => Some(id(text, "device")?),
    };
    let devices = connected(state, person, chosen).await?;
    let chosen = chosen.or(devices.first().map(|device| device.id));
    let groups = match chosen {
        Some(device) => state.core().groups(person.principal(), device).await,
        None => Ok(Vec::new()),
    };
    let is_asked = groups.is_ok();
    let body = html! {
        h1 { (own.title) }
        @match chosen {
            None => p.empty { (own.no_device) " " a href="/app/devices" { (person.words().devices) } },
            Some(device) => {
                @if devices.len() > 1 { (choose(person, &devices, device)) }
                @match groups {
                    Err(error) => p.fault role="alert" { (described(person, error)) },
                    Ok(groups) if groups.is_empty() => p.empty { (own.none) },
                    Ok(groups) => (table(own, device, &groups)),
                }
                @if person.visitor.role() >= Role::Member && is_asked {
                    (create_form(person, device, form, fault))
                }
            }
        }
    };
    let (status, head) = (Fault::status(fault), Head::default());
    Ok(layout::page_with(status, person, Place::Groups, own.title, &head, &body))
}

fn choose(person: &Person, devices: &[Device], chosen: DeviceId) -> Markup {
    let words = person.words();
    html! {
        form.row method="get" action="/app/groups" {
            div.field {
                label for="device" { (words.device) }
                select #device name="device" {
                    (device_choice::options(person.lang, devices, &chosen.to_string()))
                }
            }
            button { (words.filter) }
        }
    }
}

pub(super) fn group_path(device: DeviceId, group: &Group) -> String {
    format!("/app/groups/{device}/{}", group.id.as_str())
}

fn table(own: &GroupWords, device: DeviceId, groups: &[Group]) -> Markup {
    let columns = [Column::Text(own.name), Column::Clear("ID")];
    let row = |group: &Group| {
        let id = group.id.as_str();
        let name = if group.name.trim().is_empty() { id } else { &group.name };
        [html! { a href=(group_path(device, group)) { (name) } }, html! { code { (id) } }]
    };
    table::table(own.title, &columns, groups.iter().map(row))
}

fn create_form(
    person: &Person,
    device: DeviceId,
    form: &CreateForm,
    fault: Option<&Fault>,
) -> Markup {
    let own = GroupWords::of(person.lang);
    html! {
        section.card {
            h2 { (own.create) }
            (Fault::above(fault, &["name", "people"]))
            form.stack method="post" action="/app/groups" {
                (person.csrf())
                input type="hidden" name="device" value=(device);
                label for="name" { (own.name) }
                input #name name="name" required maxlength=(GROUP_NAME_MAX) value=(form.name)
                    aria-describedby="name-fault";
                (Fault::beside(fault, "name"))
                label for="people" { (own.people) }
                textarea #people name="people" rows="4" required aria-describedby="people-fault" {
                    (form.people)
                }
                (Fault::beside(fault, "people"))
                button { (own.create) }
            }
        }
    }
}

/// The people that a field names, one a line or with commas between.
pub(super) fn people(text: &str) -> Vec<String> {
    let people = text.split(['\n', ',', ';']).map(str::trim).filter(|person| !person.is_empty());
    people.map(str::to_owned).collect()
}

async fn create(
    State(state): State<AppState>,
    Posted { person, form }: Posted<CreateForm>,
) -> PageResult {
    let own = GroupWords::of(person.lang);
    let device: DeviceId = id(&form.device, "device")?;
    state.core().device(person.principal(), device).await?;
    person.visitor.require(Role::Member)?;
    let refused = |field, message: &str| Some(Fault::of(field, message.to_owned()));
    let length = form.name.trim().chars().count();
    let fault = match people(&form.people).is_empty() {
        _ if !(1..=GROUP_NAME_MAX).contains(&length) => refused("name", own.name_wrong),
        true => refused("people", own.people_wrong),
        false => None,
    };
    if let Some(fault) = fault {
        return list_page(&state, &person, &form, Some(&fault)).await;
    }
    let members = people(&form.people);
    match state.core().create_group(person.principal(), device, &form.name, &members).await {
        Ok(made) => Ok(redirect(&group_path(device, &made.group))),
        Err(error) => {
            let field = if let Error::Invalid { .. } = error { "people" } else { "group" };
            let fault = Fault::of(field, described(&person, error));
            list_page(&state, &person, &form, Some(&fault)).await
        }
    }
}
