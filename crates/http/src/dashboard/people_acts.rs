//! `/app/people/{id}/…`: another role for somebody, and a link that sets a new password.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::get;
use domain::error::Error;
use domain::ids::UserId;
use domain::person::{Place as Belongs, Role};
use maud::html;
use serde::Deserialize;

use super::caller::{Nothing, Person, Posted, id};
use super::failure::{PageResult, redirect};
use super::layout::{self, Place};
use super::people::{Question, ask, known_role, named, role_word};
use super::reset_page::reset_path;
use super::show;
use super::words::words;
use crate::net::server_address;
use crate::state::AppState;

words! {
    /// The texts of what is done about somebody.
    ActWords
    change_role: "Change role", "Ubah peran";
    change_role_help: "It counts at once. Invitations that this person has made end.", "Langsung berlaku. Undangan yang dibuat orang ini berakhir.";
    new_password: "New password", "Kata sandi baru";
    new_password_warning: "Makes a link by which {} chooses a new password. It is valid once, for 24 hours; open sessions end when it is used. A second step stays as it is.", "Membuat tautan untuk {} memilih kata sandi baru. Sekali pakai, berlaku 24 jam; sesi yang terbuka berakhir saat dipakai. Langkah kedua tetap berlaku.";
    reset_link: "Link for a new password", "Tautan kata sandi baru";
    reset_link_help: "Send it to this person yourself; it is not sent by email.", "Kirimkan sendiri ke orangnya; tidak dikirim lewat email.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/people/{id}/role", get(ask_role).post(change_role))
        .route("/app/people/{id}/password", get(ask_password).post(reset_password))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RoleForm {
    role: String,
}

async fn ask_role(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let (words, own) = (person.words(), ActWords::of(person.lang));
    let user = named(&state, &person, &text).await?;
    let Belongs::Account(_, current) = user.place else {
        return Err(Error::NotFound("user").into());
    };
    let body = html! {
        h1 { (own.change_role) }
        p { (user.email) }
        form.stack method="post" action={ "/app/people/" (user.id) "/role" } {
            (person.csrf())
            label for="role" { (words.role) }
            select #role name="role" aria-describedby="role-help" {
                @for role in Role::ALL {
                    option value=(role.as_str()) selected[role == current] { (role_word(words, role)) }
                }
            }
            span.help #role-help { (own.change_role_help) }
            div.row {
                button { (words.save) }
                a.button.plain href="/app/people" { (words.keep) }
            }
        }
    };
    Ok(layout::page(&person, Place::People, own.change_role, &body))
}

async fn change_role(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<RoleForm>,
) -> PageResult {
    let (user, role) = (UserId(id(&text, "user")?), known_role(&form.role)?);
    state.core().change_role(&person.visitor, user, role).await?;
    Ok(redirect("/app/people"))
}

async fn ask_password(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let own = ActWords::of(person.lang);
    let (title, warning) = (own.new_password, own.new_password_warning);
    ask(&state, &person, &text, Question { act: "password", title, warning }).await
}

async fn reset_password(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let (words, own) = (person.words(), ActWords::of(person.lang));
    let user = UserId(id(&text, "user")?);
    let link = state.core().password_reset_link(&person.visitor, user).await?;
    let address = server_address(state.config(), &headers);
    let body = html! {
        h1 { (own.new_password) }
        (show::secret(words, own.reset_link, &format!("{address}{}", reset_path(&link))))
        p { (own.reset_link_help) }
        p { a.button href="/app/people" { (words.i_have_it) } }
    };
    Ok(layout::page(&person, Place::People, own.new_password, &body))
}
