//! `/app/reset/…`: a one-time link sets a new password for somebody who has lost it. It signs nobody in, so
//! that a second step is asked for as ever.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use domain::error::Error;
use domain::key::Secret;
use domain::person::Link;
use maud::html;
use serde::Deserialize;

use super::caller::{Stranger, read_form, typed};
use super::failure::PageResult;
use super::join::used_up;
use super::layout;
use super::once;
use super::passwords::{password_fault, password_field};
use super::show::{Fault, with};
use super::words::{Lang, words};
use crate::state::AppState;

words! {
    /// The texts of this page.
    ResetWords
    title: "Choose a new password", "Pilih kata sandi baru";
    set: "Set the password", "Simpan kata sandi";
    done: "The password is set. Sign in as {}.", "Kata sandi sudah disimpan. Masuk sebagai {}.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/reset/{link}", get(show).post(reset))
}

/// The path of a link that sets a new password.
pub(super) fn reset_path(link: &Secret) -> String {
    format!("/app/reset/{}", link.reveal())
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResetForm {
    password: String,
    key: String,
}

async fn show(
    State(state): State<AppState>,
    Path(link): Path<String>,
    stranger: Stranger,
) -> PageResult {
    let Ok(Link::Reset(_)) = state.core().link(&Secret::new(link)).await else {
        return Ok(used_up(stranger.lang));
    };
    Ok(page(stranger.lang, &once::new_key(&state), None))
}

fn page(lang: Lang, key: &str, fault: Option<&Fault>) -> Response<Body> {
    let own = ResetWords::of(lang);
    let body = html! {
        h1 { (own.title) }
        form.stack method="post" {
            (once::field(key))
            (password_field(lang, lang.words().new_password, fault))
            button { (own.set) }
        }
    };
    layout::bare(Fault::status(fault), lang, own.title, &body)
}

async fn reset(
    State(state): State<AppState>,
    Path(link): Path<String>,
    stranger: Stranger,
    request: Request,
) -> PageResult {
    stranger.check_form(&state)?;
    let (lang, core, link) = (stranger.lang, state.core(), Secret::new(link));
    let form: ResetForm = typed(read_form(request.into_body()).await?)?;
    // Nothing is hashed for those who have no link.
    let Ok(Link::Reset(_)) = core.link(&link).await else { return Ok(used_up(lang)) };
    if let Some(fault) = password_fault(lang, &form.password) {
        return Ok(page(lang, &form.key, Some(&fault)));
    }
    let password = state.passwords().hash(core, form.password).await?;
    let user = match core.reset_password(&link, &password).await {
        Ok(user) => user,
        Err(Error::NotFound(_)) => return Ok(used_up(lang)),
        Err(error) => return Err(error.into()),
    };
    core.forget_tries(&user.email, None);
    let (words, own) = (lang.words(), ResetWords::of(lang));
    let body = html! {
        h1 { (own.title) }
        p.success role="status" { (with(own.done, &user.email)) }
        p { a.button href="/login" { (words.sign_in) } }
    };
    Ok(layout::bare(StatusCode::OK, lang, own.title, &body))
}
