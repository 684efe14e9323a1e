//! The one-time links: `/setup/…` makes an operator, `/app/join/…` a person of an account, and
//! `/app/enter/…` signs in at once.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::get;
use domain::error::Error;
use domain::key::Secret;
use domain::person::{Link, Place};
use maud::html;
use serde::Deserialize;

use super::caller::{Stranger, read_form, typed};
use super::failure::{PageResult, redirect};
use super::layout;
use super::once;
use super::passwords::{password_fault, password_field};
use super::people::role_word;
use super::show::{Fault, with};
use super::words::{Lang, words};
use crate::state::AppState;

words! {
    /// The texts of an invitation.
    JoinWords
    to: "To the account {}, as:", "Ke akun {}, sebagai:";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/setup/{link}", get(show).post(join))
        .route("/app/join/{link}", get(show).post(join))
        .route("/app/enter/{link}", get(enter))
}

/// The path of a link that makes an operator.
pub fn setup_path(link: &Secret) -> String {
    format!("/setup/{}", link.reveal())
}

/// The path of a link that makes a person of an account.
pub(super) fn join_path(link: &Secret) -> String {
    format!("/app/join/{}", link.reveal())
}

/// The path of a link that signs in.
pub fn sign_in_path(link: &Secret) -> String {
    format!("/app/enter/{}", link.reveal())
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JoinForm {
    email: String,
    password: String,
    key: String,
}

async fn show(
    State(state): State<AppState>,
    Path(link): Path<String>,
    stranger: Stranger,
) -> PageResult {
    stranger.check_mode()?;
    let link = Secret::new(link);
    let Ok(Link::Join(place)) = state.core().link(&link).await else {
        return Ok(used_up(stranger.lang));
    };
    let account = state.core().account_name(place).await?;
    let form = JoinForm { key: once::new_key(&state), ..JoinForm::default() };
    Ok(page(stranger.lang, (place, account.as_deref()), &form, None))
}

async fn join(
    State(state): State<AppState>,
    Path(link): Path<String>,
    stranger: Stranger,
    request: Request,
) -> PageResult {
    stranger.check_form(&state)?;
    let Stranger { mode, lang, .. } = stranger;
    let (link, words) = (Secret::new(link), lang.words());
    let form: JoinForm = typed(read_form(request.into_body()).await?)?;
    let core = state.core();
    let Ok(Link::Join(place)) = core.link(&link).await else { return Ok(used_up(lang)) };
    let account = core.account_name(place).await?;
    let at_fault = |fault: &Fault| Ok(page(lang, (place, account.as_deref()), &form, Some(fault)));
    let refused = |message: &str| at_fault(&Fault::of("email", message.to_owned()));
    if let Some(fault) = password_fault(lang, &form.password) {
        return at_fault(&fault);
    }
    let password = state.passwords().hash(core, form.password.clone()).await?;
    match core.join(&link, &form.email, password).await {
        Ok(session) => {
            tracing::info!(account = ?place.account(), "somebody joined by a link");
            let mut response = redirect("/app");
            mode.set(response.headers_mut(), &session);
            Ok(response)
        }
        Err(Error::Invalid { .. }) => refused(words.email_wrong),
        Err(Error::Conflict(_)) => refused(words.email_taken),
        Err(Error::NotFound(_)) => Ok(used_up(lang)),
        Err(error) => Err(error.into()),
    }
}

/// Signs in. The answer is a page and no redirection, so that the browser's next request comes from us
/// and has the cookie, whatever led here.
async fn enter(
    State(state): State<AppState>,
    Path(link): Path<String>,
    stranger: Stranger,
) -> PageResult {
    let (mode, lang) = (stranger.mode, stranger.lang);
    let words = lang.words();
    // A demo begins beside its phone.
    let first = if state.config().demo_phone.is_some() { "/app/send" } else { "/app" };
    if let Some(cookie) = mode.read(&stranger.headers)
        && state.core().visitor(&cookie).await.is_ok()
    {
        return Ok(redirect(first));
    }
    stranger.check_mode()?;
    let Ok(session) = state.core().sign_in_by_link(&Secret::new(link)).await else {
        return Ok(used_up(lang));
    };
    let body = html! {
        meta http-equiv="refresh" content={ "0;url=" (first) };
        h1 { (words.welcome) }
        p { a.button href=(first) { (words.go_on) } }
    };
    let mut response = layout::bare(StatusCode::OK, lang, words.welcome, &body);
    mode.set(response.headers_mut(), &session);
    Ok(response)
}

fn page(
    lang: Lang,
    (place, account): (Place, Option<&str>),
    form: &JoinForm,
    fault: Option<&Fault>,
) -> Response<Body> {
    let words = lang.words();
    let (title, lead) = match place {
        Place::Operator => (words.setup_title, words.setup_lead),
        Place::Account(..) => (words.join_title, words.join_lead),
    };
    let body = html! {
        h1 { (title) }
        @if let (Place::Account(_, role), Some(account)) = (place, account) {
            p { (with(JoinWords::of(lang).to, account)) " " strong { (role_word(words, role)) } }
        }
        p.quiet { (lead) }
        form.stack method="post" {
            (once::field(&form.key))
            label for="email" { (words.email) }
            input #email name="email" type="email" required autocomplete="username"
                value=(form.email) aria-describedby="email-fault";
            (Fault::beside(fault, "email"))
            (password_field(lang, words.password, fault))
            button { (words.begin) }
        }
    };
    layout::bare(Fault::status(fault), lang, title, &body)
}

pub(super) fn used_up(lang: Lang) -> Response<Body> {
    let words = lang.words();
    let body = html! {
        h1 { (words.link_over) }
        p { (words.link_over_help) }
        p { a.button href="/login" { (words.sign_in) } }
    };
    layout::bare(StatusCode::NOT_FOUND, lang, words.link_over, &body)
}
