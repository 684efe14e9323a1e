//! `/app/security`: one's own password, and the second step of signing in.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use domain::error::Error;
use domain::totp::TotpSecret;
use maud::{Markup, html};
use serde::Deserialize;

use super::caller::{Nothing, Person, Posted};
use super::failure::{Failure, PageResult, redirect};
use super::layout::{self, Head, Place};
use super::passwords::{password_fault, password_field};
use super::show::Fault;
use super::words::words;
use crate::net::share_of;
use crate::qr::qr_data_url;
use crate::request_context;
use crate::state::AppState;

words! {
    /// The texts of this page.
    SecurityWords
    lead: "Beside the password, signing in can ask for a code of an authenticator app on your phone.", "Selain kata sandi, masuk dapat meminta kode dari aplikasi autentikator di ponsel Anda.";
    is_on: "The second step is on.", "Langkah kedua aktif.";
    is_off: "The second step is off.", "Langkah kedua tidak aktif.";
    begin: "Set it up", "Siapkan";
    scan: "Scan this with an authenticator app, then write the code that it shows.", "Pindai dengan aplikasi autentikator, lalu isi kode yang ditampilkannya.";
    or_type: "Or type this into the app:", "Atau ketik ini di aplikasi:";
    switch_on: "Switch on", "Aktifkan";
    switch_off: "Switch off", "Nonaktifkan";
    off_help: "Write a code of the app, or a recovery code.", "Isi kode dari aplikasi, atau kode pemulihan.";
    recovery: "Recovery codes", "Kode pemulihan";
    password_title: "Password", "Kata sandi";
    password_help: "Other sessions of yours end when it is changed.", "Sesi Anda yang lain berakhir saat kata sandi diganti.";
    current: "Current password", "Kata sandi sekarang";
    current_wrong: "This is not your current password.", "Ini bukan kata sandi Anda sekarang.";
    change_password: "Change the password", "Ganti kata sandi";
    password_changed: "The password is changed. Other sessions of yours have ended.", "Kata sandi sudah diganti. Sesi Anda yang lain sudah berakhir.";
    second_title: "Second step", "Langkah kedua";
    recovery_help: "Each signs you in once when the phone is lost.", "Masing-masing sekali pakai untuk masuk bila ponsel hilang.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/security", get(show))
        .route("/app/security/password", post(change_password))
        .route("/app/security/set-up", post(set_up))
        .route("/app/security/on", post(switch_on))
        .route("/app/security/off", post(switch_off))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OnForm {
    secret: String,
    code: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PasswordForm {
    current: String,
    password: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OffForm {
    code: String,
}

async fn show(State(state): State<AppState>, person: Person) -> PageResult {
    page(&state, &person, None).await
}

async fn page(
    state: &AppState,
    person: &Person,
    fault: Option<&Fault>,
) -> Result<Response, Failure> {
    let (words, own) = (person.words(), SecurityWords::of(person.lang));
    let is_on = state.core().has_second_factor(person.visitor.session.user.id).await?;
    let body = html! {
        h1 { (words.security) }
        (password_form(person, fault))
        h2 { (own.second_title) }
        p { (own.lead) }
        @if is_on {
            p.success { (own.is_on) }
            form.stack method="post" action="/app/security/off" {
                (person.csrf())
                (code_field(words.second_code, own.off_help, fault))
                button.danger { (own.switch_off) }
            }
        } @else {
            p { (own.is_off) }
            form method="post" action="/app/security/set-up" {
                (person.csrf())
                button { (own.begin) }
            }
        }
    };
    respond(person, fault, &body)
}

fn password_form(person: &Person, fault: Option<&Fault>) -> Markup {
    let own = SecurityWords::of(person.lang);
    html! {
        h2 { (own.password_title) }
        p.quiet { (own.password_help) }
        form.stack method="post" action="/app/security/password" {
            (person.csrf())
            label for="current" { (own.current) }
            input #current name="current" type="password" required
                autocomplete="current-password" aria-describedby="current-fault";
            (Fault::beside(fault, "current"))
            (password_field(person.lang, person.words().new_password, fault))
            button { (own.change_password) }
        }
    }
}

async fn change_password(
    State(state): State<AppState>,
    Posted { person, form }: Posted<PasswordForm>,
) -> PageResult {
    let (core, own) = (state.core(), SecurityWords::of(person.lang));
    if let Some(fault) = password_fault(person.lang, &form.password) {
        return page(&state, &person, Some(&fault)).await;
    }
    let email = &person.visitor.session.user.email;
    let client = request_context::client().map(share_of);
    core.count_try(email, client)?;
    let stored = core.user_by_email(email).await?.map(|(_, stored)| stored);
    if !state.passwords().verify(form.current, stored.as_deref()).await? {
        let fault = Fault::of("current", own.current_wrong.to_owned());
        return page(&state, &person, Some(&fault)).await;
    }
    core.forget_tries(email, client);
    let password = state.passwords().hash(core, form.password).await?;
    core.change_password(&person.visitor, &password).await?;
    let body = html! {
        h1 { (person.words().security) }
        p.success role="status" { (own.password_changed) }
        p { a.button href="/app/security" { (person.words().security) } }
    };
    respond(&person, None, &body)
}

fn respond(person: &Person, fault: Option<&Fault>, body: &Markup) -> PageResult {
    let (status, title) = (Fault::status(fault), person.words().security);
    Ok(layout::page_with(status, person, Place::Security, title, &Head::default(), body))
}

fn code_field(label: &str, help: &str, fault: Option<&Fault>) -> Markup {
    html! {
        label for="code" { (label) }
        input #code name="code" required autocomplete="one-time-code" maxlength="40"
            aria-describedby="code-help code-fault";
        span.help #code-help { (help) }
        (Fault::beside(fault, "code"))
    }
}

async fn set_up(
    State(state): State<AppState>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    if state.core().has_second_factor(person.visitor.session.user.id).await? {
        return Ok(redirect("/app/security"));
    }
    let totp = state.core().new_totp();
    set_up_page(&person, &totp, None)
}

fn set_up_page(person: &Person, totp: &TotpSecret, fault: Option<&Fault>) -> PageResult {
    let (words, own) = (person.words(), SecurityWords::of(person.lang));
    let secret = totp.to_text();
    let qr = qr_data_url(&totp.uri(&person.visitor.session.user.email));
    let body = html! {
        h1 { (words.security) }
        p { (own.scan) }
        @if let Some(qr) = qr { img.qr src=(qr) alt=(own.scan); }
        p { (own.or_type) " " code { (secret) } }
        form.stack method="post" action="/app/security/on" {
            (person.csrf())
            input type="hidden" name="secret" value=(secret);
            (code_field(words.second_code, "", fault))
            button { (own.switch_on) }
        }
    };
    respond(person, fault, &body)
}

async fn switch_on(
    State(state): State<AppState>,
    Posted { person, form }: Posted<OnForm>,
) -> PageResult {
    let totp = TotpSecret::parse(&form.secret).ok_or(Failure::Form)?;
    let (words, own) = (person.words(), SecurityWords::of(person.lang));
    let codes = match state.core().enable_totp(&person.visitor, &totp, &form.code).await {
        Ok(codes) => codes,
        Err(Error::Invalid { .. }) => {
            let fault = Fault::of("code", words.code_wrong.to_owned());
            return set_up_page(&person, &totp, Some(&fault));
        }
        Err(Error::Conflict(_)) => return Ok(redirect("/app/security")),
        Err(error) => return Err(error.into()),
    };
    let body = html! {
        h1 { (words.security) }
        p.success role="status" { (own.is_on) }
        (super::show::secret(words, own.recovery, &codes.join("\n")))
        p { (own.recovery_help) }
        p { a.button href="/app/security" { (words.i_have_it) } }
    };
    respond(&person, None, &body)
}

async fn switch_off(
    State(state): State<AppState>,
    Posted { person, form }: Posted<OffForm>,
) -> PageResult {
    let (core, words) = (state.core(), person.words());
    let (email, client) =
        (&person.visitor.session.user.email, request_context::client().map(share_of));
    core.count_try(email, client)?;
    match core.disable_totp(&person.visitor, &form.code).await {
        Ok(()) => {
            core.forget_tries(email, client);
            Ok(redirect("/app/security"))
        }
        Err(Error::Invalid { .. }) => {
            let fault = Fault::of("code", words.code_wrong.to_owned());
            page(&state, &person, Some(&fault)).await
        }
        Err(error) => Err(error.into()),
    }
}
