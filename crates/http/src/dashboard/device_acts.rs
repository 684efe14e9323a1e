//! What is done to a device only after a question: a new token, unlinking it, deleting it.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use domain::device::Device;
use maud::html;

use super::caller::{InAccount, Person, Posted};
use super::device::{Nothing, own_device};
use super::failure::{PageResult, redirect};
use super::layout::{self, Place};
use super::show::{self, Confirm, with};
use super::start::waiting;
use crate::state::AppState;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/app/devices/{id}/token", get(ask_token).post(token))
        .route("/app/devices/{id}/logout", get(ask_logout).post(logout))
        .route("/app/devices/{id}/delete", get(ask_delete).post(delete))
}

fn question(person: &Person, device: &Device, confirm: &Confirm<'_>) -> Response {
    let words = person.words();
    let path = format!("/app/devices/{}", device.id);
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } " › " a href=(path) { (device.name) } }
        (confirm.render(person))
    };
    layout::page(person, Place::Devices, confirm.title, &body)
}

async fn ask_token(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, device) = (person.words(), own_device(&state, &person, &text).await?);
    let (back, action) =
        (format!("/app/devices/{}", device.id), format!("/app/devices/{}/token", device.id));
    let what = html! { p { (words.token_warning) } };
    let (title, button) = (words.new_token, words.new_token);
    let confirm = Confirm { title, what, action: &action, button, back: &back };
    Ok(question(&person, &device, &confirm))
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
        p { a.button href={ "/app/devices/" (device.id) } { (words.i_have_it) } }
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
    let (back, action) =
        (format!("/app/devices/{}", device.id), format!("/app/devices/{}/logout", device.id));
    let what = html! { p { (with(words.logout_warning, waiting)) } };
    let (title, button) = (words.log_out_device, words.log_out_device);
    let confirm = Confirm { title, what, action: &action, button, back: &back };
    Ok(question(&person, &device, &confirm))
}

async fn logout(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form: Nothing {} }: Posted<Nothing>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    state.core().logout(person.principal(), device.id).await?;
    Ok(redirect(&format!("/app/devices/{}", device.id)))
}

async fn ask_delete(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let (words, device) = (person.words(), own_device(&state, &person, &text).await?);
    let waiting = waiting(&state, &person, Some(device.id)).await?;
    let (back, action) =
        (format!("/app/devices/{}", device.id), format!("/app/devices/{}/delete", device.id));
    let title = with(words.delete_device_title, &device.name);
    let what = html! { p { (with(words.delete_device_warning, waiting)) } };
    let button = words.delete;
    let confirm = Confirm { title: &title, what, action: &action, button, back: &back };
    Ok(question(&person, &device, &confirm))
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
