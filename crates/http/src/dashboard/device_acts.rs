//! What is done to a device only after a question: a new token, unlinking it, deleting it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use domain::device::Device;
use maud::html;

use super::caller::{InAccount, Nothing, Person, Posted};
use super::device::own_device;
use super::failure::{PageResult, redirect};
use super::layout::{self, Place};
use super::show::{self, Confirm, device_path, with};
use super::start::waiting;
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/devices/{id}/token", get(ask_token).post(token))
        .route("/app/devices/{id}/logout", get(ask_logout).post(logout))
        .route("/app/devices/{id}/delete", get(ask_delete).post(delete))
}

/// The page that asks before an act of a device: `act` is the end of its path.
fn question(
    person: &Person,
    device: &Device,
    act: &str,
    (title, button): (&str, &str),
    warning: &str,
) -> Response {
    let (words, back) = (person.words(), device_path(device));
    let action = format!("{back}/{act}");
    let what = html! { p { (warning) } };
    let confirm = Confirm { title, what, action: &action, button, back: &back };
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } " › " a href=(back) { (device.name) } }
        (confirm.render(person))
    };
    layout::page(person, Place::Devices, title, &body)
}

async fn ask_token(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, device) = (person.words(), own_device(&state, &person, &text).await?);
    let names = (words.new_token, words.new_token);
    Ok(question(&person, &device, "token", names, words.token_warning))
}

async fn token(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    let secret = state.core().new_device_token(person.principal(), device.id).await?;
    let words = person.words();
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } }
        h1 { (device.name) }
        (show::secret(words, words.new_token, secret.reveal()))
        p { a.button href=(device_path(&device)) { (words.i_have_it) } }
    };
    Ok(layout::page(&person, Place::Devices, words.new_token, &body))
}

async fn ask_logout(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, device) = (person.words(), own_device(&state, &person, &text).await?);
    let waiting = waiting(&state, &person, Some(device.id)).await?;
    let names = (words.log_out_device, words.log_out_device);
    let warning = with(words.logout_warning, waiting);
    Ok(question(&person, &device, "logout", names, &warning))
}

async fn logout(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    state.core().logout(person.principal(), device.id).await?;
    Ok(redirect(&device_path(&device)))
}

async fn ask_delete(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, device) = (person.words(), own_device(&state, &person, &text).await?);
    let waiting = waiting(&state, &person, Some(device.id)).await?;
    let title = with(words.delete_device_title, &device.name);
    let warning = with(words.delete_device_warning, waiting);
    Ok(question(&person, &device, "delete", (&title, words.delete), &warning))
}

async fn delete(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    state.core().delete_device(person.principal(), device.id).await?;
    Ok(redirect("/app/devices"))
}
