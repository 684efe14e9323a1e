//! `/app/devices/{id}/more`: files, calls, read receipts and the proxy of a device.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use domain::device::Device;
use domain::error::Error;
use domain::incoming_file::MediaDownload;
use domain::service::DeviceChange;
use maud::html;
use serde::Deserialize;

use super::caller::{InAccount, Person, Posted};
use super::device::own_device;
use super::failure::{PageResult, describe, redirect};
use super::layout::{self, Head, Place};
use super::reasons::said;
use super::show::{Fault, device_path};
use super::words::words;
use crate::state::AppState;

words! {
    /// The texts of this page.
    MoreWords
    title: "Files, calls and proxy", "Berkas, panggilan, dan proxy";
    media: "Files that come in", "Berkas masuk";
    auto: "are fetched at once", "langsung diambil";
    on_demand: "are fetched when somebody wants them", "diambil saat diminta";
    off: "are not fetched", "tidak diambil";
    reject_calls: "Reject calls", "Tolak panggilan";
    reject_text: "Text to callers whose call was rejected (empty: none)", "Teks untuk penelepon yang ditolak (kosong: tidak ada)";
    read_at_once: "Mark messages as read at once", "Langsung tandai pesan sudah dibaca";
    proxy: "Proxy of the connection to WhatsApp", "Proxy untuk koneksi ke WhatsApp";
    proxy_help: "Such as socks5://user:password@host:1080. A password is not shown again; leave the field as it is to keep it.", "Misalnya socks5://pengguna:sandi@host:1080. Kata sandi tidak ditampilkan lagi; biarkan isinya untuk mempertahankannya.";
}

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/app/devices/{id}/more", get(show).post(change))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct MoreForm {
    media: String,
    rejects_calls: String,
    reject_text: String,
    reads_at_once: String,
    proxy: String,
}

impl MoreForm {
    fn of(state: &AppState, device: &Device) -> Self {
        let flag = |is_on: bool| if is_on { "1".to_owned() } else { String::new() };
        Self {
            media: device.media_download.as_str().to_owned(),
            rejects_calls: flag(device.incoming.rejects_calls),
            reject_text: device.incoming.reject_text.clone().unwrap_or_default(),
            reads_at_once: flag(device.incoming.reads_at_once),
            proxy: state.core().shown_proxy(device).unwrap_or_default(),
        }
    }

    /// What is asked for. A proxy as it is shown is the one that there is.
    fn change(&self, state: &AppState, device: &Device) -> DeviceChange {
        let shown = state.core().shown_proxy(device).unwrap_or_default();
        let proxy = self.proxy.trim();
        DeviceChange {
            media_download: MediaDownload::from_name(&self.media),
            rejects_calls: Some(!self.rejects_calls.is_empty()),
            reject_text: Some(text_of(&self.reject_text)),
            reads_at_once: Some(!self.reads_at_once.is_empty()),
            proxy: (proxy != shown).then(|| text_of(proxy)),
            ..DeviceChange::default()
        }
    }
}

/// A field's text; `None` when it is empty.
fn text_of(field: &str) -> Option<String> {
    Some(field.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The link to this page.
pub(super) fn link(person: &Person, device: &Device) -> maud::Markup {
    let own = MoreWords::of(person.lang);
    html! { p { a.button.plain href={ (device_path(device)) "/more" } { (own.title) } } }
}

async fn show(
    State(state): State<AppState>,
    InAccount(person): InAccount,
    Path(text): Path<String>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    page(&person, &device, &MoreForm::of(&state, &device), None)
}

fn page(person: &Person, device: &Device, form: &MoreForm, fault: Option<&Fault>) -> PageResult {
    let (words, own) = (person.words(), MoreWords::of(person.lang));
    let path = device_path(device);
    let choices = [
        (MediaDownload::Auto, own.auto),
        (MediaDownload::OnDemand, own.on_demand),
        (MediaDownload::Off, own.off),
    ];
    let body = html! {
        p.crumbs { a href="/app/devices" { (words.devices) } " › " a href=(path) { (device.name) } }
        h1 { (own.title) }
        (Fault::above(fault, &["proxy", "reject_text"]))
        form.stack method="post" action={ (path) "/more" } {
            (person.csrf())
            label for="media" { (own.media) }
            select #media name="media" {
                @for (choice, word) in choices {
                    option value=(choice.as_str()) selected[choice.as_str() == form.media] { (word) }
                }
            }
            label.check {
                input type="checkbox" name="rejects_calls" value="1" checked[!form.rejects_calls.is_empty()];
                (own.reject_calls)
            }
            label for="reject_text" { (own.reject_text) }
            input #reject_text name="reject_text" value=(form.reject_text) aria-describedby="reject_text-fault";
            (Fault::beside(fault, "reject_text"))
            label.check {
                input type="checkbox" name="reads_at_once" value="1" checked[!form.reads_at_once.is_empty()];
                (own.read_at_once)
            }
            label for="proxy" { (own.proxy) }
            input #proxy name="proxy" value=(form.proxy) autocomplete="off"
                aria-describedby="proxy-help proxy-fault";
            span.help #proxy-help { (own.proxy_help) }
            (Fault::beside(fault, "proxy"))
            button { (words.save) }
        }
    };
    let (status, head) = (Fault::status(fault), Head::default());
    Ok(layout::page_with(status, person, Place::Devices, own.title, &head, &body))
}

async fn change(
    State(state): State<AppState>,
    Path(text): Path<String>,
    Posted { person, form }: Posted<MoreForm>,
) -> PageResult {
    let device = own_device(&state, &person, &text).await?;
    let change = form.change(&state, &device);
    match state.core().update_device(person.principal(), device.id, change).await {
        Ok(_) => Ok(redirect(&device_path(&device))),
        Err(Error::Invalid { field: "reject_text", message }) => {
            let fault = Fault::of("reject_text", said(person.lang, &message).into_owned());
            page(&person, &device, &form, Some(&fault))
        }
        Err(error @ Error::Invalid { .. }) => {
            let fault = Fault::of("proxy", describe(&error.into(), person.words()));
            page(&person, &device, &form, Some(&fault))
        }
        Err(error) => Err(error.into()),
    }
}
