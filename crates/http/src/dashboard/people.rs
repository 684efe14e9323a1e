//! `/app/people`: who signs in to the account that is looked at, or the operators; invitations.

use std::collections::HashSet;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use domain::error::Error;
use domain::ids::UserId;
use domain::key::KeyHash;
use domain::person::{Invitation, Place as Belongs, Role, User};
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Nothing, Person, Posted, id};
use super::failure::{Failure, PageResult, redirect};
use super::join::{join_path, setup_path};
use super::layout::{self, Place};
use super::people_acts::ActWords;
use super::show::{self, Confirm, with};
use super::table::{self, Column};
use super::words::{Words, words};
use crate::api_error::ApiError;
use crate::net::server_address;
use crate::state::AppState;

words! {
    /// The texts of invitations.
    InviteWords
    open: "Open invitations", "Undangan terbuka";
    made_by: "Made by", "Dibuat oleh";
    by_command: "operator key or command", "kunci operator atau perintah";
    withdraw: "Withdraw", "Tarik";
    withdraw_title: "Withdraw this invitation?", "Tarik undangan ini?";
    withdraw_warning: "Its link is over at once.", "Tautannya langsung tidak berlaku.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/people", get(list))
        .route("/app/people/invite", post(invite))
        .route("/app/people/invitations/{id}/withdraw", get(ask_withdraw).post(withdraw))
        .route("/app/people/{id}/remove", get(ask_remove).post(remove))
        .route("/app/people/{id}/reset", get(ask_reset).post(reset))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InviteForm {
    role: String,
}

pub(super) fn role_word(words: &Words, role: Role) -> &'static str {
    match role {
        Role::Owner => words.role_owner,
        Role::Member => words.role_member,
        Role::Viewer => words.role_viewer,
    }
}

async fn list(State(state): State<AppState>, person: Person) -> PageResult {
    let (words, people) = (person.words(), state.core().people(&person.visitor).await?);
    let open = state.core().invitations(&person.visitor).await?;
    let mut with_factor = HashSet::new();
    for user in &people {
        if state.core().has_second_factor(user.id).await? {
            with_factor.insert(user.id);
        }
    }
    let is_in_account = person.visitor.account().is_some();
    // The first person of an account runs it; further ones get everything only where somebody wants that.
    let proposed = if people.is_empty() { Role::Owner } else { Role::Member };
    let body = html! {
        h1 { (words.people) }
        @if people.is_empty() { p.empty { (words.no_people) } }
        @else { (table(&person, &people, &with_factor)) }
        @if !open.is_empty() { (invitations(&person, &open)) }
        section.card {
            h2 { (words.invite) }
            p.quiet { (words.invite_help) }
            form.row method="post" action="/app/people/invite" {
                (person.csrf())
                @if is_in_account {
                    div.field {
                        label for="role" { (words.role) }
                        select #role name="role" {
                            @for role in Role::ALL {
                                option value=(role.as_str()) selected[role == proposed] {
                                    (role_word(words, role))
                                }
                            }
                        }
                    }
                }
                button { (words.invite) }
            }
        }
    };
    Ok(layout::page(&person, Place::People, words.people, &body))
}

fn place_word(words: &Words, place: Belongs) -> &'static str {
    match place {
        Belongs::Operator => words.operator,
        Belongs::Account(_, role) => role_word(words, role),
    }
}

/// Those who sign in, and what can be done about them.
fn table(person: &Person, people: &[User], with_factor: &HashSet<UserId>) -> Markup {
    let (words, own) = (person.words(), person.visitor.session.user.id);
    let own_words = ActWords::of(person.lang);
    let columns =
        [Column::Text(words.email), Column::Clear(words.role), Column::Acts(words.remove)];
    let act = |user: &User, act: &str, word: &str| {
        html! {
            a.button.plain href={ "/app/people/" (user.id) "/" (act) }
                aria-label={ (word) " " (user.email) } { (word) }
        }
    };
    let row = |user: &User| {
        let is_own = user.id == own;
        [
            html! { (user.email) @if is_own { " " span.quiet { "(" (words.you) ")" } } },
            html! { (place_word(words, user.place)) },
            html! { @if !is_own {
                @if with_factor.contains(&user.id) { (act(user, "reset", words.reset_second)) " " }
                @if let Belongs::Account(..) = user.place { (act(user, "role", own_words.change_role)) " " }
                (act(user, "password", own_words.new_password)) " "
                (act(user, "remove", words.remove))
            } },
        ]
    };
    table::table(words.people, &columns, people.iter().map(row))
}

/// The invitations that were not used yet, and the way to withdraw them.
fn invitations(person: &Person, open: &[Invitation]) -> Markup {
    let (words, own) = (person.words(), InviteWords::of(person.lang));
    let columns = [
        Column::Clear(words.role),
        Column::Named(own.made_by),
        Column::Named(words.expires),
        Column::Acts(own.withdraw),
    ];
    let row = |invitation: &Invitation| {
        let role = place_word(words, invitation.place);
        [
            html! { (role) },
            html! { @match &invitation.made_by {
                Some(email) => (email),
                None => span.quiet { (own.by_command) },
            } },
            show::time_for(person, invitation.expires_at),
            html! { a.button.plain href=(withdraw_path(invitation.hash))
            aria-label={ (own.withdraw) " " (role) } { (own.withdraw) } },
        ]
    };
    html! {
        h2 #invitations { (own.open) }
        (table::table(own.open, &columns, open.iter().map(row)))
    }
}

fn withdraw_path(hash: KeyHash) -> String {
    format!("/app/people/invitations/{}/withdraw", hex::encode(hash.0))
}

/// The invitation that a path names.
fn hash(text: &str) -> Result<KeyHash, Error> {
    let mut hash = KeyHash([0; 32]);
    hex::decode_to_slice(text, &mut hash.0).map_err(|_| Error::NotFound("invitation"))?;
    Ok(hash)
}

async fn ask_withdraw(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let (own, hash) = (InviteWords::of(person.lang), hash(&text)?);
    let open = state.core().invitations(&person.visitor).await?;
    let found = open.into_iter().find(|invitation| invitation.hash == hash);
    let invitation = found.ok_or(Error::NotFound("invitation"))?;
    let confirm = Confirm {
        title: own.withdraw_title,
        what: html! {
            p { (place_word(person.words(), invitation.place)) }
            p { (own.withdraw_warning) }
        },
        action: &withdraw_path(hash),
        button: own.withdraw,
        back: "/app/people#invitations",
    };
    Ok(layout::page(&person, Place::People, own.withdraw_title, &confirm.render(&person)))
}

async fn withdraw(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().withdraw_invitation(&person.visitor, hash(&text)?).await?;
    Ok(redirect("/app/people"))
}

/// A role that there is: another one makes nothing, and nothing less.
pub(super) fn known_role(name: &str) -> Result<Role, Failure> {
    let wrong = || ApiError::Malformed(format!("there is no role {name:?}"));
    Role::from_name(name).ok_or_else(|| wrong().into())
}

async fn invite(
    State(state): State<AppState>,
    headers: HeaderMap,
    Posted { person, form }: Posted<InviteForm>,
) -> PageResult {
    let words = person.words();
    // Operators have no role.
    let role = match person.visitor.account() {
        Some(_) => known_role(&form.role)?,
        None => Role::Owner,
    };
    let link = state.core().invite(&person.visitor, role).await?;
    let path = match person.visitor.account() {
        Some(_) => join_path(&link),
        None => setup_path(&link),
    };
    let address = server_address(state.config(), &headers);
    let body = html! {
        h1 { (words.people) }
        (show::secret(words, words.invite_link, &format!("{address}{path}")))
        p { a.button href="/app/people" { (words.i_have_it) } }
    };
    Ok(layout::page(&person, Place::People, words.people, &body))
}

pub(super) async fn named(state: &AppState, person: &Person, text: &str) -> Result<User, Error> {
    let wanted = UserId(id(text, "user")?);
    let people = state.core().people(&person.visitor).await?;
    people.into_iter().find(|user| user.id == wanted).ok_or(Error::NotFound("user"))
}

/// A question about somebody.
pub(super) struct Question {
    pub(super) act: &'static str,
    pub(super) title: &'static str,
    pub(super) warning: &'static str,
}

pub(super) async fn ask(
    state: &AppState,
    person: &Person,
    text: &str,
    question: Question,
) -> PageResult {
    let user = named(state, person, text).await?;
    let Question { act, title, warning } = question;
    let confirm = Confirm {
        title,
        what: html! { p { (with(warning, &user.email)) } },
        action: &format!("/app/people/{}/{act}", user.id),
        button: title,
        back: "/app/people",
    };
    Ok(layout::page(person, Place::People, title, &confirm.render(person)))
}

async fn ask_remove(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let words = person.words();
    let (title, warning) = (words.remove, words.remove_warning);
    ask(&state, &person, &text, Question { act: "remove", title, warning }).await
}

async fn remove(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().remove_person(&person.visitor, UserId(id(&text, "user")?)).await?;
    Ok(redirect("/app/people"))
}

async fn ask_reset(
    State(state): State<AppState>,
    person: Person,
    Path(text): Path<String>,
) -> PageResult {
    let words = person.words();
    let (title, warning) = (words.reset_second, words.reset_second_warning);
    ask(&state, &person, &text, Question { act: "reset", title, warning }).await
}

async fn reset(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().reset_second_factor(&person.visitor, UserId(id(&text, "user")?)).await?;
    Ok(redirect("/app/people"))
}
