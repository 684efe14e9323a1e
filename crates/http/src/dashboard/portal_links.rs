//! `/app/devices/{id}/portal-links`: links to the page of one device, for people without an account.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use domain::device::Device;
use domain::error::Error;
use domain::ids::PortalLinkId;
use domain::person::Role;
use domain::portal::{Permission, PortalLink};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{InAccount, Nothing, Person, Posted, id};
use super::device::own_device;
use super::failure::{PageResult, redirect};
use super::layout::{self, Head, Place};
use super::portal_page::portal_path;
use super::show::{self, Confirm, Fault, device_path};
use super::table::{self, Column};
use super::words::words;
use crate::net::server_address;
use crate::state::AppState;

/// How long links may live that the page offers, in days.
const DAYS: [i64; 5] = [1, 7, 30, 90, 365];
const DAY_S: i64 = 86_400;

words! {
    /// The texts of portal links.
    LinkWords
    title: "Portal links", "Tautan portal";
    help: "A link opens this one device to somebody without an account: its status, and what you allow here. Anyone who has the link can use it until it ends or you revoke it.", "Tautan membuka satu perangkat ini untuk orang tanpa akun: statusnya, dan yang Anda izinkan di sini. Siapa pun yang memegang tautan dapat memakainya sampai berakhir atau Anda cabut.";
    may: "Allow", "Izinkan";
    pair: "link the number (QR or code)", "menautkan nomor (QR atau kode)";
    read: "read its messages", "membaca pesannya";
    send: "send from it", "mengirim darinya";
    days: "Valid for days", "Berlaku (hari)";
    make: "Make a link", "Buat tautan";
    may_missing: "Allow one thing at least.", "Izinkan sedikitnya satu hal.";
    link: "Portal link", "Tautan portal";
    made: "Made", "Dibuat";
    ends: "Ends", "Berakhir";
    revoke: "Revoke", "Cabut";
    revoke_title: "Revoke this link?", "Cabut tautan ini?";
    revoke_warning: "The link can no longer be used, at once. The device and its messages stay as they are.", "Pemegang tautan langsung tidak dapat memakainya lagi. Perangkat dan pesannya tetap seperti semula.";
}

impl LinkWords {
    fn permission(&self, permission: Permission) -> &'static str {
        match permission {
            Permission::Pair => self.pair,
            Permission::Read => self.read,
            Permission::Send => self.send,
        }
    }
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/devices/{id}/portal-links", post(create))
        .route("/app/devices/{id}/portal-links/{link}/revoke", get(ask_revoke).post(revoke))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LinkForm {
    pair: String,
    read: String,
    send: String,
    days: String,
}

impl LinkForm {
    fn may(&self) -> Vec<Permission> {
        let asked = [
            (Permission::Pair, &self.pair),
            (Permission::Read, &self.read),
            (Permission::Send, &self.send),
        ];
        let asked = asked.into_iter().filter(|(_, value)| !value.is_empty());
        asked.map(|(permission, _)| permission).collect()
    }
}

/// The section of the device's page.
pub(super) async fn section(
    state: &AppState,
    person: &Person,
    device: &Device,
) -> Result<Markup, Error> {
    let form = LinkForm { days: "7".to_owned(), ..LinkForm::default() };
    filled(state, person, device, (&form, None)).await
}

/// The links of a device, and the form for another one with what is wrong.
async fn filled(
    state: &AppState,
    person: &Person,
    device: &Device,
    (form, fault): (&LinkForm, Option<&Fault>),
) -> Result<Markup, Error> {
    let (own, chosen) = (LinkWords::of(person.lang), form.may());
    let links = state.core().portal_links(person.principal(), device.id).await?;
    let path = device_path(device);
    Ok(html! {
        section.card #portal-links {
            h2 { (own.title) }
            p.quiet { (own.help) }
            @if !links.is_empty() { (table(person, own, &path, &links)) }
            form.stack method="post" action={ (path) "/portal-links" } {
                (person.csrf())
                fieldset aria-describedby="may-fault" {
                    legend { (own.may) }
                    @for permission in Permission::ALL {
                        label.check {
                            input type="checkbox" name=(permission.as_str()) value="1"
                                checked[chosen.contains(&permission)];
                            (own.permission(permission))
                        }
                    }
                    (Fault::beside(fault, "may"))
                }
                label for="days" { (own.days) }
                select #days name="days" {
                    @for days in DAYS { option value=(days) selected[days.to_string() == form.days] { (days) } }
                }
                button { (own.make) }
            }
        }
    })
}

fn table(person: &Person, own: &LinkWords, path: &str, links: &[PortalLink]) -> Markup {
    let columns = [
        Column::Text(own.may),
        Column::Named(own.made),
        Column::Named(own.ends),
        Column::Acts(own.revoke),
    ];
    let row = |link: &PortalLink| {
        let may: Vec<_> = link.may.iter().map(|permission| own.permission(*permission)).collect();
        [
            html! { (may.join(", ")) },
            show::time_for(person, link.created_at),
            show::time_for(person, link.expires_at),
            html! { a.button.plain href={ (path) "/portal-links/" (link.id) "/revoke" }
            aria-label={ (own.revoke) " " (link.id) } { (own.revoke) } },
        ]
    };
    table::table(own.title, &columns, links.iter().map(row))
}

async fn create(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(text): Path<String>,
    Posted { person, form }: Posted<LinkForm>,
) -> PageResult {
    let own = LinkWords::of(person.lang);
    let device = own_device(&state, &person, &text).await?;
    let (path, may) = (device_path(&device), form.may());
    if may.is_empty() {
        let fault = Fault::of("may", own.may_missing.to_owned());
        let body = html! {
            p.crumbs { a href="/app/devices" { (person.words().devices) } " › " a href=(path) { (device.name) } }
            h1 { (device.name) }
            (filled(&state, &person, &device, (&form, Some(&fault))).await?)
        };
        let (status, head) = (Fault::status(Some(&fault)), Head::default());
        return Ok(layout::page_with(status, &person, Place::Devices, own.title, &head, &body));
    }
    let seconds = form.days.parse::<i64>().ok().map(|days| days.saturating_mul(DAY_S));
    let address = server_address(state.config(), &headers);
    let core = state.core();
    let (_, secret) = core.create_portal_link(person.principal(), device.id, seconds, may).await?;
    Ok(made(&person, &device, &format!("{address}{}", portal_path(&secret))))
}

/// The page that shows a new link, once.
fn made(person: &Person, device: &Device, address: &str) -> Response {
    let (own, path) = (LinkWords::of(person.lang), device_path(device));
    let body = html! {
        p.crumbs { a href="/app/devices" { (person.words().devices) } " › " a href=(path) { (device.name) } }
        h1 { (own.title) }
        (show::secret(person.words(), own.link, address))
        p { a.button href={ (path) "#portal-links" } { (person.words().i_have_it) } }
    };
    layout::page(person, Place::Devices, own.title, &body)
}

/// The device and the link that a path names.
async fn named(
    state: &AppState,
    person: &Person,
    (device, link): (&str, &str),
) -> Result<(std::sync::Arc<Device>, PortalLinkId), Error> {
    person.visitor.require(Role::Owner)?;
    let device = own_device(state, person, device).await?;
    let wanted = PortalLinkId(id(link, "portal link")?);
    let links = state.core().portal_links(person.principal(), device.id).await?;
    let is_there = links.iter().any(|link| link.id == wanted);
    is_there.then_some((device, wanted)).ok_or(Error::NotFound("portal link"))
}

async fn ask_revoke(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path((device, link)): Path<(String, String)>,
) -> PageResult {
    let own = LinkWords::of(person.lang);
    let (device, link) = named(&state, &person, (&device, &link)).await?;
    let back = device_path(&device);
    let confirm = Confirm {
        title: own.revoke_title,
        what: html! { p { (own.revoke_warning) } },
        action: &format!("{back}/portal-links/{link}/revoke"),
        button: own.revoke,
        back: &back,
    };
    Ok(layout::page(&person, Place::Devices, own.revoke_title, &confirm.render(&person)))
}

async fn revoke(
    State(state): State<AppState>,
    Path((device, link)): Path<(String, String)>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let (device, link) = named(&state, &person, (&device, &link)).await?;
    state.core().delete_portal_link(person.principal(), device.id, link).await?;
    Ok(redirect(&format!("{}#portal-links", device_path(&device))))
}
