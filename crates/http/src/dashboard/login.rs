//! `/login` and `/logout`.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{HOST, REFERER, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use domain::error::Error;
use domain::key::Secret;
use domain::person::User;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Asked, Nothing, Posted, Stranger, read_form, typed};
use super::failure::{PageResult, redirect, too_many_tries};
use super::layout;
use super::origin::CookieMode;
use super::words::Lang;
use crate::api_error::add_retry_after;
use crate::net::share_of;
use crate::request_context;
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/app/language/{lang}", get(switch))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoginQuery {
    next: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LoginForm {
    email: String,
    password: String,
    next: String,
    /// What shows that the password was right, beside the code.
    ticket: String,
    code: String,
}

async fn show(stranger: Stranger, Asked(query): Asked<LoginQuery>) -> PageResult {
    stranger.check_mode()?;
    let form = LoginForm { next: query.next, ..LoginForm::default() };
    Ok(page(StatusCode::OK, stranger.lang, &form, None))
}

async fn sign_in(
    State(state): State<AppState>,
    stranger: Stranger,
    request: Request,
) -> PageResult {
    stranger.check_form(&state)?;
    let Stranger { mode, lang, .. } = stranger;
    let form: LoginForm = typed(read_form(request.into_body()).await?)?;
    if !form.ticket.is_empty() {
        return second_step(&state, mode, lang, &form).await;
    }
    match known(&state, &form).await {
        Ok(Some(user)) if state.core().has_second_factor(user.id).await? => {
            let ticket = state.core().sign_in_ticket(&user);
            Ok(code_page(StatusCode::OK, lang, &ticket, &form.next, None))
        }
        Ok(Some(user)) => {
            forget(&state, &form.email);
            let secret = state.core().sign_in(&user).await?;
            Ok(signed_in(mode, &user, &secret, &form.next))
        }
        Ok(None) => {
            let wrong = lang.words().login_wrong;
            Ok(page(StatusCode::UNAUTHORIZED, lang, &form, Some(wrong)))
        }
        Err(Error::TooManyTries(wait)) => {
            let blocked = too_many_tries(wait, lang.words());
            let mut response =
                page(StatusCode::TOO_MANY_REQUESTS, lang, &form, Some(blocked.as_str()));
            add_retry_after(&mut response, &Error::TooManyTries(wait).into());
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// The person of an address and a password.
async fn known(state: &AppState, form: &LoginForm) -> Result<Option<User>, Error> {
    let (core, client) = (state.core(), request_context::client().map(share_of));
    core.count_try(&form.email, client)?;
    let found = core.user_by_email(&form.email).await?;
    let stored = found.as_ref().map(|(_, stored)| stored.as_str());
    let is_right = state.passwords().verify(form.password.clone(), stored).await?;
    Ok(found.map(|(user, _)| user).filter(|_| is_right))
}

/// A try that was right is none of the wrong ones.
fn forget(state: &AppState, email: &str) {
    state.core().forget_tries(email, request_context::client().map(share_of));
}

fn signed_in(mode: CookieMode, user: &User, secret: &Secret, to: &str) -> Response {
    tracing::info!(user = %user.id, account = ?user.place.account(), "somebody signed in");
    let mut response = redirect(next(to));
    mode.set(response.headers_mut(), secret);
    response
}

/// The code after the password. Each wrong one counts as a wrong password does; the right password alone
/// forgives none of them.
async fn second_step(
    state: &AppState,
    mode: CookieMode,
    lang: Lang,
    form: &LoginForm,
) -> PageResult {
    let (core, words) = (state.core(), lang.words());
    let Some(user) = core.ticket_holder(&form.ticket).await? else {
        let over = Some(words.second_over);
        let empty = LoginForm { next: form.next.clone(), ..LoginForm::default() };
        return Ok(page(StatusCode::UNAUTHORIZED, lang, &empty, over));
    };
    let client = request_context::client().map(share_of);
    let again =
        |status, fault: &str| code_page(status, lang, &form.ticket, &form.next, Some(fault));
    match core.count_try(&user.email, client) {
        Ok(()) => {}
        Err(Error::TooManyTries(wait)) => {
            let blocked = too_many_tries(wait, words);
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, &blocked);
            add_retry_after(&mut response, &Error::TooManyTries(wait).into());
            return Ok(response);
        }
        Err(error) => return Err(error.into()),
    }
    if !core.is_second_factor(user.id, &form.code).await? {
        return Ok(again(StatusCode::UNAUTHORIZED, words.code_wrong));
    }
    // Once for the password, once for the code.
    forget(state, &user.email);
    forget(state, &user.email);
    let secret = core.sign_in(&user).await?;
    Ok(signed_in(mode, &user, &secret, &form.next))
}

fn code_page(
    status: StatusCode,
    lang: Lang,
    ticket: &str,
    next: &str,
    fault: Option<&str>,
) -> Response {
    let words = lang.words();
    let body = html! {
        h1 { (words.second_title) }
        @if let Some(fault) = fault { p.fault #fault role="alert" { (fault) } }
        form.stack method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            input type="hidden" name="ticket" value=(ticket);
            label for="code" { (words.second_code) }
            input #code name="code" required autocomplete="one-time-code" maxlength="40"
                aria-describedby=(if fault.is_some() { "fault code-help" } else { "code-help" });
            span.help #code-help { (words.second_help) }
            button { (words.sign_in) }
        }
        p.quiet { (words.second_lost) }
    };
    layout::bare(status, lang, words.second_title, &body)
}

/// Where somebody wanted to go: a page of ours, never another site.
fn next(path: &str) -> &str {
    let is_ours = path.starts_with("/app") && !path.contains(['\\', '\r', '\n']);
    if is_ours { path } else { "/app" }
}

fn page(status: StatusCode, lang: Lang, form: &LoginForm, fault: Option<&str>) -> Response {
    let words = lang.words();
    let body: Markup = html! {
        h1 { (words.sign_in) }
        @if let Some(fault) = fault { p.fault #fault role="alert" { (fault) } }
        form.stack method="post" action="/login" {
            input type="hidden" name="next" value=(form.next);
            label for="email" { (words.email) }
            input #email name="email" type="email" required autocomplete="username"
                value=(form.email) aria-describedby=[fault.map(|_| "fault")];
            label for="password" { (words.password) }
            input #password name="password" type="password" required
                autocomplete="current-password" aria-describedby=[fault.map(|_| "fault")];
            button { (words.sign_in) }
        }
        p.quiet { (words.login_help) " " code { "gerbang admin setup-link" } "." }
    };
    layout::bare(status, lang, words.sign_in, &body)
}

async fn sign_out(
    State(state): State<AppState>,
    stranger: Stranger,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    state.core().sign_out(&person.visitor).await?;
    let mut response = redirect("/login");
    stranger.mode.remove(response.headers_mut());
    Ok(response)
}

/// Remembers the language, and goes back to where the reader was.
async fn switch(Path(code): Path<String>, headers: HeaderMap) -> PageResult {
    let mut response = redirect(&back(&headers));
    if let Some(lang) = Lang::from_code(&code) {
        let text = format!("gerbang_lang={}; Path=/; Max-Age=31536000; SameSite=Lax", lang.code());
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
    Ok(response)
}

/// The path of the page the reader comes from, when it is ours.
fn back(headers: &HeaderMap) -> String {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let from = text(REFERER).and_then(|from| from.split_once("://")).map(|(_, rest)| rest);
    let path = from.zip(text(HOST)).and_then(|(from, host)| from.strip_prefix(host));
    let pages = ["/app", "/login", "/portal/", "/setup/"];
    let is_page = |path: &&str| pages.iter().any(|own| path.starts_with(own));
    path.filter(is_page).unwrap_or("/app").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_our_own_pages_only() {
        for (path, goes) in [
            ("/app/messages?status=read", "/app/messages?status=read"),
            ("https://evil.example/app", "/app"),
            ("//evil.example", "/app"),
            ("/\\evil.example", "/app"),
            ("/app\\@evil.example", "/app"),
            ("", "/app"),
        ] {
            assert_eq!(next(path), goes, "{path}");
        }
    }

    #[test]
    fn another_language_leads_back_to_the_same_page() {
        for (from, goes) in [
            ("https://wa.example/app/messages?status=read", "/app/messages?status=read"),
            ("https://wa.example/login?next=%2Fapp%2Fchats", "/login?next=%2Fapp%2Fchats"),
            ("https://wa.example/setup/gbl_secret", "/setup/gbl_secret"),
            ("https://wa.example/app/join/gbl_secret", "/app/join/gbl_secret"),
            ("https://wa.example/portal/device/gbp_secret", "/portal/device/gbp_secret"),
            ("https://wa.example/v1/devices", "/app"),
            ("https://evil.example/app/messages", "/app"),
            ("https://wa.example.evil.example/setup/x", "/app"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("wa.example"));
            headers.insert(REFERER, HeaderValue::from_static(from));
            assert_eq!(back(&headers), goes, "{from}");
        }
        assert_eq!(back(&HeaderMap::new()), "/app");
    }
}
